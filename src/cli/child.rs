//! `failctl child` (hidden): becomes another program that dies with the process that started it.

use std::ffi::OsString;

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::sandbox::child::become_program;

/// Arguments of `failctl child`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Process id of the one that starts this process
    #[arg(long)]
    parent: u32,
    /// Make the terminal on standard input the program's controlling terminal
    #[arg(long)]
    terminal: bool,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command. Returns only when the program could not be started.
pub fn run(args: Args, _ctx: &mut Ctx) -> Result<Exit, Failure> {
    let error = become_program(args.parent, args.terminal, &args.command);
    let program = args.command.first().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    Err(Failure::because(Exit::Missing, format!("cannot run {program}: {error}")))
}
