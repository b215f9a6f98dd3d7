//! apply and diff, client-side and server-side, and who owns what afterwards.

use super::{Cluster, SETTINGS, WEB, text};

const GREEN: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: green}}";

/// The managers of an object: name, operation and subresource.
fn managers(cluster: &Cluster, line: &str) -> Vec<String> {
    let object = cluster.object(line);
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let word = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or("-").to_owned();
    entries
        .iter()
        .map(|e| format!("{} {} {}", word(e, "manager"), word(e, "operation"), word(e, "subresource")))
        .collect()
}

#[test]
fn apply_creates_changes_and_leaves_alone() {
    let cluster = Cluster::start();
    assert_eq!(cluster.apply(SETTINGS), "configmap/settings created\n");
    assert_eq!(cluster.apply(SETTINGS), "configmap/settings unchanged\n");
    let before = cluster.field("cm settings", ".metadata.resourceVersion");
    assert_eq!(cluster.apply(GREEN), "configmap/settings configured\n");
    assert_eq!(cluster.field("cm settings", ".data"), "{\"colour\":\"green\"}");
    assert_ne!(cluster.field("cm settings", ".metadata.resourceVersion"), before);
    assert_eq!(managers(&cluster, "cm settings"), ["kubectl-client-side-apply Update -"]);
}

#[test]
fn apply_merges_containers_by_name() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let changed = WEB.replace("hashicorp/http-echo", "hashicorp/http-echo:1.0");
    assert_eq!(cluster.apply(&changed), "deployment.apps/web configured\n");
    let images = ".spec.template.spec.containers[*].image";
    assert_eq!(cluster.field("deploy web", images), "hashicorp/http-echo:1.0 envoyproxy/envoy:v1.14.2");
    assert_eq!(cluster.apply(&changed), "deployment.apps/web unchanged\n");
}

#[test]
fn apply_refuses_unknown_fields_and_warns_when_told_to() {
    let cluster = Cluster::start();
    let odd = GREEN.replace(", data:", ", dota: {}, data:");
    let refused = cluster.refused(&["apply", "-f", "-"], &odd);
    assert!(refused.contains("strict decoding error: unknown field \"dota\""), "{refused}");
    let output = cluster.run(&["apply", "--validate=warn", "-f", "-"], &odd);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "Warning: unknown field \"dota\"\n");
    assert_eq!(cluster.field("cm settings", ".dota"), "");
}

#[test]
fn server_side_apply_conflicts_until_it_is_forced() {
    let cluster = Cluster::start();
    let apply = ["apply", "--server-side", "-f", "-"];
    assert_eq!(cluster.all(&apply, SETTINGS), "configmap/settings serverside-applied\n");
    let other = ["apply", "--server-side", "--field-manager", "other", "-f", "-"];
    let refused = cluster.refused(&other, GREEN);
    assert!(
        refused.starts_with("error: Apply failed with 1 conflict: conflict with \"kubectl\": .data.colour\n"),
        "{refused}"
    );
    assert_eq!(cluster.field("cm settings", ".data.colour"), "blue");
    let forced = ["apply", "--server-side", "--field-manager", "other", "--force-conflicts", "-f", "-"];
    cluster.all(&forced, GREEN);
    assert_eq!(cluster.field("cm settings", ".data"), "{\"colour\":\"green\",\"size\":\"1\"}");
    assert_eq!(managers(&cluster, "cm settings"), ["kubectl Apply -", "other Apply -"]);
    let again = cluster.refused(&apply, SETTINGS);
    assert!(again.contains("conflict with \"other\": .data.colour"), "{again}");
}

#[test]
fn server_side_apply_takes_out_what_it_no_longer_wants() {
    let cluster = Cluster::start();
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.all(&apply, SETTINGS);
    cluster.all(&apply, GREEN);
    assert_eq!(cluster.field("cm settings", ".data"), "{\"colour\":\"green\"}");
    let before = cluster.object("cm settings");
    cluster.all(&apply, GREEN);
    assert_eq!(cluster.object("cm settings"), before, "an apply that changes nothing writes nothing");
}

