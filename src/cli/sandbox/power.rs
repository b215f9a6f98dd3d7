//! `failctl sandbox stop` and `failctl sandbox start`: a cluster's power switch.

use super::{Ctx, Which};
use crate::error::{Exit, Failure};
use crate::sandbox::daemon::{self, Answer, Request};

/// Arguments of `failctl sandbox stop`.
#[derive(clap::Args, Debug)]
pub(super) struct Stop {
    /// The cluster
    cluster: String,
    /// API and workloads die; the gateway and the load balancer go on with what they last knew
    #[arg(long)]
    keep_edge: bool,
    #[command(flatten)]
    which: Which,
}

/// Arguments of `failctl sandbox start`.
#[derive(clap::Args, Debug)]
pub(super) struct Start {
    /// The cluster
    cluster: String,
    #[command(flatten)]
    which: Which,
}

pub(super) fn stop(args: Stop, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let request = Request::Stop { cluster: args.cluster.clone(), keep_edge: args.keep_edge };
    switch(&args.which, &args.cluster, &request, ctx)
}

pub(super) fn start(args: Start, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let request = Request::Start { cluster: args.cluster.clone() };
    switch(&args.which, &args.cluster, &request, ctx)
}

fn switch(which: &Which, cluster: &str, request: &Request, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let dir = which.dir()?;
    let answer = ctx.block_on(daemon::ask(&dir, request))?.map_err(|e| Failure::new(Exit::Unknown, e))?;
    match answer {
        None => Err(which.absent()),
        Some(Answer::Refused(why)) => Err(Failure::because(Exit::Refused, why)),
        Some(Answer::Done(view)) => {
            let power = view.clusters.iter().find(|c| c.name == cluster).map(|c| c.power);
            ctx.ui.say(format!("{cluster}: {}", power.map_or_else(|| "unknown".into(), |p| p.to_string())));
            Ok(Exit::Ok)
        }
    }
}
