//! Records and marks → what happened: detection, failover, failback, losses.
//! Every time that was not seen is a reason, never a number.
//! May not know: sockets, clocks, clusters.

use std::collections::BTreeSet;

use serde::Serialize;

use super::director::Seen;
use super::processors::{self, Use};
use super::record::{Micros, Record, Samples};

/// When the drill did what. Microseconds from the start of the load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// When the first fault began to be injected.
    pub broken: Option<Micros>,
    /// When the last fault began to be injected; equal to `broken` when there is one fault.
    pub fully_broken: Option<Micros>,
    /// When healing began.
    pub healing: Option<Micros>,
    /// When everything was put back.
    pub healed: Option<Micros>,
    /// When the load ended.
    pub end: Micros,
}

/// What the gateway's Envoy said about the primary at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// When it was asked.
    pub at: Micros,
    /// Hosts of the primary that it would use.
    pub usable: u32,
    /// Why the others are not used, for example `failed active health check`; `no hosts` when none is known.
    pub why: Option<String>,
}

/// All that is known of one target's run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The requests.
    pub samples: Samples,
    /// The labels of the primary; empty: whoever answered before the fault.
    pub primary: BTreeSet<String>,
    /// What the gateway's Envoy said, in order; empty with a reason when it could not be asked.
    pub health: Vec<Health>,
    /// Why the gateway's Envoy could not be asked.
    pub no_health: Option<String>,
    /// How busy the processors of the machine were that made the requests, from the fault on, in order; empty where it is
    /// not known.
    pub processors: Vec<Use>,
}

/// A time that was seen, or the reason why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Seconds {
    /// Seen after this many milliseconds.
    After(u64),
    /// Not seen, and why.
    NotSeen(String),
}

impl Seconds {
    /// The number, if it was seen.
    pub fn millis(&self) -> Option<u64> {
        match self {
            Seconds::After(ms) => Some(*ms),
            Seconds::NotSeen(_) => None,
        }
    }

    /// The reason, if it was not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Seconds::After(_) => None,
            Seconds::NotSeen(why) => Some(why),
        }
    }
}

/// The marks T0 to T7 of a drill, in milliseconds from T0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Timestamps {
    /// The (last) fault began to be injected. Zero by definition.
    pub t0_injected: i64,
    /// The first lost request ended.
    pub t1_first_error: Option<i64>,
    /// The gateway's Envoy was first seen not to use the primary.
    pub t2_detected: Option<i64>,
    /// The first answer of the backup.
    pub t3_first_backup_answer: Option<i64>,
    /// The first answer after which no request of the fault was lost.
    pub t4_no_more_errors: Option<i64>,
    /// Healing began.
    pub t5_healing: Option<i64>,
    /// The first answer of the primary after that.
    pub t6_first_primary_answer: Option<i64>,
    /// The first answer after which only the primary answered.
    pub t7_steady: Option<i64>,
}

/// What happened to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Who answered before the fault: the primary, by label.
    pub primary: BTreeSet<String>,
    /// Requests made.
    pub requests: u64,
    /// Requests whose intended start lies between the first injection and the start of healing.
    pub requests_in_fault: u64,
    /// Requests lost.
    pub failed: u64,
    /// Requests lost whose intended start lies in the fault.
    pub failed_in_fault: u64,
    /// Answers cut after their headers.
    pub cut_after_headers: u64,
    /// Starts that could not be made.
    pub missed: u64,
    /// Last injection → the gateway's Envoy does not use the primary (seen by asking it).
    pub detection: Seconds,
    /// Why the Envoy did not use it.
    pub detected_by: Option<String>,
    /// Last injection → end of the first backup answer after which, until healing, only the backup answers. What the
    /// primary answered once healing had begun tells nothing of the fault: the request waited through it.
    pub failover: Seconds,
    /// Whether the primary answered in the last second of the fault.
    pub primary_at_end: bool,
    /// Start of healing → end of the first primary answer after which only the primary answers.
    pub failback: Seconds,
    /// The longest time in which requests were made and none was answered, in milliseconds.
    pub longest_silence: u64,
    /// Most requests lost in any one second from the fault on, by intended start.
    pub worst_second: u64,
    /// Latency from the intended start, answered requests only: p50, p99, worst, in microseconds.
    pub latency: Option<[Micros; 3]>,
    /// How much of the processors' time of the machine that made the requests was in use from the fault on, per mille.
    pub busy: Option<u32>,
    /// For how long, of that, they had no time left ([`processors::FULL_FOR`] at least at a stretch), in milliseconds.
    pub full: u64,
    /// Requests lost that were under way then.
    pub failed_while_full: u64,
    /// T0 to T7.
    pub marks: Timestamps,
}

