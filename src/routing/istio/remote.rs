//! The clusters that istiod of a cluster reads besides its own: those whose kubeconfigs it has as remote secrets. What comes
//! in: a world. What goes out: names. May not know: what the kubeconfigs hold. Rules: Istio's pkg/kube/multicluster.

use super::place::label;
use crate::manifest::World;
use crate::model::name::ClusterName;

/// The label of remote secrets.
const LABEL: (&str, &str) = ("istio/multiCluster", "true");

/// Clusters of the world that a cluster has remote secrets for; every key of one is a cluster's name.
pub fn clusters<'a>(world: &'a World, own: &ClusterName, namespace: &str) -> Vec<&'a ClusterName> {
    let secrets = world
        .all(own.as_str(), "", "Secret")
        .filter(|(k, s)| k.namespace.as_deref() == Some(namespace) && label(s, LABEL.0).is_some_and(|v| v == LABEL.1));
    let maps = secrets.flat_map(|(_, s)| ["data", "stringData"].into_iter().filter_map(|f| s.get(f)?.as_object()));
    let named = maps.flat_map(|map| map.keys().map(String::as_str)).filter(|name| *name != own.as_str());
    let mut found: Vec<&ClusterName> = named.filter_map(|n| Some(world.clusters.get_key_value(n)?.0)).collect();
    found.sort();
    found.dedup();
    found
}
