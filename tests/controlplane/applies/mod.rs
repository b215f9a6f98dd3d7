//! Random sequences of server-side applies by three managers end in the same objects with the same owners on the sandbox's
//! API server and on a real one, step by step, refusals included.

mod generate;

use failctl::sandbox::api;
use futures::StreamExt;
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::ground::ApiServer;
use crate::kit;
use generate::Kind;

/// Sequences that the ring runs; `FAILCTL_APPLY_SEQUENCES` asks for more, `FAILCTL_APPLY_SEED` for one alone.
const SEQUENCES: u64 = 1000;
/// Sequences under way at a time.
const WIDTH: usize = 8;

/// One write.
#[derive(Debug)]
struct Step {
    method: &'static str,
    path: String,
    content: &'static str,
    body: Value,
}

/// What came of a write: an object, or a refusal.
#[derive(Debug, PartialEq)]
struct Outcome(Value);

fn steps(seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed);
    let kind = Kind::ALL[(seed % 4) as usize];
    let name = format!("x{seed}");
    let count = 2 + dice.roll(6);
    let writes: Vec<Step> = (0..count).map(|n| step(kind, &name, n == 0, &mut dice)).collect();
    let read = || Step { method: "GET", path: format!("{}/{name}", kind.place()), content: "", body: Value::Null };
    // A write through a subresource answers with that alone: the object is read after it.
    writes
        .into_iter()
        .flat_map(|step| if step.path.contains("/scale") { vec![step, read()] } else { vec![step] })
        .collect()
}

fn step(kind: Kind, name: &str, first: bool, dice: &mut Dice) -> Step {
    let manager = ["one", "two", "three"][dice.roll(3)];
    let place = format!("{}/{name}", kind.place());
    let path = format!("{place}?fieldManager={manager}");
    if !first && dice.one_in(10) {
        // Somebody who does not apply: a part of a wish as merge patch.
        let mut body = kind.wish(name, dice);
        body.as_object_mut().unwrap().retain(|key, _| !["apiVersion", "kind"].contains(&key.as_str()));
        return Step { method: "PATCH", path, content: "application/merge-patch+json", body };
    }
    if !first && dice.one_in(10) && matches!(kind, Kind::Deployment) {
        let body = json!({"spec": {"replicas": dice.roll(4)}});
        let path = format!("{place}/scale?fieldManager={manager}");
        return Step { method: "PATCH", path, content: "application/merge-patch+json", body };
    }
    let force = dice.one_in(2);
    let body = kind.wish(name, dice);
    Step { method: "PATCH", path: format!("{path}&force={force}"), content: "application/apply-patch+yaml", body }
}

async fn send(client: &Client, step: &Step) -> anyhow::Result<Value> {
    let request = http::Request::builder().method(step.method).uri(&step.path).header("content-type", step.content);
    let request = request.body(kube::client::Body::from(step.body.to_string().into_bytes()))?;
    let answer = client.send(request).await?;
    Ok(serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?)
}

/// What must be the same everywhere of an answer. Times and names given by chance are not.
fn outcome(mut answer: Value, before: &mut Option<String>) -> Outcome {
    if answer["kind"] == "Status" {
        let mut causes = answer["details"]["causes"].as_array().cloned().unwrap_or_default();
        causes.sort_by_key(ToString::to_string);
        // Conflicts must be told one by one. Of what is invalid it is enough that it is refused: a server checks on after
        // the first mistake, and the sandbox does not know every rule.
        let told = if answer["code"] == 409 { json!(causes) } else { Value::Null };
        return Outcome(json!({"code": answer["code"], "reason": answer["reason"], "causes": told}));
    }
    let metadata = answer["metadata"].as_object_mut().unwrap();
    let version = metadata.remove("resourceVersion").map(|v| v.to_string());
    ["uid", "creationTimestamp"].iter().for_each(|field| drop(metadata.remove(*field)));
    for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
        entry["time"] = Value::Null;
    }
    // Entries of the same second have no order among themselves that a client could rely on.
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.sort_by_key(|e| format!("{} {} {}", e["manager"], e["operation"], e["subresource"]));
    }
    allocated(&mut answer);
    answer["changed"] = json!(version != *before);
    *before = version;
    Outcome(answer)
}

