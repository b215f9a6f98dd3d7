//! What a drill showed, as tables or a versioned view. What comes in: measurements and verdicts. What goes out: text.
//! May not know: how it was measured.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use super::table::{clean, table};
use crate::judge::drill::{Finding, OUTAGE_MS, Verdict, findings, lost_entry, verdict};
use crate::sim::analysis::{Seconds, Timestamps, measure};
use crate::sim::scenario::Entry;
use crate::sim::timeline::{self, Second};
use crate::sim::{Ending, Expected, Marks, Micros, Run, Scenario};

/// Everything one call of `simulate` or `demo` showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "DrillReport")]
pub struct DrillReport {
    /// `failctl.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `DrillReport`.
    pub kind: &'static str,
    /// The failctl that measured it.
    pub failctl: &'static str,
    /// When it began, RFC 3339.
    pub started: String,
    /// Over all runs.
    pub verdict: Verdict,
    /// One per fault and service, side by side under the same fault.
    pub runs: Vec<RunReport>,
}

/// One service under one fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunReport {
    /// The scenario, or the story of the demo.
    pub story: String,
    /// The fault; several in a row are joined with `+`.
    pub fault: String,
    /// The service under load.
    pub target: String,
    /// How it is protected: `article`, `recommended`, or a word of the scenario.
    pub policy: String,
    /// What the drill had to show.
    pub expected: Expected,
    /// What it showed: `no-loss`, `loss` or `outage`.
    pub outcome: &'static str,
    /// Whether that is what was expected.
    pub verdict: Verdict,
    /// When the (last) fault began to be injected, RFC 3339.
    pub injected: Option<String>,
    /// How the drill ended: `completed`, `refused`, `broken` or `interrupted`.
    pub ending: &'static str,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
    /// Requests per second asked for.
    pub rate: u32,
    /// Requests made.
    pub requests: u64,
    /// Requests started between the injection and the start of healing.
    pub requests_in_fault: u64,
    /// Requests lost.
    pub failed: u64,
    /// Requests lost that were started in the fault.
    pub failed_in_fault: u64,
    /// Answers cut after their headers; not counted as failed.
    pub cut_after_headers: u64,
    /// Requests that could not be started in time; not counted as requests.
    pub missed: u64,
    /// Lost requests by cause.
    pub failures: BTreeMap<String, u64>,
    /// Injection to the gateway's Envoy no longer using the primary.
    pub detection_ms: Option<u64>,
    /// Why there is no such time.
    pub detection_reason: Option<String>,
    /// What the Envoy said of the primary then.
    pub detected_by: Option<String>,
    /// Injection to only the backup answering.
    pub failover_ms: Option<u64>,
    /// Why there is no such time.
    pub failover_reason: Option<String>,
    /// Start of healing to only the primary answering.
    pub failback_ms: Option<u64>,
    /// Why there is no such time.
    pub failback_reason: Option<String>,
    /// The longest time in which nobody answered.
    pub longest_silence_ms: u64,
    /// Most requests lost in any one second.
    pub worst_second: u64,
    /// Latency of answers from the intended start, in microseconds.
    pub latency_us: Option<Latency>,
    /// How much of the processors' time of the machine that made the requests was in use from the fault on, per mille.
    pub busy_per_mille: Option<u32>,
    /// For how long, of that, they had no time left (two seconds at least at a stretch), in milliseconds.
    pub full_ms: u64,
    /// Requests lost that were under way then.
    pub failed_while_full: u64,
    /// T0 to T7, in milliseconds from T0.
    pub marks: Timestamps,
    /// Who answered and what failed, second by second.
    pub answered_per_second: Vec<Second>,
}

/// Latency of answered requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Latency {
    /// Half were faster.
    pub p50: u64,
    /// 99 of 100 were faster.
    pub p99: u64,
    /// The slowest.
    pub max: u64,
}

/// What a run is called.
#[derive(Clone, Debug)]
pub struct Title {
    /// The scenario or story.
    pub story: String,
    /// The service.
    pub target: String,
    /// Requests started per second.
    pub rate: u32,
    /// How it is protected.
    pub policy: String,
    /// The gateway by which its requests enter, where that is known.
    pub entry: Option<Entry>,
    /// The zero of all marks, by the clock.
    pub zero: jiff::Timestamp,
}

