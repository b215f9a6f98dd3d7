//! Target istioLocality as an intent: the Service keeps its name everywhere, and in each cluster of callers the others
//! join its endpoints. That needs one name, one namespace, one port and one DNS domain on all of them.

use std::collections::BTreeMap;

use super::versions;
use super::{Asked, notes, origin, spoken, unfit};
use crate::compile::istio::intent::{Intent, Join, Origin, Share, Shift};
use crate::compile::{Site, target};
use crate::model::failover::{Discovery, Exposure, Failover, Member, ServiceRef, Target};
use crate::model::fleet::Fleet;
use crate::model::mesh;
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Severity};

/// The first Istio with `failoverPriority` (its change notes).
const FAILOVER_PRIORITY: (u32, u32, u32) = (1, 12, 0);

/// The intent of a failover; empty when the target cannot express it.
pub fn intent(fleet: &Fleet, failover: &Failover, site: &Site, problems: &mut Vec<Problem>) -> Intent {
    let origin = origin(failover);
    let callers = target::callers(failover);
    let mut found = unfit(fleet, failover, &origin, Target::IstioLocality);
    found.extend(alone(fleet, failover, &callers, &origin));
    let Some(asked) = Asked::of(failover) else {
        problems.extend(found);
        return Intent::default();
    };
    let (_, others) = spoken(failover, site, &origin, &mut found);
    let mut join = Join {
        service: failover.primary().service.clone(),
        order: Vec::new(),
        callers,
        outlier: asked.outlier.clone(),
        connect_timeout: asked.connect_timeout(),
        versions: failover.mesh.versions.clone(),
        caller_namespaces: failover.mesh.caller_namespaces.clone(),
        exposure: failover.mesh.exposure,
        discovery: failover.mesh.discovery,
        origin: origin.clone(),
    };
    for (group, members) in asked.groups().into_iter().zip(&failover.order) {
        let weights = members.iter().map(|m| m.weight);
        join.order.push(group.into_iter().zip(weights).map(|(backend, weight)| Share { backend, weight }).collect());
    }
    let levels = join.views().iter().map(|v| v.levels()).max().unwrap_or(0);
    found.extend(notes(failover, &origin, levels * join.depth()));
    let wrong = found.iter().any(|p| p.severity == Severity::Error);
    problems.extend(found);
    if wrong {
        return Intent::default();
    }
    let shift = |caller: &ClusterName| {
        let istio = fleet.clusters.get(caller)?.istio.as_ref()?;
        let ServiceRef { namespace, name, port } = &join.service;
        let host = mesh::local_host(namespace.as_str(), name.as_str(), &istio.cluster_domain);
        Some(Shift {
            origin: origin.clone(),
            cluster: caller.clone(),
            namespace: namespace.to_string(),
            service: name.to_string(),
            port: Some(*port),
            others: others.clone(),
            rules: versions::rules(asked.rules(&host), &join.versions, failover.name.as_str(), namespace.as_str()),
        })
    };
    let shifts = join.callers.iter().filter_map(shift).collect();
    Intent { shifts, joins: vec![join], ..Intent::default() }
}

/// What stands against this target and no other.
fn alone(fleet: &Fleet, failover: &Failover, callers: &[ClusterName], origin: &Origin) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |code, what: String, hint: String, pointer: String| {
        problems.push(origin.about(Problem::error(code, what).hint(hint), pointer));
    };
    if failover.mesh.host.is_some() {
        let what = "`mesh.host` is for istioAggregate: a transparent failover has the Service's own name";
        say("FCT0322", what.into(), "leave it out".into(), "/spec/mesh/host".into());
    }
    if failover.mesh.exposure == Exposure::Wildcard && failover.mesh.caller_namespaces.is_none() {
        let what = "with `exposure: wildcard` every workload of the other meshes could call the service";
        let hint = "name the callers' namespaces: mesh.callerNamespaces: [shop], or leave `exposure` out";
        say("FCT0385", what.into(), hint.into(), "/spec/mesh/exposure".into());
    }
    if failover.mesh.discovery == Discovery::RemoteSecrets {
        for (pointer, _) in members(failover).filter(|(_, m)| m.weight.is_some()) {
            let what = "with remote secrets Istio shares a priority by the Pods it sees, and takes no weights";
            say("FCT0386", what.into(), "leave the weights out".into(), format!("{pointer}/weight"));
        }
    }
    for (pointer, member) in members(failover) {
        let (first, other) = (&failover.primary().service, &member.service);
        if first != other {
            let what = format!(
                "the Service is {}/{}:{} on `{}` and {}/{}:{} on `{}`: callers keep one name and one port",
                first.namespace,
                first.name,
                first.port,
                failover.primary().cluster,
                other.namespace,
                other.name,
                other.port,
                member.cluster
            );
            let hint = "call it the same on all clusters, or write target: istioAggregate";
            say("FCT0380", what, hint.into(), format!("{pointer}/service"));
        }
    }
    for (i, caller) in callers.iter().enumerate().filter(|_| failover.mesh.callers.is_some()) {
        if fleet.clusters.get(caller).is_some_and(|c| c.istio.is_none()) {
            let what = format!("the fleet does not say that Istio runs on `{caller}`, so its callers have no sidecars");
            let hint = "add istio: {version: …} to that cluster, or take it out of mesh.callers";
            say("FCT0342", what, hint.into(), format!("/spec/mesh/callers/{i}"));
        }
    }
    problems.extend(one_domain(fleet, failover, callers, origin));
    problems.extend(callers.iter().filter_map(|c| too_old(fleet, c)));
    problems
}

fn members(failover: &Failover) -> impl Iterator<Item = (String, &Member)> {
    failover.order.iter().enumerate().flat_map(|(g, group)| {
        group.iter().enumerate().map(move |(m, member)| (format!("/spec/order/{g}/clusters/{m}"), member))
    })
}

/// A host is a name under the cluster's DNS domain, and the one host is what gateways know connections by.
fn one_domain(fleet: &Fleet, failover: &Failover, callers: &[ClusterName], origin: &Origin) -> Option<Problem> {
    let mut domains: BTreeMap<&str, &ClusterName> = BTreeMap::new();
    for cluster in failover.order.iter().flatten().map(|m| &m.cluster).chain(callers) {
        let istio = fleet.clusters.get(cluster).and_then(|c| c.istio.as_ref());
        domains.extend(istio.map(|i| (i.cluster_domain.as_str(), cluster)));
    }
    let all: Vec<_> = domains.iter().map(|(domain, cluster)| format!("`{cluster}` {domain}")).collect();
    if all.len() < 2 {
        return None;
    }
    let what =
        format!("the clusters have different DNS domains ({}): the Service's host is not one name", all.join(", "));
    let hint = "write target: istioAggregate, whose hosts are the failover's own";
    Some(origin.about(Problem::error("FCT0381", what).hint(hint), "/spec/target"))
}

fn too_old(fleet: &Fleet, cluster: &ClusterName) -> Option<Problem> {
    let (major, minor, patch) = FAILOVER_PRIORITY;
    let version = &fleet.clusters.get(cluster)?.istio.as_ref()?.version;
    if version.at_least(major, minor, patch) {
        return None;
    }
    let what = format!("Istio {version} on `{cluster}` has no failoverPriority, which puts the clusters in order");
    let index = fleet.clusters.get_index_of(cluster)?;
    let hint = format!("upgrade Istio to {major}.{minor}.{patch} or later, or write target: istioAggregate");
    Some(Problem::error("FCT0382", what).hint(hint).about_fleet(format!("/spec/clusters/{index}/istio/version")))
}
