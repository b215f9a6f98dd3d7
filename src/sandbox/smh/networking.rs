//! Policies to Istio objects: what the hub knows becomes a fleet and a site, and the compiler says the rest. Pure, but
//! for [`write`].
//! What comes in: what was seen of the management cluster and of the registered ones. What goes out: objects per
//! cluster, and the status of every document.
//! May not know: what Istio objects look like.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Map, Value, json};

use super::{DISCOVERED, MANAGER, NAMESPACE, OWNER, status};
use crate::compile::Site;
use crate::compile::smh::{self, Report};
use crate::manifest::{MANAGED_BY, Manifest, OWNER_LABEL, World};
use crate::model::fleet::{Cluster, Fleet, GatewayAddress, Istio, Platform, Version};
use crate::model::name::{ClusterName, Namespace};
use crate::model::problem::{Problem, Severity};
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{label, list, name, namespace, number, text};
use crate::sandbox::controllers::observed::Observed;

/// The documents that are translated.
const DOCUMENTS: [Kind; 3] = [Kind::VirtualMesh, Kind::TrafficPolicy, Kind::FailoverService];
/// The kinds that it writes on registered clusters, in the version in which it looks for its own.
const OUTPUTS: [(&str, &str); 5] = [
    ("v1", "DestinationRule"),
    ("v1", "ServiceEntry"),
    ("v1alpha3", "EnvoyFilter"),
    ("v1", "VirtualService"),
    ("v1", "Gateway"),
];
/// Istio's group of those kinds.
const ISTIO: &str = "networking.istio.io";

/// Everything a translation is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    fleet: Fleet,
    documents: Vec<Value>,
    site: Site,
    /// Names of discovered workloads.
    workloads: Vec<String>,
}

/// What was translated last.
#[derive(Debug, Default)]
pub struct Memory(Option<Inputs>);

impl Memory {
    /// Whether these inputs have not been translated yet.
    pub fn is_news(&self, inputs: &Inputs) -> bool {
        self.0.as_ref() != Some(inputs)
    }

    /// They have been now.
    pub fn done(&mut self, inputs: Inputs) {
        self.0 = Some(inputs);
    }
}

/// What a translation comes to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Objects by cluster, in the order they are written.
    pub desired: BTreeMap<String, Vec<Value>>,
    /// Documents and what to say of them.
    pub statuses: Vec<(Kind, Value, Value)>,
}

impl Inputs {
    /// From what was seen: of the management cluster, and of registered clusters by name.
    pub fn of(home: &Observed, members: &BTreeMap<String, &Observed>) -> Inputs {
        let (mut fleet, mut world) = (Fleet { name: NAMESPACE.into(), ..Fleet::default() }, World::default());
        for mesh in home.all(Kind::Mesh) {
            let Some(cluster) = cluster(mesh) else { continue };
            let seen = members.get(cluster.name.as_str()).copied();
            discovered(home, &cluster.name, seen, &mut world);
            fleet.clusters.insert(cluster.name.clone(), cluster);
        }
        let documents = DOCUMENTS.iter().flat_map(|kind| home.all(*kind)).map(asked).collect();
        let workloads = home.all(Kind::Workload).map(|w| name(w).to_owned()).collect();
        // Policies are translated when something was asked or discovered, not whenever a Pod comes or goes.
        let site = Site::from_world(&world);
        let site = Site { facts: site.facts.lasting(), ..site };
        Inputs { fleet, documents, site, workloads }
    }
}

/// A document without what others say of it.
fn asked(document: &Value) -> Value {
    let mut asked = document.clone();
    if let Some(fields) = asked.as_object_mut() {
        fields.shift_remove("status");
    }
    if let Some(metadata) = asked["metadata"].as_object_mut() {
        ["resourceVersion", "managedFields"].iter().for_each(|f| {
            metadata.shift_remove(*f);
        });
    }
    asked
}

/// A discovered Mesh as a cluster of a fleet.
fn cluster(mesh: &Value) -> Option<Cluster> {
    let installation = mesh.pointer("/spec/istio/installation")?;
    let name = ClusterName::new(text(installation, "/cluster")).ok()?;
    let gateway = list(mesh, "/spec/istio/ingressGateways").first();
    let east_west = gateway.and_then(|g| {
        let port = u16::try_from(number(g, "/externalTlsPort")?).ok()?;
        Some(GatewayAddress { host: text(g, "/externalAddress").into(), port })
    });
    let istio = Istio {
        version: Version::parse(text(installation, "/version")).ok()?,
        namespace: Namespace::new(text(installation, "/namespace")).ok()?,
        east_west,
        cluster_domain: crate::model::mesh::CLUSTER_DOMAIN.into(),
    };
    Some(Cluster {
        context: name.to_string(),
        network: Some(name.to_string()),
        name,
        region: None,
        zone: None,
        gloo: None,
        istio: Some(istio),
        gateway: None,
        trust_domain: Some(text(mesh, "/spec/istio/citadelInfo/trustDomain").into()),
        namespaces: Vec::new(),
        platform: Platform::LoadBalancer,
        switch: None,
    })
}

