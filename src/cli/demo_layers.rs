//! The demo's story of an edge above a mesh, chapter by chapter: Gloo leads to productpage, whose sidecar leads to
//! reviews; each layer has a failover of its own. No command itself: every chapter types commands.

use serde_json::{Value, json};

use super::demo_mesh::{ARTICLE as MESH_ARTICLE, namespaces};
use super::demo_stage::Stage;
use super::demo_story::{
    Fault, GUIDE_REMOTE, NAMESPACE, Pace, documents, drill_file, guide, moved, own_port, step, stream, traffic,
};
use crate::error::Failure;
use crate::report::drill::RunReport;
use crate::sandbox::sample::Sample;
use crate::sandbox::stack::Stack;
use crate::sim::Expected;

const LAYERS: &str = include_str!("../../templates/sample/layers.yaml");
const EDGE_ARTICLE: &str = include_str!("../../templates/sample/layers-article.yaml");
const CLUSTERS: &str = "kind2=kind-kind2,kind3=kind-kind3";
/// What every drill and status is about.
const ABOUT: &str =
    "-f failctl.yaml -f shop.yaml -f article.yaml -f kind2=book.yaml -f kind3=book.yaml -f kind2=scheme.yaml";
/// All that was written.
const WRITTEN: &str = "-f failctl.yaml -f shop.yaml -f article.yaml -f kind2=book.yaml -f kind3=book.yaml \
                       -f kind2=guide-local.yaml -f kind3=guide-remote.yaml";

/// Where a fault must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// In the mesh, by reviews' failover.
    Mesh,
    /// At the edge, by productpage's.
    Edge,
}

impl Layer {
    /// Its failovers: as the article has it, and as recommended.
    fn failovers(self) -> [&'static str; 2] {
        match self {
            Layer::Mesh => ["reviews-failover", "shop-reviews"],
            Layer::Edge => ["productpage-failover", "shop-productpage"],
        }
    }
}

/// The faults, in order, each with the layer that must answer it.
pub const FAULTS: [(Layer, Fault); 4] = [
    (
        Layer::Mesh,
        Fault {
            name: "reviews",
            what: "reviews of the first cluster die: the mesh moves, the edge stays",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&REVIEWS), None)],
        },
    ),
    (
        Layer::Edge,
        Fault {
            name: "productpage",
            what: "productpage of the first cluster dies: the edge moves, and the mesh below it follows",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&["productpage-v1"]), None)],
        },
    ),
    (
        Layer::Edge,
        Fault {
            name: "both",
            what: "both die",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&["productpage-v1", REVIEWS[0], REVIEWS[1], REVIEWS[2]]), None)],
        },
    ),
    (
        Layer::Edge,
        Fault {
            name: "edge-outage",
            what: "the second cluster's Gloo gateway dies, then productpage of the first: nobody is left",
            expected: Expected::Outage,
            steps: || {
                let gateway = json!({"gatewayDown": {"cluster": "kind3"}});
                vec![step(gateway, Some("2s")), step(scaled(&["productpage-v1"]), None)]
            },
        },
    ),
];

const REVIEWS: [&str; 3] = ["reviews-v1", "reviews-v2", "reviews-v3"];

/// Deployments of the first cluster, scaled to zero at the same moment in both Bookinfos.
fn scaled(deployments: &[&str]) -> Value {
    let one = |namespace: &str, name: &str| json!({"scaleToZero": {"cluster": "kind2", "namespace": namespace, "deployment": name}});
    let all = ["default", NAMESPACE].into_iter().flat_map(|n| deployments.iter().map(move |d| one(n, d)));
    json!({"together": all.collect::<Vec<_>>()})
}

/// Two clusters with both.
pub fn clusters(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Two clusters with Gloo at the edge and Istio inside")?;
    stage.say(format!("\n$ failctl sandbox up --stack both --clusters {CLUSTERS}"));
    stage.start(CLUSTERS, Stack::Both)?;
    own_port(stage)
}

