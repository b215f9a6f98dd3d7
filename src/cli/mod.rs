//! One file per subcommand; the only room that knows both sides.
//! A command is `Args` (its doc comments are the help) and `run(args, ctx)`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{Exit, Failure};
use crate::ui::Ui;

pub mod complete;
mod demo_layers;
mod demo_mesh;
mod demo_stage;
mod demo_story;
mod demo_together;
mod demo_transparent;
mod demo_turns;
pub mod documents;
pub mod output;
pub mod picture;
pub mod road;
pub mod settle;
pub mod simulate_flags;
pub mod simulate_restore;
pub mod status_gather;
mod status_mesh;
pub mod unwanted;

macro_rules! commands {
    ($($(#[$meta:meta])* $module:ident => $variant:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The subcommands.
        #[derive(Subcommand, Debug)]
        pub enum Command {
            $($(#[$meta])* $variant($module::Args),)*
        }

        fn dispatch(command: Command, ctx: &mut Ctx) -> Result<Exit, Failure> {
            match command {
                $(Command::$variant(args) => $module::run(args, ctx),)*
            }
        }
    };
}

commands! {
    /// Write a commented starter from the contexts of your kubeconfig
    init => Init,
    /// Print the resources of a failover, per cluster
    render => Render,
    /// Show what apply would change (exit code 1 when something would)
    diff => Diff,
    /// Write a failover to its clusters, the backup side first
    apply => Apply,
    /// Remove what failctl wrote, and give back what it changed
    delete => Delete,
    /// Failover gateways: render, apply, print the proxy's URL
    gateway => Gateway,
    /// The failover resources alone: render, apply
    scheme => Scheme,
    /// Failover between services of a mesh: render, apply
    istio => Istio,
    /// Routes at the edge: add, remove
    route => Route,
    /// Members of the fleet and their credentials: register, list, show, renew, deregister
    cluster => Cluster,
    /// Certificates for mutual TLS between gateways: generate, install, status
    certs => Certs,
    /// Who serves now, since when and why
    status => Status,
    /// Who called a service of the mesh, who answered, how often: from the sidecars' access logs
    traffic => Traffic,
    /// Break something under load, watch, put it back
    simulate => Simulate,
    /// Clusters on this machine that real clients accept
    sandbox => Sandbox,
    /// From nothing to a proven failover, narrated
    demo => Demo,
    /// Print the JSON Schema of failctl's documents
    schema => Schema,
    /// Print a completion script for your shell
    completion => Completion,
    /// Become another program that dies with the process that started it
    #[command(hide = true)]
    child => Child,
}

/// Makes a service survive the loss of a Kubernetes cluster, and proves it.
#[derive(Parser, Debug)]
#[command(name = "failctl", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Global {
    /// Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config); its current-context is never changed
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub kubeconfig: Option<PathBuf>,
    /// Say more on stderr; twice for requests
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

/// What every command gets: the terminal and the global options.
pub struct Ctx {
    /// The terminal.
    pub ui: Ui,
    /// Options of every command.
    pub global: Global,
}

impl Ctx {
    /// Runs a future on a runtime made for it; commands that never wait never pay for one.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::new(Exit::Internal, e))?;
        let out = runtime.block_on(future);
        runtime.shutdown_timeout(std::time::Duration::from_secs(2));
        Ok(out)
    }
}

/// A command as it would be typed, without the program's name: for commands that run others.
pub fn parse(line: &[String]) -> Result<Cli, Failure> {
    let words = std::iter::once("failctl".to_string()).chain(line.iter().cloned());
    Cli::try_parse_from(words).map_err(|e| Failure::because(Exit::Internal, e))
}

/// Runs a command as it would be typed. Must not be called from a runtime: commands make their own.
pub fn typed(line: &[String], ctx: &mut Ctx) -> Result<Exit, Failure> {
    dispatch(parse(line)?.command, ctx)
}

/// The whole program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> std::process::ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command).var(completion::VARIABLE).complete();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            let code = if e.use_stderr() { Exit::Usage } else { Exit::Ok };
            // A closed pipe under --help is no failure.
            let _ = e.print();
            return code.into();
        }
    };
    let mut ctx = Ctx { ui: Ui::terminal(), global: cli.global };
    ctx.ui.log(ctx.global.verbose);
    let outcome = dispatch(cli.command, &mut ctx);
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            ctx.ui.failure(&failure);
            failure.exit.into()
        }
    }
}
