//! The roll: who the clusters of a fleet are, and what is registered where. Read once per command. Shared by the
//! commands of this folder; no command itself.

use std::collections::BTreeMap;

use futures::StreamExt;

use crate::cli::Ctx;
use crate::cli::documents::DocumentArgs;
use crate::cluster::{Clients, Trouble, Want, identity, observe};
use crate::compile::membership::registration::{MULTICLUSTER, REMOTE_LABEL};
use crate::compile::membership::{Place, Purpose, Stored};
use crate::error::{Exit, Failure};
use crate::manifest::World;
use crate::model::fleet::{Cluster, Fleet};
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// Which clusters, and where registrations are kept.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct RollArgs {
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// The cluster on which Gloo Federation runs (default: the first of the fleet that has federation)
    #[arg(long, value_name = "CLUSTER")]
    pub management: Option<String>,
    /// Namespace of registrations there (default: where there are some, else Federation's)
    #[arg(long, value_name = "NAMESPACE")]
    pub federation_namespace: Option<String>,
}

/// The roll.
pub struct Roll {
    /// The fleet.
    pub fleet: Fleet,
    /// The way to its clusters.
    pub clients: Clients,
    /// What was read: registrations, and whatever a command asked for besides.
    pub world: World,
    /// Who each cluster is, or why nobody knows.
    pub uids: BTreeMap<ClusterName, Result<String, Trouble>>,
    /// Where Federation's registrations are kept.
    pub management: Option<Place>,
}

impl Roll {
    /// Reads documents and clusters. `more` is read besides.
    pub async fn call(ctx: &Ctx, args: &RollArgs, more: impl Fn(&Fleet) -> Vec<Want>) -> Result<Roll, Failure> {
        let fleet = args.documents.load(ctx)?.fleet;
        let clients = Clients::of(&fleet, ctx.global.kubeconfig.as_deref())?;
        let manager = manager(&fleet, args)?;
        let mut wants = more(&fleet);
        if let Some(cluster) = manager {
            for namespace in namespaces(cluster, args) {
                wants.push(Want::all("v1", "Secret").within(&namespace).on(&cluster.name));
                wants.push(Want::all(MULTICLUSTER, "KubernetesCluster").within(&namespace).on(&cluster.name));
            }
            wants.push(Want::all("fed.solo.io/v1", "FailoverScheme").on(&cluster.name));
        }
        for (cluster, istio) in fleet.clusters.values().filter_map(|c| Some((c, c.istio.as_ref()?))) {
            let remote = Want::all("v1", "Secret").within(istio.namespace.as_str()).on(&cluster.name);
            wants.push(remote.labelled(format!("{}={}", REMOTE_LABEL.0, REMOTE_LABEL.1)));
        }
        let (world, uids) = tokio::join!(observe(&clients, &wants), uids(&clients));
        let mut roll = Roll { fleet, clients, world, uids, management: None };
        roll.management = manager_place(&roll, args)?;
        Ok(roll)
    }

    /// A cluster of the fleet.
    pub fn member(&self, name: &str) -> Result<&Cluster, Failure> {
        self.fleet.clusters.get(name).ok_or_else(|| unknown(name))
    }

    /// Every registration that could be read.
    pub fn registrations(&self) -> Vec<Stored> {
        let all = self.world.clusters.values().flat_map(|o| &o.by_key);
        all.filter(|(key, _)| key.gvk.kind == "Secret").flat_map(|(key, body)| Stored::read(key, body)).collect()
    }

    /// The registrations of one member.
    pub fn registrations_of(&self, member: &str) -> Vec<Stored> {
        self.registrations().into_iter().filter(|s| s.member == member).collect()
    }

    /// Where a member is to be registered.
    pub fn places(&self, member: &Cluster) -> Vec<Place> {
        let federation = self.management.clone().filter(|_| member.gloo.is_some());
        let others = self.fleet.clusters.values().filter(|c| member.istio.is_some() && c.name != member.name);
        let mesh = others.filter_map(|c| {
            let namespace = c.istio.as_ref()?.namespace.to_string();
            Some(Place { cluster: c.name.clone(), namespace, purpose: Purpose::Mesh })
        });
        federation.into_iter().chain(mesh).collect()
    }

