//! `failctl render`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Ctx;
use super::documents::DocumentArgs;
use super::picture::Part;
use crate::compile::{self, Compiled, Site, routes};
use crate::error::{Exit, Failure};
use crate::manifest::{CLUSTER_ANNOTATION, Manifest};
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::spec::Documents;
use crate::spec::text::meant;
use crate::yaml;

/// The first line of every file that render wrote; only such files are ever removed.
const MARK: &str = "# failctl render: ";

/// Arguments of `failctl render`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  failctl render
  failctl render color --cluster remote | kubectl --context gloo-fed-2 apply -f -
  failctl render -f fleet.yaml -f color.yaml --out rendered")]
pub struct Args {
    /// Only these failovers (default: all, and the vendor documents given)
    #[arg(value_name = "FAILOVER", add = super::complete::failovers())]
    pub failovers: Vec<String>,
    /// What to read and print
    #[command(flatten)]
    pub rendering: Rendering,
    /// Write DIR/CLUSTER/*.yaml instead of printing; files of an earlier render that are not wanted any more are removed
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub out: Option<PathBuf>,
}

/// What render and its narrower doors share.
#[derive(clap::Args, Debug, Clone)]
pub struct Rendering {
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// Only the resources of this cluster
    #[arg(long, value_name = "CLUSTER", add = super::complete::clusters())]
    pub cluster: Option<String>,
    /// Output format: a stream of YAML documents, or one JSON object per line
    #[arg(short, long, value_enum, default_value_t = Format::Yaml)]
    pub output: Format,
}

/// Output formats of a stream of resources.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML documents, each under a comment that names its cluster
    Yaml,
    /// One JSON object per line
    Json,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let mut documents = args.rendering.documents.load(ctx)?;
    documents.only(&args.failovers).map_err(|p| Failure::input(vec![p]))?;
    let compiled = args.rendering.compile(ctx, &documents, Part::All)?;
    match &args.out {
        Some(dir) => write_files(ctx, dir, &compiled.manifests)?,
        None => print(ctx, compiled.manifests, args.rendering.output)?,
    }
    Ok(Exit::Ok)
}

impl Rendering {
    /// Prints the resources of one part, for the narrower doors.
    pub fn part(&self, ctx: &Ctx, part: Part) -> Result<Exit, Failure> {
        let documents = self.documents.load(ctx)?;
        let compiled = self.compile(ctx, &documents, part)?;
        print(ctx, compiled.manifests, self.output)?;
        Ok(Exit::Ok)
    }

    /// Compiles without asking a cluster, keeps what was asked for, and says on stderr what is to be known.
    fn compile(&self, ctx: &Ctx, documents: &Documents, part: Part) -> Result<Compiled, Failure> {
        let only = self.only(&documents.fleet)?;
        let mut compiled = compile::documents(documents, &Site::offline())?;
        let keep = |m: &Manifest| part.has(m) && only.as_ref().is_none_or(|c| *c == m.key.cluster);
        compiled.manifests.retain(keep);
        compiled.manifests = routes::merged(compiled.manifests);
        let position = |m: &Manifest| documents.fleet.clusters.get_index_of(&m.key.cluster);
        compiled.manifests.sort_by_key(position);
        ctx.ui.problems(&compiled.notes);
        if part == Part::All {
            secrets_note(&compiled, only.as_ref()).iter().for_each(|n| ctx.ui.problems(std::slice::from_ref(n)));
        }
        Ok(compiled)
    }

    fn only(&self, fleet: &Fleet) -> Result<Option<ClusterName>, Failure> {
        let Some(name) = &self.cluster else { return Ok(None) };
        match fleet.clusters.keys().find(|c| c.as_str() == name) {
            Some(cluster) => Ok(Some(cluster.clone())),
            None => {
                let hint = meant(name, fleet.clusters.keys().map(ClusterName::as_str));
                Err(Failure::because(Exit::Usage, format!("`{name}` is no cluster of the fleet")).hint(hint))
            }
        }
    }
}

/// Private keys are not rendered; what must exist is said.
fn secrets_note(compiled: &Compiled, only: Option<&ClusterName>) -> Option<Problem> {
    let needs = compiled.secrets.iter().filter(|n| only.is_none_or(|c| *c == n.cluster));
    let needs: Vec<_> = needs.map(|n| format!("{}/{} on `{}`", n.namespace, n.name, n.cluster)).collect();
    let shown = match needs.len() {
        0 => return None,
        n if n > 6 => format!("{} and {} more", needs[..6].join(", "), n - 6),
        _ => needs.join(", "),
    };
    let problem = Problem::note("FCT0317", format!("TLS secrets are not rendered; these must exist: {shown}"));
    Some(problem.hint("`failctl certs install` writes them"))
}

/// Fewer manifests than this are made into text by one thread.
const WORTH_A_THREAD: usize = 64;

