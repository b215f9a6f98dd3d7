//! EDGE. API servers, nodes, controllers and Envoys on this machine: clusters that real clients accept.
//! What comes in: names and directories. What goes out: clusters reached by kubeconfig, and the documents that name them.
//! May not know: commands, failovers.
//!
//! | part | stands for |
//! |---|---|
//! | [`api`] | kube-apiserver and etcd |
//! | [`node`] | a kubelet and the containers it runs |
//! | [`controllers`] | kube-controller-manager, kube-scheduler, kube-proxy, a cloud's load balancers, Gloo's discovery, Gloo Federation |
//! | [`gloo_control`] | Gloo's control plane |
//! | [`istio_control`] | Istio's control plane |
//! | [`xds`] | how control planes reach Envoys |
//! | [`smh`] | Service Mesh Hub |
//! | [`cluster`], [`setup`], [`crds`] | what an installer does |
//! | [`daemon`], [`record`] | the sandbox as a process of its own |
//!
//! All but the last two are clients and servers of the Kubernetes API and share nothing else: each can be replaced by the real one.

pub mod address;
pub mod api;
pub mod child;
pub mod cluster;
pub mod controllers;
pub mod crds;
pub mod daemon;
pub mod documents;
pub mod door;
pub mod envoy_binary;
pub mod gloo_control;
pub mod istio_control;
pub mod node;
pub mod parts;
pub mod record;
pub mod sample;
pub mod setup;
pub mod smh;
pub mod stack;
pub mod xds;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};

use self::address::{Block, Claim};
use self::child::Keeper;
use self::cluster::{Cluster, ClusterSpec, Power, Tools};
use self::parts::Place;

/// How a sandbox is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its name: part of what the documents say, not of any path.
    pub name: String,
    /// Its clusters; the first manages the others, where something does.
    pub clusters: Vec<ClusterSpec>,
    /// A directory of its own; made if it is not there. Objects found in it are taken up again.
    pub dir: PathBuf,
    /// The Envoy executable.
    pub envoy: PathBuf,
    /// The failctl executable, through which children are started and which the documents name.
    pub executable: PathBuf,
    /// The address block it had before: objects on disk name its addresses.
    pub block: Option<Block>,
}

/// What happens while a sandbox starts or stops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Progress {
    /// A cluster's API server, node and controllers run.
    Started(String),
    /// The clusters are registered with what manages them.
    Registered(String),
    /// A cluster's gateways are ready; how many it has.
    Ready(String, usize),
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Progress::Started(cluster) => write!(f, "{cluster}: API server, node and controllers run"),
            Progress::Registered(with) => write!(f, "clusters are registered with {with}"),
            Progress::Ready(cluster, 0) => write!(f, "{cluster}: ready"),
            Progress::Ready(cluster, 1) => write!(f, "{cluster}: the gateway is ready"),
            Progress::Ready(cluster, _) => write!(f, "{cluster}: the gateways are ready"),
        }
    }
}

/// A running sandbox.
pub struct Sandbox {
    name: String,
    dir: PathBuf,
    claim: Claim,
    clusters: Vec<Cluster>,
}

impl Sandbox {
    /// Starts a sandbox and waits until its gateways are ready. What was begun is ended when something fails.
    pub async fn up(options: Options, progress: &(dyn Fn(Progress) + Sync)) -> anyhow::Result<Sandbox> {
        if options.clusters.is_empty() {
            bail!("a sandbox needs at least one cluster");
        }
        documents::make_dir(&options.dir)?;
        let claim = Claim::take(options.block, seed(&options.dir)).ok_or_else(|| taken(options.block))?;
        let tools = Tools {
            envoy: options.envoy.clone(),
            keeper: Keeper::new(&options.executable).context("starting the thread that starts children")?,
        };
        let mut sandbox = Sandbox { name: options.name.clone(), dir: options.dir.clone(), claim, clusters: Vec::new() };
        match sandbox.start_all(&options, &tools, progress).await {
            Ok(()) => Ok(sandbox),
            Err(error) => {
                sandbox.halt().await;
                Err(error)
            }
        }
    }

