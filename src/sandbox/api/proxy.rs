//! Output, commands and ports of Pods: passed on to the kubelet of the Pod's node, bytes unchanged in both directions.
//! What comes in: a request for `log`, `exec`, `attach` or `portforward`. What goes out: the kubelet's answer.
//! As kube-apiserver does by default, the kubelet's certificate is not verified.
//! The upgrade (SPDY/3.1 or WebSocket) is the kubelet's to accept or refuse.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::http::{Query, Reply};
use super::kinds::Sub;
use super::read::find;
use super::route::Target;
use super::state::{Api, State};
use super::status::Status;
use super::unverified;

/// Where a Pod's kubelet listens, and the path that means this request there.
struct Way {
    address: SocketAddr,
    path: String,
}

/// Passes a request on.
///
/// # Errors
/// 404 without the Pod, 400 when it has no node or the container must be named, 500 when the kubelet cannot be reached,
/// and what the kubelet refuses.
pub async fn forward<B>(
    api: &Arc<Api>,
    target: &Target,
    mut request: Request<B>,
    query: &Query,
) -> Result<Reply, Status>
where
    B: Send + 'static,
{
    let way = {
        let state = api.lock();
        way(&state, target, query)?
    };
    let client_side = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    if client_side.is_none() && target.sub != Some(Sub::Log) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let mut answer = ask(&way, request.method(), request.headers()).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return answered(answer).await;
    }
    let kubelet_side = hyper::upgrade::on(&mut answer);
    let Some(client_side) = client_side else {
        return Err(Status::internal("the kubelet switched protocols without being asked to"));
    };
    let closing = api.closing.clone();
    tokio::spawn(async move {
        let tunnel = async {
            let (client, kubelet) = tokio::try_join!(client_side, kubelet_side)?;
            let (mut client, mut kubelet) = (TokioIo::new(client), TokioIo::new(kubelet));
            // Either side may end first; that is the end of the conversation, not an error.
            let ended = tokio::io::copy_bidirectional(&mut client, &mut kubelet).await;
            tracing::debug!("a stream to a kubelet ended: {ended:?}");
            Ok::<_, hyper::Error>(())
        };
        tokio::select! {
            result = tunnel => if let Err(error) = result { tracing::debug!("an upgrade did not come about: {error}") },
            () = closing.cancelled() => {}
        }
    });
    let (parts, _) = answer.into_parts();
    Ok(Response::from_parts(parts, super::http::full(Bytes::new())))
}

/// The kubelet's plain answer; an error of `log` becomes a Status with its text.
async fn answered(answer: Response<Incoming>) -> Result<Reply, Status> {
    let code = answer.status();
    if code.is_success() {
        let (mut parts, body) = answer.into_parts();
        parts.headers.remove(header::CONNECTION);
        parts.headers.remove(header::TRANSFER_ENCODING);
        return Ok(Response::from_parts(parts, body.map_err(Into::into).boxed_unsync()));
    }
    let body = super::http::read(answer.into_body()).await.unwrap_or_default();
    if let Some(status) = serde_json::from_slice::<Value>(&body).ok().filter(|v| v["kind"] == "Status") {
        return Err(Status(status));
    }
    let text = String::from_utf8_lossy(&body).trim().to_string();
    Err(match code.as_u16() {
        400 => Status::bad_request(text),
        404 => Status::new(404, "NotFound", text),
        code => Status::new(code, "InternalError", text),
    })
}

