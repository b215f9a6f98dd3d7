//! `apply --prune` and `diff --prune`: what documents no longer want goes, and nothing else.

use serde_json::json;

use crate::support::fleet::{COLOR, Fault, Ground, fleet, upstream, users_routes};

const BLUE: &str = "default-service-blue-10000";

/// Another failover of the same clusters.
fn shade() -> String {
    COLOR
        .replace("name: color", "name: shade")
        .replace("service-blue", "service-red")
        .replace("hosts: [\"*\"]", "hosts: [\"shade.example\"]")
}

/// The fleet with these failovers as `failctl.yaml`.
fn documents(ground: &Ground, failovers: &[&str]) {
    let parts: Vec<_> = std::iter::once(fleet()).chain(failovers.iter().copied()).collect();
    ground.write("failctl.yaml", &parts.join("---\n"));
}

fn ground() -> Ground {
    let ground = Ground::new();
    ground.put("local", upstream("red"));
    ground
}

#[test]
fn a_failover_that_was_renamed_is_shown_noted_and_taken_away_only_when_asked() {
    let ground = ground();
    ground.ok(&["apply", "--yes"]);
    documents(&ground, &[&COLOR.replace("name: color", "name: colour")]);
    assert_eq!(ground.golden("diff_unwanted", &["diff"]).code, Some(1));
    assert_eq!(ground.golden("diff_prune", &["diff", "--prune"]).code, Some(1));
    ground.golden("apply_unwanted", &["apply", "--yes"]);
    assert!(!ground.get("local", "FailoverScheme", "color").is_null());
    assert_eq!(ground.run(&["diff"]).code, Some(0), "what is left over is a note and no difference");
    assert_eq!(ground.run(&["diff", "--prune"]).code, Some(1));
    ground.golden("apply_prune_dry", &["apply", "--prune", "--dry-run"]);
    ground.golden("apply_prune", &["apply", "--prune", "--yes"]);
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    assert!(!ground.get("local", "FailoverScheme", "colour").is_null());
    let routes = &ground.get("local", "VirtualService", "default")["spec"]["virtualHost"]["routes"];
    assert_eq!(routes.as_array().unwrap().iter().map(|r| &r["name"]).collect::<Vec<_>>(), ["failctl/colour"]);
    assert_eq!(ground.golden("apply_prune_again", &["apply", "--prune"]).code, Some(0));
    assert_eq!(ground.run(&["diff", "--prune"]).code, Some(0));
}

#[test]
fn without_any_failover_left_pruning_gives_the_world_back() {
    let ground = ground();
    ground.put("local", users_routes());
    let before = ground.world();
    ground.ok(&["apply", "--yes"]);
    documents(&ground, &[]);
    ground.golden("apply_prune_all", &["apply", "--prune", "--yes"]);
    assert_eq!(ground.world(), before);
}

#[test]
fn a_vendor_document_that_was_left_out_goes_and_the_users_workloads_stay() {
    let ground = ground();
    let before = ground.world();
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine", "namespace": "default"}});
    let gateway = json!({"apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
        "metadata": {"name": "given", "namespace": "gloo-system"}, "spec": {"bindPort": 1}});
    ground.write("given.yaml", &format!("{config}\n---\n{gateway}\n"));
    documents(&ground, &[]);
    ground.ok(&["apply", "--yes", "-f", "failctl.yaml", "-f", "remote=given.yaml"]);
    assert!(!ground.get("remote", "Gateway", "given").is_null());
    let ran = ground.ok(&["apply", "--yes", "--prune"]);
    assert!(ran.out.contains("deleted  remote   Gateway  gloo-system/given"), "{}", ran.out);
    assert_eq!(ground.world(), before);
    assert!(!ground.get("remote", "ConfigMap", "mine").is_null());
}

#[test]
fn another_set_and_another_fleet_are_never_touched_and_what_they_share_stays() {
    let ground = ground();
    documents(&ground, &[COLOR]);
    ground.ok(&["apply", "--yes", "--set", "a"]);
    documents(&ground, &[&shade()]);
    ground.ok(&["apply", "--yes", "--set", "b"]);
    assert_eq!(ground.run(&["diff"]).code, Some(0), "looking without a set moves nothing from one to another");
    let stranger = json!({"apiVersion": "fed.solo.io/v1", "kind": "FailoverScheme", "metadata": {"name": "other",
        "namespace": "gloo-system", "labels": {"app.kubernetes.io/managed-by": "failctl",
            "failctl.dev/owner": "other", "failctl.dev/set": "shopping"}}, "spec": {}});
    ground.put("local", stranger);
    let theirs = |ground: &Ground| {
        let mut world = ground.world();
        world.retain(|key, _| ["shade", "red", "other", "failover-gateway"].iter().any(|n| key.contains(n)));
        world
    };
    let before = theirs(&ground);
    documents(&ground, &[]);
    ground.golden("apply_prune_set", &["apply", "--prune", "--yes", "--set", "a"]);
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    assert!(ground.get("local", "Upstream", BLUE)["spec"]["healthChecks"].is_null());
    assert_eq!(theirs(&ground), before);
    ground.remove("local", "FailoverScheme", "other");
    assert_eq!(ground.golden("apply_prune_set_again", &["apply", "--prune", "--yes", "--set", "a"]).code, Some(0));
    let mut later = ground.command(&["apply", "--prune", "--yes"]);
    assert!(later.env("FAILCTL_SET", "b").output().unwrap().status.success());
    assert!(ground.get("local", "FailoverScheme", "shade").is_null());
    assert!(ground.get("remote", "Gateway", "failover-gateway").is_null(), "with the last set goes what they shared");
}

#[test]
fn nothing_is_taken_away_while_what_is_wanted_instead_is_not_there() {
    let ground = ground();
    ground.ok(&["apply", "--yes"]);
    documents(&ground, &[&COLOR.replace("name: color", "name: colour")]);
    ground.clusters["local"].fault(Fault::Refuse(1, 403));
    let ran = ground.golden("apply_prune_held", &["apply", "--prune", "--yes"]);
    assert_ne!(ran.code, Some(0));
    assert!(!ground.get("local", "FailoverScheme", "color").is_null());
    ground.ok(&["apply", "--prune", "--yes"]);
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
}

#[test]
fn where_a_cluster_is_away_what_it_holds_is_not_called_pruned() {
    let ground = ground();
    documents(&ground, &[COLOR, &shade()]);
    ground.ok(&["apply", "--yes"]);
    documents(&ground, &[]);
    ground.stop("remote");
    let ran = ground.golden("apply_prune_away", &["apply", "--prune", "--yes"]);
    assert_eq!(ran.code, Some(6));
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    ground.start_again("remote");
    ground.ok(&["apply", "--prune", "--yes"]);
    assert!(ground.get("remote", "Gateway", "failover-gateway").is_null());
}

#[test]
fn a_part_of_the_documents_is_no_reason_to_prune_the_rest() {
    let ground = ground();
    documents(&ground, &[COLOR, &shade()]);
    ground.ok(&["apply", "--yes"]);
    assert_eq!(ground.golden("apply_prune_named", &["apply", "--prune", "--yes", "color"]).code, Some(2));
    let ran = ground.ok(&["apply", "--yes", "color"]);
    assert!(!ran.err.contains("--prune"), "{}", ran.err);
    ground.ok(&["gateway", "apply", "--yes"]);
    assert!(!ground.get("local", "FailoverScheme", "shade").is_null());
}
