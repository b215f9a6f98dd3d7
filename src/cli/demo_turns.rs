//! Turns among stories that are told at the same time, each in a process of its own. What comes in: a directory of lock
//! files. What goes out: a turn, held while it lives; the kernel ends it with its holder. No command itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Exit, Failure};

/// What only so many may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Bring clusters up: it takes all of the machine.
    Boot,
    /// Measure: loads side by side take from each other.
    Drill,
}

impl What {
    fn prefix(self) -> &'static str {
        match self {
            What::Boot => "boot-",
            What::Drill => "drill-",
        }
    }
}

/// One turn.
#[derive(Debug)]
pub struct Turn {
    _lock: Option<File>,
}

/// Makes the lock files: one story boots at a time, and this many measure.
pub fn prepare(dir: &Path, drills: usize) -> std::io::Result<()> {
    let all = [(What::Boot, 1), (What::Drill, drills)];
    let names = all.into_iter().flat_map(|(what, count)| (0..count).map(move |i| format!("{}{i}", what.prefix())));
    names.into_iter().try_for_each(|name| File::create(dir.join(name)).map(drop))
}

/// Waits for a turn; without a directory nobody else is there. `go_on` is asked meanwhile.
pub fn take(dir: Option<&PathBuf>, what: What, go_on: impl Fn() -> Result<(), Failure>) -> Result<Turn, Failure> {
    let Some(dir) = dir else { return Ok(Turn { _lock: None }) };
    loop {
        if let Some(lock) = free(dir, what).map_err(|e| Failure::new(Exit::Internal, e))? {
            return Ok(Turn { _lock: Some(lock) });
        }
        std::thread::sleep(Duration::from_millis(50));
        go_on()?;
    }
}

fn free(dir: &Path, what: What) -> std::io::Result<Option<File>> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(what.prefix()) {
            continue;
        }
        let file = File::open(entry.path())?;
        if file.try_lock().is_ok() {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_turns_as_were_made_and_one_that_ends_is_free_again() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path(), 2).unwrap();
        let first = free(dir.path(), What::Drill).unwrap();
        let second = free(dir.path(), What::Drill).unwrap();
        assert!(first.is_some() && second.is_some());
        assert!(free(dir.path(), What::Drill).unwrap().is_none());
        let boot = free(dir.path(), What::Boot).unwrap();
        assert!(boot.is_some() && free(dir.path(), What::Boot).unwrap().is_none());
        drop(first);
        assert!(free(dir.path(), What::Drill).unwrap().is_some());
        let tired = || Err(Failure::because(Exit::Interrupted, "enough"));
        let dir = dir.path().to_path_buf();
        assert_eq!(take(Some(&dir), What::Boot, tired).unwrap_err().exit, Exit::Interrupted);
    }
}