/// Who answered in `[from, to)`: before a fault that is the primary.
pub fn answerers(samples: &Samples, from: Micros, to: Micros) -> BTreeSet<String> {
    samples.between(from, to).filter_map(Record::by).map(str::to_string).collect()
}

/// What a stretch of load looked like: for the director's pre-flight check and its wait for the primary.
/// `primary` empty means that whoever answers is the primary (before the fault).
pub fn look<'a>(
    targets: impl IntoIterator<Item = (&'a str, &'a Samples, &'a BTreeSet<String>)>,
    from: Micros,
    to: Micros,
) -> Seen {
    let mut seen = Seen { unwell: Vec::new(), primary_alone: true };
    for (name, samples, primary) in targets {
        let all = samples.between(from, to).count();
        let bad: Vec<_> = samples.between(from, to).filter(|r| r.failure().is_some()).collect();
        let first = bad.first().and_then(|r| r.failure()).map_or("", |c| c.as_str());
        if all == 0 {
            seen.unwell.push(format!("{name}: no request has ended"));
        } else if bad.len() == all {
            seen.unwell.push(format!("{name}: nobody answers (all {all} requests failed, first: {first})"));
        } else if !bad.is_empty() {
            seen.unwell.push(format!("{name}: {} of {all} requests failed (first: {first})", bad.len()));
        }
        let strangers = !primary.is_empty() && answerers(samples, from, to).iter().any(|by| !primary.contains(by));
        seen.primary_alone &= all > 0 && bad.is_empty() && !strangers;
    }
    seen
}

/// What happened to one target. Times are read off the records; nothing is assumed.
pub fn measure(run: &Run, marks: &Marks) -> Measured {
    let samples = &run.samples;
    let end = marks.end.max(samples.records.last().map_or(0, |r| r.start + 1));
    let broken = marks.broken.unwrap_or(end);
    let t0 = marks.fully_broken.unwrap_or(broken);
    let healing = marks.healing.unwrap_or(end).max(t0);
    let primary = if run.primary.is_empty() { answerers(samples, 0, broken) } else { run.primary.clone() };
    let view = View { samples, primary: &primary, t0, healing, end };
    let lost = |from, to| samples.between(from, to).filter(|r| r.lost()).count() as u64;
    let (detection, detected_by) = view.detection(run, marks);
    let full = processors::full(&run.processors);
    Measured {
        requests: samples.records.len() as u64,
        requests_in_fault: if marks.broken.is_some() { samples.between(broken, healing).count() as u64 } else { 0 },
        failed: lost(0, end),
        failed_in_fault: if marks.broken.is_some() { lost(broken, healing) } else { 0 },
        cut_after_headers: samples.records.iter().filter(|r| r.failure().is_some() && !r.lost()).count() as u64,
        missed: samples.missed.len() as u64,
        failover: view.failover(marks),
        primary_at_end: view.primary_at_end(),
        failback: view.failback(run, marks),
        longest_silence: longest_silence(samples) / 1000,
        worst_second: worst_second(samples, broken),
        latency: latency(samples),
        busy: processors::mean(&run.processors),
        full: full.iter().map(|(from, to)| to - from).sum::<Micros>() / 1000,
        failed_while_full: samples.records.iter().filter(|r| r.lost() && met(r, &full)).count() as u64,
        marks: view.timestamps(detection.millis(), marks),
        detection,
        detected_by,
        primary,
    }
}

