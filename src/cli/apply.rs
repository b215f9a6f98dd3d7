//! `failctl apply`.

use super::Ctx;
use super::documents::DocumentArgs;
use super::picture::{Ground, Lens, Unwanted, picture};
use super::road::{self, WriteArgs};
use super::settle;
use super::unwanted::{self, UnwantedArgs};
use crate::error::{Exit, Failure};

/// Arguments of `failctl apply`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Running it again completes what was interrupted or failed, and changes nothing else.

Examples:
  failctl apply
  failctl apply color --yes --wait
  failctl apply -f fleet.yaml -f local=gloo-docs.yaml --dry-run=server")]
pub struct Args {
    /// What to write, and how
    #[command(flatten)]
    pub what: What,
    /// What is no longer wanted
    #[command(flatten)]
    pub unwanted: UnwantedArgs,
}

/// What apply and its narrower doors share.
#[derive(clap::Args, Debug)]
pub struct What {
    /// Only these failovers (default: all, and the vendor documents given)
    #[arg(value_name = "FAILOVER", add = super::complete::failovers())]
    pub failovers: Vec<String>,
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
    /// Wait until Gloo and Federation have accepted everything (deadline: --timeout)
    #[arg(long)]
    pub wait: bool,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    write(ctx, &args.what, args.unwanted.lens(args.what.failovers.is_empty()))
}

/// Writes the part of the documents that the lens shows.
pub fn write(ctx: &Ctx, what: &What, lens: impl Into<Lens>) -> Result<Exit, Failure> {
    let ground = &Ground::new(ctx, &what.documents, &what.failovers)?;
    let What { writing, wait, .. } = what;
    let lens = &Lens { force: writing.force, ..lens.into() };
    let prune = lens.unwanted == Unwanted::Take;
    ctx.block_on(async {
        let first = picture(ground, lens).await?;
        ctx.ui.problems(&first.compiled.notes);
        ctx.ui.problems(&first.warnings);
        unwanted::say(ctx, &first, prune);
        let unsearched = prune && !first.unsearched.is_empty();
        let desired = first.compiled.manifests;
        let mut ready = Some(first.plan);
        let planner = || {
            let ready = ready.take();
            async move {
                match ready {
                    Some(plan) => Ok(plan),
                    None => picture(ground, lens).await.map(|p| p.plan),
                }
            }
        };
        let verb = if prune { "write or take away" } else { "write" };
        let exit = road::go(ctx, &ground.clients, writing, verb, planner).await?;
        if exit == Exit::Ok && unsearched {
            return Ok(Exit::Partial);
        }
        if exit != Exit::Ok || !*wait || writing.dry_run.is_some() {
            return Ok(exit);
        }
        settle::settle(ctx, &ground.clients, &desired, writing.timeout).await
    })?
}
