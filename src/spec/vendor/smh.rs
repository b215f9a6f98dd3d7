//! Service Mesh Hub's documents, later Gloo Mesh's: what they share, and which reader reads which. They name their clusters
//! themselves and are meant for a management plane, so failctl compiles them and writes them nowhere.
//! What comes in: one object. What goes out: what it means, or everything that is wrong with it.
//! May not know: which Services there are, what becomes of it. Source: solo-io/gloo-mesh, `api/networking/v1alpha2`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{failover_service, traffic_policy, virtual_mesh};
use crate::manifest::Gvk;
use crate::model::fleet::Fleet;
use crate::model::name::{ClusterName, Namespace, ObjectName};
use crate::model::problem::Problem;
use crate::model::smh::{Document, Reference, ServiceAt, WorkloadSelector};
use crate::spec::reading::Reading;
use crate::spec::text::{End, Located, meant};

/// The API's groups: of Service Mesh Hub, and of Gloo Mesh.
pub const GROUPS: [&str; 2] = ["networking.smh.solo.io", "networking.mesh.gloo.solo.io"];
/// The version that these documents have; Gloo Mesh 1.0's `v1` is another language.
const VERSION: &str = "v1alpha2";
/// The kinds that are read.
const KINDS: [&str; 3] = ["TrafficPolicy", "FailoverService", "VirtualMesh"];
/// Where a management plane looks for documents that name no namespace.
const NAMESPACE: &str = "default";

/// Whether an object is one of these documents.
pub fn is(value: &Value) -> bool {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let gvk = Gvk::new(text("apiVersion"), text("kind"));
    GROUPS.contains(&gvk.group.as_str()) && KINDS.contains(&gvk.kind.as_str())
}

/// Reads one document. Without a fleet names of clusters are not looked up.
pub fn read(document: &Located, value: &Value, fleet: Option<&Fleet>) -> (Option<Document>, Vec<Problem>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let gvk = Gvk::new(text("apiVersion"), text("kind"));
    let mut problems = super::nameless(document, value);
    if gvk.version != VERSION {
        let what = format!("`{}` is not a version of {} that failctl reads", gvk.version, gvk.kind);
        let hint = format!("it reads {VERSION}; Gloo Mesh 1.0 has no FailoverService and nests policies differently");
        problems.push(document.locate(Problem::error("FCT0107", what).hint(hint), "/apiVersion", End::Value));
        return (None, problems);
    }
    let Some(reference) = reference(value) else { return (None, problems) };
    let (read, found) = match gvk.kind.as_str() {
        "TrafficPolicy" => {
            let (policy, found) = traffic_policy::read(document, value.clone(), reference, fleet);
            (policy.map(Document::TrafficPolicy), found)
        }
        "FailoverService" => {
            let (service, found) = failover_service::read(document, value.clone(), reference, fleet);
            (service.map(Document::FailoverService), found)
        }
        _ => {
            let (mesh, found) = virtual_mesh::read(document, value.clone(), reference, fleet);
            (mesh.map(Document::VirtualMesh), found)
        }
    };
    problems.extend(found);
    (read, problems)
}

fn reference(value: &Value) -> Option<Reference> {
    let name = value.pointer("/metadata/name").and_then(Value::as_str)?;
    let namespace = value.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(NAMESPACE);
    Some(Reference { namespace: Namespace::new(namespace).ok()?, name: ObjectName::new(name).ok()? })
}

/// A reference to an object of the management cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefSpec {
    /// Name.
    #[schemars(required)]
    pub name: Option<String>,
    /// Namespace.
    #[schemars(required)]
    pub namespace: Option<String>,
}

impl RefSpec {
    /// The reference, if both parts are names.
    pub fn read(self, r: &mut Reading<'_>, at: &str) -> Option<Reference> {
        let name = r.word(&format!("{at}/name"), self.name, |t| ObjectName::new(t));
        let namespace = r.word(&format!("{at}/namespace"), self.namespace, |t| Namespace::new(t));
        Some(Reference { namespace: namespace?, name: name? })
    }
}

