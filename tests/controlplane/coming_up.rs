//! Control planes come up quickly, say why when they do not, and leave nothing behind.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failctl::sandbox::address::Claim;

use crate::kit::cluster::{Plan, start_all};
use crate::kit::folder::Folder;

/// Set in a process that only starts a cluster, says where, and waits to be killed.
const VICTIM: &str = "FAILCTL_CONTROLPLANE_VICTIM";

fn alive(id: u32) -> bool {
    // A process that is dead and not waited for yet is as good as gone.
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z ")
}

fn wait_for(what: &str, test: impl Fn() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_clusters_are_up_within_half_a_minute_and_gone_when_dropped() {
    crate::kit::program("kube-apiserver").unwrap();
    let claim = Claim::take(None, rand::random()).unwrap();
    let folder = Folder::new().unwrap();
    let begun = Instant::now();
    let plans = ["east", "west"].into_iter().enumerate();
    let plans = plans.map(|(i, name)| Plan::new(name, claim.block.cluster(i).unwrap(), folder.path()));
    let clusters = start_all(plans.map(|p| p.with_controllers(&["*"])).collect()).unwrap_or_else(|e| panic!("{e:#}"));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(30), "two clusters took {took:?}");
    let ids: Vec<u32> = clusters.iter().flat_map(|c| c.ids()).collect();
    assert_eq!(ids.len(), 6);
    assert!(ids.iter().all(|id| alive(*id)));
    drop(clusters);
    assert!(!ids.iter().any(|id| alive(*id)), "{ids:?}");
    let path = folder.path().to_owned();
    drop(folder);
    assert!(!path.exists());
}

#[test]
fn a_control_plane_that_does_not_come_up_is_an_error_with_the_end_of_its_log() {
    let claim = Claim::take(None, rand::random()).unwrap();
    let folder = Folder::new().unwrap();
    let mut plan = Plan::new("broken", claim.block.cluster(0).unwrap(), folder.path());
    plan.services = "no-range".into();
    let error = format!("{:#}", plan.start().err().expect("an API server with such an argument does not start"));
    assert!(error.starts_with("cluster broken: kube-apiserver ended (exit status: 1) before it was ready"), "{error}");
    assert!(error.contains("kube-apiserver.log:\n") && error.contains("not a valid cidr"), "{error}");
}

#[test]
fn a_taken_address_is_an_error_although_somebody_answers_there() {
    let claim = Claim::take(None, rand::random()).unwrap();
    let folder = Folder::new().unwrap();
    let at = claim.block.cluster(0).unwrap();
    let _first = Plan::new("first", at, folder.path()).start().unwrap_or_else(|e| panic!("{e:#}"));
    let error = format!("{:#}", Plan::new("second", at, folder.path()).start().err().expect("the address is taken"));
    assert!(error.contains("etcd ended") && error.contains("address already in use"), "{error}");
}

/// Not a test by itself: what the next test kills.
#[test]
fn a_process_to_kill() {
    let Some(told) = std::env::var_os(VICTIM) else { return };
    let claim = Claim::take(None, rand::random()).unwrap();
    let folder = Folder::new().unwrap();
    let cluster = Plan::new("orphan", claim.block.cluster(0).unwrap(), folder.path()).with_controllers(&["*"]).start();
    let cluster = cluster.unwrap_or_else(|e| panic!("{e:#}"));
    let ids: Vec<String> = cluster.ids().iter().map(ToString::to_string).collect();
    let text = format!("{} {}", folder.path().display(), ids.join(" "));
    let unfinished = Path::new(&told).with_extension("new");
    std::fs::write(&unfinished, text).unwrap();
    std::fs::rename(unfinished, told).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn control_planes_end_when_their_tests_are_killed_or_interrupted() {
    use rustix::process::{Pid, Signal, kill_process};
    crate::kit::program("kube-apiserver").unwrap();
    for signal in [Signal::KILL, Signal::INT] {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let mut tests = Command::new(std::env::current_exe().unwrap());
        tests.args(["--exact", "coming_up::a_process_to_kill"]).env(VICTIM, &told);
        tests.process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = tests.spawn().unwrap();
        let begun = Instant::now();
        while !told.exists() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before its cluster was up");
            assert!(begun.elapsed() < Duration::from_secs(120), "its cluster does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
        child.wait().unwrap();
        let text = std::fs::read_to_string(&told).unwrap();
        let (folder, ids) = text.split_once(' ').unwrap();
        let ids: Vec<u32> = ids.split(' ').map(|id| id.parse().unwrap()).collect();
        wait_for("every process is gone", || !ids.iter().any(|id| alive(*id)));
        wait_for("the folder is gone", || !Path::new(folder).exists());
    }
}
