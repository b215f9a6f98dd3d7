//! Istio's objects → proxies, as istiod's own translation does it (istio/istio, pilot/pkg/networking/core).
//! What comes in: a world and the name of a cluster in it. What goes out: every sidecar and gateway of that cluster.
//! May not know: our own documents, who mints certificates; it reads only what is stored.
//!
//! A sidecar without iptables is an HTTP proxy for its application (`proxyHttpPort` of the mesh's settings), which is
//! Istio's own feature; other outbound traffic is not routed. What is not read is a finding and never silently left out;
//! a wrong object costs itself alone. The result is a function of the objects and nothing else.

mod authorization_policy;
mod client;
mod cluster;
mod destination_rule;
mod envoy_filter;
mod gateway;
pub mod host;
mod inbound;
mod locality;
mod mesh_config;
mod network;
mod origin;
mod outlier;
mod peer_authentication;
mod place;
mod remote;
mod retry;
mod route;
mod scene;
mod service;
mod topology;
mod unready;
mod virtual_host;
mod workload;

use std::collections::BTreeMap;

use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::{Access, Bind, HttpChain, Listener, ListenerKind, Proxy, Side};
use client::Client;
use destination_rule::Rules;
use scene::Scene;
use service::Service;
use virtual_host::Virtual;

pub use mesh_config::{KEY as MESH_KEY, MeshConfig, NAME as MESH_CONFIG, ROOT_NAMESPACE};
pub use place::Place;
pub use scene::KINDS;
pub use topology::NETWORK;
pub use workload::{INNER_ADDRESS, Kind, PROXY_CONTAINER, Workload, workloads};

/// The objects of one cluster, read once for all its proxies.
pub struct Mesh<'a> {
    scene: Scene<'a>,
    services: Vec<Service<'a>>,
    rules: Rules<'a>,
    virtuals: Vec<Virtual<'a>>,
}

impl<'a> Mesh<'a> {
    /// Reads a cluster, and those whose kubeconfigs it has as remote secrets. All others only tell what stands behind
    /// their gateways.
    pub fn read(world: &'a World, cluster: &'a ClusterName) -> Self {
        let scene = Scene::new(world, cluster);
        let services = service::read(&scene);
        let (rules, virtuals) = (Rules::read(&scene), virtual_host::virtuals(&scene));
        Mesh { scene, services, rules, virtuals }
    }

    /// The mesh's own settings.
    pub fn config(&self) -> &MeshConfig {
        &self.scene.config
    }

    /// What a proxy does.
    pub fn proxy(&self, workload: &Workload) -> Proxy {
        let client = Client::new(&self.scene, &self.services, &self.rules, workload);
        let (listeners, upstreams) = match workload.kind {
            Kind::Sidecar => self.sidecar(&client),
            Kind::Router => self.router(&client),
        };
        let (name, version) = workload.canonical();
        let mut findings = self.scene.log.findings();
        findings.extend(client.log.findings());
        findings.sort_by(|a, b| a.object.cmp(&b.object));
        findings.dedup();
        Proxy {
            name: workload.name.clone(),
            namespace: workload.namespace.clone(),
            listeners,
            upstreams,
            tags: [("workload".to_string(), name), ("version".to_string(), version)].into(),
            findings,
        }
    }

    fn sidecar(&self, client: &Client) -> (Vec<Listener>, BTreeMap<String, crate::routing::Upstream>) {
        let mut upstreams = client.upstreams(&|_| false);
        envoy_filter::apply(client, &mut upstreams);
        let (mut listeners, inbound) = inbound::read(client);
        upstreams.extend(inbound);
        if let Some(port) = self.scene.config.http_proxy_port {
            let virtual_hosts = virtual_host::outbound(client, &self.virtuals);
            let chain = HttpChain { name: "http_proxy".into(), tls: None, virtual_hosts };
            let object = self.scene.config.object.clone().unwrap_or_else(|| client.workload.object.clone());
            listeners.push(Listener {
                name: format!("{}_{port}", client.workload.inner),
                object,
                bind: Bind { address: client.workload.inner.clone(), port },
                side: Side::Outbound,
                access: Access::default(),
                kind: ListenerKind::Http(vec![chain]),
            });
        }
        listeners.sort_by_key(|l| l.bind.port);
        (listeners, upstreams)
    }

    fn router(&self, client: &Client) -> (Vec<Listener>, BTreeMap<String, crate::routing::Upstream>) {
        let servers = gateway::servers(client);
        let mut upstreams = client.upstreams(&|service| gateway::passes(&servers, service));
        envoy_filter::apply(client, &mut upstreams);
        (gateway::listeners(client, &servers, &self.virtuals), upstreams)
    }
}

/// What one proxy of a cluster does. For several proxies of a cluster, read the [`Mesh`] once.
pub fn proxy(world: &World, cluster: &ClusterName, workload: &Workload) -> Proxy {
    Mesh::read(world, cluster).proxy(workload)
}
