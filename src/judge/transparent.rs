//! A Service that several clusters answer under one name, as the callers of one cluster have it. What comes in: an upstream
//! as routing read it, the order that is meant for these callers, an Envoy's hosts. What goes out: who serves, cluster by
//! cluster, and findings. May not know: where either was asked.
//!
//! Envoy numbers only the priorities that have endpoints: without a Pod of its own a cluster's first priority is another
//! cluster. So levels are told by the clusters behind them, never by their number.

use super::service::{Endpoint, Level, Service, Serving, Strangers, judged, levels};
use crate::envoy::admin::Host;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::routing::Upstream;

/// Judges one service as callers of one cluster have it.
pub fn service(
    upstream: &Upstream,
    order: &[Vec<ClusterName>],
    hosts: Result<&[Host], &str>,
    strangers: &Strangers,
) -> Service {
    let found = levels(upstream, &[upstream], hosts, strangers);
    let mixed = mixed(&found, order);
    let levels = by_order(found, order);
    let mut service = judged(upstream, &[upstream], levels, hosts.err(), strangers);
    let moved = matches!(&service.serving, Serving::Levels(all) if all.iter().any(|(level, _)| *level > 0));
    if let (true, Some(first), Some(level)) = (moved, order.first(), service.levels.first()) {
        let why = why(first, level);
        service.findings.iter_mut().filter(|f| f.code == "FCT0632").for_each(|f| f.what += &why);
    }
    service.findings.extend(mixed);
    service
}

/// One level for each step of the order; what leads nowhere that is known comes last.
fn by_order(found: Vec<Level>, order: &[Vec<ClusterName>]) -> Vec<Level> {
    let step = |e: &Endpoint| {
        let cluster = e.origin.as_ref().map(|o| &o.cluster);
        cluster.and_then(|c| order.iter().position(|group| group.contains(c))).unwrap_or(order.len())
    };
    let asked = found.iter().any(|l| l.load.is_some());
    let empty = |level| Level { level, load: asked.then_some(0), endpoints: Vec::new() };
    let mut all: Vec<Level> = (0..=order.len()).map(empty).collect();
    for level in found {
        let well = level.well().max(1);
        for endpoint in level.endpoints {
            let into = &mut all[step(&endpoint)];
            // What a level takes is shared by its healthy endpoints.
            let part = level.load.map(|load| if endpoint.healthy == Some(true) { share(load, well) } else { 0 });
            into.load = into.load.zip(part).map(|(sum, part)| sum + part).or(into.load);
            into.endpoints.push(endpoint);
        }
    }
    if all.last().is_some_and(|l| l.endpoints.is_empty()) {
        all.pop();
    }
    // Thousandths of a percent, so that thirds add up.
    all.iter_mut().for_each(|l| l.load = l.load.map(|n| (n + 500) / 1000));
    all
}

fn share(percent: u32, among: usize) -> u32 {
    (percent * 1000) / u32::try_from(among).unwrap_or(u32::MAX).max(1)
}

/// Why the first step of the order does not serve alone.
fn why(first: &[ClusterName], level: &Level) -> String {
    let names = first.iter().map(ClusterName::as_str).collect::<Vec<_>>().join("+");
    let mut why: Vec<&str> = level.endpoints.iter().flat_map(|e| &e.why).map(String::as_str).collect();
    why.sort_unstable();
    why.dedup();
    match (level.endpoints.len(), level.well()) {
        (0, _) => format!("; {names} has no ready Pod"),
        (all, well) if well < all => format!("; of {names} {} of {all} hosts are {}", all - well, why.join(", ")),
        _ => String::new(),
    }
}

/// Clusters that should follow one another and share a priority.
fn mixed(found: &[Level], order: &[Vec<ClusterName>]) -> Option<Problem> {
    let steps = |level: &Level| {
        let clusters = level.clusters();
        let mut steps: Vec<usize> = order
            .iter()
            .enumerate()
            .filter(|(_, g)| g.iter().any(|c| clusters.iter().any(|o| o == c.as_str())))
            .map(|(i, _)| i)
            .collect();
        steps.dedup();
        steps
    };
    let level = found.iter().find(|l| steps(l).len() > 1)?;
    let what = format!(
        "{} share one priority, so traffic is spread among them and nothing fails over",
        level.clusters().join(" and ")
    );
    let hint = "priorities need outlier detection and a locality setting without `distribute` in the DestinationRule; \
                without failoverPriority also the label topology.kubernetes.io/region on the callers' nodes and a \
                locality on every endpoint";
    Some(Problem::error("FCT0648", what).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Origin;

    fn endpoint(cluster: &str, healthy: bool) -> Endpoint {
        let origin = Origin {
            cluster: ClusterName::new(cluster).unwrap(),
            namespace: "shop".into(),
            service: "web".into(),
            port: 80,
            pod: None,
        };
        Endpoint {
            address: cluster.into(),
            port: 1,
            origin: Some(origin),
            healthy: Some(healthy),
            stranger: false,
            why: Vec::new(),
        }
    }

    fn level(level: usize, load: u32, endpoints: Vec<Endpoint>) -> Level {
        Level { level, load: Some(load), endpoints }
    }

    fn order(clusters: &[&str]) -> Vec<Vec<ClusterName>> {
        clusters.iter().map(|c| vec![ClusterName::new(*c).unwrap()]).collect()
    }

    fn loads(found: Vec<Level>) -> Vec<Option<u32>> {
        by_order(found, &order(&["a", "b"])).iter().map(|l| l.load).collect()
    }

    #[test]
    fn another_cluster_is_a_backup_even_where_envoy_has_nobody_before_it() {
        assert_eq!(loads(vec![level(0, 100, vec![endpoint("b", true)])]), [Some(0), Some(100)]);
        let both = vec![level(0, 0, vec![endpoint("a", false)]), level(1, 100, vec![endpoint("b", true)])];
        assert_eq!(loads(both), [Some(0), Some(100)]);
    }

    #[test]
    fn clusters_that_share_a_priority_share_its_load_and_are_called_out() {
        let shared = level(0, 100, vec![endpoint("a", true), endpoint("a", true), endpoint("b", true)]);
        assert_eq!(loads(vec![shared.clone()]), [Some(67), Some(33)]);
        assert_eq!(mixed(&[shared], &order(&["a", "b"])).unwrap().code, "FCT0648");
        assert_eq!(mixed(&[level(0, 100, vec![endpoint("a", true)])], &order(&["a", "b"])), None);
    }
}
