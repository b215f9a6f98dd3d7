//! `failctl scheme`: the failover resources alone.

use super::apply;
use super::picture::Part;
use super::render::Rendering;
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
    Apply(apply::What),
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Render(rendering) => rendering.part(ctx, Part::Wave(Wave::Failover)),
        Action::Apply(what) => apply::write(ctx, &what, Part::Wave(Wave::Failover)),
    }
}
