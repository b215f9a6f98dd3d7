//! `failctl certs generate`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::Where;
use super::issue::{self, Root, Wish};
use super::store::Store;
use crate::cli::Ctx;
use crate::cli::output::{Output, print};
use crate::error::{Exit, Failure};
use crate::pki::{self, Algorithm, Lifetimes};
use crate::report::API_VERSION;
use crate::report::table::table;

/// Arguments of `failctl certs generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Nothing valid is replaced: doing it twice changes nothing. Keys never leave the directory but by `certs install`.

Examples:
  failctl certs generate
  failctl certs generate --algorithm rsa-2048 --days 90 --renew
  failctl certs generate --root-cert corporate.crt --root-key corporate.key")]
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
    /// Start over with a new root at once; until installed everywhere, the two ends of a failover do not accept each
    /// other. `certs rotate` replaces a root without that
    #[arg(long)]
    pub renew_root: bool,
    /// Your own root: its certificate, PEM
    #[arg(long, value_name = "FILE", requires = "root_key")]
    pub root_cert: Option<PathBuf>,
    /// Your own root's key: PEM in PKCS#8, PKCS#1 or SEC1, not encrypted
    #[arg(long, value_name = "FILE", requires = "root_cert")]
    pub root_key: Option<PathBuf>,
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

/// One certificate and what became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `created`, `renewed` or `kept`.
    pub result: &'static str,
    /// The cluster; none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `root`, or the party's role.
    pub role: &'static str,
    /// The certificate's file.
    pub file: PathBuf,
    /// Last moment of validity.
    pub not_after: Timestamp,
    /// Why it was renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let documents = args.place.documents.load(ctx)?;
    let fleet = &documents.fleet;
    let parties = pki::parties(fleet, &documents.failovers);
    if parties.is_empty() {
        let why = "no cluster of the fleet has a gateway or a mesh, so nobody needs a certificate";
        return Err(Failure::because(Exit::Input, why).hint("add gloo: {…} or istio: {…} to the clusters that run it"));
    }
    let store = Store::at(args.place.dir());
    store.settled()?;
    let _lock = store.lock()?;
    let root = match (&args.root_cert, &args.root_key, args.renew_root) {
        (Some(certificate), Some(key), _) => Root::Brought(certificate.clone(), key.clone()),
        (_, _, true) => Root::New,
        _ => Root::Keep,
    };
    let wish = Wish {
        algorithm: args.algorithm,
        days: args.days,
        root_days: args.root_days,
        renew: args.renew || args.renew_root,
        root,
    };
    let certificates = issue::make(fleet, &parties, &store, &wish, Timestamp::now())?;
    let dir = store.dir().to_path_buf();
    let report = GenerationReport { api_version: API_VERSION, kind: "CertificateGeneration", dir, certificates };
    print(ctx, args.output, &report, || text(&report.certificates))?;
    Ok(Exit::Ok)
}

/// Rows as a table.
pub fn text(certificates: &[Row]) -> String {
    let rows = certificates.iter().map(|r| {
        let cluster = r.cluster.clone().unwrap_or_else(|| "-".into());
        let until = r.not_after.strftime("%Y-%m-%d").to_string();
        vec![r.result.into(), cluster, r.role.into(), r.file.display().to_string(), until, r.why.clone().unwrap_or_default()]
    });
    table(["RESULT", "CLUSTER", "ROLE", "FILE", "NOT AFTER", ""], rows)
}
