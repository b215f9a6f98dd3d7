//! Turns among stories that are told at the same time, each in a process of its own. What comes in: a directory of lock
//! files. What goes out: a turn, held while it lives; the kernel ends it with its holder. Who has waited longest is next. No
//! command itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Exit, Failure};

/// What only so many may do at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Bring clusters up: it takes all of the machine.
    Boot,
    /// Measure, whoever comes up meanwhile: where one Envoy stands in the way of a request, and in a record, where those who
    /// come up wait.
    Drill,
    /// Measure where several stand: such loads side by side take from each other, and clusters that come up take from them.
    HeavyDrill,
}

impl What {
    /// What the names of the locks begin with, one of which is a turn.
    fn prefix(self) -> &'static str {
        match self {
            What::Boot => "boot-",
            What::Drill => "light-",
            What::HeavyDrill => "heavy-",
        }
    }

    /// What the names of those begin with who wait.
    fn queue(self) -> &'static str {
        match self {
            What::Boot => "waits-boot-",
            What::Drill => "waits-light-",
            What::HeavyDrill => "waits-heavy-",
        }
    }
}

/// One turn.
#[derive(Debug)]
pub struct Turn {
    _lock: Option<File>,
}

/// Makes the lock files: one story boots at a time, and a light load and two others stand side by side on two cores.
pub fn prepare(dir: &Path) -> std::io::Result<()> {
    ["boot-0", "light-0", "heavy-0", "heavy-1"].iter().try_for_each(|name| File::create(dir.join(name)).map(drop))
}

/// Waits for a turn; without a directory nobody else is there. `go_on` is asked meanwhile.
pub fn take(dir: Option<&PathBuf>, what: What, go_on: impl Fn() -> Result<(), Failure>) -> Result<Turn, Failure> {
    let Some(dir) = dir else { return Ok(Turn { _lock: None }) };
    let internal = |e| Failure::new(Exit::Internal, e);
    let place = Place::new(dir, what).map_err(internal)?;
    loop {
        if place.is_first(dir, what).map_err(internal)?
            && (what != What::HeavyDrill || nobody_boots(dir).map_err(internal)?)
            && let Some(lock) = free(dir, what).map_err(internal)?
        {
            return Ok(Turn { _lock: Some(lock) });
        }
        std::thread::sleep(Duration::from_millis(50));
        go_on()?;
    }
}

/// A place in a queue: a locked file, whose name sorts by when it was made.
struct Place {
    name: String,
    _lock: File,
}

impl Place {
    fn new(dir: &Path, what: What) -> std::io::Result<Place> {
        let since = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
        let name = format!("{}{since:030}-{}", what.queue(), std::process::id());
        let file = File::create(dir.join(&name))?;
        file.lock()?;
        Ok(Place { name, _lock: file })
    }

    /// Whether nobody who still waits came earlier.
    fn is_first(&self, dir: &Path, what: What) -> std::io::Result<bool> {
        let mut earlier = named(dir, what.queue())?;
        earlier.retain(|name| *name < self.name);
        Ok(!earlier.iter().any(|name| held(dir, name)))
    }
}

/// Whether all clusters are up.
fn nobody_boots(dir: &Path) -> std::io::Result<bool> {
    let mut all = named(dir, What::Boot.queue())?;
    all.extend(named(dir, What::Boot.prefix())?);
    Ok(!all.iter().any(|name| held(dir, name)))
}

fn held(dir: &Path, name: &str) -> bool {
    File::open(dir.join(name)).is_ok_and(|file| file.try_lock().is_err())
}

fn named(dir: &Path, prefix: &str) -> std::io::Result<Vec<String>> {
    let names = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: std::io::Result<Vec<String>> = names.collect();
    Ok(names?.into_iter().filter(|name| name.starts_with(prefix)).collect())
}

fn free(dir: &Path, what: What) -> std::io::Result<Option<File>> {
    for name in named(dir, what.prefix())? {
        let file = File::open(dir.join(name))?;
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
        prepare(dir.path()).unwrap();
        let free = |what: What| free(dir.path(), what).unwrap();
        let first = free(What::HeavyDrill);
        let second = free(What::HeavyDrill);
        assert!(first.is_some() && second.is_some());
        let light = free(What::Drill);
        assert!(free(What::HeavyDrill).is_none() && light.is_some() && free(What::Drill).is_none());
        let boot = free(What::Boot);
        assert!(boot.is_some() && free(What::Boot).is_none());
        drop(first);
        assert!(free(What::HeavyDrill).is_some());
        let tired = || Err(Failure::because(Exit::Interrupted, "enough"));
        let dir = dir.path().to_path_buf();
        assert_eq!(take(Some(&dir), What::Boot, tired).unwrap_err().exit, Exit::Interrupted);
    }

    #[test]
    fn a_load_that_weighs_waits_until_all_clusters_are_up() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path()).unwrap();
        let boots = free(dir.path(), What::Boot).unwrap();
        assert!(boots.is_some() && !nobody_boots(dir.path()).unwrap());
        let tired = || Err(Failure::because(Exit::Interrupted, "enough"));
        let here = Some(&dir.path().to_path_buf());
        assert!(take(here, What::HeavyDrill, tired).is_err() && take(here, What::Drill, tired).is_ok());
        let waits = Place::new(dir.path(), What::Boot).unwrap();
        drop(boots);
        assert!(!nobody_boots(dir.path()).unwrap());
        drop(waits);
        assert!(nobody_boots(dir.path()).unwrap());
    }

    #[test]
    fn who_has_waited_longest_is_next_and_who_gave_up_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path()).unwrap();
        let [first, second, third] = [(); 3].map(|()| {
            // The clock of a coarse kernel stands still for a while.
            std::thread::sleep(Duration::from_millis(10));
            Place::new(dir.path(), What::HeavyDrill).unwrap()
        });
        let is_first = |place: &Place| place.is_first(dir.path(), What::HeavyDrill).unwrap();
        assert_eq!([&first, &second, &third].map(is_first), [true, false, false]);
        drop(second);
        assert_eq!([&first, &third].map(is_first), [true, false]);
        drop(first);
        assert!(is_first(&third));
    }
}
