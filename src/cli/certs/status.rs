//! `failctl certs status`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::material::{Slot, slots};
use super::store::Store;
use super::{Where, mesh};
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::cli::picture::Ground;
use crate::cluster::observe;
use crate::compile::gloo::{choose, names};
use crate::error::{Exit, Failure};
use crate::manifest::World;
use crate::model::fleet::Fleet;
use crate::model::name::ClusterName;
use crate::model::problem::Severity;
use crate::pki::{self, Finding, Key, Party, Role};
use crate::report::certificates::{CertificateReport, PairRow, Row, Said, Verdict};

/// Arguments of `failctl certs status`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Exit codes: 0 every handshake can succeed, 1 something expired, is missing or does not fit, 8 a cluster could not
be asked.

Examples:
  failctl certs status
  failctl certs status -o json | jq '.certificates[] | {cluster, role, daysLeft}'")]
pub struct Args {
    /// Where they lie
    #[command(flatten)]
    pub place: Where,
    /// Only what is on disk; ask no cluster
    #[arg(long)]
    pub disk: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let store = Store::at(args.place.dir());
    let (documents, ground) = if args.disk {
        (args.place.documents.load(ctx)?, None)
    } else {
        let ground = Ground::new(ctx, &args.place.documents, &[])?;
        (ground.documents.clone(), Some(ground))
    };
    let parties = pki::parties(&documents.fleet, &documents.failovers);
    let mut rows = Vec::new();
    if store.dir().is_dir() {
        rows.extend(on_disk(&documents.fleet, &store, &parties, now)?);
    } else {
        ctx.ui.say(format!("{} does not exist: nothing on disk", store.dir().display()));
    }
    let mut pairs = Vec::new();
    if let Some(ground) = &ground {
        let slots = slots(ground)?;
        let mut wants: Vec<_> = slots.iter().map(Slot::want).collect();
        wants.extend(mesh::wants(&documents.fleet));
        let world = ctx.block_on(observe(&ground.clients, &wants))?;
        rows.extend(slots.iter().map(|s| installed(&documents.fleet, &store, s, &world, now)));
        pairs = paired(ground, &world, now);
        pairs.extend(mesh::pairs(&documents.fleet, &documents.failovers, &slots, &world, now));
    }
    if store.rotating() {
        ctx.ui.say("a root is being replaced: `failctl certs rotate` goes on with it");
    }
    let verdict = verdict(&rows, &pairs);
    let report = CertificateReport::new(now, rows, pairs, verdict);
    print(ctx, args.output, &report, || report.text())?;
    Ok(match verdict {
        Verdict::Ok => Exit::Ok,
        Verdict::Unknown => Exit::Unknown,
        Verdict::Bad => Exit::No,
    })
}

fn verdict(rows: &[Row], pairs: &[PairRow]) -> Verdict {
    let findings = rows.iter().flat_map(|r| &r.findings).chain(pairs.iter().flat_map(|p| &p.findings));
    let bad = findings.into_iter().any(|f| f.severity == Severity::Error);
    let unknown = rows.iter().any(|r| r.chain == Verdict::Unknown)
        || pairs.iter().flat_map(|p| &p.findings).any(|f| f.code == "FCK0116");
    match (bad, unknown) {
        (true, _) => Verdict::Bad,
        (false, true) => Verdict::Unknown,
        (false, false) => Verdict::Ok,
    }
}

fn error(code: &'static str, what: impl Into<String>) -> Finding {
    Finding { code, severity: Severity::Error, what: what.into() }
}

fn said(chain: &str, now: Timestamp) -> Option<Said> {
    let facts = pki::facts(pki::certificates(chain).ok()?.first()?).ok()?;
    Some(Said {
        days_left: facts.days_left(now),
        subject: facts.subject,
        names: facts.names,
        issuer: facts.issuer,
        algorithm: facts.algorithm,
        serial: facts.serial,
        not_after: facts.not_after,
    })
}

fn chain_of(findings: &[Finding]) -> Verdict {
    let broken = findings.iter().any(|f| matches!(f.code, "FCK0101" | "FCK0104" | "FCK0114"));
    if broken { Verdict::Bad } else { Verdict::Ok }
}

fn on_disk(fleet: &Fleet, store: &Store, parties: &BTreeSet<Party>, now: Timestamp) -> Result<Vec<Row>, Failure> {
    let name = |path: &std::path::Path| path.strip_prefix(store.dir()).unwrap_or(path).display().to_string();
    let row = |cluster, role, name, facts, findings: Vec<Finding>| {
        Row { place: "disk", cluster, role, name, facts, chain: chain_of(&findings), findings }
    };
    let ca_path = store.root_paths().0;
    let ca = store.text(&ca_path)?;
    let mut rows = vec![root_row(ca.as_deref(), row, name(&ca_path), now)];
    for party in parties {
        let paths = store.paths(party);
        let (cluster, role) = (Some(party.cluster.to_string()), Some(party.role));
        let Some(certificate) = store.text(&paths.0)? else {
            let missing = vec![error("FCK0114", "it is missing: `failctl certs generate` makes it")];
            rows.push(row(cluster, role, name(&paths.0), None, missing));
            continue;
        };
        let key = store.text(&paths.1)?.map(|t| Key::read(&t));
        let ca = ca.as_deref().map_or("", |c| c.as_str());
        let pinned = party.pinned(fleet);
        let usable = key.as_ref().and_then(|k| k.as_ref().ok());
        let mut findings = pki::check_side(party.role, &certificate, ca, usable, Some(&pinned), now);
        match key {
            None => findings.push(error("FCK0115", format!("its key {} is missing", name(&paths.1)))),
            Some(Err(e)) => findings.push(error("FCK0115", format!("{}: {e}", name(&paths.1)))),
            Some(Ok(_)) => {}
        }
        rows.push(row(cluster, role, name(&paths.0), said(&certificate, now), findings));
    }
    Ok(rows)
}

