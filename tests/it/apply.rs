//! `failctl apply`: what it prints, what it writes, and what it does when something stands in its way.

use crate::support::fleet::{COLOR, Fault, Ground, fleet, upstream, users_routes};
use serde_json::json;

const BLUE: &str = "default-service-blue-10000";

fn manager_of(object: &serde_json::Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    entries.iter().map(|e| format!("{}/{}", e["manager"].as_str().unwrap(), e["operation"].as_str().unwrap())).collect()
}

#[test]
fn a_first_apply_writes_the_backup_before_the_primary_and_says_what_it_did() {
    let ground = Ground::new();
    let ran = ground.golden("apply_first", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(0));
    assert!(manager_of(&ground.get("local", "Upstream", BLUE)).contains(&"failctl/Apply".to_string()));
    assert_eq!(ground.clusters["local"].writes.load(std::sync::atomic::Ordering::SeqCst), 3);
}

#[test]
fn a_second_apply_writes_nothing() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    let before = ground.world();
    ground.golden("apply_again", &["apply"]);
    ground.golden("apply_again_json", &["apply", "-o", "json"]);
    assert_eq!(ground.world(), before);
    assert_eq!(ground.clusters["remote"].writes.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[test]
fn nobody_at_the_terminal_and_no_yes_is_a_refusal_before_anything_is_written() {
    let ground = Ground::new();
    let ran = ground.golden("apply_unasked", &["apply"]);
    assert_eq!(ran.code, Some(2));
    assert!(ground.get("remote", "Gateway", "failover-gateway").is_null());
}

#[test]
fn a_client_dry_run_sends_nothing_and_a_server_dry_run_changes_nothing() {
    let ground = Ground::new();
    let before = ground.world();
    ground.golden("apply_dry_client", &["apply", "--dry-run"]);
    assert_eq!(ground.clusters["remote"].writes.load(std::sync::atomic::Ordering::SeqCst), 0);
    ground.golden("apply_dry_server", &["apply", "--dry-run=server"]);
    assert!(ground.clusters["remote"].writes.load(std::sync::atomic::Ordering::SeqCst) > 0);
    assert_eq!(ground.world(), before);
}

#[test]
fn somebody_elses_field_is_a_conflict_that_names_him_and_force_takes_it_over() {
    let ground = Ground::new();
    let theirs = json!({"spec": {"connectionConfig": {"connectTimeout": "9s"}}});
    ground.patch_as("local", "the-platform-team", "Upstream", BLUE, theirs);
    let ran = ground.golden("apply_conflict", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(6));
    assert_eq!(ground.get("local", "Upstream", BLUE)["spec"]["connectionConfig"]["connectTimeout"], "9s");
    assert!(ground.get("local", "FailoverScheme", "color").is_null(), "a scheme without detection must not be written");
    ground.ok(&["apply", "--yes", "--force"]);
    assert_eq!(ground.get("local", "Upstream", BLUE)["spec"]["connectionConfig"]["connectTimeout"], "0.5s");
    assert!(!ground.get("local", "FailoverScheme", "color").is_null());
}

#[test]
fn an_object_of_the_same_name_that_is_not_ours_is_never_overwritten_silently() {
    let ground = Ground::new();
    let theirs = json!({"apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
        "metadata": {"name": "failover-gateway", "namespace": "gloo-system"}, "spec": {"bindPort": 1}});
    ground.put("remote", theirs);
    let ran = ground.golden("apply_foreign", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(5));
    assert_eq!(ground.get("remote", "Gateway", "failover-gateway")["spec"]["bindPort"], 1);
    ground.ok(&["apply", "--yes", "--force"]);
    assert_eq!(ground.get("remote", "Gateway", "failover-gateway")["spec"]["bindPort"], 15443);
}

#[test]
fn routes_go_into_the_users_virtual_service_before_his_catch_all() {
    let ground = Ground::new();
    ground.put("local", users_routes());
    ground.ok(&["apply", "--yes"]);
    let mine = ground.get("local", "VirtualService", "mine");
    let names: Vec<_> = mine["spec"]["virtualHost"]["routes"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["api", "failctl/color", "all"]);
    assert!(ground.get("local", "VirtualService", "default").is_null());
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn a_backup_cluster_that_is_down_holds_back_the_primary() {
    let ground = Ground::new();
    let before = ground.world();
    ground.stop("remote");
    let ran = ground.golden("apply_backup_down", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(4));
    assert_eq!(ground.world(), before);
}

#[test]
fn a_primary_cluster_that_is_down_is_a_partial_success_and_a_rerun_completes_it() {
    let ground = Ground::new();
    ground.stop("local");
    let ran = ground.golden("apply_primary_down", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(6));
    assert!(!ground.get("remote", "Gateway", "failover-gateway").is_null());
}

#[test]
fn an_overloaded_server_is_asked_again() {
    let ground = Ground::new();
    ground.clusters["remote"].fault(Fault::Refuse(2, 429));
    ground.clusters["local"].fault(Fault::Refuse(2, 503));
    ground.ok(&["apply", "--yes"]);
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn a_connection_that_breaks_after_the_write_was_done_does_no_harm() {
    let ground = Ground::new();
    ground.put("local", users_routes());
    ground.clusters["remote"].fault(Fault::Break(1));
    ground.clusters["local"].fault(Fault::Break(3));
    ground.ok(&["apply", "--yes"]);
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn a_server_that_keeps_failing_is_out_of_reach_and_says_so() {
    let ground = Ground::new();
    ground.clusters["remote"].fault(Fault::Refuse(1000, 500));
    let ran = ground.golden("apply_server_broken", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(4));
}

#[test]
fn what_the_server_forbids_is_refused_and_not_tried_again() {
    let ground = Ground::new();
    ground.clusters["remote"].fault(Fault::Refuse(2, 403));
    let ran = ground.golden("apply_forbidden", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(5));
}

#[test]
fn an_upstream_that_nobody_has_discovered_yet_is_waited_for() {
    let ground = Ground::bare();
    let child = ground.start(&["apply", "--yes", "--timeout", "30s"]);
    ground.until("the backup side is written", || !ground.get("remote", "Gateway", "failover-gateway").is_null());
    ground.put("local", upstream("blue"));
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(!ground.get("local", "FailoverScheme", "color").is_null());
}

#[test]
fn an_upstream_that_never_comes_is_said_after_the_deadline() {
    let ground = Ground::bare();
    let ran = ground.golden("apply_undiscovered", &["apply", "--yes", "--timeout", "300ms"]);
    assert_eq!(ran.code, Some(6));
}

#[test]
fn a_gateway_address_that_is_pending_is_waited_for_and_then_used() {
    let ground = Ground::new();
    let direct = COLOR.to_string() + "  target: glooUpstream\n";
    ground.write("failctl.yaml", &format!("{}---\n{direct}", fleet()));
    let ran = ground.golden("apply_pending", &["apply", "--yes", "--timeout", "300ms"]);
    assert_eq!(ran.code, Some(6));
    let child = ground.start(&["apply", "--yes", "--timeout", "30s"]);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}});
    ground.patch_as("remote", "cloud/status", "Service", "failctl-failover/status", status);
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let blue = ground.get("local", "Upstream", BLUE);
    let endpoint = &blue["spec"]["failover"]["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0];
    assert_eq!(endpoint["address"], "203.0.113.7", "{blue:#}");
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn a_virtual_service_that_changes_under_our_hands_is_read_again() {
    let ground = Ground::new();
    ground.put("local", users_routes());
    // The fourth write to local is the routes; the answer to the third gives somebody time to be faster.
    let child = ground.start(&["apply", "--yes"]);
    for n in 0..40 {
        ground.patch_as(
            "local",
            "busy",
            "VirtualService",
            "mine",
            json!({"metadata": {"annotations": {"n": n.to_string()}}}),
        );
    }
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn documents_of_the_user_are_applied_as_they_stand_and_only_what_we_created_is_deleted_again() {
    let ground = Ground::new();
    let config = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"a": "1"}});
    let mut old = config("old");
    old["data"] = json!({"b": "2"});
    ground.put("remote", old);
    ground.write("given.yaml", &format!("{}\n---\n{}\n", config("new"), config("old")));
    let documents = ["-f", "failctl.yaml", "-f", "remote=given.yaml"];
    ground.ok(&[&["apply", "--yes"][..], &documents].concat());
    assert_eq!(ground.get("remote", "ConfigMap", "new")["data"], json!({"a": "1"}));
    assert_eq!(ground.get("remote", "ConfigMap", "old")["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(ground.run(&[&["diff"][..], &documents].concat()).code, Some(0));
    ground.ok(&[&["delete", "--yes"][..], &documents].concat());
    assert!(ground.get("remote", "ConfigMap", "new").is_null());
    assert_eq!(ground.get("remote", "ConfigMap", "old")["data"], json!({"b": "2"}));
}

#[test]
fn killed_after_any_write_a_rerun_completes_it_and_ends_in_the_same_world() {
    let undisturbed = {
        let ground = Ground::new();
        ground.put("local", users_routes());
        ground.ok(&["apply", "--yes"]);
        strip(ground.world())
    };
    for (cluster, writes) in [("remote", 2), ("local", 3)] {
        for n in 1..=writes {
            let ground = Ground::new();
            ground.put("local", users_routes());
            ground.clusters[cluster].fault(Fault::Hang(n));
            let mut child = ground.start(&["apply", "--yes"]);
            ground.until("the write that hangs", || ground.clusters[cluster].hangs());
            ground.until("the write is done", || {
                let log = ground.clusters[cluster].log.lock().unwrap();
                log.iter().filter(|l| l.starts_with("PATCH")).count() >= n
            });
            child.kill().unwrap();
            child.wait().unwrap();
            ground.clusters[cluster].fault(Fault::None);
            ground.ok(&["apply", "--yes"]);
            assert_eq!(strip(ground.world()), undisturbed, "killed after write {n} to {cluster}");
            assert_eq!(ground.run(&["diff"]).code, Some(0));
        }
    }
}

/// Without what differs from one cluster to the next.
fn strip(
    mut world: std::collections::BTreeMap<String, serde_json::Value>,
) -> std::collections::BTreeMap<String, serde_json::Value> {
    for object in world.values_mut() {
        let metadata = object["metadata"].as_object_mut().unwrap();
        ["uid", "creationTimestamp"].iter().for_each(|f| drop(metadata.shift_remove(*f)));
    }
    world
}

#[test]
fn interrupted_between_writes_it_says_what_was_done_and_a_rerun_completes_it() {
    let ground = Ground::new();
    ground.clusters["remote"].fault(Fault::Hang(1));
    let child = ground.start(&["apply", "--yes"]);
    ground.until("a write is under way", || ground.clusters["remote"].hangs());
    ground.until("both writes of the wave are under way", || {
        ground.clusters["remote"].log.lock().unwrap().iter().filter(|l| l.starts_with("PATCH")).count() >= 2
    });
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));
    ground.clusters["remote"].fault(Fault::None);
    ground.clusters["remote"].break_hung();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).to_string();
    assert_eq!(out.status.code(), Some(130), "{text}{}", String::from_utf8_lossy(&out.stderr));
    assert!(text.contains("interrupted: run the same command again to complete it"), "{text}");
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    ground.ok(&["apply", "--yes"]);
    assert_eq!(ground.run(&["diff"]).code, Some(0));
}

