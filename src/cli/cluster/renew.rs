//! `failctl cluster renew`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::enroll::enroll;
use super::needs::Wish;
use super::register::lifetime;
use super::roll::{Roll, RollArgs};
use crate::cli::Ctx;
use crate::cli::road::WriteArgs;
use crate::error::{Exit, Failure};
use crate::model::name::ClusterName;

/// Arguments of `failctl cluster renew`.
#[derive(clap::Args, Debug)]
#[command(after_help = "The new credential is tried before it is stored, and used again as it was stored. The old one stays good until its
own end, so nothing that still holds it is cut off. To take all credentials of a cluster away at once, deregister it.

Exit codes: 0 nothing is left to renew, 8 a cluster that may keep credentials could not be asked.

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
        let all = args.clusters.is_empty();
        let named = if all { due(&roll) } else { args.clusters.clone() };
        // What could not be read may have ended long ago.
        let unread = if all { unread(&roll) } else { BTreeMap::new() };
        unread.iter().for_each(|(c, why)| ctx.ui.say(format!("{c} could not be asked which credentials it keeps: {why}")));
        match (named.is_empty(), unread.is_empty()) {
            (true, true) => ctx.ui.say("no credential has less than a third of its life left: nothing to renew"),
            (true, false) => ctx.ui.say("no credential that could be read has less than a third of its life left"),
            (false, _) => {}
        }
        let mut exit = if unread.is_empty() { Exit::Ok } else { Exit::Unknown };
        for name in &named {
            let member = roll.member(name)?;
            let registered = roll.registrations_of(name);
            let Some(one) = registered.first() else {
                if let Some((keeper, why)) = roll.unread(member).first_key_value() {
                    let what = format!("whether `{name}` is registered is not known: {keeper} could not be asked: {why}");
                    return Err(Failure::because(Exit::Unreachable, what).hint("`failctl cluster list` says what could"));
                }
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
            if matches!(exit, Exit::Ok | Exit::Unknown) && one != Exit::Ok {
                exit = one;
            }
        }
        Ok(exit)
    })?
}

/// Clusters that would keep somebody's credentials and could not be read, with the reason.
fn unread(roll: &Roll) -> BTreeMap<ClusterName, String> {
    roll.fleet.clusters.values().flat_map(|member| roll.unread(member)).collect()
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
