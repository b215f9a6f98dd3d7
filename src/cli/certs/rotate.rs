//! `failctl certs rotate`.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Where;
use super::issue::{self, Root, Wish, failed};
use super::material::{Slot, slots};
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::picture::Ground;
use crate::cli::road::{self, WriteArgs, duration};
use crate::cluster::{Want, observe};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, World};
use crate::pki::{self, Algorithm, Issued, Lifetimes, Role, Seen, Step};
use crate::plan;

/// Arguments of `failctl certs rotate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Three steps: everyone trusts both roots, everyone takes a certificate of the new one, the old root goes. Each call does
the next step on every cluster, and finds out from the clusters which that is; stopped anywhere, every pair still talks
and the next call goes on. A cluster that cannot be asked stops it: nobody may be left behind.

Exit codes: 0 the step is done, 4 a cluster cannot be reached, 5 it is too early for the next step, 6 the step is not
done everywhere yet: call it again.

Examples:
  failctl certs rotate --begin        # a new root beside the old one, and step 1
  failctl certs rotate                # the next step
  failctl certs rotate --begin --root-cert corporate.crt --root-key corporate.key")]
pub struct Args {
    /// Where they lie
    #[command(flatten)]
    pub place: Where,
    /// Begin: make the root that takes over
    #[arg(long)]
    pub begin: bool,
    /// Your own root to go over to: its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "root_key", requires = "begin")]
    pub root_cert: Option<PathBuf>,
    /// Your own root's key: PEM in PKCS#8, PKCS#1 or SEC1, not encrypted
    #[arg(long, value_name = "FILE", requires = "root_cert")]
    pub root_key: Option<PathBuf>,
    /// Key algorithm: ecdsa-p256, rsa-2048 or rsa-4096
    #[arg(long, value_name = "ALGORITHM", default_value = "ecdsa-p256", value_parser = Algorithm::parse)]
    pub algorithm: Algorithm,
    /// Days the new certificates are valid
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().leaf, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Days the new root is valid
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().root, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub root_days: u32,
    /// How long the workloads of a mesh may live on what they got before a step (Istio's certificates: 24h)
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub after: Duration,
    /// How to write
    #[command(flatten)]
    pub writing: WriteArgs,
}

/// The two roots.
struct Roots {
    old: String,
    new: String,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let ground = Ground::new(ctx, &args.place.documents, &[])?;
    let slots = slots(&ground)?;
    let store = Store::at(args.place.dir());
    if !store.rotating() && !args.begin {
        ctx.ui.say(format!("no root in {} is being replaced; --begin starts", store.dir().display()));
        return Ok(Exit::Ok);
    }
    let Some(old) = store.text(&store.root_paths().0)? else {
        let why = format!("there is no root in {} that could be replaced", store.dir().display());
        return Err(Failure::because(Exit::Input, why).hint("`failctl certs generate` makes the first one"));
    };
    let _lock = store.lock()?;
    if args.writing.dry_run.is_some() && !store.rotating() {
        ctx.ui.say("it would make a new root and certificates under it, then: trust both roots everywhere");
        return Ok(Exit::Ok);
    }
    if !store.rotating() {
        prepare(&args, &ground, &store, ctx)?;
    }
    let next = store.next();
    let new = store.next().text(&next.root_paths().0)?.ok_or_else(|| {
        Failure::because(Exit::Input, format!("{} is gone", next.root_paths().0.display()))
    })?;
    let roots = Roots { old: old.to_string(), new: new.to_string() };
    // One runtime: a client belongs to the one it was made on.
    ctx.block_on(carry_out(ctx, &args, &ground, &slots, &store, &roots))?
}

/// Does the next step, and the folder's own when that was the last.
async fn carry_out(
    ctx: &Ctx,
    args: &Args,
    ground: &Ground,
    slots: &[Slot],
    store: &Store,
    roots: &Roots,
) -> Result<Exit, Failure> {
    let world = look(ground, slots).await?;
    let step = next_step(slots, &world, roots)?;
    if step == Step::Done {
        store.promote()?;
        ctx.ui.say("done: everything is under the new root, and so is the folder");
        return Ok(Exit::Ok);
    }
    early(slots, &world, args)?;
    ctx.ui.say(format!("step {} of 3: {}", step.number(), step.sentence()));
    let desired = desired(store, slots, &world, roots, step)?;
    let options = plan::Options { force: args.writing.force, last: ground.primaries(), ..plan::Options::default() };
    let wants = Want::for_manifests(&desired);
    let planner = || async {
        let world = observe(&ground.clients, &wants).await;
        let planned = plan::between(&desired, &world, &options);
        planned.map_err(|p| Failure { exit: Exit::Refused, ..Failure::input(p) })
    };
    let exit = road::go(ctx, &ground.clients, &args.writing, "write", planner).await?;
    if exit != Exit::Ok || args.writing.dry_run.is_some() {
        return Ok(exit);
    }
    let world = look(ground, slots).await?;
    after(ctx, args, slots, store, next_step(slots, &world, roots)?)
}

