//! patch, scale, label, annotate, set, edit, replace, rollout, delete.

use super::{Cluster, SETTINGS, WEB};

#[test]
fn patch_merges_in_all_three_ways() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let patch = |kind: &str, patch: &str| cluster.all(&["patch", "deploy", "web", "--type", kind, "-p", patch], "");
    let images = ".spec.template.spec.containers[*].image";
    let strategic = r#"{"spec":{"template":{"spec":{"containers":[{"name":"proxy","image":"envoy:2"}]}}}}"#;
    assert_eq!(patch("strategic", strategic), "deployment.apps/web patched\n");
    assert_eq!(cluster.field("deploy web", images), "hashicorp/http-echo envoy:2");
    assert_eq!(patch("strategic", strategic), "deployment.apps/web patched (no change)\n");
    let remove = r#"{"spec":{"template":{"spec":{"containers":[{"name":"proxy","$patch":"delete"}]}}}}"#;
    patch("strategic", remove);
    assert_eq!(cluster.field("deploy web", images), "hashicorp/http-echo");
    patch("merge", r#"{"metadata":{"labels":{"tier":"front","app":null}}}"#);
    assert_eq!(cluster.field("deploy web", ".metadata.labels"), r#"{"tier":"front"}"#);
    patch(
        "json",
        r#"[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":7}]"#,
    );
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "7");
    let failed = cluster.refused(
        &["patch", "deploy", "web", "--type", "json", "-p", r#"[{"op":"test","path":"/spec/replicas","value":2}]"#],
        "",
    );
    assert!(failed.starts_with("The request is invalid"), "{failed}");
    let wrong = cluster.refused(&["patch", "deploy", "web", "-p", r#"{"spec":{"replicas":-1}}"#], "");
    assert!(wrong.contains("spec.replicas: Invalid value: -1: must be greater than or equal to 0"), "{wrong}");
}

#[test]
fn patch_of_the_status_changes_the_status_alone() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let patch = r#"{"spec":{"replicas":9},"status":{"replicas":1,"readyReplicas":1}}"#;
    cluster.all(&["patch", "deploy", "web", "--subresource", "status", "--type", "merge", "-p", patch], "");
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "2");
    assert!(cluster.ok("get deploy web").contains("1/2"));
    cluster.all(&["patch", "deploy", "web", "--type", "merge", "-p", r#"{"status":{"readyReplicas":2}}"#], "");
    assert_eq!(cluster.field("deploy web", ".status.readyReplicas"), "1");
}

#[test]
fn scale_checks_what_it_was_told_to_expect() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    assert_eq!(cluster.ok("scale deploy web --replicas 4"), "deployment.apps/web scaled\n");
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "4");
    let refused = cluster.fails("scale deploy web --current-replicas 2 --replicas 1");
    assert!(refused.contains("Expected replicas to be 2, was 4"), "{refused}");
    assert_eq!(cluster.ok("scale deploy web --replicas 0"), "deployment.apps/web scaled\n");
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "0");
}

#[test]
fn labels_and_annotations_come_and_go() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    assert_eq!(cluster.ok("label cm settings tier=a"), "configmap/settings labeled\n");
    assert!(cluster.fails("label cm settings tier=b").contains("'tier' already has a value (a)"));
    cluster.ok("label cm settings tier=b --overwrite");
    assert_eq!(cluster.ok("get cm settings -L tier --no-headers").split_whitespace().last(), Some("b"));
    assert_eq!(cluster.ok("label cm settings tier-"), "configmap/settings unlabeled\n");
    assert_eq!(cluster.ok("annotate cm settings note=x"), "configmap/settings annotated\n");
    assert_eq!(cluster.field("cm settings", ".metadata.annotations.note"), "x");
    let wrong = cluster.run(&["patch", "cm", "settings", "-p", r#"{"metadata":{"labels":{"a":"b c"}}}"#], "");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("metadata.labels: Invalid value: \"b c\""));
}

#[test]
fn set_changes_images_variables_and_selectors() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    assert_eq!(cluster.ok("set image deploy/web proxy=envoy:9"), "deployment.apps/web image updated\n");
    assert_eq!(cluster.ok("set env deploy/web COLOUR=blue"), "deployment.apps/web env updated\n");
    cluster.ok("set resources deploy web -c server --limits cpu=1,memory=64Mi");
    let first = ".spec.template.spec.containers[0]";
    assert_eq!(cluster.field("deploy web", &format!("{first}.env[0].value")), "blue");
    assert_eq!(cluster.field("deploy web", &format!("{first}.resources.limits.memory")), "64Mi");
    assert_eq!(cluster.field("deploy web", ".spec.template.spec.containers[1].image"), "envoy:9");
    cluster.ok("create service clusterip web --tcp=80");
    assert_eq!(cluster.ok("set selector svc web a=b"), "service/web selector updated\n");
}

