//! Gloo: FailoverScheme with Federation, or `Upstream.failover` without. What comes in: a fleet, a failover, a site.
//! What goes out: manifests, and problems about what Gloo cannot express.
//! May not know: clusters, files, other targets.

mod detection;
mod gateway;
mod mesh;
pub mod names;
mod route;
mod scheme;
mod target;
mod upstream;

use super::{Compiled, Made, SecretNeed, Side, Site};
use crate::manifest::{Manifest, ObjectKey, Wave};
use crate::model::failover::Failover;
use crate::model::fleet::{Cluster, Fleet, Gloo};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

pub use target::{choose, manager};

/// Compiles one failover with the gateways it needs, or says everything that stands against it.
pub fn compile(fleet: &Fleet, failover: &Failover, site: &Site) -> Result<Compiled, Vec<Problem>> {
    super::one(fleet, failover, site)
}

/// Gloo's two ways to fail over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Federation's FailoverScheme (target `glooFederation`).
    Federation,
    /// `Upstream.failover`, written by failctl (target `glooUpstream`).
    Upstream,
}

/// A cluster with the Gloo that runs there.
#[derive(Clone, Copy)]
struct Place<'a> {
    cluster: &'a Cluster,
    gloo: &'a Gloo,
}

/// What the compilers of one failover share.
struct Job<'a> {
    fleet: &'a Fleet,
    failover: &'a Failover,
    site: &'a Site,
    primary: Place<'a>,
}

impl Job<'_> {
    /// A problem about a part of this failover.
    fn about(&self, problem: Problem, pointer: impl Into<String>) -> Problem {
        problem.about_failover(self.failover.name.as_str(), pointer)
    }

    /// Where a member runs; the target was chosen only because all of them have one.
    fn place(&self, cluster: &ClusterName) -> Option<Place<'_>> {
        place(self.fleet, cluster)
    }
}

fn place<'a>(fleet: &'a Fleet, cluster: &ClusterName) -> Option<Place<'a>> {
    let cluster = fleet.clusters.get(cluster)?;
    Some(Place { cluster, gloo: cluster.gloo.as_ref()? })
}

/// Compiles one failover without its gateways, which it only asks for.
pub(super) fn failover(fleet: &Fleet, failover: &Failover, site: &Site, made: &mut Made) {
    let way = match target::choose(fleet, failover) {
        Ok(way) => way,
        Err(problems) => return made.problems.extend(problems),
    };
    let Some(primary) = place(fleet, &failover.primary().cluster) else { return };
    let job = Job { fleet, failover, site, primary };
    match way {
        Way::Federation => {
            upstream::detection_only(&job, made);
            scheme::write(&job, made);
        }
        Way::Upstream => upstream::with_failover(&job, made),
    }
    mesh::backups(&job, made);
    route::write(&job, made);
    made.secrets.insert(need(primary, names::gateway(way).client_secret, Side::Client));
    let backups = failover.order.iter().skip(1).flatten();
    made.gateways.extend(backups.map(|m| (way, m.cluster.clone())));
}

/// The failover gateway of a cluster, which all failovers towards it share.
pub(super) fn gateway(fleet: &Fleet, way: Way, cluster: &ClusterName, made: &mut Made) {
    if let Some(place) = place(fleet, cluster) {
        gateway::write(fleet, way, place, made);
        made.secrets.insert(need(place, names::gateway(way).server_secret, Side::Server));
    }
}

fn need(place: Place<'_>, name: &str, side: Side) -> SecretNeed {
    let namespace = place.gloo.namespace.to_string();
    SecretNeed { cluster: place.cluster.name.clone(), namespace, name: name.into(), side }
}

fn manifest(place: Place<'_>, body: serde_json::Value, hold: crate::manifest::Hold, wave: Wave) -> Manifest {
    let key = crate::manifest::key_of(&place.cluster.name, &body);
    let key: ObjectKey = key.expect("typed resources have apiVersion, kind and name");
    Manifest { key, body, hold, wave }
}
