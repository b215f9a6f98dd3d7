//! `failctl cluster renew`.

use std::time::Duration;

use jiff::Timestamp;

use super::enroll::enroll;
use super::needs::Wish;
use super::register::lifetime;
use super::roll::{Roll, RollArgs};
use crate::cli::Ctx;
use crate::cli::road::WriteArgs;
use crate::error::{Exit, Failure};

/// Arguments of `failctl cluster renew`.
#[derive(clap::Args, Debug)]
#[command(after_help = "The new credential is tried before it is stored, and used again as it was stored. The old one stays good until its
own end, so nothing that still holds it is cut off. To take all credentials of a cluster away at once, deregister it.

Examples:
  failctl cluster renew                 # those with less than a third of their life left
  failctl cluster renew west --lifetime 720h --yes")]
pub struct Args {
    /// Members (default: all whose credential has less than a third of its life left)
    #[arg(value_name = "CLUSTER", add = crate::cli::complete::clusters())]
    pub clusters: Vec<String>,
    /// How long the new credentials are good; the cluster may grant less
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = lifetime)]
    pub lifetime: Duration,
    /// Which clusters
    #[command(flatten)]
    pub roll: RollArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.block_on(async {
        let roll = Roll::call(ctx, &args.roll, |_| Vec::new()).await?;
        let named = if args.clusters.is_empty() { due(&roll) } else { args.clusters.clone() };
        if named.is_empty() {
            ctx.ui.say("no credential has less than a third of its life left: nothing to renew");
        }
        let mut exit = Exit::Ok;
        for name in &named {
            let member = roll.member(name)?;
            let registered = roll.registrations_of(name);
            let Some(one) = registered.first() else {
                let why = format!("`{name}` is not registered, so there is nothing to renew");
                return Err(Failure::because(Exit::Input, why).hint(format!("`failctl cluster register {name}`")));
            };
            // What a registration says about the way to the cluster is kept.
            let own = roll.clients.endpoint(name).unwrap_or_default();
            let wish = Wish {
                only: None,
                lifetime: args.lifetime,
                server: (one.endpoint.server != own.server).then(|| one.endpoint.server.clone()),
                tls_server_name: one.endpoint.tls_server_name.clone(),
                fresh: true,
            };
            let one = enroll(ctx, &roll, member, &wish, &args.writing).await?;
            if exit == Exit::Ok {
                exit = one;
            }
        }
        Ok(exit)
    })?
}

/// Members of the fleet with a credential that should be replaced.
fn due(roll: &Roll) -> Vec<String> {
    let now = Timestamp::now();
    let old = roll.registrations().into_iter().filter(|s| s.ours);
    let old = old.filter(|s| s.credential().is_some_and(|c| c.life_left(now) < 33));
    let mut names: Vec<String> = old.map(|s| s.member).filter(|m| roll.fleet.clusters.contains_key(m.as_str())).collect();
    names.sort();
    names.dedup();
    names
}
