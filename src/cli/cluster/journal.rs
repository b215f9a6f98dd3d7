//! What a registration creates, on disk before it is created, so that anyone can take it back. What comes in: keys of
//! objects. What goes out: a file, owner-readable, synced before the call returns. May not know: credentials: none is
//! ever in it.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::manifest::{Gvk, ObjectKey};
use crate::model::name::ClusterName;

/// The format of this version.
const VERSION: u32 = 1;

/// What one registration created, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    version: u32,
    /// The member.
    pub member: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The kubeconfig files it used; empty: the default places.
    pub kubeconfig: Vec<PathBuf>,
    /// The contexts of the clusters.
    pub contexts: IndexMap<ClusterName, String>,
    /// What was or may have been created, in order.
    pub created: Vec<Entry>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    cluster: ClusterName,
    api_version: String,
    object_kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

impl Entry {
    /// The object's key.
    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            cluster: self.cluster.clone(),
            gvk: Gvk::new(&self.api_version, &self.object_kind),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    fn of(key: &ObjectKey) -> Entry {
        Entry {
            cluster: key.cluster.clone(),
            api_version: key.gvk.api_version(),
            object_kind: key.gvk.kind.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

/// A journal being kept; nobody else works on the same member meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// What it says.
    pub record: Record,
    _lock: std::fs::File,
}

/// The directory of journals; made if need be, for its owner alone.
pub fn directory() -> anyhow::Result<PathBuf> {
    let dir = crate::drill::state::base()?.join("members");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.with_context(|| format!("making {}", dir.display()))?;
    Ok(dir)
}

/// All journals, in order.
pub fn all() -> anyhow::Result<Vec<PathBuf>> {
    let dir = directory()?;
    let entries = std::fs::read_dir(&dir).with_context(|| format!("reading {}", dir.display()))?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    paths.sort();
    Ok(paths)
}

impl Journal {
    /// Begins the journal of a member, or goes on with the one an interrupted registration left. `uid` is the
    /// member's. Nothing is on disk before something is noted.
    ///
    /// # Errors
    /// When somebody else is at the same member, or the directory cannot be used.
    pub fn begin(
        member: &ClusterName,
        uid: &str,
        started: String,
        kubeconfig: Vec<PathBuf>,
        contexts: IndexMap<ClusterName, String>,
    ) -> anyhow::Result<Journal> {
        let id: String = uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let path = directory()?.join(format!("{member}-{id}.json"));
        let lock = lock(&path)?;
        let mut record = Record {
            version: VERSION,
            member: member.to_string(),
            started,
            kubeconfig,
            contexts,
            created: Vec::new(),
        };
        if path.exists() {
            record.created = read(&path)?.created;
        }
        Ok(Journal { path, record, _lock: lock })
    }

    /// Opens one to take it back.
    ///
    /// # Errors
    /// When somebody is at it, or it cannot be read.
    pub fn open(path: &Path) -> anyhow::Result<Journal> {
        let lock = lock(path)?;
        Ok(Journal { path: path.to_path_buf(), record: read(path)?, _lock: lock })
    }

    /// Notes what is about to be created. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn about_to_create<'a>(&mut self, keys: impl IntoIterator<Item = &'a ObjectKey>) -> anyhow::Result<()> {
        let new: Vec<Entry> = keys.into_iter().map(Entry::of).filter(|e| !self.record.created.contains(e)).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.record.created.extend(new);
        let dir = self.path.parent().context("a journal lies in a directory")?;
        let write = || -> anyhow::Result<()> {
            let mut file = tempfile::Builder::new().prefix(".journal").tempfile_in(dir)?;
            file.write_all(&serde_json::to_vec_pretty(&self.record)?)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            std::fs::File::open(dir)?.sync_all()?;
            Ok(())
        };
        write().with_context(|| format!("writing the journal {}", self.path.display()))
    }

    /// Everything is in place, or everything is taken back.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> anyhow::Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(e).with_context(|| format!("removing {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Reads one, without keeping others from it.
///
/// # Errors
/// When it is no journal of this version.
pub fn read(path: &Path) -> anyhow::Result<Record> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let record: Record = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a journal this failctl can read", path.display()))?;
    anyhow::ensure!(record.version == VERSION, "{} has version {}", path.display(), record.version);
    Ok(record)
}

/// A lock file beside the journal; the kernel lets go of it when its holder dies.
fn lock(path: &Path) -> anyhow::Result<std::fs::File> {
    let path = path.with_extension("lock");
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    let file = file.with_context(|| format!("opening the lock {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            anyhow::bail!("another failctl is registering or deregistering this cluster ({})", path.display())
        }
        Err(std::fs::TryLockError::Error(e)) => Err(e).with_context(|| format!("locking {}", path.display())),
    }
}
