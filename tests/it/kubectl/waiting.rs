//! wait and get --watch.

use std::io::{BufRead, BufReader};
use std::sync::mpsc;
use std::time::Duration;

use super::{Cluster, SETTINGS, WEB, finish, text};

#[test]
fn wait_sees_conditions_deletions_and_fields() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    cluster.apply(SETTINGS);
    let condition = cluster.background("wait deploy/web --for=condition=Available --timeout 30s");
    let patch = r#"{"status":{"conditions":[{"type":"Available","status":"True"}]}}"#;
    cluster.all(&["patch", "deploy", "web", "--subresource", "status", "--type", "merge", "-p", patch], "");
    let output = finish(condition, "wait");
    assert_eq!(text(&output.stdout), "deployment.apps/web condition met\n", "{}", text(&output.stderr));
    let field = cluster.background("wait cm/settings --for=jsonpath={.data.colour}=red --timeout 30s");
    cluster.all(&["patch", "cm", "settings", "-p", r#"{"data":{"colour":"red"}}"#], "");
    assert!(finish(field, "wait").status.success());
    let deletion = cluster.background("wait cm/settings --for=delete --timeout 30s");
    cluster.ok("delete cm settings");
    assert!(finish(deletion, "wait").status.success());
    let timeout = cluster.fails("wait deploy/web --for=condition=Other --timeout 300ms");
    assert!(timeout.contains("timed out waiting for the condition on deployments/web"), "{timeout}");
    let creation = cluster.background("wait cm/later --for=create --timeout 30s");
    cluster.ok("create configmap later");
    assert!(finish(creation, "wait").status.success());
}

#[test]
fn watch_prints_every_change_as_it_happens() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    let mut watch = cluster.background("get cm -w -o custom-columns=N:.metadata.name,C:.data.colour --no-headers");
    let (tell, told) = mpsc::channel();
    let lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    let next = || {
        let line = told.recv_timeout(Duration::from_secs(30)).expect("kubectl -w prints a line");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(next(), ["settings", "blue"]);
    cluster.all(&["patch", "cm", "settings", "-p", r#"{"data":{"colour":"red"}}"#], "");
    assert_eq!(next(), ["settings", "red"]);
    cluster.ok("create configmap other --from-literal=colour=white");
    assert_eq!(next(), ["other", "white"]);
    cluster.ok("delete cm settings");
    assert_eq!(next(), ["settings", "red"]);
    watch.kill().unwrap();
    watch.wait().unwrap();
    drop(reader.join().unwrap());
}

#[test]
fn watch_prints_tables_and_events_with_their_type() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let mut watch = cluster.background("get deploy -w --output-watch-events");
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().starts_with("EVENT"));
    assert!(next().starts_with("ADDED      web    0/2"));
    cluster.ok("scale deploy web --replicas 3");
    let line = next();
    assert!(line.starts_with("MODIFIED   web    0/3"), "{line}");
    cluster.ok("delete deploy web");
    let line = next();
    assert!(line.starts_with("DELETED    web"), "{line}");
    watch.kill().unwrap();
    watch.wait().unwrap();
}
