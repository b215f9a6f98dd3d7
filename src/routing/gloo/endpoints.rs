//! A Service's ready endpoints from its EndpointSlices, as Gloo's discovery hands them to Envoy.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Scene;
use super::read::At;
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::{Endpoint, Origin};

/// Label that ties a slice to its Service.
const SERVICE_LABEL: &str = "/metadata/labels/kubernetes.io~1service-name";

/// A cluster's EndpointSlices by namespace and Service.
pub fn slices<'a>(world: &'a World, cluster: &ClusterName) -> BTreeMap<(&'a str, &'a str), Vec<&'a Value>> {
    let mut found: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
    let objects = world.clusters.get(cluster).map(|o| &o.by_key).into_iter().flatten();
    for (key, body) in objects.filter(|(k, _)| k.gvk.group == "discovery.k8s.io" && k.gvk.kind == "EndpointSlice") {
        if let Some(service) = body.pointer(SERVICE_LABEL).and_then(Value::as_str) {
            found.entry((key.namespace.as_deref().unwrap_or(""), service)).or_default().push(body);
        }
    }
    found
}

/// Ready endpoints of `spec.kube` of an Upstream, sorted by address; findings when the Service does not fit.
pub fn of_kube(scene: &Scene, kube: &At) -> Vec<Endpoint> {
    let (name, namespace, port) = (kube.get("serviceName"), kube.get("serviceNamespace"), kube.get("servicePort"));
    let (Some(name), Some(namespace), Some(port)) = (name.text(), namespace.text(), port.port()) else {
        kube.reject("FCT0502", format!("{} needs serviceName, serviceNamespace and servicePort", kube.path()));
        return Vec::new();
    };
    let Some(service) = scene.get("", "Service", namespace, name) else {
        kube.warn("FCT0503", format!("there is no Service {namespace}/{name}, so the Upstream has no endpoint"));
        return Vec::new();
    };
    warn_of_selector(kube, service);
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(wanted) = ports.iter().find(|p| p.get("port").and_then(Value::as_u64) == Some(u64::from(port))) else {
        kube.reject("FCT0502", format!("Service {namespace}/{name} has no port {port}"));
        return Vec::new();
    };
    let port_name = wanted.get("name").and_then(Value::as_str).unwrap_or("");
    let origin =
        Origin { cluster: scene.cluster.clone(), namespace: namespace.into(), service: name.into(), port, pod: None };
    from_slices(scene, &origin, port_name)
}

fn from_slices(scene: &Scene, origin: &Origin, port_name: &str) -> Vec<Endpoint> {
    let slices = scene.slices.get(&(origin.namespace.as_str(), origin.service.as_str()));
    let mut found: Vec<Endpoint> = Vec::new();
    for slice in slices.into_iter().flatten() {
        let list = |field: &str| slice.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let named = |p: &&Value| p.get("name").and_then(Value::as_str).unwrap_or("") == port_name;
        let port = list("ports").iter().find(named).and_then(|p| p.get("port")).and_then(Value::as_u64);
        let Some(port) = port.and_then(|p| u16::try_from(p).ok()) else { continue };
        for endpoint in list("endpoints").iter().filter(|e| ready(e)) {
            let pod = endpoint.pointer("/targetRef/name").and_then(Value::as_str).map(str::to_string);
            let addresses = endpoint.get("addresses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            found.extend(addresses.iter().filter_map(Value::as_str).map(|address| Endpoint {
                address: address.into(),
                port,
                weight: None,
                tls: None,
                origin: Some(Origin { pod: pod.clone(), ..origin.clone() }),
                check: None,
                unusable: None,
            }));
        }
    }
    found.sort_by(|a, b| (&a.address, a.port).cmp(&(&b.address, b.port)));
    found.dedup_by(|a, b| (&a.address, a.port) == (&b.address, b.port));
    found
}

/// Absent means ready (EndpointSlice's own rule).
fn ready(endpoint: &Value) -> bool {
    endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true)
}

/// A selector narrower than the Service's own picks pods that slices do not tell apart.
fn warn_of_selector(kube: &At, service: &Value) {
    let Some(selector) = kube.get("selector").value().and_then(Value::as_object) else { return };
    let own = service.pointer("/spec/selector").and_then(Value::as_object);
    if !selector.iter().all(|(key, value)| own.is_some_and(|o| o.get(key) == Some(value))) {
        kube.warn(
            "FCT0504",
            format!("{}.selector is narrower than the Service's; all endpoints are shown", kube.path()),
        );
    }
}
