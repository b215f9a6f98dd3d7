//! The failover's own host: a ServiceEntry without endpoints, whose cluster an EnvoyFilter replaces by an aggregate of
//! the members in order. (Service Mesh Hub, `mesh/failoverservice`; Envoy's v3 type instead of the TypedStruct, outbound
//! contexts only, circuit breakers that let every retry through.)

use std::collections::BTreeSet;

use super::intent::{Backend, Chain, Intent, Manner, Origin};
use super::{For, Job, Objects, detection, vip};
use crate::manifest::Wave;
use crate::model::fleet::{Cluster, Istio};
use crate::model::mesh::{self, Protocol};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::envoy_filter::{self, Context};
use crate::resource::istio::service_entry::{MESH_INTERNAL, Port, Resolution, ServiceEntry};

/// The first Istio whose proxies survive an aggregate cluster (istio/istio#28620).
const SURVIVES: (u32, u32, u32) = (1, 8, 3);

/// Writes every chain on every cluster that sees it.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let mut hosts: BTreeSet<(&ClusterName, &str)> = BTreeSet::new();
    for chain in &intent.chains {
        for client in &chain.clients {
            let Some((cluster, istio)) = job.cluster(client) else { continue };
            if !hosts.insert((client, &chain.host)) {
                let what = format!("the host `{}` is wanted by two failovers on `{client}`", chain.host);
                let hint = "a host means one thing in a mesh: give one of them another";
                problems.push(chain.origin.about(Problem::error("FCT0339", what).hint(hint), "/spec"));
                continue;
            }
            problems.extend(too_old(job, cluster));
            let host = Host {
                name: &chain.name,
                host: &chain.host,
                port: chain.port,
                protocol: chain.protocol,
                members: chain.backends.iter().map(|b| member(job, client, b)).collect(),
                contexts: match chain.gateways {
                    true => &[Context::SidecarOutbound, Context::Gateway],
                    false => &[Context::SidecarOutbound],
                },
                manner: chain.manner,
            };
            put(&host, (cluster, istio), &chain.origin, objects);
        }
    }
    problems.extend(collisions(intent));
}

/// A host without endpoints, in whose place an aggregate of clusters stands.
pub struct Host<'a> {
    /// Name of the objects.
    pub name: &'a str,
    /// The host.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// Envoy's names of the clusters, the preferred first.
    pub members: Vec<String>,
    /// Which proxies see it.
    pub contexts: &'a [Context],
    /// How detection is written.
    pub manner: Manner,
}

/// Writes the entry that makes the host known, and the filter that replaces its cluster.
pub fn put(host: &Host<'_>, (cluster, istio): (&Cluster, &Istio), origin: &Origin, objects: &mut Objects) {
    let meta = || Meta::new(host.name, istio.namespace.as_str());
    let entry = ServiceEntry {
        addresses: vec![vip::of(host.host).to_string()],
        endpoints: Vec::new(),
        export_to: Vec::new(),
        hosts: vec![host.host.to_string()],
        location: MESH_INTERNAL,
        ports: vec![Port {
            name: host.protocol.port_name(),
            number: host.port,
            protocol: host.protocol.as_str(),
            target_port: None,
        }],
        resolution: Resolution::Dns,
        workload_selector: None,
    };
    objects.put(cluster, Wave::Failover, meta(), For::One(&origin.owner), entry);
    let panic_below = (host.manner == Manner::Advised).then_some(detection::NOBODY_LEFT);
    let name = mesh::outbound(host.port, host.host);
    let filter = envoy_filter::aggregate(&name, &host.members, host.contexts, panic_below);
    objects.put(cluster, Wave::Failover, meta(), For::One(&origin.owner), filter);
}

/// What a client's proxies call a backend's cluster.
fn member(job: &Job<'_>, client: &ClusterName, backend: &Backend) -> String {
    mesh::outbound(backend.service.port, &host(job, client, backend))
}

/// The host of a backend, seen from a cluster: its own name at home, the federated one elsewhere.
pub fn host(job: &Job<'_>, client: &ClusterName, backend: &Backend) -> String {
    let (namespace, name) = (backend.service.namespace.as_str(), backend.service.name.as_str());
    if backend.cluster != *client {
        return mesh::federated_host(&backend.cluster, namespace, name);
    }
    let domain = job.cluster(client).map_or(mesh::CLUSTER_DOMAIN, |(_, i)| i.cluster_domain.as_str());
    mesh::local_host(namespace, name, domain)
}

fn too_old(job: &Job<'_>, cluster: &Cluster) -> Option<Problem> {
    let (major, minor, patch) = SURVIVES;
    let version = &cluster.istio.as_ref()?.version;
    if version.at_least(major, minor, patch) {
        return None;
    }
    let what = format!(
        "Istio {version} on `{}`: sidecars before {major}.{minor}.{patch} crash on the v3 form of an aggregate cluster, or do \
         not know it",
        cluster.name
    );
    let index = job.fleet.clusters.get_index_of(&cluster.name)?;
    let problem = Problem::error("FCT0340", what).hint(format!("upgrade Istio to {major}.{minor}.{patch} or later"));
    Some(problem.about_fleet(format!("/spec/clusters/{index}/istio/version")))
}

/// Hosts of failovers and of federated Services that would share an address.
fn collisions(intent: &Intent) -> Vec<Problem> {
    let mut hosts: BTreeSet<String> = intent.chains.iter().map(|c| c.host.clone()).collect();
    for Backend { cluster, service, .. } in intent.chains.iter().flat_map(|c: &Chain| &c.backends) {
        hosts.insert(mesh::federated_host(cluster, service.namespace.as_str(), service.name.as_str()));
    }
    hosts.extend(intent.joins.iter().flat_map(|j| j.fallbacks()).map(|v| v.host));
    let found = vip::collisions(hosts.iter().map(String::as_str));
    let problem = |(host, other): (&str, &str)| {
        let what = format!("`{host}` and `{other}` would both have the virtual address {}", vip::of(host));
        Problem::error("FCT0341", what).hint("give one of them another name; of a failover, mesh.host is enough")
    };
    found.into_iter().map(problem).collect()
}
