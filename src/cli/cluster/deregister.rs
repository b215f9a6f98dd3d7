//! `failctl cluster deregister`.

use std::collections::BTreeMap;

use super::journal::{self, Journal};
use super::roll::{Roll, RollArgs};
use super::undo::deletion;
use crate::cli::Ctx;
use crate::cli::road::{self, WriteArgs};
use crate::cluster::{Want, observe};
use crate::compile::membership::account::MEMBER_LABEL;
use crate::compile::membership::{Account, Purpose, Stored, registration};
use crate::error::{Exit, Failure};
use crate::manifest::{ObjectKey, World};
use crate::model::fleet::Cluster;
use crate::model::problem::Problem;
use crate::plan::{self, Blocked, Plan, Reason};

/// Arguments of `failctl cluster deregister`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Registrations go first, on every cluster that has one, then the account, which ends its credentials at once. A dead
cluster is no obstacle: what cannot be removed on it is listed with the commands that do it later (exit code 6); with
--gone it is not asked at all. A namespace stays, whoever made it.

Examples:
  failctl cluster deregister west
  failctl cluster deregister west --gone --yes")]
pub struct Args {
    /// The member; it need not be in the fleet document any more
    #[arg(value_name = "CLUSTER", add = crate::cli::complete::clusters())]
    pub cluster: String,
    /// The cluster is gone for good: do not look for it
    #[arg(long)]
    pub gone: bool,
    /// Which clusters
    #[command(flatten)]
    pub roll: RollArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// Kinds of an account on a member.
const KINDS: [(&str, &str); 5] = [
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("v1", "ServiceAccount"),
];

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    ctx.block_on(async {
        let roll = Roll::call(ctx, &args.roll, |_| Vec::new()).await?;
        let member = roll.fleet.clusters.get(args.cluster.as_str());
        if member.is_none() && roll.registrations_of(&args.cluster).is_empty() {
            stranger(&roll, &args.cluster)?;
        }
        still_used(&roll, &args)?;
        let planner = || async { away(&roll, member, &args).await };
        let exit = road::go(ctx, &roll.clients, &args.writing, "delete", planner).await?;
        if args.writing.dry_run.is_some() {
            return Ok(exit);
        }
        if matches!(exit, Exit::Ok | Exit::Partial) {
            forget(&args.cluster)?;
        }
        match member {
            Some(member) if !args.gone && roll.away(member.name.as_str()).is_some() => later(ctx, member),
            None => ctx.ui.say(format!(
                "`{}` is not in the fleet document: its account, if the cluster lives, was not looked for",
                args.cluster
            )),
            _ => {}
        }
        Ok(exit)
    })?
}

/// Neither the fleet document nor what could be read of the clusters that keep registrations knows of it.
fn stranger(roll: &Roll, name: &str) -> Result<(), Failure> {
    match roll.unread_of(roll.keepers()).first_key_value() {
        Some((cluster, why)) => Err(Failure::because(
            Exit::Unreachable,
            format!(
                "`{name}` is not in the fleet document, and whether it is registered is not known: {cluster} cannot be \
                 reached: {why}"
            ),
        )),
        None => roll.member(name).map(drop),
    }
}

/// Nothing that names the member may hang in the air: Federation cannot delete a scheme whose cluster it cannot ask.
fn still_used(roll: &Roll, args: &Args) -> Result<(), Failure> {
    let Some(place) = roll.management.as_ref().filter(|_| !args.writing.force) else { return Ok(()) };
    let mut naming = Vec::new();
    for (key, scheme) in roll.world.all(place.cluster.as_str(), "fed.solo.io", "FailoverScheme") {
        let groups = scheme["spec"]["failoverGroups"].as_array().into_iter().flatten();
        let mut targets = groups.flat_map(|g| g["priorityGroup"].as_array().into_iter().flatten());
        if scheme["spec"]["primary"]["clusterName"] == args.cluster.as_str()
            || targets.any(|t| t["cluster"] == args.cluster.as_str())
        {
            naming.push(key.to_string());
        }
    }
    if naming.is_empty() {
        return Ok(());
    }
    let what = format!("`{}` is still named by {}", args.cluster, naming.join(", "));
    let hint = "delete those first (`failctl delete`), or they can neither work nor be deleted afterwards; `--force` goes on";
    Err(Failure { exit: Exit::Refused, ..Failure::input(vec![Problem::error("FCT0705", what).hint(hint)]) })
}

