//! `failctl scheme`: the failover resources alone, printed and written.

use tempfile::TempDir;

use super::support::fleet::Ground;
use super::support::offline::{FLEET, failover, one_failover, out, run, said};

#[test]
fn render_prints_the_schemes_or_the_upstreams_with_their_failover() {
    said("scheme-render", out(run(one_failover().path(), &["scheme", "render"])));
    let dir = TempDir::new().unwrap();
    let text = format!("{FLEET}{}", failover("red", "  target: glooUpstream\n"));
    std::fs::write(dir.path().join("failctl.yaml"), text).unwrap();
    said("scheme-render-upstream", out(run(dir.path(), &["scheme", "render"])));
}

#[test]
fn apply_writes_the_schemes_and_nothing_else() {
    let ground = Ground::new();
    ground.ok(&["gateway", "apply", "--yes"]);
    ground.golden("scheme_apply", &["scheme", "apply", "--yes"]);
    assert!(!ground.get("local", "FailoverScheme", "color").is_null());
    assert!(ground.get("local", "VirtualService", "default").is_null());
}
