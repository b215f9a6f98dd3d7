//! A temporary folder that goes with the process that made it, however that one ends.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// A folder. It goes when this is dropped or the process is gone.
pub struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    /// Makes one. A shell waits for the end of its input, which is ours to close or the kernel's, and then cleans up.
    pub fn new() -> anyhow::Result<Folder> {
        let path = tempfile::Builder::new().prefix("failctl-controlplane-").tempdir()?.keep();
        let mut shell = Command::new("sh");
        // Processes that die with us may still write for a moment.
        shell.args(["-c", "cat; sleep 1; rm -rf \"$0\""]).arg(&path).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Folder { path, janitor: shell.spawn().context("starting sh")? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        // A shell that was killed leaves the folder to the next one who cleans up.
        let _ = self.janitor.wait();
    }
}
