//! Which pods run: follows the API and the node's power, and keeps one task per pod.
//!
//! In: the Pods bound to the node, power off and on. Out: pod tasks, told what they must know. May not know: what a pod's
//! task does with it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::core::{Selector, SelectorExt};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::addresses::{Addresses, PodAddress};
use super::agent::Ports;
use super::events::Events;
use super::pod::{self, Message, Worker};
use super::process::Tools;
use super::registry::{ContainerEntry, PodEntry, Registry};
use super::{NodeConfig, Power, env, sidecar};

/// What a node is told from outside the API.
pub enum Command {
    /// Kill everything but what one of the selectors selects; say nothing.
    PowerOff(Vec<Selector>, oneshot::Sender<()>),
    /// Start everything again.
    PowerOn(oneshot::Sender<()>),
}

/// A pod with a task.
struct Tenant {
    messages: mpsc::UnboundedSender<Message>,
    key: (String, String),
    labels: BTreeMap<String, String>,
    /// None for the node's own address.
    address: Option<Ipv4Addr>,
}

/// Keeps one task per pod.
pub struct Manager {
    config: NodeConfig,
    registry: Arc<Registry>,
    power: watch::Sender<Power>,
    addresses: Addresses,
    events: Events,
    tenants: BTreeMap<String, Tenant>,
    /// The pods' tasks; each ends with its pod's uid.
    tasks: JoinSet<String>,
    /// Uids that a list in progress has named so far.
    listed: Option<Vec<String>>,
}

impl Manager {
    /// A manager without pods.
    pub fn new(config: NodeConfig, registry: Arc<Registry>, power: watch::Sender<Power>) -> Self {
        Manager {
            addresses: Addresses::new(config.pods),
            events: Events::start(config.client.clone(), config.name.clone(), power.subscribe()),
            config,
            registry,
            power,
            tenants: BTreeMap::new(),
            tasks: JoinSet::new(),
            listed: None,
        }
    }

