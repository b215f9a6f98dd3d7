//! Asking an Envoy that decides about a service again and again which hosts of the primary it would use: a gateway's at
//! the edge, a caller's sidecar in a mesh.
//! What comes in: which proxies decide, the names of Envoy clusters. What goes out: what they said, and when.
//! May not know: the load, faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callers;
use crate::cluster::{self, Clients, PodAddress};
use crate::envoy::admin::{self, Host};
use crate::judge::service;
use crate::model::name::ClusterName;

/// Time between two questions to an Envoy that answers at once. Detection is seen at most this much (and one exchange) late.
pub const EVERY: Duration = Duration::from_millis(50);
/// The time between two questions is at least so many times that of an exchange, up to [`TIMEOUT`]: an Envoy with thousands
/// of clusters, or on a busy machine, has more to do than to answer.
const PATIENCE: u32 = 4;
/// Time one exchange may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The admin port of Gloo's proxies.
pub const ADMIN_PORT: u16 = 19000;

/// Proxies whose Envoy can be asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proxies {
    /// The cluster they run on.
    pub cluster: ClusterName,
    /// Which of them.
    pub which: Which,
}

/// Which proxies of a cluster decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// Gloo's gateway: Pods by their labels.
    Gateway {
        /// Their namespace.
        namespace: String,
        /// Their labels.
        selector: String,
    },
    /// The sidecar that calls the service most, in these namespaces (none: all).
    Caller {
        /// Namespaces of callers.
        namespaces: Vec<String>,
    },
}

impl std::fmt::Display for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.which {
            Which::Gateway { .. } => write!(f, "the gateway's Envoy on {}", self.cluster),
            Which::Caller { .. } => write!(f, "the sidecars of {}", self.cluster),
        }
    }
}

/// A service by Envoy's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// The Envoy cluster whose first priority is the primary; its lower ones are backups.
    pub primary: String,
    /// Envoy clusters that are backups too: the further members of an aggregate.
    pub backups: Vec<String>,
    /// Addresses (`HOST:PORT`) in the primary's Envoy cluster that are other clusters': where there are any they are the
    /// backups, and everybody else is the primary, whatever their priorities.
    pub beside: BTreeSet<String>,
}

/// What an Envoy said about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Usable hosts of the primary.
    pub usable: u32,
    /// Why the others are not used.
    pub why: Option<String>,
    /// Usable hosts of all backups.
    pub backups: u32,
    /// Why none of them is, if so.
    pub no_backup: Option<String>,
}

/// The answers to one question, by the Envoy cluster of the primary; or why there was none.
pub type Answer = Result<BTreeMap<String, Said>, String>;

/// Asks until stopped; every answer goes to `tell`. Reconnects by itself.
pub async fn watch(
    clients: Clients,
    proxies: Proxies,
    services: Vec<Service>,
    tell: mpsc::UnboundedSender<Answer>,
    stop: CancellationToken,
) {
    let asking = async {
        let mut connection = None;
        loop {
            let begun = Instant::now();
            let asked = tokio::time::timeout(TIMEOUT, ask(&clients, &proxies, &services, &mut connection)).await;
            let answer = asked.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIMEOUT.as_secs())));
            let failed = answer.is_err();
            let where_ = |e| format!("{proxies} could not be asked: {e:#}");
            if tell.send(answer.map_err(where_)).is_err() {
                return;
            }
            if failed {
                connection = None;
                tokio::time::sleep(EVERY * 4).await;
            } else {
                tokio::time::sleep((begun.elapsed() * PATIENCE).clamp(EVERY, TIMEOUT)).await;
            }
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
    proxies: &Proxies,
    services: &[Service],
    connection: &mut Option<Connection>,
) -> anyhow::Result<BTreeMap<String, Said>> {
    let mut sender = match connection.take() {
        Some(sender) => sender,
        None => connect(clients, proxies, services).await?,
    };
    sender.ready().await?;
    let request =
        http::Request::get("/clusters?format=json").header(http::header::HOST, "localhost").body(Empty::new())?;
    let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    let hosts = admin::hosts(&body)?;
    *connection = Some(sender);
    Ok(said(&hosts, services))
}

async fn connect(clients: &Clients, proxies: &Proxies, services: &[Service]) -> anyhow::Result<Connection> {
    let client = clients.client(proxies.cluster.as_str()).await?;
    let address = match &proxies.which {
        Which::Gateway { namespace, selector } => {
            let pod = cluster::pod_behind(&client, namespace, selector).await?;
            PodAddress { namespace: namespace.clone(), pod, port: ADMIN_PORT }
        }
        Which::Caller { namespaces } => {
            let names: Vec<_> = services.iter().map(|s| s.primary.clone()).collect();
            caller(&client, namespaces, &names).await?
        }
    };
    let stream = cluster::open(&client, &address).await?;
    let (sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    Ok(sender)
}

/// The sidecar that has called any of these most.
async fn caller(client: &kube::Client, namespaces: &[String], names: &[String]) -> anyhow::Result<PodAddress> {
    let found = callers::callers(client, namespaces, names).await?;
    match found.callers.into_iter().next() {
        Some(busiest) => Ok(busiest.pod),
        None => {
            let failed = found.failed.first().map(|why| format!("; {why}")).unwrap_or_default();
            anyhow::bail!("none of {} sidecars has called {} yet{failed}", found.asked, names.join(", "))
        }
    }
}

/// The part of an Envoy's answer that is about these services. One that Envoy does not know has no usable host.
pub fn said(hosts: &[Host], services: &[Service]) -> BTreeMap<String, Said> {
    let of = |service: &Service| {
        let is_first = |h: &&Host| match service.beside.is_empty() {
            true => h.priority == 0,
            false => !service.beside.contains(&format!("{}:{}", h.address, h.port)),
        };
        let (first, lower): (Vec<&Host>, Vec<&Host>) =
            hosts.iter().filter(|h| h.cluster == service.primary).partition(is_first);
        let members = hosts.iter().filter(|h| service.backups.contains(&h.cluster));
        let (usable, why) = use_of(&first);
        let (backups, no_backup) = use_of(&lower.into_iter().chain(members).collect::<Vec<_>>());
        Said { usable, why, backups, no_backup: no_backup.filter(|_| backups == 0) }
    };
    services.iter().map(|s| (s.primary.clone(), of(s))).collect()
}

/// How many hosts Envoy would use, and why not the others.
fn use_of(hosts: &[&Host]) -> (u32, Option<String>) {
    let usable = hosts.iter().filter(|h| h.usable()).count();
    let why = match hosts.iter().find(|h| !h.usable()) {
        Some(host) => Some(host.failed.iter().map(|f| service::reason(*f)).collect::<Vec<_>>().join(", ")),
        None if hosts.is_empty() => Some("no hosts left".to_string()),
        None => None,
    };
    (u32::try_from(usable).unwrap_or(u32::MAX), why)
}
