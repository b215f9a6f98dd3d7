//! Bytes → model: our documents and the vendors'. What comes in: texts under the names the user gave them, some with
//! the cluster they are for. What goes out: everything valid, or every problem with file, line and column.
//! May not know: where texts come from, targets, clusters beyond their names.

pub mod failover;
pub mod fleet;
mod mesh;
pub mod raw;
pub mod reading;
pub mod shape;
pub mod text;
pub mod vendor;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use self::text::{End, Located, Text, meant};
use crate::manifest::World;
use crate::model::failover::Failover;
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::{Problem, Severity, Span};
use crate::model::smh;
use crate::yaml;

/// One text to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As the user named it; `-` for standard input.
    pub name: String,
    /// The cluster its vendor documents are for, if the user said so.
    pub cluster: Option<String>,
    /// The text.
    pub body: String,
}

/// A vendor's or Kubernetes' own object, as it stands.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// The cluster it is for.
    pub cluster: ClusterName,
    /// The object.
    pub body: Value,
    /// Where it begins.
    pub at: Span,
}

/// A document that another room reads, and its place.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What it says.
    pub value: Value,
    located: Located,
}

impl Draft {
    /// The same problem, pointing at what a JSON pointer leads to.
    pub fn locate(&self, problem: Problem, pointer: &str) -> Problem {
        self.located.locate(problem, pointer, End::Value)
    }
}

/// Everything the user gave, valid.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The fleet.
    pub fleet: Fleet,
    /// The failovers, in the order they were given; names are unique.
    pub failovers: Vec<Failover>,
    /// Vendor and Kubernetes objects.
    pub foreign: Vec<Foreign>,
    /// The same objects as a world: what they say of Services holds whatever part of the documents is worked on.
    pub given: World,
    /// Service Mesh Hub's documents, which are compiled like failovers.
    pub smh: Vec<smh::Document>,
    /// Drill documents, as they are written; `simulate` reads them.
    pub scenarios: Vec<Draft>,
    /// What is worth knowing and stops nobody.
    pub notes: Vec<Problem>,
    fleet_at: Option<Located>,
    failovers_at: BTreeMap<String, Located>,
}

impl Documents {
    /// Keeps only the failovers of these names, and with any named no vendor objects; none named keeps everything.
    pub fn only(&mut self, names: &[String]) -> Result<(), Problem> {
        if names.is_empty() {
            return Ok(());
        }
        let known = || self.failovers.iter().map(|f| f.name.as_str());
        if let Some(unknown) = names.iter().find(|n| !known().any(|k| k == **n)) {
            let problem = Problem::error("FCT0117", format!("no failover is named `{unknown}`"));
            return Err(problem.hint(meant(unknown, known().collect::<Vec<_>>())));
        }
        self.failovers.retain(|f| names.iter().any(|n| n == f.name.as_str()));
        self.foreign.clear();
        self.smh.clear();
        Ok(())
    }

    /// The same problems, those about parts of documents pointing at their places.
    pub fn locate(&self, problems: Vec<Problem>) -> Vec<Problem> {
        problems.into_iter().map(|p| self.locate_one(p)).collect()
    }

    fn locate_one(&self, mut problem: Problem) -> Problem {
        let Some(about) = problem.about.take() else { return problem };
        let document = match &about.failover {
            Some(name) => self.failovers_at.get(name),
            None => self.fleet_at.as_ref(),
        };
        match document {
            Some(document) => document.locate(problem, &about.pointer, End::Key),
            None => problem,
        }
    }
}

