//! `failctl diff`.

use super::Ctx;
use super::documents::DocumentArgs;
use super::output::{Output, print};
use super::picture::{Ground, Lens, picture};
use super::unwanted::{self, UnwantedArgs};
use crate::error::{Exit, Failure};
use crate::plan::Reason;
use crate::report;

/// Arguments of `failctl diff`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Exit codes are kubectl's: 0 nothing differs, 1 something does, more than 1 it could not be told.

Examples:
  failctl diff
  failctl diff color -o json | jq '.summary'")]
pub struct Args {
    /// Only these failovers (default: all, and the vendor documents given)
    #[arg(value_name = "FAILOVER", add = super::complete::failovers())]
    pub failovers: Vec<String>,
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// As if objects and fields that somebody else holds were taken over
    #[arg(long)]
    pub force: bool,
    /// What is no longer wanted
    #[command(flatten)]
    pub unwanted: UnwantedArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let ground = Ground::new(ctx, &args.documents, &args.failovers)?;
    let lens = Lens { force: args.force, ..args.unwanted.lens(args.failovers.is_empty()) };
    let picture = ctx.block_on(picture(&ground, &lens))??;
    ctx.ui.problems(&picture.compiled.notes);
    ctx.ui.problems(&picture.warnings);
    unwanted::say(ctx, &picture, args.unwanted.prune);
    let plan = &picture.plan;
    print(ctx, args.output, &report::diff::report(plan), || report::diff::text(plan))?;
    for blocked in &plan.blocked {
        let sentence = match blocked.reason {
            Reason::Unreachable => "cannot be compared",
            Reason::Missing => "comes later",
        };
        ctx.ui.say(format!("{} {sentence}: {}", blocked.key, blocked.why));
    }
    let all_read = plan.unreachable.is_empty() && (!args.unwanted.prune || picture.unsearched.is_empty());
    Ok(match (all_read, plan.is_quiet()) {
        (false, _) => Exit::Unreachable,
        (true, false) => Exit::No,
        (true, true) => Exit::Ok,
    })
}
