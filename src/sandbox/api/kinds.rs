//! The kinds that are served, as a table: built-in ones, and those that custom resource definitions add.
//! What comes in: stored CustomResourceDefinitions. What goes out: which path serves which kind, and how.
//! May not know: HTTP, objects other than definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::definition::is_established;
use super::schema::Shape;

/// What can be asked of one object besides itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sub {
    /// The part that controllers write.
    Status,
    /// Replicas, as `autoscaling/v1 Scale`.
    Scale,
    /// Container output, from the node.
    Log,
    /// A command in a container, through the node.
    Exec,
    /// The streams of a container's own process, through the node.
    Attach,
    /// Streams to a port of a Pod, through the node.
    PortForward,
    /// Assigns a Pod to a node.
    Binding,
    /// Deletes a Pod politely.
    Eviction,
    /// Issues a token for a ServiceAccount.
    Token,
    /// Removes a namespace's own finalizer.
    Finalize,
}

impl Sub {
    /// All of them, with path segment, kind of the body, and verbs.
    const TABLE: [(Sub, &'static str, &'static str, &'static [&'static str]); 10] = [
        (Sub::Status, "status", "", &["get", "patch", "update"]),
        (Sub::Scale, "scale", "Scale", &["get", "patch", "update"]),
        (Sub::Log, "log", "", &["get"]),
        (Sub::Exec, "exec", "PodExecOptions", &["create", "get"]),
        (Sub::Attach, "attach", "PodAttachOptions", &["create", "get"]),
        (Sub::PortForward, "portforward", "PodPortForwardOptions", &["create", "get"]),
        (Sub::Binding, "binding", "Binding", &["create"]),
        (Sub::Eviction, "eviction", "Eviction", &["create"]),
        (Sub::Token, "token", "TokenRequest", &["create"]),
        (Sub::Finalize, "finalize", "", &["update"]),
    ];

    /// From the path segment.
    pub fn parse(segment: &str) -> Option<Sub> {
        Sub::TABLE.iter().find(|row| row.1 == segment).map(|row| row.0)
    }

    fn row(self) -> &'static (Sub, &'static str, &'static str, &'static [&'static str]) {
        Sub::TABLE.iter().find(|row| row.0 == self).unwrap_or(&Sub::TABLE[0])
    }

    /// The path segment.
    pub fn segment(self) -> &'static str {
        self.row().1
    }

    /// Verbs, as discovery lists them.
    pub fn verbs(self) -> &'static [&'static str] {
        self.row().3
    }

    /// Group, version and kind of the body, where it is not the parent's own kind.
    pub fn body(self) -> Option<(&'static str, &'static str, &'static str)> {
        let kind = self.row().2;
        match self {
            Sub::Status | Sub::Finalize | Sub::Log => None,
            Sub::Scale => Some(("autoscaling", "v1", kind)),
            Sub::Eviction => Some(("policy", "v1", kind)),
            Sub::Token => Some(("authentication.k8s.io", "v1", kind)),
            _ => Some(("", "v1", kind)),
        }
    }
}

/// What a CustomResourceDefinition says about one served version.
#[derive(Clone, Debug)]
pub struct Custom {
    /// `schema.openAPIV3Schema`.
    pub schema: Option<Value>,
    /// The fields it has.
    pub shape: Shape,
    /// `additionalPrinterColumns`.
    pub columns: Vec<Value>,
    /// JSON paths of the scale subresource: replicas wanted, replicas there, selector.
    pub scale: Option<(String, String, Option<String>)>,
    /// `selectableFields`, as `spec.color`.
    pub selectable: Vec<String>,
    /// The version that is stored.
    pub storage_version: String,
}

/// One kind in one version.
#[derive(Clone, Debug)]
pub struct Resource {
    /// API group; empty for core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural, as in paths.
    pub plural: String,
    /// Singular.
    pub singular: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names for kubectl.
    pub short: Vec<String>,
    /// Categories such as `all`.
    pub categories: Vec<String>,
    /// What else can be asked of an object.
    pub subs: Vec<Sub>,
    /// False for reviews, which are answered and never stored.
    pub stored: bool,
    /// Whether `metadata.generation` counts changes of the wish.
    pub generation: bool,
    /// Set for kinds that come from a definition.
    pub custom: Option<Arc<Custom>>,
}