/// Reads all texts. Every problem of every document is returned at once; with no error among them they become notes.
pub fn read(sources: Vec<Source>) -> Result<Documents, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sorted = Sorted::default();
    for source in sources {
        sort(source, &mut sorted, &mut problems);
    }
    let mut documents = Documents::default();
    let mut fleet_given = false;
    for (i, (located, value)) in sorted.fleets.into_iter().enumerate() {
        if i > 0 {
            let first = documents.fleet_at.as_ref().map(|l| l.start().to_string()).unwrap_or_default();
            let problem = Problem::error("FCT0113", format!("a second fleet; the first is at {first}"));
            let problem = problem.hint("a command works on one fleet: keep one of them, or give only one file");
            problems.push(located.locate(problem, "", End::Value));
            continue;
        }
        let (fleet, found) = fleet::read(&located, value);
        problems.extend(found);
        fleet_given = true;
        documents.fleet = fleet;
        documents.fleet_at = Some(located);
    }
    if !fleet_given && !problems.iter().any(|p| p.severity == Severity::Error) {
        let what = "no fleet document was given, so no cluster is known";
        problems.push(Problem::error("FCT0112", what).hint("`failctl init` writes one to start from"));
    }
    let fleet = fleet_given.then_some(documents.fleet.clone());
    for (located, cluster) in &sorted.given_for {
        known_cluster(cluster, fleet.as_ref(), located, &mut problems);
    }
    for (located, value) in sorted.failovers {
        let (failover, found) = failover::read(&located, value, fleet.as_ref());
        problems.extend(found);
        let Some(failover) = failover else { continue };
        let name = failover.name.to_string();
        if let Some(first) = documents.failovers_at.get(&name) {
            let what = format!("a second failover named `{name}`; the first is at {}", first.start());
            problems.push(located.locate(Problem::error("FCT0114", what), "/metadata/name", End::Value));
            continue;
        }
        documents.failovers_at.insert(name, located);
        documents.failovers.push(failover);
    }
    documents.scenarios = sorted.scenarios;
    let (hub, rest) = sorted.foreign.into_iter().partition(|(_, value, _)| vendor::smh::is(value));
    smh(hub, fleet.as_ref(), &mut documents, &mut problems);
    documents.foreign = foreign(rest, fleet.as_ref(), &mut problems);
    for foreign in &documents.foreign {
        documents.given.insert(&foreign.cluster, foreign.body.clone());
    }
    if problems.iter().any(|p| p.severity == Severity::Error) {
        // In the order a reader meets them.
        let mut places: Vec<Arc<str>> = Vec::new();
        for file in problems.iter().filter_map(|p| p.at.as_ref()).map(|s| s.file.clone()) {
            if !places.contains(&file) {
                places.push(file);
            }
        }
        let key = |p: &Problem| p.at.as_ref().map(|s| (places.iter().position(|f| *f == s.file), s.line, s.column));
        problems.sort_by_key(|p| key(p).map_or((1, None), |k| (0, Some(k))));
        return Err(problems);
    }
    documents.notes = problems;
    Ok(documents)
}

/// Documents by what they are.
#[derive(Default)]
struct Sorted {
    fleets: Vec<(Located, Value)>,
    failovers: Vec<(Located, Value)>,
    scenarios: Vec<Draft>,
    foreign: Vec<(Located, Value, Option<String>)>,
    /// failctl's own documents that were given for a cluster: it says nothing about them, but there must be one.
    given_for: Vec<(Located, String)>,
}

fn sort(source: Source, sorted: &mut Sorted, problems: &mut Vec<Problem>) {
    let text = Arc::new(Text::new(source.name, source.body));
    let documents = match yaml::parse(&text.body) {
        Ok(documents) => documents,
        Err(error) => {
            let problem = Problem::error("FCT0101", format!("this is not YAML: {}", error.what));
            problems.push(match error.at {
                Some(pos) => text.locate(problem, pos),
                None => problem.at(Some(text.span(yaml::Pos { line: 1, column: 1 }))),
            });
            return;
        }
    };
    for yaml::Document { value, place } in documents {
        let located = Located { text: text.clone(), place };
        sort_one(located, value, source.cluster.as_deref(), sorted, problems);
    }
}

