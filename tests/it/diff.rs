//! `failctl diff`: kubectl's exit codes, unified diffs, no secrets.

use crate::support::fleet::{Fault, Ground};
use serde_json::json;

#[test]
fn a_failover_that_is_not_there_yet_is_shown_object_by_object() {
    let ground = Ground::new();
    let ran = ground.golden("diff_new", &["diff"]);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn after_apply_nothing_differs() {
    let ground = Ground::new();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["apply", "--yes"]);
    ground.golden("diff_same", &["diff"]);
}

#[test]
fn what_somebody_changed_in_our_fields_differs_and_what_is_theirs_does_not() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    let blue = "default-service-blue-10000";
    ground.patch_as("local", "somebody", "Upstream", blue, json!({"spec": {"ignoreHealthOnHostRemoval": true}}));
    assert_eq!(ground.run(&["diff"]).code, Some(0));
    ground.patch_as("local", "somebody", "Upstream", blue, json!({"spec": {"healthChecks": []}}));
    ground.patch_as(
        "remote",
        "somebody",
        "Service",
        "failover",
        json!({"spec": {"selector": {"gateway-proxy": "dead"}}}),
    );
    ground.golden("diff_drift", &["diff"]);
    ground.golden("diff_drift_json", &["diff", "-o", "json"]);
}

#[test]
fn values_of_secrets_never_appear() {
    let ground = Ground::new();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    let secret = ground.get("remote", "Secret", "failover-downstream");
    let key = secret["data"]["tls.key"].as_str().unwrap().to_string();
    let given = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "given", "namespace": "gloo-system"}, "stringData": {"password": "open sesame"}});
    ground.write("given.yaml", &given.to_string());
    for args in [
        &["diff", "-f", "failctl.yaml", "-f", "remote=given.yaml"][..],
        &["diff", "-f", "failctl.yaml", "-f", "remote=given.yaml", "-o", "yaml"],
    ] {
        let ran = ground.run(args);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        let all = ran.out + &ran.err;
        assert!(all.contains("masked: ") && !all.contains("open sesame") && !all.contains("b3BlbiBzZXNhbWU"), "{all}");
        assert!(!all.contains(&key[..40]));
    }
}

#[test]
fn a_cluster_that_does_not_answer_is_said_and_is_neither_same_nor_different() {
    let ground = Ground::new();
    ground.stop("remote");
    let ran = ground.golden("diff_unreachable", &["diff"]);
    assert_eq!(ran.code, Some(4));
}

#[test]
fn diff_writes_nothing() {
    let ground = Ground::new();
    ground.clusters["local"].fault(Fault::Refuse(100, 500));
    ground.run(&["diff"]);
    assert!(ground.clusters.values().all(|c| c.log.lock().unwrap().iter().all(|l| l.starts_with("GET "))));
}
