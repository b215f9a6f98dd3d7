//! `failctl sandbox sample`: prints manifests to try the sandbox with.

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::sandbox::sample::Sample;

/// Arguments of `failctl sandbox sample`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Which manifests
    #[arg(value_enum)]
    sample: Sample,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.ui.data(args.sample.manifests())?;
    Ok(Exit::Ok)
}
