//! Kind → where the API server keeps it. What comes in: group, version, kind. What goes out: plural name and scope,
//! from a table of the kinds failctl works with, else from the server's discovery. May not know: objects.

use kube::Client;
use serde_json::Value;

use super::clients::{Trouble, trouble_of};
use crate::manifest::Gvk;

/// Where objects of a kind live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name in a URL.
    pub plural: String,
    /// Whether objects belong to a namespace.
    pub namespaced: bool,
}

/// Group, kind, plural, namespaced: what failctl reads and writes, so that no discovery round trip is needed.
const KNOWN: [(&str, &str, &str, bool); 46] = [
    ("", "Namespace", "namespaces", false),
    ("", "Node", "nodes", false),
    ("", "Pod", "pods", true),
    ("", "Service", "services", true),
    ("", "Secret", "secrets", true),
    ("", "ConfigMap", "configmaps", true),
    ("", "ServiceAccount", "serviceaccounts", true),
    ("", "Endpoints", "endpoints", true),
    ("", "Event", "events", true),
    ("", "PersistentVolume", "persistentvolumes", false),
    ("", "PersistentVolumeClaim", "persistentvolumeclaims", true),
    ("apps", "Deployment", "deployments", true),
    ("apps", "ReplicaSet", "replicasets", true),
    ("apps", "StatefulSet", "statefulsets", true),
    ("apps", "DaemonSet", "daemonsets", true),
    ("batch", "Job", "jobs", true),
    ("batch", "CronJob", "cronjobs", true),
    ("coordination.k8s.io", "Lease", "leases", true),
    ("discovery.k8s.io", "EndpointSlice", "endpointslices", true),
    ("networking.k8s.io", "Ingress", "ingresses", true),
    ("networking.k8s.io", "NetworkPolicy", "networkpolicies", true),
    ("rbac.authorization.k8s.io", "Role", "roles", true),
    ("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", true),
    ("rbac.authorization.k8s.io", "ClusterRole", "clusterroles", false),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", "clusterrolebindings", false),
    ("apiextensions.k8s.io", "CustomResourceDefinition", "customresourcedefinitions", false),
    ("gloo.solo.io", "Upstream", "upstreams", true),
    ("gloo.solo.io", "UpstreamGroup", "upstreamgroups", true),
    ("gloo.solo.io", "Proxy", "proxies", true),
    ("gloo.solo.io", "Settings", "settings", true),
    ("gateway.solo.io", "Gateway", "gateways", true),
    ("gateway.solo.io", "VirtualService", "virtualservices", true),
    ("gateway.solo.io", "RouteTable", "routetables", true),
    ("fed.solo.io", "FailoverScheme", "failoverschemes", true),
    ("fed.solo.io", "GlooInstance", "glooinstances", true),
    ("networking.istio.io", "DestinationRule", "destinationrules", true),
    ("networking.istio.io", "EnvoyFilter", "envoyfilters", true),
    ("networking.istio.io", "Gateway", "gateways", true),
    ("networking.istio.io", "ServiceEntry", "serviceentries", true),
    ("networking.istio.io", "Sidecar", "sidecars", true),
    ("networking.istio.io", "VirtualService", "virtualservices", true),
    ("networking.istio.io", "WorkloadEntry", "workloadentries", true),
    ("security.istio.io", "AuthorizationPolicy", "authorizationpolicies", true),
    ("security.istio.io", "PeerAuthentication", "peerauthentications", true),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("multicluster.solo.io", "KubernetesCluster", "kubernetesclusters", true),
];

/// How a kind was found.
pub struct KindOf;

impl KindOf {
    /// From the table.
    pub fn known(gvk: &Gvk) -> Option<Kind> {
        let row = KNOWN.iter().find(|(group, kind, ..)| *group == gvk.group && *kind == gvk.kind)?;
        Some(Kind { plural: row.2.to_string(), namespaced: row.3 })
    }

    /// From the table, else from the server. A kind the server does not know is refused with 404.
    pub async fn find(client: &Client, gvk: &Gvk) -> Result<Kind, Trouble> {
        match KindOf::known(gvk) {
            Some(kind) => Ok(kind),
            None => discover(client, gvk).await,
        }
    }
}

async fn discover(client: &Client, gvk: &Gvk) -> Result<Kind, Trouble> {
    let unknown = || Trouble::Refused {
        code: 404,
        message: format!("the cluster does not know {} {}: is its definition installed?", gvk.api_version(), gvk.kind),
    };
    let request = http::Request::get(base_of(gvk)).body(Vec::new()).map_err(|e| Trouble::Unreachable(e.to_string()))?;
    let asked = tokio::time::timeout(super::clients::REQUEST, client.request::<Value>(request)).await;
    let list = match asked {
        Err(_) => return Err(Trouble::Unreachable("discovery: no answer in time".into())),
        Ok(Err(e)) if trouble_of(&e).is_missing() => return Err(unknown()),
        Ok(Err(e)) => return Err(trouble_of(&e)),
        Ok(Ok(list)) => list,
    };
    let resources = list["resources"].as_array().into_iter().flatten();
    let mut own = resources.filter(|r| !r["name"].as_str().unwrap_or("/").contains('/'));
    let row = own.find(|r| r["kind"] == gvk.kind.as_str()).ok_or_else(unknown)?;
    Ok(Kind {
        plural: row["name"].as_str().unwrap_or_default().to_string(),
        namespaced: row["namespaced"].as_bool().unwrap_or(true),
    })
}

fn base_of(gvk: &Gvk) -> String {
    if gvk.group.is_empty() { format!("/api/{}", gvk.version) } else { format!("/apis/{}/{}", gvk.group, gvk.version) }
}

/// The URL path of a collection (`name` none) or an object.
pub fn url_of(gvk: &Gvk, kind: &Kind, namespace: Option<&str>, name: Option<&str>) -> String {
    let mut url = base_of(gvk);
    if let (true, Some(namespace)) = (kind.namespaced, namespace) {
        url += &format!("/namespaces/{namespace}");
    }
    url += &format!("/{}", kind.plural);
    name.iter().for_each(|n| url += &format!("/{n}"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_names_group_version_namespace_plural_and_name() {
        let upstream = Gvk::new("gloo.solo.io/v1", "Upstream");
        let kind = KindOf::known(&upstream).unwrap();
        let url = url_of(&upstream, &kind, Some("gloo-system"), Some("default-service-blue-10000"));
        assert_eq!(url, "/apis/gloo.solo.io/v1/namespaces/gloo-system/upstreams/default-service-blue-10000");
        let node = Gvk::new("v1", "Node");
        assert_eq!(url_of(&node, &KindOf::known(&node).unwrap(), None, None), "/api/v1/nodes");
    }
}
