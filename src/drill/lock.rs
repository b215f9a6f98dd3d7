//! No two drills on one cluster: a lock file per kubeconfig context, held until the process ends.
//! The kernel lets go of it when its holder dies, so a crash leaves no lock behind.
//! May not know: what is locked for.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use fs4::{FileExt, TryLockError};
use sha2::{Digest, Sha256};

/// Locks, let go of when dropped.
#[derive(Debug)]
pub struct Locks {
    _files: Vec<File>,
}

/// Somebody else is at it.
#[derive(Debug, thiserror::Error)]
#[error("another drill is running on {cluster} (process {holder}); two at once would measure each other")]
pub struct Busy {
    /// The cluster.
    pub cluster: String,
    /// Who holds the lock.
    pub holder: String,
}

/// Locks every cluster, given as name and what identifies it. In the order of identity, so two drills never wait
/// for each other; nobody waits at all.
pub fn take(dir: &Path, clusters: &[(String, String)]) -> anyhow::Result<Locks> {
    let mut sorted = clusters.to_vec();
    sorted.sort_by(|a, b| a.1.cmp(&b.1));
    sorted.dedup_by(|a, b| a.1 == b.1);
    let mut files = Vec::new();
    for (cluster, identity) in &sorted {
        files.push(one(dir, cluster, identity)?);
    }
    Ok(Locks { _files: files })
}

fn one(dir: &Path, cluster: &str, identity: &str) -> anyhow::Result<File> {
    let digest = hex::encode(&Sha256::digest(identity.as_bytes())[..8]);
    let path = dir.join(format!("{digest}.lock"));
    let mut options = File::options();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.with_context(|| format!("opening the lock {}", path.display()))?;
    match FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "unknown".to_string() } else { holder.trim().to_string() };
            return Err(Busy { cluster: cluster.to_string(), holder }.into());
        }
        Err(TryLockError::Error(e)) => return Err(e).with_context(|| format!("locking {}", path.display())),
    }
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_locked_once_and_free_again_after() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = |c: &str| (c.to_string(), format!("/kubeconfig {c}"));
        let held = take(dir.path(), &[cluster("b"), cluster("a")]).unwrap();
        let busy = take(dir.path(), &[cluster("c"), cluster("a")]).unwrap_err();
        assert!(busy.to_string().contains(&format!("another drill is running on a (process {})", std::process::id())));
        drop(take(dir.path(), &[cluster("c")]).unwrap());
        drop(held);
        take(dir.path(), &[cluster("a"), cluster("a")]).unwrap();
    }
}
