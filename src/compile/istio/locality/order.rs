//! How istiod is told the order of a view. What comes in: a view and how its clusters are reached. What goes out: a
//! setting of a DestinationRule, or why there is none that says it. May not know: objects.
//!
//! Endpoints keep labels of ours as long as they have addresses of their own. Where istiod puts a gateway in their place
//! (it knows one for their network, or found them by itself) only cluster and network are kept: that tells home from
//! away, and regions tell the rest, as far as they differ (`EndpointsByNetworkFilter`, `applyLocalityFailover`).

use std::collections::BTreeSet;

use super::super::Job;
use super::super::intent::Join;
use super::view::View;
use super::way::Way;
use crate::model::fleet::Cluster;
use crate::model::problem::Problem;
use crate::resource::istio::destination_rule::{Failover, LocalityLbSetting};

/// The first Istio that takes `failover` beside `failoverPriority` (istio/istio#47099, in a release since 1.21).
const BOTH: (u32, u32, u32) = (1, 21, 0);
/// The label of a network, which a gateway's endpoint has.
const NETWORK: &str = "topology.istio.io/network";
/// The label of a cluster, as istiod calls it: by the name it was registered under.
const CLUSTER: &str = "topology.istio.io/cluster";

/// The setting that puts a view in order.
pub fn setting(job: &Job<'_>, join: &Join, view: &View<'_>, way: &Way) -> Result<LocalityLbSetting, Problem> {
    let plain = |keys: Vec<String>| LocalityLbSetting { enabled: true, failover: Vec::new(), failover_priority: keys };
    let kept = match way {
        Way::Addresses(_) => return Ok(plain(view.keys())),
        Way::Names(_) => NETWORK,
        Way::Discovered => CLUSTER,
    };
    let setting = plain(vec![kept.to_string()]);
    if view.others.len() < 2 {
        return Ok(setting);
    }
    let Some((near, istio)) = job.cluster(view.caller) else { return Ok(setting) };
    let (major, minor, patch) = BOTH;
    match by_region(job, near, view).filter(|_| istio.version.at_least(major, minor, patch)) {
        Some(failover) => Ok(LocalityLbSetting { failover: vec![failover], ..setting }),
        None => Err(inexpressible(join, view, way)),
    }
}

/// The rule that ranks the other clusters' regions as the document does, if there is one.
fn by_region(job: &Job<'_>, near: &Cluster, view: &View<'_>) -> Option<Failover> {
    let from = near.region.as_deref()?;
    let far: Vec<Vec<&Cluster>> = view
        .others
        .iter()
        .map(|l| l.iter().filter_map(|s| Some(job.cluster(&s.backend.cluster)?.0)).collect())
        .collect();
    let regions: BTreeSet<&str> =
        far.iter().flatten().filter_map(|c| c.region.as_deref()).filter(|r| *r != from).collect();
    let ordered = |to: &str| {
        let ranks: Option<Vec<u32>> = far.iter().map(|level| one(level.iter().map(|c| rank(near, c, to)))).collect();
        ranks.is_some_and(|r| r.windows(2).all(|w| w[0] < w[1]))
    };
    let to = regions.into_iter().find(|to| ordered(to))?;
    Some(Failover { from: from.to_string(), to: to.to_string() })
}

/// The one value all of them have.
fn one(mut all: impl Iterator<Item = Option<u32>>) -> Option<u32> {
    let first = all.next()??;
    all.all(|next| next == Some(first)).then_some(first)
}

/// istiod's rank of a place: the zone, the region, the region failed over to, any other.
fn rank(near: &Cluster, far: &Cluster, to: &str) -> Option<u32> {
    let region = far.region.as_deref()?;
    Some(match (near.region.as_deref() == Some(region), near.zone == far.zone) {
        (true, true) => 0,
        (true, false) => 2,
        (false, _) if region == to => 3,
        (false, _) => 4,
    })
}

fn inexpressible(join: &Join, view: &View<'_>, way: &Way) -> Problem {
    let why = match way {
        Way::Discovered => "by remote secrets",
        _ => "by gateways with DNS names",
    };
    let levels: Vec<String> = view
        .others
        .iter()
        .map(|l| l.iter().map(|s| s.backend.cluster.to_string()).collect::<Vec<_>>().join(" and "))
        .collect();
    let what = format!(
        "callers on `{}` cannot be told the order {}: {why} Istio keeps home apart from away, and the others only by region \
         (their own, one it fails over to, any other)",
        view.caller,
        levels.join(", then ")
    );
    let hint = match way {
        Way::Discovered => {
            "put them into one group, give the clusters `region`s that tell them apart (Istio 1.21), or leave \
             mesh.discovery out: ServiceEntries say any order"
        }
        _ => {
            "put them into one group, give the clusters `region`s that tell them apart (Istio 1.21), or write addresses that \
             stay in istio.eastWestGateway.host"
        }
    };
    join.origin.about(Problem::error("FCT0387", what).hint(hint), "/spec/order")
}
