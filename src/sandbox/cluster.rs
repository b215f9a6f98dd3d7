//! One cluster of a sandbox: API server, node, controllers, Gloo's control plane, load balancer.
//! What comes in: its names and addresses. What goes out: a running cluster that can lose and regain its power.
//! May not know: the other clusters, documents, commands.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
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
use super::controllers::cache::Cache;
use super::controllers::federation;
use super::controllers::kind::Kind;
use super::controllers::object::{is, label, list, name, namespace, number, text};
use super::controllers::observed::Observed;
use super::controllers::{self, ControllersConfig, balancer};
use super::gloo_control::install::{Install, objects};
use super::gloo_control::{self, ControlConfig};
use super::node::{self, KUBELET_PORT, NodeConfig, NodeHandle, PodRange};
use super::{crds, setup};
use crate::model::fleet::Edition;
use crate::model::name::ClusterName;

/// The gateway's Deployment and Service, and the label of its Pods.
pub const GATEWAY: &str = "gateway-proxy";
/// The version of Gloo that the sandbox stands for: the first whose routes can retry on another priority is older.
pub const GLOO_VERSION: &str = "1.18.3";
/// The port of an Envoy's admin interface.
const ADMIN_PORT: u16 = 19000;
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
    manages: Option<federation::decide::Settings>,
    seen: Arc<Cache>,
    _watching: DropGuard,
}

