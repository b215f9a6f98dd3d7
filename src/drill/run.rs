//! One drill: the director decides, this does. Load and questions to Envoy run beside it.
//! Whatever ends it (the last step, an error, Ctrl-C, a panic), everything broken is put back before it returns.
//! May not know: documents, terminals.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures::FutureExt;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::sync::CancellationToken;

use super::act::{self, Ground};
use super::deed::Deed;
use super::hold;
use super::journal::Journal;
use super::lock;
use super::restore;
use super::watching::{self, Asked, Backup, Watch};
use crate::model::duration::Millis;
use crate::model::name::ClusterName;
use crate::probe::load::Pace;
use crate::probe::machine::Processors;
use crate::probe::{self, Running};
use crate::sim::analysis;
use crate::sim::fault::Fault;
use crate::sim::scenario::Entry;
use crate::sim::{Director, Ending, Marks, Micros, Observation, Run, Samples, Scenario, Step};

/// Everything a drill needs.
pub struct Drill {
    /// What to do.
    pub scenario: Scenario,
    /// Where faults happen.
    pub ground: Ground,
    /// The targets of the scenario, resolved, in its order.
    pub lanes: Vec<Lane>,
    /// The state directory.
    pub state: PathBuf,
    /// The kubeconfig files in use; empty: the default places.
    pub kubeconfig: Vec<PathBuf>,
    /// Now, RFC 3339.
    pub started: String,
}

/// One target, resolved.
#[derive(Clone)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Where requests go.
    pub target: probe::Target,
    /// How many are started per second.
    pub rate: u32,
    /// The labels of the primary; empty: whoever answers before the fault.
    pub primary: BTreeSet<String>,
    /// Whose Envoy decides, or why it is not known.
    pub watch: Result<Watch, String>,
    /// The gateway by which requests enter; none when a URL of the user's own says where they go.
    pub entry: Option<Entry>,
}

/// What happens while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step begins, or a remark.
    Step {
        /// When.
        at: Millis,
        /// What.
        what: String,
    },
    /// Counts of the last second, per lane: answers by label, losses.
    Tick {
        /// When.
        at: Millis,
        /// Per lane.
        lanes: Vec<(BTreeMap<String, u64>, u64)>,
    },
}

/// What is known after a drill.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// When what was done.
    pub marks: Marks,
    /// The zero of all marks, by the clock.
    pub zero: jiff::Timestamp,
    /// Per lane.
    pub runs: Vec<Run>,
    /// What was left alone or could not be put back.
    pub remarks: Vec<String>,
    /// The journal, if something could not be put back.
    pub journal: Option<PathBuf>,
}

/// Runs a drill to its end. `Err` means that nothing was broken.
pub async fn run(drill: Drill, stop: CancellationToken, tell: UnboundedSender<Event>) -> anyhow::Result<Outcome> {
    let _locks = lock::take(&drill.state, &identities(&drill))?;
    refuse_leftovers(&drill)?;
    for step in &drill.scenario.faults {
        act::prepare(&drill.ground, &step.fault).await.with_context(|| format!("cannot {}", step.fault))?;
    }
    let contexts = drill.ground.clients.clusters().filter_map(|c| {
        let context = drill.ground.clients.context(c.as_str())?;
        Some((c.clone(), context.to_string()))
    });
    let contexts = contexts.collect();
    let (name, started) = (&drill.scenario.name, drill.started.clone());
    let mut journal = Journal::begin(&drill.state, name, started, drill.kubeconfig.clone(), contexts);
    let mut stage = Stage::open(&drill, stop, tell);
    let played = AssertUnwindSafe(stage.play(&mut journal)).catch_unwind().await;
    let ending = match played {
        Ok(ending) => ending,
        Err(_) => Ending::Broken("failctl itself failed; everything was put back".into()),
    };
    // After a clean run nothing is open; after anything else this is what puts it back.
    if journal.open_deeds().next().is_some() {
        stage.put_back_rest(&mut journal).await;
    }
    let left = journal.open_deeds().next().is_some().then(|| journal.path().to_path_buf());
    Ok(stage.close(ending, left).await)
}

fn identities(drill: &Drill) -> Vec<(String, String)> {
    let files: Vec<_> = drill.kubeconfig.iter().map(|p| p.display().to_string()).collect();
    let clusters = drill.ground.clients.clusters();
    let identity = |c: &str| format!("{}\n{}", files.join(":"), drill.ground.clients.context(c).unwrap_or_default());
    clusters.map(|c| (c.to_string(), identity(c.as_str()))).collect()
}

