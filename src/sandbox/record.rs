//! What is on disk of a sandbox: where it is, which process runs it, what it was asked for.
//! What comes in: names. What goes out: directories, records, and whether a process is still the one that was meant.
//! May not know: clusters in memory.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::address::Block;
use super::cluster::ClusterSpec;
use super::documents::write_file;

/// The record, in the sandbox's directory.
const FILE: &str = "sandbox.json";
/// The control socket, in the sandbox's directory.
pub const SOCKET: &str = "control.sock";
/// The log of the process that runs the sandbox, in the sandbox's directory.
pub const LOG: &str = "log";
/// Held by the process that runs the sandbox, in the sandbox's directory.
pub const LOCK: &str = "lock";

/// What a sandbox was asked for, and who runs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of this record.
    pub version: u32,
    /// The sandbox's name.
    pub name: String,
    /// Its clusters.
    pub clusters: Vec<ClusterSpec>,
    /// Second octet of its addresses.
    pub block: u8,
    /// The process that runs it.
    pub pid: u32,
    /// When that process started, in the kernel's ticks since boot: pids are used again.
    pub started: u64,
}

impl Record {
    /// A record of this process.
    pub fn mine(name: &str, clusters: Vec<ClusterSpec>, block: Block) -> Self {
        let pid = std::process::id();
        let started = start_time(pid).unwrap_or_default();
        Record { version: 1, name: name.into(), clusters, block: block.second, pid, started }
    }

    /// Reads the record of a directory, if there is one.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Record>> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let record =
            serde_json::from_str(&text).with_context(|| format!("{} is no record of a sandbox", path.display()))?;
        Ok(Some(record))
    }

    /// Writes it.
    pub fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self).context("a record that is no JSON")?;
        write_file(&dir.join(FILE), text.as_bytes())
    }

    /// Whether the process that was recorded still runs.
    pub fn alive(&self) -> bool {
        start_time(self.pid) == Some(self.started)
    }

    /// Its address block.
    pub fn block(&self) -> Block {
        Block { second: self.block }
    }
}

/// The directory of a sandbox: under `$XDG_STATE_HOME/failctl/sandboxes`, by default in `~/.local/state`.
pub fn directory(name: &str) -> anyhow::Result<PathBuf> {
    use etcetera::BaseStrategy as _;
    let base =
        etcetera::choose_base_strategy().context("no home directory to keep a sandbox in; set XDG_STATE_HOME")?;
    let state = base.state_dir().context("this system has no place for state; set XDG_STATE_HOME")?;
    Ok(state.join("failctl").join("sandboxes").join(name))
}

/// When a process started, in ticks since boot; nothing when there is none (or it only waits to be reaped).
pub fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the fields after it are counted from the third.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(fields.first(), Some(&("Z" | "X"))) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_that_started_at_another_time_is_not() {
        let record = Record::mine("default", Vec::new(), Block { second: 30 });
        assert!(record.alive());
        assert!(!Record { started: record.started + 1, ..record }.alive());
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let record = Record::mine("default", crate::sandbox::cluster::parse("a,b=c").unwrap(), Block { second: 30 });
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), Some(record));
    }
}
