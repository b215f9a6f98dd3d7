//! init, render, schema, scheme and gateway as a user types them: full stdout and stderr.

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{failctl, golden, root};

const FLEET: &str = r#"apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  clusters:
  - name: local
    context: gloo-fed
    gloo: {edition: enterprise, version: "1.18.3", federation: {namespace: gloo-fed}}
  - name: remote
    context: gloo-fed-2
    gateway: {host: 192.0.2.7}
    gloo: {edition: open-source, version: "1.18.3"}
"#;

fn failover(name: &str, more: &str) -> String {
    format!(
        r#"---
apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {{name: {name}}}
spec:
  service: {{namespace: default, name: {name}, port: 80}}
  order:
  - clusters: [{{name: local}}]
  - clusters: [{{name: remote}}]
  detection: {{activeHealthCheck: {{path: /health}}}}
{more}"#
    )
}

/// A working directory with a fleet and two failovers as `failctl.yaml`.
fn shop() -> TempDir {
    let dir = TempDir::new().unwrap();
    let text = format!("{FLEET}{}{}", failover("blue", ""), failover("red", "  target: glooUpstream\n  route: {}\n"));
    // Two gateways on one cluster need two ports.
    std::fs::write(
        dir.path().join("failctl.yaml"),
        text.replace("1.18.3\"}\n---", "1.18.3\", failoverPort: 15444}\n---"),
    )
    .unwrap();
    dir
}

fn run(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(failctl());
    let kubeconfig = dir.join("kubeconfig");
    command.current_dir(dir).env_remove("FAILCTL_FILE").env("KUBECONFIG", kubeconfig).env("HOME", dir).args(arguments);
    command
}

/// Output of one run: exit code, stdout, stderr.
fn out(mut command: Command) -> (i32, String, String) {
    let out = command.output().unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

fn said(name: &str, (code, stdout, stderr): (i32, String, String)) {
    golden(
        &format!("tests/golden/documents/{name}.txt"),
        &format!("exit {code}\n== stdout\n{stdout}== stderr\n{stderr}"),
    );
}

fn one_failover() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("failctl.yaml"), format!("{FLEET}{}", failover("blue", ""))).unwrap();
    dir
}

#[test]
fn render_prints_every_resource_of_failctl_yaml() {
    said("render", out(run(one_failover().path(), &["render"])));
}

#[test]
fn render_prints_one_cluster_only_when_asked() {
    said("render-cluster", out(run(one_failover().path(), &["render", "--cluster", "remote"])));
    said("render-cluster-unknown", out(run(one_failover().path(), &["render", "--cluster", "remot"])));
}

#[test]
fn render_prints_the_failovers_that_are_named() {
    let dir = shop();
    let (code, stdout, _) = out(run(dir.path(), &["render", "blue"]));
    assert_eq!(code, 0);
    assert!(stdout.contains("default-blue-80") && !stdout.contains("default-red-80"), "{stdout}");
    said("render-unknown-failover", out(run(dir.path(), &["render", "bleu"])));
}

#[test]
fn two_targets_on_one_port_of_one_cluster_are_refused() {
    said("render-one-port", out(run(shop().path(), &["render"])));
}

#[test]
fn render_json_is_one_object_per_line() {
    said("render-json", out(run(one_failover().path(), &["render", "-o", "json", "--cluster", "remote"])));
}

#[test]
fn render_reads_what_it_printed() {
    let dir = one_failover();
    let (_, json, _) = out(run(dir.path(), &["render", "-o", "json", "--cluster", "remote"]));
    std::fs::write(dir.path().join("remote.json"), &json).unwrap();
    std::fs::write(dir.path().join("failctl.yaml"), FLEET).unwrap();
    let (code, again, stderr) = out(run(dir.path(), &["render", "-f", "remote=remote.json", "-o", "json"]));
    assert_eq!((code, again), (0, json), "{stderr}");
}

#[test]
fn render_without_documents_says_how_to_begin() {
    said("render-nothing", out(run(TempDir::new().unwrap().path(), &["render"])));
}

