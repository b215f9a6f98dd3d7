//! The webhook that puts proxies into pods: AdmissionReview v1 over HTTPS at `/inject`.
//! What comes in: pods about to be created. What goes out: JSON patches. May not know: the API server's side.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::inject::{Injection, patch};

/// The path of the webhook.
pub const PATH: &str = "/inject";
/// An AdmissionReview carries one pod.
const MAX_REQUEST: usize = 4 << 20;
/// How long a client may take to say hello.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the webhook proves itself by: made at every start and kept nowhere.
pub struct Identity {
    ca: String,
    tls: Arc<rustls::ServerConfig>,
}

impl Identity {
    /// For a server at an address.
    pub fn make(address: IpAddr) -> anyhow::Result<Identity> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.distinguished_name = named("istiod webhook CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = ca.self_signed(&ca_key)?;
        let mut leaf = CertificateParams::new(vec!["istiod.istio-system.svc".to_string()])?;
        leaf.distinguished_name = named("istiod");
        leaf.subject_alt_names.push(SanType::IpAddress(address));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let chain = leaf.signed_by(&key, &rcgen::Issuer::new(ca, &ca_key))?;
        let chain = CertificateDer::pem_slice_iter(chain.pem().as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Identity { ca: certificate.pem(), tls: Arc::new(tls) })
    }

    /// What an API server must trust, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Answers until `shutdown`.
pub async fn serve(listener: TcpListener, identity: Identity, injection: Injection, shutdown: CancellationToken) {
    let (acceptor, injection) = (TlsAcceptor::from(identity.tls), Arc::new(injection));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tasks.spawn(connection(stream, acceptor.clone(), injection.clone(), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "webhook: accepting a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    tasks.close();
    tasks.wait().await;
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, injection: Arc<Injection>, shutdown: CancellationToken) {
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "webhook: a TLS handshake failed"),
        Err(_) => return tracing::debug!("webhook: a client did not say hello in time"),
    };
    let service = service_fn(move |request| {
        let injection = injection.clone();
        async move { Ok::<_, Infallible>(handle(request, &injection).await) }
    });
    let builder = Builder::new(TokioExecutor::new());
    tokio::select! {
        () = shutdown.cancelled() => {}
        served = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(%error, "webhook: a connection ended");
            }
        }
    }
}

async fn handle(request: Request<Incoming>, injection: &Injection) -> Response<Full<Bytes>> {
    let say = |status: StatusCode, text: String| {
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != PATH || request.method() != Method::POST {
        return say(StatusCode::NOT_FOUND, format!("this is a webhook: POST an AdmissionReview to {PATH}"));
    }
    let body = match Limited::new(request.into_body(), MAX_REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return say(StatusCode::BAD_REQUEST, format!("reading the request: {error}")),
    };
    match serde_json::from_slice(&body).ok().and_then(|review: Value| answer(&review, injection)) {
        Some(answer) => {
            let mut response = say(StatusCode::OK, answer.to_string());
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            response
        }
        None => say(StatusCode::BAD_REQUEST, "not an AdmissionReview of admission.k8s.io/v1 with a request".into()),
    }
}

/// The review with its answer; nothing when it asks nothing. Every pod is let in.
fn answer(review: &Value, injection: &Injection) -> Option<Value> {
    let request = review.get("request")?;
    let namespace = request.get("namespace").and_then(Value::as_str).unwrap_or_default();
    let mut response = json!({ "uid": request.get("uid")?, "allowed": true });
    let creates = request.get("operation").and_then(Value::as_str) == Some("CREATE");
    if let Some(patch) = request.get("object").filter(|_| creates).and_then(|pod| patch(pod, namespace, injection)) {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    Some(json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response }))
}
