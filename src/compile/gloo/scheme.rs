//! The FailoverScheme, on the cluster that manages federation. Federation makes `Upstream.failover` of it, and finds
//! the addresses of failover gateways by itself.

use super::super::Made;
use super::{Job, manifest, names, place, target};
use crate::manifest::{Hold, Wave};
use crate::model::failover::Member;
use crate::model::problem::Problem;
use crate::resource::failover_scheme::{FailoverGroup, FailoverScheme, Primary, Target};
use crate::resource::{Meta, Object};

/// Writes the scheme.
pub fn write(job: &Job<'_>, made: &mut Made) {
    let Some((manager, namespace)) = target::manager(job.fleet) else { return };
    let Some(managing) = place(job.fleet, &manager.name) else { return };
    let groups =
        job.failover.order.iter().skip(1).map(|group| FailoverGroup {
            priority_group: group.iter().filter_map(|m| scheme_target(job, m)).collect(),
        });
    let primary = job.failover.primary();
    let scheme = FailoverScheme {
        failover_groups: groups.collect(),
        primary: Primary {
            cluster_name: primary.cluster.to_string(),
            upstream: names::upstream(job.primary.gloo, &primary.service),
        },
    };
    let owner = job.failover.name.as_str();
    let meta = Meta::new(owner, namespace.as_str()).labels(names::labels(owner));
    let body = Object::new(meta, scheme).body();
    made.manifests.push(manifest(managing, body, Hold::Own, Wave::Failover));
    overrides(job, made);
}

fn scheme_target(job: &Job<'_>, member: &Member) -> Option<Target> {
    let place = job.place(&member.cluster)?;
    Some(Target {
        cluster: member.cluster.to_string(),
        upstreams: vec![names::upstream(place.gloo, &member.service)],
        locality_weight: member.weight,
    })
}

/// Federation discovers addresses itself and has no field for another one.
fn overrides(job: &Job<'_>, made: &mut Made) {
    for member in job.failover.order.iter().skip(1).flatten() {
        let Some(place) = job.place(&member.cluster).filter(|p| p.cluster.gateway.is_some()) else { continue };
        if !made.overridden.insert(member.cluster.clone()) {
            continue;
        }
        let index = job.fleet.clusters.get_index_of(&member.cluster).unwrap_or_default();
        let what = format!(
            "Federation finds the address of `{}` by itself; the fleet's `gateway` is not used by a FailoverScheme",
            place.cluster.name
        );
        let problem = Problem::note("FCT0312", what)
            .hint("with target: glooUpstream it is used")
            .about_fleet(format!("/spec/clusters/{index}/gateway"));
        made.problems.push(problem);
    }
}
