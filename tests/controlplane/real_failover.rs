//! A real failover, end to end: real control planes, Istio's own agent with a plain Envoy in every proxy, certificates of
//! failctl's, and failctl's own commands to drive and to observe it.
//!
//! The short form is part of the ring. `tests/controlplane/real-failover.sh` runs the long one, of more than 10,000 requests
//! while each fault lasts, and keeps its report as docs/real-failover.txt.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::kit::namespace::inside;
use crate::lab::objects::{NAMESPACE, PORT};
use crate::lab::{self, Lab};

/// Where the report of the long form goes.
const RECORD: &str = "FAILCTL_RECORD";
/// The services: configured as failctl recommends, and as the article has it.
const SERVICES: [&str; 2] = ["hello", "hello-article"];

/// A fault, and whether the other cluster must be seen to serve during it.
struct Case {
    name: &'static str,
    faults: Value,
    moves: bool,
}

fn cases() -> Vec<Case> {
    let process = |deployment: &str, container: &str, process: &str| {
        json!({"cluster": "east", "namespace": NAMESPACE, "deployment": deployment, "container": container,
            "process": process})
    };
    let lost =
        |service: &str| json!({"endpointsLost": {"cluster": "east", "namespace": NAMESPACE, "service": service}});
    let case = |name, moves, fault: Value| Case { name, faults: json!([{"inject": fault}]), moves };
    let gateway = json!({"cluster": "west", "namespace": "istio-system", "deployment": "istio-eastwestgateway",
        "process": "envoy"});
    vec![
        case("server process killed", false, json!({"processKill": process("hello", "hello", "http-echo")})),
        case("its proxy killed", false, json!({"processKill": process("hello", "istio-proxy", "envoy")})),
        case("server hung", true, json!({"processPause": process("hello", "hello", "http-echo")})),
        case("its proxy hung", true, json!({"processPause": process("hello", "istio-proxy", "envoy")})),
        case("readiness lost", true, json!({"together": SERVICES.map(lost)})),
        case(
            "server gone",
            true,
            json!({"scaleToZero": {"cluster": "east", "namespace": NAMESPACE, "deployment": "hello"}}),
        ),
        case("remote gateway killed", false, json!({"processKill": gateway})),
        case(
            "remote gateway gone",
            false,
            json!({"gatewayDown": {"cluster": "west", "namespace": "istio-system", "deployment": "istio-eastwestgateway"}}),
        ),
        case("local control plane killed", false, json!({"clusterDown": {"cluster": "east", "form": "controlPlane"}})),
    ]
}

/// Both failovers, in the order east, west.
fn failovers(target: &str) -> String {
    let failover = |name: &str, detection: Value, retries: Option<Value>| {
        let mut spec = json!({
            "service": {"namespace": NAMESPACE, "name": name, "port": PORT},
            "order": [{"clusters": [{"name": "east"}]}, {"clusters": [{"name": "west"}]}],
            "detection": {"outlierDetection": detection}, "target": target});
        if let Some(retries) = retries {
            spec["retries"] = retries;
        }
        json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Failover", "metadata": {"name": name}, "spec": spec})
            .to_string()
    };
    let recommended = json!({"consecutive5xx": 5, "interval": "1s", "baseEjectionTime": "2s"});
    let retries = json!({"attempts": 3, "perTryTimeout": "2s", "idempotent": true});
    // The article's own figures, and Istio's default retries, which do not leave for another cluster.
    let article = json!({"consecutive5xx": 5, "interval": "2s", "baseEjectionTime": "10s"});
    [failover(SERVICES[0], recommended, Some(retries)), failover(SERVICES[1], article, None)].join("\n---\n")
}

/// The drills: both services side by side under each fault.
fn scenarios(rate: u32, warmup: &str, during: &str) -> String {
    let target = |name: &str, policy: &str| {
        json!({"name": name, "failover": name, "policy": policy, "url": lab::caller(), "host": name,
            "answers": {"labels": {"east": "east", "west": "west"}}})
    };
    let scenario = |case: &Case| {
        json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": case.name},
            "spec": {
                "targets": [target(SERVICES[0], "recommended"), target(SERVICES[1], "article")],
                "faults": case.faults,
                "expected": if case.moves { "no-loss" } else { "stays" },
                "load": {"rate": rate, "warmup": warmup, "readyWithin": "60s", "during": during, "after": "90s",
                    "settle": "3s"}}})
        .to_string()
    };
    cases().iter().map(scenario).collect::<Vec<_>>().join("\n---\n")
}

/// What must hold for the recommended configuration under a fault.
fn judge(case: &Case, run: &Value) -> Result<(), String> {
    let seconds = run["answered_per_second"].as_array().map(Vec::as_slice).unwrap_or_default();
    let by = |who: &str, of: &dyn Fn(i64) -> bool| -> u64 {
        let chosen = seconds.iter().filter(|s| of(s["second"].as_i64().unwrap_or(0)));
        chosen.filter_map(|s| s["answered"][who].as_u64()).sum()
    };
    let check = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    check(run["ending"] == "completed", "the drill was not completed")?;
    check(run["failed"] == 0, "requests were lost")?;
    check(by("west", &|s| s < 0) == 0, "the second cluster served before the fault")?;
    check(run["failback_ms"].is_number(), "the first cluster did not come back")?;
    if case.moves {
        check(by("west", &|_| true) > 0, "the second cluster never served")?;
        check(run["failover_ms"].is_number(), "the second cluster never served alone")
    } else if ["gateway", "control"].iter().any(|word| case.name.contains(word)) {
        check(by("west", &|_| true) == 0, "the second cluster served although the first was well")
    } else {
        Ok(())
    }
}