/// Replaces what a server chooses by what is chosen: an address, a port.
fn allocated(object: &mut Value) {
    let spec = &mut object["spec"];
    for field in ["clusterIP", "clusterIPs", "healthCheckNodePort"] {
        if let Some(value) = spec.get_mut(field).filter(|v| !v.is_null()) {
            *value = json!("chosen");
        }
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(value) = port.get_mut("nodePort") {
            *value = json!("chosen");
        }
    }
}

/// Runs one sequence on both; says where they part.
async fn compare(seed: u64, sandbox: &Client, real: &Client) -> Option<String> {
    let (mut mine, mut theirs) = (None, None);
    for (number, step) in steps(seed).iter().enumerate() {
        let (ours, real) = tokio::join!(send(sandbox, step), send(real, step));
        let (ours, real) = (ours.unwrap(), real.unwrap());
        let (said, meant) = (ours["message"].clone(), real["message"].clone());
        let (ours, real) = (outcome(ours, &mut mine), outcome(real, &mut theirs));
        if ours != real {
            let text = |o: &Outcome| {
                let mut value = o.0.clone();
                value.sort_all_objects();
                serde_json::to_string_pretty(&value).unwrap()
            };
            let diff = similar::TextDiff::from_lines(text(&real), text(&ours))
                .unified_diff()
                .header("kube-apiserver", "sandbox")
                .to_string();
            let before = steps(seed).into_iter().take(number);
            let before: String = before.map(|s| format!("after {} {} {}\n", s.method, s.path, s.body)).collect();
            return Some(format!(
                "FAILCTL_APPLY_SEED={seed}, step {number}: {} {}\n{}\n{before}sandbox says {said}, kube-apiserver {meant}\n{diff}",
                step.method, step.path, step.body
            ));
        }
    }
    None
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Brings Istio's own definition of DestinationRules.
async fn define(client: &Client) {
    let file = kit::program("istio").unwrap().join("manifests/charts/base/files/crd-all.gen.yaml");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let documents = failctl::yaml::parse(&text).unwrap();
    let mut wanted = documents.into_iter().map(|d| d.value);
    let rules = wanted.find(|d| d["metadata"]["name"] == "destinationrules.networking.istio.io").unwrap();
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_string();
    let step = Step { method: "POST", path, content: "application/json", body: rules };
    let made = send(client, &step).await.unwrap();
    assert_eq!(made["kind"], "CustomResourceDefinition", "{made}");
    let begun = std::time::Instant::now();
    let list = Step { method: "GET", path: Kind::DestinationRule.place().into(), content: "", body: Value::Null };
    // A real server answers in plain text until it serves a new kind.
    while !send(client, &list).await.is_ok_and(|list| list["kind"] == "DestinationRuleList") {
        assert!(begun.elapsed().as_secs() < 60, "DestinationRules are not served");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_applies_by_three_managers_end_the_same_on_both_servers() {
    let server = ApiServer::start().await;
    let (sandbox, real) = (api::in_process().unwrap(), server.client().await);
    define(&sandbox).await;
    define(&real).await;
    let seeds: Vec<u64> = match number("FAILCTL_APPLY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("FAILCTL_APPLY_SEQUENCES").unwrap_or(SEQUENCES)).collect(),
    };
    let count = seeds.len();
    let parted = futures::stream::iter(seeds).map(|seed| compare(seed, &sandbox, &real)).buffer_unordered(WIDTH);
    let mut parted: Vec<String> = parted.filter_map(std::future::ready).collect().await;
    parted.sort_by_key(String::len);
    if let Some(shortest) = parted.first() {
        let all = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("applies.txt");
        std::fs::write(&all, parted.join("\n")).unwrap();
        let (n, all) = (parted.len(), all.display());
        panic!("{n} of {count} sequences part, all in {all}; the shortest:\n{shortest}");
    }
}
