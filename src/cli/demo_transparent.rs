//! The demo's story of transparent failover, chapter by chapter: callers keep the name `reviews`, and another cluster's Pods
//! stand in. No command itself: every chapter types commands.

use serde_json::{Value, json};

use super::demo_mesh;
use super::demo_mesh::{FAULTS, HOST, NAMESPACE};
use super::demo_stage::Stage;
use super::demo_story::{Fault, Pace, documents, drill_file, step, stream, traffic};
use crate::error::Failure;
use crate::report::drill::RunReport;
use crate::sim::Expected;

const ARTICLE: &str = include_str!("../../templates/sample/transparent-article.yaml");
const MEANT: &str = include_str!("../../templates/sample/transparent-article-intent.yaml");
const SHOP: &str = include_str!("../../templates/sample/transparent.yaml");
const CANARY: &str = include_str!("../../templates/sample/transparent-canary.yaml");

/// Each cluster with the other.
const PAIRS: [(&str, &str); 2] = [("kind2", "kind3"), ("kind3", "kind2")];
/// What every drill and status is about.
const ABOUT: &str = "-f failctl.yaml -f shop.yaml -f article.yaml -f kind2=kind2.yaml -f kind3=kind3.yaml";

/// What the article says Istio cannot do.
const CANARY_LOST: Fault = Fault {
    name: "canary",
    what: "the canary dies on both clusters: stable answers in its place",
    expected: Expected::NoLoss,
    steps: || {
        let one = |cluster: &str| json!({"scaleToZero": {"cluster": cluster, "namespace": NAMESPACE, "deployment": "reviews-v2"}});
        vec![step(json!({"together": PAIRS.map(|(cluster, _)| one(cluster))}), None)]
    },
};

/// The whole story.
pub fn tell(stage: &mut Stage<'_>, pace: Pace, runs: &mut Vec<RunReport>) -> Result<(), Failure> {
    demo_mesh::clusters(stage)?;
    trust(stage)?;
    demo_mesh::applications(stage)?;
    article(stage)?;
    recommended(stage)?;
    status(stage, "who serves the callers of each cluster, and what the article leaves open")?;
    for fault in FAULTS {
        runs.extend(drill(stage, fault, pace)?);
    }
    status(stage, "everything is back")?;
    runs.extend(canary(stage, pace)?);
    stage.let_others_come_up();
    clean_up(stage)
}

/// A root for both meshes.
fn trust(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("One root for both meshes: the article's only premise")?;
    stage.write("shop.yaml", SHOP)?;
    stage.must("certs generate -f failctl.yaml -f shop.yaml")?;
    stage.must("certs install -f failctl.yaml -f shop.yaml --yes")
}

/// The article's objects, with the address and the place of the other cluster's gateway.
fn article(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter(
        "The article's configuration: the gateway lets *.svc.cluster.local through, the other gateway joins the endpoints",
    )?;
    for (cluster, other) in PAIRS {
        let (address, place) = stage.east_west(other)?;
        let mut all = documents(ARTICLE)?;
        for endpoint in all.iter_mut().filter_map(|d| d.pointer_mut("/spec/endpoints/0")) {
            endpoint["address"] = json!(address);
            endpoint["locality"] = json!(place);
        }
        stage.write(&format!("article-{cluster}.yaml"), &stream(&all))?;
    }
    stage.write("article.yaml", MEANT)?;
    stage.must("apply -f kind2=article-kind2.yaml -f kind3=article-kind3.yaml --yes --wait")
}

/// What failctl compiles.
fn recommended(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The recommended configuration: one Failover document")?;
    stage.say(SHOP.trim_end());
    stage.must("apply -f failctl.yaml -f shop.yaml --yes --wait")
}

/// Tables.
fn status(stage: &mut Stage<'_>, what: &str) -> Result<(), Failure> {
    stage.chapter(&format!("Status: {what}"))?;
    stage.run(&format!("status {ABOUT} --no-drift")).map(drop)
}

/// One fault under load.
fn drill(stage: &mut Stage<'_>, fault: Fault, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    let runs = drill_file(stage, fault, pace, &targets(), ABOUT)?;
    traffic(stage, &runs, ABOUT, &["article-reviews", "shop-reviews"])?;
    Ok(runs)
}

/// Both configurations side by side.
fn targets() -> [Value; 2] {
    let target = |policy: &str, failover: &str| {
        let answers = json!({"pattern": "\"clustername\": *\"([^\"]+)\"", "primary": ["kind2"]});
        let path = "/api/v1/products/0/reviews";
        json!({"name": policy, "policy": policy, "failover": failover, "path": path, "answers": answers})
    };
    let mut recommended = target("recommended", "shop-reviews");
    recommended["host"] = json!(HOST);
    [target("article", "article-reviews"), recommended]
}

/// Versions: all requests go to the canary, and to stable when no canary is left anywhere.
fn canary(stage: &mut Stage<'_>, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    stage.chapter("Two versions: reviews v2 is the canary, and v1 answers when it is gone")?;
    stage.write("shop.yaml", CANARY)?;
    stage.say(CANARY.trim_end());
    stage.must("apply -f failctl.yaml -f shop.yaml --yes --wait")?;
    let [_, mut target] = targets();
    target["answers"] = json!({"pattern": "\"podname\": *\"(reviews-v[0-9])", "primary": ["reviews-v2"]});
    drill_file(stage, CANARY_LOST, pace, &[target], ABOUT)
}

/// Everything failctl wrote, taken back.
fn clean_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Clean-up: what was written is taken back")?;
    let files = "-f kind2=article-kind2.yaml -f kind3=article-kind3.yaml";
    stage
        .must(&format!("delete -f failctl.yaml -f shop.yaml -f kind2=kind2.yaml -f kind3=kind3.yaml {files} --yes"))?;
    stage.say("\n$ failctl sandbox down");
    Ok(())
}
