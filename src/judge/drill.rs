//! The verdict of a drill: measured × tolerated.
//! What comes in: how it ended, what was measured. What goes out: findings and one verdict.
//! May not know: how it was measured.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::duration::Millis;
use crate::sim::analysis::Seconds;
use crate::sim::processors::FULL;
use crate::sim::scenario::{Entry, Tolerances};
use crate::sim::{Ending, Expected, Measured, Scenario};

/// The answer of a drill. Inconclusive is never shown as green.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Everything expected was seen.
    Pass,
    /// Something expected was not so.
    Fail,
    /// It cannot be told.
    Inconclusive,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable code.
    pub code: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What was looked at, what was tolerated, what was measured.
    pub what: String,
}

/// A silence at least this long is an outage, in milliseconds.
pub const OUTAGE_MS: u64 = 1000;
/// Share of starts that may be missed before the load no longer is what was asked for, per mille.
const MISSED_PER_MILLE: u64 = 10;
/// Fewer requests in the fault than this tell nothing.
const FEWEST: u64 = 20;

/// Everything that was looked at, in a fixed order.
pub fn findings(measured: &Measured, ending: &Ending, tolerated: &Tolerances, expected: Expected) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut say = |code, verdict, what: String| all.push(Finding { code, verdict, what });
    match ending {
        Ending::Completed => {}
        Ending::Refused(why) => say("FCT0610", Verdict::Inconclusive, format!("not started: {why}")),
        Ending::Broken(why) => {
            say("FCT0611", Verdict::Inconclusive, format!("the fault could not be injected or healed: {why}"))
        }
        Ending::Interrupted => say("FCT0612", Verdict::Inconclusive, "interrupted; everything was put back".into()),
    }
    if !all.is_empty() {
        return all;
    }
    if measured.requests_in_fault < FEWEST {
        let what =
            format!("{} requests in the fault are too few to tell (at least {FEWEST})", measured.requests_in_fault);
        all.push(Finding { code: "FCT0613", verdict: Verdict::Inconclusive, what });
    }
    let starts = measured.requests + measured.missed;
    if measured.missed * 1000 > starts * MISSED_PER_MILLE {
        let what = format!("{} of {starts} requests could not be started: the rate was not held", measured.missed);
        all.push(Finding { code: "FCT0614", verdict: Verdict::Inconclusive, what });
    }
    match expected {
        Expected::NoLoss => {
            no_loss(measured, tolerated, &mut all);
            all.extend(unproven(measured));
        }
        Expected::Stays => {
            no_loss(measured, tolerated, &mut all);
            all.push(stays(measured));
        }
        Expected::Outage => all.push(outage(measured)),
    }
    all.extend(limit("FCT0623", "detection", &measured.detection, tolerated.max_detection));
    all.extend(limit("FCT0624", "failover", &measured.failover, tolerated.max_failover));
    all.extend(limit("FCT0625", "failback", &measured.failback, tolerated.max_failback));
    if expected != Expected::Outage {
        doubt(measured, tolerated, &mut all);
    }
    all
}

/// On a machine without a moment to spare a failure cannot be told from the machine's own doing: neither where it was full
/// all the time, nor where too many were lost only because of those that met it full. What passed, passed.
fn doubt(measured: &Measured, tolerated: &Tolerances, all: &mut Vec<Finding>) {
    let (failed, while_full) = (measured.failed, measured.failed_while_full);
    let always = measured.busy.filter(|busy| *busy >= FULL);
    let why = match always {
        Some(busy) => format!("were in use {} % of the time from the fault on", busy / 10),
        None if failed > tolerated.max_failed && failed.saturating_sub(while_full) <= tolerated.max_failed => format!(
            "had no time left for {} s from the fault on, and {while_full} of the {failed} lost requests were under way then",
            measured.full.div_ceil(1000)
        ),
        None => return,
    };
    let failed: Vec<_> = all.iter_mut().filter(|f| f.verdict == Verdict::Fail).collect();
    if failed.is_empty() {
        return;
    }
    failed.into_iter().for_each(|f| f.verdict = Verdict::Inconclusive);
    let what = format!(
        "the processors of this machine {why}: what was lost or late may be its doing; try a lower rate, or a machine with \
         less to do"
    );
    all.push(Finding { code: "FCT0628", verdict: Verdict::Inconclusive, what });
}

