//! What a drill is about to break, on disk before it is broken, so that anyone can put it back.
//! What comes in: deeds. What goes out: a file, owner-readable, synced before the call returns.
//! May not know: how a deed is done.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::deed::Deed;
use crate::model::name::ClusterName;

/// The format of this version.
const VERSION: u32 = 1;

/// Everything needed to put back what one drill broke, without any document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    version: u32,
    /// Name of the drill.
    pub drill: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The kubeconfig files it used; empty: the default places.
    pub kubeconfig: Vec<PathBuf>,
    /// The contexts of the clusters.
    pub contexts: IndexMap<ClusterName, String>,
    /// What was or may have been done, in order.
    pub deeds: Vec<Entry>,
}

/// One deed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Where.
    pub cluster: ClusterName,
    /// What.
    pub deed: Deed,
    /// Whether it is put back.
    pub undone: bool,
}

/// A journal being kept.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// What it says.
    pub record: Record,
}

impl Journal {
    /// Begins a journal; nothing is on disk before the first deed.
    pub fn begin(
        dir: &Path,
        drill: &str,
        started: String,
        kubeconfig: Vec<PathBuf>,
        contexts: IndexMap<ClusterName, String>,
    ) -> Journal {
        let name: String = drill.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
        let path = dir.join(format!("{}-{name}-{}.json", started.replace([':', '.'], ""), std::process::id()));
        let record =
            Record { version: VERSION, drill: drill.to_string(), started, kubeconfig, contexts, deeds: Vec::new() };
        Journal { path, record }
    }

    /// Reads a journal.
    pub fn open(path: &Path) -> anyhow::Result<Journal> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let record: Record = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a journal this failctl can read", path.display()))?;
        anyhow::ensure!(record.version == VERSION, "{} has version {}", path.display(), record.version);
        Ok(Journal { path: path.to_path_buf(), record })
    }

    /// All journals of a directory, oldest first.
    pub fn all(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
        let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
        paths.sort();
        Ok(paths)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes deeds that are about to be done. They are on disk when this returns.
    pub fn about_to(&mut self, deeds: impl IntoIterator<Item = (ClusterName, Deed)>) -> anyhow::Result<()> {
        self.record.deeds.extend(deeds.into_iter().map(|(cluster, deed)| Entry { cluster, deed, undone: false }));
        self.save()
    }

    /// Notes that a deed is put back; with the last one the journal goes away.
    pub fn undone(&mut self, index: usize) -> anyhow::Result<()> {
        self.record.deeds[index].undone = true;
        if self.open_deeds().next().is_some() { self.save() } else { self.remove() }
    }

    /// Deeds that are not put back, the last one first.
    pub fn open_deeds(&self) -> impl Iterator<Item = (usize, &Entry)> {
        self.record.deeds.iter().enumerate().rev().filter(|(_, e)| !e.undone)
    }

    fn remove(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    fn save(&self) -> anyhow::Result<()> {
        let dir = self.path.parent().context("a journal lies in a directory")?;
        let write = || -> anyhow::Result<()> {
            // Made with mode 0600, and renamed in one step: a reader sees the old journal or the new one.
            let mut file = tempfile::Builder::new().prefix(".journal").tempfile_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(&self.record)?)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            std::fs::File::open(dir)?.sync_all()?;
            Ok(())
        };
        write().with_context(|| format!("writing the journal {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn deed(n: i64) -> (ClusterName, Deed) {
        let deed = Deed::Scale {
            kind: "Deployment".into(),
            namespace: "default".into(),
            name: format!("d{n}"),
            from: n,
            to: 0,
        };
        (ClusterName::new("local").unwrap(), deed)
    }

    #[test]
    fn a_journal_is_there_from_the_first_deed_to_the_last_undo_and_only_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(dir.path(), "a/b", "2026-01-01T00:00:00Z".into(), vec![], IndexMap::new());
        assert!(Journal::all(dir.path()).unwrap().is_empty());
        journal.about_to([deed(1), deed(2)]).unwrap();
        let paths = Journal::all(dir.path()).unwrap();
        assert_eq!(paths.len(), 1);
        assert_eq!(std::fs::metadata(&paths[0]).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Journal::open(&paths[0]).unwrap();
        assert_eq!(read.record, journal.record);
        assert_eq!(read.open_deeds().map(|(i, _)| i).collect::<Vec<_>>(), [1, 0]);
        journal.undone(1).unwrap();
        assert_eq!(Journal::open(&paths[0]).unwrap().open_deeds().count(), 1);
        journal.undone(0).unwrap();
        assert!(Journal::all(dir.path()).unwrap().is_empty());
    }
}