#[test]
fn wait_ends_when_everything_is_accepted_and_fails_when_something_is_rejected() {
    let ground = Ground::new();
    let ran = ground.run(&["apply", "--yes", "--wait", "--timeout", "300ms"]);
    assert_eq!(ran.code, Some(8), "{}", ran.err);
    assert!(
        ran.err.contains("local: FailoverScheme gloo-system/color is not accepted yet: nobody has looked at it yet")
    );
    let say = |scheme: &str| {
        let state = |s: &str| json!({"status": {"statuses": {"gloo-system": {"state": s}}}});
        ground.patch_as("local", "gloo", "Upstream", BLUE, state("Accepted"));
        ground.patch_as("local", "gloo", "VirtualService", "default", state("Accepted"));
        ground.patch_as(
            "remote",
            "gloo",
            "Gateway",
            "failover-gateway",
            json!({"status": {"statuses": {"gloo-system": {"state": 1}}}}),
        );
        let scheme = json!({"status": {"state": scheme, "message": "no such cluster"}});
        ground.patch_as("local", "federation", "FailoverScheme", "color/status", scheme);
    };
    say("FAILED");
    let ran = ground.run(&["apply", "--yes", "--wait", "--timeout", "20s"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    assert!(ran.err.contains("color is rejected: no such cluster"), "{}", ran.err);
    say("ACCEPTED");
    assert_eq!(ground.run(&["apply", "--yes", "--wait", "--timeout", "20s"]).code, Some(0));
}

#[test]
fn a_context_that_the_kubeconfig_does_not_have_is_said_with_the_one_that_is_meant() {
    let ground = Ground::new();
    let text = std::fs::read_to_string(ground.dir.path().join("failctl.yaml")).unwrap();
    ground.write("failctl.yaml", &text.replace("gloo-fed-2", "gloo-feed-2"));
    let ran = ground.golden("apply_context", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(3));
}
