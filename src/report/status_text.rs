//! The state of a fleet as tables. What comes in: the report. What goes out: text.
//! May not know: how it was found out.

use std::fmt::Write as _;

use super::status::{FailoverRow, PriorityRow, StatusReport};
use super::table::{clean, table};
use crate::judge::service::Standing;

impl StatusReport {
    /// As tables; `wide` adds endpoints, evidence and subjects.
    pub fn text(&self, wide: bool) -> String {
        let mut text = self.clusters_text();
        if !self.gateways.is_empty() {
            text += "\n";
            text += &table(
                ["GATEWAY", "ON", "ADDRESS"],
                self.gateways.iter().map(|g| {
                    let address = g.address.clone().or(g.reason.clone()).unwrap_or_default();
                    vec![g.gateway.clone(), g.cluster.clone(), address]
                }),
            );
        }
        if !self.certificates.is_empty() {
            text += "\n";
            text += &self.certificates_text(wide);
        }
        text += "\n";
        text += &self.failovers_text(wide);
        match &self.drift {
            Some(drift) if drift.is_empty() => text += "\nthe clusters hold what the documents say\n",
            Some(drift) => {
                text += "\n";
                text += &table(
                    ["DRIFT", "ON", "OBJECT", "OF"],
                    drift.iter().map(|d| vec![d.action.clone(), d.cluster.clone(), d.object.clone(), d.owner.clone()]),
                );
            }
            None => {}
        }
        text
    }

    fn clusters_text(&self) -> String {
        let mesh = self.clusters.iter().any(|c| c.istio.is_some());
        let mut header = vec!["CLUSTER", "CONTEXT", "KUBERNETES", "GLOO"];
        header.extend(mesh.then_some("ISTIO"));
        header.push("STATE");
        table(
            header,
            self.clusters.iter().map(|c| {
                let dash = |o: &Option<String>| o.clone().unwrap_or_else(|| "-".into());
                let state = match (&c.reason, c.reachable) {
                    (None, _) => "reachable".to_string(),
                    (Some(why), true) => format!("partly readable: {why}"),
                    (Some(why), false) => format!("UNREACHABLE: {why}"),
                };
                let mut row = vec![c.name.clone(), c.context.clone(), dash(&c.version), dash(&c.gloo)];
                row.extend(mesh.then(|| dash(&c.istio)));
                row.push(state);
                row
            }),
        )
    }

    fn certificates_text(&self, wide: bool) -> String {
        let mut header = vec!["CERTIFICATE", "ON", "DAYS LEFT", "STATE"];
        if wide {
            header.push("SUBJECT");
        }
        table(
            header,
            self.certificates.iter().map(|c| {
                let days = c.days_left.map_or("-".to_string(), |d| d.to_string());
                let state = c.finding.as_ref().map_or("ok".to_string(), |f| format!("{} [{}]", f.what, f.code));
                let mut row = vec![c.secret.clone(), c.cluster.clone(), days, state];
                row.extend(wide.then(|| c.subject.clone()));
                row
            }),
        )
    }

    fn failovers_text(&self, wide: bool) -> String {
        if self.failovers.is_empty() {
            return "no service is protected: no Failover document, no FailoverScheme or FailoverService, no Upstream with failover\n"
                .into();
        }
        let mut text = table(
            ["FAILOVER", "LAYER", "PRIMARY", "SERVING", "BY", "SINCE", "STATE"],
            self.failovers.iter().map(|f| {
                let since = f.since.as_ref().map_or("unknown".to_string(), |s| s.time.clone());
                let by = if f.served_by.is_empty() { "-".to_string() } else { f.served_by.join("+") };
                let state = word(f.standing).to_string();
                let layer = f.layer.as_str().to_string();
                vec![f.title(), layer, f.cluster.clone(), f.serving.to_string(), by, since, state]
            }),
        );
        text += "\n";
        let rows: Vec<_> =
            self.failovers.iter().flat_map(|f| f.priorities.iter().map(move |p| priority_row(f, p))).collect();
        if !rows.is_empty() {
            text += &table(["FAILOVER", "PRIORITY", "CLUSTERS", "LOAD", "HEALTHY", "WHY"], rows);
        }
        for f in &self.failovers {
            for finding in &f.findings {
                let _ = writeln!(
                    text,
                    "{}: {}: {} [{}]",
                    f.title(),
                    word(finding.standing),
                    clean(&finding.what),
                    finding.code
                );
                finding.hint.iter().for_each(|h| {
                    let _ = writeln!(text, "  hint: {}", clean(h));
                });
            }
        }
        if wide {
            text += "\n";
            let rows = self.failovers.iter().flat_map(|f| {
                f.priorities.iter().flat_map(move |p| {
                    p.endpoints.iter().map(move |e| {
                        let health = e.healthy.map_or("unknown", |h| if h { "healthy" } else { "unhealthy" });
                        let origin = e.origin.clone().unwrap_or_else(|| "-".into());
                        vec![
                            f.title(),
                            p.level.to_string(),
                            e.address.clone(),
                            origin,
                            health.to_string(),
                            e.why.join(", "),
                        ]
                    })
                })
            });
            text += &table(["FAILOVER", "PRIORITY", "ENDPOINT", "BEHIND IT", "HEALTH", "WHY"], rows);
            for f in &self.failovers {
                let since = f.since.as_ref().map(|s| format!("; since {}: {}", s.time, s.evidence)).unwrap_or_default();
                let _ = writeln!(text, "{}: evidence: {}{}", f.title(), clean(&f.evidence), clean(&since));
            }
        }
        text
    }
}

fn priority_row(f: &FailoverRow, p: &PriorityRow) -> Vec<String> {
    let clusters = if p.clusters.is_empty() { "-".to_string() } else { p.clusters.join("+") };
    let load = p.load_percent.map_or("unknown".to_string(), |l| format!("{l} %"));
    let healthy = p.healthy.map_or("unknown".to_string(), |h| format!("{h}/{}", p.endpoints.len()));
    let mut why: Vec<String> = p.endpoints.iter().flat_map(|e| e.why.clone()).collect();
    why.sort();
    why.dedup();
    if p.endpoints.is_empty() {
        why.push("no endpoints".into());
    }
    vec![f.title(), p.level.to_string(), clusters, load, healthy, why.join(", ")]
}

/// The word for a standing; the loud ones are those that matter.
fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Healthy => "healthy",
        Standing::Warning => "warning",
        Standing::Unknown => "UNKNOWN",
        Standing::Unhealthy => "UNHEALTHY",
    }
}