impl Cluster {
    /// Starts a cluster in a directory of its own, and installs Gloo (and Federation, if it `manages`) the first time.
    pub async fn up(
        spec: ClusterSpec,
        addresses: Addresses,
        dir: PathBuf,
        tools: &Tools,
        manages: bool,
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
            manages: manages
                .then(|| federation::decide::Settings { namespace: setup::GLOO.into(), gloo: setup::GLOO.into() }),
            seen,
            _watching: watching.drop_guard(),
            spec,
        };
        cluster.install_definitions(manages).await?;
        cluster.start_core();
        cluster.start_edge();
        let (node, fresh) = tokio::join!(node::start(cluster.node_config(dir, tools)?), cluster.install(manages));
        cluster.node = Some(node?);
        cluster.fresh = fresh?;
        Ok(cluster)
    }

    async fn install_definitions(&self, manages: bool) -> anyhow::Result<()> {
        let federation = manages.then(crds::federation).into_iter().flatten();
        let definitions = crds::gloo().into_iter().chain(federation).map(serde_json::to_value);
        let definitions: Vec<Value> = definitions.collect::<Result<_, _>>().context("a definition is no JSON")?;
        let applied = definitions.iter().map(|d| setup::apply(&self.client, d));
        futures::future::try_join_all(applied).await.map(drop)
    }

    async fn install(&self, manages: bool) -> anyhow::Result<bool> {
        let http = self.low_port_or(80, 8080);
        let install = Install {
            namespace: setup::GLOO.into(),
            edition: Edition::Enterprise,
            version: GLOO_VERSION.into(),
            xds: self.addresses.control(),
            http,
            https: self.low_port_or(443, 8443),
        };
        let mut all = objects(&install);
        if manages {
            all.push(
                serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": setup::FEDERATION}}),
            );
        }
        setup::install(&self.client, &all).await
    }

    /// `low` where this user may listen on it, else `high`.
    fn low_port_or(&self, low: u16, high: u16) -> u16 {
        let last = self.addresses.load_balancers().last;
        if std::net::TcpListener::bind((last, low)).is_ok() { low } else { high }
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
            keeper: tools.keeper.clone(),
            dir: dir.join("node"),
            labels: labels.map(|(k, v)| (format!("topology.kubernetes.io/{k}"), v.clone())).into(),
        })
    }

    /// What dies with the cluster's own machines: controllers, discovery, Federation, Gloo's control plane.
    fn start_core(&mut self) {
        let mut tasks = Tasks::default();
        let config = ControllersConfig {
            load_balancers: self.addresses.load_balancers(),
            gloo: setup::GLOO.into(),
            root: Some(self.ca.clone()),
        };
        let client = || self.client.clone();
        let (one, two, three) = (client(), client(), client());
        tasks.add(move |stop| Box::pin(controllers::run(one, config, stop)));
        tasks.add(move |stop| Box::pin(controllers::run_discovery(two, setup::GLOO.into(), stop)));
        let control = ControlConfig {
            client: three,
            cluster: self.spec.name.clone(),
            namespace: setup::GLOO.into(),
            bind: self.addresses.control(),
        };
        tasks.add(move |stop| {
            Box::pin(async move {
                if let Err(error) = gloo_control::run(control, stop).await {
                    tracing::error!("{error:#}");
                }
            })
        });
        if let Some(settings) = self.manages.clone() {
            let client = client();
            tasks.add(move |stop| Box::pin(federation::run::run(client, settings, stop)));
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

    /// Registers this cluster with the Federation of `home`.
    pub async fn register(&self, home: &Cluster) -> anyhow::Result<()> {
        let registered =
            setup::register(&home.client, &self.client, self.spec.name.as_str(), &self.url, &self.ca).await;
        registered.with_context(|| format!("registering {} with {}", self.spec.name, home.spec.name))
    }

    /// Waits until the gateway is there and can be reached, or says what is missing.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let mut changes = self.seen.changes();
        let gateway = async {
            loop {
                let address = gateway_pod(&self.seen.seen());
                if let Some(address) = address.filter(|_| self.gateway().is_some()) {
                    // What is stored may be older than a loss of power; the process itself is asked.
                    match TcpStream::connect((address, ADMIN_PORT)).await {
                        Ok(_) => return,
                        Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    }
                } else if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(READY, gateway).await.is_err() {
            bail!("the gateway of {} is not ready after {} s: {}", self.spec.name, READY.as_secs(), self.missing());
        }
        Ok(())
    }

    /// What the gateway lacks, in the API's words.
    fn missing(&self) -> String {
        let seen = self.seen.seen();
        let pods = seen.all(Kind::Pod).filter(|p| is_gateway(p));
        let said = pods.flat_map(|p| {
            let waiting = list(p, "/status/containerStatuses").iter().map(|c| text(c, "/state/waiting/message"));
            waiting.chain([text(p, "/status/message")]).filter(|m| !m.is_empty()).map(String::from).collect::<Vec<_>>()
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "no Pod of it is ready, or its Service has no address".into() } else { said.join("; ") }
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
        let keep = keep_edge.then(|| Selector::from_iter([(GATEWAY.to_string(), "live".to_string())]));
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

    /// The URL of its gateway, once the Service has an address.
    pub fn gateway(&self) -> Option<String> {
        let seen = self.seen.seen();
        let service = seen.get(Kind::Service, setup::GLOO, GATEWAY)?;
        let ip: Ipv4Addr = text(service, "/status/loadBalancer/ingress/0/ip").parse().ok()?;
        let port = list(service, "/spec/ports").iter().find(|p| text(p, "/name") == "http")?;
        match number(port, "/port")? {
            80 => Some(format!("http://{ip}")),
            port => Some(format!("http://{ip}:{port}")),
        }
    }

    /// Pods that are ready, and all Pods, as last seen.
    pub fn pods(&self) -> (usize, usize) {
        let seen = self.seen.seen();
        (seen.all(Kind::Pod).filter(|p| is(p, "Ready")).count(), seen.all(Kind::Pod).count())
    }
}

fn is_gateway(pod: &Value) -> bool {
    namespace(pod) == setup::GLOO && label(pod, GATEWAY) == Some("live")
}

/// The address of a ready Pod of the gateway whose Deployment counts it as available.
fn gateway_pod(seen: &Observed) -> Option<Ipv4Addr> {
    let deployment = seen.get(Kind::Deployment, setup::GLOO, GATEWAY)?;
    number(deployment, "/status/availableReplicas").filter(|n| *n > 0)?;
    let pod = seen.all(Kind::Pod).find(|p| is_gateway(p) && is(p, "Ready") && !name(p).is_empty())?;
    text(pod, "/status/podIP").parse().ok()
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
        specs.push(ClusterSpec { name, context: context.into(), zone: format!("{region}a"), region });
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
