//! What survives a restart: an append-only file of JSON lines, one per write, folded into a snapshot when it grows.
//! What comes in: changes in order. What goes out: the same changes, replayed at start.
//! A torn last line (the process was killed while writing) is cut off: that write was never answered.
//! Lines reach the operating system before a write is answered; they are forced to the disk only at stop and
//! compaction, so a killed process loses nothing and a machine that loses power may lose its last seconds.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change<'a> {
    /// A compaction: everything before this revision is only known as the puts that follow.
    Snapshot(u64),
    /// An object as it is now; its own resourceVersion is the revision.
    Put(std::borrow::Cow<'a, str>, std::borrow::Cow<'a, Value>),
    /// An object that is gone: revision, table, namespace, name.
    Gone(u64, String, String, String),
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lines: usize,
}

/// Below this many lines a journal is never folded.
const SMALL: usize = 20_000;

impl Journal {
    /// Opens (or makes) `DIR/state.jsonl`, hands every change to `replay` in order, and cuts off a torn last line.
    ///
    /// # Errors
    /// When another process holds the file, when it cannot be read, or when a line in the middle is damaged.
    pub fn open(dir: &Path, mut replay: impl FnMut(Change<'static>)) -> anyhow::Result<Journal> {
        let path = dir.join("state.jsonl");
        let mut file = private(&path, false)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("{} is in use by another process", path.display()),
            Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).with_context(|| format!("cannot cut the torn end of {}", path.display()))?;
        }
        let mut lines = 0;
        for line in bytes[..whole].split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            lines += 1;
            let change = serde_json::from_slice(line)
                .with_context(|| format!("{} is damaged at line {lines}", path.display()))?;
            replay(change);
        }
        Ok(Journal { path, file, lines })
    }

    /// Appends one change.
    ///
    /// # Errors
    /// When the line cannot be written whole.
    pub fn append(&mut self, change: &Change) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(change)?;
        line.push(b'\n');
        self.file.write_all(&line).with_context(|| format!("cannot write {}", self.path.display()))?;
        self.lines += 1;
        Ok(())
    }

    /// Whether folding would pay, with this many objects alive.
    pub fn is_long(&self, alive: usize) -> bool {
        self.lines > SMALL && self.lines > 4 * alive
    }

    /// Replaces the file by a snapshot: written beside it, forced to disk, renamed over it.
    ///
    /// # Errors
    /// When the new file cannot be written; the old one then stays.
    pub fn fold<'a>(
        &mut self,
        revision: u64,
        objects: impl Iterator<Item = (&'a str, &'a Value)>,
    ) -> anyhow::Result<()> {
        let beside = self.path.with_extension("jsonl.new");
        let file = private(&beside, true)?;
        file.try_lock().with_context(|| format!("cannot lock {}", beside.display()))?;
        let mut next = Journal { path: self.path.clone(), file, lines: 0 };
        next.append(&Change::Snapshot(revision))?;
        for (table, object) in objects {
            next.append(&Change::Put(table.into(), std::borrow::Cow::Borrowed(object)))?;
        }
        next.file.sync_all()?;
        std::fs::rename(&beside, &self.path).with_context(|| format!("cannot replace {}", self.path.display()))?;
        *self = next;
        Ok(())
    }

    /// Forces everything to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("cannot sync {}", self.path.display()))
    }
}

/// Opens a file that only its owner may read: Secrets pass through it.
fn private(path: &Path, fresh: bool) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.read(true).create(true).mode(0o600);
    if fresh {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path).with_context(|| format!("cannot open {}", path.display()))
}
