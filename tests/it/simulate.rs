//! Drills on a sandbox as they are typed: every fault, zero loss, Ctrl-C, SIGKILL and the way back, status meanwhile.
//! (What happens when a drill is disturbed at any single step: simulate_disturbed.rs.)

use std::process::{Child, Command};

use serde_json::{Value, json};

use crate::support::kubectl;
use crate::support::site::{Site, wait_until};

const SCALE: [&str; 2] = ["--fault", "scale-to-zero"];

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

    // Nobody stands by: breaking the primary would be an outage of our making.
    let scaled = ["--context", "gloo-fed-2", "scale", "deploy/echo-green", "--replicas=0"];
    assert!(Command::new(kubectl()).arg("--kubeconfig").arg(&site.kubeconfig).args(scaled).status().unwrap().success());
    wait_until("the backup is seen to be gone", || {
        let out = site.run(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "--no-drift", "-ojson"]);
        serde_json::from_slice::<Value>(&out.stdout).unwrap_or_default()["failovers"][0]["standing"] == "unhealthy"
    });
    let (run, said) = site.drilled(&SCALE, 8);
    assert_eq!(
        (run["ending"].as_str(), run["findings"][0]["code"].as_str()),
        (Some("refused"), Some("FCT0610")),
        "{run:#}"
    );
    assert!(
        said.contains("not started: ") && said.contains("no backup is ready: ") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(site.answer(), "blue-pod");
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
    // A rollout that takes longer than the drill: the fault's time begins when the last Pod of before is gone.
    let slowly = ["--context", "gloo-fed", "patch", "deploy/echo-blue", "-p", r#"{"spec": {"minReadySeconds": 6}}"#];
    let mut kubectl = std::process::Command::new(crate::support::kubectl());
    assert!(kubectl.args(slowly).env("KUBECONFIG", &site.kubeconfig).status().unwrap().success());
    // A Pod that has not been ready for so long would be the first to go.
    std::thread::sleep(std::time::Duration::from_secs(7));
    let (run, _) = site.drilled(&["--fault", "sleep"], 0);
    nothing_lost(&run);
    assert!(run["requests_in_fault"].as_u64().unwrap() > 8 * 40, "{run:#}");
    site.well();
    let backup_first = ["--fault", "gateway-down", "--expected", "no-loss"];
    let (run, _) = site.drilled(&backup_first, 8);
    assert_eq!((run["failed"].as_u64(), run["verdict"].as_str()), (Some(0), Some("inconclusive")), "{run:#}");
    let (run, _) = site.drilled(&["--fault", "gateway-down", "--expected", "stays"], 0);
    assert_eq!(run["findings"][1]["code"], "FCT0629", "{run:#}");
    let (run, _) = site.drilled(&["--fault", "gateway-down", "--cluster", "local"], 1);
    entry_lost(&run, "fail");
    site.well();
}

#[test]
fn processes_are_killed_and_stopped_by_exec_and_a_service_loses_its_endpoints() {
    let site = Site::up("processes");
    let (run, _) = site.drilled(&["--fault", "endpoints-lost"], 0);
    nothing_lost(&run);
    assert_eq!(run["fault"], "endpoints-lost");
    let mut child = site.in_fault(&["--fault", "endpoints-lost"], "green-pod");
    child.kill().unwrap();
    child.wait().unwrap();
    site.good(&["simulate", "restore"]);
    site.well();

    // As on Linux, a container's first process is out of reach of its own container.
    let kill = ["--fault", "process-kill", "--process", "envoy/envoy"];
    let said = |run: &Value| run["findings"].to_string();
    let (run, _) = site.drilled(&kill, 8);
    assert!(said(&run).contains("takes no KILL from within"), "{run:#}");
    let (run, _) = site.drilled(&["--fault", "process-kill", "--process", "envoy/nginx"], 8);
    assert!(said(&run).contains("no process of pod") && said(&run).contains("named `nginx`"), "{run:#}");
    let usage = site.run(&["simulate", "-f", "failctl.yaml", "-f", "shop.yaml", "--fault", "process-kill"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("--process istio-proxy/envoy"));

    let share = r#"{"spec": {"template": {"spec": {"shareProcessNamespace": true}}}}"#;
    let patch = ["--context", "gloo-fed", "patch", "deploy/echo-blue", "-p", share];
    let mut kubectl = std::process::Command::new(crate::support::kubectl());
    assert!(kubectl.args(patch).env("KUBECONFIG", &site.kubeconfig).status().unwrap().success());
    let rollout = ["--context", "gloo-fed", "rollout", "status", "deploy/echo-blue", "--timeout=60s"];
    let mut kubectl = std::process::Command::new(crate::support::kubectl());
    assert!(kubectl.args(rollout).env("KUBECONFIG", &site.kubeconfig).status().unwrap().success());
    site.well();
    // A program that is there and says nothing is noticed later than one that is gone.
    let stop = ["--fault", "process-pause", "--process", "envoy/envoy"];
    let mut child = site.in_fault(&stop, "green-pod");
    child.kill().unwrap();
    child.wait().unwrap();
    site.good(&["simulate", "restore"]);
    site.well();
    let out = site.drill("3s", &kill).output().unwrap();
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let run = &report["runs"][0];
    // It is back before the fault is over, so the drill may not have seen the backup serve alone.
    assert_eq!((run["failed"].as_u64(), run["ending"].as_str()), (Some(0), Some("completed")), "{run:#}");
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
    let impossible = |flags: &[&str], why: &str| {
        let out = site.drill("3s", flags).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(3) && said.contains(why), "{said}");
    };
    impossible(&["--fault", "cluster-down", "--form", "control-plane"], "write `switch.controlPlaneOff`");
    impossible(&["--fault", "scale-to-zero", "--deployment", "default/echo-bleu"], "no deployment default/echo-bleu");
    impossible(&["--fault", "scale-to-zero", "--cluster", "remot"], "`remot`, which is no cluster of the fleet");
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
