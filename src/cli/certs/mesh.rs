//! Whether the meshes of a fleet accept each other's workloads: roots and trust domains. What comes in: what is
//! installed. What goes out: a row per ordered pair. Shared by `certs status` and `status`; no command itself.
//! Two things must hold, each way: the root of the caller's authority is among the other's roots, and the caller's trust
//! domain is the other's own or one of its aliases (istio/api, mesh/v1alpha1: `trustDomainAliases`).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::material::{Installed, Slot, meshes};
use crate::cluster::Want;
use crate::compile::target::{Family, callers, family};
use crate::manifest::World;
use crate::model::failover::Failover;
use crate::model::fleet::{Cluster, Fleet};
use crate::model::name::ClusterName;
use crate::model::problem::Severity;
use crate::pki::{self, Finding, Role};
use crate::report::certificates::PairRow;

/// Istio's mesh configuration, as its Helm chart and istioctl name it.
const CONFIG: (&str, &str) = ("istio", "mesh");

/// What must be read beside the certificates.
pub fn wants(fleet: &Fleet) -> impl Iterator<Item = Want> {
    fleet.clusters.values().filter_map(|c| {
        let namespace = c.istio.as_ref()?.namespace.as_str();
        Some(Want::all("v1", "ConfigMap").within(namespace).named(CONFIG.0).on(&c.name))
    })
}

/// Every ordered pair of clusters with a mesh.
///
/// `failovers` tell which pairs must talk; where none does, a trust domain that is not taken is a warning.
pub fn pairs(fleet: &Fleet, failovers: &[Failover], slots: &[Slot], world: &World, now: Timestamp) -> Vec<PairRow> {
    let meshes: Vec<(&Cluster, &Slot)> = slots
        .iter()
        .filter(|s| s.party.role == Role::IstioCa)
        .filter_map(|s| Some((fleet.clusters.get(s.cluster())?, s)))
        .collect();
    let mut rows = Vec::new();
    for (caller, from) in &meshes {
        for (called, to) in meshes.iter().filter(|(c, _)| c.name != caller.name) {
            let needed = failovers.iter().any(|f| calls(fleet, f, &caller.name, &called.name));
            let findings = pair(world, (caller, from), (called, to), needed, now);
            rows.push(PairRow { from: caller.name.to_string(), to: called.name.to_string(), findings });
        }
    }
    rows
}

/// One caller's mesh and those it calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Clusters whose Pods and its own do not accept each other, and why.
    pub refused: BTreeMap<String, String>,
    /// Why that could not be told of others.
    pub unknown: Vec<String>,
}

/// What must be read to know the strangers of a fleet's meshes.
pub fn wants_of_strangers(fleet: &Fleet) -> Vec<Want> {
    meshes(fleet).map(|s| s.want()).chain(wants(fleet)).collect()
}

/// The clusters with a mesh that do not accept callers of this one, or are not accepted by them.
pub fn strangers(fleet: &Fleet, caller: &ClusterName, world: &World, now: Timestamp) -> Strangers {
    let slots: Vec<Slot> = meshes(fleet).collect();
    let mut found = Strangers::default();
    let (Some(own), Some(from)) = (fleet.clusters.get(caller), slots.iter().find(|s| s.cluster() == caller)) else {
        return found;
    };
    for to in slots.iter().filter(|s| s.cluster() != caller) {
        let Some(called) = fleet.clusters.get(to.cluster()) else { continue };
        for finding in pair(world, (own, from), (called, to), true, now) {
            match finding.severity {
                Severity::Error => {
                    found.refused.entry(called.name.to_string()).or_insert(format!("{} [{}]", finding.what, finding.code));
                }
                _ => found.unknown.push(finding.what),
            }
        }
    }
    found
}

