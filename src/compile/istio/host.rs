//! The hosts behind a failover. At home: a DestinationRule that notices loss. Elsewhere: the federated host, which leads
//! through the east-west gateway of its cluster, with mutual TLS that names the remote identity. On the owning cluster:
//! what lets the gateway pass that TLS through to the Pods.
//! (Service Mesh Hub, `federation_translator.go` since v1.0.7: no tcp_cluster_rewrite; outlier detection on both hosts as
//! since v0.9.2; Pods as endpoints as since v1.1.)

use std::collections::{BTreeMap, BTreeSet};

use super::chain::host;
use super::intent::{Backend, Chain, Intent, Watch};
use super::{For, Job, Objects, detection, vip};
use crate::manifest::Wave;
use crate::model::duration::Millis;
use crate::model::mesh::{self, Protocol};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::destination_rule::{
    ConnectionPool, DestinationRule, OutlierDetection, Tcp, Tls, TrafficPolicy,
};
use crate::resource::istio::gateway::{self, Gateway, Server};
use crate::resource::istio::service_entry::{
    Endpoint, MESH_INTERNAL, Port, Resolution, ServiceEntry, WorkloadSelector,
};

/// Istio's label for endpoints that take mutual TLS.
pub const TLS_MODE: (&str, &str) = ("security.istio.io/tlsMode", "istio");

/// Writes the hosts of every chain, and the watches.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let mut owned: BTreeSet<(&ClusterName, String)> = BTreeSet::new();
    for chain in &intent.chains {
        for backend in &chain.backends {
            for client in &chain.clients {
                if *client != backend.cluster {
                    remote(job, chain, backend, client, objects, problems);
                }
            }
            let elsewhere = chain.clients.iter().any(|c| *c != backend.cluster);
            let (namespace, name) = (backend.service.namespace.as_str(), backend.service.name.as_str());
            let host = mesh::federated_host(&backend.cluster, namespace, name);
            let key = format!("{host}:{}", backend.service.port);
            if elsewhere && owned.insert((&backend.cluster, key)) {
                owning(job, chain, backend, &host, objects, problems);
            }
        }
    }
    for watch in &intent.watches {
        local(job, watch, objects);
    }
}

/// How a host is talked to: its loss is noticed, its servers have one of these identities.
pub fn policy(outlier: OutlierDetection, connect: Option<Millis>, names: Vec<String>) -> TrafficPolicy {
    TrafficPolicy {
        connection_pool: connect.map(|t| ConnectionPool { tcp: Tcp { connect_timeout: t.into() } }),
        load_balancer: None,
        outlier_detection: Some(outlier),
        tls: Tls::istio_mutual(names),
    }
}

/// The Service in its own cluster. Name and namespace are the Service's, as Service Mesh Hub names it.
fn local(job: &Job<'_>, watch: &Watch, objects: &mut Objects) {
    let Some((cluster, istio)) = job.cluster(&watch.cluster) else { return };
    let rule = DestinationRule {
        host: mesh::local_host(&watch.namespace, &watch.service, &istio.cluster_domain),
        subsets: Vec::new(),
        traffic_policy: Some(policy(detection::near(&watch.outlier, watch.manner), watch.connect_timeout, Vec::new())),
    };
    let meta = Meta::new(watch.service.clone(), watch.namespace.clone());
    objects.put(cluster, Wave::Upstreams, meta, For::One(&watch.origin.owner), rule);
}

/// The federated host on a cluster that calls it.
fn remote(
    job: &Job<'_>,
    chain: &Chain,
    backend: &Backend,
    client: &ClusterName,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let (Some((near, istio)), Some((far, _))) = (job.cluster(client), job.cluster(&backend.cluster)) else { return };
    let host = host(job, client, backend);
    let meta = || Meta::new(host.clone(), istio.namespace.as_str());
    let owner = For::All(&chain.origin.owner);
    let name = job.places.port_name(backend, chain.protocol);
    match job.places.gateway(&chain.origin, backend, far) {
        Err(problem) => problems.push(problem),
        Ok(address) => {
            let endpoint = Endpoint {
                address: Some(address.host),
                labels: BTreeMap::from([(TLS_MODE.0.to_string(), TLS_MODE.1.to_string())]),
                locality: None,
                network: None,
                ports: BTreeMap::from([(name.clone(), address.port)]),
                weight: None,
            };
            let entry = ServiceEntry {
                addresses: vec![vip::of(&host).to_string()],
                endpoints: vec![endpoint],
                export_to: Vec::new(),
                hosts: vec![host.clone()],
                location: MESH_INTERNAL,
                ports: vec![port(backend, name, chain.protocol, None)],
                resolution: Resolution::Static,
                workload_selector: None,
            };
            objects.put(near, Wave::Upstreams, meta(), owner, entry);
        }
    }
    match job.places.identities(&chain.origin, backend) {
        Err(problem) => problems.push(problem),
        Ok(names) => {
            let outlier = detection::far(&backend.outlier, backend.manner);
            let traffic_policy = Some(policy(outlier, backend.connect_timeout, names));
            let rule = DestinationRule { host: host.clone(), subsets: Vec::new(), traffic_policy };
            objects.put(near, Wave::Upstreams, meta(), owner, rule);
        }
    }
}

/// The federated host on the cluster whose Service it is: a server that passes its SNI through, and the Pods as
/// endpoints for the gateway alone. Pods are selected by label, so it stays valid without any, and no address grows old.
fn owning(
    job: &Job<'_>,
    chain: &Chain,
    backend: &Backend,
    host: &str,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let Some((cluster, istio)) = job.cluster(&backend.cluster) else { return };
    let pods = match job.places.pods(&chain.origin, backend) {
        Ok(pods) => pods,
        Err(problem) => return problems.push(problem),
    };
    let name = job.places.port_name(backend, chain.protocol);
    let entry = ServiceEntry {
        addresses: vec![vip::of(host).to_string()],
        endpoints: Vec::new(),
        export_to: vec![istio.namespace.to_string()],
        hosts: vec![host.to_string()],
        location: MESH_INTERNAL,
        ports: vec![port(backend, name, chain.protocol, pods.target)],
        resolution: Resolution::Static,
        workload_selector: Some(WorkloadSelector { labels: pods.labels }),
    };
    let meta = Meta::new(host, backend.service.namespace.as_str());
    objects.put(cluster, Wave::Gateways, meta, For::All(&chain.origin.owner), entry);
    let gateway = passthrough(vec![host.to_string()]);
    let meta = Meta::new(mesh::gateway_name(host), istio.namespace.as_str());
    objects.put(cluster, Wave::Gateways, meta, For::All(&chain.origin.owner), gateway);
}

/// A server of the east-west gateway that passes mutual TLS for these hosts through, by SNI.
pub fn passthrough(hosts: Vec<String>) -> Gateway {
    let server = Server {
        hosts,
        port: gateway::Port { name: "tls".into(), number: mesh::PASSTHROUGH_PORT, protocol: "TLS" },
        tls: gateway::Tls { mode: "AUTO_PASSTHROUGH" },
    };
    let selector = BTreeMap::from([(mesh::EAST_WEST.0.to_string(), mesh::EAST_WEST.1.to_string())]);
    Gateway { selector, servers: vec![server] }
}

fn port(backend: &Backend, name: String, protocol: Protocol, target_port: Option<u16>) -> Port {
    Port { name, number: backend.service.port, protocol: protocol.as_str(), target_port }
}
