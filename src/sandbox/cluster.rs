//! One cluster of a sandbox: API server, node, its parts ([`parts`]), load balancer.
//! What comes in: its names and addresses. What goes out: a running cluster that can lose and regain its power.
//! May not know: the other clusters, documents, commands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::Client;
use kube::core::Selector;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::address::Addresses;
use super::api::{ApiConfig, Dead, Server};
use super::child::Keeper;
use super::controllers::balancer;
use super::controllers::cache::Cache;
use super::controllers::kind::Kind;
use super::controllers::object::is;
use super::door::{self, Door, doors};
use super::node::{self, KUBELET_PORT, NodeConfig, NodeHandle, PodRange};
use super::parts::{self, Place};
use super::setup::{self, Registration};
use super::stack::Runs;
use crate::model::name::ClusterName;

/// How long a cluster may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// What the status of a cluster is read from.
const WATCHED: &[Kind] = &[Kind::Deployment, Kind::Service, Kind::Pod];

/// The names of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// Its name in the fleet, under which it is registered.
    pub name: ClusterName,
    /// The kubeconfig context that reaches it.
    pub context: String,
    /// Region of its node.
    pub region: String,
    /// Zone of its node.
    pub zone: String,
    /// What runs on it.
    #[serde(default)]
    pub runs: Runs,
}

/// What all clusters of a sandbox share.
#[derive(Clone)]
pub struct Tools {
    /// The Envoy executable.
    pub envoy: PathBuf,
    /// Starts child processes.
    pub keeper: Keeper,
}

/// Whether a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// All of it runs.
    On,
    /// API and workloads are dead; the gateway and the load balancer go on with what they last knew.
    EdgeOnly,
    /// All of it is dead.
    Off,
}

impl std::fmt::Display for Power {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Power::On => "on",
            Power::EdgeOnly => "edge-only",
            Power::Off => "off",
        })
    }
}

enum ApiState {
    Running(Server),
    Dead(Dead),
    /// Only while it changes, or after it could not be started.
    Lost,
}

/// Tasks that end together.
#[derive(Default)]
struct Tasks {
    stop: CancellationToken,
    set: JoinSet<()>,
}

impl Tasks {
    fn add(&mut self, make: impl FnOnce(CancellationToken) -> futures::future::BoxFuture<'static, ()>) {
        self.set.spawn(make(self.stop.clone()));
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.set.join_next().await.is_some() {}
    }
}

/// A cluster that was started.
pub struct Cluster {
    /// Its names.
    pub spec: ClusterSpec,
    /// Whether it runs.
    pub power: Power,
    /// Whether this start was its first.
    pub fresh: bool,
    addresses: Addresses,
    url: String,
    ca: String,
    client: Client,
    kubeconfig: kube::config::Kubeconfig,
    api: ApiState,
    node: Option<NodeHandle>,
    core: Option<Tasks>,
    edge: Option<Tasks>,
    place: Place,
    seen: Arc<Cache>,
    _watching: DropGuard,
}

impl Cluster {
    /// Starts a cluster in a directory of its own, and installs what runs on it the first time.
    pub async fn up(
        spec: ClusterSpec,
        addresses: Addresses,
        dir: PathBuf,
        tools: &Tools,
        place: Place,
    ) -> anyhow::Result<Cluster> {
        let config = ApiConfig::new(spec.name.as_str(), addresses.api()).kept_in(dir.join("api"));
        let server = Server::start(config).await?;
        let (url, ca) = (server.url(), server.ca().to_string());
        let kubeconfig = server.kubeconfig(&spec.context);
        let client = server.client().await?;
        let watching = CancellationToken::new();
        let seen = Cache::watch(&client, WATCHED, &watching);
        let mut cluster = Cluster {
            power: Power::On,
            fresh: false,
            addresses,
            url,
            ca,
            client,
            kubeconfig,
            api: ApiState::Running(server),
            node: None,
            core: None,
            edge: None,
            place,
            seen,
            _watching: watching.drop_guard(),
            spec,
        };
        cluster.install_definitions().await?;
        cluster.start_core();
        cluster.start_edge();
        let (node, fresh) = tokio::join!(node::start(cluster.node_config(dir, tools)?), cluster.install());
        cluster.node = Some(node?);
        cluster.fresh = fresh?;
        Ok(cluster)
    }

    async fn install_definitions(&self) -> anyhow::Result<()> {
        let definitions = parts::definitions(&self.spec, &self.place)?;
        let applied = definitions.iter().map(|d| setup::apply(&self.client, d));
        futures::future::try_join_all(applied).await.map(drop)
    }

