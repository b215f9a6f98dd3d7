//! `failctl certs generate`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::Where;
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::error::{Exit, Failure};
use crate::pki::{self, Algorithm, Issued, Key, Lifetimes, Party};
use crate::report::API_VERSION;
use crate::report::table::table;

/// Arguments of `failctl certs generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Nothing valid is replaced: doing it twice changes nothing. Keys never leave the directory but by `certs install`.

Examples:
  failctl certs generate
  failctl certs generate --algorithm rsa-2048 --days 90 --renew")]
pub struct Args {
    /// Where they lie
    #[command(flatten)]
    pub place: Where,
    /// Key algorithm: ecdsa-p256, rsa-2048 or rsa-4096
    #[arg(long, value_name = "ALGORITHM", default_value = "ecdsa-p256", value_parser = Algorithm::parse)]
    pub algorithm: Algorithm,
    /// Days the certificates of gateways are valid
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().leaf, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// Days the root is valid
    #[arg(long, value_name = "DAYS", default_value_t = Lifetimes::default().root, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub root_days: u32,
    /// Issue new certificates for all gateways, under the same root
    #[arg(long)]
    pub renew: bool,
    /// Start over with a new root; until installed everywhere, the two ends of a failover do not accept each other
    #[arg(long)]
    pub renew_root: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// What was made and what was kept, for scripts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationReport {
    api_version: &'static str,
    kind: &'static str,
    dir: PathBuf,
    certificates: Vec<Row>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// `created`, `renewed` or `kept`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    role: &'static str,
    file: PathBuf,
    not_after: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let documents = args.place.documents.load(ctx)?;
    let fleet = &documents.fleet;
    let parties = pki::parties(fleet, &documents.failovers);
    if parties.is_empty() {
        let why = "no cluster of the fleet has a gateway, so nobody needs a certificate";
        return Err(Failure::because(Exit::Input, why).hint("add gloo: {…} to the clusters that run it"));
    }
    let store = Store::at(args.place.dir());
    let _lock = store.lock()?;
    let now = Timestamp::now();
    let mut rows = Vec::new();
    let (root, root_is_new) = root(&args, &fleet.name, &store, now, &mut rows)?;
    let mut needed: Vec<(&Party, Option<String>)> = Vec::new();
    let mut kept: BTreeMap<&Party, Issued> = BTreeMap::new();
    for party in &parties {
        match (store.read(&store.paths(party))?, root_is_new || args.renew) {
            (None, _) => needed.push((party, None)),
            (Some(_), true) => needed.push((party, Some("asked for".into()))),
            (Some(old), false) => {
                match pki::keeps(&fleet.name, party, &old.certificate, &old.key, &root.certificate, now) {
                    Ok(()) => drop(kept.insert(party, old)),
                    Err(findings) => needed.push((party, Some(first_error(&findings)))),
                }
            }
        }
    }
    if !needed.is_empty() && root.key.is_none() {
        let why = format!("{} is missing, so nothing new can be signed", store.root_paths().1.display());
        return Err(Failure::because(Exit::Input, why).hint("bring it back, or start over with --renew-root"));
    }
    let mut made = issue(&args, &fleet.name, &root, &needed, now)?;
    for party in &parties {
        let paths = store.paths(party);
        let (result, why, issued) = match (made.remove(party), kept.remove(party)) {
            (Some((issued, why)), _) => {
                store.write(&paths, &issued)?;
                (if why.is_some() { "renewed" } else { "created" }, why, issued)
            }
            (None, Some(old)) => ("kept", None, old),
            (None, None) => continue,
        };
        let (cluster, role) = (Some(party.cluster.to_string()), party.role.as_str());
        rows.push(Row { result, cluster, role, file: paths.0, not_after: not_after(&issued.certificate)?, why });
    }
    let dir = store.dir().to_path_buf();
    let report = GenerationReport { api_version: API_VERSION, kind: "CertificateGeneration", dir, certificates: rows };
    print(ctx, args.output, &report, || text(&report))?;
    Ok(Exit::Ok)
}

/// The root: its key may lie elsewhere as long as nothing must be signed.
struct Root {
    certificate: String,
    key: Option<Key>,
}

