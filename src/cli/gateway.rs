//! `failctl gateway`: failover gateways alone.

use super::Ctx;
use super::render::Rendering;
use crate::error::{Exit, Failure};
use crate::manifest::Wave;

/// Arguments of `failctl gateway`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Print the failover gateways and their Services
    Render(Rendering),
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Render(rendering) => rendering.wave(ctx, Wave::Gateways),
    }
}
