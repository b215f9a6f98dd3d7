//! The proxies of a cluster: pods with a sidecar, and gateways. What comes in: a world. What goes out: who they are.

use std::collections::BTreeMap;

use serde_json::Value;

use super::place::{Place, label};
use super::topology::NETWORK;
use crate::manifest::{ObjectKey, World};
use crate::model::mesh;
use crate::model::name::ClusterName;

/// The container that is the proxy, as Istio's injection names it.
pub const PROXY_CONTAINER: &str = "istio-proxy";
/// Says where the application of a pod listens when that is not `127.0.0.1` of its own network namespace.
pub const INNER_ADDRESS: &str = "sandbox.failctl.dev/inner-ip";

/// What a proxy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Beside an application.
    Sidecar,
    /// A gateway.
    Router,
}

/// One proxy: a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// What it is for.
    pub kind: Kind,
    /// The pod.
    pub object: ObjectKey,
    /// Name of the pod.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service account.
    pub account: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address.
    pub address: String,
    /// Where its application listens.
    pub inner: String,
    /// Where it is.
    pub place: Place,
    /// Its node; empty when it has none yet.
    pub node: String,
    /// The network it says it is in; empty is all of them.
    pub network: String,
    /// The networks it asks to see; empty is all of them.
    pub view: Vec<String>,
    /// Ports that its application's containers declare, with their names.
    pub ports: Vec<(u16, String)>,
}

impl Workload {
    /// The node id Istio's proxies present: `sidecar~IP~POD.NS~NS.svc.DOMAIN`.
    pub fn node_id(&self, domain: &str) -> String {
        let kind = match self.kind {
            Kind::Sidecar => "sidecar",
            Kind::Router => "router",
        };
        format!("{kind}~{}~{}.{ns}~{ns}.svc.{domain}", self.address, self.name, ns = self.namespace)
    }

    /// Its SPIFFE identity in a trust domain.
    pub fn identity(&self, trust_domain: &str) -> String {
        mesh::spiffe(trust_domain, &self.namespace, &self.account)
    }

    /// The name of the application and its version, as Istio's telemetry calls them.
    pub fn canonical(&self) -> (String, String) {
        let first = |names: &[&str]| names.iter().find_map(|n| self.labels.get(*n)).filter(|v| !v.is_empty()).cloned();
        let name = first(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]);
        let revision = first(&["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"]);
        (name.unwrap_or_else(|| self.name.clone()), revision.unwrap_or_else(|| "latest".into()))
    }
}

/// Every proxy of a cluster that has an address, in the order of its pods' names.
pub fn workloads(world: &World, cluster: &ClusterName) -> Vec<Workload> {
    let nodes: BTreeMap<&str, &Value> =
        world.all(cluster.as_str(), "", "Node").map(|(k, n)| (k.name.as_str(), n)).collect();
    let pods = world.all(cluster.as_str(), "", "Pod");
    pods.filter_map(|(key, pod)| read(key, pod, &nodes)).collect()
}

fn read(key: &ObjectKey, pod: &Value, nodes: &BTreeMap<&str, &Value>) -> Option<Workload> {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).filter(|t| !t.is_empty());
    let phase = text("/status/phase").unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        return None;
    }
    let containers = || {
        let lists = ["/spec/initContainers", "/spec/containers"].map(|p| pod.pointer(p).and_then(Value::as_array));
        lists.into_iter().flatten().flatten()
    };
    let name = |c: &Value| c.get("name").and_then(Value::as_str).unwrap_or_default().to_string();
    let proxy = containers().find(|c| name(c) == PROXY_CONTAINER)?;
    let arguments = proxy.get("args").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let said = |variable: &str| {
        let all = proxy.get("env").and_then(Value::as_array).into_iter().flatten();
        all.into_iter().find(|e| e["name"] == variable)?.get("value")?.as_str().filter(|v| !v.is_empty())
    };
    let kind = if arguments.clone().any(|a| a == "router") { Kind::Router } else { Kind::Sidecar };
    let ports = containers().filter(|c| name(c) != PROXY_CONTAINER).flat_map(|c| {
        let ports = c.get("ports").and_then(Value::as_array).into_iter().flatten();
        ports.filter_map(|p| {
            let number = p.get("containerPort")?.as_u64().and_then(|n| u16::try_from(n).ok())?;
            Some((number, name(p)))
        })
    });
    let node = text("/spec/nodeName").unwrap_or_default();
    let inner = pod.get("metadata")?.get("annotations").and_then(|a| a.get(INNER_ADDRESS)).and_then(Value::as_str);
    Some(Workload {
        kind,
        object: key.clone(),
        name: key.name.clone(),
        namespace: key.namespace.clone().unwrap_or_default(),
        account: text("/spec/serviceAccountName").unwrap_or("default").into(),
        labels: labels(pod),
        address: text("/status/podIP")?.into(),
        inner: inner.unwrap_or("127.0.0.1").into(),
        place: Place::of_pod(pod, nodes.get(node).copied()),
        node: node.into(),
        network: said("ISTIO_META_NETWORK").or(label(pod, NETWORK)).unwrap_or_default().into(),
        view: said("ISTIO_META_REQUESTED_NETWORK_VIEW")
            .into_iter()
            .flat_map(|v| v.split(','))
            .map(str::to_string)
            .collect(),
        ports: ports.collect(),
    })
}

/// All labels of an object.
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string()))).collect()
}
