//! `failctl traffic`: which failover it is about, and what it says when there is nothing to count.

use crate::support::fleet::Ground;
use crate::support::offline::{one_failover, out, run, said};

/// A mesh of two clusters behind the same kubeconfig contexts as the other commands' fleet.
const MESH: &str = r"apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: mesh}
spec:
  clusters:
  - {name: local, context: gloo-fed, istio: {version: 1.27.0}, trustDomain: local}
  - {name: remote, context: gloo-fed-2, istio: {version: 1.27.0}, trustDomain: remote}
---
apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {name: reviews}
spec:
  service: {namespace: default, name: reviews, port: 9080}
  order:
  - clusters: [{name: local}]
  - clusters: [{name: remote}]
  detection: {outlierDetection: {}}
  target: istioAggregate
";

#[test]
fn only_failovers_of_a_mesh_have_callers_and_what_is_misspelt_is_guessed_at() {
    let dir = one_failover();
    said("traffic_no_mesh", out(run(dir.path(), &["traffic"])));
    std::fs::write(dir.path().join("mesh.yaml"), MESH).unwrap();
    said("traffic_unknown", out(run(dir.path(), &["traffic", "-f", "mesh.yaml", "revews"])));
}

#[test]
fn a_service_that_nobody_calls_is_said_to_be_so_and_is_not_green() {
    let ground = Ground::new();
    ground.write("mesh.yaml", MESH);
    ground.golden("traffic_nobody", &["traffic", "-f", "mesh.yaml"]);
    let ran = ground.run(&["traffic", "-f", "mesh.yaml", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((report["kind"].as_str(), ran.code), (Some("TrafficReport"), Some(8)));
    assert!(report["rows"].as_array().unwrap().is_empty());
    ground.stop("local");
    let ran = ground.run(&["traffic", "-f", "mesh.yaml"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
    assert!(ran.err.contains("local"), "{}", ran.err);
}
