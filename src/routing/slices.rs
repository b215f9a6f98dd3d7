//! EndpointSlices: which addresses stand behind a Service. What comes in: a world. What goes out: ready addresses.
//! May not know: which vendor's objects use them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::World;
use crate::model::name::ClusterName;

/// Label that ties a slice to its Service.
const SERVICE_LABEL: &str = "/metadata/labels/kubernetes.io~1service-name";

/// A cluster's EndpointSlices by namespace and Service.
pub type Slices<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Value>>;

/// One ready address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ready<'a> {
    /// IP address.
    pub address: &'a str,
    /// Port.
    pub port: u16,
    /// The pod, when it is one.
    pub pod: Option<&'a str>,
}

/// A cluster's EndpointSlices by namespace and Service.
pub fn slices<'a>(world: &'a World, cluster: &ClusterName) -> Slices<'a> {
    let mut found = Slices::new();
    for (key, body) in world.all(cluster.as_str(), "discovery.k8s.io", "EndpointSlice") {
        if let Some(service) = body.pointer(SERVICE_LABEL).and_then(Value::as_str) {
            found.entry((key.namespace.as_deref().unwrap_or(""), service)).or_default().push(body);
        }
    }
    found
}

/// Ready addresses of one port (by its name) of a Service, sorted, each once.
pub fn ready<'a>(slices: &Slices<'a>, namespace: &str, service: &str, port_name: &str) -> Vec<Ready<'a>> {
    let mut found: Vec<Ready> = Vec::new();
    for slice in slices.get(&(namespace, service)).into_iter().flatten() {
        let list = |field: &str| slice.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |p: &&Value| p.get("name").and_then(Value::as_str).unwrap_or("") == port_name;
        let port = list("ports").iter().find(named).and_then(|p| p.get("port")).and_then(Value::as_u64);
        let Some(port) = port.and_then(|p| u16::try_from(p).ok()) else { continue };
        for endpoint in list("endpoints").iter().filter(|e| is_ready(e)) {
            let pod = endpoint.pointer("/targetRef/name").and_then(Value::as_str);
            let addresses = endpoint.get("addresses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            found.extend(addresses.iter().filter_map(Value::as_str).map(|address| Ready { address, port, pod }));
        }
    }
    found.sort();
    found.dedup_by(|a, b| (a.address, a.port) == (b.address, b.port));
    found
}

/// Absent means ready (EndpointSlice's own rule).
fn is_ready(endpoint: &Value) -> bool {
    endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
}
