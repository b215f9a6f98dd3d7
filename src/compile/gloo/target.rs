//! Which of Gloo's two ways a failover takes. What comes in: a fleet and a failover. What goes out: a target, or every
//! reason why there is none.

use super::{Place, Way};
use crate::model::failover::{Failover, Target, TargetChoice};
use crate::model::fleet::{Cluster, Edition, Fleet};
use crate::model::problem::Problem;

/// The way a failover takes. `auto`: with Federation somewhere in the fleet its FailoverScheme, else
/// `Upstream.failover`. Both need Enterprise on the primary; a backup may be open source.
pub fn choose(fleet: &Fleet, failover: &Failover) -> Result<Way, Vec<Problem>> {
    let name = failover.name.as_str();
    let mut problems = Vec::new();
    for (g, group) in failover.order.iter().enumerate() {
        for (m, member) in group.iter().enumerate() {
            let gloo = fleet.clusters.get(&member.cluster).and_then(|c| c.gloo.as_ref());
            if gloo.is_none() {
                let what = format!("the fleet does not say that Gloo runs on `{}`", member.cluster);
                let problem = Problem::error("FCT0305", what).hint(
                    "add gloo: {edition: …, version: …} to that cluster; both targets need Gloo on every cluster of the order",
                );
                problems.push(problem.about_failover(name, format!("/spec/order/{g}/clusters/{m}/name")));
            }
        }
    }
    let primary = failover.primary();
    if let Some(more) = failover.order.first().filter(|g| g.len() > 1) {
        let what = format!("Gloo has one primary, this first group has {} members", more.len());
        let problem = Problem::error("FCT0306", what).hint(
            "leave one in the first group and put the others into the second; each side routes to its own primary",
        );
        problems.push(problem.about_failover(name, "/spec/order/0/clusters/1"));
    }
    let runs = super::place(fleet, &primary.cluster);
    if let Some(problem) = runs.and_then(|p| open_source(fleet, p)) {
        problems.push(problem);
    }
    let federation = manager(fleet);
    let way = match failover.target {
        TargetChoice::Is(Target::GlooFederation) => Way::Federation,
        TargetChoice::Is(Target::GlooUpstream) => Way::Upstream,
        TargetChoice::Is(Target::IstioAggregate | Target::IstioLocality) => return Err(vec![of_a_mesh(failover)]),
        TargetChoice::Auto if federation.is_some() => Way::Federation,
        TargetChoice::Auto => Way::Upstream,
    };
    if way == Way::Federation && federation.is_none() {
        let problem =
            Problem::error("FCT0307", "`glooFederation` needs Gloo Federation, and no cluster of the fleet runs it")
                .hint("add gloo.federation: {} to the cluster that runs it, or write target: glooUpstream");
        problems.push(problem.about_failover(name, "/spec/target"));
    }
    if problems.is_empty() { Ok(way) } else { Err(problems) }
}

/// Certificates between Gloo's gateways, for example, are asked for by failovers of Gloo alone.
fn of_a_mesh(failover: &Failover) -> Problem {
    let target = super::super::target::of_mesh(failover).as_str();
    let what = format!("`{}` has target {target}, which is a mesh's and none of Gloo's", failover.name);
    let hint = "write target: glooFederation or glooUpstream for a failover between gateways";
    Problem::error("FCT0330", what).hint(hint).about_failover(failover.name.as_str(), "/spec/target")
}

fn open_source(fleet: &Fleet, place: Place<'_>) -> Option<Problem> {
    if place.gloo.edition == Edition::Enterprise {
        return None;
    }
    let name = &place.cluster.name;
    let what = format!(
        "`{name}` is the primary of a failover and runs open-source Gloo, which rejects Upstream.failover (and with it what \
         a FailoverScheme writes): there would be no backup"
    );
    let enterprise = |c: &&Cluster| c.gloo.as_ref().is_some_and(|g| g.edition == Edition::Enterprise);
    let others: Vec<_> = fleet.clusters.values().filter(enterprise).map(|c| format!("`{}`", c.name)).collect();
    let hint = if others.is_empty() {
        "run Gloo Enterprise there (targets glooFederation and glooUpstream); open source can only be a backup"
            .to_string()
    } else {
        let others = others.join(", ");
        format!(
            "run Gloo Enterprise there, or put a cluster that has it first ({others}); open source can only be a backup"
        )
    };
    let index = fleet.clusters.get_index_of(name)?;
    let pointer = format!("/spec/clusters/{index}/gloo/edition");
    Some(Problem::error("FCT0308", what).hint(hint).about_fleet(pointer))
}

/// The cluster that manages the fleet's federation, and the namespace of its resources.
pub fn manager(fleet: &Fleet) -> Option<(&Cluster, &crate::model::name::Namespace)> {
    fleet.clusters.values().find_map(|c| Some((c, c.gloo.as_ref()?.federation.as_ref()?)))
}
