//! `failctl delete`.

use std::collections::BTreeSet;

use super::Ctx;
use super::documents::DocumentArgs;
use super::picture::{Ground, narrowed, owners as names, site};
use super::road::{self, WriteArgs};
use crate::cluster::{Want, observe};
use crate::compile::{self, Compiled};
use crate::error::{Exit, Failure};
use crate::manifest::{MANAGED_BY, MEMBERSHIP_OWNER, OWNER_LABEL, TRUST_OWNER, World};
use crate::model::problem::Problem;
use crate::plan::{self, Plan, Scope};
use crate::spec::Documents;

/// Arguments of `failctl delete`.
#[derive(clap::Args, Debug)]
#[command(after_help = "What failctl created goes, found by its labels; of objects that were there before, only its fields and
routes are given back. What failovers share (failover gateways, certificates) goes with the last of them.

Examples:
  failctl delete color
  failctl delete
  failctl delete --all --yes")]
pub struct Args {
    /// Only these failovers (default: all of the documents, and the vendor documents given)
    #[arg(value_name = "FAILOVER", add = super::complete::failovers())]
    pub failovers: Vec<String>,
    /// Everything failctl ever wrote for failovers, whatever the documents say now. Membership (`cluster deregister`) and
    /// the trust of meshes stay
    #[arg(long, conflicts_with = "failovers")]
    pub all: bool,
    /// Documents
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// Kinds in which failctl creates objects.
const CREATED: [(&str, &str); 5] = [
    ("v1", "Secret"),
    ("v1", "Service"),
    ("gateway.solo.io/v1", "Gateway"),
    ("fed.solo.io/v1", "FailoverScheme"),
    ("gateway.solo.io/v1", "VirtualService"),
];

/// EnvoyFilter never left it.
const ENVOY_FILTER: &str = "networking.istio.io/v1alpha3";

/// The same on clusters that run Istio.
const CREATED_IN_MESHES: [&str; 5] = [
    "DestinationRule", "Gateway", "ServiceEntry", "VirtualService", "EnvoyFilter",
];

/// Kinds in which failctl has fields or items of other people's objects.
const SHARED: [(&str, &str); 2] = [("gateway.solo.io/v1", "VirtualService"), ("gloo.solo.io/v1", "Upstream")];

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let mut documents = args.documents.load(ctx)?;
    let (known, gone): (Vec<_>, Vec<_>) = args
        .failovers
        .iter()
        .cloned()
        .partition(|n| documents.failovers.iter().any(|f| f.name.as_str() == n));
    keep(&mut documents, &args.failovers, &known)?;
    let ground = Ground::of(ctx, documents)?;
    ctx.block_on(async {
        let planner = || async { away(&ground, &args, &gone).await };
        road::go(ctx, &ground.clients, &args.writing, "delete or give back", planner).await
    })?
}

/// Keeps the failovers that are named; with only names that no document has, none.
fn keep(documents: &mut Documents, named: &[String], known: &[String]) -> Result<(), Failure> {
    if !named.is_empty() && known.is_empty() {
        documents.failovers.clear();
        documents.foreign.clear();
        documents.smh.clear();
        return Ok(());
    }
    documents.only(known).map_err(|p| Failure::input(vec![p]))
}

async fn away(ground: &Ground, args: &Args, gone: &[String]) -> Result<Plan, Failure> {
    let documents = &ground.documents;
    let draft = compile::documents(documents, &site(ground, &World::default(), true))?;
    let world = observe(&ground.clients, &wants(ground, &draft)).await;
    // Where a VirtualService serves the hosts already, the routes are in that one; addresses do not matter here.
    let mut site = site(ground, &world, true);
    site.virtual_services = compile::Site::from_world(&world).virtual_services;
    let compiled = compile::documents(documents, &site)?;
    let named: BTreeSet<String> = args.failovers.iter().cloned().collect();
    let smh = documents.smh.iter().map(|d| d.reference().name.to_string());
    let listed: BTreeSet<String> = documents.failovers.iter().map(|f| f.name.to_string()).chain(smh).collect();
    let mut owners = if named.is_empty() { listed } else { named };
    let there = plan::owners(&world);
    if let Some(unknown) = gone.iter().find(|n| !there.contains(*n)) {
        let what = format!("no failover is named `{unknown}`, neither in the documents nor on the clusters");
        return Err(Failure::input(vec![Problem::error("FCT0117", what).hint(format!("there are: {}", list(&there)))]));
    }
    if plan::others(&owners, &compiled.manifests, &world).is_empty() && world.clusters.values().all(|o| o.unreachable.is_none()) {
        owners.insert("fleet".into());
    }
    let scope =
        Scope { owners: (!args.all).then_some(owners), first: ground.primaries(), names: names(documents, &site) };
    Ok(plan::removal(&scope, &compiled.manifests, &world))
}

fn list(names: &BTreeSet<String>) -> String {
    if names.is_empty() { "none".into() } else { names.iter().cloned().collect::<Vec<_>>().join(", ") }
}

fn wants(ground: &Ground, draft: &Compiled) -> Vec<Want> {
    // What makes a cluster a member, and a mesh's trust, outlive failovers and have commands of their own.
    let selector =
        format!("{}={},{OWNER_LABEL} notin ({MEMBERSHIP_OWNER},{TRUST_OWNER})", MANAGED_BY.0, MANAGED_BY.1);
    let mut wants = Want::for_manifests(&draft.manifests);
    for cluster in ground.clients.clusters() {
        let created = CREATED.iter().map(|(v, k)| Want::all(v, k).on(cluster).labelled(&selector));
        let shared = SHARED.iter().map(|(v, k)| Want::all(v, k).on(cluster));
        let istio = ground.documents.fleet.clusters.get(cluster).and_then(|c| c.istio.as_ref());
        let mesh = istio.into_iter().flat_map(|istio| {
            CREATED_IN_MESHES.iter().map(|kind| {
                let version = if *kind == "EnvoyFilter" { ENVOY_FILTER } else { compile::istio::networking(istio) };
                Want::all(version, kind).on(cluster).labelled(&selector)
            })
        });
        wants.extend(created.chain(shared).chain(mesh).flat_map(|w| narrowed(ground, w)));
    }
    wants.sort();
    wants.dedup();
    wants
}