fn root(args: &Args, fleet: &str, store: &Store, now: Timestamp, rows: &mut Vec<Row>) -> Result<(Root, bool), Failure> {
    let paths = store.root_paths();
    let old = store.text(&paths.0)?;
    let mut row = |result, certificate: &str| -> Result<(), Failure> {
        let why = (result == "renewed").then(|| "asked for".to_string());
        let not_after = not_after(certificate)?;
        rows.push(Row { result, cluster: None, role: "root", file: paths.0.clone(), not_after, why });
        Ok(())
    };
    if let (Some(certificate), false) = (&old, args.renew_root) {
        let facts = facts(certificate)?;
        let expected = format!("CN={}", crate::model::identity::root(fleet));
        let why = if facts.subject != expected {
            Some(format!("{} is `{}`, not the root of fleet `{fleet}`", paths.0.display(), facts.subject))
        } else if now > facts.not_after {
            Some(format!("the root expired on {}", facts.not_after.strftime("%Y-%m-%d")))
        } else {
            None
        };
        if let Some(why) = why {
            return Err(Failure::because(Exit::Input, why).hint("start over with --renew-root, or name another --dir"));
        }
        row("kept", certificate)?;
        let key = store.read(&paths)?.map(|i| i.key);
        return Ok((Root { certificate: certificate.to_string(), key }, false));
    }
    let key = Key::generate(args.algorithm).map_err(failed)?;
    let issued = pki::issue_root(fleet, key, now, args.root_days, rand::random()).map_err(failed)?;
    store.write(&paths, &issued)?;
    row(if old.is_some() { "renewed" } else { "created" }, &issued.certificate)?;
    Ok((Root { certificate: issued.certificate, key: Some(issued.key) }, true))
}

type Made<'a> = BTreeMap<&'a Party, (Issued, Option<String>)>;

/// Keys are made side by side (one of 4096 bits takes half a second), then signed.
fn issue<'a>(
    args: &Args,
    fleet: &str,
    root: &Root,
    needed: &[(&'a Party, Option<String>)],
    now: Timestamp,
) -> Result<Made<'a>, Failure> {
    let Some(key) = &root.key else { return Ok(BTreeMap::new()) };
    let key = Key::read(&key.pem()).map_err(failed)?;
    let root = Issued { certificate: root.certificate.clone(), key };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(needed.len().max(1));
    let keys: Vec<Result<Key, pki::Error>> = std::thread::scope(|scope| {
        let share = needed.len().div_ceil(workers.max(1)).max(1);
        let some = |n: usize| (0..n).map(|_| Key::generate(args.algorithm)).collect::<Vec<_>>();
        let running: Vec<_> = needed.chunks(share).map(|c| scope.spawn(move || some(c.len()))).collect();
        running.into_iter().flat_map(|r| r.join().unwrap_or_default()).collect()
    });
    let mut made = BTreeMap::new();
    for ((party, why), key) in needed.iter().zip(keys) {
        let key = key.map_err(failed)?;
        let leaf = pki::issue_leaf(fleet, party, key, &root, now, args.days, rand::random()).map_err(failed)?;
        made.insert(*party, (leaf, why.clone()));
    }
    Ok(made)
}

fn first_error(findings: &[pki::Finding]) -> String {
    use crate::model::problem::Severity;
    findings.iter().find(|f| f.severity == Severity::Error).map_or_else(String::new, |f| f.what.clone())
}

fn facts(certificate: &str) -> Result<pki::Facts, Failure> {
    let all = pki::certificates(certificate).map_err(failed)?;
    pki::facts(&all[0]).map_err(failed)
}

fn not_after(certificate: &str) -> Result<Timestamp, Failure> {
    facts(certificate).map(|f| f.not_after)
}

fn failed(error: pki::Error) -> Failure {
    Failure::new(Exit::Input, error)
}

fn text(report: &GenerationReport) -> String {
    let rows = report.certificates.iter().map(|r| {
        let cluster = r.cluster.clone().unwrap_or_else(|| "-".into());
        let until = r.not_after.strftime("%Y-%m-%d").to_string();
        vec![r.result.into(), cluster, r.role.into(), r.file.display().to_string(), until, r.why.clone().unwrap_or_default()]
    });
    table(["RESULT", "CLUSTER", "ROLE", "FILE", "NOT AFTER", ""], rows)
}
