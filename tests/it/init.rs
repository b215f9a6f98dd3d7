//! `failctl init` as a user types it: full stdout and stderr.

use tempfile::TempDir;

use super::support::golden;
use super::support::offline::{out, run, said};

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