/// Prints one stream of documents that `kubectl apply -f -` takes. Parts of it are made side by side and printed in
/// their order: the same bytes, however many processors there are.
fn print(ctx: &Ctx, mut manifests: Vec<Manifest>, format: Format) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let each = manifests.len().div_ceil(threads).max(WORTH_A_THREAD);
    let mut parts = Vec::new();
    while manifests.len() > each {
        let rest = manifests.split_off(each);
        parts.push(std::mem::replace(&mut manifests, rest));
    }
    parts.push(manifests);
    std::thread::scope(|scope| {
        let make = |(i, part)| scope.spawn(move || stream(part, format, i == 0));
        let making: Vec<_> = parts.into_iter().enumerate().map(make).collect();
        making.into_iter().try_for_each(|part| match part.join() {
            Ok(text) => ctx.ui.data(text),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// A part of a stream; `first`: nothing stands before it.
fn stream(manifests: Vec<Manifest>, format: Format, first: bool) -> String {
    let mut text = String::new();
    for (i, manifest) in manifests.into_iter().enumerate() {
        match format {
            Format::Json => {
                let (body, ..) = annotated(manifest);
                text += &body.to_string();
                text.push('\n');
            }
            Format::Yaml => {
                if i > 0 || !first {
                    text += "---\n";
                }
                document(&mut text, manifest);
            }
        }
    }
    text
}

fn document(text: &mut String, manifest: Manifest) {
    let (body, comment) = annotated(manifest);
    text.push_str(MARK);
    text.push_str(&comment);
    text.push('\n');
    yaml::emit_into(text, &body);
}

/// The body with its cluster in an annotation, and the same as a comment.
fn annotated(manifest: Manifest) -> (Value, String) {
    let key = &manifest.key;
    let comment = format!("cluster {}, {key}", key.cluster);
    let comment = comment.replace(&format!(", {}: ", key.cluster), ", ");
    let mut body = manifest.body;
    let metadata = body.as_object_mut().and_then(|b| b.get_mut("metadata")).and_then(Value::as_object_mut);
    if let Some(metadata) = metadata {
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Default::default()));
        if annotations.is_null() {
            *annotations = Value::Object(Default::default());
        }
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(CLUSTER_ANNOTATION.into(), key.cluster.as_str().into());
        }
    }
    (body, comment)
}

/// Writes one file per resource, each whole or not at all, and removes what an earlier render left.
fn write_files(ctx: &Ctx, dir: &Path, manifests: &[Manifest]) -> Result<(), Failure> {
    let mut written = Vec::with_capacity(manifests.len());
    let mut dirs = std::collections::BTreeSet::new();
    for manifest in manifests {
        let cluster = dir.join(manifest.key.cluster.as_str());
        let path = cluster.join(file_name(manifest));
        let mut text = String::new();
        document(&mut text, manifest.clone());
        if dirs.insert(cluster.clone()) {
            std::fs::create_dir_all(&cluster).map_err(|e| io("creating", &cluster, e))?;
        }
        let mut file = tempfile::NamedTempFile::new_in(&cluster).map_err(|e| io("writing", &path, e))?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|e| io("writing", &path, e))?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(|e| io("writing", &path, e))?;
        file.persist(&path).map_err(|e| io("writing", &path, e.error))?;
        written.push(path);
    }
    let removed = remove_stale(dir, &written)?;
    let mut said = format!("{} files written to {}", written.len(), dir.display());
    if removed > 0 {
        let _ = write!(said, ", {removed} of an earlier render removed");
    }
    ctx.ui.say(said);
    Ok(())
}

fn file_name(manifest: &Manifest) -> String {
    let key = &manifest.key;
    let namespace = key.namespace.as_deref().map(|n| format!(".{n}")).unwrap_or_default();
    // Names may hold `:`, which some file systems do not take.
    let name = key.name.replace(':', "_");
    format!("{}-{}{namespace}.{name}.yaml", manifest.wave as u8, key.gvk.kind.to_lowercase())
}

fn remove_stale(dir: &Path, written: &[PathBuf]) -> Result<usize, Failure> {
    let written: std::collections::BTreeSet<_> = written.iter().collect();
    let mut removed = 0;
    let list = |d: &Path| -> Result<Vec<PathBuf>, Failure> {
        if !d.is_dir() {
            return Ok(Vec::new());
        }
        let entries = std::fs::read_dir(d).and_then(|e| e.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
        entries.map_err(|e| io("reading", d, e))
    };
    for cluster in list(dir)?.iter().filter(|d| d.is_dir()) {
        for file in list(cluster)? {
            let yaml = file.extension().is_some_and(|e| e == "yaml");
            let ours = || std::fs::read(&file).is_ok_and(|b| b.starts_with(MARK.as_bytes()));
            if yaml && !written.contains(&file) && ours() {
                std::fs::remove_file(&file).map_err(|e| io("removing", &file, e))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn io(doing: &str, path: &Path, error: std::io::Error) -> Failure {
    Failure::new(Exit::Internal, anyhow::Error::new(error).context(format!("{doing} {}", path.display())))
}