fn started(envoy: &Path, dir: &Path, target: &str) -> Lab {
    let lab = Lab::start(dir, envoy, &SERVICES).unwrap_or_else(|e| panic!("{e:#}"));
    lab.switchboard();
    std::fs::write(dir.join("failovers.yaml"), failovers(target)).unwrap();
    lab.ok(&["apply", "-f", "fleet.yaml", "-f", "failovers.yaml", "--yes"]).unwrap_or_else(|e| panic!("{e:#}"));
    lab
}

fn simulate(lab: &Lab, (rate, warmup, during): (u32, &str, &str), more: &[&str]) -> String {
    std::fs::write(lab.dir.join("drills.yaml"), scenarios(rate, warmup, during)).unwrap();
    let args = ["simulate", "-f", "fleet.yaml", "-f", "failovers.yaml", "-f", "drills.yaml"];
    let out = lab.failctl(&[&args[..], more].concat()).unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    // 1: somebody lost requests; who, the report says. 8: a fault that the first cluster did not feel.
    assert!(matches!(out.status.code(), Some(0 | 1 | 8)), "{}\n{error}", out.status);
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn under_no_fault_does_transparent_failover_lose_a_request_or_leave_its_order() {
    let envoy = lab::provisions();
    inside(|dir| drill(&started(&envoy, dir, "istioLocality")));
}

#[test]
fn under_no_fault_does_an_aggregate_lose_a_request_or_leave_its_order() {
    let envoy = lab::provisions();
    inside(|dir| drill(&started(&envoy, dir, "istioAggregate")));
}

/// Waits until status finds nothing amiss, and returns what it says: sidecars hear of what was applied a moment later.
fn healthy(lab: &Lab) -> String {
    let begun = Instant::now();
    loop {
        match lab.ok(&["status", "-f", "fleet.yaml", "-f", "failovers.yaml"]) {
            Ok(said) if said.contains("the clusters hold what the documents say") => return said,
            said => assert!(begun.elapsed() < Duration::from_secs(30), "{said:?}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Every fault; what must hold, holds. The long form is recorded.
fn drill(lab: &Lab) {
    let status = healthy(lab);
    if let Some(path) = std::env::var_os(RECORD).map(PathBuf::from) {
        let said = simulate(lab, (200, "3s", "52s"), &[]);
        std::fs::write(&path, format!("$ failctl status\n\n{status}\n$ failctl simulate\n\n{said}")).unwrap();
        let runs: Vec<_> = said.lines().filter_map(recommended).collect();
        assert_eq!(runs.len(), cases().len(), "{said}");
        let short: Vec<_> = runs.iter().filter(|(in_fault, failed)| *in_fault < 10_000 || *failed > 0).collect();
        assert!(short.is_empty(), "{short:?}\n{said}");
        return;
    }
    let said = simulate(lab, (100, "3s", "7s"), &["-o", "json"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    let runs = report["runs"].as_array().unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        let run = runs.iter().find(|r| r["story"] == case.name && r["policy"] == "recommended");
        let run = run.unwrap_or_else(|| panic!("no run of {}: {said}", case.name));
        if let Err(why) = judge(&case, run) {
            wrong.push(format!("{}: {why}: {run}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The requests in the fault, and those lost, of a line of the summary that is one of the recommended configuration.
fn recommended(line: &str) -> Option<(u64, u64)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |i: usize| words.get(i)?.parse().ok();
    (words.get(2) == Some(&"recommended")).then(|| Some((number(6)?, number(7)?))).flatten()
}

#[test]
fn a_cluster_of_a_foreign_root_is_refused_and_said_to_be_foreign() {
    let envoy = lab::provisions();
    inside(|dir| {
        let lab = started(&envoy, dir, "istioLocality");
        lab.estrange(1).unwrap_or_else(|e| panic!("{e:#}"));
        let certificates = lab.failctl(&["certs", "status", "-f", "fleet.yaml", "-f", "failovers.yaml"]).unwrap();
        let said = String::from_utf8_lossy(&certificates.stdout);
        assert!(!certificates.status.success(), "{said}");
        let scale =
            json!([{"inject": {"scaleToZero": {"cluster": "east", "namespace": NAMESPACE, "deployment": "hello"}}}]);
        let drill = json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "foreign"},
            "spec": {"targets": [{"failover": "hello", "url": lab::caller(), "host": "hello"}], "faults": scale,
                "expected": "outage", "load": {"rate": 50, "warmup": "2s", "during": "5s", "after": "60s"}}});
        std::fs::write(dir.join("drill.yaml"), drill.to_string()).unwrap();
        let begun = Instant::now();
        let out = lab
            .failctl(&["simulate", "-f", "fleet.yaml", "-f", "failovers.yaml", "-f", "drill.yaml", "-o", "json"])
            .unwrap();
        let report: Value = serde_json::from_slice(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {} after {:?}", String::from_utf8_lossy(&out.stderr), begun.elapsed()));
        let run = &report["runs"][0];
        assert_eq!(run["outcome"], "outage", "{run}");
        let text = run["answered_per_second"].to_string();
        assert!(text.contains("east") && !text.contains("west"), "{text}");
    });
}
