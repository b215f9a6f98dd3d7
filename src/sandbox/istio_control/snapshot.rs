//! What is served: the proxies of a world, each with its certificate.
//! What comes in: proxies, secrets, addresses of names. What goes out: answers for a node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::envoy::config::{self, Names, Place};
use crate::routing::Proxy;
use crate::sandbox::xds::{Made, Node, Served};

/// One proxy and what only it may have.
#[derive(Clone, PartialEq)]
pub struct Member {
    /// What it does.
    pub proxy: Proxy,
    /// Its address.
    pub address: IpAddr,
    /// Its certificate and the mesh's root, as Envoy takes them.
    pub secrets: BTreeMap<String, Value>,
}

/// One state of the world, ready to be served.
pub struct Snapshot {
    /// By `POD.NAMESPACE`.
    members: BTreeMap<String, Member>,
    names: Names,
    made_at: Instant,
    made: Mutex<BTreeMap<String, Arc<Made>>>,
}

impl Default for Snapshot {
    /// Nothing has been seen yet; nobody is answered from this.
    fn default() -> Self {
        Snapshot { members: BTreeMap::new(), names: Names::new(), made_at: Instant::now(), made: Mutex::default() }
    }
}

impl Snapshot {
    /// These proxies by `POD.NAMESPACE`, with the addresses of the names among their endpoints.
    pub fn new(members: BTreeMap<String, Member>, names: Names) -> Self {
        Snapshot { members, names, ..Snapshot::default() }
    }

    /// Whether Envoys would be told the same.
    pub fn says_the_same(&self, other: &Snapshot) -> bool {
        self.members == other.members && self.names == other.names
    }

    /// All proxies.
    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.members.values().map(|m| &m.proxy)
    }
}

/// `POD.NAMESPACE` of a node id `KIND~IP~POD.NAMESPACE~DOMAIN`.
fn pod(id: &str) -> Option<&str> {
    let parts: Vec<&str> = id.split('~').collect();
    match parts.as_slice() {
        [_, _, pod, _] => Some(*pod),
        _ => None,
    }
}

impl Served for Snapshot {
    fn knows(node: &Node) -> Result<(), &'static str> {
        pod(&node.id).map(|_| ()).ok_or("node.id must be KIND~IP~POD.NAMESPACE~DOMAIN")
    }

    /// A node that is no pod of this cluster (yet) waits.
    fn made(&self, node: &Node) -> Option<Arc<Made>> {
        let pod = pod(&node.id)?;
        let member = self.members.get(pod)?;
        // A poisoned lock only means that another request panicked while making one; the map is whole.
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let make = || {
            let source = config::rest_source();
            let place = Place { bind: member.address, source: &source, names: &self.names };
            Arc::new(Made::new(config::resources(&member.proxy, &place), member.secrets.clone()))
        };
        Some(made.entry(pod.to_string()).or_insert_with(make).clone())
    }

    fn made_at(&self) -> Instant {
        self.made_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_names_its_pod() {
        assert_eq!(
            pod("sidecar~127.0.0.1~reviews-v1-a.default~default.svc.cluster.local"),
            Some("reviews-v1-a.default")
        );
        assert_eq!(pod("gateway-proxy-1"), None);
    }
}