/// A run → its report.
pub fn run(title: Title, scenario: &Scenario, ending: &Ending, marks: &Marks, run: &Run) -> RunReport {
    let m = measure(run, marks);
    let mut findings = findings(&m, ending, &scenario.tolerances, scenario.expected);
    let entry = title.entry.as_ref().filter(|_| *ending == Ending::Completed);
    findings.extend(entry.and_then(|e| lost_entry(e, scenario)));
    let seconds = timeline::seconds(&run.samples, marks.fully_broken.unwrap_or(marks.end));
    let mut failures = BTreeMap::new();
    seconds.iter().flat_map(|s| &s.failures).for_each(|(k, n)| *failures.entry(k.clone()).or_insert(0) += n);
    let why = |s: &Seconds| s.reason().map(str::to_string);
    RunReport {
        story: title.story,
        fault: scenario.fault_name(),
        target: title.target,
        policy: title.policy,
        expected: scenario.expected,
        outcome: match (m.longest_silence >= OUTAGE_MS, m.failed) {
            (true, _) => "outage",
            (false, 0) => "no-loss",
            (false, _) => "loss",
        },
        verdict: verdict(&findings),
        injected: marks.fully_broken.map(|at| clock(title.zero, at)),
        ending: match ending {
            Ending::Completed => "completed",
            Ending::Refused(_) => "refused",
            Ending::Broken(_) => "broken",
            Ending::Interrupted => "interrupted",
        },
        findings,
        rate: title.rate,
        requests: m.requests,
        requests_in_fault: m.requests_in_fault,
        failed: m.failed,
        failed_in_fault: m.failed_in_fault,
        cut_after_headers: m.cut_after_headers,
        missed: m.missed,
        failures,
        detection_ms: m.detection.millis(),
        detection_reason: why(&m.detection),
        detected_by: m.detected_by,
        failover_ms: m.failover.millis(),
        failover_reason: why(&m.failover),
        failback_ms: m.failback.millis(),
        failback_reason: why(&m.failback),
        longest_silence_ms: m.longest_silence,
        worst_second: m.worst_second,
        latency_us: m.latency.map(|[p50, p99, max]| Latency { p50, p99, max }),
        busy_per_mille: m.busy,
        full_ms: m.full,
        failed_while_full: m.failed_while_full,
        marks: m.marks,
        answered_per_second: seconds,
    }
}

