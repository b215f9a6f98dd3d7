//! Istio, two ways: one aggregate cluster per failover, and other clusters as further endpoints of a Service's own name.
//! What comes in: an intent, a fleet, a site. What goes out: manifests, and problems about what a mesh cannot express.
//! The first design is Service Mesh Hub's with the repairs that later releases and measurements asked for
//! (docs/targets/istio-aggregate.md), the second is in [`locality`] (docs/targets/istio-transparent.md).
//! May not know: clusters, files, who asked.

mod chain;
mod detection;
mod host;
pub mod intent;
mod locality;
mod mesh_config;
mod own;
pub(super) mod place;
mod shift;
mod vip;

use std::collections::BTreeMap;

use serde::Serialize;

use self::intent::Intent;
use self::place::Places;
use super::gloo::names::{FLEET, labels};
use super::{Compiled, Made, Site};
use crate::manifest::{Hold, Manifest, ObjectKey, Wave, key_of};
use crate::model::failover::Failover;
use crate::model::fleet::{Cluster, Fleet, Istio};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::resource::{Kind, Meta, Object};

pub use place::UNKNOWN as UNKNOWN_WORKLOAD;

/// The first Istio with `networking.istio.io/v1`.
const V1: (u32, u32, u32) = (1, 22, 0);

const NETWORKING: &str = "networking.istio.io/v1";
const SECURITY: &str = "security.istio.io/v1";

/// The version of Istio's networking API that an Istio serves and failctl writes.
pub fn networking(istio: &Istio) -> &'static str {
    let (major, minor, patch) = V1;
    if istio.version.at_least(major, minor, patch) { NETWORKING } else { "networking.istio.io/v1beta1" }
}

/// The same of its security API.
fn security(istio: &Istio) -> &'static str {
    if networking(istio) == NETWORKING { SECURITY } else { "security.istio.io/v1beta1" }
}

/// Compiles one failover of a mesh, or says everything that stands against it.
pub fn compile(fleet: &Fleet, failover: &Failover, site: &Site) -> Result<Compiled, Vec<Problem>> {
    let mut made = Made::default();
    let intent = own::intent(fleet, failover, site, &mut made.problems);
    write(fleet, &intent, site, &mut made);
    super::finish(made)
}

/// What one of failctl's failovers asks of meshes.
pub(super) fn failover(fleet: &Fleet, failover: &Failover, site: &Site, made: &mut Made) -> Intent {
    own::intent(fleet, failover, site, &mut made.problems)
}

/// Writes an intent's objects.
pub(super) fn write(fleet: &Fleet, intent: &Intent, site: &Site, made: &mut Made) {
    let job = Job { fleet, site, places: Places::new(fleet, site) };
    let mut objects = Objects::default();
    let mut problems = Vec::new();
    chain::write(&job, intent, &mut objects, &mut problems);
    host::write(&job, intent, &mut objects, &mut problems);
    locality::write(&job, intent, &mut objects, &mut problems);
    shift::write(&job, intent, &mut objects);
    mesh_config::write(&job, intent, &mut objects, &mut problems);
    // One thing that is not known may be missed in several places.
    for problem in problems {
        if !made.problems.contains(&problem) {
            made.problems.push(problem);
        }
    }
    let backends = intent.chains.iter().flat_map(|c| &c.backends);
    let joined = || intent.joins.iter().flat_map(|j| j.backends());
    let backends = backends.chain(joined());
    // Their gateways must be guarded against loops.
    let gateways = joined().filter_map(|b| Some((b.cluster.clone(), job.cluster(&b.cluster)?.1.namespace.to_string())));
    made.services.extend(gateways);
    made.services.extend(backends.map(|b| (b.cluster.clone(), b.service.namespace.to_string())));
    let named = intent.shifts.iter().map(|s| (s.cluster.clone(), s.namespace.clone()));
    made.services.extend(named.chain(intent.watches.iter().map(|w| (w.cluster.clone(), w.namespace.clone()))));
    made.problems.extend(objects.problems);
    made.manifests.extend(objects.by_key.into_values());
}

/// What the parts of one compilation share.
struct Job<'a> {
    fleet: &'a Fleet,
    site: &'a Site,
    places: Places<'a>,
}

impl<'a> Job<'a> {
    /// A cluster that runs Istio; an intent names no other.
    fn cluster(&self, name: &ClusterName) -> Option<(&'a Cluster, &'a Istio)> {
        let cluster = self.fleet.clusters.get(name)?;
        Some((cluster, cluster.istio.as_ref()?))
    }

    /// Whether a cluster would have told what is not known of it.
    fn made_up(&self, name: &ClusterName) -> bool {
        self.places.made_up(name)
    }
}

/// Objects, each once: several failovers may need the same host. What differs is a problem.
#[derive(Default)]
struct Objects {
    by_key: BTreeMap<ObjectKey, Manifest>,
    /// Who asked first.
    asked: BTreeMap<ObjectKey, String>,
    problems: Vec<Problem>,
}

/// For whom an object is.
#[derive(Clone, Copy)]
enum For<'a> {
    /// One failover's own.
    One(&'a str),
    /// What failovers may share, whoever asks now: it goes with the last of them.
    All(&'a str),
}

impl Objects {
    /// Puts an object of Istio in.
    fn put<S: Kind + Serialize>(&mut self, cluster: &Cluster, wave: Wave, meta: Meta, whom: For<'_>, spec: S) {
        let (owner, asker) = match whom {
            For::One(asker) => (asker, asker),
            For::All(asker) => (FLEET, asker),
        };
        let mut object = Object::new(meta.labels(labels(owner)), spec);
        if let Some(istio) = &cluster.istio {
            object.api_version = match object.api_version {
                NETWORKING => networking(istio),
                SECURITY => security(istio),
                other => other,
            };
        }
        let body = object.body();
        let key = key_of(&cluster.name, &body).expect("typed resources have apiVersion, kind and name");
        self.insert(Manifest { key, body, hold: Hold::Own, wave }, asker);
    }

    fn insert(&mut self, manifest: Manifest, asker: &str) {
        let Some(first) = self.by_key.get_mut(&manifest.key) else {
            self.asked.insert(manifest.key.clone(), asker.into());
            self.by_key.insert(manifest.key.clone(), manifest);
            return;
        };
        if first.body == manifest.body {
            return;
        }
        let spec = |m: &Manifest| m.body.get("spec").cloned();
        if spec(first) == spec(&manifest) {
            // Two failovers need it alike: it is the fleet's.
            let label = first.body.pointer_mut("/metadata/labels").and_then(serde_json::Value::as_object_mut);
            label.into_iter().for_each(|l| drop(l.insert(crate::manifest::OWNER_LABEL.into(), FLEET.into())));
            return;
        }
        let before = self.asked.get(&manifest.key).map_or(FLEET, String::as_str);
        let what = format!("`{before}` and `{asker}` want {}, and want it differently", manifest.key);
        let problem = Problem::error("FCT0331", what);
        self.problems.push(problem.hint("give both the same detection, or let them fail over to different services"));
    }
}
