//! Asking a webhook over HTTPS, verified by the root in its configuration.
//! What comes in: a webhook, a question. What goes out: the answer's bytes, or why there are none.
//!
//! Webhooks are reached by `clientConfig.url`. Those of a Service would need the Service's address, which the sandbox
//! gives and does not serve.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::super::http::LARGEST_BODY;
use super::matching::Hook;

/// Asks, within the webhook's own time.
pub async fn post(hook: &Hook, question: &Value) -> Result<Bytes, String> {
    let client = hook.client();
    let url = client["url"].as_str().ok_or("the sandbox reaches webhooks by clientConfig.url, not by a Service")?;
    let said = |why: String| format!("Post {url:?}: {why}");
    let timeout = hook.timeout();
    let asked = tokio::time::timeout(timeout, send(url, &client["caBundle"], question)).await;
    asked.map_err(|_| said("context deadline exceeded".into()))?.map_err(said)
}

async fn send(url: &str, root: &Value, question: &Value) -> Result<Bytes, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let uri: Uri = url.parse().map_err(|e| text(&e))?;
    let host = uri.host().ok_or("the url names no host")?;
    let port = uri.port_u16().unwrap_or(443);
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|e| text(&e))?;
    tcp.set_nodelay(true).map_err(|e| text(&e))?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|e| text(&e))?;
    let tls = TlsConnector::from(Arc::new(verifying(root)?)).connect(name, tcp).await.map_err(|e| text(&e))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await;
    let (mut sender, connection) = handshake.map_err(|e| text(&e))?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map_or(host, http::uri::Authority::as_str);
    let request = Request::post(path).header(HOST, authority).header(CONTENT_TYPE, "application/json");
    let request = request.body(Full::new(Bytes::from(question.to_string()))).map_err(|e| text(&e))?;
    let answer = sender.send_request(request).await.map_err(|e| text(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LARGEST_BODY).collect().await.map_err(|e| text(&e))?.to_bytes();
    if status.is_success() { Ok(body) } else { Err(format!("it answered with status {}", status.as_u16())) }
}

/// A client's TLS that trusts the roots of a `caBundle`.
fn verifying(bundle: &Value) -> Result<rustls::ClientConfig, String> {
    let bundle = bundle.as_str().filter(|b| !b.is_empty()).ok_or("clientConfig.caBundle is missing")?;
    let pem = base64::engine::general_purpose::STANDARD.decode(bundle).map_err(|e| format!("caBundle: {e}"))?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|e| format!("caBundle: {e}"))?;
        roots.add(certificate).map_err(|e| format!("caBundle: {e}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(versions.map_err(|e| e.to_string())?.with_root_certificates(roots).with_no_client_auth())
}
