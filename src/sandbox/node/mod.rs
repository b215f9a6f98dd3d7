//! A node that runs pods: a kubelet without containers, and a plain client of any Kubernetes API.
//!
//! In: the Pods that an API server says are bound to it. Out: processes on addresses of their own, `status` written back,
//! logs, exec and port-forward served. May not know: the API server's inside, controllers, other nodes.
//!
//! What it does as a real kubelet does: registers its Node, renews its lease, writes status, honours graceful deletion,
//! restarts with back-off, probes. What it does not: images are not pulled (a closed set of programs stands for them, see
//! [`image`]), nothing isolates pods but their addresses, there are no volumes and no init containers.

pub mod addresses;
pub mod agent;
mod bookinfo;
mod container;
pub mod echo;
pub mod env;
mod envoy_args;
pub mod envoy_config;
mod events;
mod http;
pub mod image;
mod kubelet;
pub mod logs;
mod manager;
mod mux;
mod pod;
mod probe;
mod process;
mod registration;
mod registry;
pub mod sidecar;
mod signals;
mod spdy;
mod status;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use kube::Client;
use kube::core::Selector;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use addresses::{PodAddress, PodRange};

use super::child::Keeper;
use kubelet::Kubelet;
use manager::Command;

/// The port a kubelet listens on by custom.
pub const KUBELET_PORT: u16 = 10250;

/// What a node is told at its start.
#[derive(Clone)]
pub struct NodeConfig {
    /// Reaches the API server, with the rights of a node.
    pub client: Client,
    /// The Node object's name.
    pub name: String,
    /// The node's own address (InternalIP); its kubelet endpoint listens there.
    pub address: IpAddr,
    /// The kubelet endpoint's port; [`KUBELET_PORT`] by custom.
    pub kubelet_port: u16,
    /// The addresses of its pods. They must be local to this machine.
    pub pods: PodRange,
    /// Where programs behind a sidecar listen: as many addresses as `pods`, not among them. Without it, a pod with a
    /// sidecar cannot run: there is nothing to intercept its traffic with.
    pub inner: Option<PodRange>,
    /// The cluster's name: what `CLUSTER_NAME` says to programs that show it, when their manifest does not.
    pub cluster: String,
    /// The Envoy executable.
    pub envoy: PathBuf,
    /// Istio's own agent, to run Istio's proxies with; without it they get their configuration by REST and have none.
    pub agent: Option<agent::Agent>,
    /// Starts child processes, through the failctl executable.
    pub keeper: Keeper,
    /// A directory of its own; emptied as pods go.
    pub dir: PathBuf,
    /// Labels of the Node object, such as `topology.kubernetes.io/region`.
    pub labels: BTreeMap<String, String>,
}

/// Whether the machine has power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Power {
    /// It runs.
    #[default]
    On,
    /// Nothing runs but what is kept, and nothing is said to the API.
    Off,
}

/// A running node.
pub struct NodeHandle {
    commands: mpsc::Sender<Command>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

/// Starts a node: binds its endpoint, registers it, and takes on its pods.
pub async fn start(config: NodeConfig) -> anyhow::Result<NodeHandle> {
    std::fs::create_dir_all(&config.dir).with_context(|| format!("making {}", config.dir.display()))?;
    let shutdown = CancellationToken::new();
    let (power, powered) = watch::channel(Power::On);
    let registry = Arc::new(registry::Registry::default());
    let endpoint = (config.address, config.kubelet_port).into();
    let kubelet = Kubelet::bind(endpoint, registry.clone(), config.keeper.clone(), powered.clone()).await?;
    let uid = registration::register(&config).await.with_context(|| format!("registering node {}", config.name))?;
    let mut tasks = JoinSet::new();
    let heart = registration::keep_alive(config.clone(), uid, powered.clone());
    let quit = shutdown.clone();
    tasks.spawn(async move {
        quit.run_until_cancelled(heart).await;
    });
    let quit = shutdown.clone();
    tasks.spawn(async move {
        quit.run_until_cancelled(kubelet.serve()).await;
    });
    let (commands, orders) = mpsc::channel(8);
    tasks.spawn(manager::Manager::new(config, registry, power).run(orders, shutdown.clone()));
    Ok(NodeHandle { commands, shutdown, tasks })
}

/// Runs a node until told to stop; its pods' processes are gone when this returns, their objects stay.
pub async fn run(config: NodeConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let node = start(config).await?;
    shutdown.cancelled().await;
    node.stop().await;
    Ok(())
}

impl NodeHandle {
    /// The machine loses its power: every workload is killed, except pods that one of `keep` selects, the kubelet falls silent,
    /// and the API is told nothing. Returns when they are dead.
    pub async fn power_off(&self, keep: Vec<Selector>) {
        self.command(|done| Command::PowerOff(keep, done)).await;
    }

    /// The power is back: workloads start again, the kubelet speaks again.
    pub async fn power_on(&self) {
        self.command(Command::PowerOn).await;
    }

    async fn command(&self, make: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(make(done)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// Stops the node. Returns when every process it started is gone.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
