//! Service Mesh Hub as a controller on a management cluster: it discovers the meshes of registered clusters, makes their
//! trust common, and turns VirtualMeshes, TrafficPolicies and FailoverServices into plain Istio objects on them.
//! What comes in: a client of the management cluster; registrations are found there. What goes out: discovery objects
//! and status there, Istio objects and `cacerts` on the registered clusters.
//! May not know: whose API servers these are; who reads what it writes.
//!
//! What it decides it has from [`crate::compile`]: this controller is the road, not the rules. As the real one, it acts
//! when its inputs change, and does not watch its outputs: an object that somebody deletes on a cluster stays away until
//! the next change of a policy or of what is discovered.
//!
//! What it does otherwise: the hub issues each cluster's intermediate itself (the real one has an agent there make the
//! key and ask), and a Service whose Pods are all gone stays discovered for as long as its workload exists.

pub mod discovery;
pub mod install;
pub mod networking;
pub mod run;
pub mod status;
pub mod trust;

/// The namespace of its objects.
pub const NAMESPACE: &str = "service-mesh-hub";
/// The label of everything it owns on registered clusters; its value is the hub's namespace.
pub const OWNER: &str = "owner.networking.smh.solo.io";
/// The label of discovered objects; its value is the cluster's name.
pub const DISCOVERED: &str = "cluster.discovery.smh.solo.io";
/// The name under which it writes.
pub const MANAGER: &str = "service-mesh-hub";
