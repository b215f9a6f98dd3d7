//! `failctl init`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use kube::config::Kubeconfig;

use super::Ctx;
use super::documents::DEFAULT_FILE;
use crate::error::{Exit, Failure};
use crate::model::name::ClusterName;
use crate::yaml;

/// The starter; a template because most of it is comments.
const TEMPLATE: &str = include_str!("../../templates/failctl.yaml");

/// Most contexts that a failover of one service plausibly has; the rest are left out and named.
const MOST: usize = 8;

/// Arguments of `failctl init`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  failctl init
  failctl init gloo-fed gloo-fed-2
  failctl init --out -")]
pub struct Args {
    /// Contexts to take, the primary first (default: all in the kubeconfig)
    #[arg(value_name = "CONTEXT")]
    pub contexts: Vec<String>,
    /// Where to write; `-` for stdout
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub out: PathBuf,
    /// Overwrite a file that is there
    #[arg(long)]
    pub force: bool,
}

/// One cluster of the starter.
#[derive(Debug)]
struct Starter {
    name: String,
    context: String,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let found = contexts(ctx)?;
    let mut chosen = chosen(&args.contexts, &found)?;
    let left_out = chosen.split_off(chosen.len().min(MOST));
    let invented = chosen.len() < 2;
    let text = starter(&chosen)?;
    if args.out.as_os_str() == "-" {
        ctx.ui.data(text)?;
    } else {
        write(&args, &text)?;
        ctx.ui.say(format!("{} written; next: check its values, then `failctl diff`", args.out.display()));
    }
    if invented {
        ctx.ui.say("the kubeconfig has fewer than two contexts, so clusters in it are made up");
    }
    if !left_out.is_empty() {
        ctx.ui.say(format!("left out: {}; name the contexts you want to choose", left_out.join(", ")));
    }
    Ok(Exit::Ok)
}

/// The contexts of the kubeconfig, in its order; none if there is no kubeconfig.
fn contexts(ctx: &Ctx) -> Result<Vec<String>, Failure> {
    let read = match &ctx.global.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None if std::env::var_os("KUBECONFIG").is_none_or(|v| v.is_empty()) && !home_config_exists() => {
            return Ok(Vec::new());
        }
        None => Kubeconfig::read(),
    };
    // The error's own sentence holds its cause already.
    let config = read.map_err(|e| Failure::because(Exit::Input, format!("reading the kubeconfig: {e}")))?;
    Ok(config.contexts.into_iter().map(|c| c.name).collect())
}

fn home_config_exists() -> bool {
    std::env::home_dir().is_some_and(|h| h.join(".kube/config").exists())
}

fn chosen(asked: &[String], found: &[String]) -> Result<Vec<String>, Failure> {
    if asked.is_empty() {
        return Ok(found.to_vec());
    }
    match asked.iter().find(|a| !found.contains(a)) {
        None => Ok(asked.to_vec()),
        Some(unknown) => {
            let known = found.iter().map(String::as_str).collect::<Vec<_>>();
            let failure = Failure::because(Exit::Input, format!("the kubeconfig has no context `{unknown}`"));
            Err(if known.is_empty() { failure } else { failure.hint(crate::spec::text::meant(unknown, known)) })
        }
    }
}

/// The starter's text; with fewer than two contexts it is filled up with made-up ones, so that it loads.
fn starter(contexts: &[String]) -> Result<String, Failure> {
    let mut names = BTreeSet::new();
    let mut clusters: Vec<Starter> = contexts
        .iter()
        .map(|c| Starter { name: unique(cluster_name(c), &mut names), context: c.clone() })
        .collect();
    let invented = clusters.is_empty();
    for name in ["local", "remote"].into_iter().skip(clusters.len().min(2)) {
        clusters.push(Starter { name: unique(name.into(), &mut names), context: format!("my-{name}-context") });
    }
    let values = clusters.into_iter().map(|c| minijinja::Value::from_pairs([("name", c.name), ("context", c.context)]));
    let clusters: Vec<minijinja::Value> = values.collect();
    let mut environment = minijinja::Environment::new();
    environment.add_filter("scalar", |text: String| yaml::emit(&text.into()).trim_end().to_string());
    let filled = environment.render_str(TEMPLATE, minijinja::context! { clusters, invented });
    filled.map(|t| format!("{}\n", t.trim_end())).map_err(|e| Failure::new(Exit::Internal, e))
}

/// A cluster's name made of its context's: the last part of an ARN or path, in the letters a name may have.
fn cluster_name(context: &str) -> String {
    let last = context.rsplit('/').next().unwrap_or(context).to_ascii_lowercase();
    let mapped: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let short: String = mapped.trim_matches('-').chars().take(60).collect();
    let short = short.trim_matches('-');
    if ClusterName::new(short).is_ok() { short.into() } else { "cluster".into() }
}

fn unique(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut candidate = name.clone();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}-{number}");
        number += 1;
    }
    candidate
}

/// Writes the file whole or not at all, and over another one only when told to.
fn write(args: &Args, text: &str) -> Result<(), Failure> {
    let path = &args.out;
    let failed = |e: std::io::Error| {
        Failure::new(Exit::Internal, anyhow::Error::new(e).context(format!("writing {}", path.display())))
    };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(failed)?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).map_err(failed)?;
    if args.force {
        return file.persist(path).map(drop).map_err(|e| failed(e.error));
    }
    file.persist_noclobber(path).map(drop).map_err(|e| match e.error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::because(Exit::Input, format!("{} is there already", path.display()))
                .hint("--force overwrites it, --out - prints to stdout")
        }
        _ => failed(e.error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{self, Source};

    fn loads(contexts: &[&str]) -> spec::Documents {
        let text = starter(&contexts.iter().map(|c| c.to_string()).collect::<Vec<_>>()).unwrap();
        let source = Source { name: "failctl.yaml".into(), cluster: None, body: text.clone() };
        spec::read(vec![source]).unwrap_or_else(|p| panic!("{p:#?}\n{text}"))
    }

    #[test]
    fn the_starter_loads_whatever_the_contexts_are_called() {
        for contexts in [
            vec![],
            vec!["one"],
            vec!["gloo-fed", "gloo-fed-2"],
            vec!["arn:aws:eks:eu-west-1:123456789012:cluster/shop", "admin@k8s: #1", "yes", "a/shop", "é", "1.20"],
        ] {
            let documents = loads(&contexts);
            assert_eq!(documents.fleet.clusters.len(), contexts.len().max(2));
            assert!(documents.notes.is_empty(), "{:?}", documents.notes);
            let kept: Vec<_> = documents.fleet.clusters.values().map(|c| c.context.as_str()).collect();
            assert_eq!(&kept[..contexts.len()], &contexts[..]);
        }
    }
}
