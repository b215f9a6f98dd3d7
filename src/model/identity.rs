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
