//! What stands behind a failover address: the cluster whose gateway listens there, and the Service its SNI names.
//! For people and status; traffic does not depend on it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{GLOO_GROUP, Scene};
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::Origin;

/// Which cluster is reached at an address and port, by its Services' load balancers or its nodes and NodePorts.
pub type Gateways = BTreeMap<(String, u16), ClusterName>;

/// The outside addresses of all clusters of a world. Of two clusters with one address the first by name has it.
pub fn gateways(world: &World) -> Gateways {
    let mut found = Gateways::new();
    for cluster in world.clusters.keys() {
        let nodes: Vec<&str> = world
            .all(cluster.as_str(), "", "Node")
            .flat_map(|(_, n)| addresses(n, "/status/addresses", &["address"]))
            .collect();
        for (_, service) in world.all(cluster.as_str(), "", "Service") {
            let balanced = addresses(service, "/status/loadBalancer/ingress", &["ip", "hostname"]);
            let mut at = |addresses: &[&str], field: &str| {
                for port in ports(service, field) {
                    for address in addresses {
                        found.entry((address.to_string(), port)).or_insert_with(|| cluster.clone());
                    }
                }
            };
            at(&balanced, "port");
            at(&nodes, "nodePort");
        }
    }
    found
}

/// The origin of `address:port` asked for by `sni`, if some cluster's objects tell.
pub fn behind(scene: &Scene, address: &str, port: u16, sni: &str) -> Option<Origin> {
    let cluster = scene.gateways.get(&(address.to_string(), port))?;
    let (name, namespace) = sni.rsplit_once('_')?;
    let kube = scene.on(cluster, GLOO_GROUP, "Upstream", namespace, name)?.pointer("/spec/kube")?;
    let text = |field: &str| kube.get(field).and_then(Value::as_str).map(str::to_string);
    Some(Origin {
        cluster: cluster.clone(),
        namespace: text("serviceNamespace")?,
        service: text("serviceName")?,
        port: kube.get("servicePort").and_then(Value::as_u64).and_then(|p| u16::try_from(p).ok())?,
        pod: None,
    })
}

fn addresses<'a>(object: &'a Value, list: &str, fields: &[&str]) -> Vec<&'a str> {
    let items = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
    items.flat_map(|i| fields.iter().filter_map(|f| i.get(f).and_then(Value::as_str)).collect::<Vec<_>>()).collect()
}

fn ports(service: &Value, field: &str) -> Vec<u16> {
    let items = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|p| p.get(field)?.as_u64().and_then(|p| u16::try_from(p).ok())).collect()
}
