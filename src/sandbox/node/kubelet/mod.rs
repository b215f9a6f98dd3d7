//! The kubelet's endpoint: what an API server passes on to a node.
//!
//! In: HTTPS requests of an API server. Out: logs, command output, forwarded ports, health. May not know: how pods run.
//!
//! As with a real kubelet the certificate is the node's own. Whoever may connect may run commands (exec), so
//! connections of other users of this machine are refused.

mod access;
mod logs;
mod route;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Power;
use super::registry::Registry;
use route::{Query, Route};

/// An answer: whole or as it comes.
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The endpoint, bound to its address.
pub struct Kubelet {
    listener: TcpListener,
    tls: TlsAcceptor,
    power: watch::Receiver<Power>,
    shared: Arc<Shared>,
}

/// What requests work with.
struct Shared {
    registry: Arc<Registry>,
}

impl Kubelet {
    /// Binds the endpoint, with a certificate made for it.
    pub async fn bind(
        address: SocketAddr,
        registry: Arc<Registry>,
        power: watch::Receiver<Power>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("kubelet endpoint {address}"))?;
        Ok(Kubelet { listener, tls: tls(address)?, power, shared: Arc::new(Shared { registry }) })
    }

    /// Serves until dropped; open connections are cut then.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors: those in use must go first.
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            };
            // Without power there is nobody to answer.
            if *self.power.borrow() == Power::Off {
                continue;
            }
            let (tls, shared, mut power) = (self.tls.clone(), self.shared.clone(), self.power.clone());
            connections.spawn(async move {
                tokio::select! {
                    result = connection(stream, peer, tls, shared) => {
                        if let Err(e) = result {
                            tracing::debug!("kubelet endpoint, from {peer}: {e:#}");
                        }
                    }
                    _ = power.wait_for(|p| *p == Power::Off) => {}
                }
            });
        }
    }
}

/// A certificate that says who we are; API servers do not check it unless told to.
fn tls(address: SocketAddr) -> anyhow::Result<TlsAcceptor> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(vec![address.ip().to_string()])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("system:node:{}", address.ip()));
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| anyhow::anyhow!("the key just made: {e}"))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: TlsAcceptor, shared: Arc<Shared>) -> anyhow::Result<()> {
    access::check(peer, stream.local_addr()?)?;
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new());
    http.serve_connection(TokioIo::new(stream), service).with_upgrades().await?;
    Ok(())
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let query = Query::of(request.uri());
        let route = match Route::of(request.method(), request.uri().path()) {
            Ok(route) => route,
            Err((status, message)) => return text(status, message),
        };
        match route {
            Route::Health => text(StatusCode::OK, "ok"),
            Route::Pods => self.pods(),
            Route::Logs { namespace, pod, container } => match self.registry.get(namespace, pod) {
                Some(entry) => logs::answer(&entry, container, &query),
                None => text(StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found")),
            },
        }
    }

    fn pods(&self) -> Answer {
        let list =
            serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self.registry.pods()});
        let mut answer = text(StatusCode::OK, list.to_string());
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

/// What is not there, with its method: for the answer to a wrong request.
fn not_found(method: &Method, path: &str) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, format!("{method} {path}: not served by this kubelet"))
}
