//! The demo's story of an edge above a mesh, chapter by chapter: Gloo leads to productpage, whose sidecar leads to
//! reviews; each layer has a failover of its own. No command itself: every chapter types commands.

use serde_json::{Value, json};

use super::demo_stage::Stage;
use super::demo_story::{Fault, Pace, documents, drill_file, moved, step, stream};
use crate::error::Failure;
use crate::report::drill::RunReport;
use crate::sandbox::sample::Sample;
use crate::sandbox::stack::Stack;
use crate::sim::Expected;

const LAYERS: &str = include_str!("../../templates/sample/layers.yaml");
const CLUSTERS: &str = "kind2=kind-kind2,kind3=kind-kind3";
/// What every drill and status is about.
const ABOUT: &str = "-f failctl.yaml -f layers.yaml -f kind2=book.yaml -f kind3=book.yaml";

/// The faults, in order, each with the failover that must answer it.
pub const FAULTS: [(&str, Fault); 4] = [
    (
        "reviews",
        Fault {
            name: "reviews",
            what: "reviews of the first cluster die: the mesh moves, the edge stays",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&REVIEWS), None)],
        },
    ),
    (
        "productpage",
        Fault {
            name: "productpage",
            what: "productpage of the first cluster dies: the edge moves, and the mesh below it follows",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&["productpage-v1"]), None)],
        },
    ),
    (
        "productpage",
        Fault {
            name: "both",
            what: "both die",
            expected: Expected::NoLoss,
            steps: || vec![step(scaled(&["productpage-v1", REVIEWS[0], REVIEWS[1], REVIEWS[2]]), None)],
        },
    ),
    (
        "productpage",
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

/// Deployments of the first cluster, scaled to zero at the same moment.
fn scaled(deployments: &[&str]) -> Value {
    let one = |name: &&str| json!({"scaleToZero": {"cluster": "kind2", "deployment": name}});
    json!({"together": deployments.iter().map(one).collect::<Vec<_>>()})
}

/// Two clusters with both.
pub fn clusters(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Two clusters with Gloo at the edge and Istio inside")?;
    stage.say(format!("\n$ failctl sandbox up --stack both --clusters {CLUSTERS}"));
    stage.start(CLUSTERS, Stack::Both)
}

/// Roots, intermediates, gateways' certificates, and Gloo's identity in the mesh.
pub fn trust(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Certificates for both layers: gateways, meshes, and Gloo's identity in the mesh")?;
    stage.write("layers.yaml", LAYERS)?;
    stage.must("certs generate -f failctl.yaml -f layers.yaml")?;
    stage.must("certs install -f failctl.yaml -f layers.yaml --yes")
}

/// The same Bookinfo in each.
pub fn applications(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Bookinfo in each, with sidecars")?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "default", "labels": {"istio-injection": "enabled"}}});
    let book = documents(Sample::Bookinfo.manifests())?.into_iter().map(|d| moved(d, "default"));
    let all: Vec<Value> = std::iter::once(namespace).chain(book).collect();
    stage.write("book.yaml", &stream(&all))?;
    stage.must("apply -f kind2=book.yaml -f kind3=book.yaml --yes --wait")
}

/// One intent per layer.
pub fn intents(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("One Failover document per layer")?;
    stage.say(LAYERS.trim_end());
    stage.must("apply -f failctl.yaml -f layers.yaml --yes --wait")
}

/// Tables.
pub fn status(stage: &mut Stage<'_>, what: &str) -> Result<(), Failure> {
    stage.chapter(&format!("Status: {what}"))?;
    stage.run(&format!("status {ABOUT} --no-drift")).map(drop)
}

/// One fault under load, which comes in at the edge.
pub fn drill(stage: &mut Stage<'_>, failover: &str, fault: Fault, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    let target = json!({
        "name": failover, "policy": "recommended", "failover": failover, "through": "productpage",
        "path": "/api/v1/products/0/reviews",
        "answers": {"pattern": "\"clustername\": *\"([^\"]+)\"", "primary": ["kind2"]},
    });
    drill_file(stage, fault, pace, &[target], ABOUT)
}

/// Everything failctl wrote, taken back.
pub fn clean_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Clean-up: what was written is taken back")?;
    stage.must(&format!("delete {ABOUT} --yes"))?;
    stage.say("\n$ failctl sandbox down");
    Ok(())
}