#[test]
fn render_takes_files_folders_stdin_and_the_environment() {
    let dir = TempDir::new().unwrap();
    let path = dir.path();
    std::fs::create_dir(path.join("docs")).unwrap();
    std::fs::write(path.join("docs/a.yaml"), FLEET).unwrap();
    std::fs::write(path.join("docs/b.yml"), failover("blue", "")).unwrap();
    std::fs::write(path.join("docs/notes.txt"), "not: [yaml").unwrap();
    let from_folder = out(run(path, &["render", "-f", "docs"]));
    assert_eq!(from_folder.0, 0, "{}", from_folder.2);
    let from_files = out(run(path, &["render", "-f", "docs/a.yaml", "-f", "docs/b.yml"]));
    let mut piped = run(path, &["render", "-f", "-"]);
    piped.write_stdin(format!("{FLEET}{}", failover("blue", "")));
    let from_stdin = out(piped);
    let mut by_environment = run(path, &["render"]);
    by_environment.env("FAILCTL_FILE", path.join("docs/a.yaml"));
    assert_eq!(from_folder.1, from_files.1);
    assert_eq!(from_folder.1, from_stdin.1);
    assert_eq!(out(by_environment).0, 0);
    said("render-missing-file", out(run(path, &["render", "-f", "nowhere.yaml"])));
    said("render-empty-folder", out(run(path, &["render", "-f", "."])));
    said("render-file-with-sign", out(run(path, &["render", "-f", "Remote=x.yaml"])));
}

#[test]
fn a_vendor_file_alone_finds_the_fleet_in_the_default_file() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("failctl.yaml"), FLEET).unwrap();
    let guide = root().join("tests/golden/gloo/guide/local.yaml");
    let (code, stdout, stderr) = out(run(dir.path(), &["render", "-f", &format!("local={}", guide.display())]));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.matches("# failctl render: cluster local, ").count(), 4);
}

#[test]
fn render_into_a_folder_writes_one_file_per_resource_and_takes_back_its_own() {
    let dir = one_failover();
    let path = dir.path();
    said("render-out", out(run(path, &["render", "--out", "rendered"])));
    let list = |cluster: &str| {
        let files = std::fs::read_dir(path.join("rendered").join(cluster)).unwrap();
        let mut names: Vec<_> = files.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(list("local"), ["4-upstream.gloo-system.default-blue-80.yaml", "5-failoverscheme.gloo-fed.blue.yaml"]);
    assert_eq!(list("remote"), ["3-gateway.gloo-system.failover-gateway.yaml", "3-service.gloo-system.failover.yaml"]);
    let file = std::fs::read_to_string(path.join("rendered/remote/3-service.gloo-system.failover.yaml")).unwrap();
    let (_, stream, _) = out(run(path, &["render"]));
    assert!(stream.contains(&file), "a file is its part of the stream");
    // A file of the user stays, one of an earlier render goes.
    std::fs::write(path.join("rendered/local/mine.yaml"), "a: 1\n").unwrap();
    let text = std::fs::read_to_string(path.join("failctl.yaml")).unwrap();
    std::fs::write(path.join("failctl.yaml"), text.replace("name: blue", "name: green")).unwrap();
    said("render-out-again", out(run(path, &["render", "--out", "rendered"])));
    let expected =
        ["4-upstream.gloo-system.default-green-80.yaml", "5-failoverscheme.gloo-fed.green.yaml", "mine.yaml"];
    assert_eq!(list("local"), expected);
}

#[test]
fn scheme_render_and_gateway_render_print_their_wave() {
    said("scheme-render", out(run(one_failover().path(), &["scheme", "render"])));
    said("gateway-render", out(run(one_failover().path(), &["gateway", "render"])));
    let dir = TempDir::new().unwrap();
    let text = format!("{FLEET}{}", failover("red", "  target: glooUpstream\n"));
    std::fs::write(dir.path().join("failctl.yaml"), text).unwrap();
    said("scheme-render-upstream", out(run(dir.path(), &["scheme", "render"])));
    said("gateway-render-upstream", out(run(dir.path(), &["gateway", "render"])));
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    for case in std::fs::read_dir(root().join("tests/golden/gloo")).unwrap().map(|e| e.unwrap().path()) {
        if !case.is_dir() || case.ends_with("guide") || case.ends_with("mixed") {
            continue;
        }
        let once = || out(run(&case, &["render", "-f", "in.yaml"]));
        assert_eq!(once(), once());
    }
}

const KUBECONFIG: &str = r#"apiVersion: v1
kind: Config
current-context: gloo-fed
clusters: [{name: c, cluster: {server: "https://192.0.2.1:6443"}}]
users: [{name: u, user: {token: t}}]
contexts:
- {name: gloo-fed, context: {cluster: c, user: u}}
- {name: "arn:aws:eks:eu-west-1:123456789012:cluster/Shop_EU", context: {cluster: c, user: u}}
- {name: "yes", context: {cluster: c, user: u}}
"#;

#[test]
fn init_writes_a_starter_from_the_contexts_that_loads() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("kubeconfig"), KUBECONFIG).unwrap();
    said("init", out(run(dir.path(), &["init"])));
    let text = std::fs::read_to_string(dir.path().join("failctl.yaml")).unwrap();
    golden("tests/golden/documents/init.yaml", &text);
    // It loads; offline only the gateways' addresses are missing.
    said("init-then-render", out(run(dir.path(), &["render"])));
    said("init-again", out(run(dir.path(), &["init"])));
    assert_eq!(std::fs::read_to_string(dir.path().join("failctl.yaml")).unwrap(), text);
    said("init-force", out(run(dir.path(), &["init", "--force", "yes", "gloo-fed"])));
    let forced = std::fs::read_to_string(dir.path().join("failctl.yaml")).unwrap();
    assert!(forced.contains("context: \"yes\"") && !forced.contains("arn:"), "{forced}");
    assert_eq!(std::fs::read_to_string(dir.path().join("kubeconfig")).unwrap(), KUBECONFIG);
}

