//! `failctl sandbox run` (hidden): the process behind `sandbox up`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;

use super::{Ctx, Which};
use crate::error::{Exit, Failure};
use crate::sandbox::cluster::parse;
use crate::sandbox::daemon::{self, Event};
use crate::sandbox::Options;
use crate::sandbox::stack::Stack;

/// Arguments of `failctl sandbox run`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    #[arg(long)]
    clusters: String,
    #[arg(long, value_enum)]
    stack: Stack,
    #[arg(long)]
    envoy: PathBuf,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    // A session of its own: neither the terminal's hang-up nor its Ctrl-C is meant for this process.
    // It fails only for a process that leads a group already, and then there is nothing to leave.
    let _ = rustix::process::setsid();
    let clusters = parse(&args.clusters).map_err(|wrong| Failure::because(Exit::Usage, wrong.join("; ")))?;
    let clusters = args.stack.on(clusters);
    let options = Options {
        name: args.which.name.to_string(),
        clusters,
        dir: args.which.dir()?,
        envoy: args.envoy,
        executable: std::env::current_exe().context("finding failctl's own executable")?,
        block: None,
    };
    let mut open = true;
    let tell = |event: Event| {
        open = open && line(&event).is_ok();
        let last = matches!(event, Event::Ready(_) | Event::Failed { .. });
        if last {
            leave_stdout();
        }
        open
    };
    ctx.block_on(daemon::run(options, tell))?.map_err(|e| Failure::new(Exit::Internal, e))?;
    Ok(Exit::Ok)
}

fn line(event: &Event) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, event)?;
    out.write_all(b"\n")?;
    out.flush()?;
    Ok(())
}

/// Whoever started this process has heard the last of it: its end of the pipe is given up.
fn leave_stdout() {
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(nowhere);
    }
}