fn sort_one(located: Located, value: Value, cluster: Option<&str>, sorted: &mut Sorted, problems: &mut Vec<Problem>) {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    if !value.is_object() {
        let what = format!("a document is a mapping, this one is {}", text::kind_of(&value));
        problems.push(located.locate(Problem::error("FCT0102", what), "", End::Value));
        return;
    }
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        for name in ["apiVersion", "kind"].into_iter().filter(|n| text(n).is_none()) {
            let problem =
                Problem::error("FCT0102", format!("this document has no `{name}`, so nobody can tell what it is"));
            let near = value.as_object().and_then(|m| text::nearest(name, m.keys().map(String::as_str)));
            let problem = match near.filter(|n| *n != name) {
                Some(near) => problem.hint(format!("is `{near}` meant to be `{name}`?")),
                None => problem,
            };
            problems.push(located.locate(problem, "", End::Value));
        }
        return;
    };
    if version.split('/').next() == Some("failctl.dev") {
        sorted.given_for.extend(cluster.map(|c| (located.clone(), c.to_string())));
        match kind {
            "Fleet" => sorted.fleets.push((located, value)),
            "Failover" => sorted.failovers.push((located, value)),
            "Scenario" => sorted.scenarios.push(Draft { value, located }),
            other => {
                let problem = Problem::error("FCT0107", format!("failctl has no kind `{other}`"));
                let problem = problem.hint(meant(other, ["Fleet", "Failover", "Scenario"]));
                problems.push(located.locate(problem, "/kind", End::Value));
            }
        }
        return;
    }
    if matches!(kind, "Fleet" | "Failover" | "Scenario") && text::nearest(version, [raw::API_VERSION]).is_some() {
        let problem = Problem::error("FCT0107", format!("`{version}` is not a value `apiVersion` can have"));
        let problem = problem.hint(format!("did you mean `{}`?", raw::API_VERSION));
        problems.push(located.locate(problem, "/apiVersion", End::Value));
        return;
    }
    if kind == "List" && version == "v1" {
        let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        for (i, item) in items.into_iter().enumerate() {
            let place = located.place.nearest(&format!("/items/{i}")).clone();
            sort_one(Located { text: located.text.clone(), place }, item, cluster, sorted, problems);
        }
        return;
    }
    sorted.foreign.push((located, value, cluster.map(str::to_string)));
}

/// Service Mesh Hub's documents name their clusters themselves; a cluster before the file is the management cluster.
fn smh(
    given: Vec<(Located, Value, Option<String>)>,
    fleet: Option<&Fleet>,
    documents: &mut Documents,
    problems: &mut Vec<Problem>,
) {
    for (located, value, cluster) in given {
        if let Some(cluster) = cluster {
            known_cluster(&cluster, fleet, &located, problems);
        }
        let (document, found) = vendor::smh::read(&located, &value, fleet);
        problems.extend(found);
        let Some(document) = document else { continue };
        if let Some(first) = documents.failovers_at.get(&document.title()) {
            let what = format!("{} is given twice; the first is at {}", document.title(), first.start());
            problems.push(located.locate(Problem::error("FCT0115", what), "", End::Value));
            continue;
        }
        documents.failovers_at.insert(document.title(), located);
        documents.smh.push(document);
    }
}

/// Reads one of Service Mesh Hub's documents as an API server holds it: no file, and so no places.
pub fn smh_object(value: &Value, fleet: &Fleet) -> (Option<smh::Document>, Vec<Problem>) {
    let text = Arc::new(Text::new("object", yaml::emit(value)));
    let place = yaml::parse(&text.body).ok().and_then(|d| d.into_iter().next()).map(|d| d.place).unwrap_or_default();
    let (document, problems) = vendor::smh::read(&Located { text, place }, value, Some(fleet));
    let bare = |p: Problem| Problem { at: None, excerpt: None, ..p };
    (document, problems.into_iter().map(bare).collect())
}

