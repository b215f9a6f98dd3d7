//! `failctl cluster`: who is a member of the fleet, and with which credentials.

mod deregister;
mod enroll;
mod journal;
mod list;
mod needs;
mod register;
mod renew;
mod roll;
mod show;
mod undo;

use super::Ctx;
use crate::error::{Exit, Failure};

/// Arguments of `failctl cluster`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Give a cluster to Gloo Federation and to the other clusters' Istio: account, credential, registration
    Register(register::Args),
    /// List members: where they are registered, until when their credentials are good, whether these work
    List(list::Args),
    /// Show one member: every registration, its account, what its credential may do
    Show(show::Args),
    /// Replace credentials before they end; the old ones stay good meanwhile
    Renew(renew::Args),
    /// Take a cluster out, wherever it is registered; works when the cluster is dead
    Deregister(deregister::Args),
    /// Take back what an interrupted registration left
    Undo(undo::Args),
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Register(args) => register::run(args, ctx),
        Action::List(args) => list::run(args, ctx),
        Action::Show(args) => show::run(args, ctx),
        Action::Renew(args) => renew::run(args, ctx),
        Action::Deregister(args) => deregister::run(args, ctx),
        Action::Undo(args) => undo::run(args, ctx),
    }
}
