//! Commands that write, killed or interrupted before and after every write and between them: the same command once more
//! brings the world where an undisturbed one brings it.

use std::collections::BTreeMap;
use std::process::Stdio;

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::support::fleet::{COLOR, Ground, Moment, at_each, fleet, users_routes};

/// A command and what is there before it.
struct Job {
    prepare: fn(&Ground),
    command: &'static [&'static str],
    /// Writes that an undisturbed run makes at the least.
    least: usize,
}

/// The world without what differs from one cluster to the next.
fn world(ground: &Ground) -> BTreeMap<String, Value> {
    let mut world = ground.world();
    for object in world.values_mut() {
        let metadata = object["metadata"].as_object_mut().unwrap();
        ["uid", "creationTimestamp"].iter().for_each(|f| drop(metadata.shift_remove(*f)));
        // Keys and certificates are made anew for each ground.
        object.as_object_mut().unwrap().shift_remove("data");
    }
    world
}

fn ready(job: &Job) -> Ground {
    let ground = Ground::new();
    ground.put("local", users_routes());
    (job.prepare)(&ground);
    ground
}

/// What an undisturbed run leads to, and every moment of it.
fn undisturbed(job: &Job) -> (BTreeMap<String, Value>, Vec<Moment>) {
    let ground = ready(job);
    ground.stall.count_anew();
    ground.ok(job.command);
    let writes = ground.stall.kinds();
    assert!(writes.iter().filter(|w| **w).count() >= job.least, "at least {} writes: {writes:?}", job.least);
    // Between two reads nothing changes, so one of each stretch of them stands for all.
    let told = |i: &usize| writes[*i] || *i == 0 || writes[*i - 1] || writes.get(i + 1).is_none_or(|next| *next);
    let moments = (0..writes.len()).filter(told).flat_map(|i| [false, true].map(|done| Moment { nth: i + 1, done }));
    (world(&ground), moments.collect())
}

fn killed_anywhere(job: Job) {
    let (wanted, moments) = undisturbed(&job);
    at_each(moments, |moment| {
        let ground = ready(&job);
        ground.stall.at(moment);
        let mut child = ground.command(job.command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        ground.until("the world stands still", || ground.stall.reached());
        child.kill().unwrap();
        child.wait().unwrap();
        ground.stall.lose();
        ground.ok(job.command);
        assert_eq!(world(&ground), wanted, "killed at {moment:?}");
        String::new()
    });
}

fn interrupted_anywhere(job: Job) {
    let (wanted, moments) = undisturbed(&job);
    let codes = at_each(moments, |moment| {
        let ground = ready(&job);
        ground.stall.at(moment);
        let child = ground.command(job.command).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        ground.until("the world stands still", || ground.stall.reached());
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::INT).unwrap();
        ground.stall.go_on();
        let out = child.wait_with_output().unwrap();
        ground.ok(job.command);
        assert_eq!(world(&ground), wanted, "interrupted at {moment:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.status.code().map_or("killed by the signal".into(), |c| c.to_string())
    });
    // Before anything is written, Ctrl-C ends the command as it ends any; later the command ends by itself.
    assert!(codes.iter().all(|c| ["killed by the signal", "130", "0"].contains(&c.as_str())), "{codes:?}");
    assert!(codes.contains("130"), "{codes:?}");
}

const NOTHING: fn(&Ground) = |_| {};

const APPLIED: fn(&Ground) = |ground| {
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["apply", "--yes"]);
};

const RENAMED: fn(&Ground) = |ground| {
    ground.ok(&["apply", "--yes"]);
    let text = format!("{}---\n{}", fleet(), COLOR.replace("name: color", "name: colour"));
    ground.write("failctl.yaml", &text);
};

const GENERATED: fn(&Ground) = |ground| drop(ground.ok(&["certs", "generate"]));

#[test]
fn apply_killed_at_any_moment_is_completed_by_running_it_again() {
    killed_anywhere(Job { prepare: NOTHING, command: &["apply", "--yes"], least: 5 });
}

#[test]
fn apply_interrupted_at_any_moment_is_completed_by_running_it_again() {
    interrupted_anywhere(Job { prepare: NOTHING, command: &["apply", "--yes"], least: 5 });
}

#[test]
fn prune_killed_at_any_moment_is_completed_by_running_it_again() {
    killed_anywhere(Job { prepare: RENAMED, command: &["apply", "--prune", "--yes"], least: 3 });
}

#[test]
fn certs_install_killed_at_any_moment_is_completed_by_running_it_again() {
    killed_anywhere(Job { prepare: GENERATED, command: &["certs", "install", "--yes"], least: 2 });
}

#[test]
fn delete_killed_at_any_moment_is_completed_by_running_it_again() {
    killed_anywhere(Job { prepare: APPLIED, command: &["delete", "--yes"], least: 5 });
}