/// An earlier drill left something broken.
#[derive(Debug, thiserror::Error)]
#[error("the drill `{drill}` of {started} was not put back; `failctl simulate restore` does it")]
pub struct Leftover {
    /// Its name.
    pub drill: String,
    /// When it began, RFC 3339.
    pub started: String,
}

/// A journal of a drill that was killed says what is still broken: measuring on top of it would lie.
fn refuse_leftovers(drill: &Drill) -> anyhow::Result<()> {
    for path in Journal::all(&drill.state)? {
        let journal = Journal::open(&path)?;
        let mine = |context: &String| {
            drill.ground.clients.clusters().any(|c| drill.ground.clients.context(c.as_str()) == Some(context))
        };
        if journal.record.kubeconfig == drill.kubeconfig && journal.record.contexts.values().any(mine) {
            return Err(Leftover { drill: journal.record.drill, started: journal.record.started }.into());
        }
    }
    Ok(())
}

type Shared = Arc<Mutex<Vec<Samples>>>;

fn look_in(shared: &Shared) -> MutexGuard<'_, Vec<Samples>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stage<'a> {
    drill: &'a Drill,
    stop: CancellationToken,
    tell: UnboundedSender<Event>,
    load: Running,
    samples: Shared,
    collector: tokio::task::JoinHandle<()>,
    watching: CancellationToken,
    answers: Vec<Asked>,
    marks: Marks,
    zero: jiff::Timestamp,
    /// From the fault on.
    processors: Option<Processors>,
    primary: Vec<BTreeSet<String>>,
    /// Journal entries of the faults begun, in order.
    begun: Vec<Vec<usize>>,
    remarks: Vec<String>,
    /// Whether the director knows that somebody wants to stop.
    told: bool,
}

impl<'a> Stage<'a> {
    fn open(drill: &'a Drill, stop: CancellationToken, tell: UnboundedSender<Event>) -> Self {
        let load = &drill.scenario.load;
        let pace = Pace {
            // Acts take time of their own; the load is stopped when the drill is over.
            duration: drill.scenario.longest().std() + Duration::from_secs(600),
            timeout: load.timeout.std(),
            max_in_flight: load.max_in_flight,
            burst: load.burst,
        };
        let targets: Vec<_> = drill.lanes.iter().map(|l| (l.target.clone(), l.rate)).collect();
        let samples: Shared = Arc::new(Mutex::new(vec![Samples::default(); targets.len()]));
        let mut running = probe::start(targets, pace);
        let zero = jiff::Timestamp::now() - Duration::from_micros(running.now());
        let events = std::mem::replace(&mut running.events, mpsc::unbounded_channel().1);
        let collector = tokio::spawn(collect(events, samples.clone()));
        let watching = CancellationToken::new();
        let watched = drill.lanes.iter().map(|l| l.watch.as_ref().ok());
        let answers = watching::watches(&drill.ground.clients, watched, running.zero, &watching);
        Stage {
            stop,
            tell,
            load: running,
            samples,
            collector,
            watching,
            answers,
            marks: Marks::default(),
            zero,
            processors: None,
            primary: drill.lanes.iter().map(|l| l.primary.clone()).collect(),
            begun: Vec::new(),
            remarks: Vec::new(),
            told: false,
            drill,
        }
    }

    async fn play(&mut self, journal: &mut Journal) -> Ending {
        let mut director = Director::new(&self.drill.scenario);
        let mut seen = Observation::Done;
        loop {
            let step = director.next(seen);
            seen = match step {
                Step::Done(ending) => return ending,
                Step::Wait(time) => self.wait(time).await,
                Step::Probe(window) => self.look(window),
                Step::Inject(fault) => self.inject(journal, &fault).await,
                Step::Heal(fault) => self.heal(journal, &fault).await,
            };
            if self.stop.is_cancelled() && !self.told {
                self.say("stopping: everything is put back");
                self.told = true;
                seen = Observation::Interrupted;
            }
        }
    }

    fn say(&self, what: impl Into<String>) {
        let what = what.into();
        tracing::info!("{what}");
        let _ = self.tell.send(Event::Step { at: Millis(self.load.now() / 1000), what });
    }