fn root_row(
    ca: Option<&String>,
    row: impl Fn(Option<String>, Option<Role>, String, Option<Said>, Vec<Finding>) -> Row,
    name: String,
    now: Timestamp,
) -> Row {
    let facts = ca.and_then(|c| said(c, now));
    let findings = match &facts {
        None if ca.is_none() => vec![error("FCK0114", "it is missing: `failctl certs generate` makes it")],
        None => vec![error("FCK0101", "it is no certificate")],
        Some(said) if said.days_left < 0 => vec![error("FCK0102", "it expired: --renew-root makes a new one")],
        Some(_) => Vec::new(),
    };
    row(None, None, name, facts, findings)
}

fn installed(fleet: &Fleet, store: &Store, slot: &Slot, world: &World, now: Timestamp) -> Row {
    let party = &slot.party;
    let base = Row {
        place: "cluster",
        cluster: Some(party.cluster.to_string()),
        role: Some(party.role),
        name: format!("{}/{}", slot.namespace, slot.name),
        facts: None,
        chain: Verdict::Bad,
        findings: Vec::new(),
    };
    if let Some(why) = world.clusters.get(&party.cluster).and_then(|o| o.unreachable.clone()) {
        let what = format!("the cluster cannot be asked: {why}");
        let findings = vec![Finding { code: "FCK0116", severity: Severity::Warning, what }];
        return Row { chain: Verdict::Unknown, findings, ..base };
    }
    let mesh = party.role == Role::IstioCa;
    let Some(there) = slot.installed(world) else {
        let what = match mesh {
            true => "it is missing, so istiod signs with a root of its own, which no other cluster trusts: `failctl certs install` writes it",
            false => "it is missing: `failctl certs install` writes it",
        };
        return Row { findings: vec![error("FCK0114", what)], ..base };
    };
    let mut findings = Vec::new();
    if !mesh && there.kind != "kubernetes.io/tls" {
        findings.push(error("FCK0112", format!("its type is {}; Gloo takes only kubernetes.io/tls", there.kind)));
    }
    let usable = there.key.as_ref().and_then(|k| k.as_ref().ok());
    let pinned = party.pinned(fleet);
    findings.extend(pki::check_side(party.role, &there.chain, &there.roots, usable, Some(&pinned), now));
    match &there.key {
        None => findings.push(error("FCK0115", format!("it has no {}", if mesh { "ca-key.pem" } else { "tls.key" }))),
        Some(Err(e)) => findings.push(error("FCK0115", e.to_string())),
        Some(Ok(_)) => {}
    }
    let on_disk = |store: &Store| store.text(&store.paths(party).0).ok().flatten();
    let known: Vec<_> = [on_disk(store), on_disk(&store.next())].into_iter().flatten().collect();
    if !known.is_empty() && known.iter().all(|d| d.trim() != there.chain.trim()) {
        let what = "it is not the one on disk: `failctl certs install` writes that".to_string();
        findings.push(Finding { code: "FCK0113", severity: Severity::Warning, what });
    }
    Row { facts: said(&there.chain, now), chain: chain_of(&findings), findings, ..base }
}

/// Every primary with each of its backups, as far as both could be read.
fn paired(ground: &Ground, world: &World, now: Timestamp) -> Vec<PairRow> {
    let fleet = &ground.documents.fleet;
    let namespace = |cluster: &str| fleet.clusters.get(cluster).map(|c| crate::cluster::address::gloo_namespace(c).to_string());
    let mut pairs: BTreeMap<(String, String), PairRow> = BTreeMap::new();
    for failover in &ground.documents.failovers {
        let Ok(target) = choose(fleet, failover) else { continue };
        let named = names::gateway(target);
        let from = failover.primary().cluster.to_string();
        for member in failover.order.iter().skip(1).flatten() {
            let to = member.cluster.to_string();
            let side = |cluster: &ClusterName, role: Role, name: &str| {
                let party = Party { cluster: cluster.clone(), role };
                let slot = Slot { party, namespace: namespace(cluster.as_str())?, name: name.to_string() };
                slot.installed(world)
            };
            let client = side(&failover.primary().cluster, Role::Client, named.client_secret);
            let server = side(&member.cluster, Role::Server, named.server_secret);
            let (Some(client), Some(server)) = (client, server) else { continue };
            let findings = pki::check_pair((&server.chain, &server.roots), (&client.chain, &client.roots), now);
            pairs.insert((from.clone(), to.clone()), PairRow { from: from.clone(), to, findings });
        }
    }
    pairs.into_values().collect()
}