    async fn start_all(
        &mut self,
        options: &Options,
        tools: &Tools,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> anyhow::Result<()> {
        let block = self.claim.block;
        let starting = options.clusters.iter().enumerate().map(async |(i, spec)| {
            let addresses = block
                .cluster(i)
                .ok_or_else(|| anyhow!("too many clusters: {} are the most", address::MOST_CLUSTERS))?;
            let dir = options.dir.join("clusters").join(spec.name.as_str());
            let up = Cluster::up(spec.clone(), addresses, dir, tools, Place::of(i, &options.clusters)).await;
            let up = up.with_context(|| format!("starting cluster {}", spec.name))?;
            progress(Progress::Started(spec.name.to_string()));
            anyhow::Ok(up)
        });
        let mut failed = None;
        for started in futures::future::join_all(starting).await {
            match started {
                Ok(cluster) => self.clusters.push(cluster),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        documents::write(self, &options.executable)?;
        if let Some(with) = self.manager() {
            self.register_all().await?;
            progress(Progress::Registered(with.into()));
        }
        let ready = self.clusters.iter().map(async |c| {
            c.ready().await?;
            progress(Progress::Ready(c.spec.name.to_string(), door::doors(c.spec.runs).len()));
            anyhow::Ok(())
        });
        futures::future::try_join_all(ready).await.map(drop)
    }

    /// What manages several clusters from the first one, if anything does.
    fn manager(&self) -> Option<&'static str> {
        let runs = self.clusters.first()?.spec.runs;
        match (runs.gloo, runs.hub) {
            (true, _) => Some("Gloo Federation"),
            (_, true) => Some("Service Mesh Hub"),
            _ => None,
        }
    }

    /// Registers clusters with the first one: those that are new, or all if it is new itself. A hub's meshes get a
    /// common trust then.
    async fn register_all(&self) -> anyhow::Result<()> {
        let Some(home) = self.clusters.first() else { return Ok(()) };
        let concerned = |c: &&Cluster| c.spec.runs.istio || !home.spec.runs.hub;
        let new = self.clusters.iter().filter(concerned).filter(|c| c.fresh || home.fresh).map(|c| c.register(home));
        futures::future::try_join_all(new).await?;
        if home.spec.runs.hub && home.fresh {
            let meshes = self.clusters.iter().filter(|c| c.spec.runs.istio).map(|c| c.spec.name.as_str());
            home.apply(&smh::install::virtual_mesh(meshes)).await?;
        }
        Ok(())
    }

    /// The sandbox's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its address block.
    pub fn block(&self) -> Block {
        self.claim.block
    }

    /// Its clusters, the managing one first.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }

    /// The kubeconfig with a context per cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join(documents::KUBECONFIG)
    }

    /// The fleet document that names its clusters.
    pub fn fleet(&self) -> PathBuf {
        self.dir.join(documents::FLEET)
    }

    /// Cuts a cluster's power: API and workloads die; the gateway too, unless `keep_edge`.
    pub async fn stop(&mut self, cluster: &str, keep_edge: bool) -> anyhow::Result<Power> {
        let cluster = self.named(cluster)?;
        cluster.stop(keep_edge).await?;
        Ok(cluster.power)
    }

    /// Gives a cluster its power back and waits until its gateway is ready.
    pub async fn start(&mut self, cluster: &str) -> anyhow::Result<Power> {
        let cluster = self.named(cluster)?;
        cluster.start().await?;
        Ok(cluster.power)
    }

    fn named(&mut self, name: &str) -> anyhow::Result<&mut Cluster> {
        let known: Vec<String> = self.clusters.iter().map(|c| c.spec.name.to_string()).collect();
        let found = self.clusters.iter_mut().find(|c| c.spec.name.as_str() == name);
        found.with_context(|| format!("the sandbox {} has no cluster `{name}`; it has {}", self.name, known.join(", ")))
    }

    /// Ends every process and frees every address; objects stay on disk.
    pub async fn halt(self) {
        futures::future::join_all(self.clusters.into_iter().map(Cluster::end)).await;
    }

    /// Ends everything and removes the directory: no process, port or file is left.
    pub async fn down(self) -> anyhow::Result<()> {
        let dir = self.dir.clone();
        self.halt().await;
        std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))
    }

    /// What there is to see of it.
    pub fn view(&self) -> View {
        let cluster = |c: &Cluster| {
            let (ready, total) = c.pods();
            ClusterView {
                name: c.spec.name.to_string(),
                context: c.spec.context.clone(),
                region: c.spec.region.clone(),
                zone: c.spec.zone.clone(),
                power: c.power,
                api: c.url().to_string(),
                gateway: c.gateway(),
                runs: c.spec.runs,
                pods_ready: ready,
                pods: total,
            }
        };
        View {
            name: self.name.clone(),
            directory: self.dir.clone(),
            kubeconfig: self.kubeconfig(),
            fleet: self.fleet(),
            addresses: format!("127.{}.0.0/16", self.claim.block.second),
            clusters: self.clusters.iter().map(cluster).collect(),
        }
    }
}

/// A sandbox as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Name.
    pub name: String,
    /// Directory.
    pub directory: PathBuf,
    /// Kubeconfig.
    pub kubeconfig: PathBuf,
    /// Fleet document.
    pub fleet: PathBuf,
    /// Address block.
    pub addresses: String,
    /// Clusters.
    pub clusters: Vec<ClusterView>,
}

/// A cluster as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterView {
    /// Name in the fleet.
    pub name: String,
    /// Kubeconfig context.
    pub context: String,
    /// Region.
    pub region: String,
    /// Zone.
    pub zone: String,
    /// Whether it runs.
    pub power: Power,
    /// URL of its API server.
    pub api: String,
    /// URL of its gateway.
    pub gateway: Option<String>,
    /// What runs on it.
    #[serde(default)]
    pub runs: stack::Runs,
    /// Pods that are ready, as last seen.
    pub pods_ready: usize,
    /// All Pods, as last seen.
    pub pods: usize,
}

/// Where to begin looking for a free block: different directories begin at different ones.
fn seed(dir: &Path) -> u64 {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(dir.as_os_str().as_encoded_bytes());
    digest.iter().take(4).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// No address block to have.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoAddresses(String);

fn taken(wanted: Option<Block>) -> anyhow::Error {
    let why = match wanted {
        Some(block) => format!(
            "the addresses 127.{}.0.0/16, which this sandbox's objects name, are in use by another sandbox",
            block.second
        ),
        None => "every address block of 127.30.0.0 to 127.250.255.255 is in use, or this machine allows no loopback addresses but 127.0.0.1".into(),
    };
    NoAddresses(why).into()
}