/// Verbs of a stored kind.
pub const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Resource {
    /// `apps/v1`, `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// `deployments.apps`, `pods`: as messages name it.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The name of the table it is stored in. Both kinds of Event are one.
    pub fn table(&self) -> String {
        if self.is("events.k8s.io", "Event") { "events".into() } else { self.qualified() }
    }

    /// Whether it is this group and kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// Verbs, as discovery lists them.
    pub fn verbs(&self) -> &'static [&'static str] {
        if self.stored { &VERBS } else { &["create"] }
    }

    /// Whether it has this subresource.
    pub fn has(&self, sub: Sub) -> bool {
        self.subs.contains(&sub)
    }
}

/// group, version, kind, plural, short names, namespaced, in `all`, subresources.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str, bool, bool, &'static [Sub]);

const STATUS: &[Sub] = &[Sub::Status];
const SCALED: &[Sub] = &[Sub::Status, Sub::Scale];
const POD: &[Sub] = &[Sub::Status, Sub::Log, Sub::Exec, Sub::Attach, Sub::PortForward, Sub::Binding, Sub::Eviction];
const RBAC: &str = "rbac.authorization.k8s.io";

#[rustfmt::skip]
const BUILT_IN: &[Row] = &[
    ("", "v1", "ConfigMap", "configmaps", "cm", true, false, &[]),
    ("", "v1", "Endpoints", "endpoints", "ep", true, false, &[]),
    ("", "v1", "Event", "events", "ev", true, false, &[]),
    ("", "v1", "Namespace", "namespaces", "ns", false, false, &[Sub::Status, Sub::Finalize]),
    ("", "v1", "Node", "nodes", "no", false, false, STATUS),
    ("", "v1", "Pod", "pods", "po", true, true, POD),
    ("", "v1", "Secret", "secrets", "", true, false, &[]),
    ("", "v1", "Service", "services", "svc", true, true, STATUS),
    ("", "v1", "ServiceAccount", "serviceaccounts", "sa", true, false, &[Sub::Token]),
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "", false, false, &[]),
    ("apps", "v1", "DaemonSet", "daemonsets", "ds", true, true, STATUS),
    ("apps", "v1", "Deployment", "deployments", "deploy", true, true, SCALED),
    ("apps", "v1", "ReplicaSet", "replicasets", "rs", true, true, SCALED),
    ("apps", "v1", "StatefulSet", "statefulsets", "sts", true, true, SCALED),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", "crd,crds", false, false, STATUS),
    ("coordination.k8s.io", "v1", "Lease", "leases", "", true, false, &[]),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "", true, false, &[]),
    ("events.k8s.io", "v1", "Event", "events", "ev", true, false, &[]),
    (RBAC, "v1", "ClusterRole", "clusterroles", "", false, false, &[]),
    (RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", "", false, false, &[]),
    (RBAC, "v1", "Role", "roles", "", true, false, &[]),
    (RBAC, "v1", "RoleBinding", "rolebindings", "", true, false, &[]),
    // Reviews: answered, never stored.
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", "", false, false, &[]),
    ("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", "", false, false, &[]),
    ("authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", "", true, false, &[]),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", false, false, &[]),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "", false, false, &[]),
    ("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", "", false, false, &[]),
];

fn built_in(row: &Row) -> Resource {
    let (group, version, kind, plural, short, namespaced, all, subs) = *row;
    Resource {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        namespaced,
        short: short.split(',').filter(|s| !s.is_empty()).map(Into::into).collect(),
        categories: if all { vec!["all".into()] } else { Vec::new() },
        subs: subs.to_vec(),
        stored: !kind.ends_with("Review"),
        generation: matches!(
            group,
            "apps" | "admissionregistration.k8s.io" | "apiextensions.k8s.io" | "discovery.k8s.io"
        ),
        custom: None,
    }
}

