//! Model → manifests, one folder per target. What comes in: a fleet, failovers, certificates, addresses.
//! What goes out: manifests, or problems: a target that cannot express an intent says so, never approximates.
//! May not know: clusters, files, clocks.

mod conflicts;
pub mod facts;
mod foreign;
pub mod gloo;
pub mod istio;
pub mod membership;
pub mod retry;
pub mod routes;
mod site;
pub mod smh;
pub mod target;
mod vendor;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifest::Manifest;
use crate::model::failover::Failover;
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Severity};
use crate::spec::Documents;

pub use site::{ALIASES_ANNOTATION, MeshConfig, Site};
use target::Family;

/// What documents compile to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compiled {
    /// The objects, each once, in the order they are written: by wave, and within a wave by cluster and key.
    pub manifests: Vec<Manifest>,
    /// The TLS secrets these objects name. `failctl certs install` makes them.
    pub secrets: BTreeSet<SecretNeed>,
    /// Clusters and namespaces of which a mesh must know the Services.
    pub services: BTreeSet<(ClusterName, String)>,
    /// What a target cannot express, and what will hurt.
    pub notes: Vec<Problem>,
}

/// A TLS secret that an object names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretNeed {
    /// Where.
    pub cluster: ClusterName,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Which certificate it holds.
    pub side: Side,
}

/// The two ends of mutual TLS between gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The failover gateway of a backup cluster.
    Server,
    /// A cluster that fails over to others.
    Client,
    /// Gloo's proxy as a caller of services in its cluster's mesh: an identity under the mesh's own authority.
    Mesh,
}

/// Compiles everything the user gave: failovers, and vendor objects as they stand. All problems at once, those about
/// parts of documents pointing at their places.
pub fn documents(documents: &Documents, site: &Site) -> Result<Compiled, Vec<Problem>> {
    let mut made = Made::default();
    let mut intent = istio::intent::Intent::default();
    let site = &site.with(&documents.given);
    for failover in &documents.failovers {
        match target::family(&documents.fleet, failover) {
            Err(problem) => made.problems.push(problem),
            Ok(Family::Gloo) => gloo::failover(&documents.fleet, failover, site, &mut made),
            Ok(Family::Mesh) => intent.extend(istio::failover(&documents.fleet, failover, site, &mut made)),
        }
    }
    let (more, reports) = smh::intent(&documents.fleet, &documents.smh, site);
    intent.extend(more);
    made.problems.extend(reports.into_iter().flat_map(|r| r.problems));
    istio::write(&documents.fleet, &intent, site, &mut made);
    for (way, cluster) in std::mem::take(&mut made.gateways) {
        gloo::gateway(&documents.fleet, way, &cluster, &mut made);
    }
    made.manifests.extend(documents.foreign.iter().filter_map(foreign::manifest));
    made.problems.extend(conflicts::find(documents, site, &made.manifests));
    made.problems.extend(vendor::notes(documents, &made.manifests));
    finish(made).map_err(|p| documents.locate(p)).map(|c| Compiled { notes: documents.locate(c.notes), ..c })
}

/// What compilers make, before it is put in order.
#[derive(Default)]
struct Made {
    manifests: Vec<Manifest>,
    problems: Vec<Problem>,
    /// Failover gateways that are needed; many failovers share one.
    gateways: BTreeSet<(gloo::Way, ClusterName)>,
    secrets: BTreeSet<SecretNeed>,
    services: BTreeSet<(ClusterName, String)>,
    /// Fields of backups' Upstreams; another failover may have more to say about the same object.
    identities: Vec<Manifest>,
    /// Clusters whose address override was said to be unused: once is enough.
    overridden: BTreeSet<ClusterName>,
}

/// Compiles one failover with everything it needs, or says what stands against it. `site` knows the Services.
pub fn failover(fleet: &Fleet, failover: &Failover, site: &Site) -> Result<Compiled, Vec<Problem>> {
    match target::family(fleet, failover).map_err(|p| vec![p])? {
        Family::Gloo => gloo::compile(fleet, failover, site),
        Family::Mesh => istio::compile(fleet, failover, site),
    }
}

/// One failover of Gloo with the gateways it needs.
fn one(fleet: &Fleet, failover: &Failover, site: &Site) -> Result<Compiled, Vec<Problem>> {
    let mut made = Made::default();
    gloo::failover(fleet, failover, site, &mut made);
    for (way, cluster) in std::mem::take(&mut made.gateways) {
        gloo::gateway(fleet, way, &cluster, &mut made);
    }
    finish(made)
}

/// One field manager has one opinion of an object: what a backup's Upstream gets joins what a primary's has.
fn joined(made: &mut Made) {
    for identity in std::mem::take(&mut made.identities) {
        let Some(there) = made.manifests.iter_mut().find(|m| m.key == identity.key && m.hold == identity.hold) else {
            made.manifests.push(identity);
            continue;
        };
        let (more, spec) = (identity.body.get("spec").and_then(Value::as_object), there.body.get_mut("spec"));
        if let (Some(more), Some(spec)) = (more, spec.and_then(Value::as_object_mut)) {
            for (k, v) in more {
                spec.entry(k).or_insert_with(|| v.clone());
            }
        }
    }
}

fn finish(mut made: Made) -> Result<Compiled, Vec<Problem>> {
    joined(&mut made);
    if made.problems.iter().any(|p| p.severity == Severity::Error) {
        // What is merely worth knowing waits until it compiles.
        let mut problems = made.problems;
        problems.retain(|p| p.severity > Severity::Note);
        return Err(problems);
    }
    let mut manifests = made.manifests;
    // Routes that share a VirtualService: the longer prefix first, or the shorter one would answer for it.
    manifests.sort_by_cached_key(|m| (m.wave, m.key.clone(), std::cmp::Reverse(routes::longest_prefix(m))));
    Ok(Compiled { manifests, secrets: made.secrets, services: made.services, notes: made.problems })
}