/// One ordered pair, as far as both can be asked. `needed`: callers of the one do call the other.
fn pair(
    world: &World,
    (caller, from): (&Cluster, &Slot),
    (called, to): (&Cluster, &Slot),
    needed: bool,
    now: Timestamp,
) -> Vec<Finding> {
    match away(world, &caller.name).or(away(world, &called.name)) {
        Some(why) => vec![unknown(why)],
        None => judged(world, (caller, from.installed(world)), (called, to.installed(world)), needed, now),
    }
}

/// Whether a failover of the mesh makes one cluster call another.
fn calls(fleet: &Fleet, failover: &Failover, caller: &ClusterName, called: &ClusterName) -> bool {
    let names = |c: &ClusterName| failover.order.iter().flatten().any(|m| m.cluster == *c);
    matches!(family(fleet, failover), Ok(Family::Mesh)) && callers(failover).contains(caller) && names(called)
}

fn away(world: &World, cluster: &ClusterName) -> Option<String> {
    let why = world.clusters.get(cluster).and_then(|o| o.unreachable.clone());
    why.map(|why| format!("{cluster} cannot be asked: {why}"))
}

fn unknown(why: impl Into<String>) -> Finding {
    Finding { code: "FCK0116", severity: Severity::Warning, what: why.into() }
}

fn error(code: &'static str, what: String) -> Finding {
    Finding { code, severity: Severity::Error, what }
}

/// Calls from one mesh into another: both ends verify.
fn judged(
    world: &World,
    (caller, from): (&Cluster, Option<Installed>),
    (called, to): (&Cluster, Option<Installed>),
    needed: bool,
    now: Timestamp,
) -> Vec<Finding> {
    let without = if from.is_none() { caller } else { called };
    let (Some(from), Some(to)) = (from, to) else {
        let what = format!("{} has no cacerts: its workloads have a root that nobody else trusts", without.name);
        return vec![error("FCK0107", what)];
    };
    let mut found = Vec::new();
    if let Err(why) = pki::accepted(&to.chain, &from.roots, now) {
        found.push(error("FCK0107", format!("callers do not accept the servers' certificates: {why}")));
    }
    if let Err(why) = pki::accepted(&from.chain, &to.roots, now) {
        found.push(error("FCK0110", format!("servers do not accept the callers' certificates: {why}")));
    }
    found.extend(domains(world, caller, called, needed));
    found
}

/// Whether the called mesh takes identities of the caller's trust domain.
fn domains(world: &World, caller: &Cluster, called: &Cluster, needed: bool) -> Option<Finding> {
    let namespace = called.istio.as_ref()?.namespace.as_str();
    let config = world.get(called.name.as_str(), "", "ConfigMap", namespace, CONFIG.0);
    let Some(text) = config.and_then(|c| c["data"][CONFIG.1].as_str()) else {
        let what = format!("{}: there is no ConfigMap {namespace}/{} to tell which trust domains it takes", called.name, CONFIG.0);
        return Some(unknown(what));
    };
    let mesh = match crate::yaml::parse(text) {
        Ok(documents) => documents.into_iter().next().map(|d| d.value).unwrap_or_default(),
        Err(_) => return Some(unknown(format!("{}: its mesh configuration cannot be read", called.name))),
    };
    let own = mesh["trustDomain"].as_str().unwrap_or(crate::model::mesh::TRUST_DOMAIN);
    if own != called.trust_domain() {
        let what = format!("{} runs with trust domain {own}, the fleet says {}", called.name, called.trust_domain());
        return Some(error("FCK0118", what));
    }
    let aliases = mesh["trustDomainAliases"].as_array().into_iter().flatten();
    let domain = caller.trust_domain();
    if own == domain || aliases.into_iter().any(|a| a == domain) {
        return None;
    }
    let what = format!("{} takes no callers of trust domain {domain}: trustDomainAliases lacks it", called.name);
    let severity = if needed { Severity::Error } else { Severity::Warning };
    Some(Finding { code: "FCK0120", severity, what })
}
