//! Service Mesh Hub's documents as an intent. What comes in: documents, a fleet, a site. What goes out: the same intent
//! that failctl's own failovers become, and for every document what it selects and what is wrong with it; for a management
//! plane also the objects. An intent stays what was asked for: no retries are added, no times are changed.
//! May not know: clusters, files, Istio's objects.

mod failover;
mod outlier;
mod policy;
mod select;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::istio;
use super::istio::intent::{Intent, Origin};
use super::{Made, Site};
use crate::manifest::Manifest;
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Severity};
use crate::model::smh::{Document, FailoverService, Reference, ServiceAt, TrafficPolicy, VirtualMesh};

pub use self::select::services;

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `kind`.
    pub kind: String,
    /// Namespace and name.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The Services a policy selects: Service Mesh Hub calls them traffic targets.
    pub targets: BTreeSet<ServiceAt>,
    /// The clusters whose meshes it is about.
    pub meshes: BTreeSet<ClusterName>,
    /// What is wrong, or worth knowing. A document with an error among them has no part in what is written.
    pub problems: Vec<Problem>,
}

impl Report {
    fn of(document: &Document) -> Self {
        let Reference { namespace, name } = document.reference();
        let (kind, namespace, name) = (document.kind().to_string(), namespace.to_string(), name.to_string());
        Report { kind, namespace, name, targets: BTreeSet::new(), meshes: BTreeSet::new(), problems: Vec::new() }
    }

    /// Whether the document has a part in what is written.
    pub fn is_accepted(&self) -> bool {
        self.problems.iter().all(|p| p.severity != Severity::Error)
    }
}

/// What a management plane writes, and what it says about its documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hub {
    /// The objects by cluster and wave, as failctl labels and writes them.
    pub manifests: Vec<Manifest>,
    /// The documents that were read, the valid ones among them.
    pub documents: Vec<Document>,
    /// One for each document, in their order.
    pub reports: Vec<Report>,
    /// What is about no document.
    pub problems: Vec<Problem>,
}

/// Compiles the documents of a management cluster as they are stored there: what is wrong with one document costs that
/// document alone. `fleet` holds the registered clusters that run Istio, `site` what discovery found in them.
pub fn compile(fleet: &Fleet, objects: &[Value], site: &Site) -> Hub {
    let mut hub = Hub::default();
    for object in objects.iter().filter(|o| crate::spec::vendor::smh::is(o)) {
        let (document, problems) = crate::spec::smh_object(object, fleet);
        match document {
            Some(document) => {
                hub.reports.push(Report { problems, ..Report::of(&document) });
                hub.documents.push(document);
            }
            None => hub.reports.push(unread(object, problems)),
        }
    }
    let (mut intent, reports) = intent(fleet, &hub.documents, site);
    for report in reports {
        let same =
            |r: &&mut Report| (&r.kind, &r.namespace, &r.name) == (&report.kind, &report.namespace, &report.name);
        if let Some(first) = hub.reports.iter_mut().find(same) {
            first.problems.extend(report.problems);
            (first.targets, first.meshes) = (report.targets, report.meshes);
        }
    }
    // A chain that cannot be written (a gateway without an address, say) is its document's problem, and no other's.
    loop {
        let mut made = Made::default();
        istio::write(fleet, &intent, site, &mut made);
        let errors: Vec<_> = made.problems.iter().filter(|p| p.severity == Severity::Error).collect();
        let guilty: BTreeSet<String> =
            errors.iter().filter_map(|p| p.about.as_ref()?.failover.clone()).filter(|d| intent.asks(d)).collect();
        if guilty.is_empty() {
            let broken = !errors.is_empty();
            place(made.problems, &mut hub);
            hub.manifests = if broken { Vec::new() } else { made.manifests };
            hub.manifests.sort_by(|a, b| (a.wave, &a.key).cmp(&(b.wave, &b.key)));
            return hub;
        }
        let (theirs, _): (Vec<_>, Vec<_>) = made
            .problems
            .into_iter()
            .partition(|p| p.about.as_ref().and_then(|a| a.failover.as_ref()).is_some_and(|d| guilty.contains(d)));
        place(theirs, &mut hub);
        intent.forget(&guilty);
    }
}

