//! `failctl render` as a user types it: full stdout and stderr.

use tempfile::TempDir;

use super::support::offline::{FLEET, failover, one_failover, out, run, said};
use super::support::root;

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
fn rendering_twice_gives_the_same_bytes() {
    for case in std::fs::read_dir(root().join("tests/golden/gloo")).unwrap().map(|e| e.unwrap().path()) {
        if !case.is_dir() || case.ends_with("guide") || case.ends_with("mixed") {
            continue;
        }
        let once = || out(run(&case, &["render", "-f", "in.yaml"]));
        assert_eq!(once(), once());
    }
}

#[test]
fn a_long_stream_made_by_several_threads_is_the_same_documents_in_the_same_order() {
    let dir = TempDir::new().unwrap();
    let many: String = (0..150).map(|i| failover(&format!("s{i:03}"), "")).collect();
    std::fs::write(dir.path().join("failctl.yaml"), format!("{FLEET}{many}")).unwrap();
    let (code, yaml, _) = out(run(dir.path(), &["render"]));
    let (_, json, _) = out(run(dir.path(), &["render", "-o", "json"]));
    assert_eq!(code, 0);
    assert!(!yaml.starts_with("---") && yaml.matches("\n---\n").count() == json.lines().count() - 1);
    let from_yaml = failctl::yaml::parse(&yaml).unwrap().into_iter().map(|d| d.value);
    let from_json = json.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    assert!(from_yaml.eq(from_json), "both formats hold the same objects in the same order");
    let (_, local, _) = out(run(dir.path(), &["render", "-o", "json", "--cluster", "local"]));
    let names: Vec<_> = local.lines().filter(|l| l.contains("FailoverScheme")).collect();
    assert_eq!(names.len(), 150);
    assert!(names.is_sorted(), "schemes stand in order of their names");
}
