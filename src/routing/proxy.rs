//! One proxy and its listeners. What comes in: parts read from objects. What goes out: the whole a proxy serves.
//! May not know: which vendor's objects it came from, Envoy's configuration.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Access, ServerTls, Upstream, VirtualHost};
use crate::manifest::ObjectKey;
use crate::model::problem::{Problem, Severity};

/// Everything one proxy deployment serves: the same for each of its pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// Its name, for example `gateway-proxy`.
    pub name: String,
    /// The namespace it runs in.
    pub namespace: String,
    /// Listeners in the order of their ports.
    pub listeners: Vec<Listener>,
    /// Upstreams by cluster name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Words that every line of its access log carries, for example which version of an application it stands for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What is wrong with the objects it was read from.
    pub findings: Vec<Finding>,
}

impl Proxy {
    /// Whether an object has a finding of severity error.
    pub fn rejects(&self, object: &ObjectKey) -> bool {
        self.findings.iter().any(|f| &f.object == object && f.problem.severity == Severity::Error)
    }
}

/// A problem and the object it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object.
    pub object: ObjectKey,
    /// What is wrong with it.
    pub problem: Problem,
}

/// Where a listener listens. `::` and `0.0.0.0` mean every address of the pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bind {
    /// IP address.
    pub address: String,
    /// Port.
    pub port: u16,
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Its name, unique within the proxy.
    pub name: String,
    /// The object it was read from.
    pub object: ObjectKey,
    /// Where it listens.
    pub bind: Bind,
    /// Whose connections it takes.
    #[serde(skip_serializing_if = "Side::is_edge")]
    pub side: Side,
    /// Whom it lets in.
    #[serde(skip_serializing_if = "Access::is_open")]
    pub access: Access,
    /// What it does with a connection. A listener with chains with and without TLS tells them apart by the first bytes.
    pub kind: ListenerKind,
}

/// Whose connections a listener takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// Those of everybody: a gateway.
    #[default]
    Edge,
    /// Those of the application beside the proxy, to others.
    Outbound,
    /// Those of others, to the application beside the proxy.
    Inbound,
}

impl Side {
    /// Whether it is a gateway's.
    pub fn is_edge(&self) -> bool {
        *self == Side::Edge
    }
}

/// What a listener does with a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ListenerKind {
    /// Routes HTTP requests. One chain without TLS, or one per certificate.
    Http(Vec<HttpChain>),
    /// Passes bytes on.
    Tcp(Vec<TcpChain>),
}

/// How HTTP connections of one certificate (or none) are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpChain {
    /// Names the chain and its route table; unique within the proxy.
    pub name: String,
    /// TLS towards the client, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Virtual hosts.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// How TCP connections of one certificate (or none) are served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TcpChain {
    /// Name.
    pub name: String,
    /// TLS towards the client, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Without TLS of its own: takes only TLS connections that ask for one of these names, and passes their bytes on
    /// as they are. Empty takes all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sni: Vec<String>,
    /// And that offer one of these application protocols; empty is any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<String>,
    /// Where the bytes go.
    pub to: TcpDestination,
}

/// Where bytes go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TcpDestination {
    /// To the upstream whose cluster name is the connection's SNI: a failover gateway.
    BySni,
    /// To one upstream.
    Upstream(String),
    /// To several, by weight.
    Weighted(Vec<(String, u32)>),
}
