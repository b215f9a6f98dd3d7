//! `failctl delete`: gives the world back as it was.

use crate::support::fleet::{COLOR, Fault, Ground, fleet, upstream, users_routes};
use serde_json::json;

const RED: &str = "apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {name: red}
spec:
  service: {namespace: default, name: service-red, port: 10000}
  order:
  - clusters: [{name: local}]
  - clusters: [{name: remote, service: {name: service-green}}]
  detection:
    activeHealthCheck: {path: /health, interval: 1s, timeout: 1s}
  route: {hosts: [\"*\"], prefix: /red}
";

/// Two failovers that share a gateway and a VirtualService.
fn two() -> Ground {
    let ground = Ground::new();
    ground.put("local", upstream("red"));
    ground.write("failctl.yaml", &format!("{}---\n{COLOR}---\n{RED}", fleet()));
    ground
}

#[test]
fn after_delete_the_world_is_as_it_was_before_apply() {
    let ground = Ground::new();
    ground.put("local", users_routes());
    ground.patch_as(
        "local",
        "somebody",
        "Upstream",
        "default-service-blue-10000",
        json!({"spec": {"connectionConfig": {"maxRequestsPerConnection": 7}}}),
    );
    let before = ground.world();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["apply", "--yes"]);
    assert_ne!(ground.world(), before);
    ground.golden("delete", &["delete", "--yes"]);
    assert_eq!(ground.world(), before);
    ground.golden("delete_again", &["delete", "--yes"]);
}

#[test]
fn a_virtual_service_that_failctl_made_stays_while_a_users_route_is_in_it() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    let mut made = ground.get("local", "VirtualService", "default");
    let mut routes = made["spec"]["virtualHost"]["routes"].take();
    let theirs = users_routes()["spec"]["virtualHost"]["routes"][0].clone();
    routes.as_array_mut().unwrap().insert(0, theirs.clone());
    ground.patch_as(
        "local",
        "somebody",
        "VirtualService",
        "default",
        json!({"spec": {"virtualHost": {"routes": routes}}}),
    );
    ground.ok(&["delete", "--yes"]);
    let left = ground.get("local", "VirtualService", "default");
    assert_eq!(left["spec"]["virtualHost"]["routes"], json!([theirs]));
    assert!(left["metadata"].get("annotations").is_none());
}

#[test]
fn what_failovers_share_goes_with_the_last_of_them() {
    let ground = two();
    let before = ground.world();
    ground.ok(&["apply", "--yes"]);
    let both = ground.get("local", "VirtualService", "default");
    let names = |o: &serde_json::Value| -> Vec<String> {
        let routes = o["spec"]["virtualHost"]["routes"].as_array().unwrap();
        routes.iter().map(|r| r["name"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(names(&both).last().unwrap(), "failctl/color", "the general one comes last: {both:#}");
    ground.golden("delete_one", &["delete", "color", "--yes"]);
    assert!(!ground.get("remote", "Gateway", "failover-gateway").is_null());
    let left = names(&ground.get("local", "VirtualService", "default"));
    assert!(!left.is_empty() && left.iter().all(|n| n.starts_with("failctl/red")), "{left:?}");
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    ground.ok(&["delete", "red", "--yes"]);
    assert_eq!(ground.world(), before);
}

#[test]
fn a_failover_whose_document_is_gone_is_deleted_by_its_name() {
    let ground = two();
    ground.ok(&["apply", "--yes"]);
    ground.write("failctl.yaml", &format!("{}---\n{RED}", fleet()));
    let ran = ground.run(&["delete", "color", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ground.get("local", "FailoverScheme", "color").is_null());
    assert!(!ground.get("local", "FailoverScheme", "red").is_null());
    assert_eq!(ground.golden("delete_unknown", &["delete", "colour", "--yes"]).code, Some(3));
}

#[test]
fn all_takes_everything_failctl_ever_wrote() {
    let ground = two();
    let before = ground.world();
    ground.ok(&["apply", "--yes"]);
    ground.ok(&[
        "route",
        "add",
        "--cluster",
        "local",
        "--path-prefix",
        "/extra",
        "--dest-name",
        "default-service-red-10000",
        "--yes",
    ]);
    ground.write("failctl.yaml", fleet());
    ground.golden("delete_all", &["delete", "--all", "--yes"]);
    assert_eq!(ground.world(), before);
}

#[test]
fn the_edge_is_taken_down_first_and_the_backup_last() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    ground.clusters["local"].fault(Fault::Refuse(1000, 403));
    let ran = ground.golden("delete_refused", &["delete", "--yes"]);
    assert_eq!(ran.code, Some(5));
    assert!(!ground.get("remote", "Gateway", "failover-gateway").is_null(), "a backup in use must not go first");
}

#[test]
fn a_primary_that_cannot_be_read_keeps_its_backup() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    ground.stop("local");
    let ran = ground.golden("delete_primary_down", &["delete", "--yes"]);
    assert_eq!(ran.code, Some(4));
    assert!(!ground.get("remote", "Gateway", "failover-gateway").is_null());
}

#[test]
fn an_object_that_was_made_anew_by_somebody_else_is_not_deleted() {
    let ground = Ground::new();
    ground.ok(&["apply", "--yes"]);
    ground.remove("local", "FailoverScheme", "color");
    let theirs = json!({"apiVersion": "fed.solo.io/v1", "kind": "FailoverScheme",
        "metadata": {"name": "color", "namespace": "gloo-system"}, "spec": {"theirs": true}});
    ground.put("local", theirs);
    ground.ok(&["delete", "--yes"]);
    assert_eq!(ground.get("local", "FailoverScheme", "color")["spec"], json!({"theirs": true}));
}

#[test]
fn killed_after_any_write_a_rerun_completes_the_removal() {
    for (cluster, writes) in [("remote", 2), ("local", 3)] {
        for n in 1..=writes {
            let ground = Ground::new();
            ground.put("local", users_routes());
            let before = ground.world();
            ground.ok(&["apply", "--yes"]);
            ground.clusters[cluster].fault(Fault::Hang(n));
            let mut child = ground.start(&["delete", "--yes"]);
            ground.until("the write that hangs", || ground.clusters[cluster].hangs());
            child.kill().unwrap();
            child.wait().unwrap();
            ground.clusters[cluster].fault(Fault::None);
            ground.ok(&["delete", "--yes"]);
            assert_eq!(ground.world(), before, "killed after write {n} to {cluster}");
        }
    }
}
