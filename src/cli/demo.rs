//! `failctl demo`.

use super::Ctx;
use crate::error::{Exit, Failure};

/// Arguments of `failctl demo`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs the command.
pub fn run(_args: Args, _ctx: &mut Ctx) -> Result<Exit, Failure> {
    Err(Failure::because(Exit::Internal, "not built yet"))
}
