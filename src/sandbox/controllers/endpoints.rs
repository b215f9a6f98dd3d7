//! Services to EndpointSlices: the addresses of the Pods a Service selects, and which of them are ready.
//! What comes in: everything observed. What goes out: slices to create, change and delete.
//! May not know: clients, forwarding.
//!
//! One slice per set of resolved ports (a named target port may differ from Pod to Pod). A Pod that is not ready
//! stays in its slice with `ready: false`, as on any cluster: whoever reads slices must look at the conditions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::object::{compact, deleting, is, label, list, name, namespace, number, selects, text, uid};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Service, Kind::Pod, Kind::Node, Kind::EndpointSlice];

/// Label naming the Service a slice belongs to.
pub const SERVICE: &str = "kubernetes.io/service-name";
/// Label naming who writes a slice; others' slices are left alone.
const MANAGED: (&str, &str) = ("endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io");
/// Topology label copied to each endpoint.
const ZONE: &str = "topology.kubernetes.io/zone";

/// One pass over all Services that have a selector.
pub fn reconcile(seen: &Observed, _now: Timestamp) -> Pass {
    let mut mine: BTreeMap<(&str, &str), Vec<&Value>> = BTreeMap::new();
    for slice in seen.all(Kind::EndpointSlice).filter(|s| label(s, MANAGED.0) == Some(MANAGED.1)) {
        mine.entry((namespace(slice), label(slice, SERVICE).unwrap_or_default())).or_default().push(slice);
    }
    let mut writes = Vec::new();
    for service in seen.all(Kind::Service).filter(|s| !deleting(s) && has_selector(s)) {
        let stored = mine.remove(&(namespace(service), name(service))).unwrap_or_default();
        let mut wanted = slices(service, seen);
        for slice in stored.iter().filter(|s| !deleting(s)) {
            match wanted.remove(name(slice)) {
                Some(body) => writes.extend(change(slice, &body)),
                None => writes.push(Write::Delete(Ref::to(Kind::EndpointSlice, slice))),
            }
        }
        writes.extend(wanted.into_values().map(Write::Create));
    }
    // A Service that lost its selector keeps nobody's endpoints; one that is gone is the collector's business.
    for ((namespace, service), slices) in mine {
        if seen.get(Kind::Service, namespace, service).is_some_and(|s| !has_selector(s)) {
            writes.extend(slices.into_iter().map(|s| Write::Delete(Ref::to(Kind::EndpointSlice, s))));
        }
    }
    writes.into()
}

fn has_selector(service: &Value) -> bool {
    service["spec"]["selector"].as_object().is_some_and(|s| !s.is_empty())
        && text(service, "/spec/type") != "ExternalName"
}

/// The slices a Service should have, by name.
fn slices(service: &Value, seen: &Observed) -> BTreeMap<String, Value> {
    let selector = &service["spec"]["selector"];
    let mut by_ports: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    let pods = seen.all(Kind::Pod).filter(|p| namespace(p) == namespace(service));
    for pod in pods.filter(|p| selects(selector, &p["metadata"]["labels"])) {
        let Some(endpoint) = endpoint(service, pod, seen) else { continue };
        let ports = ports(service, pod);
        by_ports.entry(ports.to_string()).or_insert_with(|| (ports, Vec::new())).1.push(endpoint);
    }
    if by_ports.is_empty() {
        // The slice of a Service without Pods says that there are none.
        by_ports.insert(String::new(), (ports(service, &Value::Null), Vec::new()));
    }
    let body = |(ports, endpoints): (Value, Vec<Value>)| {
        let body = slice(service, ports, endpoints);
        (name(&body).to_string(), body)
    };
    by_ports.into_values().map(body).collect()
}

fn slice(service: &Value, ports: Value, endpoints: Vec<Value>) -> Value {
    let digest = Sha256::digest(format!("{}{ports}", uid(service)));
    let mut labels = match &service["metadata"]["labels"] {
        Value::Object(labels) => labels.clone(),
        _ => serde_json::Map::new(),
    };
    labels.insert(SERVICE.into(), json!(name(service)));
    labels.insert(MANAGED.0.into(), json!(MANAGED.1));
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{}", name(service), &hex::encode(digest)[..5]), "namespace": namespace(service),
            "labels": labels, "ownerReferences": [super::object::controlled_by(service)],
        },
        "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
    })
}

/// One Pod's endpoint; none without an address, or when the Pod has finished.
fn endpoint(service: &Value, pod: &Value, seen: &Observed) -> Option<Value> {
    let address = Some(text(pod, "/status/podIP")).filter(|a| !a.is_empty())?;
    if matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return None;
    }
    let serving = is(pod, "Ready") || service["spec"]["publishNotReadyAddresses"] == true;
    let node = text(pod, "/spec/nodeName");
    let mut endpoint = json!({
        "addresses": [address],
        "conditions": {"ready": serving && !deleting(pod), "serving": serving, "terminating": deleting(pod)},
        "targetRef": {"kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod)},
        "nodeName": node,
    });
    if let Some(zone) = seen.get(Kind::Node, "", node).and_then(|n| label(n, ZONE)) {
        endpoint["zone"] = json!(zone);
    }
    Some(endpoint)
}

