//! What the tests share: the programs they need, and golden files.
//! A program that is missing is a failure that names it, never a pass.
#![allow(dead_code, reason = "each test uses what it needs of this")]

pub mod fleet;
pub mod joined;
pub mod offline;
pub mod site;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The failctl under test.
pub fn failctl() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_failctl"))
}

/// Compares with a golden file; `UPDATE_GOLDEN=1` writes it instead.
pub fn golden(relative: &str, actual: &str) {
    let path = root().join(relative);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        let diff =
            similar::TextDiff::from_lines(&expected, actual).unified_diff().header(relative, "actual").to_string();
        panic!("{relative} differs; if the new text is right, run with UPDATE_GOLDEN=1\n{diff}");
    }
}

/// A kubectl of 1.31 or later: `$KUBECTL`, the one on PATH, or one built from its Go module once.
pub fn kubectl() -> &'static Path {
    static KUBECTL: OnceLock<PathBuf> = OnceLock::new();
    KUBECTL.get_or_init(|| {
        let script = root().join("tests/tools/kubectl.sh");
        let out =
            Command::new("bash").arg(&script).output().unwrap_or_else(|e| panic!("bash {}: {e}", script.display()));
        let path = String::from_utf8_lossy(&out.stdout).trim().to_string();
        assert!(out.status.success() && !path.is_empty(), "no kubectl:\n{}", String::from_utf8_lossy(&out.stderr));
        PathBuf::from(path)
    })
}
