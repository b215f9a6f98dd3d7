//! Gloo's objects → proxies, as Gloo's own translation does it (solo-io/gloo, projects/gloo and projects/gateway).
//! What comes in: a world and the name of a cluster in it. What goes out: every gateway proxy of that cluster.
//! May not know: our own documents; it reads only what is stored.
//!
//! An object that is wrong costs itself alone: it is noted as a finding, and what does not depend on it is served.
//! The result is a function of the objects and nothing else; there is no memory of better days.

mod edition;
mod endpoints;
mod failover;
mod gateway;
mod health;
mod options;
mod origin;
mod route;
mod secret;
mod upstream;
mod virtual_service;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::manifest::{Gvk, ObjectKey, World};
use crate::model::fleet::Edition;
use crate::model::name::ClusterName;
use crate::routing::read::{At, Log};
use crate::routing::{Proxy, Upstream, outside, slices};

pub use edition::edition;

/// Group of Gateway and VirtualService.
const GATEWAY_GROUP: &str = "gateway.solo.io";
/// Group of Upstream.
const GLOO_GROUP: &str = "gloo.solo.io";
/// The proxy a Gateway belongs to when it names none.
pub const DEFAULT_PROXY: &str = "gateway-proxy";
/// Where Gloo is installed when nothing says otherwise.
pub const DEFAULT_NAMESPACE: &str = "gloo-system";

/// What every reader needs.
struct Scene<'a> {
    world: &'a World,
    cluster: &'a ClusterName,
    /// Unknown is served as Enterprise, so that a partly readable cluster is not called broken.
    edition: Option<Edition>,
    /// Outside addresses of all clusters.
    gateways: outside::Outside<'a>,
    /// EndpointSlices by namespace and Service.
    slices: slices::Slices<'a>,
    log: Log,
}

/// The cluster name Envoy knows an Upstream by; also the SNI a failover gateway routes by.
pub fn cluster_name(upstream: &str, namespace: &str) -> String {
    format!("{upstream}_{namespace}")
}

/// Every gateway proxy of a cluster: one for each name its Gateways use.
pub fn proxies(world: &World, cluster: &ClusterName) -> Vec<Proxy> {
    let scene = Scene {
        world,
        cluster,
        edition: edition(world, cluster),
        gateways: outside::outside(world),
        slices: slices::slices(world, cluster),
        log: Log::default(),
    };
    let upstreams: BTreeMap<String, Upstream> =
        scene.all(GLOO_GROUP, "Upstream").map(|at| upstream::read(&scene, &at)).map(|u| (u.name.clone(), u)).collect();
    let names: BTreeSet<(String, String)> =
        scene.all(GATEWAY_GROUP, "Gateway").flat_map(|at| gateway::proxies_of(&at)).collect();
    let listeners: Vec<_> = names.iter().map(|name| gateway::listeners(&scene, name, &upstreams)).collect();
    let findings = scene.log.into_findings();
    let proxy = |((namespace, name), listeners): ((String, String), Vec<_>)| Proxy {
        name,
        namespace,
        listeners,
        upstreams: upstreams.clone(),
        tags: BTreeMap::new(),
        findings: findings.clone(),
    };
    names.into_iter().zip(listeners).map(proxy).collect()
}

impl<'a> Scene<'a> {
    /// One object of this cluster; all kinds that are read are of version v1.
    fn get(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
        self.on(self.cluster, group, kind, namespace, name)
    }

    /// One object of any cluster.
    fn on(&self, cluster: &ClusterName, group: &str, kind: &str, namespace: &str, name: &str) -> Option<&'a Value> {
        let gvk = Gvk { group: group.into(), version: "v1".into(), kind: kind.into() };
        let key = ObjectKey { cluster: cluster.clone(), gvk, namespace: Some(namespace.into()), name: name.into() };
        self.world.clusters.get(cluster)?.by_key.get(&key)
    }

    /// All objects of a kind on this cluster.
    fn all(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = At<'a>> {
        let objects = self.world.all(self.cluster.as_str(), group, kind);
        objects.map(|(key, body)| At::root(key, body, &self.log))
    }
}
