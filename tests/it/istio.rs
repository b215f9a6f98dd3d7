//! Golden pairs of the mesh: documents in, Istio's resources out.

use std::path::PathBuf;

use serde_json::Value;

use super::gloo_golden::render;
use super::support::{golden, root};

fn cases() -> Vec<PathBuf> {
    let dir = root().join("tests/golden/istio");
    let mut cases: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    cases
}

/// What a case renders to, by cluster, without the Services and Deployments that were given.
fn rendered(case: &str) -> Vec<(String, Value)> {
    let text = String::from_utf8(render(&root().join("tests/golden/istio").join(case), &[]).stdout).unwrap();
    let documents = failctl::yaml::parse(&text).unwrap().into_iter().map(|d| d.value);
    let cluster = |v: &Value| v["metadata"]["annotations"]["failctl.dev/cluster"].as_str().unwrap().to_string();
    let istio = documents.filter(|v| v["apiVersion"].as_str().unwrap().contains("istio.io/"));
    istio.map(|v| (cluster(&v), v)).collect()
}

fn one<'a>(all: &'a [(String, Value)], cluster: &str, kind: &str, name: &str) -> &'a Value {
    let mut found = all.iter().filter(|(c, v)| c == cluster && v["kind"] == kind && v["metadata"]["name"] == name);
    let first = found.next().unwrap_or_else(|| panic!("{cluster} has no {kind} {name}"));
    assert!(found.next().is_none());
    &first.1
}

#[test]
fn every_case_of_a_mesh_renders_to_what_is_written_down() {
    let cases = cases();
    assert!(cases.len() >= 12, "{}", cases.len());
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let out = render(&case, &[]);
        let (stdout, stderr) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(out.status.success(), "{name}: {stderr}");
        golden(&format!("tests/golden/istio/{name}/out.yaml"), &stdout);
        golden(&format!("tests/golden/istio/{name}/err.txt"), &stderr);
        assert_eq!(stdout.as_bytes(), render(&case, &[]).stdout, "{name}: the same documents, other bytes");
    }
}

#[test]
fn a_failover_of_ours_is_an_aggregate_of_the_local_and_the_federated_host() {
    let all = rendered("reviews");
    let filter = one(&all, "kind2", "EnvoyFilter", "failctl-reviews");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    assert_eq!(patches[0]["patch"]["operation"], "REMOVE");
    let cluster = &patches[1]["patch"]["value"];
    let members =
        ["outbound|9080||reviews.default.svc.cluster.local", "outbound|9080||reviews.default.svc.kind3.global"];
    assert_eq!(cluster["cluster_type"]["typed_config"]["clusters"], serde_json::json!(members));
    assert_eq!(cluster["circuit_breakers"]["thresholds"][0]["max_retries"], u32::MAX);
    let rule = one(&all, "kind2", "DestinationRule", "reviews.default.svc.kind3.global");
    let names = &rule["spec"]["trafficPolicy"]["tls"]["subjectAltNames"];
    assert_eq!(*names, serde_json::json!(["spiffe://kind3/ns/default/sa/bookinfo-reviews"]));
    let far = one(&all, "kind3", "ServiceEntry", "reviews.default.svc.kind3.global");
    assert_eq!(far["metadata"]["namespace"], "default");
    assert_eq!(far["spec"]["exportTo"], serde_json::json!(["istio-system"]));
    assert_eq!(far["spec"]["workloadSelector"]["labels"], serde_json::json!({ "app": "reviews" }));
}

#[test]
fn the_articles_documents_become_the_articles_resources() {
    let all = rendered("article");
    for (cluster, kind) in [("kind2", "local"), ("kind3", "local")] {
        let rule = one(&all, cluster, "DestinationRule", "reviews");
        assert_eq!(rule["spec"]["host"], "reviews.default.svc.cluster.local", "{kind}");
        let outlier = serde_json::json!({
            "consecutive5xxErrors": 1, "interval": "10s", "baseEjectionTime": "120s", "maxEjectionPercent": 100,
        });
        assert_eq!(rule["spec"]["trafficPolicy"]["outlierDetection"], outlier);
    }
    let entry = one(&all, "kind2", "ServiceEntry", "reviews-failover");
    assert_eq!(entry["spec"]["hosts"], serde_json::json!(["reviews-failover.default.global"]));
    let filter = one(&all, "kind2", "EnvoyFilter", "reviews-failover");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let contexts: Vec<_> = patches.iter().map(|p| p["match"]["context"].as_str().unwrap()).collect();
    assert_eq!(contexts, ["SIDECAR_OUTBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "GATEWAY"]);
    assert_eq!(patches[0]["match"]["cluster"]["name"], "outbound|9080||reviews-failover.default.global");
    let service = one(&all, "kind2", "VirtualService", "reviews");
    let destination = serde_json::json!({ "host": "reviews-failover.default.global", "port": { "number": 9080 } });
    let route = serde_json::json!([{ "route": [{ "destination": destination }] }]);
    assert_eq!(service["spec"]["http"], route, "the article adds no retries");
    assert!(all.iter().all(|(c, v)| c != "kind3" || v["kind"] != "VirtualService"));
}

#[test]
fn the_later_group_and_field_mean_the_same() {
    let plain = |case: &str| {
        let mut all = rendered(case);
        all.iter_mut().for_each(|(_, v)| v["metadata"]["labels"] = Value::Null);
        all
    };
    assert_eq!(plain("article"), plain("gloo-mesh"));
}
