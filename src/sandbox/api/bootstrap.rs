//! What is there before anybody writes: namespaces, the roles Kubernetes comes with, the API's own Service.
//! What comes in: an empty (or replayed) state. What goes out: the same with what was missing.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::state::{Api, State};
use super::status::Status;
use super::write::admit::default_account;

const RBAC: &str = "rbac.authorization.k8s.io";

/// Makes what is missing.
///
/// # Errors
/// 500 when it cannot be written down.
pub fn complete(api: &Api, address: SocketAddr, now: jiff::Timestamp) -> Result<(), Status> {
    let state = &mut *api.lock();
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        if state.namespace(name).is_none() {
            let metadata = json!({"name": name, "labels": {"kubernetes.io/metadata.name": name}});
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata,
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
            state.make("namespaces", namespace, now)?;
        }
        default_account(state, name, now)?;
    }
    roles(state, now)?;
    own_service(api, state, address, now)
}

fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": groups, "resources": resources, "verbs": verbs})
}

/// The ClusterRoles users bind to, for the kinds that are served here.
fn roles(state: &mut State, now: jiff::Timestamp) -> Result<(), Status> {
    const READ: [&str; 3] = ["get", "list", "watch"];
    const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
    const CORE: [&str; 7] = ["configmaps", "endpoints", "events", "pods", "pods/log", "services", "serviceaccounts"];
    const DO: [&str; 4] = ["pods/exec", "pods/attach", "pods/portforward", "pods/eviction"];
    let apps = || rule(&["apps"], &["*"], &READ);
    let others = rule(&["discovery.k8s.io", "events.k8s.io"], &["*"], &READ);
    let view = json!([rule(&[""], &CORE, &READ), rule(&[""], &["namespaces"], &READ), apps(), others]);
    let edit = {
        let mut rules = view.as_array().cloned().unwrap_or_default();
        rules.push(rule(&[""], &CORE, &WRITE));
        rules.push(rule(&[""], &["secrets"], &[&READ[..], &WRITE[..]].concat()));
        rules.push(rule(&[""], &DO, &["create", "get"]));
        rules.push(rule(&[""], &["serviceaccounts/token"], &["create"]));
        rules.push(rule(&["apps"], &["*"], &WRITE));
        rules.push(rule(&["coordination.k8s.io"], &["leases"], &[&READ[..], &WRITE[..]].concat()));
        rules
    };
    let admin = {
        let mut rules = edit.clone();
        rules.push(rule(&[RBAC], &["roles", "rolebindings"], &[&READ[..], &WRITE[..]].concat()));
        rules.push(rule(&["authorization.k8s.io"], &["localsubjectaccessreviews"], &["create"]));
        rules
    };
    let everything = json!([rule(&["*"], &["*"], &["*"]), {"nonResourceURLs": ["*"], "verbs": ["*"]}]);
    let urls = |urls: &[&str]| json!([{"nonResourceURLs": urls, "verbs": ["get"]}]);
    let discovery = urls(&[
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ]);
    let basic = json!([
        rule(&["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"], &["create"]),
        rule(&["authentication.k8s.io"], &["selfsubjectreviews"], &["create"]),
    ]);
    let roles = [
        ("cluster-admin", everything, Some("system:masters")),
        ("admin", admin.into(), None),
        ("edit", edit.into(), None),
        ("view", view, None),
        ("system:discovery", discovery, Some("system:authenticated")),
        ("system:basic-user", basic, Some("system:authenticated")),
        (
            "system:public-info-viewer",
            urls(&["/healthz", "/livez", "/readyz", "/version", "/version/"]),
            Some("system:unauthenticated"),
        ),
    ];
    for (name, rules, group) in roles {
        let metadata = || json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}});
        let (role_table, binding_table) =
            ("clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io");
        if state.store.get(role_table, "", name).is_none() {
            let role = json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": metadata(), "rules": rules});
            state.make(role_table, role, now)?;
        }
        let Some(group) = group.filter(|_| state.store.get(binding_table, "", name).is_none()) else { continue };
        let binding = json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": metadata(),
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}]});
        state.make(binding_table, binding, now)?;
    }
    Ok(())
}

/// `default/kubernetes`: the Service through which Pods find this API, and its endpoints.
fn own_service(api: &Api, state: &mut State, address: SocketAddr, now: jiff::Timestamp) -> Result<(), Status> {
    let metadata = |labels: Value| json!({"name": "kubernetes", "namespace": "default", "labels": labels});
    if state.store.get("services", "default", "kubernetes").is_none() {
        let mut service = json!({"apiVersion": "v1", "kind": "Service",
            "metadata": metadata(json!({"component": "apiserver", "provider": "kubernetes"})),
            "spec": {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": address.port()}]},
            "status": {"loadBalancer": {}}});
        super::services::assign(state, api.service_addresses, None, &mut service)?;
        state.make("services", service, now)?;
    }
    let slice = state.store.get("endpointslices.discovery.k8s.io", "default", "kubernetes");
    let here = json!([address.ip().to_string()]);
    let current =
        slice.is_some_and(|s| s["endpoints"][0]["addresses"] == here && s["ports"][0]["port"] == address.port());
    if !current {
        let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": metadata(json!({"kubernetes.io/service-name": "kubernetes"})), "addressType": "IPv4",
            "endpoints": [{"addresses": here, "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}]});
        state.make("endpointslices.discovery.k8s.io", slice, now)?;
    }
    Ok(())
}
