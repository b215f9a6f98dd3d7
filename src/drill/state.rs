//! Where drills keep their journals and locks: `$FAILCTL_STATE_DIR`, else the XDG state directory of failctl.
//! May not know: what is in them.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;

/// Where failctl keeps what must outlive a command; not made yet.
pub fn base() -> anyhow::Result<PathBuf> {
    match std::env::var_os("FAILCTL_STATE_DIR").filter(|v| !v.is_empty()) {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => {
            let home = etcetera::choose_base_strategy().context("no home directory; set FAILCTL_STATE_DIR")?;
            Ok(home.state_dir().unwrap_or_else(|| home.data_dir()).join("failctl"))
        }
    }
}

/// The directory of drills; made if need be, readable by its owner alone.
pub fn directory() -> anyhow::Result<PathBuf> {
    let dir = base()?.join("drills");
    make(&dir)?;
    Ok(dir)
}

fn make(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.with_context(|| format!("making {}", dir.display()))
}
