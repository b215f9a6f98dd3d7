//! The kubelet's endpoint: what an API server passes on to a node.
//!
//! In: HTTPS requests of an API server. Out: logs, command output, forwarded ports, health. May not know: how pods run.
//!
//! As with a real kubelet the certificate is the node's own. Whoever may connect may run commands (exec), so
//! connections of other users of this machine are refused.

mod access;
mod channels;
mod exec;
mod forward;
mod logs;
mod owner;
mod route;
mod terminal;
mod upgrade;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::Power;
use super::registry::{PodEntry, Registry};
use super::signals::Search;
use crate::sandbox::child::Keeper;
use route::{Query, Route, Target};
use upgrade::Upgrade;

/// An answer: whole or as it comes.
type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The endpoint, bound to its address.
pub struct Kubelet {
    listener: TcpListener,
    tls: TlsAcceptor,
    power: watch::Receiver<Power>,
    shared: Arc<Shared>,
    streams: mpsc::UnboundedReceiver<Conversation>,
}

/// A conversation that has outgrown HTTP: runs until it is over, is over when dropped.
type Conversation = BoxFuture<'static, ()>;

/// What requests work with.
struct Shared {
    registry: Arc<Registry>,
    keeper: Keeper,
    streams: mpsc::UnboundedSender<Conversation>,
}