/// Problems go to the documents they are about.
fn place(problems: Vec<Problem>, hub: &mut Hub) {
    for problem in problems {
        let about = problem.about.as_ref().and_then(|a| a.failover.clone());
        let title = |r: &&mut Report| Some(format!("{} {}/{}", r.kind, r.namespace, r.name)) == about;
        match hub.reports.iter_mut().find(title) {
            Some(report) => report.problems.push(problem),
            None => hub.problems.push(problem),
        }
    }
}

fn unread(object: &Value, problems: Vec<Problem>) -> Report {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
    Report {
        kind: text("/kind"),
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        targets: BTreeSet::new(),
        meshes: BTreeSet::new(),
        problems,
    }
}

/// The intent of the documents that are valid, and a report for each.
pub fn intent(fleet: &Fleet, documents: &[Document], site: &Site) -> (Intent, Vec<Report>) {
    let mut job = Job { fleet, site, reports: BTreeMap::new(), documents };
    for document in documents {
        job.reports.insert(document.title(), Report::of(document));
    }
    job.meshes();
    let watched = outlier::watched(&mut job);
    let chains = failover::chains(&mut job, &watched);
    let shifts = policy::shifts(&mut job, &chains);
    let mut intent = Intent { chains, watches: watched.watches(&job), shifts, joins: Vec::new() };
    let refused: BTreeSet<String> =
        job.reports.iter().filter(|(_, r)| !r.is_accepted()).map(|(title, _)| title.clone()).collect();
    intent.forget(&refused);
    let reports = documents.iter().filter_map(|d| job.reports.remove(&d.title())).collect();
    (intent, reports)
}

/// What the parts of one compilation share.
struct Job<'a> {
    fleet: &'a Fleet,
    site: &'a Site,
    documents: &'a [Document],
    reports: BTreeMap<String, Report>,
}

/// The origin of what a document asks.
fn origin(kind: &str, reference: &Reference) -> Origin {
    Origin { owner: reference.name.to_string(), document: format!("{kind} {reference}") }
}

impl<'a> Job<'a> {
    fn policies(&self) -> impl Iterator<Item = &'a TrafficPolicy> + use<'a> {
        self.documents.iter().filter_map(|d| match d {
            Document::TrafficPolicy(policy) => Some(policy),
            _ => None,
        })
    }

    fn failovers(&self) -> impl Iterator<Item = &'a FailoverService> + use<'a> {
        self.documents.iter().filter_map(|d| match d {
            Document::FailoverService(service) => Some(service),
            _ => None,
        })
    }

    fn virtual_meshes(&self) -> impl Iterator<Item = &'a VirtualMesh> + use<'a> {
        self.documents.iter().filter_map(|d| match d {
            Document::VirtualMesh(mesh) => Some(mesh),
            _ => None,
        })
    }

    fn say(&mut self, origin: &Origin, pointer: &str, problem: Problem) {
        if let Some(report) = self.reports.get_mut(&origin.document) {
            report.problems.push(origin.about(problem, pointer));
        }
    }

    /// A mesh is in one VirtualMesh: the first to name it keeps it.
    fn meshes(&mut self) {
        let mut seen: BTreeMap<&ClusterName, &Reference> = BTreeMap::new();
        for mesh in self.virtual_meshes() {
            let origin = origin("VirtualMesh", &mesh.reference);
            for (i, cluster) in mesh.clusters.iter().enumerate() {
                if let Some(report) = self.reports.get_mut(&origin.document) {
                    report.meshes.insert(cluster.clone());
                }
                let first = *seen.entry(cluster).or_insert(&mesh.reference);
                if *first != mesh.reference {
                    let what = format!("the mesh of `{cluster}` is in VirtualMesh {first} already");
                    let problem =
                        Problem::error("FCT0366", what).hint("a mesh has one root: leave it out of one of the two");
                    self.say(&origin, &format!("/spec/meshes/{i}"), problem);
                }
            }
        }
    }

    /// The VirtualMesh of a cluster.
    fn mesh_of(&self, cluster: &ClusterName) -> Option<&'a Reference> {
        self.virtual_meshes().find(|m| m.clusters.contains(cluster)).map(|m| &m.reference)
    }
}