/// What discovery has found on a cluster, as the objects themselves.
fn discovered(home: &Observed, cluster: &ClusterName, seen: Option<&Observed>, world: &mut World) {
    let Some(seen) = seen else { return };
    let own = |kind: Kind| home.all(kind).filter(|o| label(o, DISCOVERED) == Some(cluster.as_str()));
    let services = own(Kind::TrafficTarget).map(|t| (Kind::Service, t.pointer("/spec/kubeService/ref")));
    let workloads = own(Kind::Workload).map(|w| (Kind::Deployment, w.pointer("/spec/kubernetes/controller")));
    for (kind, reference) in services.chain(workloads) {
        let Some(reference) = reference else { continue };
        if let Some(object) = seen.get(kind, text(reference, "/namespace"), text(reference, "/name")) {
            world.insert(cluster, object.clone());
        }
    }
    for config in seen.all(Kind::ConfigMap).filter(|c| name(c) == "istio") {
        world.insert(cluster, config.clone());
    }
}

/// Compiles.
pub fn translate(inputs: &Inputs) -> Outcome {
    let hub = smh::compile(&inputs.fleet, &inputs.documents, &inputs.site);
    for problem in &hub.problems {
        tracing::info!(manager = MANAGER, "{}", told(problem));
    }
    let mut outcome = Outcome::default();
    for manifest in &hub.manifests {
        if manifest.key.gvk.group == ISTIO {
            let of = outcome.desired.entry(manifest.key.cluster.to_string()).or_default();
            of.push(owned(manifest));
        } else {
            // Somebody else's: a hub has no right to it.
            tracing::info!(
                manager = MANAGER,
                "{} of {} must be changed by hand",
                manifest.key.name,
                manifest.key.cluster
            );
        }
    }
    for (document, report) in inputs.documents.iter().filter_map(|d| Some((d, report_of(&hub.reports, d)?))) {
        let said = match Kind::of(document) {
            Some(Kind::TrafficPolicy) => policy(document, report, &inputs.workloads),
            Some(Kind::FailoverService) => failover(document, report),
            _ => continue,
        };
        outcome.statuses.extend(Kind::of(document).map(|kind| (kind, document.clone(), said)));
    }
    outcome
}

fn report_of<'a>(reports: &'a [Report], document: &Value) -> Option<&'a Report> {
    reports
        .iter()
        .find(|r| r.kind == text(document, "/kind") && r.namespace == namespace(document) && r.name == name(document))
}

/// An object as the hub's own.
fn owned(manifest: &Manifest) -> Value {
    let mut body = manifest.body.clone();
    let labels = body["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    let kept = labels.into_iter().filter(|(k, _)| k != MANAGED_BY.0 && k != OWNER_LABEL);
    let labels: Map<String, Value> = kept.chain([(OWNER.to_owned(), json!(NAMESPACE))]).collect();
    body["metadata"]["labels"] = Value::Object(labels);
    body
}

fn errors(report: &Report) -> Vec<String> {
    report.problems.iter().filter(|p| p.severity == Severity::Error).map(told).collect()
}

/// A problem in one line.
fn told(problem: &Problem) -> String {
    match &problem.hint {
        Some(hint) => format!("{}: {}; {hint}", problem.code, problem.what),
        None => format!("{}: {}", problem.code, problem.what),
    }
}

fn state(report: &Report) -> &'static str {
    if report.is_accepted() { "ACCEPTED" } else { "INVALID" }
}

/// What every part of a document is told: its state, and the errors if there are any.
fn approval(report: &Report) -> Value {
    let mut approval = json!({"acceptanceOrder": 0, "state": state(report)});
    if !report.is_accepted() {
        approval["errors"] = json!(errors(report));
    }
    approval
}

fn policy(document: &Value, report: &Report, workloads: &[String]) -> Value {
    let targets: Map<String, Value> = report
        .targets
        .iter()
        .map(|t| {
            let named = format!("{}-{}-{}", t.name, t.namespace, t.cluster);
            (status::key(&named, NAMESPACE, ""), approval(report))
        })
        .collect();
    let workloads: Vec<String> = workloads.iter().map(|w| status::key(w, NAMESPACE, "")).collect();
    let mut said = json!({"state": state(report), "trafficTargets": targets, "workloads": workloads});
    observed(document, &mut said);
    if targets.is_empty() && !report.is_accepted() {
        said["errors"] = json!(errors(report));
    }
    said
}

