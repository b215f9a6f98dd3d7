//! A Service's ready endpoints from its EndpointSlices, as Gloo's discovery hands them to Envoy.

use serde_json::Value;

use super::Scene;
use crate::routing::read::At;
use crate::routing::{Endpoint, Origin, slices};

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
    let found = slices::ready(&scene.slices, &origin.namespace, &origin.service, port_name);
    let endpoint = |ready: slices::Address| Endpoint {
        address: ready.ip.into(),
        port: ready.port,
        weight: None,
        tls: None,
        origin: Some(Origin { pod: ready.pod.map(str::to_string), ..origin.clone() }),
        check: None,
        unready: false,
        unusable: None,
    };
    found.into_iter().map(endpoint).collect()
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
