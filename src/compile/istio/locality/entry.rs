//! The other clusters as endpoints of a Service: a ServiceEntry with the Service's own host, in its own namespace, where
//! istiod joins both (`EndpointIndex` is keyed by host and namespace). Where the cluster has no such Service, one without
//! Pods, so that the name resolves.

use std::collections::BTreeMap;

use super::super::host::TLS_MODE;
use super::super::intent::{Join, Share};
use super::super::{For, Job, Objects};
use super::ports::Ports;
use super::view::{View, key};
use crate::compile::facts;
use crate::manifest::Wave;
use crate::model::fleet::Cluster;
use crate::model::mesh::{self, Protocol};
use crate::model::problem::Problem;
use crate::resource::Meta;
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
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) {
    let Some((near, istio)) = job.cluster(view.caller) else { return };
    let (namespace, name) = (join.service.namespace.as_str(), join.service.name.as_str());
    let meta = || Meta::new(name, namespace);
    let mut endpoints = Vec::new();
    for (i, level) in view.others.iter().enumerate() {
        for share in level {
            match endpoint(job, join, share, i + 1, ports) {
                Ok(endpoint) => endpoints.extend(endpoint),
                Err(problem) => problems.push(problem),
            }
        }
    }
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
    if view.own.is_none() {
        objects.put(near, Wave::Upstreams, meta(), For::One(&join.origin.owner), stub(ports));
    }
}

/// The gateway of a cluster as an endpoint of a level.
fn endpoint(
    job: &Job<'_>,
    join: &Join,
    share: &Share,
    level: usize,
    ports: &Ports,
) -> Result<Option<Endpoint>, Problem> {
    let Some((far, _)) = job.cluster(&share.backend.cluster) else { return Ok(None) };
    let address = job.places.gateway(&join.origin, &share.backend, far)?;
    let labels = [(TLS_MODE.0.to_string(), TLS_MODE.1.to_string()), (key(level), CARRIED.to_string())];
    Ok(Some(Endpoint {
        address: Some(address.host),
        labels: BTreeMap::from(labels),
        locality: locality(far),
        network: Some(far.network().to_string()),
        ports: ports.shared.iter().map(|p| (p.name.clone(), address.port)).collect(),
        weight: share.weight,
    }))
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
