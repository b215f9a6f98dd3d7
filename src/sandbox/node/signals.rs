//! `pgrep` and `pkill` in a container: what they find are that container's processes alone.
//!
//! In: the words of a command, what a container runs. Out: process ids, signals sent. May not know: pods, how commands arrive.
//!
//! Programs inside failctl are processes too, as far as these can tell. As on Linux, the first process of a container takes
//! no KILL and no STOP from within, unless the Pod shares its process namespace.

use rustix::process::{Pid, Signal};
use tokio::sync::{mpsc, oneshot, watch};

/// A command that looks for processes by name, and perhaps sends them a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The signal; none: only look.
    pub signal: Option<Signal>,
    /// The name, or a part of it.
    pub name: String,
    /// Whether it must be the whole name.
    pub exact: bool,
}

/// A search on its way to a running container. The answer is what was found.
#[derive(Debug)]
pub struct Asked {
    /// What is looked for.
    pub search: Search,
    /// Whether the first process takes no KILL and no STOP.
    pub shielded: bool,
    /// Where the process ids go.
    pub answer: oneshot::Sender<Vec<u32>>,
}

impl Search {
    /// Reads `pgrep [-x] NAME` and `pkill [-SIGNAL] [-x] NAME`; nothing when it is another command, or asks for more.
    pub fn of(words: &[String]) -> Option<Search> {
        let (program, args) = words.split_first()?;
        let mut search = match program.rsplit('/').next()? {
            "pkill" => Search { signal: Some(Signal::TERM), name: String::new(), exact: false },
            "pgrep" => Search { signal: None, name: String::new(), exact: false },
            _ => return None,
        };
        for arg in args {
            match arg.strip_prefix('-') {
                Some("x") => search.exact = true,
                Some(name) if search.signal.is_some() => search.signal = Some(signal(name)?),
                Some(_) => return None,
                None if search.name.is_empty() => search.name.clone_from(arg),
                None => return None,
            }
        }
        Some(search).filter(|s| !s.name.is_empty())
    }

    /// Whether a process of this name is meant.
    pub fn finds(&self, name: &str) -> bool {
        if self.exact { name == self.name } else { name.contains(&self.name) }
    }
}

fn signal(name: &str) -> Option<Signal> {
    match name.strip_prefix("SIG").unwrap_or(name) {
        "KILL" | "9" => Some(Signal::KILL),
        "TERM" | "15" => Some(Signal::TERM),
        "STOP" | "19" => Some(Signal::STOP),
        "CONT" | "18" => Some(Signal::CONT),
        _ => None,
    }
}

/// Whether a first process does not feel a signal from its own container.
pub fn unfelt(signal: Signal) -> bool {
    [Signal::KILL, Signal::STOP].contains(&signal)
}

/// Open while a program runs, closed while it is stopped: then it answers nobody.
#[derive(Clone, Debug)]
pub struct Gate(watch::Receiver<bool>);

impl Gate {
    /// A gate and the handle that opens and closes it.
    pub fn new() -> (watch::Sender<bool>, Gate) {
        let (handle, state) = watch::channel(true);
        (handle, Gate(state))
    }

    /// Returns when it is open.
    pub async fn open(&mut self) {
        // Whose handle is gone is about to end.
        let _ = self.0.wait_for(|open| *open).await;
    }
}

/// A way to a running container, and its other end.
pub fn line() -> (mpsc::UnboundedSender<Asked>, mpsc::UnboundedReceiver<Asked>) {
    mpsc::unbounded_channel()
}

/// Looks for processes of the group that a container's first process leads, and signals them.
pub fn in_group(leader: u32, asked: &Asked) -> Vec<u32> {
    let found: Vec<u32> =
        group(leader).into_iter().filter(|(_, name)| asked.search.finds(name)).map(|(id, _)| id).collect();
    let Some(signal) = asked.search.signal else { return found };
    let feels = |id: &&u32| !(asked.shielded && **id == leader && unfelt(signal));
    for id in found.iter().filter(feels) {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
            // One that has just ended needs no signal.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
    found
}

/// Ids and names of a process group, from what the kernel says of every process.
fn group(leader: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<_> = ids.filter_map(|id| Some((id, member(id, leader)?))).collect();
    found.sort();
    found
}

/// The name of a process, if it belongs to the group. `stat` reads `ID (NAME) STATE PARENT GROUP …`.
fn member(id: u32, leader: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (start, rest) = stat.rsplit_once(") ")?;
    let group = rest.split(' ').nth(2)?.parse::<u32>().ok()?;
    (group == leader).then(|| start.split_once('(').map_or(start, |(_, name)| name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(line: &str) -> Option<Search> {
        Search::of(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn searches_are_read_as_pgrep_and_pkill_are_written() {
        let envoy = |signal, exact| Some(Search { signal, name: "envoy".into(), exact });
        assert_eq!(search("pkill -KILL -x envoy"), envoy(Some(Signal::KILL), true));
        assert_eq!(search("/usr/bin/pkill envoy"), envoy(Some(Signal::TERM), false));
        assert_eq!(search("pkill -SIGSTOP envoy"), envoy(Some(Signal::STOP), false));
        assert_eq!(search("pgrep -x envoy"), envoy(None, true));
        for other in ["kill -9 1", "pkill -f envoy", "pkill -x", "pkill a b", "curl x"] {
            assert_eq!(search(other), None, "{other}");
        }
        assert!(search("pgrep -x envoy").unwrap().finds("envoy") && !search("pgrep -x envo").unwrap().finds("envoy"));
    }

    #[test]
    fn only_the_group_of_a_container_is_found() {
        use std::os::unix::process::CommandExt as _;
        let start = || std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let (mut one, mut other) = (start(), start());
        let ask = |signal, shielded| {
            let (answer, _) = oneshot::channel();
            in_group(
                one.id(),
                &Asked { search: Search { signal, name: "sleep".into(), exact: true }, shielded, answer },
            )
        };
        assert_eq!(ask(None, true), [one.id()]);
        assert_eq!(ask(Some(Signal::KILL), true), [one.id()]);
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(other.try_wait().unwrap().is_none());
        assert_eq!(ask(None, true), [one.id()], "a shielded first process lives on");
        ask(Some(Signal::KILL), false);
        assert!(!one.wait().unwrap().success());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_through() {
        let (handle, mut gate) = Gate::new();
        gate.open().await;
        handle.send_replace(false);
        let wait = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(wait, gate.open()).await.is_err());
        handle.send_replace(true);
        gate.open().await;
    }
}
