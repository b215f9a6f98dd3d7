//! Which documents a command works on: `-f`, `$FAILCTL_FILE`, `failctl.yaml`. Shared by commands; no command itself.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::model::name::ClusterName;
use crate::spec::{self, Documents, Source};

/// What is read when no file is named.
pub const DEFAULT_FILE: &str = "failctl.yaml";

/// Documents a command works on.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct DocumentArgs {
    /// Documents: a file, a directory, `-` for stdin, or CLUSTER=FILE for a vendor's or Kubernetes' own
    ///
    /// Repeatable. Default: $FAILCTL_FILE, else failctl.yaml in the working directory. A vendor's document names no
    /// cluster for itself, so it is given as CLUSTER=FILE; with only such files, the default is read for the fleet.
    #[arg(short = 'f', long = "file", value_name = "[CLUSTER=]FILE")]
    pub files: Vec<String>,
}

impl DocumentArgs {
    /// Reads everything named. Warnings are shown on stderr; errors come back all at once.
    pub fn load(&self, ctx: &Ctx) -> Result<Documents, Failure> {
        let documents = spec::read(self.sources()?)?;
        ctx.ui.problems(&documents.notes);
        Ok(documents)
    }

    /// Like [`DocumentArgs::load`], but a command whose files hold no fleet reads it from the default file.
    pub fn load_beside_fleet(&self, ctx: &Ctx) -> Result<Documents, Failure> {
        let mut sources = self.sources()?;
        if !sources.iter().any(holds_fleet) {
            sources.extend(default_source(false)?);
        }
        let documents = spec::read(sources)?;
        ctx.ui.problems(&documents.notes);
        Ok(documents)
    }

    /// The texts, in the order given.
    pub fn sources(&self) -> Result<Vec<Source>, Failure> {
        let named: Vec<(Option<String>, PathBuf)> = self.files.iter().map(|f| split(f)).collect();
        let mut sources = Vec::new();
        if named.iter().all(|(cluster, _)| cluster.is_some()) {
            sources.extend(default_source(named.is_empty())?);
        }
        for (cluster, path) in named {
            sources.extend(texts(&path)?.into_iter().map(|(name, body)| Source {
                name,
                cluster: cluster.clone(),
                body,
            }));
        }
        Ok(sources)
    }
}

/// `CLUSTER=FILE` or `FILE`; a file that exists under the whole name is that file.
fn split(argument: &str) -> (Option<String>, PathBuf) {
    match argument.split_once('=') {
        Some((cluster, file)) if ClusterName::new(cluster).is_ok() && !Path::new(argument).exists() => {
            (Some(cluster.into()), file.into())
        }
        _ => (None, argument.into()),
    }
}

/// Whether a text holds a fleet; one that cannot be read is reported by whoever reads it.
fn holds_fleet(source: &Source) -> bool {
    let documents = crate::yaml::parse(&source.body).unwrap_or_default();
    documents.iter().any(|d| d.value.get("kind").and_then(serde_json::Value::as_str) == Some("Fleet"))
}

/// The default document; it must exist when nothing else was named.
fn default_source(must: bool) -> Result<Option<Source>, Failure> {
    let from_env = std::env::var_os("FAILCTL_FILE").filter(|v| !v.is_empty());
    let path = from_env.as_ref().map_or_else(|| PathBuf::from(DEFAULT_FILE), PathBuf::from);
    if !path.exists() && from_env.is_none() {
        let why = "no documents: neither -f nor $FAILCTL_FILE is given, and there is no failctl.yaml here";
        let hint = "`failctl init` writes one from your kubeconfig";
        return if must { Err(Failure::because(Exit::Input, why).hint(hint)) } else { Ok(None) };
    }
    let (name, body) = text(&path)?;
    Ok(Some(Source { name, cluster: None, body }))
}

fn texts(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    if path == Path::new("-") {
        let mut body = String::new();
        let read = std::io::stdin().lock().read_to_string(&mut body);
        read.map_err(|e| Failure::new(Exit::Input, anyhow::Error::new(e).context("reading stdin")))?;
        return Ok(vec![("-".into(), body)]);
    }
    if !path.is_dir() {
        return Ok(vec![text(path)?]);
    }
    let unreadable =
        |e| Failure::new(Exit::Input, anyhow::Error::new(e).context(format!("reading {}", path.display())));
    let entries = std::fs::read_dir(path).map_err(unreadable)?;
    let mut files = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    files.retain(|f| f.is_file() && f.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json"));
    files.sort();
    if files.is_empty() {
        let why = format!("{} holds no .yaml, .yml or .json file", path.display());
        return Err(Failure::because(Exit::Input, why));
    }
    files.iter().map(|f| text(f)).collect()
}

fn text(path: &Path) -> Result<(String, String), Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| {
        let failure = Failure::new(Exit::Input, anyhow::Error::new(e).context(format!("reading {name}")));
        match name.split_once('=') {
            Some(_) => failure.hint("to say which cluster a file is for, write -f CLUSTER=FILE"),
            None => failure,
        }
    })?;
    let body = String::from_utf8(bytes).map_err(|e| {
        let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        Failure::because(Exit::Input, format!("{name}:{line}: not UTF-8 text"))
    })?;
    Ok((name, body.strip_prefix('\u{feff}').map_or_else(|| body.clone(), str::to_string)))
}
