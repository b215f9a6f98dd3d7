//! The files a sandbox leaves for its users: a kubeconfig with all contexts, and a fleet document.
//! What comes in: a running sandbox. What goes out: files that only their owner can read.
//! May not know: commands.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::door::ISTIO;
use super::parts::{GLOO_VERSION, ISTIO_VERSION, trust_domain};
use super::{Sandbox, setup};
use crate::yaml;

/// The kubeconfig, in the sandbox's directory.
pub const KUBECONFIG: &str = "kubeconfig";
/// The fleet document, in the sandbox's directory.
pub const FLEET: &str = "failctl.yaml";

/// Makes a directory for its owner alone.
pub fn make_dir(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("making {}", dir.display()))
}

/// Writes a file for its owner alone, wholly or not at all.
pub fn write_file(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(bytes)?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("writing {}", path.display()))
}

/// Writes both documents.
pub fn write(sandbox: &Sandbox, executable: &Path) -> anyhow::Result<()> {
    write_file(&sandbox.kubeconfig(), kubeconfig(sandbox.clusters())?.as_bytes())?;
    write_file(&sandbox.fleet(), fleet(sandbox, executable).as_bytes())
}

/// One kubeconfig with the contexts of all clusters; the first is current.
fn kubeconfig(clusters: &[Cluster]) -> anyhow::Result<String> {
    let mut all =
        json!({"apiVersion": "v1", "kind": "Config", "preferences": {}, "clusters": [], "users": [], "contexts": []});
    for (i, cluster) in clusters.iter().enumerate() {
        let one = serde_json::to_value(cluster.kubeconfig()).context("a kubeconfig that is no JSON")?;
        for part in ["clusters", "users", "contexts"] {
            let entries = one[part].as_array().cloned().unwrap_or_default();
            all[part].as_array_mut().into_iter().for_each(|a| a.extend(entries.iter().cloned()));
        }
        if i == 0 {
            all["current-context"] = json!(cluster.spec.context);
        }
    }
    Ok(yaml::emit(&all))
}

/// The fleet document, with the commands that cut each cluster's power and give it back.
fn fleet(sandbox: &Sandbox, executable: &Path) -> String {
    let clusters: Vec<Value> =
        sandbox.clusters().iter().enumerate().map(|(i, c)| cluster(sandbox.name(), c, i == 0, executable)).collect();
    let fleet = json!({
        "apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": sandbox.name()},
        "spec": {"clusters": clusters},
    });
    yaml::emit(&fleet)
}

fn cluster(sandbox: &str, cluster: &Cluster, manages: bool, executable: &Path) -> Value {
    let spec = &cluster.spec;
    let command = |verb: &[&str]| {
        let mut argv = vec![executable.display().to_string(), "sandbox".into()];
        argv.extend(verb.iter().map(|w| (*w).to_string()));
        argv.extend(["--name".into(), sandbox.to_string()]);
        argv
    };
    let name = spec.name.as_str();
    let mut document = json!({"name": name, "context": spec.context, "region": spec.region, "zone": spec.zone});
    if spec.runs.gloo {
        document["gloo"] = json!({"edition": "enterprise", "version": GLOO_VERSION, "namespace": setup::GLOO});
        if manages {
            document["gloo"]["federation"] = json!({"namespace": setup::FEDERATION});
        }
    }
    if spec.runs.istio {
        document["network"] = json!(name);
        document["trustDomain"] = json!(trust_domain(spec));
        document["istio"] = json!({"version": ISTIO_VERSION, "namespace": ISTIO});
    }
    document["switch"] = json!({
        "workloadsOff": command(&["stop", name, "--keep-edge"]),
        "allOff": command(&["stop", name]),
        "on": command(&["start", name]),
    });
    document
}
