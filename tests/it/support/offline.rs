//! Commands that need no cluster: a directory with documents, and what they print.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

use super::{failctl, golden};

/// A fleet of two clusters, of which one has no known gateway address.
pub const FLEET: &str = r#"apiVersion: failctl.dev/v1alpha1
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

/// A failover document with more lines at its end.
pub fn failover(name: &str, more: &str) -> String {
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

/// A command, ready to run in a directory.
pub fn run(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(failctl());
    let kubeconfig = dir.join("kubeconfig");
    command.current_dir(dir).env_remove("FAILCTL_FILE").env("KUBECONFIG", kubeconfig).env("HOME", dir).args(arguments);
    command
}

/// Output of one run: exit code, stdout, stderr.
pub fn out(mut command: Command) -> (i32, String, String) {
    let out = command.output().unwrap();
    (out.status.code().unwrap(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
}

/// Compares a run with a golden file.
pub fn said(name: &str, (code, stdout, stderr): (i32, String, String)) {
    golden(
        &format!("tests/golden/documents/{name}.txt"),
        &format!("exit {code}\n== stdout\n{stdout}== stderr\n{stderr}"),
    );
}

/// A working directory with a fleet and one failover as `failctl.yaml`.
pub fn one_failover() -> TempDir {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("failctl.yaml"), format!("{FLEET}{}", failover("blue", ""))).unwrap();
    dir
}
