//! Members and their credentials as tables or versioned views. No token is ever part of a view.

use jiff::Timestamp;
use serde::Serialize;

use super::API_VERSION;
use super::applied::ApplyReport;
use super::table::table;
use crate::compile::membership::Purpose;

/// What registering or renewing came to, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `RegistrationReport`.
    pub kind: &'static str,
    /// The objects and what became of them.
    pub objects: Vec<super::applied::Row>,
    /// The credentials that are in place now.
    pub credentials: Vec<CredentialRow>,
    #[serde(skip)]
    applied: ApplyReport,
}

/// A credential that is in place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialRow {
    /// Who uses it.
    pub purpose: Purpose,
    /// The account, `namespace/name`.
    pub account: String,
    /// Where it leads.
    pub server: String,
    /// `issued`, `replaced` or `kept`.
    pub result: &'static str,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Until when the one it replaced is good too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_until: Option<Timestamp>,
    /// The API server's version, as the credential saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it was seen to be allowed.
    pub allowed: Vec<String>,
    /// What it was seen to be refused, as it should be.
    pub refused: Vec<String>,
    /// What it is allowed and should not be.
    pub excessive: Vec<String>,
}

impl RegistrationReport {
    /// A report of objects and credentials.
    pub fn new(applied: ApplyReport, credentials: Vec<CredentialRow>) -> Self {
        let objects = applied.objects.clone();
        RegistrationReport { api_version: API_VERSION, kind: "RegistrationReport", objects, credentials, applied }
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let rows = self.credentials.iter().map(|c| {
            let used = format!("{} allowed, {} refused", c.allowed.len(), c.refused.len());
            let until = c.expires.map_or("unknown".into(), day);
            let old = c.old_until.map_or(String::new(), |t| format!("the old one stays good until {}", day(t)));
            vec![c.result.into(), c.purpose.as_str().into(), c.account.clone(), until, used, old]
        });
        let credentials = table(["CREDENTIAL", "FOR", "ACCOUNT", "GOOD UNTIL", "TRIED", ""], rows);
        format!("{}\n{credentials}", self.applied.text())
    }
}

/// A moment as a day.
fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Used just now, and it works.
    Works,
    /// It works, and less than a third of its life is left.
    EndsSoon,
    /// Good by what it says of itself; nobody used it.
    Untried,
    /// It could not be used: nobody answers.
    Unknown,
    /// Where it should be, there is none.
    Missing,
    /// Its time is over.
    Expired,
    /// It leads to a cluster and is not accepted there, or may not do what it must.
    Refused,
    /// The name stands for another cluster by now.
    OtherCluster,
}

impl Standing {
    /// The words in a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Works => "works",
            Standing::EndsSoon => "works, ends soon",
            Standing::Untried => "not tried",
            Standing::Unknown => "UNKNOWN",
            Standing::Missing => "MISSING",
            Standing::Expired => "EXPIRED",
            Standing::Refused => "REFUSED",
            Standing::OtherCluster => "OTHER CLUSTER",
        }
    }
}

/// One registration, or the lack of one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberRow {
    /// The member.
    pub member: String,
    /// Who uses the registration.
    pub purpose: Purpose,
    /// The cluster it is kept on.
    pub kept_on: String,
    /// Its Secret, `namespace/name`.
    pub secret: String,
    /// Whether failctl made it.
    pub ours: bool,
    /// Where it leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The account, `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// When the credential ends; none when it never does or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whole days left; negative when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// How it stands.
    pub standing: Standing,
    /// Why, where that needs words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What it was seen to be allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// What it was seen to be refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
    /// What it may and should not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excessive: Vec<String>,
}

/// The members of a fleet, for scripts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `MemberReport`.
    pub kind: &'static str,
    /// When it was asked.
    pub at: Timestamp,
    /// The registrations.
    pub registrations: Vec<MemberRow>,
    /// Clusters of the fleet without any.
    pub not_registered: Vec<String>,
    /// Members whose registration or deregistration was interrupted.
    pub unfinished: Vec<String>,
    /// Clusters that could not be asked, with the reason.
    pub unreachable: std::collections::BTreeMap<String, String>,
}

impl MemberReport {
    /// A report.
    pub fn new(at: Timestamp, registrations: Vec<MemberRow>) -> Self {
        MemberReport {
            api_version: API_VERSION,
            kind: "MemberReport",
            at,
            registrations,
            not_registered: Vec::new(),
            unfinished: Vec::new(),
            unreachable: std::collections::BTreeMap::new(),
        }
    }

    /// The worst standing; none without registrations.
    pub fn worst(&self) -> Option<Standing> {
        self.registrations.iter().map(|r| r.standing).max()
    }

    /// The table for people.
    pub fn text(&self) -> String {
        let rows = self.registrations.iter().map(|r| {
            let until = match (r.expires, r.days_left) {
                (Some(at), Some(days)) => format!("{} ({days} days)", at.strftime("%Y-%m-%d")),
                _ if r.standing == Standing::Missing => "-".into(),
                _ => "never".into(),
            };
            let mut why = r.why.clone().unwrap_or_default();
            if !r.ours && r.standing != Standing::Missing {
                why = if why.is_empty() { "not made by failctl".into() } else { format!("{why}; not made by failctl") };
            }
            let server = r.server.clone().unwrap_or_else(|| "-".into());
            vec![
                r.member.clone(),
                r.purpose.as_str().into(),
                r.kept_on.clone(),
                r.secret.clone(),
                server,
                until,
                r.standing.as_str().into(),
                why,
            ]
        });
        let mut text = table(["MEMBER", "FOR", "KEPT ON", "SECRET", "SERVER", "GOOD UNTIL", "STATE", ""], rows);
        self.not_registered.iter().for_each(|m| text += &format!("{m} is not registered\n"));
        for (cluster, why) in &self.unreachable {
            text += &format!("{cluster} could not be asked: {why}\n");
        }
        for member in &self.unfinished {
            text += &format!("{member} is half registered: register it again, or `failctl cluster undo`\n");
        }
        text
    }

    /// What a member's credentials may do, for people.
    pub fn powers(&self) -> String {
        let rows = self.registrations.iter().map(|r| {
            let list = |l: &[String]| if l.is_empty() { "-".into() } else { l.join(", ") };
            let account = r.account.clone().unwrap_or_else(|| "-".into());
            vec![r.kept_on.clone(), account, list(&r.allowed), list(&r.refused), list(&r.excessive)]
        });
        table(["KEPT ON", "ACCOUNT", "MAY (TRIED)", "MAY NOT (TRIED)", "MAY, AND NEED NOT"], rows)
    }
}
