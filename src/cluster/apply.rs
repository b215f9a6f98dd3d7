//! A plan → writes, wave after wave. What comes in: a plan and clients. What goes out: a stream of events, and at the
//! end a report of every change: done, failed, or held back and why. May not know: documents, terminals.
//! A change waits for the earlier waves of its owner: if one of those failed, it is held back, so a route never
//! points at a failover that is not there. Other owners go on. Writes of a wave go side by side over kept connections.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::write::{Outcome, WriteOptions, WriteResult, write};
use crate::manifest::ObjectKey;
use crate::plan::{Action, Change, Plan, Reason};

/// Writes under way at once within a wave.
pub const PARALLEL: usize = 16;

/// One change with what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The change.
    pub change: Change,
    /// What came of it.
    pub outcome: Outcome,
}

/// Something that was not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which object.
    pub key: ObjectKey,
    /// What would have happened to it; none when its cluster could not be read.
    pub action: Option<Action>,
    /// Why it was not written.
    pub why: String,
    /// Whether its own cluster is out of reach (and not something it waits for).
    pub unreachable: bool,
}

/// Progress, for whoever shows it.
#[derive(Clone, Debug)]
pub enum Event {
    /// A change is done or failed.
    Wrote(Box<Written>),
    /// A change is held back.
    Held(Held),
}

/// What happened to every change of a plan.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was tried, in order of completion within a wave.
    pub written: Vec<Written>,
    /// What was not tried.
    pub held: Vec<Held>,
    /// Whether the user stopped it.
    pub interrupted: bool,
}

impl Report {
    /// Changes that are in place.
    pub fn done(&self) -> impl Iterator<Item = &Written> {
        self.written.iter().filter(|w| w.outcome.is_done())
    }

    /// Changes that were tried in vain.
    pub fn failed(&self) -> impl Iterator<Item = &Written> {
        self.written.iter().filter(|w| !w.outcome.is_done())
    }
}

/// A token that is cancelled at the first Ctrl-C or SIGTERM; what is under way is finished, nothing new is begun.
/// From the return of this call on, neither ends the process by itself.
pub fn stop_on_ctrl_c() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let token = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let stop = token.clone();
        match signal(kind) {
            Ok(mut signal) => drop(tokio::spawn(async move {
                signal.recv().await;
                stop.cancel();
            })),
            Err(e) => tracing::warn!("a signal cannot be listened for: {e}"),
        }
    }
    token
}

/// Writes a plan. Events go to `events` as they happen; a reader that is gone is no reason to stop.
pub async fn apply(
    clients: &Clients,
    plan: &Plan,
    options: &WriteOptions,
    stop: &CancellationToken,
    events: Option<mpsc::UnboundedSender<Event>>,
) -> Report {
    let tell = |event: Event| drop(events.as_ref().map(|e| e.send(event)));
    let mut report = Report::default();
    // Why an owner's later waves must wait.
    let mut broken: BTreeMap<String, String> = BTreeMap::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        let last = plan.leftovers.is_some_and(|first| index >= first);
        let (ready, waiting): (Vec<&Change>, Vec<&Change>) =
            wave.iter().filter(|c| c.action != Action::Keep).partition(|c| reason(&broken, c, last).is_none());
        for change in waiting {
            let why = reason(&broken, change, last).unwrap_or_default();
            hold(&mut report, &tell, change.key.clone(), Some(change.action), why, false);
        }
        for blocked in plan.blocked.iter().filter(|b| b.wave == index) {
            let unreachable = blocked.reason == Reason::Unreachable;
            let why = match unreachable {
                true => format!("{} cannot be reached: {}", blocked.key.cluster, blocked.why),
                false => blocked.why.clone(),
            };
            hold(&mut report, &tell, blocked.key.clone(), None, why, unreachable);
        }
        let mut writes =
            futures::stream::iter(ready.into_iter().map(|c| one(clients, c, options, stop))).buffer_unordered(PARALLEL);
        while let Some((change, outcome)) = writes.next().await {
            let Some(outcome) = outcome else {
                report.interrupted = true;
                hold(&mut report, &tell, change.key.clone(), Some(change.action), "interrupted".into(), false);
                continue;
            };
            let written = Written { change: change.clone(), outcome };
            tell(Event::Wrote(Box::new(written.clone())));
            report.written.push(written);
        }
        let failed: BTreeSet<_> = report.failed().map(|w| &w.change.key).collect();
        for change in wave.iter().filter(|c| failed.contains(&c.key)) {
            broken.entry(change.owner.clone()).or_insert(format!("waits for {}, which failed", change.key));
        }
        for blocked in plan.blocked.iter().filter(|b| b.wave == index) {
            let why = match blocked.reason {
                Reason::Unreachable => format!("waits for {}, whose cluster cannot be reached", blocked.key),
                Reason::Missing => format!("waits for {}, which does not exist yet", blocked.key),
            };
            broken.entry(blocked.owner.clone()).or_insert(why);
        }
    }
    report.interrupted |= stop.is_cancelled() && !report.held.is_empty();
    report
}

/// Why a change must wait: something of its own owner failed, or something that all share. What all share is taken
/// away only when nobody is left who uses it, and what is no longer wanted (`last`) when all that is wanted is there.
fn reason(broken: &BTreeMap<String, String>, change: &Change, last: bool) -> Option<String> {
    let shared_goes = last || change.owner == "fleet" && matches!(change.action, Action::Delete | Action::Release);
    let anyone = shared_goes.then(|| broken.values().next()).flatten();
    broken.get(&change.owner).or_else(|| broken.get("fleet")).or(anyone).cloned()
}

fn hold(
    report: &mut Report,
    tell: &impl Fn(Event),
    key: ObjectKey,
    action: Option<Action>,
    why: String,
    unreachable: bool,
) {
    let held = Held { key, action, why, unreachable };
    tell(Event::Held(held.clone()));
    report.held.push(held);
}

async fn one<'a>(
    clients: &Clients,
    change: &'a Change,
    options: &WriteOptions,
    stop: &CancellationToken,
) -> (&'a Change, Option<Outcome>) {
    if stop.is_cancelled() {
        return (change, None);
    }
    let outcome = match clients.client(change.key.cluster.as_str()).await {
        Ok(client) => write(&client, change, options).await,
        Err(e) => Outcome { result: WriteResult::Unreachable(e.to_string()), object: None, attempts: 0 },
    };
    (change, Some(outcome))
}
