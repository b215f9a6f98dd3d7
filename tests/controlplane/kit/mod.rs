//! The control-plane kit: real Kubernetes and Istio control planes as processes of this machine, in folders of their own.
//!
//! In: programs that `tests/controlplane/build.sh` built from pinned Go modules, Debian's etcd, and the Envoy of the other
//! tests. Out: clusters to talk to. Everything ends with the process that runs the tests, however that one ends.
//! A control plane that does not come up is an error with the last lines of its log.

pub mod cluster;
pub mod etcd;
pub mod folder;
pub mod istiod;
pub mod namespace;
pub mod net;
pub mod pool;
pub mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, ensure};
use failctl::sandbox::envoy_binary::{Places, find};

/// Programs of a module are built together.
const SETS: [&[&str]; 2] =
    [&["kube-apiserver", "kube-controller-manager", "kube-scheduler"], &["pilot-discovery", "pilot-agent", "istioctl"]];

/// A program of a control plane, or `istio`, Istio's sources. Built when a pin changed; progress goes to this process's stderr.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !built.contains_key(name) {
        let set = SETS.iter().find(|s| s.contains(&name)).map_or_else(|| vec![name], |s| s.to_vec());
        let folder = build(&set)?;
        built.extend(set.into_iter().map(|one| (one.to_string(), folder.join(one))));
    }
    built.get(name).cloned().with_context(|| format!("{name} was not built"))
}

/// What must be there before a test with Pods enters its own network, where nothing can be fetched: an API server, a scheduler,
/// these programs, kubectl, and the Envoy, which is returned.
///
/// # Panics
/// When something cannot be had.
pub fn provisions(more: &[&str]) -> PathBuf {
    let found = net::apart(|| net::runtime().block_on(find(&Places::of_environment(None), &mut |_| ())));
    for name in ["kube-apiserver", "kube-scheduler"].iter().chain(more) {
        program(name).unwrap_or_else(|e| panic!("{e:#}"));
    }
    crate::support::kubectl();
    found.unwrap_or_else(|e| panic!("{e}")).path
}

fn build(what: &[&str]) -> anyhow::Result<PathBuf> {
    let script = crate::support::root().join("tests/controlplane/build.sh");
    let run = Command::new("bash").arg(&script).args(what).stderr(Stdio::inherit()).output();
    let out = run.context("running bash")?;
    ensure!(out.status.success(), "no {}: {} failed; it said why above", what.join(", "), script.display());
    Ok(Path::new(String::from_utf8(out.stdout)?.trim()).to_owned())
}

/// A program of the system, by the package that brings it.
pub fn system_program(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let found = places.map(|dir: PathBuf| dir.join(name)).find(|p| p.is_file());
    found.with_context(|| format!("{name} is missing: install it (Debian: apt-get install {package})"))
}
