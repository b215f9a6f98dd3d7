//! Certificates as a table or a versioned view.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use super::table::table;
use crate::pki::{Finding, Role};

/// All certificates of a fleet, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `CertificateReport`.
    pub kind: &'static str,
    /// When it was asked, RFC 3339.
    #[schemars(with = "String")]
    pub at: jiff::Timestamp,
    /// The certificates on disk and on the clusters.
    pub certificates: Vec<Row>,
    /// Pairs of clusters whose certificates do not accept each other.
    pub pairs: Vec<PairRow>,
    /// `ok`, `bad` (something stops a handshake or is missing) or `unknown` (a cluster could not be asked).
    pub verdict: Verdict,
}

/// The verdict over all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every handshake can succeed.
    Ok,
    /// A cluster could not be asked.
    Unknown,
    /// Something stops a handshake, or is missing.
    Bad,
}

/// One certificate, or the reason why there is none to show.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `disk` or `cluster`.
    pub place: &'static str,
    /// The cluster it is for; none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// `server` or `client`; none for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// File name or `namespace/secret`.
    pub name: String,
    /// What it says; none when it is missing or could not be read.
    #[serde(flatten)]
    pub facts: Option<Said>,
    /// Whether it chains to the root it lies beside.
    pub chain: Verdict,
    /// What is worth saying, by stable code.
    pub findings: Vec<Finding>,
}

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Subject.
    pub subject: String,
    /// Subject alternative names.
    pub names: Vec<String>,
    /// Issuer.
    pub issuer: String,
    /// Key algorithm.
    pub algorithm: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Last moment of validity.
    #[schemars(with = "String")]
    pub not_after: jiff::Timestamp,
    /// Whole days left; negative when it has expired.
    pub days_left: i64,
}

/// Two clusters whose installed certificates must accept each other.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PairRow {
    /// The client's cluster.
    pub from: String,
    /// The server's cluster.
    pub to: String,
    /// What is wrong between them.
    pub findings: Vec<Finding>,
}

impl CertificateReport {
    /// A report.
    pub fn new(at: jiff::Timestamp, certificates: Vec<Row>, pairs: Vec<PairRow>, verdict: Verdict) -> Self {
        CertificateReport { api_version: API_VERSION, kind: "CertificateReport", at, certificates, pairs, verdict }
    }

    /// The table for people, then every finding with its code.
    pub fn text(&self) -> String {
        let header = ["PLACE", "CLUSTER", "ROLE", "NAME", "NAMES", "ISSUER", "NOT AFTER", "DAYS", "CHAIN"];
        let mut text = table(header, self.certificates.iter().map(cells));
        for row in &self.certificates {
            let what = row.cluster.as_ref().map_or(row.name.clone(), |c| format!("{c}: {}", row.name));
            row.findings.iter().for_each(|f| text += &line(f, &what));
        }
        for pair in &self.pairs {
            pair.findings.iter().for_each(|f| text += &line(f, &format!("{} → {}", pair.from, pair.to)));
        }
        text
    }
}

fn line(finding: &Finding, what: &str) -> String {
    let severity = match finding.severity {
        crate::model::problem::Severity::Error => "error",
        crate::model::problem::Severity::Warning => "warning",
        crate::model::problem::Severity::Note => "note",
    };
    format!("{severity}[{}]: {what}: {}\n", finding.code, super::table::clean(&finding.what))
}

fn cells(row: &Row) -> Vec<String> {
    let text = |t: Option<String>| t.unwrap_or_else(|| "-".into());
    let said = row.facts.as_ref();
    // The name others pin; a URI beside it says the same again.
    let name = said.map(|s| s.names.first().cloned().unwrap_or_else(|| s.subject.clone()));
    vec![
        row.place.into(),
        text(row.cluster.clone()),
        text(row.role.map(|r| r.as_str().to_string())),
        row.name.clone(),
        text(name),
        text(said.map(|s| s.issuer.clone())),
        text(said.map(|s| s.not_after.strftime("%Y-%m-%d").to_string())),
        text(said.map(|s| s.days_left.to_string())),
        match row.chain {
            Verdict::Ok => "ok".into(),
            Verdict::Bad => "BAD".into(),
            Verdict::Unknown => "unknown".into(),
        },
    ]
}