struct View<'a> {
    samples: &'a Samples,
    primary: &'a BTreeSet<String>,
    t0: Micros,
    healing: Micros,
    end: Micros,
}

impl View<'_> {
    fn by_primary(&self, r: &Record) -> bool {
        r.by().is_some_and(|by| self.primary.contains(by))
    }

    fn by_backup(&self, r: &Record) -> bool {
        r.by().is_some_and(|by| !self.primary.contains(by))
    }

    fn detection(&self, run: &Run, marks: &Marks) -> (Seconds, Option<String>) {
        let not = |why: &str| (Seconds::NotSeen(why.to_string()), None);
        if marks.fully_broken.is_none() {
            return not("nothing was broken");
        }
        let first = run.health.iter().find(|h| h.at >= self.t0 && h.at < self.healing && h.usable == 0);
        match (first, &run.no_health) {
            (Some(h), _) => (Seconds::After((h.at - self.t0) / 1000), h.why.clone()),
            (None, Some(why)) => not(why),
            (None, None) if run.health.iter().any(|h| h.at >= self.t0) => {
                not("the gateway's Envoy went on using the primary until healing began")
            }
            (None, None) => not("the gateway's Envoy was not asked during the fault"),
        }
    }

    fn failover(&self, marks: &Marks) -> Seconds {
        let not = |why: String| Seconds::NotSeen(why);
        if marks.fully_broken.is_none() {
            return not("nothing was broken".into());
        }
        if self.primary.is_empty() {
            return not("nobody answered before the fault, so the primary is not known".into());
        }
        let waited = |r: &Record| self.by_primary(r) && r.end() >= self.healing;
        let fault = || self.samples.between(self.t0, self.healing).filter(|r| !waited(r));
        if let Some(r) = sustained(fault(), |r| self.by_backup(r)) {
            return Seconds::After(r.end().saturating_sub(self.t0) / 1000);
        }
        let backup = fault().filter(|r| self.by_backup(r)).count();
        let lost = fault().filter(|r| r.failure().is_some()).count();
        let old = fault().filter(|r| self.by_primary(r)).count();
        let all_waited = self.samples.between(self.t0, self.healing).next().is_some();
        not(match (backup, lost, old) {
            (0, 0, 0) if all_waited => "every request of the fault waited until healing had begun".into(),
            (0, 0, 0) => "no request was made during the fault".into(),
            (0, 0, _) => "the primary went on answering: the fault did not reach it".into(),
            (0, _, 0) => "no backup answered: every request of the fault failed".into(),
            (0, _, _) => "no backup answered".into(),
            (b, l, o) => format!(
                "the backup answered {b} times, but to the end of the fault {l} requests failed and the primary answered {o} times"
            ),
        })
    }

    fn primary_at_end(&self) -> bool {
        let last = self.healing.saturating_sub(1_000_000).max(self.t0)..self.healing;
        self.samples.between(self.t0, self.healing).any(|r| self.by_primary(r) && last.contains(&r.end()))
    }

    fn failback(&self, run: &Run, marks: &Marks) -> Seconds {
        let Some(healing) = marks.healing else {
            return Seconds::NotSeen("nothing was healed".into());
        };
        if self.primary.is_empty() {
            return Seconds::NotSeen("nobody answered before the fault, so the primary is not known".into());
        }
        if let Some(r) = sustained(self.samples.between(healing, self.end), |r| self.by_primary(r)) {
            return Seconds::After(r.end().saturating_sub(healing) / 1000);
        }
        let seen = self.samples.between(healing, self.end).any(|r| self.by_primary(r));
        let kept_out = run.health.last().filter(|h| h.at >= healing && h.usable == 0).and_then(|h| h.why.as_deref());
        Seconds::NotSeen(match (seen, kept_out) {
            (true, _) => "the primary answered again, but not alone before the load ended".into(),
            (false, Some(why)) => {
                format!(
                    "the Envoy that decides still kept the primary out when the load ended ({why}), which hides the failback"
                )
            }
            (false, None) => "the primary did not answer again before the load ended".into(),
        })
    }

    fn timestamps(&self, detection: Option<u64>, marks: &Marks) -> Timestamps {
        let rel = |at: Micros| (at as i64 - self.t0 as i64).div_euclid(1000);
        if marks.fully_broken.is_none() {
            return Timestamps::default();
        }
        let fault = || self.samples.between(self.t0, self.healing);
        let first_end = |records: &mut dyn Iterator<Item = &Record>| records.map(Record::end).min().map(rel);
        let after = || self.samples.between(marks.healing.unwrap_or(self.end), self.end);
        let lost = fault().any(Record::lost);
        let calm = sustained(fault(), |r| !r.lost()).map(Record::end).map(rel);
        Timestamps {
            t0_injected: 0,
            t1_first_error: first_end(&mut fault().filter(|r| r.lost())),
            t2_detected: detection.map(|ms| ms as i64),
            t3_first_backup_answer: first_end(&mut fault().filter(|r| self.by_backup(r))),
            t4_no_more_errors: if lost { calm } else { Some(0) },
            t5_healing: marks.healing.map(rel),
            t6_first_primary_answer: first_end(&mut after().filter(|r| self.by_primary(r))),
            t7_steady: marks
                .healing
                .and_then(|h| sustained(self.samples.between(h, self.end), |r| self.by_primary(r)))
                .map(|r| rel(r.end())),
        }
    }
}

