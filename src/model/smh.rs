//! Service Mesh Hub's documents (later Gloo Mesh, open source), read: what is selected, and what is asked of it.
//! May not know: which Services there are, Istio. Source: solo-io/gloo-mesh, `api/networking/v1alpha2`.

use std::collections::BTreeMap;

use super::duration::Millis;
use super::failover::OutlierDetection;
use super::mesh::Protocol;
use super::name::{ClusterName, Namespace, ObjectName};

/// Name and namespace on the management cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Namespace.
    pub namespace: Namespace,
    /// Name.
    pub name: ObjectName,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A Service of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAt {
    /// The cluster, as it is registered.
    pub cluster: ClusterName,
    /// Namespace.
    pub namespace: Namespace,
    /// Name.
    pub name: ObjectName,
}

impl std::fmt::Display for ServiceAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} on `{}`", self.namespace, self.name, self.cluster)
    }
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// What is done to traffic.
    TrafficPolicy(TrafficPolicy),
    /// A host that stands for several clusters' Services.
    FailoverService(FailoverService),
    /// Meshes that trust each other.
    VirtualMesh(VirtualMesh),
}

impl Document {
    /// `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Document::TrafficPolicy(_) => "TrafficPolicy",
            Document::FailoverService(_) => "FailoverService",
            Document::VirtualMesh(_) => "VirtualMesh",
        }
    }

    /// Name and namespace.
    pub fn reference(&self) -> &Reference {
        match self {
            Document::TrafficPolicy(d) => &d.reference,
            Document::FailoverService(d) => &d.reference,
            Document::VirtualMesh(d) => &d.reference,
        }
    }

    /// The clusters whose callers it sends elsewhere.
    pub fn callers(&self) -> &[ClusterName] {
        match self {
            Document::FailoverService(service) => &service.clients,
            Document::TrafficPolicy(_) | Document::VirtualMesh(_) => &[],
        }
    }

    /// Whether nobody can tell without asking clusters which Services it is about.
    pub fn selects_by_label(&self) -> bool {
        let Document::TrafficPolicy(policy) = self else { return false };
        let named = |s: &ServiceSelector| s.matcher.is_none() && !s.refs.is_empty();
        policy.destinations.is_empty() || !policy.destinations.iter().all(named)
    }

    /// How problems name it: no failover's name holds a space.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind(), self.reference())
    }
}

/// What is done to the traffic towards some Services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// Name and namespace.
    pub reference: Reference,
    /// Whose requests; everybody's when empty.
    pub sources: Vec<WorkloadSelector>,
    /// Which Services; all when empty.
    pub destinations: Vec<ServiceSelector>,
    /// Which requests; all when empty.
    pub matchers: Vec<HttpMatcher>,
    /// Where they are sent instead, with percent of them.
    pub shift: Vec<(ShiftTo, Option<u32>)>,
    /// How loss is noticed.
    pub outlier: Option<OutlierDetection>,
    /// When they are tried again.
    pub retries: Option<Retries>,
    /// Time a whole request may take.
    pub timeout: Option<Millis>,
}

/// Retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Retries after the first attempt.
    pub attempts: u32,
    /// Time one attempt may take.
    pub per_try_timeout: Option<Millis>,
}

/// Senders: all of what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkloadSelector {
    /// Labels of the Pods.
    pub labels: BTreeMap<String, String>,
    /// Namespaces; any when empty.
    pub namespaces: Vec<Namespace>,
    /// Clusters; any when empty.
    pub clusters: Vec<ClusterName>,
}

/// Services: those that match, and those that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceSelector {
    /// By labels, namespaces and clusters of the Service itself.
    pub matcher: Option<WorkloadSelector>,
    /// By name.
    pub refs: Vec<ServiceAt>,
}

/// Requests: all of what is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpMatcher {
    /// Path.
    pub path: Option<Path>,
    /// Method.
    pub method: Option<String>,
    /// Headers: name, value (none: there at all), whether it is a regular expression, whether it must not match.
    pub headers: Vec<(String, Option<String>, bool, bool)>,
    /// Query parameters: name, value, whether it is a regular expression.
    pub parameters: Vec<(String, Option<String>, bool)>,
}

/// How a path is matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// The whole path.
    Exact(String),
    /// Its beginning.
    Prefix(String),
    /// A regular expression.
    Regex(String),
}

/// Where requests are sent instead.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShiftTo {
    /// A FailoverService.
    Failover(Reference),
    /// Another Service, and its port where it has several.
    Service(ServiceAt, Option<u16>),
}

/// A host that stands for several clusters' Services, the first preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverService {
    /// Name and namespace.
    pub reference: Reference,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// The clusters in whose meshes the host is seen.
    pub clients: Vec<ClusterName>,
    /// The Services.
    pub backends: Vec<ServiceAt>,
}

/// Meshes that trust each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMesh {
    /// Name and namespace.
    pub reference: Reference,
    /// The clusters of its meshes.
    pub clusters: Vec<ClusterName>,
    /// Where the common root comes from.
    pub root: Root,
    /// Whether Pods are restarted when their mesh gets another root.
    pub restart: bool,
}

/// Where a common root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// It is made: days it lasts, bits of its key, organisation.
    Generated(u32, u32, String),
    /// A Secret on the management cluster with `root-cert.pem` and `key.pem`.
    Secret(Reference),
}
