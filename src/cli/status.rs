//! `failctl status`: who serves now, since when and why.

use std::time::Duration;

use super::Ctx;
use super::documents::DocumentArgs;
use super::output::{Output, print};
use super::picture::Ground;
use super::status_gather::status;
use crate::cluster;
use crate::drill::resolve::{self, Protected};
use crate::error::{Exit, Failure};
use crate::judge::service::Standing;

/// Arguments of `failctl status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  failctl status
  failctl status color -o wide
  failctl status --watch
  failctl status -o json | jq '.failovers[] | {name, serving, servedBy}'

Exit codes: 0 somebody serves and a backup is ready (a failover that is in use is a warning), 1 nobody serves or no
backup is ready, 8 it could not be determined.")]
pub struct Args {
    /// Only these failovers
    #[arg(value_name = "FAILOVER", add = super::complete::protected())]
    pub failovers: Vec<String>,
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: StatusOutput,
    /// Show it again every two seconds until Ctrl-C; exits with the last answer
    #[arg(short, long)]
    pub watch: bool,
    /// Do not compare the documents with the clusters
    #[arg(long)]
    pub no_drift: bool,
}

/// `-o`.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusOutput {
    /// Tables
    #[default]
    Table,
    /// Tables with endpoints, evidence and subjects
    Wide,
    /// One JSON object
    Json,
    /// One YAML document
    Yaml,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let documents = args.documents.load_beside_fleet(ctx)?;
    let ground = Ground::of(ctx, documents)?;
    let wanted = known(&ground, &args.failovers)?;
    ctx.block_on(watch(&args, ctx, &ground, &wanted))?
}

/// The failovers to show: those named, or all.
fn known(ground: &Ground, names: &[String]) -> Result<Vec<Protected>, Failure> {
    let mut all = resolve::protected(&ground.documents);
    for name in names {
        if !all.iter().any(|p| p.name == *name) {
            let hint = crate::spec::text::meant(name, all.iter().map(|p| p.name.as_str()).collect::<Vec<_>>());
            return Err(Failure::because(Exit::Usage, format!("no failover is named `{name}`")).hint(hint));
        }
    }
    all.retain(|p| names.is_empty() || names.contains(&p.name));
    Ok(all)
}

async fn watch(args: &Args, ctx: &Ctx, ground: &Ground, wanted: &[Protected]) -> Result<Exit, Failure> {
    let stop = cluster::stop_on_ctrl_c();
    loop {
        let report = status(ground, wanted, args.failovers.is_empty(), !args.no_drift).await?;
        let output = match args.output {
            StatusOutput::Json => Output::Json,
            StatusOutput::Yaml => Output::Yaml,
            StatusOutput::Table | StatusOutput::Wide => Output::Table,
        };
        if args.watch && output == Output::Table && ctx.ui.interactive {
            // Home, and clear to the end: the table is drawn over the one before.
            ctx.ui.data("\u{1b}[H\u{1b}[J")?;
        }
        print(ctx, output, &report, || report.text(args.output == StatusOutput::Wide))?;
        let exit = match report.standing {
            Standing::Healthy | Standing::Warning => Exit::Ok,
            Standing::Unknown => Exit::Unknown,
            Standing::Unhealthy => Exit::No,
        };
        if !args.watch {
            return Ok(exit);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
            () = stop.cancelled() => return Ok(exit),
        }
    }
}
