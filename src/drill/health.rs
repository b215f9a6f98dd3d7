//! Asking a gateway's Envoy again and again which hosts of the primary it would use.
//! What comes in: where the gateway runs, the names of Envoy clusters. What goes out: what it said, and when.
//! May not know: the load, faults.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cluster::{self, Clients, PodAddress};
use crate::envoy::admin::{self, Failed, Host};
use crate::judge::service;
use crate::model::name::ClusterName;

/// Time between two questions. Detection is seen at most this much (and one exchange) late.
pub const EVERY: Duration = Duration::from_millis(50);
/// Time one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The admin port of Gloo's proxies.
pub const ADMIN_PORT: u16 = 19000;

/// A gateway whose Envoy can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// The cluster.
    pub cluster: ClusterName,
    /// Namespace of the proxy's Pods.
    pub namespace: String,
    /// Labels of the proxy's Pods.
    pub selector: String,
}

/// What an Envoy said about one of its clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Usable hosts of the first priority.
    pub usable: u32,
    /// Why the others are not used.
    pub why: Option<String>,
}

/// The answers to one question, by Envoy cluster; or why there was none.
pub type Answer = Result<BTreeMap<String, Said>, String>;

/// Asks until stopped; every answer goes to `tell`. Reconnects by itself.
pub async fn watch(
    clients: Clients,
    gateway: Gateway,
    names: Vec<String>,
    tell: mpsc::UnboundedSender<Answer>,
    stop: CancellationToken,
) {
    let asking = async {
        let mut connection = None;
        loop {
            let asked = tokio::time::timeout(TIMEOUT, ask(&clients, &gateway, &names, &mut connection)).await;
            let answer = asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
            let failed = answer.is_err();
            let where_ = |e| format!("the gateway's Envoy on {} could not be asked: {e:#}", gateway.cluster);
            if tell.send(answer.map_err(where_)).is_err() {
                return;
            }
            if failed {
                connection = None;
                tokio::time::sleep(EVERY * 4).await;
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = stop.cancelled() => {}
    }
}

type Connection = SendRequest<Empty<Bytes>>;

async fn ask(
    clients: &Clients,
    gateway: &Gateway,
    names: &[String],
    connection: &mut Option<Connection>,
) -> anyhow::Result<BTreeMap<String, Said>> {
    let mut sender = match connection.take() {
        Some(sender) => sender,
        None => connect(clients, gateway).await?,
    };
    sender.ready().await?;
    let request =
        http::Request::get("/clusters?format=json").header(http::header::HOST, "localhost").body(Empty::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    let hosts = admin::hosts(&body)?;
    *connection = Some(sender);
    Ok(said(&hosts, names))
}

async fn connect(clients: &Clients, gateway: &Gateway) -> anyhow::Result<Connection> {
    let client = clients.client(gateway.cluster.as_str()).await?;
    let pod = cluster::pod_behind(&client, &gateway.namespace, &gateway.selector).await?;
    let address = PodAddress { namespace: gateway.namespace.clone(), pod, port: ADMIN_PORT };
    let stream = cluster::open(&client, &address).await?;
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

/// The part of an Envoy's answer that is about these clusters. One that Envoy does not know has no usable host.
pub fn said(hosts: &[Host], names: &[String]) -> BTreeMap<String, Said> {
    let of = |name: &String| {
        let first: Vec<_> = hosts.iter().filter(|h| h.cluster == *name && h.priority == 0).collect();
        let usable = first.iter().filter(|h| is_usable(h)).count();
        let why = match first.iter().find(|h| !is_usable(h)) {
            Some(host) => Some(host.failed.iter().map(|f| service::reason(*f)).collect::<Vec<_>>().join(", ")),
            None if first.is_empty() => Some("no hosts left".to_string()),
            None => None,
        };
        Said { usable: u32::try_from(usable).unwrap_or(u32::MAX), why }
    };
    names.iter().map(|n| (n.clone(), of(n))).collect()
}

/// A host that left the endpoints is used as long as its checks pass.
fn is_usable(host: &Host) -> bool {
    host.failed.iter().all(|f| *f == Failed::Removed)
}
