//! The hub's loop: registrations become watches; every change leads to discovery, trust and, when its inputs
//! changed, to translation.
//! What comes in: a client of the management cluster. What goes out: writes on it and on the registered clusters.
//! May not know: how decisions are made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::trust::{self, Root};
use super::{DISCOVERED, MANAGER, NAMESPACE, discovery, networking, status};
use crate::sandbox::controllers::cache::Cache;
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::members::{self, Follow, Member};
use crate::sandbox::controllers::object::{label, name, namespace};
use crate::sandbox::controllers::write::{Ref, Write, Writer};

/// What is read of the management cluster.
const HOME: &[Kind] = &[
    Kind::TrafficPolicy,
    Kind::FailoverService,
    Kind::VirtualMesh,
    Kind::Mesh,
    Kind::Workload,
    Kind::TrafficTarget,
    Kind::KubernetesCluster,
    Kind::Secret,
];
/// What discovery writes.
const FOUND: [Kind; 3] = [Kind::Mesh, Kind::Workload, Kind::TrafficTarget];
/// First pause after a failure; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The hub at work.
struct Hub {
    home: Arc<Cache>,
    writer: Writer,
    members: BTreeMap<String, Member>,
    translated: networking::Memory,
}

/// Runs the hub until `stop`.
pub async fn run(client: kube::Client, stop: CancellationToken) {
    let home = Cache::watch(&client, HOME, &stop);
    let writer = Writer { client, manager: MANAGER, root: None };
    let hub = Hub { home, writer, members: BTreeMap::new(), translated: networking::Memory::default() };
    stop.clone().run_until_cancelled(hub.work(&stop)).await;
}

impl Hub {
    async fn work(mut self, stop: &CancellationToken) {
        self.home.complete(HOME).await;
        let news = Arc::new(Notify::new());
        members::forward(&self.home, &news, stop);
        let follow = Follow { namespace: NAMESPACE, reads: discovery::READS, manager: MANAGER };
        let mut pause = FIRST_PAUSE;
        loop {
            let home = self.home.clone();
            follow.register(&home, &mut self.members, &news, stop).await;
            let failed = match self.round().await {
                Ok(()) => false,
                Err(error) => {
                    tracing::info!(manager = MANAGER, "{error:#}");
                    true
                }
            };
            let retry = async { if failed { tokio::time::sleep(pause).await } else { std::future::pending().await } };
            tokio::select! { () = news.notified() => {}, () = retry => {} }
            pause = if failed { (pause * 2).min(LONGEST_PAUSE) } else { FIRST_PAUSE };
        }
    }

    /// All that is to be done now. A part that fails keeps none of the others from being done.
    async fn round(&mut self) -> anyhow::Result<()> {
        let found = self.discover().await;
        let trusted = self.trust().await;
        let translated = self.translate().await;
        found.and(trusted).and(translated)
    }

    /// Brings the discovered objects up to what is there.
    async fn discover(&self) -> anyhow::Result<()> {
        let writes = {
            let home = self.home.seen();
            let mut writes = Vec::new();
            let mut wanted = BTreeSet::new();
            let mut unseen = BTreeSet::new();
            for (cluster, member) in &self.members {
                let seen = member.cache.seen();
                if !seen.knows_all(discovery::READS) {
                    unseen.insert(cluster.clone());
                    continue;
                }
                let known = home.all(Kind::Workload).filter(|w| label(w, DISCOVERED) == Some(cluster));
                let known = known.map(|w| name(w).to_owned()).collect();
                for object in discovery::discover(cluster, &seen, &known) {
                    let Some(kind) = Kind::of(&object) else { continue };
                    wanted.insert((kind, name(&object).to_owned()));
                    let there = home.get(kind, NAMESPACE, name(&object));
                    if there.is_none_or(|t| t["spec"] != object["spec"]) {
                        writes.push(Write::Apply(object));
                    }
                }
            }
            for kind in FOUND {
                let gone = home.all(kind).filter(|o| {
                    let cluster = label(o, DISCOVERED);
                    namespace(o) == NAMESPACE
                        && cluster.is_some_and(|c| !unseen.contains(c))
                        && !wanted.contains(&(kind, name(o).to_owned()))
                });
                writes.extend(gone.map(|o| Write::Delete(Ref::to(kind, o))));
            }
            writes
        };
        for write in &writes {
            self.writer.send(write, &self.home).await?;
        }
        Ok(())
    }

