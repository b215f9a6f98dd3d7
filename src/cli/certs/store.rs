//! Certificates and keys on disk. Keys are 0600 from their first byte, written whole or not at all, in a directory
//! that only its owner enters. Layout: `ca.crt`, `ca.key`, and per cluster `server.crt`, `server.key`, `client.crt`,
//! `client.key`, `istio-ca.crt`, `istio-ca.key`, `mesh-identity.crt`, `mesh-identity.key`. While a root is being
//! replaced, the folder `next` holds the same again under the new root.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use zeroize::Zeroizing;

use crate::error::{Exit, Failure};
use crate::pki::{Issued, Key, Party};

/// A directory of certificates.
pub struct Store {
    dir: PathBuf,
}

/// Held while somebody writes to a store; gone with its file handle.
pub struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the handle")] fs::File);

impl Store {
    /// The store at a directory that may not exist yet.
    pub fn at(dir: PathBuf) -> Store {
        Store { dir }
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directory if need be (0700) and keeps others from writing to it at the same time.
    pub fn lock(&self) -> Result<Lock, Failure> {
        make(&self.dir)?;
        let path = self.dir.join(".lock");
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|e| broken(&path, e))?;
        file.lock().map_err(|e| broken(&path, e))?;
        Ok(Lock(file))
    }

    /// The store of the root that takes over while one is being replaced.
    pub fn next(&self) -> Store {
        Store { dir: self.dir.join("next") }
    }

    /// Empties the store.
    pub fn clear(&self) -> Result<(), Failure> {
        match fs::remove_dir_all(&self.dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(broken(&self.dir, e)),
            _ => Ok(()),
        }
    }

    /// Takes another store's place, which must be empty or absent, in one step.
    pub fn take_place(self, of: &Store) -> Result<(), Failure> {
        of.clear()?;
        fs::rename(&self.dir, &of.dir).map_err(|e| broken(&self.dir, e))
    }

    /// Whether a root is being replaced.
    pub fn rotating(&self) -> bool {
        self.next().root_paths().0.exists()
    }

    /// Refuses what would disturb a root's replacement.
    ///
    /// # Errors
    /// While there is one.
    pub fn settled(&self) -> Result<(), Failure> {
        if !self.rotating() {
            return Ok(());
        }
        let why = format!("the root in {} is being replaced", self.dir.display());
        Err(Failure::because(Exit::Input, why).hint("`failctl certs rotate` goes on with it"))
    }

    /// Makes what `next` holds the store's own: everything else first, the root's certificate last, since that says
    /// that a root is being replaced. Stopped half-way, it goes on when called again.
    pub fn promote(&self) -> Result<(), Failure> {
        let next = self.next();
        let last = next.root_paths().0;
        let mut files = Vec::new();
        files_below(&next.dir, &mut files)?;
        files.retain(|f| *f != last && f.file_name().is_some_and(|n| n != ".lock"));
        // A key before its certificate, as when they were written.
        files.sort_by_key(|f| (f.extension().is_none_or(|e| e != "key"), f.clone()));
        for from in files.into_iter().chain([last]) {
            let to = self.dir.join(from.strip_prefix(&next.dir).unwrap_or(&from));
            make(to.parent().unwrap_or(&self.dir))?;
            fs::rename(&from, &to).map_err(|e| broken(&from, e))?;
        }
        fs::remove_dir_all(&next.dir).map_err(|e| broken(&next.dir, e))
    }

    /// File names of the root: certificate and key.
    pub fn root_paths(&self) -> (PathBuf, PathBuf) {
        (self.dir.join("ca.crt"), self.dir.join("ca.key"))
    }

    /// File names of a party: certificate and key.
    pub fn paths(&self, party: &Party) -> (PathBuf, PathBuf) {
        let stem = self.dir.join(party.cluster.as_str()).join(party.role.as_str());
        (stem.with_extension("crt"), stem.with_extension("key"))
    }

    /// The text of a file; nothing when it does not exist.
    pub fn text(&self, path: &Path) -> Result<Option<Zeroizing<String>>, Failure> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(broken(path, e)),
        }
    }

    /// A certificate with its key; nothing when either file is missing.
    pub fn read(&self, (certificate, key): &(PathBuf, PathBuf)) -> Result<Option<Issued>, Failure> {
        let (Some(certificate), Some(text)) = (self.text(certificate)?, self.text(key)?) else { return Ok(None) };
        let read = Key::read(&text).map_err(|e| {
            Failure::new(Exit::Input, anyhow::Error::new(e).context(format!("reading {}", key.display())))
        })?;
        Ok(Some(Issued { certificate: certificate.to_string(), key: read }))
    }

    /// Writes a certificate and its key: the key first, so that a certificate never stands there without one.
    pub fn write(&self, (certificate, key): &(PathBuf, PathBuf), issued: &Issued) -> Result<(), Failure> {
        for path in [certificate, key] {
            make(path.parent().unwrap_or(&self.dir))?;
        }
        put(key, issued.key.pem().as_bytes(), 0o600)?;
        put(certificate, issued.certificate.as_bytes(), 0o644)
    }
}

fn files_below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(|e| broken(dir, e))? {
        let path = entry.map_err(|e| broken(dir, e))?.path();
        if path.is_dir() { files_below(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn make(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| broken(dir, e))
}

/// Whole or not at all, and on the disk before it counts.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let write = || -> anyhow::Result<()> {
        // A temporary file is 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(dir)?.sync_all()?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display())).map_err(|e| Failure::new(Exit::Input, e))
}

fn broken(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(Exit::Input, anyhow::Error::new(error).context(path.display().to_string()))
}
