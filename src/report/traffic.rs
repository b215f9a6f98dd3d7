//! Who called a service, who answered and how: counted from the access logs of the callers' own sidecars, where both ends
//! are named by the certificates they showed. What comes in: lines of logs. What goes out: rows, a table.
//! May not know: where the lines are from.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::API_VERSION;
use super::table::table;

/// Requests by outcome and by both ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "TrafficReport")]
pub struct TrafficReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `TrafficReport`.
    pub kind: &'static str,
    /// The failover whose service was called.
    pub failover: String,
    /// Whose logs were read: cluster, namespace and pod.
    pub callers: Vec<String>,
    /// Why logs of others could not be read.
    pub unread: Vec<String>,
    /// One for each outcome and pair of ends.
    pub rows: Vec<TrafficRow>,
}

/// Requests that ended alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRow {
    /// How many.
    pub requests: u64,
    /// The status the caller got; 0: the caller went away.
    pub code: u16,
    /// Who called, by its certificate.
    pub source_principal: Option<String>,
    /// Who answered last, by its certificate; none: nobody was reached.
    pub target_principal: Option<String>,
    /// The version of who answered; none: an answer of a proxy on the way.
    pub target_version: Option<String>,
}

/// The part of a line that counts.
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    direction: String,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    source_principal: Option<String>,
    #[serde(default)]
    target_principal: Option<String>,
    #[serde(default)]
    target_version: Option<String>,
}

/// Counts the outbound requests to Envoy clusters of these names. Lines that are no access log are passed over.
pub fn count<'a>(lines: impl IntoIterator<Item = &'a str>, clusters: &BTreeSet<String>) -> Vec<TrafficRow> {
    type Ends = (Option<String>, Option<String>, Option<String>, u16);
    let mut counts: BTreeMap<Ends, u64> = BTreeMap::new();
    let known = |text: Option<String>| text.filter(|t| !t.is_empty() && t != "-");
    for line in lines.into_iter().filter_map(|l| serde_json::from_str::<Line>(l).ok()) {
        if line.direction != "outbound" || !line.cluster.is_some_and(|c| clusters.contains(&c)) {
            continue;
        }
        let ends = (known(line.source_principal), known(line.target_principal), known(line.target_version), line.code);
        *counts.entry(ends).or_default() += 1;
    }
    let row = |((source_principal, target_principal, target_version, code), requests)| TrafficRow {
        requests,
        code,
        source_principal,
        target_principal,
        target_version,
    };
    counts.into_iter().map(row).collect()
}

impl TrafficReport {
    /// The rows of a failover.
    pub fn new(failover: String, callers: Vec<String>, unread: Vec<String>, rows: Vec<TrafficRow>) -> Self {
        TrafficReport { api_version: API_VERSION, kind: "TrafficReport", failover, callers, unread, rows }
    }

    /// As a table.
    pub fn text(&self) -> String {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let mut text = match self.rows.is_empty() {
            true => format!("nobody called {} in what the logs keep\n", self.failover),
            false => table(
                ["REQUESTS", "CODE", "SOURCE PRINCIPAL", "TARGET PRINCIPAL", "VERSION"],
                self.rows.iter().map(|r| {
                    let (source, target) = (dash(&r.source_principal), dash(&r.target_principal));
                    vec![r.requests.to_string(), r.code.to_string(), source, target, dash(&r.target_version)]
                }),
            ),
        };
        self.unread.iter().for_each(|why| text += &format!("not read: {}\n", super::table::clean(why)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outbound_requests_to_the_service_are_counted_by_outcome_and_both_ends() {
        let line = |direction: &str, cluster: &str, code: u16, target: &str, version: &str| {
            serde_json::json!({"direction": direction, "cluster": cluster, "code": code, "target_version": version,
                "source_principal": "spiffe://kind2/ns/default/sa/page", "target_principal": target})
            .to_string()
        };
        let local = "spiffe://kind2/ns/default/sa/reviews";
        let lines = [
            line("outbound", "a", 200, local, "v1"),
            line("outbound", "a", 200, local, "v1"),
            line("outbound", "a", 503, "-", "-"),
            line("inbound", "a", 200, local, "v1"),
            line("outbound", "other", 200, local, "v1"),
            "[2026-01-01] starting main dispatch loop".to_string(),
        ];
        let rows = count(lines.iter().map(String::as_str), &["a".to_string()].into());
        let told: Vec<_> = rows
            .iter()
            .map(|r| (r.requests, r.code, r.target_principal.as_deref(), r.target_version.as_deref()))
            .collect();
        assert_eq!(told, [(1, 503, None, None), (2, 200, Some(local), Some("v1"))]);
    }
}