fn failover(document: &Value, report: &Report) -> Value {
    let meshes: Map<String, Value> = list(document, "/spec/meshes")
        .iter()
        .map(|m| (status::key(text(m, "/name"), text(m, "/namespace"), ""), approval(report)))
        .collect();
    let mut said = json!({"state": state(report), "meshes": meshes});
    observed(document, &mut said);
    if !report.is_accepted() {
        said["validationErrors"] = json!(errors(report));
    }
    said
}

fn observed(document: &Value, status: &mut Value) {
    if let Some(generation) = document["metadata"]["generation"].as_i64() {
        status["observedGeneration"] = generation.into();
    }
}

/// Makes a cluster's own objects those that are desired: writes them, and takes away what is not desired any more.
pub async fn write(client: &Client, desired: &[Value]) -> anyhow::Result<()> {
    let params = PatchParams::apply(MANAGER).force();
    for object in desired {
        let (version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let api = api(client, group, version, kind, Some(namespace(object)));
        let applied = api.patch(name(object), &params, &Patch::Apply(object)).await;
        applied.with_context(|| format!("writing {kind} {}/{}", namespace(object), name(object)))?;
    }
    let wanted: BTreeSet<(&str, &str, &str)> =
        desired.iter().map(|o| (text(o, "/kind"), namespace(o), name(o))).collect();
    let own = ListParams::default().labels(&format!("{OWNER}={NAMESPACE}"));
    for (version, kind) in OUTPUTS {
        let found = api(client, ISTIO, version, kind, None).list(&own).await;
        for object in found.with_context(|| format!("looking for {kind}s of the hub"))? {
            let (space, name) =
                (object.metadata.namespace.unwrap_or_default(), object.metadata.name.unwrap_or_default());
            if wanted.contains(&(kind, space.as_str(), name.as_str())) {
                continue;
            }
            let preconditions = Preconditions { uid: object.metadata.uid, resource_version: None };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            match api(client, ISTIO, version, kind, Some(&space)).delete(&name, &params).await {
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                done => drop(done.with_context(|| format!("taking away {kind} {space}/{name}"))?),
            }
        }
    }
    Ok(())
}

fn api(client: &Client, group: &str, version: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

#[cfg(test)]
mod tests {
    use super::super::discovery;
    use super::*;

    fn service(space: &str, service: &str, spec: Value, status: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": space},
            "spec": spec, "status": status})
    }

    fn member(cluster: &str) -> Observed {
        let labels = json!({"app": "reviews", "version": "v1"});
        let mesh = format!("trustDomain: {cluster}\ntrustDomainAliases: [kind2, kind3]\n");
        let template = json!({"metadata": {"labels": labels},
            "spec": {"serviceAccountName": "bookinfo-reviews", "containers": [{"name": "reviews"}]}});
        let istiod = json!({"metadata": {"labels": {"istio": "pilot"}},
            "spec": {"containers": [{"name": "discovery", "image": "docker.io/istio/pilot:1.27.3"}]}});
        let deployment = |space: &str, name: &str, template: &Value| {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space, "uid": name},
                "spec": {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}})
        };
        Observed::of([
            deployment("istio-system", "istiod", &istiod),
            deployment("default", "reviews-v1", &template),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": mesh}}),
            service(
                "istio-system",
                "istio-eastwestgateway",
                json!({"selector": {"istio": "eastwestgateway"}, "ports": [{"name": "tls", "port": 15443, "targetPort": 15443, "protocol": "TCP"}]}),
                json!({"loadBalancer": {"ingress": [{"ip": if cluster == "kind2" { "127.42.17.2" } else { "127.42.33.2" }}]}}),
            ),
            service(
                "default",
                "reviews",
                json!({"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "targetPort": 9080, "protocol": "TCP"}]}),
                json!({}),
            ),
        ])
    }

    fn article() -> Vec<Value> {
        let meta = |name: &str, space: &str| json!({"name": name, "namespace": space, "generation": 1});
        let at = |cluster: &str| json!({"name": "reviews", "namespace": "default", "clusterName": cluster});
        let document = |kind: &str, meta: Value, spec: Value| json!({"apiVersion": "networking.smh.solo.io/v1alpha2", "kind": kind, "metadata": meta, "spec": spec});
        vec![
            super::super::install::virtual_mesh(["kind2", "kind3"].into_iter()),
            document(
                "TrafficPolicy",
                meta("mgmt-reviews-outlier", NAMESPACE),
                json!({
                "destinationSelector": [{"kubeServiceRefs": {"services": [at("kind2"), at("kind3")]}}],
                "outlierDetection": {"consecutiveErrors": 1, "interval": "10s", "baseEjectionTime": "2m"}}),
            ),
            document(
                "FailoverService",
                meta("reviews-failover", NAMESPACE),
                json!({
                "hostname": "reviews-failover.default.global", "port": {"number": 9080, "protocol": "http"},
                "meshes": [{"name": "istiod-istio-system-kind2", "namespace": NAMESPACE}],
                "backingServices": [{"kubeService": at("kind2")}, {"kubeService": at("kind3")}]}),
            ),
            document(
                "TrafficPolicy",
                meta("reviews-shift-failover", "default"),
                json!({
                "destinationSelector": [{"kubeServiceRefs": {"services": [at("kind2")]}}],
                "trafficShift": {"destinations": [{"failoverServiceRef": {"name": "reviews-failover", "namespace": NAMESPACE}}]}}),
            ),
        ]
    }

    fn inputs(documents: Vec<Value>) -> Inputs {
        let (two, three) = (member("kind2"), member("kind3"));
        let known = |c: &str| BTreeSet::from([format!("reviews-v1-default-{c}-deployment")]);
        let found = [("kind2", &two), ("kind3", &three)]
            .into_iter()
            .flat_map(|(c, seen)| discovery::discover(c, seen, &known(c)));
        let home = Observed::of(found.collect::<Vec<_>>().into_iter().chain(documents));
        Inputs::of(&home, &BTreeMap::from([("kind2".to_owned(), &two), ("kind3".to_owned(), &three)]))
    }

    #[test]
    fn the_articles_documents_become_the_articles_objects_with_their_status() {
        let outcome = translate(&inputs(article()));
        let kinds = |cluster: &str| -> BTreeSet<String> {
            outcome.desired[cluster].iter().map(|o| format!("{} {}", text(o, "/kind"), name(o))).collect()
        };
        let near = kinds("kind2");
        for wanted in [
            "DestinationRule reviews",
            "EnvoyFilter reviews-failover",
            "ServiceEntry reviews-failover",
            "VirtualService reviews",
        ] {
            assert!(near.contains(wanted), "{wanted} is not in {near:?}");
        }
        assert!(kinds("kind3").contains("DestinationRule reviews"), "{:?}", kinds("kind3"));
        for object in outcome.desired.values().flatten() {
            assert_eq!(label(object, OWNER), Some(NAMESPACE), "{object}");
            assert_eq!(label(object, MANAGED_BY.0), None, "{object}");
        }
        for (kind, document, said) in &outcome.statuses {
            assert_eq!(said["state"], "ACCEPTED", "{kind:?} {}: {said:#}", name(document));
            assert_eq!(said["observedGeneration"], 1);
        }
        let outlier = &outcome.statuses.iter().find(|s| name(&s.1) == "mgmt-reviews-outlier").unwrap().2;
        assert_eq!(outlier["trafficTargets"]["reviews-default-kind3.service-mesh-hub."]["state"], "ACCEPTED");
        let failover = &outcome.statuses.iter().find(|s| s.0 == Kind::FailoverService).unwrap().2;
        assert_eq!(failover["meshes"]["istiod-istio-system-kind2.service-mesh-hub."]["state"], "ACCEPTED");
    }

    #[test]
    fn a_wrong_document_is_invalid_and_costs_no_other() {
        let mut documents = article();
        documents[2]["spec"]["backingServices"][1]["kubeService"]["name"] = "nobody".into();
        let outcome = translate(&inputs(documents));
        let state = |wanted: &str| {
            let found = outcome.statuses.iter().find(|s| name(&s.1) == wanted).unwrap();
            text(&found.2, "/state").to_owned()
        };
        assert_eq!(state("reviews-failover"), "INVALID");
        assert_eq!(state("mgmt-reviews-outlier"), "ACCEPTED");
    }

    #[test]
    fn only_a_change_of_what_is_asked_or_discovered_is_news() {
        let mut memory = Memory::default();
        let first = inputs(article());
        assert!(memory.is_news(&first));
        memory.done(first);
        let mut told = article();
        told[1]["status"] = json!({"state": "ACCEPTED"});
        told[1]["metadata"]["resourceVersion"] = "77".into();
        assert!(!memory.is_news(&inputs(told)));
        let mut changed = article();
        changed[1]["spec"]["outlierDetection"]["interval"] = "5s".into();
        assert!(memory.is_news(&inputs(changed)));
    }
}
