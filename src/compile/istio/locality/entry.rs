//! The other clusters as endpoints of a Service: a ServiceEntry with the Service's own host, in its own namespace, where
//! istiod joins both (`EndpointIndex` is keyed by host and namespace). Where the cluster has no such Service, one without
//! Pods, so that the name resolves.

use std::collections::BTreeMap;

use super::super::host::TLS_MODE;
use super::super::intent::{Join, Share};
use super::super::{For, Job, Objects};
use super::ports::Ports;
use super::version;
use super::view::{View, key};
use super::way::Way;
use crate::compile::facts;
use crate::manifest::Wave;
use crate::model::fleet::Cluster;
use crate::model::mesh::{self, Protocol};
use crate::model::problem::Problem;
use crate::resource::Meta;
use crate::resource::istio::remote_gateway::{NETWORK, RemoteGateway};
use crate::resource::istio::service_entry::{Endpoint, MESH_INTERNAL, Port, Resolution, ServiceEntry};
use crate::resource::service::{self, Service, ServiceType};

/// What a label says that is only there to be there.
const CARRIED: &str = "true";

/// Writes the entry of a view, and the Service where there is none.
pub fn write(
    job: &Job<'_>,
    join: &Join,
    view: &View<'_>,
    ports: &Ports,
    way: &Way,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let Some((near, istio)) = job.cluster(view.caller) else { return };
    let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
    let meta = || Meta::new(name, namespace);
    if let Some(endpoints) = endpoints(job, join, view, ports, way, problems) {
        let entry = ServiceEntry {
            addresses: Vec::new(),
            endpoints,
            export_to: Vec::new(),
            hosts: vec![mesh::local_host(namespace, name, &istio.cluster_domain)],
            location: MESH_INTERNAL,
            ports: ports.shared.iter().map(port).collect(),
            resolution: Resolution::Static,
            workload_selector: None,
        };
        objects.put(near, Wave::Failover, meta(), For::One(&join.origin.owner), entry);
    }
    if let Way::Names(gateways) = way {
        for (cluster, address) in gateways {
            let Some((far, _)) = job.cluster(cluster) else { continue };
            let meta = Meta::new(format!("failctl-{cluster}"), istio.namespace.as_str());
            let meta = meta.labels([(NETWORK, far.network())]);
            objects.put(near, Wave::Upstreams, meta, For::All(&join.origin.owner), RemoteGateway::at(address));
        }
    }
    if view.own.is_none() {
        objects.put(near, Wave::Upstreams, meta(), For::One(&join.origin.owner), stub(ports));
    }
}

/// The gateways of the other clusters as endpoints, level by level; nothing where istiod finds them itself.
fn endpoints(
    job: &Job<'_>,
    join: &Join,
    view: &View<'_>,
    ports: &Ports,
    way: &Way,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Endpoint>> {
    let gateways = match way {
        Way::Addresses(gateways) | Way::Names(gateways) => gateways,
        Way::Discovered => return None,
    };
    let mut all = Vec::new();
    for (i, level) in view.others.iter().enumerate() {
        let weights = weights(job, join, level, problems);
        for (share, weight) in level.iter().zip(weights) {
            let Some((far, _)) = job.cluster(&share.backend.cluster) else { continue };
            let Some(gateway) = gateways.get(&far.name) else { continue };
            let named = matches!(way, Way::Names(_));
            let versions = match version::labels_of(job, join, &share.backend) {
                Ok(versions) => versions,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            // One for each version: subsets are found by labels, and the gateway stands for all of them.
            for mut labels in versions {
                labels.insert(TLS_MODE.0.to_string(), TLS_MODE.1.to_string());
                if !named {
                    labels.insert(key(i + 1), CARRIED.to_string());
                }
                all.push(Endpoint {
                    address: (!named).then(|| gateway.host.clone()),
                    labels,
                    locality: locality(far),
                    network: Some(far.network().to_string()),
                    ports: ports.shared.iter().map(|p| (p.name.clone(), gateway.port)).collect(),
                    weight,
                });
            }
        }
    }
    Some(all)
}

/// The weights of clusters that share a level: the document's, else how many Pods each has ready, since a gateway stands
/// for all of them. One alone needs none.
fn weights(job: &Job<'_>, join: &Join, level: &[&Share], problems: &mut Vec<Problem>) -> Vec<Option<u32>> {
    if level.len() < 2 || level.iter().any(|s| s.weight.is_some()) {
        return level.iter().map(|s| s.weight.filter(|_| level.len() > 1)).collect();
    }
    let ready: Vec<Option<u32>> = level.iter().map(|s| job.places.ready(&s.backend)).collect();
    if let Some((share, _)) = level.iter().zip(&ready).find(|(_, r)| r.is_none()) {
        if !job.made_up(&share.backend.cluster) {
            let what = format!(
                "how many Pods of {}/{} are ready on `{}` is not known, so the clusters of its group share alike",
                join.service.namespace, join.service.name, share.backend.cluster
            );
            let hint = "write weights in the order, or give the Deployments";
            problems.push(join.origin.about(Problem::note("FCT0393", what).hint(hint), &share.backend.pointer));
        }
        return vec![None; level.len()];
    }
    // A cluster without Pods keeps its place for when they come back.
    ready.into_iter().map(|r| r.map(|n| n.max(1))).collect()
}

fn locality(cluster: &Cluster) -> Option<String> {
    let region = cluster.region.clone()?;
    Some(cluster.zone.iter().fold(region, |all, zone| format!("{all}/{zone}")))
}

fn port(port: &facts::Port) -> Port {
    let protocol = Protocol::spoken(&port.speaks).as_str();
    Port { name: port.name.clone(), number: port.number, protocol, target_port: None }
}

/// A Service that selects no Pods: its endpoints are the other clusters'.
fn stub(ports: &Ports) -> Service {
    let port = |p: &facts::Port| service::Port {
        app_protocol: (p.name.split('-').next() != Some(p.speaks.as_str())).then(|| p.speaks.clone()),
        name: p.name.clone(),
        node_port: None,
        port: p.number,
        protocol: "TCP",
        target_port: p.number,
    };
    let ports = ports.shared.iter().map(port).collect();
    Service { ports, selector: BTreeMap::new(), service_type: ServiceType::ClusterIp }
}
