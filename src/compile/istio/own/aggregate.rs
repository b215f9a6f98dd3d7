//! Target istioAggregate as an intent: a host of the failover's own, behind which the members stand in order. What it
//! cannot express is refused: an aggregate cluster has one cluster per priority.

use std::collections::BTreeSet;

use super::{Asked, notes, origin, spoken, unfit};
use crate::compile::Site;
use crate::compile::istio::intent::{Backend, Chain, Intent, Manner, Origin, Shift, Watch};
use crate::model::failover::{Failover, Target};
use crate::model::fleet::Fleet;
use crate::model::mesh;
use crate::model::problem::{Problem, Severity};

/// The intent of a failover; empty when the target cannot express it.
pub fn intent(fleet: &Fleet, failover: &Failover, site: &Site, problems: &mut Vec<Problem>) -> Intent {
    let origin = origin(failover);
    let mut found = unfit(fleet, failover, &origin, Target::IstioAggregate);
    found.extend(alone(fleet, failover, &origin));
    let Some(asked) = Asked::of(failover) else {
        problems.extend(found);
        return Intent::default();
    };
    let (protocol, others) = spoken(failover, site, &origin, &mut found);
    let priorities: BTreeSet<_> = failover.order.iter().flatten().map(|m| (&m.cluster, &m.service)).collect();
    found.extend(notes(failover, &origin, priorities.len()));
    let wrong = found.iter().any(|p| p.severity == Severity::Error);
    problems.extend(found);
    if wrong {
        return Intent::default();
    }
    let primary = failover.primary();
    let host = failover.mesh.host.clone();
    let host = host.unwrap_or_else(|| mesh::failover_host(failover.name.as_str(), &primary.service));
    let backends: Vec<Backend> = asked.groups().into_iter().flatten().collect();
    let watches = backends.iter().filter(|b| b.cluster == primary.cluster).map(|b| Watch {
        origin: origin.clone(),
        cluster: b.cluster.clone(),
        namespace: b.service.namespace.to_string(),
        service: b.service.name.to_string(),
        outlier: b.outlier.clone(),
        manner: b.manner,
        connect_timeout: b.connect_timeout,
    });
    let watches = watches.collect();
    let shift = Shift {
        origin: origin.clone(),
        cluster: primary.cluster.clone(),
        namespace: primary.service.namespace.to_string(),
        service: primary.service.name.to_string(),
        port: Some(primary.service.port),
        others,
        rules: asked.rules(&host),
    };
    let chain = Chain {
        name: format!("failctl-{}", failover.name),
        host,
        port: primary.service.port,
        protocol,
        clients: vec![primary.cluster.clone()],
        gateways: false,
        manner: Manner::Advised,
        backends,
        origin,
    };
    Intent { chains: vec![chain], watches, shifts: vec![shift], joins: Vec::new() }
}

/// What stands against this target and no other.
fn alone(fleet: &Fleet, failover: &Failover, origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (g, group) in failover.order.iter().enumerate().filter(|(_, group)| group.len() > 1) {
        let what = format!("an aggregate cluster has one cluster per priority, this group has {}", group.len());
        let hint = "give each its own group, in the order they shall serve; target istioLocality shares a priority";
        let pointer = format!("/spec/order/{g}/clusters/1");
        problems.push(origin.about(Problem::error("FCT0343", what).hint(hint), pointer));
    }
    if let Some(host) = &failover.mesh.host {
        let domains = fleet.clusters.values().filter_map(|c| Some(&c.istio.as_ref()?.cluster_domain));
        if domains.chain([&mesh::CLUSTER_DOMAIN.to_string()]).any(|d| host.ends_with(&format!(".{d}"))) {
            let what = format!("`{host}` is a Service's own name; the failover's host is another one");
            let hint = "write for example shop.default.global, or leave mesh.host out";
            problems.push(origin.about(Problem::error("FCT0348", what).hint(hint), "/spec/mesh/host"));
        }
    }
    for field in failover.mesh.transparent() {
        let what = format!("`mesh.{field}` is for transparent failover: an aggregate serves the primary's callers");
        let hint = "leave it out, or write target: istioLocality";
        problems.push(origin.about(Problem::error("FCT0322", what).hint(hint), format!("/spec/mesh/{field}")));
    }
    problems
}