/// Every kind that is served now.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    kinds: BTreeMap<(String, String), BTreeMap<String, Arc<Resource>>>,
}

impl Registry {
    /// The built-in kinds and those of the given definitions, once established.
    pub fn new<'a>(definitions: impl Iterator<Item = &'a Value>) -> Self {
        let mut registry = Registry::default();
        BUILT_IN.iter().map(built_in).for_each(|r| registry.add(r));
        definitions.filter(|d| is_established(d)).flat_map(custom).for_each(|r| registry.add(r));
        registry
    }

    fn add(&mut self, resource: Resource) {
        let group = (resource.group.clone(), resource.version.clone());
        self.kinds.entry(group).or_default().insert(resource.plural.clone(), Arc::new(resource));
    }

    /// The kind behind `/apis/GROUP/VERSION/PLURAL`.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.kinds.get(&(group.to_string(), version.to_string()))?.get(plural).cloned()
    }

    /// All kinds of one group and version.
    pub fn of<'a>(&'a self, group: &str, version: &str) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.kinds.get(&(group.to_string(), version.to_string())).into_iter().flat_map(BTreeMap::values)
    }

    /// All kinds.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.kinds.values().flat_map(BTreeMap::values)
    }

    /// Groups with their versions, the preferred first: core apart from the rest, alphabetical.
    pub fn groups(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (group, version) in self.kinds.keys() {
            groups.entry(group).or_default().push(version);
        }
        groups.values_mut().for_each(|v| v.sort_by_key(|version| std::cmp::Reverse(rank(version))));
        groups
    }
}

/// Kubernetes' order of versions: stable before beta before alpha, higher first, anything else last.
fn rank(version: &str) -> (u8, u32, u32) {
    let number = |s: &str| s.parse::<u32>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let parts = |mark: &str| rest.split_once(mark).and_then(|(a, b)| Some((number(a)?, number(b)?)));
    match (number(rest), parts("beta"), parts("alpha")) {
        (Some(major), ..) => (3, major, 0),
        (_, Some((major, beta)), _) => (2, major, beta),
        (.., Some((major, alpha))) => (1, major, alpha),
        _ => (0, 0, 0),
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

/// The kinds that one stored definition serves.
fn custom(definition: &Value) -> Vec<Resource> {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let storage = versions.iter().find(|v| v["storage"] == true).map(|v| text(&v["name"])).unwrap_or_default();
    let served = versions.iter().filter(|v| v["served"] == true);
    served
        .map(|version| {
            let scale = &version["subresources"]["scale"];
            let mut subs = Vec::new();
            subs.extend(version["subresources"]["status"].is_object().then_some(Sub::Status));
            subs.extend(scale.is_object().then_some(Sub::Scale));
            let kind = text(&names["kind"]);
            Resource {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&names["plural"]),
                singular: names["singular"].as_str().map_or_else(|| kind.to_lowercase(), Into::into),
                namespaced: spec["scope"] == "Namespaced",
                short: texts(&names["shortNames"]),
                categories: texts(&names["categories"]),
                subs,
                stored: true,
                generation: true,
                custom: Some(Arc::new(Custom {
                    shape: Shape::custom(version["schema"].get("openAPIV3Schema")),
                    schema: version["schema"].get("openAPIV3Schema").cloned(),
                    columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
                    scale: scale.is_object().then(|| {
                        let selector = scale["labelSelectorPath"].as_str().map(Into::into);
                        (text(&scale["specReplicasPath"]), text(&scale["statusReplicasPath"]), selector)
                    }),
                    selectable: version["selectableFields"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .filter_map(|f| f["jsonPath"].as_str())
                        .map(|p| p.trim_start_matches('.').to_string())
                        .collect(),
                    storage_version: storage.clone(),
                })),
                kind,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ranked_as_kubernetes_ranks_them() {
        let mut versions = ["foo1", "v1alpha2", "v2", "v1beta1", "v10", "v1", "v1beta3"];
        versions.sort_by_key(|v| std::cmp::Reverse(rank(v)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta3", "v1beta1", "v1alpha2", "foo1"]);
    }
}
