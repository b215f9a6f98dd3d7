//! What is served: the proxies of a world, and their configuration pod by pod.
//! What comes in: proxies, addresses of names. What goes out: answers by kind and name, each with its version.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::envoy::config::{self, Names, Place};
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::{Finding, Proxy, gloo};
use crate::sandbox::xds::{Made, Node, Served};

/// The part a node plays, as Gloo writes it: `NAMESPACE~PROXY`.
pub fn role(namespace: &str, proxy: &str) -> String {
    format!("{namespace}~{proxy}")
}

/// One state of the world, ready to be served.
pub struct Snapshot {
    /// None until the world has been seen once.
    proxies: Option<BTreeMap<String, Proxy>>,
    names: Names,
    made_at: Instant,
    /// Configurations made so far; pods of one proxy differ only by their address.
    made: Mutex<BTreeMap<(String, IpAddr), Arc<Made>>>,
}

impl Default for Snapshot {
    /// Nothing has been seen yet; nobody is answered from this.
    fn default() -> Self {
        Snapshot { proxies: None, names: Names::new(), made_at: Instant::now(), made: Mutex::default() }
    }
}

impl Snapshot {
    /// The proxies of a cluster of a world, with the addresses of the names among their endpoints.
    pub fn of(world: &World, cluster: &ClusterName, names: Names) -> Self {
        Snapshot::from_proxies(gloo::proxies(world, cluster), names)
    }

    /// These proxies.
    pub fn from_proxies(proxies: Vec<Proxy>, names: Names) -> Self {
        let proxies = proxies.into_iter().map(|p| (role(&p.namespace, &p.name), p)).collect();
        Snapshot { proxies: Some(proxies), names, ..Snapshot::default() }
    }

    /// The same proxies with other addresses.
    pub fn with_names(&self, names: Names) -> Self {
        Snapshot { proxies: self.proxies.clone(), names, ..Snapshot::default() }
    }

    /// All proxies.
    pub fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.proxies.iter().flat_map(BTreeMap::values)
    }

    /// What is wrong with the objects; every proxy knows all of it.
    pub fn findings(&self) -> &[Finding] {
        self.proxies().next().map(|p| p.findings.as_slice()).unwrap_or_default()
    }

    /// The configuration of the pod at `bind` that plays `role`; an empty one when no Gateway names that proxy.
    /// Nothing before the world has been seen.
    pub fn made(&self, role: &str, bind: IpAddr) -> Option<Arc<Made>> {
        let nothing = Proxy::default();
        let proxy = self.proxies.as_ref()?.get(role).unwrap_or(&nothing);
        // A poisoned lock only means that another request panicked while making one; the map is whole.
        let mut made = self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let key = (role.to_string(), bind);
        Some(made.entry(key).or_insert_with(|| Arc::new(make(proxy, bind, &self.names))).clone())
    }
}

impl Served for Snapshot {
    fn knows(node: &Node) -> Result<(), &'static str> {
        node.metadata.pod_ip.map(|_| ()).ok_or("node.metadata.pod_ip must be the address of the pod")
    }

    fn made(&self, node: &Node) -> Option<Arc<Made>> {
        self.made(&node.metadata.role, node.metadata.pod_ip?)
    }

    fn made_at(&self) -> Instant {
        self.made_at
    }
}

fn make(proxy: &Proxy, bind: IpAddr, names: &Names) -> Made {
    let source = config::rest_source();
    Made::new(config::resources(proxy, &Place { bind, source: &source, names }), BTreeMap::new())
}