#[test]
fn edit_saves_what_the_editor_left() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    let script = cluster.file("editor.sh", "#!/bin/sh\nsed -i s/blue/red/ \"$1\"\n");
    let mut command = cluster.command();
    command.env("KUBE_EDITOR", format!("sh {}", script.display())).args(["edit", "cm", "settings"]);
    let output = super::finish(command.spawn().unwrap(), "edit");
    assert_eq!(super::text(&output.stdout), "configmap/settings edited\n", "{}", super::text(&output.stderr));
    assert_eq!(cluster.field("cm settings", ".data.colour"), "red");
}

#[test]
fn replace_needs_the_object_as_it_is_and_can_start_anew() {
    let cluster = Cluster::start();
    let missing = cluster.refused(&["replace", "-f", "-"], SETTINGS);
    assert!(missing.contains("NotFound"), "{missing}");
    cluster.all(&["create", "-f", "-"], SETTINGS);
    let stale = cluster.ok("get cm settings -o json");
    cluster.ok("label cm settings a=b");
    let refused = cluster.refused(&["replace", "-f", "-"], &stale);
    assert!(
        refused.contains("the object has been modified; please apply your changes to the latest version"),
        "{refused}"
    );
    assert_eq!(cluster.all(&["replace", "-f", "-"], SETTINGS), "configmap/settings replaced\n");
    assert_eq!(cluster.field("cm settings", ".metadata.labels"), "");
    let uid = cluster.field("cm settings", ".metadata.uid");
    cluster.all(&["replace", "--force", "-f", "-"], SETTINGS);
    assert_ne!(cluster.field("cm settings", ".metadata.uid"), uid);
}

#[test]
fn immutable_fields_stay() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let patch =
        r#"{"spec":{"selector":{"matchLabels":{"app":"other"}},"template":{"metadata":{"labels":{"app":"other"}}}}}"#;
    let refused = cluster.refused(&["patch", "deploy", "web", "-p", patch], "");
    assert!(refused.contains("field is immutable"), "{refused}");
    cluster.ok("create secret generic s --from-literal=a=b");
    let refused = cluster.refused(&["patch", "secret", "s", "-p", r#"{"type":"kubernetes.io/tls"}"#], "");
    assert!(refused.contains("field is immutable"), "{refused}");
}

#[test]
fn rollout_restarts_pauses_and_follows_the_status() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    assert_eq!(cluster.ok("rollout restart deploy web"), "deployment.apps/web restarted\n");
    let stamp = ".spec.template.metadata.annotations.kubectl\\.kubernetes\\.io/restartedAt";
    assert!(cluster.field("deploy web", stamp).contains('T'));
    assert_eq!(cluster.ok("rollout pause deploy web"), "deployment.apps/web paused\n");
    assert_eq!(cluster.ok("rollout resume deploy web"), "deployment.apps/web resumed\n");
    let timeout = cluster.fails("rollout status deploy web --timeout 500ms");
    assert!(timeout.contains("timed out waiting for the condition"), "{timeout}");
    let status = cluster.background("rollout status deploy web --timeout 30s");
    let generation = cluster.field("deploy web", ".metadata.generation");
    let patch = format!(
        r#"{{"status":{{"observedGeneration":{generation},"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2}}}}"#
    );
    cluster.all(&["patch", "deploy", "web", "--subresource", "status", "--type", "merge", "-p", &patch], "");
    let output = super::finish(status, "rollout status");
    assert!(super::text(&output.stdout).contains("deployment \"web\" successfully rolled out"));
}

#[test]
fn delete_waits_until_the_object_is_gone() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    assert_eq!(cluster.ok("delete cm settings"), "configmap \"settings\" deleted\n");
    assert!(cluster.fails("delete cm settings").contains("NotFound"));
    assert_eq!(cluster.ok("delete cm settings --ignore-not-found"), "");
    cluster.apply(&SETTINGS.replace("name: settings", "name: settings, finalizers: [example.com/wait]"));
    let waiting = cluster.background("delete cm settings");
    while cluster.field("cm settings", ".metadata.deletionTimestamp").is_empty() {}
    let timeout = cluster.fails("delete cm settings --timeout 500ms");
    assert!(timeout.contains("timed out waiting for the condition"), "{timeout}");
    cluster.all(&["patch", "cm", "settings", "--type", "merge", "-p", r#"{"metadata":{"finalizers":null}}"#], "");
    let output = super::finish(waiting, "delete");
    assert!(output.status.success(), "{}", super::text(&output.stderr));
    assert!(cluster.fails("get cm settings").contains("NotFound"));
}

#[test]
fn delete_takes_many_by_label_and_all_of_a_namespace() {
    let cluster = Cluster::start();
    cluster.ok("create namespace gone");
    for name in ["a", "b", "c"] {
        cluster.ok(&format!("create configmap {name} -n gone"));
    }
    cluster.ok("label cm a b -n gone x=y");
    cluster.ok("delete cm -l x=y -n gone");
    assert_eq!(cluster.ok("get cm -n gone -o name"), "configmap/c\n");
    cluster.ok("delete cm --all -n gone");
    assert_eq!(cluster.ok("get cm -n gone -o name"), "");
    cluster.ok("create configmap d -n gone");
    cluster.ok("delete namespace gone --timeout 20s");
    assert!(cluster.fails("get cm d -n gone").contains("NotFound"));
}