/// The Service's ports, with target ports as this Pod resolves them.
fn ports(service: &Value, pod: &Value) -> Value {
    let resolved = list(service, "/spec/ports").iter().filter_map(|port| {
        let target = match &port["targetPort"] {
            Value::String(named) => container_port(pod, named, protocol(port))?,
            Value::Number(number) => number.as_i64()?,
            _ => number(port, "/port")?,
        };
        Some(json!({"name": text(port, "/name"), "port": target, "protocol": protocol(port)}))
    });
    resolved.collect()
}

fn protocol(port: &Value) -> &str {
    Some(text(port, "/protocol")).filter(|p| !p.is_empty()).unwrap_or("TCP")
}

fn container_port(pod: &Value, named: &str, wanted: &str) -> Option<i64> {
    let ports = list(pod, "/spec/containers").iter().flat_map(|c| list(c, "/ports"));
    let mut fitting = ports.filter(|p| p["name"] == named && protocol(p) == wanted);
    fitting.find_map(|p| number(p, "/containerPort"))
}

fn change(stored: &Value, wanted: &Value) -> Option<Write> {
    let same = |part: &str| compact(&stored[part]) == compact(&wanted[part]);
    let labels = stored["metadata"]["labels"] == wanted["metadata"]["labels"];
    if same("endpoints") && same("ports") && labels {
        return None;
    }
    let patch = json!({"metadata": {"labels": wanted["metadata"]["labels"]},
        "endpoints": wanted["endpoints"], "ports": wanted["ports"]});
    Some(Write::Merge { of: Ref::to(Kind::EndpointSlice, stored), subresource: None, patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Value {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "blue", "namespace": "default", "uid": "s", "labels": {"app": "b"}},
            "spec": {"selector": {"app": "b"}, "ports": [
                {"name": "color", "port": 10000, "targetPort": 10000, "protocol": "TCP"},
                {"name": "admin", "port": 80, "targetPort": "adm"}]}})
    }

    fn pod(name: &str, ip: &str, ready: bool) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": name, "labels": {"app": "b"}},
            "spec": {"nodeName": "n", "containers": [{"ports": [{"name": "adm", "containerPort": 19000}]}]},
            "status": {"phase": "Running", "podIP": ip,
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]}})
    }

    fn node() -> Value {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {ZONE: "us-east-1a"}}})
    }

    fn run(objects: Vec<Value>) -> Vec<Write> {
        reconcile(&Observed::of(objects), "2026-01-01T00:00:00Z".parse().unwrap()).writes
    }

    fn created(objects: Vec<Value>) -> Value {
        match &run(objects)[..] {
            [Write::Create(body)] => body.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slice_names_its_service_its_pods_and_their_readiness() {
        let slice = created(vec![service(), node(), pod("p1", "127.30.2.1", true), pod("p2", "127.30.2.2", false)]);
        assert_eq!(label(&slice, SERVICE), Some("blue"));
        assert_eq!(
            slice["ports"],
            json!([{"name": "color", "port": 10000, "protocol": "TCP"},
            {"name": "admin", "port": 19000, "protocol": "TCP"}])
        );
        assert_eq!(
            slice["endpoints"],
            json!([
            {"addresses": ["127.30.2.1"], "conditions": {"ready": true, "serving": true, "terminating": false},
             "targetRef": {"kind": "Pod", "name": "p1", "namespace": "default", "uid": "p1"},
             "nodeName": "n", "zone": "us-east-1a"},
            {"addresses": ["127.30.2.2"], "conditions": {"ready": false, "serving": false, "terminating": false},
             "targetRef": {"kind": "Pod", "name": "p2", "namespace": "default", "uid": "p2"},
             "nodeName": "n", "zone": "us-east-1a"}])
        );
        assert_eq!(slice["metadata"]["ownerReferences"][0]["kind"], "Service");
    }

    #[test]
    fn an_unchanged_slice_is_not_written_and_a_changed_one_is_patched() {
        let objects = vec![service(), node(), pod("p1", "127.30.2.1", true)];
        let mut slice = created(objects.clone());
        slice["metadata"]["uid"] = json!("e");
        assert_eq!(run([objects.clone(), vec![slice.clone()]].concat()), []);
        let unready = vec![service(), node(), pod("p1", "127.30.2.1", false), slice];
        let [Write::Merge { patch, .. }] = &run(unready)[..] else { panic!() };
        assert_eq!(patch["endpoints"][0]["conditions"]["ready"], false);
    }

    #[test]
    fn a_pod_without_an_address_or_finished_is_no_endpoint() {
        let mut finished = pod("p2", "127.30.2.2", true);
        finished["status"]["phase"] = json!("Succeeded");
        let slice = created(vec![service(), node(), pod("p1", "", true), finished]);
        assert_eq!(slice["endpoints"], json!([]));
    }

    #[test]
    fn a_pod_on_its_way_out_still_serves_but_is_not_ready() {
        let mut leaving = pod("p1", "127.30.2.1", true);
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let slice = created(vec![service(), node(), leaving]);
        assert_eq!(slice["endpoints"][0]["conditions"], json!({"ready": false, "serving": true, "terminating": true}));
    }

    #[test]
    fn a_service_without_selector_is_somebody_elses() {
        let mut service = service();
        service["spec"]["selector"] = json!({});
        assert_eq!(run(vec![service]), []);
    }
}