/// What is there of the member, in the order in which it goes.
async fn away(roll: &Roll, member: Option<&Cluster>, args: &Args) -> Result<Plan, Failure> {
    let world = observe(&roll.clients, &wants(roll, member, args)).await;
    let mut plan = Plan::default();
    let mut strangers = Vec::new();
    let mut kubernetes_clusters = Vec::new();
    let mut secrets = Vec::new();
    for (key, there) in world.clusters.values().flat_map(|o| &o.by_key) {
        let into = match key.gvk.kind.as_str() {
            "KubernetesCluster" => &mut kubernetes_clusters,
            "Secret" => match Stored::read(key, there).as_slice() {
                [one] if one.member == args.cluster => &mut secrets,
                _ => continue,
            },
            _ => continue,
        };
        if !plan::is_ours(there) && !args.writing.force {
            strangers.push(key.to_string());
        }
        into.push(deletion(key, there));
    }
    if !strangers.is_empty() {
        let what = format!("failctl did not make {}", strangers.join(", "));
        let hint = "whoever made the registration should take it away (`glooctl cluster deregister`); `--force` does it here";
        return Err(Failure { exit: Exit::Refused, ..Failure::input(vec![Problem::error("FCP0101", what).hint(hint)]) });
    }
    plan.waves.extend([kubernetes_clusters, secrets]);
    for (_, kind) in KINDS {
        let all = world.clusters.values().flat_map(|o| &o.by_key).filter(|(k, _)| k.gvk.kind == kind);
        plan.waves.push(all.map(|(k, v)| deletion(k, v)).collect());
    }
    let wave = plan.waves.len() - 1;
    let unreachable: BTreeMap<_, _> =
        world.clusters.iter().filter_map(|(c, o)| Some((c.clone(), o.unreachable.clone()?))).collect();
    for key in unread(roll, member, args, &world) {
        let why = unreachable.get(&key.cluster).cloned().unwrap_or_default();
        let owner = key.cluster.to_string();
        plan.blocked.push(Blocked { key, wave, owner, why, reason: Reason::Unreachable });
    }
    plan.unreachable = unreachable;
    Ok(plan)
}

fn wants(roll: &Roll, member: Option<&Cluster>, args: &Args) -> Vec<Want> {
    let mut wants = Vec::new();
    let name = args.cluster.as_str();
    if let Some(place) = &roll.management {
        wants.push(Want::all(registration::MULTICLUSTER, "KubernetesCluster").within(&place.namespace).named(name).on(&place.cluster));
        wants.push(Want::all("v1", "Secret").within(&place.namespace).named(name).on(&place.cluster));
    }
    for stored in roll.registrations_of(name) {
        let place = &stored.place;
        wants.push(Want::all("v1", "Secret").within(&place.namespace).named(&stored.secret).on(&place.cluster));
    }
    for place in member.into_iter().flat_map(|m| roll.places(m).into_iter().map(move |p| (m, p))) {
        let (member, place) = place;
        wants.push(Want::all("v1", "Secret").within(&place.namespace).named(place.secret(&member.name)).on(&place.cluster));
    }
    if let Some(member) = member.filter(|_| !args.gone) {
        let selector = format!("{MEMBER_LABEL}={name}");
        wants.extend(KINDS.map(|(v, k)| Want::all(v, k).labelled(&selector).on(&member.name)));
    }
    if args.gone {
        wants.retain(|w| w.cluster.as_ref().is_none_or(|c| c.as_str() != name));
    }
    wants.sort();
    wants.dedup();
    wants
}

/// What would be removed on clusters that could not be read.
fn unread(roll: &Roll, member: Option<&Cluster>, args: &Args, world: &World) -> Vec<ObjectKey> {
    let away = |c: &str| world.clusters.get(c).is_some_and(|o| o.unreachable.is_some());
    let Some(member) = member else { return Vec::new() };
    let mut keys: Vec<ObjectKey> = Vec::new();
    if !args.gone && away(member.name.as_str()) {
        keys.extend(accounts(member).iter().flat_map(Account::manifests).map(|m| m.key));
    }
    for place in roll.places(member).into_iter().filter(|p| away(p.cluster.as_str()) && p.cluster != member.name) {
        keys.push(ObjectKey {
            cluster: place.cluster.clone(),
            gvk: crate::manifest::Gvk::new("v1", "Secret"),
            namespace: Some(place.namespace.clone()),
            name: place.secret(&member.name),
        });
    }
    keys
}

/// The accounts a member may have.
fn accounts(member: &Cluster) -> Vec<Account> {
    let of = |purpose: Purpose, namespace: String| Account { cluster: member.name.clone(), purpose, namespace };
    let federation = member.gloo.as_ref().map(|g| of(Purpose::Federation, g.namespace.to_string()));
    let mesh = member.istio.as_ref().map(|i| of(Purpose::Mesh, i.namespace.to_string()));
    federation.into_iter().chain(mesh).collect()
}

/// How to remove on the member what could not be removed now.
fn later(ctx: &Ctx, member: &Cluster) {
    let mut lines = Vec::new();
    for key in accounts(member).iter().flat_map(Account::manifests).map(|m| m.key) {
        let within = key.namespace.as_ref().map(|n| format!(" -n {n}")).unwrap_or_default();
        let kind = key.gvk.kind.to_lowercase();
        lines.push(format!("  kubectl --context {}{within} delete {kind} {} --ignore-not-found", member.context, key.name));
    }
    ctx.ui.say(format!(
        "{} could not be reached: its account is still there, and so are credentials for it until they end.\nWhen it is \
         back, `failctl cluster deregister {}` removes it, or by hand:\n{}",
        member.name,
        member.name,
        lines.join("\n")
    ));
}

/// An interrupted registration of the member is no longer of interest.
fn forget(member: &str) -> Result<(), Failure> {
    for path in journal::all()? {
        if journal::read(&path)?.member == member {
            Journal::open(&path).map_err(|e| Failure::new(Exit::Refused, e))?.close()?;
        }
    }
    Ok(())
}
