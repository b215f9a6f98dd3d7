//! Watches the kinds a control plane reads on one cluster. What comes in: a client. What goes out: the world as it is,
//! once every kind has been listed. May not know: what the objects mean.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, stream};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use serde_json::{Map, Value};

use crate::manifest::{ObjectKey, World};
use crate::model::name::ClusterName;

/// One kind: group, version, kind, plural.
pub type Watched = (&'static str, &'static str, &'static str, &'static str);

/// After a change, wait this long for more of the same write.
const GATHER: Duration = Duration::from_millis(2);
/// And this long in all: under constant change there is still news.
const GATHER_AT_MOST: Duration = Duration::from_millis(20);

type Event = (usize, watcher::Result<watcher::Event<DynamicObject>>);

/// The watches, and what they have shown so far.
pub struct Watch {
    events: SelectAll<BoxStream<'static, Event>>,
    kinds: &'static [Watched],
    /// Takes out of an object (its kind comes first) what must not be kept.
    trim: fn(&str, &mut Map<String, Value>),
    cluster: ClusterName,
    world: World,
    /// A list in progress, by kind: it replaces what was there when it is done.
    listing: Vec<Vec<Value>>,
    waiting: BTreeSet<usize>,
}

impl Watch {
    /// Starts watching.
    pub fn new(
        client: &Client,
        cluster: ClusterName,
        kinds: &'static [Watched],
        trim: fn(&str, &mut Map<String, Value>),
    ) -> Self {
        let streams = kinds.iter().enumerate().map(|(i, kind)| events(client, i, *kind).boxed());
        Watch {
            events: stream::select_all(streams),
            kinds,
            trim,
            cluster,
            world: World::default(),
            listing: kinds.iter().map(|_| Vec::new()).collect(),
            waiting: (0..kinds.len()).collect(),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// Waits for a change and takes it; false when there will be none any more. May be dropped while it waits.
    pub async fn changed(&mut self) -> bool {
        match self.events.next().await {
            Some(event) => {
                self.take(event);
                true
            }
            None => false,
        }
    }

    /// Takes what follows a change: one write of a client is often several events (a Deployment's pods, a file with
    /// several documents).
    pub async fn gather(&mut self) {
        let gathered = Instant::now() + GATHER_AT_MOST;
        while let Ok(Some(event)) = tokio::time::timeout(GATHER, self.events.next()).await {
            self.take(event);
            if Instant::now() >= gathered {
                break;
            }
        }
    }

    /// The world, once every kind has been listed. Before that there is none: half a world would take gateways down.
    pub fn world(&self) -> Option<&World> {
        self.waiting.is_empty().then_some(&self.world)
    }

    fn take(&mut self, (index, event): Event) {
        match event {
            Ok(watcher::Event::Init) => self.listing[index].clear(),
            Ok(watcher::Event::InitApply(object)) => {
                let body = self.body(index, object);
                self.listing[index].extend(body);
            }
            Ok(watcher::Event::InitDone) => {
                let (group, _, kind, _) = self.kinds[index];
                let objects = self.world.clusters.entry(self.cluster.clone()).or_default();
                objects.by_key.retain(|k, _| !(k.gvk.group == group && k.gvk.kind == kind));
                for object in std::mem::take(&mut self.listing[index]) {
                    self.world.insert(&self.cluster, object);
                }
                self.waiting.remove(&index);
            }
            Ok(watcher::Event::Apply(object)) => {
                if let Some(object) = self.body(index, object) {
                    self.world.insert(&self.cluster, object);
                }
            }
            Ok(watcher::Event::Delete(object)) => {
                let key = self.body(index, object).and_then(|o| crate::manifest::key_of(&self.cluster, &o));
                if let Some(key) = key {
                    self.remove(&key);
                }
            }
            // The stream tries again by itself; what was seen stays.
            Err(error) => tracing::warn!(kind = self.kinds[index].2, %error, "watching"),
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        if let Some(objects) = self.world.clusters.get_mut(&self.cluster) {
            objects.by_key.remove(key);
        }
    }

    /// The object as JSON with its apiVersion and kind (items of a list have none), without what nobody reads.
    fn body(&self, index: usize, object: DynamicObject) -> Option<Value> {
        let (group, version, kind, _) = self.kinds[index];
        let mut body = serde_json::to_value(object).ok()?;
        let fields = body.as_object_mut()?;
        let api_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
        fields.insert("apiVersion".into(), api_version.into());
        fields.insert("kind".into(), kind.into());
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        (self.trim)(kind, fields);
        Some(body)
    }
}

fn events(
    client: &Client,
    index: usize,
    (group, version, kind, plural): Watched,
) -> impl stream::Stream<Item = Event> + Send + 'static {
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let config = watcher::Config::default();
    watcher(api, config).default_backoff().map(move |event| (index, event))
}
