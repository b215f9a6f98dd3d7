//! A network of one's own for a test: real control planes refuse loopback addresses for pods, and other addresses must not
//! leave this machine.
//!
//! The test starts itself again in new namespaces of network, mounts and processes, where `10.244.0.0/16` is local. All that
//! runs in there ends with that process, and that process with this one.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::folder::Folder;
use super::system_program;

/// Set inside: the folder for the test's files.
const INSIDE: &str = "FAILCTL_CONTROLPLANE_INSIDE";

/// Addresses that are local inside, and of nobody else.
pub const RANGE: &str = "10.244.0.0/16";

/// Makes the range local, gives istiod the name that its certificate carries, and becomes the test.
const PREPARE: &str = "set -e
ip link set lo up
ip route add local \"$1\" dev lo
mount --bind \"$2\" /etc/hosts
shift 2
exec \"$@\"";

/// Runs a test inside. To be called first thing in a test function, with a closure of that very function: the test is
/// found again by the closure's name.
///
/// # Panics
/// When it failed inside, with all it printed; or when namespaces cannot be had.
pub fn inside<F: FnOnce(&Path)>(test: F) {
    if let Some(dir) = std::env::var_os(INSIDE) {
        return test(&PathBuf::from(dir));
    }
    let name = std::any::type_name::<F>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    if let Err(error) = again(name) {
        panic!("{name}: {error:#}");
    }
}

fn again(name: &str) -> anyhow::Result<()> {
    let folder = Folder::new()?;
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "127.0.0.1 localhost istiod.istio-system.svc\n")?;
    system_program("ip", "iproute2")?;
    let mut command = Command::new(crate::support::failctl());
    command.args(["child", "--parent", &std::process::id().to_string(), "--"]);
    command.arg(system_program("unshare", "util-linux")?);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "sh", "-c", PREPARE]);
    command.arg("sh").arg(RANGE).arg(&hosts).arg(std::env::current_exe()?);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(INSIDE, folder.path()).stdin(Stdio::null());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    command.env("PATH", std::env::join_paths(path)?);
    let out = command.output().context("starting in namespaces of its own")?;
    std::io::stdout().write_all(&out.stdout)?;
    let said = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() || !said.contains("1 passed") {
        bail!("inside: {}\n{said}{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}
