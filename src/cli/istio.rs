//! `failctl istio`: the resources of meshes alone.

use super::Ctx;
use super::apply::{self, What};
use super::picture::Part;
use super::render::Rendering;
use crate::error::{Exit, Failure};

/// Arguments of `failctl istio`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Print Istio's resources: of failovers between services, and of Service Mesh Hub's documents
    #[command(after_help = "Example:
  failctl istio render -f fleet.yaml -f failover-service.yaml -f kind2=bookinfo.yaml -f kind3=bookinfo.yaml")]
    Render(Rendering),
    /// Write Istio's resources, and the trust domains that mesh configurations must accept
    Apply(What),
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Render(rendering) => rendering.part(ctx, Part::Mesh),
        Action::Apply(what) => apply::write(ctx, &what, Part::Mesh),
    }
}
