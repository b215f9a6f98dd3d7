//! Ways in to a pod through its cluster's API: a stream to a port, a local listener, an HTTP exchange (for Envoy's
//! admin interface). What comes in: a client and an address within the cluster. What goes out: streams and answers.
//! May not know: what is said through them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::observe::get;

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddress {
    /// Namespace.
    pub namespace: String,
    /// Pod name.
    pub pod: String,
    /// Container port.
    pub port: u16,
}

/// A stream to a pod's port, as `kubectl port-forward` opens one per connection.
pub async fn open(
    client: &Client,
    to: &PodAddress,
) -> anyhow::Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &to.namespace);
    let ports = [to.port];
    let opened = tokio::time::timeout(Duration::from_secs(10), pods.portforward(&to.pod, &ports)).await;
    let mut forwarder = opened
        .context("no answer within 10 s")?
        .with_context(|| format!("port-forward to pod {}/{} port {}", to.namespace, to.pod, to.port))?;
    forwarder.take_stream(to.port).ok_or_else(|| anyhow!("the port-forward gave no stream"))
}

/// A running, ready pod with these labels, preferring the first by name: what `deploy/NAME` means to port-forward.
pub async fn pod_behind(client: &Client, namespace: &str, selector: &str) -> anyhow::Result<String> {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("labelSelector", selector).finish();
    let list = get(client, &format!("/api/v1/namespaces/{namespace}/pods?{query}")).await?;
    let pods = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    let running =
        pods.iter().filter(|p| p["status"]["phase"] == "Running" && p["metadata"]["deletionTimestamp"].is_null());
    let ready = |p: &Value| {
        let conditions = p["status"]["conditions"].as_array().into_iter().flatten();
        conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
    };
    let mut named: Vec<_> = running.map(|p| (!ready(p), p["metadata"]["name"].as_str().unwrap_or_default())).collect();
    named.sort_unstable();
    match named.first() {
        Some((_, name)) => Ok(name.to_string()),
        None if pods.is_empty() => bail!("no pod in {namespace} has the labels {selector}"),
        None => bail!("no pod in {namespace} with the labels {selector} is running"),
    }
}

/// The running pods that have a container of this name, in these namespaces (none named: in all), by namespace and name.
pub async fn pods_with(client: &Client, namespaces: &[String], container: &str) -> anyhow::Result<Vec<Value>> {
    let everywhere = [String::new()];
    let mut found = Vec::new();
    for namespace in if namespaces.is_empty() { &everywhere[..] } else { namespaces } {
        let path = match namespace.as_str() {
            "" => "/api/v1/pods".to_string(),
            namespace => format!("/api/v1/namespaces/{namespace}/pods"),
        };
        let mut list = get(client, &path).await?;
        let Value::Array(mut pods) = list["items"].take() else { continue };
        pods.retain(|p| {
            p["status"]["phase"] == "Running" && p["metadata"]["deletionTimestamp"].is_null() && has(p, container)
        });
        found.append(&mut pods);
    }
    let text = |p: &Value, field: &str| p["metadata"][field].as_str().unwrap_or_default().to_string();
    found.sort_by_cached_key(|p| (text(p, "namespace"), text(p, "name")));
    Ok(found)
}

/// Native sidecars stand among the init containers.
fn has(pod: &Value, container: &str) -> bool {
    let lists = ["containers", "initContainers"].map(|list| pod["spec"][list].as_array());
    lists.into_iter().flatten().flatten().any(|c| c["name"] == container)
}

/// What a container has written since a moment (RFC 3339); none: all that is kept.
pub async fn logs(client: &Client, pod: &PodAddress, container: &str, since: Option<&str>) -> anyhow::Result<String> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("container", container);
    if let Some(since) = since {
        query.append_pair("sinceTime", since);
    }
    let path = format!("/api/v1/namespaces/{}/pods/{}/log?{}", pod.namespace, pod.pod, query.finish());
    let request = http::Request::get(path).body(Vec::new())?;
    let said = client.request_text(request).await;
    said.with_context(|| format!("the log of {container} in pod {}/{}", pod.namespace, pod.pod))
}

/// One HTTP/1.1 exchange over a stream. The answer's status and body; a deadline of `timeout` over all of it.
pub async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: http::Method,
    path: &str,
    timeout: Duration,
) -> anyhow::Result<(u16, Bytes)> {
    let exchange = async {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "localhost")
            .body(Full::<Bytes>::default())?;
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok((status, body))
    };
    tokio::time::timeout(timeout, exchange).await.with_context(|| format!("{path}: no answer in time"))?
}

/// A local listener whose connections end at a pod's port. Stops when dropped.
pub struct Forward {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Listens on `bind` (port 0: any) and forwards every connection to the pod's port.
pub async fn listen(client: &Client, to: PodAddress, bind: SocketAddr) -> anyhow::Result<Forward> {
    let listener = tokio::net::TcpListener::bind(bind).await.with_context(|| format!("listening on {bind}"))?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let (stopped, client) = (stop.clone(), client.clone());
    tokio::spawn(async move {
        loop {
            let (mut near, _) = tokio::select! {
                () = stopped.cancelled() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(_) => return,
                },
            };
            let (client, to, stopped) = (client.clone(), to.clone(), stopped.clone());
            tokio::spawn(async move {
                match open(&client, &to).await {
                    Ok(mut far) => tokio::select! {
                        () = stopped.cancelled() => {}
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    },
                    Err(e) => tracing::warn!("port-forward: {e:#}"),
                }
            });
        }
    });
    Ok(Forward { address, stop })
}