async fn ask(way: &Way, method: &Method, headers: &HeaderMap) -> Result<Response<Incoming>, Status> {
    let failed = |error: &dyn std::fmt::Display| {
        Status::internal(format!("error dialing backend: dial tcp {}: {error}", way.address))
    };
    let tcp = TcpStream::connect(way.address).await.map_err(|e| failed(&e))?;
    tcp.set_nodelay(true).map_err(|e| failed(&e))?;
    let tls = TlsConnector::from(unverified::config().map_err(|e| failed(&e))?);
    let tls = tls.connect(way.address.ip().into(), tcp).await.map_err(|e| failed(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tls)).await.map_err(|e| failed(&e))?;
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method.clone();
    *request.uri_mut() = way.path.parse().map_err(|e| failed(&e))?;
    for (name, value) in headers {
        // Who asked is settled here, and the body (always empty) is ours.
        let ours = [header::AUTHORIZATION, header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        if !ours.contains(name) && !name.as_str().starts_with("impersonate-") {
            request.headers_mut().append(name, value.clone());
        }
    }
    let host = way.address.to_string();
    request.headers_mut().insert(header::HOST, host.parse().map_err(|e| failed(&e))?);
    sender.send_request(request).await.map_err(|e| failed(&e))
}

fn way(state: &State, target: &Target, query: &Query) -> Result<Way, Status> {
    let Target { kind, namespace, name, sub } = target;
    let pod = find(state, kind, namespace, name)?;
    let node = pod["spec"]["nodeName"].as_str().filter(|n| !n.is_empty());
    let node = node.ok_or_else(|| Status::bad_request(format!("pod {name} does not have a host assigned")))?;
    let object = state.store.get("nodes", "", node);
    let object = object.ok_or_else(|| Status::internal(format!("node \"{node}\" not found")))?;
    let mut addresses = object["status"]["addresses"].as_array().into_iter().flatten();
    let ip = addresses.find(|a| a["type"] == "InternalIP").and_then(|a| a["address"].as_str());
    let ip = ip.and_then(|ip| ip.parse().ok());
    let ip: std::net::IpAddr = ip.ok_or_else(|| Status::internal(format!("node \"{node}\" has no InternalIP")))?;
    let port = object["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64().unwrap_or(10250);
    let port = u16::try_from(port).map_err(Status::internal)?;
    let mut wanted = form_urlencoded::Serializer::new(String::new());
    let path = match sub {
        Some(Sub::PortForward) => {
            let ports: Vec<&str> = query.all("ports").collect();
            if !ports.is_empty() {
                wanted.append_pair("port", &ports.join(","));
            }
            format!("/portForward/{namespace}/{name}")
        }
        Some(Sub::Log) => {
            for (key, value) in query.pairs().filter(|(key, _)| !matches!(key.as_str(), "container" | "pretty")) {
                wanted.append_pair(key, value);
            }
            format!("/containerLogs/{namespace}/{name}/{}", container(&pod, query)?)
        }
        _ => {
            for word in query.all("command") {
                wanted.append_pair("command", word);
            }
            for (ours, kubelets) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
                if query.flag(ours) {
                    wanted.append_pair(kubelets, "1");
                }
            }
            let what = if *sub == Some(Sub::Attach) { "attach" } else { "exec" };
            format!("/{what}/{namespace}/{name}/{}", container(&pod, query)?)
        }
    };
    let wanted = wanted.finish();
    let path = if wanted.is_empty() { path } else { format!("{path}?{wanted}") };
    Ok(Way { address: SocketAddr::new(ip, port), path })
}

/// The container that is meant: the one named, or the only one.
fn container(pod: &Value, query: &Query) -> Result<String, Status> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let of = |field: &str| -> Vec<String> {
        let list = pod["spec"][field].as_array().into_iter().flatten();
        list.filter_map(|c| c["name"].as_str()).map(Into::into).collect()
    };
    let (mut all, only) = (of("containers"), of("containers").len() == 1);
    match query.get("container") {
        "" if only => Ok(all.remove(0)),
        "" => {
            let told = all.join(" ");
            Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{told}]"
            )))
        }
        wanted => {
            all.extend(of("initContainers"));
            all.extend(of("ephemeralContainers"));
            let missing = || Status::bad_request(format!("container {wanted} is not valid for pod {name}"));
            all.into_iter().find(|c| c == wanted).ok_or_else(missing)
        }
    }
}