    /// Gives every mesh of a VirtualMesh with shared trust its intermediate, and says how that went.
    async fn trust(&self) -> anyhow::Result<()> {
        let meshes: Vec<Value> = self.home.seen().all(Kind::VirtualMesh).cloned().collect();
        let mut outcome = Ok(());
        for mesh in meshes {
            let done = if trust::is_shared(&mesh) { self.share(&mesh).await } else { Ok(()) };
            let said = self.say(&mesh, done.as_ref().err()).await;
            outcome = outcome.and(done).and(said);
        }
        outcome
    }

    async fn share(&self, mesh: &Value) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let (root, parties) = {
            let home = self.home.seen();
            (trust::root(&home, mesh, now)?, trust::parties(&home, mesh))
        };
        let root = match root {
            Root::There(root) => root,
            Root::New(secret) => {
                self.writer.send(&Write::Create(secret), &self.home).await?;
                let home = self.home.seen();
                match trust::root(&home, mesh, now)? {
                    Root::There(root) => root,
                    Root::New(_) => anyhow::bail!("the root certificate that was just written is not there"),
                }
            }
        };
        for party in parties {
            let Some(member) = self.members.get(&party.cluster) else { continue };
            let secret = {
                let seen = member.cache.seen();
                if !seen.knows(Kind::Secret) {
                    continue;
                }
                trust::cacerts(&seen, &party, name(mesh), &root, now)?
            };
            if let Some(secret) = secret {
                let written = member.writer.send(&Write::Apply(secret), &member.cache).await;
                written.with_context(|| format!("the certificates of {}", party.cluster))?;
            }
        }
        Ok(())
    }

    /// A VirtualMesh's status: each mesh it names, and whether it was found.
    async fn say(&self, mesh: &Value, failed: Option<&anyhow::Error>) -> anyhow::Result<()> {
        let status = status::virtual_mesh(&self.home.seen(), mesh, failed.map(|e| format!("{e:#}")));
        self.tell(Kind::VirtualMesh, mesh, status).await
    }

    /// Writes a status that is news.
    async fn tell(&self, kind: Kind, object: &Value, status: Value) -> anyhow::Result<()> {
        let current = self.home.seen().get(kind, namespace(object), name(object)).map(|o| o["status"].clone());
        let Some(current) = current.filter(|current| *current != status) else { return Ok(()) };
        // A status is replaced whole: what it no longer says must go.
        let patch = json!({"status": status::change(&current, &status)});
        let of = Ref::to(kind, object);
        self.writer.send(&Write::Merge { of, subresource: Some("status"), patch }, &self.home).await
    }

    /// Translates policies into Istio objects, if what they are made from has changed.
    async fn translate(&mut self) -> anyhow::Result<()> {
        let inputs = {
            let home = self.home.seen();
            let guards: Vec<_> = self.members.iter().map(|(name, m)| (name.clone(), m.cache.seen())).collect();
            if guards.iter().any(|(_, seen)| !seen.knows_all(discovery::READS)) {
                return Ok(());
            }
            networking::Inputs::of(&home, &guards.iter().map(|(name, seen)| (name.clone(), &**seen)).collect())
        };
        if !self.translated.is_news(&inputs) {
            return Ok(());
        }
        let outcome = networking::translate(&inputs);
        let mut failed = None;
        for (cluster, member) in &self.members {
            let desired = outcome.desired.get(cluster).map(Vec::as_slice).unwrap_or_default();
            if let Err(error) = networking::write(&member.writer.client, desired).await {
                failed.get_or_insert(error.context(format!("translating policies for {cluster}")));
            }
        }
        for (kind, object, status) in outcome.statuses {
            self.tell(kind, &object, status).await?;
        }
        match failed {
            Some(error) => Err(error),
            None => {
                self.translated.done(inputs);
                Ok(())
            }
        }
    }
}
