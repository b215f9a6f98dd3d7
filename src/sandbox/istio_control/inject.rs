//! What injection does to a pod: the proxy's container, labels and annotations. Pure.
//! What comes in: a pod as it is about to be created. What goes out: a JSON patch. Rules: Istio's injection template and
//! its conditions.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use crate::routing::istio::PROXY_CONTAINER;

/// Says that a pod wants no sidecar, or wants one; as a label or, as in former days, an annotation.
const INJECT: &str = "sidecar.istio.io/inject";
/// Istio's own note of what was put in.
const STATUS: &str = "sidecar.istio.io/status";

/// Names a proxy's network.
pub const NETWORK: &str = "ISTIO_META_NETWORK";

/// What goes into every pod.
#[derive(Clone, Debug)]
pub struct Injection {
    /// Version of the proxy.
    pub version: String,
    /// Where it finds the control plane.
    pub discovery: SocketAddr,
    /// The cluster's name.
    pub cluster: String,
    /// Where Istio is installed: its own pods are left alone.
    pub namespace: String,
    /// The network of its pods.
    pub network: String,
}

/// The patch for a pod of a namespace; nothing when it gets no sidecar.
pub fn patch(pod: &Value, namespace: &str, injection: &Injection) -> Option<Value> {
    if !wanted(pod, namespace, injection) {
        return None;
    }
    let labels = labels(pod);
    let mut annotations = map(pod, "/metadata/annotations");
    let status = json!({"initContainers": null, "containers": [PROXY_CONTAINER], "volumes": null,
        "imagePullSecrets": null, "revision": "default"});
    annotations.insert(STATUS.into(), json!(status.to_string()));
    let first = pod.pointer("/spec/containers/0/name").and_then(Value::as_str).unwrap_or_default();
    for kind in ["kubectl.kubernetes.io/default-container", "kubectl.kubernetes.io/default-logs-container"] {
        annotations.entry(kind).or_insert_with(|| json!(first));
    }
    let mut operations = Vec::new();
    if pod.pointer("/metadata").is_none() {
        operations.push(json!({"op": "add", "path": "/metadata", "value": {}}));
    }
    operations.extend([
        json!({"op": "add", "path": "/spec/containers/-", "value": container(pod, injection)}),
        json!({"op": "add", "path": "/metadata/labels", "value": labels}),
        json!({"op": "add", "path": "/metadata/annotations", "value": annotations}),
    ]);
    Some(Value::Array(operations))
}

fn wanted(pod: &Value, namespace: &str, injection: &Injection) -> bool {
    let said = |place: &str| map(pod, place).get(INJECT).and_then(Value::as_str).map(str::to_string);
    let refused = said("/metadata/labels").or_else(|| said("/metadata/annotations")).is_some_and(|v| v == "false");
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let has_proxy = containers.iter().any(|c| c["name"] == PROXY_CONTAINER);
    let of_host = pod.pointer("/spec/hostNetwork") == Some(&json!(true));
    let of_system =
        [injection.namespace.as_str(), "kube-system", "kube-public", "kube-node-lease"].contains(&namespace);
    !refused && !has_proxy && !of_host && !of_system && !containers.is_empty()
}