/// The first record after which all satisfy `good`, itself included: of those, the one that ended first.
fn sustained<'r>(all: impl Iterator<Item = &'r Record>, good: impl Fn(&Record) -> bool) -> Option<&'r Record> {
    let all: Vec<_> = all.collect();
    let tail = all.iter().rev().take_while(|r| good(r)).count();
    all[all.len() - tail..].iter().min_by_key(|r| r.end()).copied()
}

/// The longest stretch between intended starts in which nothing that was started was answered.
fn longest_silence(samples: &Samples) -> Micros {
    let (mut longest, mut begun) = (0, None);
    for r in &samples.records {
        match (r.by().is_some(), begun) {
            (true, Some(from)) => {
                longest = longest.max(r.start - from);
                begun = None;
            }
            (false, None) => begun = Some(r.start),
            _ => {}
        }
    }
    let last = samples.records.last().map_or(0, |r| r.start);
    longest.max(begun.map_or(0, |from| last - from))
}

fn worst_second(samples: &Samples, from: Micros) -> u64 {
    let lost: Vec<Micros> = samples.records.iter().filter(|r| r.lost() && r.start >= from).map(|r| r.start).collect();
    let window = |(i, at): (usize, &Micros)| lost[i..].partition_point(|t| *t < at + 1_000_000) as u64;
    lost.iter().enumerate().map(window).max().unwrap_or(0)
}

/// Whether a request was under way in one of these stretches.
fn met(r: &Record, stretches: &[(Micros, Micros)]) -> bool {
    stretches.iter().any(|(from, to)| r.start < *to && r.end() > *from)
}

fn latency(samples: &Samples) -> Option<[Micros; 3]> {
    let mut all: Vec<Micros> = samples.records.iter().filter(|r| r.by().is_some()).map(|r| r.latency).collect();
    all.sort_unstable();
    let rank = |percent: usize| all[(all.len() * percent).div_ceil(100).saturating_sub(1)];
    (!all.is_empty()).then(|| [rank(50), rank(99), all[all.len() - 1]])
}
