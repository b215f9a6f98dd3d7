//! The demo as a newcomer types it, and stopped where it hurts.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::failctl;

fn demo(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(failctl());
    command.arg("demo").args(args).current_dir(home).stdin(Stdio::null());
    command.env("XDG_STATE_HOME", home.join("state")).env("TMPDIR", home).env_remove("KUBECONFIG");
    command
}

/// Files below a directory, but for the locks of tools that fetch Envoy.
fn files(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path.display().to_string()) }
    }
    all
}

#[test]
fn the_demo_loses_nothing_with_the_recommended_configuration_and_calls_an_outage_one() {
    let home = tempfile::tempdir().unwrap();
    let out = demo(home.path(), &["-o", "json", "--rate", "60"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 8);
    for run in runs {
        assert_eq!(run["story"], "gloo");
        let recommended = run["policy"] == "recommended";
        match run["expected"].as_str().unwrap() {
            "no-loss" if recommended => {
                assert_eq!((&run["failed"], &run["verdict"]), (&0.into(), &"pass".into()), "{run:#}")
            }
            "no-loss" => {}
            _ => assert_eq!((&run["outcome"], &run["verdict"]), (&"outage".into(), &"pass".into()), "{run:#}"),
        }
        assert!(run["requests_in_fault"].as_u64().unwrap() >= 250, "{run:#}");
        for time in ["detection", "failover", "failback"] {
            let seen = run[format!("{time}_ms")].is_u64();
            assert!(seen != run[format!("{time}_reason")].is_string(), "{time}: {run:#}");
        }
    }
    assert!(said.contains("$ failctl simulate") && said.contains("$ failctl certs install"), "commands are printed");
    assert_eq!(files(home.path()), Vec::<String>::new(), "nothing is left behind");
}

#[test]
fn ctrl_c_leaves_nothing_behind_whenever_it_comes() {
    let moments = ["", "the gateway is ready", "$ failctl certs", "inject"].map(|after| (&[][..], after));
    for (story, after) in moments.into_iter().chain([(&["--story", "all"][..], "##### gloo")]) {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let stderr = std::fs::File::create(&log).unwrap();
        let mut child = demo(home.path(), &[&["-o", "json"][..], story].concat())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        // The guide's health check may be blind for its first minute, and a drill waits for its backup.
        let end = Instant::now() + Duration::from_secs(150);
        std::thread::sleep(Duration::from_millis(500));
        while !std::fs::read_to_string(&log).unwrap().contains(after) {
            assert!(Instant::now() < end, "`{after}` was not said");
            std::thread::sleep(Duration::from_millis(50));
        }
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{}", std::fs::read_to_string(&log).unwrap());
        std::fs::remove_file(&log).unwrap();
        assert_eq!(files(home.path()), Vec::<String>::new(), "after `{after}`");
    }
}

#[test]
fn callers_that_keep_the_name_lose_nothing_and_status_says_what_the_article_leaves_open() {
    let home = tempfile::tempdir().unwrap();
    // What is built for tests, beside other tests, carries little: with 12 a second a core was full.
    let out = demo(home.path(), &["--story", "transparent", "-o", "json", "--rate", "5"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let runs = report["runs"].as_array().unwrap();
    let of = |policy: &str| runs.iter().filter(|r| r["policy"] == policy).collect::<Vec<_>>();
    assert_eq!((of("article").len(), of("recommended").len()), (3, 4), "{report:#}");
    for run in of("recommended") {
        match run["expected"].as_str().unwrap() {
            "no-loss" => assert_eq!((&run["failed"], &run["verdict"]), (&0.into(), &"pass".into()), "{run:#}"),
            _ => assert_eq!((&run["outcome"], &run["verdict"]), (&"outage".into(), &"pass".into()), "{run:#}"),
        }
    }
    // A Pod that runs and listens nowhere is never left by the article's rule: it may eject a tenth of the hosts.
    let sleep = runs.iter().find(|r| r["policy"] == "article" && r["fault"] == "sleep").unwrap();
    assert!(sleep["failed"].as_u64().unwrap() > 0, "{sleep:#}");
    assert!(said.contains("FCT0646"), "the wildcard is called out: {said}");
    assert_eq!(files(home.path()), Vec::<String>::new(), "nothing is left behind");
}