impl Kubelet {
    /// Binds the endpoint, with a certificate made for it.
    pub async fn bind(
        address: SocketAddr,
        registry: Arc<Registry>,
        keeper: Keeper,
        power: watch::Receiver<Power>,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("kubelet endpoint {address}"))?;
        let (sender, streams) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { registry, keeper, streams: sender });
        Ok(Kubelet { listener, tls: tls(address)?, power, shared, streams })
    }

    /// Serves until dropped; open connections and conversations are cut then.
    pub async fn serve(mut self) {
        let mut running = JoinSet::new();
        loop {
            let conversation = tokio::select! {
                Some(_) = running.join_next(), if !running.is_empty() => continue,
                Some(conversation) = self.streams.recv() => conversation,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => self.conversation(stream, peer),
                    Err(_) => {
                        // Out of file descriptors: those in use must go first.
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            // Without power there is nobody to talk to.
            let mut power = self.power.clone();
            running.spawn(async move {
                tokio::select! {
                    biased;
                    _ = power.wait_for(|p| *p == Power::Off) => {}
                    () = conversation => {}
                }
            });
        }
    }

    fn conversation(&self, stream: TcpStream, peer: SocketAddr) -> Conversation {
        let (tls, shared) = (self.tls.clone(), self.shared.clone());
        Box::pin(async move {
            if let Err(e) = connection(stream, peer, tls, shared).await {
                tracing::debug!("kubelet endpoint, from {peer}: {e:#}");
            }
        })
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
        let uri = request.uri().clone();
        let query = Query::of(&uri);
        match Route::of(request.method(), uri.path()) {
            Err((status, message)) => text(status, message),
            Ok(Route::Health) => text(StatusCode::OK, "ok"),
            Ok(Route::Pods) => self.pods(),
            Ok(Route::Logs(target)) => match self.pod(target.namespace, target.pod) {
                Ok(entry) => logs::answer(&entry, target.container, &query),
                Err(answer) => answer,
            },
            Ok(Route::Exec(target)) => self.exec(request, target, &query).unwrap_or_else(|answer| answer),
            Ok(Route::Attach(target)) => self.attach(request, target, &query).unwrap_or_else(|answer| answer),
            Ok(Route::Forward { namespace, pod }) => {
                self.forward(request, namespace, pod, &query).unwrap_or_else(|answer| answer)
            }
        }
    }

    fn pod(&self, namespace: &str, pod: &str) -> Result<Arc<PodEntry>, Answer> {
        let entry = self.registry.get(namespace, pod);
        entry.ok_or_else(|| text(StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found")))
    }

    /// A conversation goes on after its answer.
    fn begin(&self, conversation: impl Future<Output = ()> + Send + 'static) {
        // An endpoint that is gone has nobody to talk to.
        let _ = self.streams.send(Box::pin(conversation));
    }

    fn exec(&self, request: Request<Incoming>, target: Target<'_>, query: &Query) -> Result<Answer, Answer> {
        let entry = self.pod(target.namespace, target.pod)?;
        let container = entry.containers.get(target.container).cloned();
        let Some((container, mut env)) = container.and_then(|c| c.env().map(|env| (c, env))) else {
            let told = format!("container not found (\"{}\")", target.container);
            return Err(text(StatusCode::NOT_FOUND, told));
        };
        env.entry("POD_IP".into()).or_insert_with(|| entry.address.ip.to_string());
        env.entry("POD_NAME".into()).or_insert_with(|| target.pod.to_owned());
        env.entry("POD_NAMESPACE".into()).or_insert_with(|| target.namespace.to_owned());
        let words: Vec<String> = query.all("command").map(str::to_owned).collect();
        let search = Search::of(&words);
        let shared = entry.shares_processes();
        let command = exec::Command { words, env, dir: entry.dir.join(target.container) };
        let (wish, keeper) = (wish(query), self.keeper.clone());
        let (upgrade, answer) = Upgrade::agree(request, &exec::WEBSOCKET, &exec::SPDY)?;
        self.begin(async move {
            match exec::Lines::open(upgrade, wish).await {
                Ok(lines) => match search {
                    Some(search) => exec::search(lines, &container, search, !shared).await,
                    None => exec::run(lines, &keeper, command, wish.tty).await,
                },
                Err(e) => tracing::debug!("an exec did not come about: {e:#}"),
            }
        });
        Ok(answer)
    }

    fn attach(&self, request: Request<Incoming>, target: Target<'_>, query: &Query) -> Result<Answer, Answer> {
        let entry = self.pod(target.namespace, target.pod)?;
        let Some(logs) = entry.containers.get(target.container).and_then(|c| c.logs()) else {
            let told = format!("container not found (\"{}\")", target.container);
            return Err(text(StatusCode::NOT_FOUND, told));
        };
        let wish = wish(query);
        let (upgrade, answer) = Upgrade::agree(request, &exec::WEBSOCKET, &exec::SPDY)?;
        self.begin(async move {
            match exec::Lines::open(upgrade, wish).await {
                Ok(lines) => exec::attach(lines, logs.read(Some(0))).await,
                Err(e) => tracing::debug!("an attach did not come about: {e:#}"),
            }
        });
        Ok(answer)
    }

    fn forward(&self, request: Request<Incoming>, namespace: &str, pod: &str, query: &Query) -> Result<Answer, Answer> {
        let entry = self.pod(namespace, pod)?;
        // The parameter comes once per port or once with commas.
        let ports = query.all("port").chain(query.all("ports")).flat_map(|v| v.split(','));
        let ports: Result<Vec<u16>, _> = ports.map(|p| p.trim().parse::<u16>()).collect();
        let ports = ports.map_err(|e| text(StatusCode::BAD_REQUEST, format!("port: {e}")))?;
        let websocket = match ports.len() {
            // Two channels per port, numbered by one byte.
            1..=127 => &[forward::TUNNEL, forward::CHANNELS][..],
            _ => &[forward::TUNNEL][..],
        };
        let (upgrade, answer) = Upgrade::agree(request, websocket, &[forward::SPDY])?;
        let (address, pod) = (entry.address, pod.to_owned());
        self.begin(async move {
            if let Err(e) = forward::run(upgrade, address, ports).await {
                tracing::debug!("port-forward to {pod}: {e:#}");
            }
        });
        Ok(answer)
    }

    fn pods(&self) -> Answer {
        let list =
            serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self.registry.pods()});
        let mut answer = text(StatusCode::OK, list.to_string());
        answer.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        answer
    }
}

fn wish(query: &Query) -> exec::Wish {
    // The names of a kubelet, and those of an API server.
    let either = |kubelet, api| query.flag(kubelet) || query.flag(api);
    exec::Wish {
        stdin: either("input", "stdin"),
        stdout: either("output", "stdout"),
        stderr: either("error", "stderr"),
        tty: query.flag("tty"),
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