#[test]
fn init_prints_to_stdout_and_makes_clusters_up_where_there_is_no_kubeconfig() {
    let dir = TempDir::new().unwrap();
    let mut command = run(dir.path(), &["init", "--out", "-"]);
    command.env_remove("KUBECONFIG");
    said("init-nothing", out(command));
    said("init-unknown-context", out(run(dir.path(), &["init", "--kubeconfig", "nowhere"])));
    std::fs::write(dir.path().join("kubeconfig"), KUBECONFIG).unwrap();
    said("init-misspelt-context", out(run(dir.path(), &["init", "gloo-fet"])));
    assert!(!dir.path().join("failctl.yaml").exists());
}

#[test]
fn the_committed_schemas_are_current() {
    for (name, text) in failctl::cli::schema::all() {
        golden(&format!("schema/{name}"), &text);
    }
    let dir = TempDir::new().unwrap();
    for (arguments, name) in
        [(vec!["schema"], "failctl"), (vec!["schema", "fleet"], "fleet"), (vec!["schema", "failover"], "failover")]
    {
        let (code, stdout, stderr) = out(run(dir.path(), &arguments));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(stdout, std::fs::read_to_string(root().join(format!("schema/{name}.json"))).unwrap());
    }
    said("schema-unknown", out(run(dir.path(), &["schema", "flete"])));
}

fn validator(name: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(root().join(format!("schema/{name}.json"))).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// failctl's own documents in a text, with their kinds.
fn ours(text: &str) -> Vec<(String, Value)> {
    let documents = failctl::yaml::parse(text).unwrap().into_iter().map(|d| d.value);
    let ours = documents.filter(|d| d["apiVersion"].as_str().is_some_and(|v| v.starts_with("failctl.dev/")));
    ours.map(|d| (d["kind"].as_str().unwrap_or_default().to_string(), d)).collect()
}

#[test]
fn every_example_fits_the_schema_and_what_has_a_wrong_shape_does_not() {
    let (any, fleet, failover) = (validator("failctl"), validator("fleet"), validator("failover"));
    let mut good = 0;
    for case in std::fs::read_dir(root().join("tests/golden/gloo")).unwrap().map(|e| e.unwrap().path()) {
        if !case.is_dir() {
            continue;
        }
        for (kind, document) in ours(&std::fs::read_to_string(case.join("in.yaml")).unwrap()) {
            let by_kind = if kind == "Fleet" { &fleet } else { &failover };
            let wrong = by_kind.iter_errors(&document).map(|e| e.to_string()).collect::<Vec<_>>();
            assert!(wrong.is_empty(), "{}: {wrong:?}", case.display());
            assert!(any.is_valid(&document));
            good += 1;
        }
    }
    assert!(good > 50);
    for case in [
        "17-unknown-fields",
        "19-missing-fields",
        "21-wrong-types",
        "24-ports",
        "25-words",
        "27-durations",
        "42-weight-zero",
    ] {
        let text = std::fs::read_to_string(root().join(format!("tests/bad/{case}.yaml"))).unwrap();
        for (_, document) in ours(&text) {
            assert!(!any.is_valid(&document), "{case}");
        }
    }
}
