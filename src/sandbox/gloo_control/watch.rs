//! Watches what routing needs on one cluster and publishes a snapshot after every change.
//! What comes in: a client. What goes out: snapshots, and objects for the status reporter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Snapshot, names, status};
use crate::envoy::config::Names;
use crate::manifest::{ObjectKey, World};
use crate::model::name::ClusterName;

/// What routing reads: group, version, kind, plural.
const WATCHED: [(&str, &str, &str, &str); 7] = [
    ("gateway.solo.io", "v1", "Gateway", "gateways"),
    ("gateway.solo.io", "v1", "VirtualService", "virtualservices"),
    ("gloo.solo.io", "v1", "Upstream", "upstreams"),
    ("", "v1", "Service", "services"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ("", "v1", "Secret", "secrets"),
    ("apps", "v1", "Deployment", "deployments"),
];

/// After a change, wait this long for more of the same write.
const GATHER: Duration = Duration::from_millis(2);
/// And this long in all: under constant change there is still news.
const GATHER_AT_MOST: Duration = Duration::from_millis(20);

type Event = (usize, watcher::Result<watcher::Event<DynamicObject>>);

/// Watches and publishes until `shutdown`.
pub async fn run(
    client: Client,
    cluster: ClusterName,
    publish: watch::Sender<Arc<Snapshot>>,
    mut reporter: status::Reporter,
    shutdown: CancellationToken,
) {
    let streams = WATCHED.iter().enumerate().map(|(i, kind)| events(&client, i, *kind).boxed());
    let mut events = stream::select_all(streams);
    let mut seen = Seen::new(cluster);
    let mut addresses = Names::new();
    let mut look_up = tokio::time::interval(names::EVERY);
    look_up.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            event = events.next() => match event {
                Some(event) => seen.take(event),
                None => break,
            },
            _ = look_up.tick() => {
                let wanted = names::used(publish.borrow().proxies());
                if wanted.is_empty() {
                    continue;
                }
                let found = names::resolve(&wanted, &addresses).await;
                if found == addresses {
                    continue;
                }
                addresses = found;
            }
        }
        // One write of a client is often several events (a Deployment's pods, a multi-document apply).
        let gathered = Instant::now() + GATHER_AT_MOST;
        while let Ok(Some(event)) = tokio::time::timeout(GATHER, events.next()).await {
            seen.take(event);
            if Instant::now() >= gathered {
                break;
            }
        }
        if !seen.whole() {
            continue;
        }
        let mut snapshot = Snapshot::of(&seen.world, &seen.cluster, addresses.clone());
        let wanted = names::used(snapshot.proxies());
        if wanted.iter().any(|name| !addresses.contains_key(name)) {
            addresses = names::resolve(&wanted, &addresses).await;
            snapshot = snapshot.with_names(addresses.clone());
        }
        reporter.report(&seen.world, &seen.cluster, snapshot.findings());
        publish.send_replace(Arc::new(snapshot));
    }
}

fn events(
    client: &Client,
    index: usize,
    (group, version, kind, plural): (&str, &str, &str, &str),
) -> impl stream::Stream<Item = Event> + Send + 'static {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let config = watcher::Config::default();
    watcher(api, config).default_backoff().map(move |event| (index, event))
}

/// What the watches have shown so far.
struct Seen {
    cluster: ClusterName,
    world: World,
    /// A list in progress, by kind: it replaces what was there when it is done.
    listing: [Vec<Value>; WATCHED.len()],
    waiting: BTreeSet<usize>,
}

impl Seen {
    fn new(cluster: ClusterName) -> Self {
        let listing = std::array::from_fn(|_| Vec::new());
        Seen { cluster, world: World::default(), listing, waiting: (0..WATCHED.len()).collect() }
    }

    /// Every kind has been listed once. Before that nothing is published: half a world would take gateways down.
    fn whole(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take(&mut self, (index, event): Event) {
        match event {
            Ok(watcher::Event::Init) => self.listing[index].clear(),
            Ok(watcher::Event::InitApply(object)) => self.listing[index].extend(body(index, object)),
            Ok(watcher::Event::InitDone) => {
                let (group, _, kind, _) = WATCHED[index];
                let objects = self.world.clusters.entry(self.cluster.clone()).or_default();
                objects.by_key.retain(|k, _| !(k.gvk.group == group && k.gvk.kind == kind));
                for object in std::mem::take(&mut self.listing[index]) {
                    self.world.insert(&self.cluster, object);
                }
                self.waiting.remove(&index);
            }
            Ok(watcher::Event::Apply(object)) => {
                if let Some(object) = body(index, object) {
                    self.world.insert(&self.cluster, object);
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                let key = body(index, object).and_then(|o| crate::manifest::key_of(&self.cluster, &o));
                if let Some(key) = key {
                    self.remove(&key);
                }
            }
            // The stream tries again by itself; what was seen stays.
            Err(error) => tracing::warn!(kind = WATCHED[index].2, %error, "watching"),
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        if let Some(objects) = self.world.clusters.get_mut(&self.cluster) {
            objects.by_key.remove(key);
        }
    }
}

/// The object as JSON with its apiVersion and kind (items of a list have none), without what routing never reads.
fn body(index: usize, object: DynamicObject) -> Option<Value> {
    let (group, version, kind, _) = WATCHED[index];
    let mut body = serde_json::to_value(object).ok()?;
    let fields = body.as_object_mut()?;
    let api_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
    fields.insert("apiVersion".into(), api_version.into());
    fields.insert("kind".into(), kind.into());
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    // What is no TLS material is not kept in memory.
    if kind == "Secret" && fields.get("type").and_then(Value::as_str) != Some("kubernetes.io/tls") {
        fields.remove("data");
    }
    Some(body)
}