    /// Runs until told to stop; every pod's processes are gone when it returns.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>, shutdown: CancellationToken) {
        let mut events = Some(self.watch());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(command) = commands.recv() => match command {
                    Command::PowerOff(keep, done) => {
                        events = None;
                        self.power_off(keep).await;
                        let _ = done.send(());
                    }
                    Command::PowerOn(done) => {
                        self.power_on();
                        // A new watch begins with a list: what happened meanwhile is seen.
                        events.get_or_insert_with(|| self.watch());
                        let _ = done.send(());
                    }
                },
                Some(event) = next(&mut events) => self.on(event),
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => {
                    if let Ok(uid) = ended {
                        self.forget(&uid);
                    }
                }
            }
        }
        self.tenants.values().for_each(|t| drop(t.messages.send(Message::Gone)));
        while self.tasks.join_next().await.is_some() {}
    }

    fn watch(&self) -> BoxStream<'static, watcher::Event<Pod>> {
        let bound = watcher::Config::default().fields(&format!("spec.nodeName={}", self.config.name));
        let node = self.config.name.clone();
        let events = watcher(Api::<Pod>::all(self.config.client.clone()), bound).default_backoff();
        let events = events.inspect_err(move |e| tracing::debug!("node {node} cannot watch its pods: {e}"));
        events.filter_map(|event| std::future::ready(event.ok())).boxed()
    }

    fn on(&mut self, event: watcher::Event<Pod>) {
        match event {
            watcher::Event::Init => self.listed = Some(Vec::new()),
            watcher::Event::InitApply(pod) => {
                if let (Some(listed), Some(uid)) = (&mut self.listed, &pod.metadata.uid) {
                    listed.push(uid.clone());
                }
                self.applied(pod);
            }
            watcher::Event::InitDone => {
                let Some(listed) = self.listed.take() else { return };
                let gone = self.tenants.iter().filter(|(uid, _)| !listed.contains(uid));
                gone.for_each(|(_, t)| drop(t.messages.send(Message::Gone)));
            }
            watcher::Event::Apply(pod) => self.applied(pod),
            watcher::Event::Delete(pod) => {
                if let Some(tenant) = pod.metadata.uid.as_ref().and_then(|uid| self.tenants.get(uid)) {
                    let _ = tenant.messages.send(Message::Gone);
                }
            }
        }
    }

    fn applied(&mut self, pod: Pod) {
        let Some(uid) = pod.metadata.uid.clone() else { return };
        if let Some(tenant) = self.tenants.get_mut(&uid) {
            tenant.labels = pod.metadata.labels.clone().unwrap_or_default();
            let _ = tenant.messages.send(Message::Update(Box::new(pod)));
            return;
        }
        let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default();
        if matches!(phase, "Succeeded" | "Failed") {
            // It ran in an earlier life of this node and does not run again; only its end may be asked for.
            if pod.metadata.deletion_timestamp.is_some() {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or("default");
                let api = Api::namespaced(self.config.client.clone(), namespace);
                tokio::spawn(pod::delete(api, pod.metadata.name.unwrap_or_default(), uid));
            }
            return;
        }
        self.take_on(pod, uid);
    }

    fn take_on(&mut self, pod: Pod, uid: String) {
        let host_network = pod.spec.as_ref().and_then(|s| s.host_network) == Some(true);
        let (address, taken) = if host_network {
            (PodAddress::plain(self.config.address), None)
        } else {
            let old = pod.status.as_ref().and_then(|s| s.pod_ip.as_ref()).and_then(|ip| ip.parse().ok());
            let Some(address) = self.addresses.take(old) else {
                tracing::warn!("node {} has no address left of {} for another pod", self.config.name, self.config.pods);
                return;
            };
            (self.address_of(&pod, address), Some(address))
        };
        let meta = pod.metadata.clone();
        let key = (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
        let containers = pod.spec.iter().flat_map(|s| s.containers.iter());
        let entry = Arc::new(PodEntry {
            pod: Mutex::new(pod.clone()),
            uid: uid.clone(),
            address,
            dir: self.config.dir.join(&uid),
            containers: containers.map(|c| (c.name.clone(), Arc::new(ContainerEntry::default()))).collect(),
        });
        self.registry.insert(key.clone(), entry.clone());
        let start = pod.status.as_ref().and_then(|s| s.start_time.as_ref()).map_or_else(Timestamp::now, |t| t.0);
        let worker = Worker {
            pod,
            address,
            start,
            sources: env::Sources {
                client: self.config.client.clone(),
                node: self.config.name.clone(),
                host: self.config.address,
                cluster: self.config.cluster.clone(),
            },
            tools: Tools {
                keeper: self.config.keeper.clone(),
                envoy: self.config.envoy.clone(),
                agent: self.config.agent.clone(),
            },
            entry,
            events: self.events.clone(),
            power: self.power.subscribe(),
        };
        let (messages, receiver) = mpsc::unbounded_channel();
        let tenant = Tenant { messages, key, labels: meta.labels.unwrap_or_default(), address: taken };
        self.tenants.insert(uid.clone(), tenant);
        self.tasks.spawn(async move {
            worker.run(receiver).await;
            uid
        });
    }

    /// What a pod has beside its own address: ports for Istio's agent, or else an inner address behind a sidecar.
    fn address_of(&self, pod: &Pod, ip: Ipv4Addr) -> PodAddress {
        let plain = PodAddress::plain(IpAddr::V4(ip));
        if self.config.agent.is_some() {
            let ports = sidecar::has_proxy(pod).then(|| Ports::free(ip)).flatten();
            return PodAddress { ports, ..plain };
        }
        let beside = self.config.inner.filter(|_| sidecar::beside_others(pod));
        let inner = beside.and_then(|range| range.beside(ip, &self.config.pods)).map(IpAddr::V4);
        PodAddress { inner, ..plain }
    }

    fn forget(&mut self, uid: &str) {
        if let Some(tenant) = self.tenants.remove(uid) {
            self.registry.remove(&tenant.key, uid);
            tenant.address.into_iter().for_each(|a| self.addresses.free(a));
        }
    }

    async fn power_off(&mut self, keep: Vec<Selector>) {
        self.listed = None;
        self.power.send_replace(Power::Off);
        let kept = |t: &&Tenant| keep.iter().any(|k| k.matches(&t.labels));
        let mut halted = Vec::new();
        for tenant in self.tenants.values().filter(|t| !kept(t)) {
            let (done, wait) = oneshot::channel();
            let _ = tenant.messages.send(Message::Halt(done));
            halted.push(wait);
        }
        for wait in halted {
            // A task that is gone has no processes left.
            let _ = wait.await;
        }
    }

    fn power_on(&mut self) {
        self.power.send_replace(Power::On);
        self.tenants.values().for_each(|t| drop(t.messages.send(Message::Resume)));
    }
}

async fn next(events: &mut Option<BoxStream<'static, watcher::Event<Pod>>>) -> Option<watcher::Event<Pod>> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