/// A reference to a Service of a registered cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceSpec {
    /// Name.
    #[schemars(required)]
    pub name: Option<String>,
    /// Namespace.
    #[schemars(required)]
    pub namespace: Option<String>,
    /// The cluster, as it is registered.
    #[schemars(required)]
    pub cluster_name: Option<String>,
}

impl ServiceSpec {
    /// The Service, if all parts are names and the cluster is one of the fleet that runs Istio.
    pub fn read(self, r: &mut Reading<'_>, at: &str, fleet: Option<&Fleet>) -> Option<ServiceAt> {
        let name = r.word(&format!("{at}/name"), self.name, |t| ObjectName::new(t));
        let namespace = r.word(&format!("{at}/namespace"), self.namespace, |t| Namespace::new(t));
        let cluster = cluster(r, &format!("{at}/clusterName"), self.cluster_name, fleet);
        Some(ServiceAt { cluster: cluster?, namespace: namespace?, name: name? })
    }
}

/// A cluster of the fleet that runs Istio.
pub fn cluster(r: &mut Reading<'_>, at: &str, text: Option<String>, fleet: Option<&Fleet>) -> Option<ClusterName> {
    let name = r.word(at, text, |t| ClusterName::new(t))?;
    let Some(fleet) = fleet else { return Some(name) };
    match fleet.clusters.get(&name) {
        Some(cluster) if cluster.istio.is_some() => return Some(name),
        Some(_) => {
            let hint = "add istio: {version: …} to that cluster of the fleet";
            r.error("FCT0342", at, format!("the fleet does not say that Istio runs on `{name}`"), Some(hint.into()));
        }
        None => {
            let hint = meant(name.as_str(), fleet.clusters.keys().map(ClusterName::as_str));
            r.error("FCT0210", at, format!("`{name}` is no cluster of the fleet"), Some(hint));
        }
    }
    None
}

/// The names Service Mesh Hub gives the meshes of a fleet: `DEPLOYMENT-NAMESPACE-CLUSTER`.
pub fn mesh_name(cluster: &ClusterName, namespace: &Namespace) -> String {
    format!("istiod-{namespace}-{cluster}")
}

/// A mesh as discovery names it → its cluster.
pub fn mesh(r: &mut Reading<'_>, at: &str, spec: RefSpec, fleet: Option<&Fleet>) -> Option<ClusterName> {
    let reference = spec.read(r, at)?;
    let fleet = fleet?;
    let with_istio = || fleet.clusters.values().filter_map(|c| Some((c, c.istio.as_ref()?)));
    let found = with_istio().find(|(c, i)| mesh_name(&c.name, &i.namespace) == reference.name.as_str());
    if let Some((cluster, _)) = found {
        return Some(cluster.name.clone());
    }
    let known: Vec<_> = with_istio().map(|(c, i)| mesh_name(&c.name, &i.namespace)).collect();
    let what = format!("no mesh is named `{}`: discovery names them istiod-NAMESPACE-CLUSTER", reference.name);
    r.error(
        "FCT0360",
        &format!("{at}/name"),
        what,
        Some(meant(reference.name.as_str(), known.iter().map(String::as_str))),
    );
    None
}

/// Labels, namespaces, clusters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SelectorSpec {
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Namespaces.
    pub namespaces: Option<Vec<String>>,
    /// Clusters.
    pub clusters: Option<Vec<String>>,
}

impl SelectorSpec {
    /// The selector.
    pub fn read(self, r: &mut Reading<'_>, at: &str, fleet: Option<&Fleet>) -> WorkloadSelector {
        let mut selector = WorkloadSelector { labels: self.labels.unwrap_or_default(), ..Default::default() };
        for (i, text) in self.namespaces.into_iter().flatten().enumerate() {
            selector.namespaces.extend(r.word(&format!("{at}/namespaces/{i}"), Some(text), |t| Namespace::new(t)));
        }
        for (i, text) in self.clusters.into_iter().flatten().enumerate() {
            selector.clusters.extend(cluster(r, &format!("{at}/clusters/{i}"), Some(text), fleet));
        }
        selector
    }
}
