//! Clusters that are registered with a management cluster: Secrets with kubeconfigs become clients and watches.
//! What comes in: what is seen of the management cluster. What goes out: members, with what is seen of them.
//! May not know: what is decided from it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cache::Cache;
use super::kind::Kind;
use super::object::{name, namespace, text};
use super::observed::Observed;
use super::write::Writer;

/// The type of a registration.
pub const REGISTRATION: &str = "solo.io/kubeconfig";
/// The key of a registration.
pub const REGISTRATION_KEY: &str = "kubeconfig";

/// A registered cluster.
pub struct Member {
    kubeconfig: String,
    /// What is seen of it.
    pub cache: Arc<Cache>,
    /// Writes on it.
    pub writer: Writer,
    _watching: DropGuard,
}

/// Which registrations are followed, and how.
#[derive(Clone, Copy, Debug)]
pub struct Follow<'a> {
    /// The namespace of the registrations.
    pub namespace: &'a str,
    /// What is watched on members.
    pub reads: &'static [Kind],
    /// The name under which members are written to.
    pub manager: &'static str,
}

impl Follow<'_> {
    /// Follows the registrations: new and changed ones get a client and watches, those that are gone lose them.
    pub async fn register(
        &self,
        home: &Cache,
        members: &mut BTreeMap<String, Member>,
        news: &Arc<Notify>,
        stop: &CancellationToken,
    ) {
        let registered = registrations(&home.seen(), self.namespace);
        members.retain(|name, member| registered.get(name) == Some(&member.kubeconfig));
        for (name, kubeconfig) in registered {
            if members.contains_key(&name) {
                continue;
            }
            match connect(&kubeconfig).await {
                Ok(client) => {
                    let watching = stop.child_token();
                    let cache = Cache::watch(&client, self.reads, &watching);
                    forward(&cache, news, &watching);
                    let writer = Writer { client, manager: self.manager, root: None };
                    members.insert(name, Member { kubeconfig, cache, writer, _watching: watching.drop_guard() });
                }
                Err(error) => tracing::warn!(cluster = name, "registration cannot be used: {error:#}"),
            }
        }
    }
}

/// Passes on the changes of a cache until `stop`.
pub fn forward(cache: &Cache, news: &Arc<Notify>, stop: &CancellationToken) {
    let (mut changes, news) = (cache.changes(), news.clone());
    let pass_on = async move {
        while changes.changed().await.is_ok() {
            news.notify_one();
        }
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(pass_on));
}

/// Kubeconfigs by the names of their Secrets.
fn registrations(seen: &Observed, space: &str) -> BTreeMap<String, String> {
    let secrets = seen.all(Kind::Secret).filter(|s| s["type"] == REGISTRATION && namespace(s) == space);
    let kubeconfig = |s| {
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(text(s, &format!("/data/{REGISTRATION_KEY}"))).ok()?;
        Some((name(s).to_string(), String::from_utf8(bytes).ok()?))
    };
    secrets.filter_map(kubeconfig).collect()
}

/// A client by a kubeconfig's text.
pub async fn connect(kubeconfig: &str) -> anyhow::Result<kube::Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("reading the kubeconfig")?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.context("reading the kubeconfig")?).context("making a client")
}
