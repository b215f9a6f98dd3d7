//! `failctl cluster show`.

use super::list::{exit, report};
use super::roll::{Roll, RollArgs};
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::error::{Exit, Failure};

/// Arguments of `failctl cluster show`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:
  failctl cluster show west")]
pub struct Args {
    /// A cluster of the fleet
    #[arg(value_name = "CLUSTER", add = crate::cli::complete::clusters())]
    pub cluster: String,
    /// Which clusters
    #[command(flatten)]
    pub roll: RollArgs,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.block_on(async {
        let roll = Roll::call(ctx, &args.roll, |_| Vec::new()).await?;
        if roll.registrations_of(&args.cluster).is_empty() {
            roll.member(&args.cluster)?;
        }
        let report = report(&roll, Some(&args.cluster), true).await?;
        print(ctx, args.output, &report, || {
            let uid = roll.uids.get(args.cluster.as_str()).and_then(|u| u.as_ref().ok());
            let who = uid.map_or(String::new(), |u| format!("{} is the cluster {u}\n\n", args.cluster));
            format!("{who}{}\n{}", report.text(), report.powers())
        })?;
        Ok(exit(&report))
    })?
}
