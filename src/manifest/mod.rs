//! A keyed object for one cluster, who holds it, and in which wave it is written.
//! What comes in: bodies made from typed resources or read from clusters. What goes out: keyed values.
//! May not know: compilers, clients, files.

mod set;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::name::ClusterName;

pub use set::{DocumentSet, SET_LABEL, set_of};

/// Label on every object failctl creates.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "failctl");
/// Label naming the failover (or `fleet`) an object belongs to.
pub const OWNER_LABEL: &str = "failctl.dev/owner";
/// The owner of a mesh's trust (`cacerts`). It outlives failovers: taking it away would make every workload of a
/// cluster a stranger to the others.
pub const TRUST_OWNER: &str = "trust";
/// The owner of what makes a cluster a member of the fleet: accounts, roles, registrations.
pub const MEMBERSHIP_OWNER: &str = "membership";
/// Annotation naming the cluster in a rendered stream.
pub const CLUSTER_ANNOTATION: &str = "failctl.dev/cluster";
/// The field manager of everything failctl applies.
pub const FIELD_MANAGER: &str = "failctl";

/// Group, version and kind. The core group is the empty string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Gvk {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl Gvk {
    /// From `apiVersion` (`v1`, `apps/v1`) and `kind`.
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Gvk { group: group.into(), version: version.into(), kind: kind.into() }
    }

    /// As `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// Which object, on which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// Kind.
    pub gvk: Gvk,
    /// Namespace; none for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} ", self.cluster, self.gvk.kind)?;
        self.namespace.iter().try_for_each(|n| write!(f, "{n}/"))?;
        f.write_str(&self.name)
    }
}

/// Who holds an object, and so what delete may do to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Hold {
    /// failctl creates it and deletes it.
    Own,
    /// It belongs to somebody else; failctl owns the fields in the body and releases them.
    Fields,
    /// failctl owns named items of an atomic list in an object that may belong to somebody else.
    /// If the object does not exist, the body is created and owned.
    Items {
        /// Path to the list, for example `["spec", "virtualHost", "routes"]`.
        path: Vec<String>,
        /// The item field that names an item, for example `name`.
        key: String,
    },
    /// failctl changes a part of a text in an object that belongs to somebody else. The body says the whole text as it
    /// is to be; it is written only over the text it was made from.
    Text {
        /// Path to the text, for example `["data", "mesh"]`.
        path: Vec<String>,
        /// The annotation in which failctl records its part; the body says its value.
        annotation: String,
        /// The text without failctl's part.
        without: String,
    },
}

/// The order of writes: lower waves first, and within a fleet the backup side before the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Wave {
    /// Namespaces and accounts.
    Foundations,
    /// Secrets.
    Secrets,
    /// Services and workloads of the user's own documents.
    Workloads,
    /// Gateways and their Services on the backup side.
    Gateways,
    /// Detection on the Upstreams.
    Upstreams,
    /// The failover itself.
    Failover,
    /// Routes that point at it.
    Routes,
}

/// One desired object.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Which object.
    pub key: ObjectKey,
    /// The object, with apiVersion, kind and metadata.
    pub body: Value,
    /// Who holds it.
    pub hold: Hold,
    /// When it is written.
    pub wave: Wave,
}

/// Objects of one cluster, or why they could not be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// Set when the cluster (or part of it) could not be read: objects are then incomplete.
    pub unreachable: Option<String>,
    /// The objects.
    pub by_key: BTreeMap<ObjectKey, Value>,
}

/// Objects of many clusters: rendered or live, the reader cannot tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// By cluster.
    pub clusters: BTreeMap<ClusterName, Objects>,
}

impl World {
    /// Puts an object in; its key is read from its own apiVersion, kind and metadata.
    /// Nothing when a part of the key is missing.
    pub fn insert(&mut self, cluster: &ClusterName, body: Value) -> Option<ObjectKey> {
        let key = key_of(cluster, &body)?;
        self.clusters.entry(cluster.clone()).or_default().by_key.insert(key.clone(), body);
        Some(key)
    }

    /// All objects of a group and kind (any version) on a cluster, in key order.
    pub fn all<'a>(
        &'a self,
        cluster: &str,
        group: &'a str,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> {
        let objects = self.clusters.get(cluster).map(|o| &o.by_key);
        objects.into_iter().flatten().filter(move |(k, _)| k.gvk.group == group && k.gvk.kind == kind)
    }

    /// One object by group, kind, namespace and name (any version).
    pub fn get<'a>(
        &'a self,
        cluster: &str,
        group: &'a str,
        kind: &'a str,
        namespace: &str,
        name: &str,
    ) -> Option<&'a Value> {
        let found = self
            .all(cluster, group, kind)
            .find(|(k, _)| k.name == name && k.namespace.as_deref().unwrap_or("") == namespace);
        found.map(|(_, v)| v)
    }
}

/// The key an object carries in itself.
pub fn key_of(cluster: &ClusterName, body: &Value) -> Option<ObjectKey> {
    let text = |path: &str| body.pointer(path).and_then(Value::as_str);
    Some(ObjectKey {
        cluster: cluster.clone(),
        gvk: Gvk::new(text("/apiVersion")?, text("/kind")?),
        namespace: text("/metadata/namespace").map(str::to_string),
        name: text("/metadata/name")?.to_string(),
    })
}
