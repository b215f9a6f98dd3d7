//! The demo's story of a mesh, chapter by chapter: reviews in two clusters, called by productpage through its sidecar.
//! No command itself: every chapter types commands.

use serde_json::{Value, json};

use super::demo_stage::Stage;
use super::demo_story::{Fault, Pace, documents, drill_file, moved, step, stream, traffic};
use crate::error::Failure;
use crate::report::drill::RunReport;
use crate::sandbox::sample::Sample;
use crate::sandbox::stack::Stack;
use crate::sim::Expected;

/// Service Mesh Hub's documents of the article.
pub const ARTICLE: &str = include_str!("../../templates/sample/mesh-article.yaml");
const SHOP: &str = include_str!("../../templates/sample/mesh-failover.yaml");

/// The article's clusters that serve; nothing manages them here.
const CLUSTERS: &str = "kind2=kind-kind2,kind3=kind-kind3";
/// The namespace of the second Bookinfo, and the host it is asked for.
pub const NAMESPACE: &str = "shop";
pub const HOST: &str = "shop.example";
/// What every drill and status is about.
const ABOUT: &str = "-f failctl.yaml -f shop.yaml -f article.yaml -f kind2=kind2.yaml -f kind3=kind3.yaml";

/// Requests that were lost in the run the article tells of, and all of them.
pub const ARTICLE_LOST: (u64, u64) = (15, 7712);

/// The faults, in order.
pub const FAULTS: [Fault; 3] = [
    Fault {
        name: "sleep",
        what: "reviews v1 and v2 of the first cluster run `sleep` in place of their program, as in the article",
        expected: Expected::NoLoss,
        steps: || vec![step(reviews(|one| json!({"sleepCommand": one})), None)],
    },
    Fault {
        name: "scale",
        what: "reviews v1 and v2 of the first cluster are scaled to zero",
        expected: Expected::NoLoss,
        steps: || vec![step(reviews(|one| json!({"scaleToZero": one})), None)],
    },
    Fault {
        name: "outage",
        what: "the second cluster's east-west gateway dies, then reviews of the first: nobody is left, and that must be said",
        expected: Expected::Outage,
        steps: || {
            let gateway =
                json!({"cluster": "kind3", "namespace": "istio-system", "deployment": "istio-eastwestgateway"});
            vec![
                step(json!({"gatewayDown": gateway}), Some("2s")),
                step(reviews(|one| json!({"scaleToZero": one})), None),
            ]
        },
    },
];

/// The same fault in both Bookinfos at the same moment.
fn reviews(fault: impl Fn(Value) -> Value) -> Value {
    let one = |namespace: &str, version: &str| json!({"cluster": "kind2", "namespace": namespace, "deployment": format!("reviews-{version}")});
    let all = ["default", NAMESPACE].into_iter().flat_map(|n| ["v1", "v2"].map(|v| one(n, v)));
    json!({"together": all.map(fault).collect::<Vec<_>>()})
}

/// Two clusters with Istio.
pub fn clusters(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Two clusters with Istio, each with a trust domain of its own")?;
    stage.say("Every Pod gets a sidecar, a real Envoy; gateways stand at the edge and between the clusters.");
    stage.say(format!("\n$ failctl sandbox up --stack istio --clusters {CLUSTERS}"));
    stage.start(CLUSTERS, Stack::Istio)
}

/// A root for both meshes.
pub fn trust(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter(
        "One root for both meshes, an intermediate for each: without it nobody shakes hands with the other side",
    )?;
    stage.write("shop.yaml", SHOP)?;
    stage.must("certs generate -f failctl.yaml -f shop.yaml")?;
    stage.must("certs install -f failctl.yaml -f shop.yaml --yes")
}

/// Bookinfo in each, once for each configuration.
pub fn applications(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Bookinfo: reviews v1 and v2 here, v3 too over there; once for each configuration")?;
    let mut here = namespaces();
    let mut there = namespaces();
    let book = documents(Sample::Bookinfo.manifests())?;
    for namespace in ["default", NAMESPACE] {
        let label = |d: &Value, l: &str| d["metadata"]["labels"][l].as_str().unwrap_or_default().to_string();
        let of = |d: &Value| match label(d, "account") {
            account if account.is_empty() => label(d, "app"),
            account => account,
        };
        let first = book.iter().filter(|d| of(d) != "details" && label(d, "version") != "v3");
        here.extend(first.map(|d| moved(d.clone(), namespace)));
        let second = book.iter().filter(|d| matches!(of(d).as_str(), "reviews" | "ratings"));
        there.extend(second.map(|d| moved(d.clone(), namespace)));
    }
    here.extend(documents(Sample::BookinfoGateway.manifests())?.into_iter().map(|d| moved(d, "default")));
    here.extend(shop_route()?);
    stage.write("kind2.yaml", &stream(&here))?;
    stage.write("kind3.yaml", &stream(&there))?;
    stage.must("apply -f kind2=kind2.yaml -f kind3=kind3.yaml --yes --wait")
}

/// Namespaces with sidecars for both Bookinfos.
pub fn namespaces() -> Vec<Value> {
    let one = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"istio-injection": "enabled"}}})
    };
    ["default", NAMESPACE].map(one).to_vec()
}

/// The second Bookinfo comes in through the same gateway, by its host name.
fn shop_route() -> Result<Option<Value>, Failure> {
    let all = documents(Sample::BookinfoGateway.manifests())?;
    let route = all.into_iter().find(|d| d["kind"] == "VirtualService").map(|mut route| {
        route["spec"]["hosts"] = json!([HOST]);
        route["spec"]["gateways"] = json!(["default/bookinfo-gateway"]);
        moved(route, NAMESPACE)
    });
    Ok(route)
}

/// Service Mesh Hub's documents, without its management plane.
pub fn article(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The article's configuration: two TrafficPolicies and a FailoverService, as they stand there")?;
    stage.write("article.yaml", ARTICLE)?;
    stage.must("istio apply -f failctl.yaml -f article.yaml --yes --wait")
}

/// What failctl compiles.
pub fn recommended(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The recommended configuration: one Failover document")?;
    stage.say(SHOP.trim_end());
    stage.must("apply -f failctl.yaml -f shop.yaml --yes --wait")
}

/// Tables.
pub fn status(stage: &mut Stage<'_>, what: &str) -> Result<(), Failure> {
    stage.chapter(&format!("Status: {what}"))?;
    stage.run(&format!("status {ABOUT} --no-drift")).map(drop)
}

/// One fault under load, and who answered: by the certificates both sides showed.
pub fn drill(stage: &mut Stage<'_>, fault: Fault, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    let target = |policy: &str, failover: &str, host: Option<&str>| {
        let answers = json!({"pattern": "\"clustername\": *\"([^\"]+)\"", "primary": ["kind2"]});
        let path = "/api/v1/products/0/reviews";
        let mut target =
            json!({"name": policy, "policy": policy, "failover": failover, "path": path, "answers": answers});
        host.iter().for_each(|h| target["host"] = json!(h));
        target
    };
    let targets = [target("article", "reviews-failover", None), target("recommended", "shop-reviews", Some(HOST))];
    let runs = drill_file(stage, fault, pace, &targets, ABOUT)?;
    traffic(stage, &runs, ABOUT, &["reviews-failover", "shop-reviews"])?;
    Ok(runs)
}

/// Everything failctl wrote, taken back.
pub fn clean_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Clean-up: what was written is taken back")?;
    stage.must(&format!("delete {ABOUT} --yes"))?;
    stage.say("\n$ failctl sandbox down");
    Ok(())
}
