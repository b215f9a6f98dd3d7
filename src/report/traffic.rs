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

/// The side of a moment on which a request began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Before it.
    Before,
    /// At it, or after.
    After,
}

/// Requests that ended alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRow {
    /// On which side of the moment they began, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
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
    time: Option<jiff::Timestamp>,
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

/// Counts the outbound requests to Envoy clusters of these names, those before and after a moment apart if one is named.
/// Lines that are no access log are passed over.
pub fn count<'a>(
    lines: impl IntoIterator<Item = &'a str>,
    clusters: &BTreeSet<String>,
    moment: Option<jiff::Timestamp>,
) -> Vec<TrafficRow> {
    type Ends = (Option<When>, Option<String>, Option<String>, Option<String>, u16);
    let mut counts: BTreeMap<Ends, u64> = BTreeMap::new();
    let known = |text: Option<String>| text.filter(|t| !t.is_empty() && t != "-");
    for line in lines.into_iter().filter_map(|l| serde_json::from_str::<Line>(l).ok()) {
        if line.direction != "outbound" || !line.cluster.is_some_and(|c| clusters.contains(&c)) {
            continue;
        }
        let side = |moment| line.time.map(|t| if t < moment { When::Before } else { When::After });
        let when = moment.and_then(side);
        let ends =
            (when, known(line.source_principal), known(line.target_principal), known(line.target_version), line.code);
        *counts.entry(ends).or_default() += 1;
    }
    let row = |((when, source_principal, target_principal, target_version, code), requests)| TrafficRow {
        when,
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
            false => {
                let split = self.rows.iter().any(|r| r.when.is_some());
                let mut header = vec!["REQUESTS", "CODE", "SOURCE PRINCIPAL", "TARGET PRINCIPAL", "VERSION"];
                split.then(|| header.insert(0, "WHEN"));
                table(
                    header,
                    self.rows.iter().map(|r| {
                        let when = r.when.map_or("-", |w| if w == When::Before { "before" } else { "after" });
                        let (source, target) = (dash(&r.source_principal), dash(&r.target_principal));
                        let counted = [r.requests.to_string(), r.code.to_string()];
                        let named = [source, target, dash(&r.target_version)];
                        split.then(|| when.to_string()).into_iter().chain(counted).chain(named).collect::<Vec<_>>()
                    }),
                )
            }
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
        let rows = count(lines.iter().map(String::as_str), &["a".to_string()].into(), None);
        let told: Vec<_> = rows
            .iter()
            .map(|r| (r.requests, r.code, r.target_principal.as_deref(), r.target_version.as_deref()))
            .collect();
        assert_eq!(told, [(1, 503, None, None), (2, 200, Some(local), Some("v1"))]);
    }

    #[test]
    fn a_moment_parts_the_requests_that_began_before_it_from_the_others() {
        let line = |time: &str| {
            serde_json::json!({"direction": "outbound", "cluster": "a", "code": 200, "time": time}).to_string()
        };
        let lines = ["2026-01-01T00:00:00.999Z", "2026-01-01T00:00:01.000Z", "2026-01-01T00:00:02.000Z"].map(line);
        let moment = Some("2026-01-01T00:00:01Z".parse().unwrap());
        let rows = count(lines.iter().map(String::as_str), &["a".to_string()].into(), moment);
        let told: Vec<_> = rows.iter().map(|r| (r.when, r.requests)).collect();
        assert_eq!(told, [(Some(When::Before), 1), (Some(When::After), 2)]);
        let text = TrafficReport::new("a".into(), vec![], vec![], rows).text();
        assert!(text.starts_with("WHEN    REQUESTS"), "{text}");
    }
}
