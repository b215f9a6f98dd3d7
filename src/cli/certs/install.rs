//! `failctl certs install`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Where;
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::picture::{Ground, site};
use crate::cli::road::{self, WriteArgs};
use crate::cluster::{Want, observe};
use crate::compile::{self, SecretNeed, Side};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, World};
use crate::model::name::Namespace;
use crate::model::problem::Problem;
use crate::pki::{self, Issued, Pair, Party, Role};
use crate::plan;

/// Arguments of `failctl certs install`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Each secret has tls.crt, tls.key and ca.crt, on both sides: each gateway verifies the other.

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
    let needs = needs(&ground)?;
    if needs.is_empty() {
        let why = "no failover needs a certificate";
        return Err(Failure::because(Exit::Input, why).hint("add a failover document; `failctl init` writes one to start from"));
    }
    let desired = manifests(&ground, &Store::at(args.place.dir()), &needs, Timestamp::now())?;
    let options = plan::Options { force: args.writing.force, last: ground.primaries(), ..plan::Options::default() };
    ctx.block_on(async {
        let wants = Want::for_manifests(&desired);
        let planner = || async {
            let world = observe(&ground.clients, &wants).await;
            let planned = plan::between(&desired, &world, &options);
            planned.map_err(|p| Failure { exit: Exit::Refused, ..Failure::input(p) })
        };
        road::go(ctx, &ground.clients, &args.writing, "write", planner).await
    })?
}

/// The secrets that the documents' objects name.
pub fn needs(ground: &Ground) -> Result<Vec<SecretNeed>, Failure> {
    let compiled = compile::documents(&ground.documents, &site(ground, &World::default(), true))?;
    // An identity in a mesh comes from the mesh's own authority, not from the root of the gateways.
    Ok(compiled.secrets.into_iter().filter(|n| n.side != Side::Mesh).collect())
}

/// Whose certificate a secret holds.
pub fn party(need: &SecretNeed) -> Party {
    let role = match need.side {
        Side::Server => Role::Server,
        Side::Client | Side::Mesh => Role::Client,
    };
    Party { cluster: need.cluster.clone(), role }
}

fn manifests(ground: &Ground, store: &Store, needs: &[SecretNeed], now: Timestamp) -> Result<Vec<Manifest>, Failure> {
    let fleet = &ground.documents.fleet.name;
    let ca = store.text(&store.root_paths().0)?;
    let mut problems = Vec::new();
    let mut read: BTreeMap<Party, Option<Issued>> = BTreeMap::new();
    for need in needs {
        let party = party(need);
        if let std::collections::btree_map::Entry::Vacant(vacant) = read.entry(party.clone()) {
            let issued = store.read(&store.paths(&party))?;
            problems.extend(stands_against(fleet, store, &party, issued.as_ref(), ca.as_deref(), now));
            vacant.insert(issued);
        }
    }
    if !problems.is_empty() {
        return Err(Failure::input(problems));
    }
    let made = needs.iter().filter_map(|need| {
        let issued = read.get(&party(need))?.as_ref()?;
        let namespace = Namespace::new(need.namespace.clone()).ok()?;
        let pair = Pair { chain: &issued.certificate, key: &issued.key, ca: ca.as_deref()? };
        Some(pki::secret(&need.cluster, &namespace, &need.name, pair))
    });
    Ok(made.collect())
}

/// Why a party's material must not be installed.
fn stands_against(
    fleet: &str,
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
    let found = pki::keeps(fleet, party, &issued.certificate, &issued.key, ca, now).err()?;
    let bad = found.into_iter().find(|f| f.severity == crate::model::problem::Severity::Error)?;
    Some(Problem::error(bad.code, format!("{}: {}", file.display(), bad.what)).hint(generate))
}