fn clock(zero: jiff::Timestamp, at: Micros) -> String {
    let at = zero + std::time::Duration::from_micros(at);
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Runs → the report over all.
pub fn report(started: String, runs: Vec<RunReport>) -> DrillReport {
    let verdict = verdict(runs.iter().flat_map(|r| &r.findings));
    let failctl = env!("CARGO_PKG_VERSION");
    DrillReport { api_version: API_VERSION, kind: "DrillReport", failctl, started, verdict, runs }
}

/// The word for a verdict; the loud one is the one that matters.
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

fn time(ms: Option<u64>) -> String {
    ms.map_or("not seen".to_string(), |ms| format!("{ms} ms"))
}

/// One row per run.
pub fn summary(report: &DrillReport) -> String {
    let header = [
        "FAULT",
        "SERVICE",
        "POLICY",
        "EXPECTED",
        "SEEN",
        "REQUESTS",
        "IN FAULT",
        "FAILED",
        "CUT",
        "DETECTION",
        "FAILOVER",
        "FAILBACK",
        "VERDICT",
    ];
    let row = |r: &RunReport| {
        vec![
            r.fault.clone(),
            r.target.clone(),
            r.policy.clone(),
            r.expected.as_str().to_string(),
            r.outcome.to_string(),
            r.requests.to_string(),
            r.requests_in_fault.to_string(),
            r.failed.to_string(),
            r.cut_after_headers.to_string(),
            time(r.detection_ms),
            time(r.failover_ms),
            time(r.failback_ms),
            word(r.verdict).to_string(),
        ]
    };
    table(header, report.runs.iter().map(row))
}

/// Everything a person wants to know of a drill.
pub fn text(report: &DrillReport) -> String {
    let mut text = summary(report);
    for run in &report.runs {
        let _ = write!(text, "\n{}: {}, {}\n", run.target, run.fault, word(run.verdict));
        for finding in &run.findings {
            let _ = writeln!(text, "  {:<12} {} [{}]", word(finding.verdict), clean(&finding.what), finding.code);
        }
        for (what, why) in [
            ("detection", &run.detection_reason),
            ("failover", &run.failover_reason),
            ("failback", &run.failback_reason),
        ] {
            if let Some(why) = why {
                let _ = writeln!(text, "  {what} not seen: {}", clean(why));
            }
        }
        if let Some(by) = &run.detected_by {
            let _ = writeln!(text, "  the gateway's Envoy said of the primary: {}", clean(by));
        }
        if let Some(l) = run.latency_us {
            let ms = |us: u64| format!("{}.{} ms", us / 1000, us % 1000 / 100);
            let _ = writeln!(
                text,
                "  latency from the intended start: p50 {}, p99 {}, worst {}",
                ms(l.p50),
                ms(l.p99),
                ms(l.max)
            );
        }
        if let Some(busy) = run.busy_per_mille {
            let full = match run.full_ms {
                0 => String::new(),
                full => format!(", for {} s all of them all the time", full.div_ceil(1000)),
            };
            let _ = writeln!(text, "  this machine's processors from the fault on: {} % in use{full}", busy / 10);
        }
        text.push('\n');
        text += &timeline_text(run);
    }
    text
}

/// Second by second; seconds in which nothing changed are drawn together.
pub fn timeline_text(run: &RunReport) -> String {
    let mut rows: Vec<(i64, i64, Vec<String>)> = Vec::new();
    let mut last: Option<String> = None;
    for s in &run.answered_per_second {
        let who: Vec<_> = s.answered.iter().map(|(k, n)| (k.clone(), *n)).collect();
        let mark = mark(run, s.second);
        let quiet = s.failed == 0 && s.cut_after_headers == 0 && s.missed == 0 && who.len() == 1 && mark.is_empty();
        let same = quiet.then(|| who[0].0.clone());
        match rows.last_mut() {
            Some(row) if same.is_some() && same == last => {
                row.1 = s.second;
                row.2[0] = (row.2[0].parse::<u64>().unwrap_or(0) + s.requests).to_string();
                row.2[1] = format!("{} only", who[0].0);
            }
            _ => rows.push((s.second, s.second, cells(s, &who, mark))),
        }
        last = same;
    }
    let row = |(from, to, cells): (i64, i64, Vec<String>)| {
        let when = if from == to { from.to_string() } else { format!("{from}..{to}") };
        [vec![when], cells].concat()
    };
    table(["SECOND", "REQUESTS", "ANSWERED BY", "FAILED", ""], rows.into_iter().map(row))
}

fn cells(s: &Second, who: &[(String, u64)], mark: String) -> Vec<String> {
    let answered: Vec<_> = who.iter().map(|(k, n)| format!("{k} {n}")).collect();
    let mut failed: Vec<_> = s.failures.iter().map(|(k, n)| format!("{k} {n}")).collect();
    failed.extend((s.missed > 0).then(|| format!("not started {}", s.missed)));
    let failed = if failed.is_empty() { "-".to_string() } else { failed.join(", ") };
    let answered = if answered.is_empty() { "nobody".to_string() } else { answered.join(", ") };
    vec![s.requests.to_string(), answered, failed, mark]
}

fn mark(run: &RunReport, second: i64) -> String {
    let within = |ms: Option<i64>| ms.is_some_and(|ms| ms.div_euclid(1000) == second);
    let mut marks = Vec::new();
    let broken = run.requests_in_fault > 0 || run.marks.t5_healing.is_some();
    marks.extend((broken && second == 0).then_some("fault"));
    marks.extend(within(run.marks.t2_detected).then_some("detected"));
    marks.extend(within(run.marks.t5_healing).then_some("healing"));
    marks.extend(within(run.marks.t7_steady).then_some("primary again"));
    marks.join(", ")
}