#[test]
fn server_side_apply_follows_client_side_apply_without_a_conflict() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    cluster.all(&["apply", "--server-side", "-f", "-"], GREEN);
    assert_eq!(cluster.field("cm settings", ".data"), "{\"colour\":\"green\"}", "client-side fields were migrated");
    let managers = managers(&cluster, "cm settings");
    assert!(managers.contains(&"kubectl Apply -".to_owned()), "{managers:?}");
    let noted = cluster.field("cm settings", ".metadata.annotations");
    assert!(noted.contains("green"), "{noted}");
    cluster.apply(GREEN);
    assert_eq!(cluster.apply(GREEN), "configmap/settings unchanged\n");
}

#[test]
fn scaling_takes_replicas_from_the_applier_who_meets_a_conflict() {
    let cluster = Cluster::start();
    let apply = ["apply", "--server-side", "-f", "-"];
    cluster.all(&apply, WEB);
    cluster.ok("scale deployment web --replicas 5");
    let managers = managers(&cluster, "deploy web");
    assert_eq!(managers, ["kubectl Apply -", "kubectl Update scale"]);
    let refused = cluster.refused(&apply, WEB);
    let conflict = "conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas";
    assert!(refused.contains(conflict), "{refused}");
    cluster.all(&apply, &WEB.replace("  replicas: 2\n", ""));
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "5");
}

#[test]
fn ports_of_a_service_are_owned_one_by_one() {
    let cluster = Cluster::start();
    let service =
        |ports: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: s}}, spec: {{ports: [{ports}]}}}}");
    let apply = |manager: &str, ports: &str| {
        cluster.all(&["apply", "--server-side", "--field-manager", manager, "-f", "-"], &service(ports));
    };
    apply("one", "{name: a, port: 80}");
    apply("two", "{name: b, port: 81, protocol: UDP}");
    assert_eq!(cluster.field("svc s", ".spec.ports[*].name"), "a b");
    apply("one", "{name: c, port: 82}");
    let mut ports: Vec<String> = cluster.field("svc s", ".spec.ports[*].port").split(' ').map(str::to_owned).collect();
    ports.sort();
    assert_eq!(ports, ["81", "82"]);
}

#[test]
fn diff_tells_what_an_apply_would_change_in_both_modes() {
    let cluster = Cluster::start();
    for mode in [&["diff", "-f", "-"][..], &["diff", "--server-side", "-f", "-"]] {
        cluster.run(&["delete", "cm", "settings", "--ignore-not-found"], "");
        let new = cluster.run(mode, SETTINGS);
        assert_eq!(new.status.code(), Some(1), "{}", text(&new.stderr));
        assert!(text(&new.stdout).contains("+  colour: blue"), "{}", text(&new.stdout));
        let words: Vec<&str> = std::iter::once("apply").chain(mode[1..].iter().copied()).collect();
        cluster.all(&words, SETTINGS);
        let same = cluster.run(mode, SETTINGS);
        assert_eq!((same.status.code(), text(&same.stdout)), (Some(0), String::new()), "{}", text(&same.stderr));
        let changed = text(&cluster.run(mode, GREEN).stdout);
        assert!(changed.contains("-  colour: blue\n") && changed.contains("+  colour: green\n"), "{changed}");
        assert_eq!(cluster.field("cm settings", ".data.colour"), "blue", "a diff changes nothing");
    }
}

#[test]
fn a_dry_run_on_the_server_changes_nothing() {
    let cluster = Cluster::start();
    let created = cluster.all(&["apply", "--dry-run=server", "-f", "-"], SETTINGS);
    assert_eq!(created, "configmap/settings created (server dry run)\n");
    assert!(cluster.fails("get cm settings").contains("NotFound"));
    cluster.apply(SETTINGS);
    let json = cluster
        .all(&["apply", "--server-side", "--dry-run=server", "-o", "json", "--force-conflicts", "-f", "-"], GREEN);
    assert!(json.contains("green"), "{json}");
    assert_eq!(cluster.field("cm settings", ".data.colour"), "blue");
}

#[test]
fn apply_prunes_what_left_the_set() {
    let cluster = Cluster::start();
    let both = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {set: x}}}\n---\n\
                {apiVersion: v1, kind: ConfigMap, metadata: {name: b, labels: {set: x}}}";
    cluster.apply(both);
    let one = both.split("---").next().unwrap();
    let words = ["apply", "--prune", "-l", "set=x", "--prune-allowlist=core/v1/ConfigMap", "-f", "-"];
    assert!(cluster.all(&words, one).contains("configmap/b pruned"));
}
