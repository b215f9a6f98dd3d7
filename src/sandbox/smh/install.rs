//! What Service Mesh Hub's install and its registration of clusters leave: namespace, control plane, VirtualMesh, and
//! the rights it has on registered clusters.
//! What comes in: the names of the meshes. What goes out: objects.

use serde_json::{Value, json};

use super::NAMESPACE;

/// The version that the sandbox stands for: the one of the article's API.
pub const VERSION: &str = "0.7.5";

/// Objects of the management cluster, in an order in which they can be created. The control plane's Deployments are
/// scaled to zero: the sandbox's own stands in for them.
pub fn objects() -> Vec<Value> {
    let deployment = |name: &str| {
        let labels = json!({"app": name});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": name, "image": format!("quay.io/solo-io/service-mesh-hub:{VERSION}")}]},
            }},
        })
    };
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        deployment("discovery"),
        deployment("networking"),
    ]
}

/// One trust for all meshes of the clusters: a root that the hub makes, and every Service known to every mesh.
pub fn virtual_mesh<'a>(clusters: impl Iterator<Item = &'a str>) -> Value {
    let meshes: Vec<Value> =
        clusters.map(|c| json!({"name": format!("istiod-istio-system-{c}"), "namespace": NAMESPACE})).collect();
    json!({
        "apiVersion": "networking.smh.solo.io/v1alpha2", "kind": "VirtualMesh",
        "metadata": {"name": "virtual-mesh", "namespace": NAMESPACE},
        "spec": {
            "mtlsConfig": {"autoRestartPods": true, "shared": {"rootCertificateAuthority": {"generated": {}}}},
            "federation": {"permissive": {}},
            "meshes": meshes,
        },
    })
}

/// What the hub may do on a registered cluster.
pub fn rules() -> Value {
    let look = json!(["get", "list", "watch"]);
    json!([
        {"apiGroups": [""], "resources": ["pods", "services", "configmaps", "nodes", "namespaces"], "verbs": look},
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "daemonsets", "statefulsets"], "verbs": look},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]},
        {"apiGroups": ["networking.istio.io"], "verbs": ["*"],
            "resources": ["destinationrules", "virtualservices", "envoyfilters", "serviceentries", "gateways"]},
        {"apiGroups": ["security.istio.io"], "resources": ["authorizationpolicies"], "verbs": ["*"]},
    ])
}