    /// The clusters that keep registrations, of whomever: Federation's, and each with Istio.
    pub fn keepers(&self) -> Vec<ClusterName> {
        let mesh = self.fleet.clusters.values().filter(|c| c.istio.is_some()).map(|c| c.name.clone());
        self.management.iter().map(|place| place.cluster.clone()).chain(mesh).collect()
    }

    /// The clusters that would keep a member's registrations and could not be read, with the reason.
    pub fn unread(&self, member: &Cluster) -> BTreeMap<ClusterName, String> {
        self.unread_of(self.places(member).into_iter().map(|place| place.cluster))
    }

    /// Which of these clusters could not be read, with the reason.
    pub fn unread_of(&self, keepers: impl IntoIterator<Item = ClusterName>) -> BTreeMap<ClusterName, String> {
        let all = keepers.into_iter();
        all.filter_map(|c| Some((c.clone(), self.world.clusters.get(&c)?.unreachable.clone()?))).collect()
    }

    /// Why a cluster's objects are not known; nothing when they are.
    pub fn away(&self, cluster: &str) -> Option<&Trouble> {
        self.uids.get(cluster).and_then(|u| u.as_ref().err())
    }
}

/// The failure of a command that needs a cluster which does not answer, or says no.
pub fn trouble(cluster: &str, doing: &str, trouble: &Trouble) -> Failure {
    match trouble {
        Trouble::Unreachable(why) => {
            Failure::because(Exit::Unreachable, format!("{cluster} cannot be reached ({doing}): {why}"))
        }
        Trouble::Refused { code, message } => {
            Failure::because(Exit::Refused, format!("{cluster} refused ({doing}): {message} ({code})"))
        }
    }
}

fn unknown(name: &str) -> Failure {
    let what = format!("the fleet document has no cluster `{name}`");
    let hint = format!(
        "failctl reads that document and never edits it; add an entry, for example\n  - {{name: {name}, context: {name}, \
         gloo: {{edition: enterprise, version: 1.18.3}}, istio: {{version: 1.27.0}}}}"
    );
    Failure::input(vec![Problem::error("FCT0706", what).hint(hint)])
}

fn manager<'a>(fleet: &'a Fleet, args: &RollArgs) -> Result<Option<&'a Cluster>, Failure> {
    match &args.management {
        Some(name) => fleet.clusters.get(name.as_str()).map(Some).ok_or_else(|| unknown(name)),
        None => Ok(fleet.clusters.values().find(|c| c.gloo.as_ref().is_some_and(|g| g.federation.is_some()))),
    }
}

/// Where registrations may be, the likeliest first: the namespace that was named; else where Federation runs, which
/// since Gloo 1.8 is Gloo's own namespace (it became a part of its chart) and before was one of its own.
fn namespaces(cluster: &Cluster, args: &RollArgs) -> Vec<String> {
    if let Some(namespace) = &args.federation_namespace {
        return vec![namespace.clone()];
    }
    let Some(gloo) = &cluster.gloo else { return vec!["gloo-system".into()] };
    let mut all = vec![gloo.namespace.to_string()];
    all.extend(gloo.federation.as_ref().map(|n| n.to_string()).filter(|n| *n != all[0]));
    if !gloo.version.at_least(1, 8, 0) {
        all.reverse();
    }
    all
}

/// Registrations go where there are some already: Federation knows a cluster by its Secret's name and ignores the
/// namespace, so two namespaces would give one name twice.
fn manager_place(roll: &Roll, args: &RollArgs) -> Result<Option<Place>, Failure> {
    let Some(cluster) = manager(&roll.fleet, args)? else { return Ok(None) };
    let used = roll.registrations().into_iter().find(|s| s.place.purpose == Purpose::Federation);
    let namespace = match used {
        Some(stored) if args.federation_namespace.is_none() => stored.place.namespace,
        _ => namespaces(cluster, args).remove(0),
    };
    Ok(Some(Place { cluster: cluster.name.clone(), namespace, purpose: Purpose::Federation }))
}

async fn uids(clients: &Clients) -> BTreeMap<ClusterName, Result<String, Trouble>> {
    let asked = clients.clusters().cloned().map(|cluster| async move {
        let uid = async { identity(&clients.client(cluster.as_str()).await?).await };
        let uid = uid.await;
        (cluster, uid)
    });
    futures::stream::iter(asked).buffer_unordered(16).collect().await
}
