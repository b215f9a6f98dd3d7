//! Drills on a sandbox as they are typed: every fault, zero loss, Ctrl-C, SIGKILL and the way back, status meanwhile.
//! (What happens when a drill is disturbed at any single step: simulate_disturbed.rs.)

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{failctl, root};

/// A sandbox of its own with the sample service, taken down at the end.
struct Site {
    dir: tempfile::TempDir,
    name: &'static str,
    kubeconfig: PathBuf,
    /// Where the primary's gateway is reached.
    gateway: String,
}

impl Site {
    fn up(name: &'static str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let mut site = Site { dir, name, kubeconfig: PathBuf::new(), gateway: String::new() };
        site.good(&["sandbox", "up", "--name", name]);
        let path = |site: &Site, what| String::from_utf8(site.good(&["sandbox", what, "--name", name]).stdout).unwrap();
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
        let url = String::from_utf8(site.good(&[&["gateway", "url", "local"], &both[..]].concat()).stdout).unwrap();
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/');
        site.gateway = if address.contains(':') { address.to_string() } else { format!("{address}:80") };
        site.well();
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

    /// A drill with these flags, ready to run.
    fn drill(&self, heal_after: &str, flags: &[&str]) -> Command {
        let mut command = self.command(&["simulate", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
        command.args(["--rate", "40", "--warmup", "1s", "--heal-after", heal_after]).args(flags);
        command
    }

    /// A drill to its end: its only run, and what it said meanwhile.
    fn drilled(&self, flags: &[&str], code: i32) -> (Value, String) {
        let out = self.drill("3s", flags).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{flags:?}\n{said}{}", String::from_utf8_lossy(&out.stdout));
        let mut report: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(report["kind"], "DrillReport");
        assert_eq!(self.journals(), 0, "{said}");
        (report["runs"][0].take(), said)
    }

    /// A drill in the middle of its fault: the journal is there, and the service answers as it does then.
    fn in_fault(&self, flags: &[&str], answer: &str) -> Child {
        let child = self.drill("120s", flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the primary is broken", || self.journals() == 1 && self.answer() == answer);
        child
    }

    /// What the primary's gateway answers: the first line of the body, or why there is none.
    fn answer(&self) -> String {
        let mut stream = match TcpStream::connect(&self.gateway) {
            Ok(stream) => stream,
            Err(e) => return e.kind().to_string(),
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Ok(_) if text.starts_with("HTTP/1.1 200") => {
                let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                ["blue-pod", "green-pod"].into_iter().find(|p| body.contains(p)).unwrap_or(body).to_string()
            }
            Ok(_) => text.lines().next().unwrap_or("nothing").to_string(),
            Err(e) => e.kind().to_string(),
        }
    }

    /// Waits until the primary serves again, and Envoy on its cluster says so.
    fn well(&self) {
        wait_until("the primary serves", || {
            let out = self.run(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
            let status: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
            let local = json!(["local"]);
            status["failovers"][0]["serving"] == "primary" && status["failovers"][0]["servedBy"] == local
        });
        wait_until("blue answers", || self.answer() == "blue-pod");
    }

    fn journals(&self) -> usize {
        let entries = std::fs::read_dir(self.at("state/failctl/drills")).unwrap();
        entries.filter(|e| is_json(&e.as_ref().unwrap().path())).count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.run(&["sandbox", "down", "--name", self.name]);
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

const SCALE: [&str; 2] = ["--fault", "scale-to-zero"];

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "not seen within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn send(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// No request lost, the backup took over and the primary again.
fn nothing_lost(run: &Value) {
    assert_eq!((run["failed"].as_u64(), run["outcome"].as_str()), (Some(0), Some("no-loss")), "{run:#}");
    assert_eq!((run["verdict"].as_str(), run["policy"].as_str()), (Some("pass"), Some("recommended")), "{run:#}");
    assert!(run["requests_in_fault"].as_u64().unwrap() >= 100, "{run:#}");
    assert!(run["failover_ms"].is_u64() && run["failback_ms"].is_u64(), "{run:#}");
}

/// The loss of the entry is said, with what would cover it.
fn entry_lost(run: &Value, verdict: &str) {
    assert_eq!((run["outcome"].as_str(), run["verdict"].as_str()), (Some("outage"), Some(verdict)), "{run:#}");
    let found = run["findings"].as_array().unwrap().iter().find(|f| f["code"] == "FCT0627");
    let what = found.expect("the loss of the entry is said")["what"].as_str().unwrap();
    assert!(what.starts_with("the loss of an entry: the edge of local was down too"), "{what}");
    assert!(what.contains("on the gateway of remote too") && what.contains("DNS or a global load balancer"), "{what}");
}

#[test]
fn a_drill_loses_nothing_is_put_back_after_ctrl_c_and_after_a_kill() {
    let site = Site::up("drills");
    let (run, _) = site.drilled(&SCALE, 0);
    nothing_lost(&run);

    // Ctrl-C in the middle of the fault: put back before it ends.
    let mut child = site.in_fault(&SCALE, "green-pod");
    send(&child, rustix::process::Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(site.journals(), 0);
    site.well();

    // SIGKILL: nobody can put it back but whoever reads the journal.
    let mut child = site.in_fault(&SCALE, "green-pod");
    let status = site.json(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-o", "json"], 0);
    let row = &status["failovers"][0];
    assert_eq!((row["serving"].as_str(), &row["servedBy"]), (Some("backup"), &json!(["remote"])), "{row:#}");
    let busy = site.drill("3s", &SCALE).output().unwrap();
    assert_eq!(busy.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&busy.stderr).contains("another drill is running"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((site.journals(), site.answer().as_str()), (1, "green-pod"));
    let refused = site.drill("3s", &SCALE).output().unwrap();
    assert_eq!(refused.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("simulate restore"));
    let restored = site.good(&["simulate", "restore"]);
    assert!(String::from_utf8_lossy(&restored.stdout).contains("put back"));
    assert_eq!(site.journals(), 0);
    site.well();
}

#[test]
fn every_fault_of_a_workload_is_survived_without_loss_and_undone_by_restore_after_a_kill() {
    let site = Site::up("faults");
    for fault in ["sleep", "health-check-fail"] {
        let (run, _) = site.drilled(&["--fault", fault], 0);
        nothing_lost(&run);
        assert_eq!(run["fault"], fault);
        let mut child = site.in_fault(&["--fault", fault], "green-pod");
        child.kill().unwrap();
        child.wait().unwrap();
        let restored = site.good(&["simulate", "restore"]);
        assert!(String::from_utf8_lossy(&restored.stdout).contains("put back"));
        site.well();
    }
    let backup_first = ["--fault", "gateway-down", "--expected", "no-loss"];
    let (run, _) = site.drilled(&backup_first, 8);
    assert_eq!((run["failed"].as_u64(), run["verdict"].as_str()), (Some(0), Some("inconclusive")), "{run:#}");
    let (run, _) = site.drilled(&["--fault", "gateway-down", "--cluster", "local"], 1);
    entry_lost(&run, "fail");
    site.well();
}

#[test]
fn a_cluster_that_dies_behind_its_edge_loses_nothing_and_one_that_dies_with_it_is_the_loss_of_an_entry() {
    let site = Site::up("power");
    let down = ["--fault", "cluster-down"];
    let all = ["--fault", "cluster-down", "--form", "all"];
    nothing_lost(&site.drilled(&down, 0).0);
    site.well();
    entry_lost(&site.drilled(&all, 1).0, "fail");
    site.well();
    entry_lost(&site.drilled(&[&all[..], &["--expected", "outage"]].concat(), 0).0, "pass");
    site.well();
    for (flags, answer) in [(&down[..], "green-pod"), (&all[..], "connection refused")] {
        let mut child = site.in_fault(flags, answer);
        child.kill().unwrap();
        child.wait().unwrap();
        let restored = site.good(&["simulate", "restore"]);
        assert!(String::from_utf8_lossy(&restored.stdout).contains("put back"));
        site.well();
    }
}

#[test]
fn a_cluster_without_a_switch_has_its_workloads_scaled_and_says_so() {
    let site = Site::up("switchless");
    let fleet = std::fs::read_to_string(site.at("failctl.yaml")).unwrap();
    let mut fleet = failctl::yaml::parse(&fleet).unwrap().remove(0).value;
    for cluster in fleet["spec"]["clusters"].as_array_mut().unwrap() {
        cluster.as_object_mut().unwrap().shift_remove("switch").expect("the sandbox's fleet has switches");
    }
    std::fs::write(site.at("failctl.yaml"), fleet.to_string()).unwrap();
    let (run, said) = site.drilled(&["--fault", "cluster-down"], 0);
    nothing_lost(&run);
    let note = "note: local has no `switch` in the fleet document: the workloads of the services' namespaces are scaled to \
                zero, and its API is left up";
    assert!(said.contains(note), "{said}");
    site.well();
    let (run, said) = site.drilled(&["--fault", "cluster-down", "--form", "all"], 1);
    entry_lost(&run, "fail");
    assert!(said.contains("the workloads of the services' namespaces and the gateway are scaled to zero"), "{said}");
    site.well();
    let mut child = site.in_fault(&["--fault", "cluster-down"], "green-pod");
    child.kill().unwrap();
    child.wait().unwrap();
    site.good(&["simulate", "restore"]);
    site.well();
}
