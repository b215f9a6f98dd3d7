//! `failctl certs install`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Where;
use super::material::{Slot, slots};
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::picture::Ground;
use crate::cli::road::{self, WriteArgs};
use crate::cluster::{Want, observe};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, World};
use crate::model::problem::{Problem, Severity};
use crate::pki::{self, Issued, Party, Role};
use crate::plan;

/// Arguments of `failctl certs install`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Between gateways each secret has tls.crt, tls.key and ca.crt, on both sides: each gateway verifies the other. A mesh
gets Istio's cacerts: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem.

Example:
  failctl certs generate && failctl certs install")]
pub struct Args {
    /// Where they lie
    #[command(flatten)]
    pub place: Where,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let ground = Ground::new(ctx, &args.place.documents, &[])?;
    let slots = slots(&ground)?;
    if slots.is_empty() {
        let why = "no failover and no mesh needs a certificate";
        return Err(Failure::because(Exit::Input, why).hint("add a failover document; `failctl init` writes one to start from"));
    }
    let store = Store::at(args.place.dir());
    store.settled()?;
    let desired = manifests(&ground, &store, &slots, Timestamp::now())?;
    let root = store.text(&store.root_paths().0)?.unwrap_or_default();
    let options = plan::Options { force: args.writing.force, last: ground.primaries(), ..plan::Options::default() };
    let force = args.writing.force;
    let exit = ctx.block_on(async {
        let wants = Want::for_manifests(&desired);
        let planner = || async {
            let world = observe(&ground.clients, &wants).await;
            if !force {
                abrupt(&slots, &world, &root)?;
            }
            let planned = plan::between(&desired, &world, &options);
            planned.map_err(|p| Failure { exit: Exit::Refused, ..Failure::input(p) })
        };
        road::go(ctx, &ground.clients, &args.writing, "write", planner).await
    })??;
    let meshes = slots.iter().any(|s| s.party.role == Role::IstioCa);
    if meshes && exit == Exit::Ok && args.writing.dry_run.is_none() {
        ctx.ui.say("a running istiod takes a new cacerts up within a minute; one that had made a root of its own must be restarted once");
    }
    Ok(exit)
}

/// A mesh that runs under another root would be cut in two until every workload has a new certificate.
fn abrupt(slots: &[Slot], world: &World, root: &str) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for slot in slots.iter().filter(|s| s.party.role == Role::IstioCa) {
        let Some(there) = slot.installed(world) else { continue };
        if !pki::trusts(&there.roots, root).unwrap_or(false) {
            let what = format!("{slot} trusts another root: its workloads and those with new certificates would refuse each other");
            let hint = "`failctl certs rotate --begin` replaces a root without that; `--force` writes it all the same";
            problems.push(Problem::error("FCK0119", what).hint(hint));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure { exit: Exit::Refused, ..Failure::input(problems) }) }
}

fn manifests(ground: &Ground, store: &Store, slots: &[Slot], now: Timestamp) -> Result<Vec<Manifest>, Failure> {
    let ca = store.text(&store.root_paths().0)?;
    let mut problems = Vec::new();
    let mut checked: BTreeMap<&Party, bool> = BTreeMap::new();
    let mut made = Vec::new();
    for slot in slots {
        let issued = store.read(&store.paths(&slot.party))?;
        let good = *checked.entry(&slot.party).or_insert_with(|| {
            let problem = stands_against(ground, store, &slot.party, issued.as_ref(), ca.as_deref(), now);
            let good = problem.is_none();
            problems.extend(problem);
            good
        });
        if let (true, Some(issued), Some(ca)) = (good, issued, ca.as_deref()) {
            made.extend(slot.manifest(issued, ca, ca));
        }
    }
    if problems.is_empty() { Ok(made) } else { Err(Failure::input(problems)) }
}

/// Why a party's material must not be installed.
fn stands_against(
    ground: &Ground,
    store: &Store,
    party: &Party,
    issued: Option<&Issued>,
    ca: Option<&String>,
    now: Timestamp,
) -> Option<Problem> {
    let file = store.paths(party).0;
    let generate = "`failctl certs generate` makes what is missing and renews what is no good";
    let (Some(issued), Some(ca)) = (issued, ca) else {
        let what = format!("{}: there is no {} certificate ({})", party.cluster, party.role.as_str(), file.display());
        return Some(Problem::error("FCK0114", what).hint(generate));
    };
    let name = party.pinned(&ground.documents.fleet);
    let found = pki::keeps(party.role, &name, &issued.certificate, &issued.key, ca, now).err()?;
    let bad = found.iter().find(|f| f.severity == Severity::Error).or_else(|| found.first())?;
    Some(Problem::error(bad.code, format!("{}: {}", file.display(), bad.what)).hint(generate))
}
