//! Outside addresses: which Service of which cluster is reached at an address and port.
//! For people and status; traffic does not depend on it. What comes in: a world. What goes out: who listens where.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::World;
use crate::model::name::ClusterName;

/// Who listens at an outside address and port.
pub type Outside<'a> = BTreeMap<(String, u16), Listening<'a>>;

/// One Service that is reached from outside.
#[derive(Clone, Copy)]
pub struct Listening<'a> {
    /// Its cluster.
    pub cluster: &'a ClusterName,
    /// The Service.
    pub service: &'a Value,
    /// The port of the Service.
    pub port: u16,
}

/// The outside addresses of all clusters: load balancers, and nodes with NodePorts. Of two clusters with one address
/// the first by name has it.
pub fn outside(world: &World) -> Outside<'_> {
    let mut found = Outside::new();
    for cluster in world.clusters.keys() {
        let nodes: Vec<&str> = world
            .all(cluster.as_str(), "", "Node")
            .flat_map(|(_, n)| addresses(n, "/status/addresses", &["address"]))
            .collect();
        for (_, service) in world.all(cluster.as_str(), "", "Service") {
            let balanced = addresses(service, "/status/loadBalancer/ingress", &["ip", "hostname"]);
            let mut at = |addresses: &[&str], field: &str| {
                for (port, reached) in ports(service, field) {
                    for address in addresses {
                        let listening = Listening { cluster, service, port };
                        found.entry((address.to_string(), reached)).or_insert(listening);
                    }
                }
            };
            at(&balanced, "port");
            at(&nodes, "nodePort");
        }
    }
    found
}

fn addresses<'a>(object: &'a Value, list: &str, fields: &[&str]) -> Vec<&'a str> {
    let items = object.pointer(list).and_then(Value::as_array).into_iter().flatten();
    items.flat_map(|i| fields.iter().filter_map(|f| i.get(f).and_then(Value::as_str)).collect::<Vec<_>>()).collect()
}

/// The Service's port, and the one it is reached at.
fn ports(service: &Value, field: &str) -> Vec<(u16, u16)> {
    let items = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let number = |p: &Value, field: &str| p.get(field)?.as_u64().and_then(|p| u16::try_from(p).ok());
    items.filter_map(|p| Some((number(p, "port")?, number(p, field)?))).collect()
}
