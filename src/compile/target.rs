//! Between gateways or between services of a mesh. What comes in: a fleet and a failover. What goes out: which of the
//! two, or why nobody can tell. May not know: what either of them compiles to.

use std::collections::BTreeSet;

use crate::model::failover::{Failover, Target, TargetChoice};
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// Where a failover happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Between Gloo's gateways.
    Gloo,
    /// Between services of a mesh.
    Mesh,
}

/// The family a failover belongs to. `auto` follows what runs on the primary; where both run, a `route` says edge.
pub fn family(fleet: &Fleet, failover: &Failover) -> Result<Family, Problem> {
    match failover.target {
        TargetChoice::Is(Target::IstioAggregate | Target::IstioLocality) => return Ok(Family::Mesh),
        TargetChoice::Is(Target::GlooFederation | Target::GlooUpstream) => return Ok(Family::Gloo),
        // Who asks for an identity of the edge in the mesh has told which side of it is meant.
        TargetChoice::Auto if failover.mesh.identity => return Ok(Family::Gloo),
        TargetChoice::Auto if !failover.mesh.transparent().is_empty() => return Ok(Family::Mesh),
        TargetChoice::Auto => {}
    }
    let primary = &failover.primary().cluster;
    let runs = fleet.clusters.get(primary).map(|c| (c.gloo.is_some(), c.istio.is_some()));
    match runs {
        Some((false, true)) => Ok(Family::Mesh),
        Some((true, true)) if failover.route.is_none() => {
            let what =
                format!("Gloo and Istio both run on `{primary}`, so `auto` cannot tell where this failover happens");
            let hint = "write target: istioLocality or istioAggregate for calls between services, glooFederation or \
                        glooUpstream (or a `route`) for the edge";
            Err(Problem::error("FCT0349", what).hint(hint).about_failover(failover.name.as_str(), "/spec/target"))
        }
        _ => Ok(Family::Gloo),
    }
}

/// Which of a mesh's targets a failover of a mesh has. `auto` is the aggregate, unless the document asks for what only
/// transparent failover has.
pub fn of_mesh(failover: &Failover) -> Target {
    match failover.target {
        TargetChoice::Is(Target::IstioLocality) => Target::IstioLocality,
        TargetChoice::Auto if !failover.mesh.transparent().is_empty() => Target::IstioLocality,
        _ => Target::IstioAggregate,
    }
}

/// The clusters whose workloads call a service that fails over in a mesh: the primary's, and where clusters join under
/// one name those that the document says, else those of the order.
pub fn callers(failover: &Failover) -> Vec<ClusterName> {
    match (of_mesh(failover), &failover.mesh.callers) {
        (Target::IstioLocality, Some(said)) => said.clone(),
        (Target::IstioLocality, None) => {
            let mut seen = BTreeSet::new();
            let all = failover.order.iter().flatten().map(|m| m.cluster.clone());
            all.filter(|c| seen.insert(c.clone())).collect()
        }
        _ => vec![failover.primary().cluster.clone()],
    }
}