    async fn install(&self) -> anyhow::Result<bool> {
        setup::install(&self.client, &parts::objects(&self.spec, &self.place, self.addresses)).await
    }

    fn node_config(&self, dir: PathBuf, tools: &Tools) -> anyhow::Result<NodeConfig> {
        let (pods, inner) = (self.addresses.pods(), self.addresses.inner());
        let labels = [("region", &self.spec.region), ("zone", &self.spec.zone)];
        Ok(NodeConfig {
            client: self.client.clone(),
            name: format!("{}-node", self.spec.name),
            address: self.addresses.node(),
            kubelet_port: KUBELET_PORT,
            pods: PodRange::new(pods.first, pods.last).context("the range of Pods is empty")?,
            inner: PodRange::new(inner.first, inner.last),
            cluster: self.spec.name.to_string(),
            envoy: tools.envoy.clone(),
            agent: None,
            keeper: tools.keeper.clone(),
            dir: dir.join("node"),
            labels: labels.map(|(k, v)| (format!("topology.kubernetes.io/{k}"), v.clone())).into(),
        })
    }

    /// What dies with the cluster's own machines.
    fn start_core(&mut self) {
        let mut tasks = Tasks::default();
        for work in parts::work(&self.spec, &self.place, self.addresses, &self.ca, &self.client) {
            tasks.add(work);
        }
        self.core = Some(tasks);
    }

    /// What stands in front of the cluster and outlives it: the load balancer.
    fn start_edge(&mut self) {
        let mut tasks = Tasks::default();
        let cache = Cache::watch(&self.client, balancer::READS, &tasks.stop);
        let within = self.addresses.all();
        tasks.add(move |stop| Box::pin(balancer::run(cache, within, stop)));
        self.edge = Some(tasks);
    }

    /// Registers this cluster with the Federation of `home`, or with its hub.
    pub async fn register(&self, home: &Cluster) -> anyhow::Result<()> {
        let how = match home.spec.runs.hub {
            true => Registration::with_hub(),
            false => Registration::with_federation(),
        };
        let registered =
            setup::register(&how, &home.client, &self.client, self.spec.name.as_str(), &self.url, &self.ca).await;
        registered.with_context(|| format!("registering {} with {}", self.spec.name, home.spec.name))
    }

    /// Brings an object to it, as a user would.
    pub async fn apply(&self, object: &Value) -> anyhow::Result<()> {
        setup::apply(&self.client, object).await
    }

    /// Waits until every gateway is there and can be reached, or says what is missing.
    pub async fn ready(&self) -> anyhow::Result<()> {
        for door in doors(self.spec.runs) {
            if tokio::time::timeout(READY, self.open(door)).await.is_err() {
                let (name, seconds) = (&self.spec.name, READY.as_secs());
                let missing = door.missing(&self.seen.seen());
                bail!("the gateway {} of {name} is not ready after {seconds} s: {missing}", door.name);
            }
        }
        Ok(())
    }

