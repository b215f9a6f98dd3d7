//! Who is who in certificates. One fleet, one root; each cluster's failover gateway is a server, and each cluster that
//! fails over to others is a client. The names are DNS subject alternative names under a suffix that no resolver knows.

use super::name::ClusterName;

/// The suffix of every name. `.internal` is reserved for private use (ICANN resolution of July 2024).
const SUFFIX: &str = "failctl.internal";

/// The subject alternative name of a cluster's failover gateway.
pub fn server(fleet: &str, cluster: &ClusterName) -> String {
    format!("{cluster}.gateway.{fleet}.{SUFFIX}")
}

/// The subject alternative name of a cluster that fails over to others. Failover gateways accept these and no other.
pub fn client(fleet: &str, cluster: &ClusterName) -> String {
    format!("{cluster}.client.{fleet}.{SUFFIX}")
}

/// The common name of a fleet's root.
pub fn root(fleet: &str) -> String {
    format!("failctl root of fleet {fleet}")
}

/// A party's SPIFFE-like URI, for policies that match on it: the fleet is the trust domain.
pub fn spiffe(fleet: &str, role: &str, cluster: &ClusterName) -> String {
    format!("spiffe://{fleet}.{SUFFIX}/{role}/{cluster}")
}

/// The common name of every cluster's intermediate authority; fleet and cluster stand beside it in the subject.
pub const INTERMEDIATE: &str = "failctl intermediate CA";

/// A trust domain as a SPIFFE ID without a path: what an authority's own certificate carries.
pub fn trust_domain(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}")
}

/// A workload's identity, in Istio's form.
pub fn workload(trust_domain: &str, namespace: &str, account: &str) -> String {
    format!("spiffe://{trust_domain}/ns/{namespace}/sa/{account}")
}

/// The name under which Istio's control plane is asked inside its cluster.
pub fn istiod(namespace: &str) -> String {
    format!("istiod.{namespace}.svc")
}
