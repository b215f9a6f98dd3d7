//! The other clusters of a mesh, read as istiod reads them: each by the kubeconfig that a Secret with the label
//! `istio/multiCluster` holds. What comes in: the own cluster's Secrets. What goes out: worlds with those clusters in.
//! May not know: who wrote the Secrets.
//!
//! What was seen of a cluster stays while its API does not answer or refuses the credential, as in istiod; with its Secret
//! it goes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use crate::compile::membership::{Purpose, Stored};
use crate::manifest::{Objects, World};
use crate::model::name::ClusterName;
use crate::sandbox::controllers::members::connect;
use crate::sandbox::xds::watch::{Watch, Watched};

/// What istiod reads of another cluster.
const READ: &[Watched] = &[
    ("", "v1", "Service", "services"),
    ("", "v1", "Pod", "pods"),
    ("", "v1", "Node", "nodes"),
    ("", "v1", "Namespace", "namespaces"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
];
/// Between attempts to make a client.
const RETRY: Duration = Duration::from_secs(2);

type News = (ClusterName, Objects);

/// The clusters that are read, and what was seen of them.
pub struct Remotes {
    open: BTreeMap<ClusterName, Open>,
    seen: BTreeMap<ClusterName, Objects>,
    tell: UnboundedSender<News>,
    news: UnboundedReceiver<News>,
}

struct Open {
    kubeconfig: Zeroizing<String>,
    _stop: DropGuard,
}

impl Remotes {
    /// None yet.
    pub fn new() -> Self {
        let (tell, news) = mpsc::unbounded_channel();
        Remotes { open: BTreeMap::new(), seen: BTreeMap::new(), tell, news }
    }

    /// Waits for a change of one of them and takes it. May be dropped while it waits.
    pub async fn changed(&mut self) {
        if let Some((cluster, objects)) = self.news.recv().await
            && self.open.contains_key(&cluster)
        {
            self.seen.insert(cluster, objects);
        }
    }

    /// Reads those clusters that have a kubeconfig in the own cluster's Secrets, and no others. Of two Secrets for one
    /// cluster the first by name counts, and one for the own cluster does not (istiod's rules).
    pub fn follow(&mut self, world: &World, own: &ClusterName, namespace: &str) {
        let mut wanted: BTreeMap<ClusterName, Zeroizing<String>> = BTreeMap::new();
        let secrets = world.all(own.as_str(), "", "Secret").filter(|(k, _)| k.namespace.as_deref() == Some(namespace));
        for stored in secrets.flat_map(|(key, body)| Stored::read(key, body)) {
            let name = ClusterName::new(&stored.member).ok().filter(|n| n != own);
            if let Some(name) = name.filter(|_| stored.place.purpose == Purpose::Mesh) {
                wanted.entry(name).or_insert(stored.kubeconfig);
            }
        }
        self.open.retain(|name, _| wanted.contains_key(name));
        self.seen.retain(|name, _| wanted.contains_key(name));
        for (name, kubeconfig) in wanted {
            if self.open.get(&name).is_none_or(|open| open.kubeconfig != kubeconfig) {
                let stop = CancellationToken::new();
                let watching = watch(name.clone(), kubeconfig.clone(), self.tell.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
                self.open.insert(name, Open { kubeconfig, _stop: stop.drop_guard() });
            }
        }
    }

    /// The own world with what was seen of the others.
    pub fn joined<'w>(&self, own: &'w World) -> Cow<'w, World> {
        if self.seen.is_empty() {
            return Cow::Borrowed(own);
        }
        let mut all = own.clone();
        all.clusters.extend(self.seen.iter().map(|(name, objects)| (name.clone(), objects.clone())));
        Cow::Owned(all)
    }
}

async fn watch(cluster: ClusterName, kubeconfig: Zeroizing<String>, tell: UnboundedSender<News>) {
    let client = loop {
        match connect(&kubeconfig).await {
            Ok(client) => break client,
            Err(error) => {
                tracing::warn!("istiod: the remote secret for {cluster}: {error:#}");
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    let mut seen = Watch::new(&client, cluster.clone(), READ, |_, _| ());
    while seen.changed().await {
        seen.gather().await;
        let objects = seen.world().and_then(|w| w.clusters.get(&cluster));
        if let Some(objects) = objects
            && tell.send((cluster.clone(), objects.clone())).is_err()
        {
            return;
        }
    }
}
