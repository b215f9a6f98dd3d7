//! `failctl scheme`: the failover resources alone.

use super::apply;
use super::documents::DocumentArgs;
use super::picture::Ground;
use super::render::Rendering;
use super::road::WriteArgs;
use super::Ctx;
use crate::error::{Exit, Failure};
use crate::manifest::Wave;

/// Arguments of `failctl scheme`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Print the FailoverSchemes, or the Upstreams with their failover
    Render(Rendering),
    /// Write the FailoverSchemes, or the Upstreams with their failover
    Apply(Apply),
}

/// Arguments of `failctl scheme apply`.
#[derive(clap::Args, Debug)]
pub struct Apply {
    /// Only these failovers (default: all)
    #[arg(value_name = "FAILOVER")]
    pub failovers: Vec<String>,
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
    /// Wait until they are accepted (deadline: --timeout)
    #[arg(long)]
    pub wait: bool,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Render(rendering) => rendering.wave(ctx, Wave::Failover),
        Action::Apply(args) => {
            let ground = Ground::new(ctx, &args.documents, &args.failovers)?;
            apply::write(ctx, &ground, &args.writing, args.wait, Some(Wave::Failover))
        }
    }
}
