//! `failctl sandbox`: clusters on this machine that real clients accept.

mod down;
mod node;
mod paths;
mod power;
mod run;
mod sample;
mod shown;
mod status;
mod up;

use clap::{Parser, Subcommand};

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::model::name::ClusterName;

/// Arguments of `failctl sandbox`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start clusters on this machine, and wait until their gateways are ready
    Up(up::Args),
    /// Show the clusters
    Status(status::Args),
    /// End everything, and remove its files
    Down(down::Args),
    /// Print the path of the kubeconfig with all contexts
    Kubeconfig(paths::Kubeconfig),
    /// Print the path of the fleet document that names the clusters
    Fleet(paths::Fleet),
    /// Cut a cluster's power
    Stop(power::Stop),
    /// Give a cluster its power back
    Start(power::Start),
    /// Print manifests to try the sandbox with
    Sample(sample::Args),
    /// Run the sandbox's node for any API server
    Node(node::Args),
    #[command(hide = true)]
    Run(run::Args),
}

/// Which sandbox.
#[derive(Parser, Debug, Clone)]
pub(super) struct Which {
    /// The sandbox's name
    #[arg(long, default_value = "default", value_name = "NAME")]
    name: ClusterName,
}

impl Which {
    fn dir(&self) -> Result<std::path::PathBuf, Failure> {
        crate::sandbox::record::directory(self.name.as_str()).map_err(|e| Failure::new(Exit::Missing, e))
    }

    /// `--name NAME` where a command needs it.
    fn flag(&self) -> String {
        if self.name.as_str() == "default" { String::new() } else { format!(" --name {}", self.name) }
    }

    fn absent(&self) -> Failure {
        Failure::because(Exit::No, format!("there is no sandbox `{}`", self.name))
            .hint(format!("failctl sandbox up{}", self.flag()))
    }
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    match args.command {
        Command::Up(args) => up::run(args, ctx),
        Command::Status(args) => status::run(args, ctx),
        Command::Down(args) => down::run(args, ctx),
        Command::Kubeconfig(args) => paths::kubeconfig(args, ctx),
        Command::Fleet(args) => paths::fleet(args, ctx),
        Command::Stop(args) => power::stop(args, ctx),
        Command::Start(args) => power::start(args, ctx),
        Command::Sample(args) => sample::run(args, ctx),
        Command::Node(args) => node::run(args, ctx),
        Command::Run(args) => run::run(args, ctx),
    }
}
