//! `failctl completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Ctx};
use crate::error::{Exit, Failure};

/// Arguments of `failctl completion`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell to complete in
    pub shell: Shell,
}

/// The completion script of a shell, as it is committed under `completions/`.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "failctl", &mut bytes);
    bytes
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.ui.data(script(args.shell))?;
    Ok(Exit::Ok)
}
