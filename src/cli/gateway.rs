//! `failctl gateway`: failover gateways alone, and where a cluster's proxy is reached.

use super::apply;
use super::documents::DocumentArgs;
use super::picture::{Ground, Part};
use super::render::Rendering;
use super::Ctx;
use crate::cluster::{address, observe};
use crate::error::{Exit, Failure};
use crate::manifest::Wave;

/// Arguments of `failctl gateway`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Print the failover gateways and their Services
    Render(Rendering),
    /// Write the failover gateways and their Services
    Apply(apply::What),
    /// Print where a cluster's proxy is reached, and nothing else
    #[command(after_help = "Example:
  curl \"$(failctl gateway url local)\"")]
    Url(Url),
}

/// Arguments of `failctl gateway url`.
#[derive(clap::Args, Debug)]
pub struct Url {
    /// The cluster
    #[arg(value_name = "CLUSTER", add = super::complete::clusters())]
    pub cluster: String,
    /// Name of the Service's port at Gloo's proxy
    #[arg(long, value_name = "PORT", default_value = "http")]
    pub port: String,
    /// Name of the proxy's Service in Gloo's namespace
    #[arg(long, value_name = "SERVICE", default_value = address::PROXY)]
    pub name: String,
    /// Documents, for the fleet
    #[command(flatten)]
    pub documents: DocumentArgs,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.action {
        Action::Render(rendering) => rendering.part(ctx, Part::Wave(Wave::Gateways)),
        Action::Apply(what) => apply::write(ctx, &what, Part::Wave(Wave::Gateways)),
        Action::Url(args) => url(args, ctx),
    }
}

fn url(args: Url, ctx: &Ctx) -> Result<Exit, Failure> {
    let ground = Ground::new(ctx, &args.documents, &[])?;
    let cluster = ground.cluster(&args.cluster)?;
    // Where Gloo does not run, requests come in by Istio's gateway.
    let by_istio = cluster.gloo.is_none() && cluster.istio.is_some();
    let namespace = if by_istio { address::istio_namespace(cluster) } else { address::gloo_namespace(cluster) };
    let wants = address::wants(&cluster.name, namespace);
    let world = ctx.block_on(observe(&ground.clients, &wants))?;
    // What could be read may be enough: not everybody may list nodes.
    let found = match by_istio {
        true => address::ingress_url(&world, cluster),
        false => address::proxy_url(&world, cluster, &args.name, &args.port),
    };
    let url = found.map_err(|problem| {
        match world.clusters.get(&cluster.name).and_then(|o| o.unreachable.as_ref()) {
            Some(why) => Failure::because(Exit::Unreachable, format!("{} cannot be read: {why}", cluster.name)),
            None => Failure { exit: Exit::Unknown, ..Failure::input(vec![problem]) },
        }
    })?;
    ctx.ui.data(url + "\n")?;
    Ok(Exit::Ok)
}
