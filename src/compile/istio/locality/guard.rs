//! The guard against loops: an east-west gateway must not see the endpoints that callers of its cluster see. They lead to
//! the other gateways, and two clusters without Pods would send a request back and forth. A gateway that asks for its own
//! network alone does not see them. What comes in: a join, facts. What goes out: problems.
//! (Istio: `ISTIO_META_REQUESTED_NETWORK_VIEW`, which its samples and its gateway chart set; `ProxyView.IsVisible`.)

use std::collections::BTreeSet;

use super::super::Job;
use super::super::intent::{Backend, Join};
use crate::model::fleet::Cluster;
use crate::model::mesh;
use crate::model::problem::Problem;
use crate::resource::istio::remote_gateway::NETWORK;

/// The variable that says which networks' endpoints a proxy wants.
const VIEW: &str = "ISTIO_META_REQUESTED_NETWORK_VIEW";

/// Whether the gateway of a cluster is guarded; nothing to say when it is, or needs not be.
pub fn check(job: &Job<'_>, join: &Join, backend: &Backend) -> Vec<Problem> {
    let Some((cluster, istio)) = job.cluster(&backend.cluster) else { return Vec::new() };
    if !join.callers.contains(&cluster.name) || job.made_up(&cluster.name) {
        // Nobody writes entries there, or nobody could be asked.
        return Vec::new();
    }
    let namespace = istio.namespace.as_str();
    let facts = &job.site.facts;
    let Some(views) = facts.environment(&cluster.name, namespace, mesh::EAST_WEST, VIEW) else {
        let what =
            format!("whether the east-west gateway of `{}` sees only its own network is not known", cluster.name);
        let hint = format!("it must have {VIEW}=NETWORK, as Istio's samples and chart set it; `failctl diff` looks");
        return vec![Problem::note("FCT0390", what).hint(hint)];
    };
    let own = facts.namespace(&cluster.name, namespace).map(|labels| labels.get(NETWORK));
    let mut found: Vec<Problem> =
        views.iter().filter_map(|v| of_view(job, join, cluster, v.as_deref(), own.flatten())).collect();
    found.dedup();
    found
}

fn of_view(job: &Job<'_>, join: &Join, cluster: &Cluster, view: Option<&str>, own: Option<&String>) -> Option<Problem> {
    let name = &cluster.name;
    let hint = |network: &str| {
        format!("set {VIEW}={network} on its Deployment (Istio's gateway chart: networkGateway: {network})")
    };
    let Some(view) = view.filter(|v| !v.is_empty()) else {
        let what = format!(
            "the east-west gateway of `{name}` sees all networks ({VIEW} is not set): with no Pod left on two clusters their \
             gateways send requests back and forth"
        );
        return Some(Problem::warning("FCT0391", what).hint(hint(own.map_or(cluster.network(), String::as_str))));
    };
    let seen: BTreeSet<&str> = view.split(',').map(str::trim).collect();
    let others = join.backends().filter(|b| b.cluster != *name).filter_map(|b| job.fleet.clusters.get(&b.cluster));
    if let Some(other) = others.into_iter().find(|c| seen.contains(c.network())) {
        let what = format!(
            "the east-west gateway of `{name}` sees the network {} of `{}` ({VIEW}={view}): with no Pod left on both their \
             gateways send requests back and forth",
            other.network(),
            other.name
        );
        return Some(Problem::warning("FCT0391", what).hint(hint(own.map_or(cluster.network(), String::as_str))));
    }
    let own = own.filter(|own| !seen.contains(own.as_str()))?;
    let what = format!(
        "the east-west gateway of `{name}` sees the network {view}, and its Pods are in {own} (the label {NETWORK} of Istio's \
         namespace): it leads nowhere"
    );
    Some(Problem::error("FCT0392", what).hint(hint(own)))
}