fn no_loss(m: &Measured, tolerated: &Tolerances, all: &mut Vec<Finding>) {
    let ok = |good| if good { Verdict::Pass } else { Verdict::Fail };
    all.push(Finding {
        code: "FCT0620",
        verdict: ok(m.failed <= tolerated.max_failed),
        what: format!("{} of {} requests lost, {} tolerated", m.failed, m.requests, tolerated.max_failed),
    });
    if let Some(max) = tolerated.max_cut {
        all.push(Finding {
            code: "FCT0621",
            verdict: ok(m.cut_after_headers <= max),
            what: format!("{} answers cut after their headers, {max} tolerated", m.cut_after_headers),
        });
    }
    if m.longest_silence >= OUTAGE_MS {
        let what = format!("an outage: nobody answered for {} ms", m.longest_silence);
        all.push(Finding { code: "FCT0622", verdict: Verdict::Fail, what });
    }
}

/// Where a failover is expected and none was seen; after an outage that needs no saying.
fn unproven(m: &Measured) -> Option<Finding> {
    let why = m.failover.reason().filter(|_| m.longest_silence < OUTAGE_MS)?;
    let what = format!("no failover was seen, so nothing is proven: {why}");
    Some(Finding { code: "FCT0626", verdict: Verdict::Inconclusive, what })
}

/// The primary must serve when the fault ends; that the backup helped out before then is nobody's failing.
fn stays(m: &Measured) -> Finding {
    let (verdict, what) = match (&m.failover, m.primary_at_end) {
        (Seconds::After(ms), _) => {
            (Verdict::Fail, format!("nobody was to move, but the backup served from {ms} ms to the end of the fault"))
        }
        (Seconds::NotSeen(_), true) => (Verdict::Pass, "nobody moved: the primary served when the fault ended".into()),
        (Seconds::NotSeen(why), false) => {
            (Verdict::Fail, format!("the primary did not serve when the fault ended: {why}"))
        }
    };
    Finding { code: "FCT0629", verdict, what }
}

fn outage(m: &Measured) -> Finding {
    let seen = m.longest_silence >= OUTAGE_MS;
    let what = match seen {
        true => format!(
            "the expected outage was seen: nobody answered for {} ms, {} requests lost",
            m.longest_silence, m.failed
        ),
        false => format!("an outage was expected, but the longest silence was {} ms", m.longest_silence),
    };
    Finding { code: "FCT0622", verdict: if seen { Verdict::Pass } else { Verdict::Fail }, what }
}

/// What it means that a drill took the gateway itself down by which requests enter, and what would cover it: nothing
/// behind a gateway can answer for it. `None` when that did not happen.
pub fn lost_entry(entry: &Entry, scenario: &Scenario) -> Option<Finding> {
    scenario.faults.iter().find(|f| f.fault.takes_entry(&entry.cluster))?;
    let here = &entry.cluster;
    let second = match &entry.others[..] {
        [] => "a second cluster that runs the service, with a route on its gateway".to_string(),
        others => {
            let names: Vec<_> = others.iter().map(ToString::to_string).collect();
            format!("a route for the service on the gateway of {} too", names.join(" and "))
        }
    };
    let what = format!(
        "the loss of an entry: the edge of {here} was down too, so nobody who enters there can be answered, whatever stands \
         behind it. What covers it: {second}, and in front of the entries DNS or a global load balancer that checks them"
    );
    let verdict = if scenario.expected == Expected::Outage { Verdict::Pass } else { Verdict::Fail };
    Some(Finding { code: "FCT0627", verdict, what })
}

fn limit(code: &'static str, name: &str, seen: &Seconds, max: Option<Millis>) -> Option<Finding> {
    let max = max?;
    let (verdict, what) = match seen {
        Seconds::After(ms) if *ms <= max.0 => (Verdict::Pass, format!("{name} after {ms} ms, {max} tolerated")),
        Seconds::After(ms) => (Verdict::Fail, format!("{name} after {ms} ms, {max} tolerated")),
        Seconds::NotSeen(why) => (Verdict::Fail, format!("{name} not seen: {why}; {max} tolerated")),
    };
    Some(Finding { code, verdict, what })
}

/// One verdict: a failure outweighs a doubt, a doubt outweighs a pass, and nothing looked at is a doubt.
pub fn verdict<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
    let all: Vec<_> = findings.into_iter().map(|f| f.verdict).collect();
    if all.contains(&Verdict::Fail) {
        Verdict::Fail
    } else if all.is_empty() || all.contains(&Verdict::Inconclusive) {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}
