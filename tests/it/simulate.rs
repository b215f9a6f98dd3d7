//! Drills on a sandbox as they are typed: zero loss, Ctrl-C, SIGKILL and the way back, status while failed over.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{failctl, root};

/// A sandbox of its own with the sample service, taken down at the end.
struct Site {
    dir: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Site {
    fn up() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let mut site = Site { dir, kubeconfig: PathBuf::new() };
        site.good(&["sandbox", "up", "--name", "drills"]);
        let path =
            |site: &Site, what| String::from_utf8(site.good(&["sandbox", what, "--name", "drills"]).stdout).unwrap();
        site.kubeconfig = PathBuf::from(path(&site, "kubeconfig").trim());
        std::fs::copy(path(&site, "fleet").trim(), site.at("failctl.yaml")).unwrap();
        for (file, color) in [("blue.yaml", "blue"), ("green.yaml", "green")] {
            let sample = std::fs::read_to_string(root().join(format!("templates/sample/{color}.yaml"))).unwrap();
            std::fs::write(site.at(file), sample).unwrap();
        }
        let failover = std::fs::read_to_string(root().join("templates/sample/failover.yaml")).unwrap();
        std::fs::write(site.at("shop.yaml"), failover.replace("namespace: shop", "namespace: default")).unwrap();
        site.good(&["apply", "-f", "local=blue.yaml", "-f", "remote=green.yaml", "--yes"]);
        let both = ["-f", "failctl.yaml", "-f", "shop.yaml"];
        site.good(&[&["certs", "generate"], &both[..]].concat());
        site.good(&[&["certs", "install"], &both[..], &["--yes"]].concat());
        site.good(&[&["apply"], &both[..], &["--yes", "--wait"]].concat());
        site
    }

    fn at(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(failctl());
        command.args(args).current_dir(self.dir.path()).env("XDG_STATE_HOME", self.dir.path().join("state"));
        command.env_remove("FAILCTL_STATE_DIR").env_remove("FAILCTL_FILE").stdin(Stdio::null());
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn good(&self, args: &[&str]) -> Output {
        let out = self.run(args);
        assert!(out.status.success(), "failctl {args:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
        out
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(code), "failctl {args:?}\n{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// What a dry run says the primary's replicas are; none when there is nothing to break.
    fn scale_is(&self, wanted: &str) -> bool {
        let out =
            self.run(&["simulate", "-f", "failctl.yaml", "-f", "shop.yaml", "--fault", "scale-to-zero", "--dry-run"]);
        let text = String::from_utf8_lossy(&out.stdout).to_string() + &String::from_utf8_lossy(&out.stderr);
        text.contains(wanted)
    }

    fn journals(&self) -> usize {
        let entries = std::fs::read_dir(self.at("state/failctl/drills")).unwrap();
        entries.filter(|e| is_json(&e.as_ref().unwrap().path())).count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.run(&["sandbox", "down", "--name", "drills"]);
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

const DRILL: [&str; 14] = [
    "simulate",
    "-f",
    "failctl.yaml",
    "-f",
    "shop.yaml",
    "--fault",
    "scale-to-zero",
    "--rate",
    "40",
    "--warmup",
    "1s",
    "--heal-after",
    "3s",
    "-ojson",
];
const WHOLE: &str = "scale deployment default/echo-blue from 1 to 0";
const BROKEN: &str = "has no replicas already";

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < end, "not seen within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn signal(child: &std::process::Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn a_drill_loses_nothing_is_put_back_after_ctrl_c_and_after_a_kill() {
    let site = Site::up();
    assert!(site.scale_is(WHOLE), "a dry run names what would be broken");

    let report = site.json(&DRILL, 0);
    let run = &report["runs"][0];
    assert_eq!((report["kind"].as_str(), run["policy"].as_str()), (Some("DrillReport"), Some("recommended")));
    assert_eq!((run["failed"].as_u64(), run["outcome"].as_str()), (Some(0), Some("no-loss")), "{run:#}");
    assert!(run["requests_in_fault"].as_u64().unwrap() >= 100, "{run:#}");
    assert!(run["failover_ms"].is_u64() && run["failback_ms"].is_u64(), "{run:#}");
    assert!(site.scale_is(WHOLE) && site.journals() == 0);

    // Ctrl-C in the middle of the fault: put back before it ends.
    let mut child = site
        .command(&[&DRILL[..12], &["60s", "-ojson"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the primary is broken", || site.journals() == 1 && site.scale_is(BROKEN));
    signal(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(site.scale_is(WHOLE) && site.journals() == 0);

    // SIGKILL: nobody can put it back but whoever reads the journal.
    let mut child = site
        .command(&[&DRILL[..12], &["60s", "-ojson"]].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the primary is broken", || site.journals() == 1 && site.scale_is(BROKEN));
    let status = site.json(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-o", "json"], 0);
    let row = &status["failovers"][0];
    assert_eq!(
        (row["serving"].as_str(), &row["servedBy"]),
        (Some("backup"), &serde_json::json!(["remote"])),
        "{row:#}"
    );
    let busy = site.run(&DRILL);
    assert!(String::from_utf8_lossy(&busy.stderr).contains("another drill is running"));
    signal(&child, rustix::process::Signal::KILL);
    child.wait().unwrap();
    assert!(site.scale_is(BROKEN) && site.journals() == 1);
    let refused = site.run(&DRILL);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("simulate restore"));
    let restored = site.good(&["simulate", "restore"]);
    assert!(String::from_utf8_lossy(&restored.stdout).contains("put back"));
    assert!(site.scale_is(WHOLE) && site.journals() == 0);
    let again = site.good(&["simulate", "restore"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("no drill left anything broken"));
}