    async fn open(&self, door: Door) {
        let mut changes = self.seen.changes();
        loop {
            let admin = door.open(&self.seen.seen());
            if let Some(admin) = admin {
                // What is stored may be older than a loss of power; the process itself is asked.
                match TcpStream::connect(admin).await {
                    Ok(_) => return,
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            } else if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Cuts the power: API and workloads die, and unless `keep_edge` the gateway and the load balancer too.
    pub async fn stop(&mut self, keep_edge: bool) -> anyhow::Result<()> {
        let wanted = if keep_edge { Power::EdgeOnly } else { Power::Off };
        match (self.power, wanted) {
            (now, wanted) if now == wanted => return Ok(()),
            (Power::Off, _) => {
                bail!(
                    "the edge of {} is dead already; start the cluster before stopping only a part of it",
                    self.spec.name
                )
            }
            _ => {}
        }
        let kept = doors(self.spec.runs).into_iter().filter(|_| keep_edge);
        let keep: Vec<Selector> = kept.map(|d| d.selector()).collect();
        let api = std::mem::replace(&mut self.api, ApiState::Lost);
        let core = self.core.take();
        let edge = if keep_edge { None } else { self.edge.take() };
        let kill = async {
            match api {
                ApiState::Running(server) => ApiState::Dead(server.kill().await),
                dead => dead,
            }
        };
        let dark = async {
            if let Some(node) = &self.node {
                node.power_off(keep).await;
            }
        };
        let end = async {
            for tasks in core.into_iter().chain(edge) {
                tasks.end().await;
            }
        };
        let (api, (), ()) = tokio::join!(kill, dark, end);
        self.api = api;
        self.power = wanted;
        Ok(())
    }

    /// Gives the power back, and waits until the gateway is ready.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        if self.power == Power::On {
            return Ok(());
        }
        match std::mem::replace(&mut self.api, ApiState::Lost) {
            ApiState::Dead(dead) => self.api = ApiState::Running(dead.start().await?),
            ApiState::Running(server) => self.api = ApiState::Running(server),
            ApiState::Lost => bail!("the API server of {} could not be started before", self.spec.name),
        }
        self.start_core();
        if self.edge.is_none() {
            self.start_edge();
        }
        if let Some(node) = &self.node {
            node.power_on().await;
        }
        self.power = Power::On;
        self.ready().await
    }

    /// Ends the cluster; its objects stay on disk.
    pub async fn end(self) {
        for tasks in self.core.into_iter().chain(self.edge) {
            tasks.end().await;
        }
        if let Some(node) = self.node {
            node.stop().await;
        }
        if let ApiState::Running(server) = self.api
            && let Err(error) = server.stop().await
        {
            tracing::warn!("the API server of {} did not stop cleanly: {error:#}", self.spec.name);
        }
    }

    /// The kubeconfig of its administrator, with one context.
    pub fn kubeconfig(&self) -> &kube::config::Kubeconfig {
        &self.kubeconfig
    }

    /// A client of its administrator.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where its API server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL at which its requests come in, once the gateway's Service has an address.
    pub fn gateway(&self) -> Option<String> {
        door::url(self.spec.runs, &self.seen.seen())
    }

    /// Pods that are ready, and all Pods, as last seen.
    pub fn pods(&self) -> (usize, usize) {
        let seen = self.seen.seen();
        (seen.all(Kind::Pod).filter(|p| is(p, "Ready")).count(), seen.all(Kind::Pod).count())
    }
}

/// Default regions, in the order of the clusters; each has one zone.
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "eu-central-1",
    "ap-southeast-1",
    "eu-west-1",
    "us-east-2",
    "sa-east-1",
    "ap-northeast-1",
];

/// Names with default regions: `NAME[=CONTEXT]`, separated by commas. Wrong ones are all reported.
pub fn parse(text: &str) -> Result<Vec<ClusterSpec>, Vec<String>> {
    let (mut specs, mut wrong): (Vec<ClusterSpec>, Vec<String>) = (Vec::new(), Vec::new());
    let mut contexts: BTreeMap<String, String> = BTreeMap::new();
    for (i, part) in text.split(',').map(str::trim).enumerate() {
        let (name, context) = part.split_once('=').unwrap_or((part, part));
        let name = match ClusterName::new(name) {
            Ok(name) => name,
            Err(why) => {
                wrong.push(why);
                continue;
            }
        };
        if context.is_empty() || context.chars().any(char::is_whitespace) {
            wrong.push(format!("`{part}` names no context; write {name}=CONTEXT, or only {name}"));
        }
        if specs.iter().any(|s| s.name == name) {
            wrong.push(format!("the cluster `{name}` is there twice"));
        } else if let Some(other) = contexts.insert(context.into(), name.to_string()) {
            wrong.push(format!("`{name}` and `{other}` have the same context `{context}`"));
        }
        let region = match REGIONS.get(i) {
            Some(region) => (*region).to_string(),
            None => format!("region-{}", i + 1),
        };
        specs.push(ClusterSpec {
            name,
            context: context.into(),
            zone: format!("{region}a"),
            region,
            runs: Runs::default(),
        });
    }
    if specs.len() > super::address::MOST_CLUSTERS {
        wrong.push(format!("a sandbox holds at most {} clusters, not {}", super::address::MOST_CLUSTERS, specs.len()));
    }
    if wrong.is_empty() { Ok(specs) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_named_with_or_without_a_context_and_get_distinct_regions() {
        let specs = parse("local=gloo-fed, remote").unwrap();
        assert_eq!((specs[0].name.as_str(), specs[0].context.as_str()), ("local", "gloo-fed"));
        assert_eq!((specs[1].name.as_str(), specs[1].context.as_str()), ("remote", "remote"));
        assert_eq!((specs[0].region.as_str(), specs[1].zone.as_str()), ("us-east-1", "us-west-1a"));
    }

    #[test]
    fn every_wrong_name_is_reported() {
        let wrong = parse("local,local,Remote,a=,b=x,c=x").unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(wrong[0].contains("there twice") && wrong[1].contains("Remote"), "{wrong:?}");
    }
}
