//! One proxy and its listeners. What comes in: parts read from objects. What goes out: the whole a proxy serves.
//! May not know: which vendor's objects it came from, Envoy's configuration.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ServerTls, Upstream, VirtualHost};
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
    /// What it does with a connection.
    pub kind: ListenerKind,
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
