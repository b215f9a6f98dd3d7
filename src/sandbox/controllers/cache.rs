//! Watches of one cluster, and what they have seen.
//! What comes in: a client and the kinds to watch. What goes out: a shared `Observed` and a signal at every change.
//! May not know: controllers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::kind::Kind;
use super::observed::Observed;
use super::write::Ref;

/// First wait after a watch failed; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(20);
/// A server that is down for long is asked this often: soon enough to be back within a second.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// What was seen of one cluster.
#[derive(Debug)]
pub struct Cache {
    seen: Mutex<Observed>,
    dirty: Mutex<BTreeSet<Kind>>,
    changes: watch::Sender<u64>,
}

impl Cache {
    /// Starts watching `kinds` until `stop`. A kind that the server does not (yet) have is asked for again.
    pub fn watch(client: &kube::Client, kinds: &[Kind], stop: &CancellationToken) -> Arc<Cache> {
        let cache = Arc::new(Cache {
            seen: Mutex::default(),
            dirty: Mutex::new(BTreeSet::new()),
            changes: watch::Sender::new(0),
        });
        for kind in kinds {
            let (cache, client, kind) = (cache.clone(), client.clone(), *kind);
            tokio::spawn(stop.clone().run_until_cancelled_owned(async move { follow(&cache, client, kind).await }));
        }
        cache
    }

    /// What has been seen, for as long as the guard is held: ask and let go.
    pub fn seen(&self) -> MutexGuard<'_, Observed> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A signal that changes whenever something was seen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The kinds that changed since this was last asked. For one asker.
    pub fn take_dirty(&self) -> BTreeSet<Kind> {
        std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until all these kinds have been listed.
    pub async fn complete(&self, kinds: &[Kind]) {
        let mut changes = self.changes();
        while !self.seen().knows_all(kinds) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes in what a write answered.
    pub fn answer(&self, kind: Kind, object: DynamicObject) {
        self.seen().answer(kind, plain(kind, object));
        self.changed(kind);
    }

    /// Takes in that a write deleted an object.
    pub fn gone(&self, of: &Ref) {
        let found = self.seen().get(of.kind, &of.namespace, &of.name).cloned();
        if let Some(object) = found.filter(|o| super::object::uid(o) == of.uid) {
            self.seen().remove(of.kind, &object);
        }
        self.changed(of.kind);
    }

    fn changed(&self, kind: Kind) {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner).insert(kind);
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }
}

/// One kind's list and watch, for ever.
async fn follow(cache: &Cache, client: kube::Client, kind: Kind) {
    let api: Api<DynamicObject> = Api::all_with(client, &kind.resource());
    let mut wait = FIRST_WAIT;
    let mut fresh = Vec::new();
    let mut events = Box::pin(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                wait = FIRST_WAIT;
                take_in(cache, kind, event, &mut fresh);
            }
            Err(error) => {
                tracing::debug!(kind = kind.name(), %error, "watch failed; trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

fn take_in(cache: &Cache, kind: Kind, event: Event<DynamicObject>, fresh: &mut Vec<Value>) {
    match event {
        Event::Init => fresh.clear(),
        Event::InitApply(object) => fresh.push(plain(kind, object)),
        Event::InitDone => {
            cache.seen().replace(kind, std::mem::take(fresh));
            cache.changed(kind);
        }
        Event::Apply(object) => {
            cache.seen().put(kind, plain(kind, object));
            cache.changed(kind);
        }
        Event::Delete(object) => {
            cache.seen().remove(kind, &plain(kind, object));
            cache.changed(kind);
        }
    }
}

/// As JSON, with apiVersion and kind (lists leave them out) and without what no controller reads.
fn plain(kind: Kind, mut object: DynamicObject) -> Value {
    object.metadata.managed_fields = None;
    object.types = Some(kube::core::TypeMeta { api_version: kind.api_version(), kind: kind.name().to_string() });
    serde_json::to_value(object).unwrap_or_default()
}