/// Roots, intermediates, gateways' certificates, and Gloo's identity in the mesh.
pub fn trust(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Certificates for both layers: gateways, meshes, and Gloo's identity in the mesh")?;
    stage.write("shop.yaml", LAYERS)?;
    stage.must("certs generate -f failctl.yaml -f shop.yaml")?;
    stage.must("certs install -f failctl.yaml -f shop.yaml --yes")
}

/// The same Bookinfo in each, once for each configuration.
pub fn applications(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Bookinfo in each, with sidecars; once for each configuration")?;
    let mut all = namespaces();
    let book = documents(Sample::Bookinfo.manifests())?;
    for namespace in ["default", NAMESPACE] {
        let part = |d: &&Value, label: &str| d["metadata"]["labels"][label] == "details";
        let called = book.iter().filter(|d| !part(d, "app") && !part(d, "account"));
        all.extend(called.map(|d| moved(d.clone(), namespace)));
    }
    stage.write("book.yaml", &stream(&all))?;
    stage.must("apply -f kind2=book.yaml -f kind3=book.yaml --yes --wait")
}

/// A layer each: the guide's FailoverScheme above, Service Mesh Hub's documents below.
pub fn article(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The article's configuration: a FailoverScheme at the edge, a FailoverService in the mesh")?;
    let local = documents(EDGE_ARTICLE)?;
    // The other side's Gloo is a member of its mesh too.
    let mut member: Vec<Value> = local.iter().filter(|d| d["kind"] == "Upstream").cloned().collect();
    for upstream in &mut member {
        upstream["spec"]["sslConfig"]["verifySubjectAltName"] =
            json!(["spiffe://kind3/ns/default/sa/bookinfo-productpage"]);
        upstream["spec"].as_object_mut().map(|spec| spec.shift_remove("healthChecks"));
    }
    let remote = documents(GUIDE_REMOTE)?.into_iter().chain(member).collect();
    guide(stage, local, remote)?;
    stage.write("article.yaml", MESH_ARTICLE)?;
    // In the guide's order, as at the edge alone.
    stage.must("apply -f kind3=guide-remote.yaml --yes --wait")?;
    stage.gateway_listens("kind3")?;
    stage.must("apply -f kind2=guide-local.yaml --yes --wait")?;
    stage.must("route add --cluster kind2 --path-prefix / --dest-name default-productpage-9080 --yes")?;
    stage.must("istio apply -f failctl.yaml -f article.yaml --yes --wait")
}

/// One intent per layer.
pub fn recommended(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The recommended configuration: one Failover document per layer")?;
    stage.say(LAYERS.trim_end());
    stage.must("apply -f failctl.yaml -f shop.yaml --yes --wait")
}

/// Tables.
pub fn status(stage: &mut Stage<'_>, what: &str) -> Result<(), Failure> {
    stage.chapter(&format!("Status: {what}"))?;
    stage.run(&format!("status {ABOUT} --no-drift")).map(drop)
}

/// One fault under load, which comes in at the edge. Where the mesh is what moves, who answered.
pub fn drill(stage: &mut Stage<'_>, layer: Layer, fault: Fault, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    let target = |policy: &str, failover: &str, edge: &str| {
        json!({
            "name": policy, "policy": policy, "failover": failover, "through": edge,
            "path": "/api/v1/products/0/reviews",
            "answers": {"pattern": "\"clustername\": *\"([^\"]+)\"", "primary": ["kind2"]},
        })
    };
    let [article, recommended] = layer.failovers();
    let edges = Layer::Edge.failovers();
    let targets = [target("article", article, edges[0]), target("recommended", recommended, edges[1])];
    let runs = drill_file(stage, fault, pace, &targets, ABOUT)?;
    if layer == Layer::Mesh {
        traffic(stage, &runs, ABOUT, &layer.failovers())?;
    }
    Ok(runs)
}

/// Everything failctl wrote, taken back.
pub fn clean_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Clean-up: what was written is taken back")?;
    stage.must(&format!("delete {WRITTEN} --yes"))?;
    stage.say("\n$ failctl sandbox down");
    Ok(())
}
