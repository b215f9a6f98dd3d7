//! Children of failctl die with it, however it ends.

use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use failctl::sandbox::child::{Ended, Keeper, Program, Streams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FAILCTL: &str = env!("CARGO_BIN_EXE_failctl");

fn keeper() -> Keeper {
    Keeper::new(Path::new(FAILCTL)).unwrap()
}

fn shell(script: &str) -> Program {
    Program {
        path: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        ..Program::default()
    }
}

/// Whether a process of that id runs; a zombie nobody has waited for yet does not.
fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}

fn gone_within(pid: u32, limit: Duration) -> bool {
    let start = Instant::now();
    while runs(pid) {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn a_child_dies_when_its_parent_is_killed_with_sigkill() {
    let script = format!("{FAILCTL} child --parent $$ -- /bin/sleep 1000 & echo $!; wait");
    let mut parent = Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let child: u32 = line.trim().parse().unwrap();
    let start = Instant::now();
    while std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap().trim() != "sleep" {
        assert!(start.elapsed() < Duration::from_secs(10), "the child never became the program");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(runs(child));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(gone_within(child, Duration::from_secs(5)), "process {child} outlived its parent");
}

#[test]
fn a_child_whose_parent_is_already_gone_does_not_start() {
    let output = Command::new(FAILCTL).args(["child", "--parent", "1", "--", "/bin/echo", "alive"]).output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("is gone"), "{output:?}");
}

#[tokio::test]
async fn a_dropped_child_is_killed_with_what_it_started() {
    let mut child = keeper().start(shell("sleep 1000 & echo $!; wait")).await.unwrap();
    let mut said = [0; 32];
    let n = child.stdout().unwrap().read(&mut said).await.unwrap();
    let grandchild: u32 = std::str::from_utf8(&said[..n]).unwrap().trim().parse().unwrap();
    let pid = child.id().unwrap();
    drop(child);
    assert!(gone_within(pid, Duration::from_secs(5)) && gone_within(grandchild, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_child_has_the_given_environment_and_nothing_else() {
    let mut program = shell("");
    program.path = "/usr/bin/env".into();
    program.args.clear();
    let mut child = keeper().start(program).await.unwrap();
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "PATH=/usr/bin:/bin\n");
}

#[tokio::test]
async fn a_child_that_ignores_sigterm_is_killed_after_the_grace_period() {
    let mut child = keeper().start(shell("trap '' TERM; echo ready; while :; do sleep 0.05; done")).await.unwrap();
    child.stdout().unwrap().read_u8().await.unwrap();
    let start = Instant::now();
    let ended = child.stop(Duration::from_millis(200)).await.unwrap();
    assert_eq!(ended, Ended { code: 137, signal: Some(9) });
    assert!(start.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_child_that_obeys_sigterm_ends_within_the_grace_period() {
    let mut child =
        keeper().start(shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done")).await.unwrap();
    child.stdout().unwrap().read_u8().await.unwrap();
    assert_eq!(child.stop(Duration::from_secs(20)).await.unwrap(), Ended { code: 3, signal: None });
}

#[tokio::test]
async fn a_child_with_pipes_reads_what_is_written_to_it() {
    let mut child = keeper().start(Program { streams: Streams::Pipes, ..shell("tr a-z A-Z; exit 5") }).await.unwrap();
    let mut stdin = child.stdin().unwrap();
    stdin.write_all(b"hello").await.unwrap();
    drop(stdin);
    let mut text = String::new();
    child.stdout().unwrap().read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), child.wait().await.unwrap().code), ("HELLO", 5));
}

#[tokio::test]
async fn a_program_that_does_not_exist_says_so() {
    let mut child = keeper().start(Program { path: "/nonexistent/program".into(), ..shell("") }).await.unwrap();
    let mut text = String::new();
    child.stderr().unwrap().read_to_string(&mut text).await.unwrap();
    assert!(text.contains("cannot run /nonexistent/program"), "{text}");
    assert_ne!(child.wait().await.unwrap().code, 0);
}

#[test]
fn the_child_subcommand_is_not_shown_in_help() {
    let output = Command::new(FAILCTL).arg("--help").output().unwrap();
    assert!(!String::from_utf8(output.stdout).unwrap().contains("dies with the process"));
}

#[tokio::test]
async fn as_many_programs_come_up_at_a_time_as_there_are_processors() {
    let keeper = keeper();
    let (moment, long) = (Duration::from_millis(50), Duration::from_secs(600));
    let mut coming_up = Vec::new();
    for _ in 0..std::thread::available_parallelism().unwrap().get() {
        coming_up.push(keeper.leave_to_come_up(long).await);
    }
    assert!(tokio::time::timeout(moment, keeper.leave_to_come_up(long)).await.is_err(), "one too many");
    coming_up.pop();
    let slow = keeper.leave_to_come_up(moment).await;
    // Its time is over before it is up: the next one need not wait for it.
    let next = tokio::time::timeout(Duration::from_secs(60), keeper.leave_to_come_up(long)).await;
    assert!(next.is_ok());
    drop((slow, coming_up));
}
