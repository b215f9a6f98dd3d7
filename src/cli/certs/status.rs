//! `failctl certs status`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use jiff::Timestamp;
use serde_json::Value;

use super::Where;
use super::install::{needs, party};
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::cli::picture::Ground;
use crate::cluster::{Want, observe};
use crate::compile::SecretNeed;
use crate::compile::gloo::{choose, names};
use crate::error::{Exit, Failure};
use crate::manifest::World;
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

/// One side's material as it was found.
struct Material {
    chain: String,
    ca: String,
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
        rows.extend(on_disk(&documents.fleet.name, &store, &parties, now)?);
    } else {
        ctx.ui.say(format!("{} does not exist: nothing on disk", store.dir().display()));
    }
    let mut pairs = Vec::new();
    if let Some(ground) = &ground {
        let needs = needs(ground)?;
        let want = |n: &SecretNeed| Want::all("v1", "Secret").within(&n.namespace).named(&n.name).on(&n.cluster);
        let wants: Vec<_> = needs.iter().map(want).collect();
        let world = ctx.block_on(observe(&ground.clients, &wants))?;
        rows.extend(needs.iter().map(|n| installed(&documents.fleet.name, &store, n, &world, now)));
        pairs = paired(ground, &world, now);
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
    match (bad, rows.iter().any(|r| r.chain == Verdict::Unknown)) {
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

fn on_disk(fleet: &str, store: &Store, parties: &BTreeSet<Party>, now: Timestamp) -> Result<Vec<Row>, Failure> {
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
        let pinned = party.dns(fleet);
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

/// A value of a Secret, decoded.
fn value(secret: &Value, key: &str) -> Option<String> {
    let text = secret.get("data")?.get(key)?.as_str()?;
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).ok()?).ok()
}

fn material(world: &World, cluster: &str, namespace: &str, name: &str) -> Option<Material> {
    let secret = world.get(cluster, "", "Secret", namespace, name)?;
    Some(Material { chain: value(secret, "tls.crt")?, ca: value(secret, "ca.crt").unwrap_or_default() })
}

fn installed(fleet: &str, store: &Store, need: &SecretNeed, world: &World, now: Timestamp) -> Row {
    let party = party(need);
    let base = Row {
        place: "cluster",
        cluster: Some(need.cluster.to_string()),
        role: Some(party.role),
        name: format!("{}/{}", need.namespace, need.name),
        facts: None,
        chain: Verdict::Bad,
        findings: Vec::new(),
    };
    if let Some(why) = world.clusters.get(&need.cluster).and_then(|o| o.unreachable.clone()) {
        let what = format!("the cluster cannot be asked: {why}");
        let findings = vec![Finding { code: "FCK0116", severity: Severity::Warning, what }];
        return Row { chain: Verdict::Unknown, findings, ..base };
    }
    let Some(secret) = world.get(need.cluster.as_str(), "", "Secret", &need.namespace, &need.name) else {
        return Row { findings: vec![error("FCK0114", "it is missing: `failctl certs install` writes it")], ..base };
    };
    let mut findings = Vec::new();
    if secret["type"] != "kubernetes.io/tls" {
        let kind = secret["type"].as_str().unwrap_or("none");
        findings.push(error("FCK0112", format!("its type is {kind}; Gloo takes only kubernetes.io/tls")));
    }
    let chain = value(secret, "tls.crt").unwrap_or_default();
    let key = value(secret, "tls.key").map(zeroize::Zeroizing::new).map(|k| Key::read(&k));
    let ca = value(secret, "ca.crt").unwrap_or_default();
    let usable = key.as_ref().and_then(|k| k.as_ref().ok());
    let pinned = party.dns(fleet);
    findings.extend(pki::check_side(party.role, &chain, &ca, usable, Some(&pinned), now));
    match key {
        None => findings.push(error("FCK0115", "it has no tls.key")),
        Some(Err(e)) => findings.push(error("FCK0115", e.to_string())),
        Some(Ok(_)) => {}
    }
    let on_disk = store.text(&store.paths(&party).0).ok().flatten();
    if on_disk.is_some_and(|d| d.trim() != chain.trim()) {
        let what = "it is not the one on disk: `failctl certs install` writes that".to_string();
        findings.push(Finding { code: "FCK0113", severity: Severity::Warning, what });
    }
    Row { facts: said(&chain, now), chain: chain_of(&findings), findings, ..base }
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
            let client = namespace(&from).and_then(|n| material(world, &from, &n, named.client_secret));
            let server = namespace(&to).and_then(|n| material(world, &to, &n, named.server_secret));
            let (Some(client), Some(server)) = (client, server) else { continue };
            let findings = pki::check_pair((&server.chain, &server.ca), (&client.chain, &client.ca), now);
            pairs.insert((from.clone(), to.clone()), PairRow { from: from.clone(), to, findings });
        }
    }
    pairs.into_values().collect()
}