fn map(pod: &Value, place: &str) -> Map<String, Value> {
    pod.pointer(place).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The pod's own labels and those by which others know that it speaks mTLS and what it is.
fn labels(pod: &Value) -> Map<String, Value> {
    let mut labels = map(pod, "/metadata/labels");
    let first = |names: &[&str]| names.iter().find_map(|n| labels.get(*n).filter(|v| v.as_str() != Some(""))).cloned();
    let name = first(&["app.kubernetes.io/name", "app"]).unwrap_or_else(|| json!(workload(pod)));
    let revision = first(&["app.kubernetes.io/version", "version"]).unwrap_or_else(|| json!("latest"));
    let added = [
        ("security.istio.io/tlsMode", json!("istio")),
        ("service.istio.io/canonical-name", name),
        ("service.istio.io/canonical-revision", revision),
    ];
    for (name, value) in added {
        labels.entry(name).or_insert(value);
    }
    labels
}

/// The workload a pod belongs to: its Deployment, as far as names tell.
fn workload(pod: &Value) -> String {
    let text = |place: &str| pod.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let generated = text("/metadata/generateName").trim_end_matches('-');
    let hash = text("/metadata/labels/pod-template-hash");
    let owner = match generated.strip_suffix(hash) {
        Some(rest) if !hash.is_empty() => rest.trim_end_matches('-'),
        _ => generated,
    };
    if owner.is_empty() { text("/metadata/name").into() } else { owner.into() }
}

fn container(pod: &Value, injection: &Injection) -> Value {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let plain = |name: &str, value: &str| json!({"name": name, "value": value});
    let config = json!({"discoveryAddress": injection.discovery.to_string()}).to_string();
    json!({
        "name": PROXY_CONTAINER,
        "image": image(&injection.version),
        "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local", "--proxyLogLevel=warning",
            "--proxyComponentLogLevel=config:error"],
        "env": [
            field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
            field("INSTANCE_IP", "status.podIP"), field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
            plain("PROXY_CONFIG", &config), plain("ISTIO_META_CLUSTER_ID", &injection.cluster),
            plain("ISTIO_META_WORKLOAD_NAME", &workload(pod)), plain("ISTIO_META_INTERCEPTION_MODE", "NONE"),
            plain(NETWORK, &injection.network)
        ],
        "ports": [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}],
        "startupProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 1,
            "timeoutSeconds": 3, "failureThreshold": 600},
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 15,
            "timeoutSeconds": 3, "failureThreshold": 4}
    })
}

/// The image of the proxy.
pub fn image(version: &str) -> String {
    format!("docker.io/istio/proxyv2:{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection() -> Injection {
        Injection {
            version: "1.28.0".into(),
            discovery: SocketAddr::from(([127, 42, 0, 3], 15010)),
            cluster: "kind2".into(),
            namespace: "istio-system".into(),
            network: "net2".into(),
        }
    }

    fn pod() -> Value {
        json!({"metadata": {"generateName": "reviews-v1-7f99cc4496-",
                "labels": {"app": "reviews", "version": "v1", "pod-template-hash": "7f99cc4496"}},
            "spec": {"serviceAccountName": "bookinfo-reviews", "containers": [{"name": "reviews", "image": "x"}]}})
    }

    fn injected(mut pod: Value, namespace: &str) -> Option<Value> {
        let operations = patch(&pod, namespace, &injection())?;
        let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
        json_patch::patch(&mut pod, &operations).unwrap();
        Some(pod)
    }

    #[test]
    fn a_pod_gets_the_proxy_after_its_own_container_with_labels_and_status() {
        let pod = injected(pod(), "default").unwrap();
        assert_eq!(pod["spec"]["containers"][0]["name"], "reviews");
        let proxy = &pod["spec"]["containers"][1];
        assert_eq!((&proxy["name"], &proxy["args"][1]), (&json!("istio-proxy"), &json!("sidecar")));
        assert!(
            proxy["env"]
                .as_array()
                .unwrap()
                .contains(&json!({"name": "ISTIO_META_WORKLOAD_NAME", "value": "reviews-v1"}))
        );
        let labels = &pod["metadata"]["labels"];
        assert_eq!((&labels["security.istio.io/tlsMode"], &labels["app"]), (&json!("istio"), &json!("reviews")));
        assert_eq!(labels["service.istio.io/canonical-revision"], "v1");
        assert!(pod["metadata"]["annotations"]["sidecar.istio.io/status"].as_str().unwrap().contains("istio-proxy"));
        assert_eq!(pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"], "reviews");
        assert!(injected(pod, "default").is_none(), "once is enough");
    }

    #[test]
    fn who_wants_none_and_who_is_of_the_system_gets_none() {
        let mut unwilling = pod();
        unwilling["metadata"]["labels"][INJECT] = json!("false");
        let mut of_host = pod();
        of_host["spec"]["hostNetwork"] = json!(true);
        for (pod, namespace) in
            [(unwilling, "default"), (of_host, "default"), (pod(), "istio-system"), (pod(), "kube-system")]
        {
            assert!(injected(pod, namespace).is_none());
        }
    }
}