fn foreign(
    given: Vec<(Located, Value, Option<String>)>,
    fleet: Option<&Fleet>,
    problems: &mut Vec<Problem>,
) -> Vec<Foreign> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<crate::manifest::ObjectKey, Span> = BTreeMap::new();
    for (located, value, cluster) in given {
        let at = located.start();
        let checked = vendor::check(&located, &value, fleet);
        problems.extend(checked);
        let cluster = match cluster {
            Some(text) => known_cluster(&text, fleet, &located, problems),
            None => {
                problems.push(located.locate(no_cluster(&value, &at), "", End::Value));
                None
            }
        };
        let Some(cluster) = cluster else { continue };
        let Some(key) = crate::manifest::key_of(&cluster, &value) else { continue };
        if let Some(first) = seen.insert(key.clone(), at.clone()) {
            let problem = Problem::error("FCT0115", format!("{key} is given twice; the first is at {first}"));
            problems.push(located.locate(problem, "", End::Value));
            continue;
        }
        found.push(Foreign { cluster, body: value, at });
    }
    found
}

fn no_cluster(value: &Value, at: &Span) -> Problem {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("object");
    let article = if kind.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" };
    let problem = Problem::error("FCT0110", format!("{article} {kind} does not say which cluster it is for"));
    problem.hint(format!("say it: -f CLUSTER={}", at.file))
}

fn known_cluster(
    text: &str,
    fleet: Option<&Fleet>,
    located: &Located,
    problems: &mut Vec<Problem>,
) -> Option<ClusterName> {
    let name = ClusterName::new(text).ok()?;
    let Some(fleet) = fleet else { return Some(name) };
    if fleet.clusters.contains_key(&name) {
        return Some(name);
    }
    let problem =
        Problem::error("FCT0111", format!("`{name}` in `-f {name}={}` is no cluster of the fleet", located.text.name));
    let problem = problem.hint(meant(text, fleet.clusters.keys().map(ClusterName::as_str)));
    if !problems.iter().any(|p| p.what == problem.what) {
        problems.push(problem);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, cluster: Option<&str>, body: &str) -> Source {
        Source { name: name.into(), cluster: cluster.map(str::to_string), body: body.into() }
    }

    const FLEET: &str = "apiVersion: failctl.dev/v1alpha1\nkind: Fleet\nspec:\n  clusters:\n  - {name: local, context: gloo-fed, gloo: {edition: enterprise, version: '1.18.3', federation: {namespace: gloo-fed}}}\n  - {name: remote, context: gloo-fed-2, gloo: {edition: open-source, version: '1.18.3'}}\n";

    #[test]
    fn a_fleet_and_a_failover_are_read() {
        let failover = "apiVersion: failctl.dev/v1alpha1\nkind: Failover\nmetadata: {name: color}\nspec:\n  service: {namespace: default, name: service-blue, port: 10000}\n  order:\n  - clusters: [{name: local}]\n  - clusters: [{name: remote, service: {name: service-green}}]\n  detection: {activeHealthCheck: {path: /health}}\n";
        let both = format!("{FLEET}---\n{failover}");
        let documents = read(vec![source("a.yaml", None, &both)]).unwrap();
        assert_eq!(documents.fleet.clusters.len(), 2);
        assert_eq!(documents.failovers[0].order[1][0].service.name.as_str(), "service-green");
        assert!(documents.notes.is_empty(), "{:?}", documents.notes);
    }

    #[test]
    fn all_problems_come_at_once_and_in_the_order_of_the_file() {
        let failover = "apiVersion: failctl.dev/v1alpha1\nkind: Failover\nmetadata: {name: Color}\nspec:\n  service: {namespace: default, name: service-blue, port: 70000}\n  order:\n  - clusters: [{name: locale, wieght: 2}]\n  detection: {activeHealthCheck: {interval: 1x}}\n";
        let found = read(vec![source("f.yaml", None, FLEET), source("a.yaml", None, failover)]).unwrap_err();
        let told: Vec<_> = found.iter().map(|p| format!("{} {} {}", p.at.as_ref().unwrap(), p.code, p.what)).collect();
        assert_eq!(told.len(), 7, "{told:#?}");
        assert!(told[0].starts_with("a.yaml:3:18 FCT0108"), "{told:#?}");
    }
}