    async fn wait(&self, time: Millis) -> Observation {
        let end = tokio::time::Instant::now() + time.std();
        loop {
            let next = end.min(tokio::time::Instant::now() + Duration::from_millis(250));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.stop.cancelled(), if !self.told => return Observation::Interrupted,
            }
            self.tick();
            if next == end {
                return Observation::Done;
            }
        }
    }

    fn tick(&self) {
        let now = self.load.now();
        let from = now.saturating_sub(1_000_000);
        let count = |samples: &Samples| {
            let mut by = BTreeMap::new();
            let recent = samples.records.iter().rev().take_while(|r| r.end() + 2_000_000 > from);
            let mut lost = 0;
            for record in recent.filter(|r| r.end() >= from) {
                match record.by() {
                    Some(label) => *by.entry(label.to_string()).or_insert(0) += 1,
                    None => lost += 1,
                }
            }
            (by, lost)
        };
        let lanes = look_in(&self.samples).iter().map(count).collect();
        let _ = self.tell.send(Event::Tick { at: Millis(now / 1000), lanes });
    }

    fn look(&mut self, window: Millis) -> Observation {
        let now = self.load.now();
        let samples = look_in(&self.samples);
        if self.marks.broken.is_none() {
            let seen = self.before(&samples, now.saturating_sub(window.0 * 1000), now);
            drop(samples);
            return seen;
        }
        let from = now.saturating_sub(window.0 * 1000);
        let lanes = self.drill.lanes.iter().zip(samples.iter()).zip(&self.primary);
        let lanes = lanes.map(|((lane, samples), primary)| (lane.name.as_str(), samples, primary));
        let mut seen = analysis::look(lanes, from, now);
        // A window that reaches back before healing says nothing about after.
        seen.primary_alone &= self.marks.healing.is_some_and(|h| from >= h);
        Observation::Seen(seen)
    }

    /// The pre-flight check: everybody answers, nothing fails, it is the primary that answers, and a backup stands by.
    fn before(&self, samples: &[Samples], from: Micros, now: Micros) -> Observation {
        let nobody = BTreeSet::new();
        let lanes = self.drill.lanes.iter().zip(samples);
        let mut seen = analysis::look(lanes.clone().map(|(l, s)| (l.name.as_str(), s, &nobody)), from, now);
        for (lane, samples) in lanes.filter(|(l, _)| !l.primary.is_empty()) {
            let strangers = analysis::answerers(samples, from, now);
            let strangers: Vec<_> = strangers.difference(&lane.primary).map(String::as_str).collect();
            if !strangers.is_empty() {
                let primary: Vec<_> = lane.primary.iter().map(String::as_str).collect();
                let (who, not) = (strangers.join(", "), primary.join(", "));
                seen.unwell.push(format!("{}: {who} answers before anything is broken, not only {not}", lane.name));
            }
        }
        for (lane, backup) in self.answers.iter().flat_map(Asked::backups) {
            if let Backup::Missing(why) = backup {
                seen.unwell.push(format!("{}: no backup is ready: {why}", self.drill.lanes[lane].name));
            }
        }
        Observation::Seen(seen)
    }

    async fn inject(&mut self, journal: &mut Journal, fault: &Fault) -> Observation {
        self.primary_is_known();
        self.backups_are_known();
        let first = journal.record.deeds.len();
        let prepared = match act::prepare(&self.drill.ground, fault).await {
            Ok(deeds) => deeds,
            Err(e) => {
                self.begun.push(Vec::new());
                return Observation::Failed(format!("{e:#}"));
            }
        };
        self.begun.push((first..first + prepared.len()).collect());
        if let Err(e) = journal.about_to(prepared.clone()) {
            // Nothing was done yet, and without a journal nothing is.
            return Observation::Failed(format!("{e:#}"));
        }
        self.say(format!("inject: {fault}"));
        let now = self.load.now();
        self.marks.broken.get_or_insert(now);
        let zero = self.load.zero;
        self.processors.get_or_insert_with(|| Processors::watch(zero));
        self.marks.fully_broken = Some(now);
        let clients = &self.drill.ground.clients;
        let acts = prepared.iter().map(|(cluster, deed)| act::carry_out(clients, cluster, deed, false));
        match futures::future::try_join_all(acts).await {
            Ok(remarks) => {
                self.remarks.extend(remarks.into_iter().flatten());
                self.take_hold(&prepared).await
            }
            Err(e) => Observation::Failed(format!("{e:#}")),
        }
    }

    /// Waits until the Pods are as the fault wants them, under load.
    async fn take_hold(&mut self, deeds: &[(ClusterName, Deed)]) -> Observation {
        let drill = self.drill;
        let all = deeds.iter().map(|(cluster, deed)| hold::wait(&drill.ground.clients, cluster, deed));
        let mut all = std::pin::pin!(futures::future::join_all(all));
        loop {
            tokio::select! {
                remarks = &mut all => {
                    self.remarks.extend(remarks.into_iter().flatten());
                    return Observation::Done;
                }
                () = tokio::time::sleep(Duration::from_millis(250)) => self.tick(),
                () = self.stop.cancelled(), if !self.told => return Observation::Interrupted,
            }
        }
    }

    /// Whether a backup stands by could not be told: said, and not taken for a yes.
    fn backups_are_known(&mut self) {
        if self.marks.broken.is_some() {
            return;
        }
        for (lane, backup) in self.answers.iter().flat_map(Asked::backups).collect::<Vec<_>>() {
            if let Backup::Unknown(why) = backup {
                let name = &self.drill.lanes[lane].name;
                self.remarks.push(format!("whether a backup of {name} was ready is not known: {why}"));
            }
        }
    }

    fn primary_is_known(&mut self) {
        if self.marks.broken.is_some() {
            return;
        }
        let now = self.load.now();
        let samples = look_in(&self.samples);
        for (primary, samples) in self.primary.iter_mut().zip(samples.iter()) {
            if primary.is_empty() {
                let from = now.saturating_sub(self.drill.scenario.load.warmup.0 * 1000);
                *primary = analysis::answerers(samples, from, now);
            }
        }
    }

    async fn heal(&mut self, journal: &mut Journal, fault: &Fault) -> Observation {
        self.say(format!("heal: undo `{fault}`"));
        let now = self.load.now();
        if self.marks.broken.is_some() {
            self.marks.healing.get_or_insert(now);
        }
        let mut which = self.begun.pop().unwrap_or_default();
        which.retain(|i| *i < journal.record.deeds.len());
        which.reverse();
        let seen = self.put_back(journal, &which).await;
        self.marks.healed = Some(self.load.now());
        seen
    }

    /// Tries three times: an API server that was just brought back may need a moment.
    async fn put_back(&mut self, journal: &mut Journal, which: &[usize]) -> Observation {
        let mut last = Observation::Done;
        for attempt in 0..3 {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let done = match restore::some(journal, &self.drill.ground.clients, which).await {
                Ok(done) => done,
                Err(e) => return Observation::Failed(format!("{e:#}")),
            };
            let failed: Vec<_> = done.iter().filter_map(|p| p.result.as_ref().err().cloned()).collect();
            self.remarks.extend(done.into_iter().filter_map(|p| p.result.ok().flatten()));
            if failed.is_empty() {
                return Observation::Done;
            }
            last = Observation::Failed(failed.join("; "));
        }
        last
    }

    async fn put_back_rest(&mut self, journal: &mut Journal) {
        self.say("putting back what is still broken");
        let rest: Vec<_> = journal.open_deeds().map(|(i, _)| i).collect();
        if let Observation::Failed(why) = self.put_back(journal, &rest).await {
            self.remarks.push(format!("NOT PUT BACK: {why}"));
        }
    }

    /// Ends the load, waits for requests under way, and gathers what was seen.
    async fn close(mut self, ending: Ending, journal: Option<PathBuf>) -> Outcome {
        self.marks.end = self.load.now();
        let processors = match self.processors.take() {
            Some(processors) => processors.seen().await,
            None => Vec::new(),
        };
        self.load.stop();
        self.watching.cancel();
        let patience =
            if ending == Ending::Completed { self.drill.scenario.load.timeout.std() } else { Duration::ZERO };
        let _ = tokio::time::timeout(patience + Duration::from_millis(500), &mut self.collector).await;
        self.collector.abort();
        let mut samples = std::mem::take(&mut *look_in(&self.samples));
        samples.iter_mut().for_each(Samples::sort);
        let mut runs: Vec<_> = samples
            .into_iter()
            .zip(&self.primary)
            .map(|(samples, primary)| Run {
                samples,
                primary: primary.clone(),
                processors: processors.clone(),
                ..Run::default()
            })
            .collect();
        for (lane, run) in self.drill.lanes.iter().zip(&mut runs) {
            run.no_health = lane.watch.as_ref().err().cloned();
        }
        for asked in self.answers {
            asked.tell(&mut runs, &self.marks).await;
        }
        Outcome { ending, marks: self.marks, zero: self.zero, runs, remarks: self.remarks, journal }
    }
}

async fn collect(mut events: mpsc::UnboundedReceiver<probe::Event>, samples: Shared) {
    while let Some(event) = events.recv().await {
        let mut samples = look_in(&samples);
        match event {
            probe::Event::Ended { target, record } => samples[target].records.push(record),
            probe::Event::Missed { target, at } => samples[target].missed.push(at),
        }
    }
}
