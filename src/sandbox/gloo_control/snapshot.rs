//! What is served: the proxies of a world, and their configuration pod by pod.
//! What comes in: proxies, addresses of names. What goes out: answers by kind and name, each with its version.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::envoy::config::{self, Names, Place, Resources};
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::{Finding, Proxy, gloo};

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

/// The configuration of one pod.
#[derive(Default)]
pub struct Made {
    /// CDS and LDS: everything in one answer.
    whole: BTreeMap<Kind, Answer>,
    /// RDS and EDS: one answer for each name.
    named: BTreeMap<(Kind, String), Answer>,
}

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// LDS.
    Listeners,
    /// RDS.
    Routes,
    /// CDS.
    Clusters,
    /// EDS.
    Endpoints,
}

impl Kind {
    /// By the last part of the request's path.
    pub fn of_path(path: &str) -> Option<Self> {
        match path.strip_prefix("/v3/discovery:")? {
            "listeners" => Some(Kind::Listeners),
            "routes" => Some(Kind::Routes),
            "clusters" => Some(Kind::Clusters),
            "endpoints" => Some(Kind::Endpoints),
            _ => None,
        }
    }

    fn type_url(self) -> &'static str {
        match self {
            Kind::Listeners => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Kind::Routes => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            Kind::Clusters => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Kind::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        }
    }
}

/// A DiscoveryResponse and the version in it: a digest of what it carries.
#[derive(Clone)]
pub struct Answer {
    /// Version.
    pub version: String,
    /// The body.
    pub body: Bytes,
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

    /// When it was made.
    pub fn made_at(&self) -> Instant {
        self.made_at
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
        Some(made.entry(key).or_insert_with(|| Arc::new(Made::of(proxy, bind, &self.names))).clone())
    }
}

impl Made {
    fn of(proxy: &Proxy, bind: IpAddr, names: &Names) -> Self {
        let source = config::rest_source();
        let Resources { listeners, routes, clusters, endpoints } =
            config::resources(proxy, &Place { bind, source: &source, names });
        let whole = |kind: Kind, all: BTreeMap<String, Value>| (kind, answer(kind, all.into_values().collect()));
        let named = |kind: Kind, all: BTreeMap<String, Value>| {
            all.into_iter().map(move |(name, one)| ((kind, name), answer(kind, vec![one])))
        };
        Made {
            whole: [whole(Kind::Listeners, listeners), whole(Kind::Clusters, clusters)].into(),
            named: named(Kind::Routes, routes).chain(named(Kind::Endpoints, endpoints)).collect(),
        }
    }

    /// The answer to a subscription.
    pub fn answer(&self, kind: Kind, names: &[String]) -> Option<&Answer> {
        match kind {
            Kind::Listeners | Kind::Clusters => self.whole.get(&kind),
            Kind::Routes | Kind::Endpoints => self.named.get(&(kind, names.first()?.clone())),
        }
    }
}

fn answer(kind: Kind, resources: Vec<Value>) -> Answer {
    let resources = Value::Array(resources);
    let digest = Sha256::digest(resources.to_string());
    let version = hex::encode(&digest[..8]);
    let body = json!({ "version_info": version, "type_url": kind.type_url(), "resources": resources });
    Answer { version, body: Bytes::from(body.to_string()) }
}
