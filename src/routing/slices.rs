//! EndpointSlices: which addresses stand behind a Service. What comes in: a world. What goes out: addresses, and whether
//! they are ready. May not know: which vendor's objects use them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::World;
use crate::model::name::ClusterName;

/// Label that ties a slice to its Service.
const SERVICE_LABEL: &str = "/metadata/labels/kubernetes.io~1service-name";

/// A cluster's EndpointSlices by namespace and Service.
pub type Slices<'a> = BTreeMap<(&'a str, &'a str), Vec<&'a Value>>;

/// One address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address<'a> {
    /// IP address.
    pub ip: &'a str,
    /// Port.
    pub port: u16,
    /// How it stands.
    pub state: State,
    /// The pod, when it is one.
    pub pod: Option<&'a str>,
}

/// How an address stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Ready.
    Ready,
    /// Not ready, and it may become so.
    Unready,
    /// Not ready, and on its way out.
    Leaving,
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
pub fn ready<'a>(slices: &Slices<'a>, namespace: &str, service: &str, port_name: &str) -> Vec<Address<'a>> {
    let mut found = all(slices, namespace, service, port_name);
    found.retain(|a| a.state == State::Ready);
    found
}

/// Addresses of one port (by its name) of a Service, sorted, each once; of two slices the better one counts.
pub fn all<'a>(slices: &Slices<'a>, namespace: &str, service: &str, port_name: &str) -> Vec<Address<'a>> {
    let mut found: Vec<Address> = Vec::new();
    for slice in slices.get(&(namespace, service)).into_iter().flatten() {
        let list = |field: &str| slice.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |p: &&Value| p.get("name").and_then(Value::as_str).unwrap_or("") == port_name;
        let port = list("ports").iter().find(named).and_then(|p| p.get("port")).and_then(Value::as_u64);
        let Some(port) = port.and_then(|p| u16::try_from(p).ok()) else { continue };
        for endpoint in list("endpoints") {
            let state = state(endpoint);
            let pod = endpoint.pointer("/targetRef/name").and_then(Value::as_str);
            let addresses = endpoint.get("addresses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let ips = addresses.iter().filter_map(Value::as_str);
            found.extend(ips.map(|ip| Address { ip, port, state, pod }));
        }
    }
    found.sort();
    found.dedup_by(|a, b| (a.ip, a.port) == (b.ip, b.port));
    found
}

/// Not said is ready (EndpointSlice's own rule), and of one that is not ready, on its way out (Istio's).
fn state(endpoint: &Value) -> State {
    let condition = |name: &str| endpoint.get("conditions")?.get(name)?.as_bool();
    match (condition("ready"), condition("terminating")) {
        (None | Some(true), _) => State::Ready,
        (Some(false), Some(false)) => State::Unready,
        (Some(false), None | Some(true)) => State::Leaving,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_ready_is_on_its_way_out_unless_it_says_that_it_stays() {
        let said = |conditions: Value| state(&json!({ "conditions": conditions }));
        assert_eq!(
            (state(&json!({})), said(json!({"ready": true, "terminating": true}))),
            (State::Ready, State::Ready)
        );
        assert_eq!(said(json!({"ready": false, "terminating": false})), State::Unready);
        assert_eq!(said(json!({"ready": false})), State::Leaving);
        assert_eq!(said(json!({"ready": false, "terminating": true})), State::Leaving);
    }

    #[test]
    fn an_address_in_two_slices_is_ready_if_one_says_so() {
        let slice = |ready: bool| {
            json!({"ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready, "terminating": false}}]})
        };
        let (one, other) = (slice(false), slice(true));
        let both = Slices::from([(("shop", "web"), vec![&one, &other])]);
        let found = all(&both, "shop", "web", "");
        assert_eq!(found, [Address { ip: "10.0.0.1", port: 80, state: State::Ready, pod: None }]);
        let alone = Slices::from([(("shop", "web"), vec![&one])]);
        assert_eq!((all(&alone, "shop", "web", "").len(), ready(&alone, "shop", "web", "").len()), (1, 0));
    }
}