/// What there is to do after a step.
fn after(ctx: &Ctx, args: &Args, slots: &[Slot], store: &Store, next: Step) -> Result<Exit, Failure> {
    if next == Step::Done {
        store.promote()?;
        ctx.ui.say("done: everything is under the new root");
        return Ok(Exit::Ok);
    }
    let when = match slots.iter().any(|s| s.party.role == Role::IstioCa) {
        true => format!(
            "when every workload of the meshes has a certificate from after this step ({} h, or a restart and --after 0s)",
            args.after.as_secs().div_ceil(3600)
        ),
        false => "when the gateways have taken it up (seconds)".to_string(),
    };
    ctx.ui.say(format!("next, {when}: `failctl certs rotate` ({})", next.sentence()));
    Ok(Exit::Ok)
}

/// The new root and everyone's certificates under it, beside the old ones.
fn prepare(args: &Args, ground: &Ground, store: &Store, ctx: &Ctx) -> Result<(), Failure> {
    let root = match (&args.root_cert, &args.root_key) {
        (Some(certificate), Some(key)) => Root::Brought(certificate.clone(), key.clone()),
        _ => Root::New,
    };
    let wish =
        Wish { algorithm: args.algorithm, days: args.days, root_days: args.root_days, renew: true, root };
    let documents = &ground.documents;
    let parties = pki::parties(&documents.fleet, &documents.failovers);
    // Made to the side: what is half made is no rotation.
    let fresh = Store::at(store.dir().join(".next"));
    fresh.clear()?;
    let mut rows = issue::make(&documents.fleet, &parties, &fresh, &wish, Timestamp::now())?;
    let made = fresh.dir().to_path_buf();
    fresh.take_place(&store.next())?;
    for row in &mut rows {
        row.file = store.next().dir().join(row.file.strip_prefix(&made).unwrap_or(&row.file));
    }
    ctx.ui.say(super::generate::text(&rows).trim_end());
    Ok(())
}

/// What is installed; a cluster that cannot be asked is a reason to stop.
async fn look(ground: &Ground, slots: &[Slot]) -> Result<World, Failure> {
    let wants: Vec<_> = slots.iter().map(Slot::want).collect();
    let world = observe(&ground.clients, &wants).await;
    let away = world.clusters.iter().find_map(|(c, o)| Some((c, o.unreachable.as_ref()?)));
    match away {
        Some((cluster, why)) => {
            let what = format!("{cluster} cannot be asked: {why}");
            Err(Failure::because(Exit::Unreachable, what)
                .hint("no step is begun without it: its certificates would no longer fit the others'"))
        }
        None => Ok(world),
    }
}

fn seen(slot: &Slot, world: &World, roots: &Roots) -> Result<Seen, Failure> {
    let Some(there) = slot.installed(world) else { return Ok(Seen::default()) };
    let trusts = |root: &str| pki::trusts(&there.roots, root).unwrap_or(false);
    Ok(Seen {
        trusts_old: trusts(&roots.old),
        trusts_new: trusts(&roots.new),
        moved: pki::comes_from(&there.chain, &roots.new).unwrap_or(false),
    })
}

fn next_step(slots: &[Slot], world: &World, roots: &Roots) -> Result<Step, Failure> {
    let seen: Vec<Seen> = slots.iter().map(|s| seen(s, world, roots)).collect::<Result<_, _>>()?;
    Ok(pki::next(&seen))
}

/// Workloads of a mesh live on what they were given: until the last of them has something newer, the next step would
/// cut them off.
fn early(slots: &[Slot], world: &World, args: &Args) -> Result<(), Failure> {
    let now = Timestamp::now();
    let after = SignedDuration::try_from(args.after).unwrap_or(SignedDuration::MAX);
    let mut waiting = Vec::new();
    for slot in slots.iter().filter(|s| s.party.role == Role::IstioCa) {
        let Some(written) = slot.installed(world).and_then(|i| i.written) else { continue };
        let until = written.saturating_add(after).unwrap_or(now);
        // What is under another root than the one being replaced has no step behind it yet.
        if until > now {
            waiting.push(format!("{slot} was written at {}", written.strftime("%Y-%m-%d %H:%MZ")));
        }
    }
    if waiting.is_empty() || args.begin {
        return Ok(());
    }
    let why = format!("too early: workloads may still live on older certificates\n  {}", waiting.join("\n  "));
    Err(Failure::because(Exit::Refused, why)
        .hint("wait, or restart the workloads and say --after 0s"))
}

fn desired(store: &Store, slots: &[Slot], world: &World, roots: &Roots, step: Step) -> Result<Vec<Manifest>, Failure> {
    let next = store.next();
    let both = pki::bundle(&roots.old, &roots.new);
    let mut made = Vec::new();
    for slot in slots {
        let moved = seen(slot, world, roots)?.moved || step != Step::TrustBoth;
        let (from, root) = if moved { (&next, &roots.new) } else { (store, &roots.old) };
        let issued = from.read(&from.paths(&slot.party))?;
        let issued: Issued = issued.ok_or_else(|| {
            let file = from.paths(&slot.party).0;
            Failure::because(Exit::Input, format!("{} is missing", file.display()))
                .hint("it was made when the rotation began; bring it back")
        })?;
        let trusted = if step == Step::Retire { &roots.new } else { &both };
        made.extend(slot.manifest(issued, root, trusted));
    }
    pki::certificates(&both).map_err(failed)?;
    Ok(made)
}
