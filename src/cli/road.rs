//! The one road to the clusters: show → ask → write → report. Shared by every command that writes; no command itself.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use indexmap::IndexMap;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Ctx;
use super::output::{Output, print};
use crate::cluster::{self, Clients, DryRun, Event, Report, WriteOptions, WriteResult, Written};
use crate::error::{Exit, Failure};
use crate::manifest::ObjectKey;
use crate::plan::{Action, Plan, Reason};
use crate::report;
use crate::report::applied::{ApplyReport, Result as Ended, Row};

/// What every command that writes can be told.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct WriteArgs {
    /// Do not ask; required when nobody sits at the terminal
    #[arg(short, long)]
    pub yes: bool,
    /// Only show what would be done: client compares, server lets every cluster check it
    #[arg(long, value_enum, value_name = "WHERE", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: Option<Dry>,
    /// Take over objects and fields that somebody else holds
    #[arg(long)]
    pub force: bool,
    /// How long to wait for what others have to do first, such as discovering an Upstream or giving out an address
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub timeout: Duration,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// Where a dry run ends.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dry {
    /// Compare only; nothing is sent
    Client,
    /// Every cluster checks the writes and does none
    Server,
}

/// A duration on the command line, as Go and Kubernetes write it.
pub fn duration(text: &str) -> Result<Duration, String> {
    crate::model::duration::Millis::parse(text).map(crate::model::duration::Millis::std)
}

/// How a plan is made anew when the clusters have moved on.
pub trait Planner {
    /// The plan as of now.
    fn plan(&mut self) -> impl Future<Output = Result<Plan, Failure>>;
}

impl<P: FnMut() -> F, F: Future<Output = Result<Plan, Failure>>> Planner for P {
    fn plan(&mut self) -> impl Future<Output = Result<Plan, Failure>> {
        self()
    }
}

/// Takes a plan all the way and returns the exit code. `verb` is what the question asks for.
pub async fn go(
    ctx: &Ctx,
    clients: &Clients,
    args: &WriteArgs,
    verb: &str,
    mut planner: impl Planner,
) -> Result<Exit, Failure> {
    let plan = planner.plan().await?;
    if args.dry_run == Some(Dry::Client) {
        print(ctx, args.output, &report::plan::report(&plan), || report::plan::text(&plan))?;
        return Ok(if plan.unreachable.is_empty() { Exit::Ok } else { Exit::Unreachable });
    }
    let writes = plan.changes().filter(|c| c.action != Action::Keep).count();
    if writes > 0 || !plan.blocked.is_empty() {
        ctx.ui.say(report::plan::text(&plan).trim_end());
    }
    if writes > 0 && args.dry_run.is_none() {
        agree(ctx, args, verb, &plan, writes)?;
    }
    let (report, rows) = write(ctx, clients, args, plan, &mut planner).await?;
    let word = if args.dry_run.is_some() { "server" } else { "none" };
    let interrupted = report.interrupted;
    let view = ApplyReport::new(word, interrupted, rows);
    print(ctx, args.output, &view, || view.text())?;
    Ok(exit(&view, &report))
}

pub(super) fn agree(ctx: &Ctx, args: &WriteArgs, verb: &str, plan: &Plan, writes: usize) -> Result<(), Failure> {
    if args.yes {
        return Ok(());
    }
    let mut clusters: Vec<_> = plan.changes().filter(|c| c.action != Action::Keep).map(|c| &c.key.cluster).collect();
    clusters.sort();
    clusters.dedup();
    let clusters = clusters.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(", ");
    let objects = if writes == 1 { "1 object".to_string() } else { format!("{writes} objects") };
    if !ctx.ui.interactive {
        let why = format!("{verb} {objects} on {clusters}: nobody is here to ask");
        return Err(Failure::because(Exit::Usage, why).hint("add --yes to go on, or --dry-run to look"));
    }
    match ctx.ui.confirm(&format!("{verb} {objects} on {clusters}?"))? {
        true => Ok(()),
        false => Err(Failure::because(Exit::Interrupted, "not confirmed; nothing was written")),
    }
}

/// Writes; when an object moved on, or something was waited for that is there now, plans anew and goes on.
async fn write(
    ctx: &Ctx,
    clients: &Clients,
    args: &WriteArgs,
    plan: Plan,
    planner: &mut impl Planner,
) -> Result<(Report, Vec<Row>), Failure> {
    let dry = args.dry_run == Some(Dry::Server);
    let options = WriteOptions {
        dry_run: if dry { DryRun::Server } else { DryRun::No },
        force: args.force,
        ..WriteOptions::default()
    };
    let stop = cluster::stop_on_ctrl_c();
    let end = tokio::time::Instant::now() + args.timeout;
    let mut rows: IndexMap<ObjectKey, Row> = IndexMap::new();
    let mut plan = plan;
    let mut pauses = cluster::moved_on_pauses();
    loop {
        let report = write_once(ctx, clients, &plan, &options, &stop).await;
        gather(&mut rows, &plan, &report);
        let failed: Vec<&Written> = report.failed().collect();
        let moved = failed.iter().any(|w| matches!(w.outcome.result, WriteResult::MovedOn(_)));
        let hopeless = failed.iter().any(|w| !matches!(w.outcome.result, WriteResult::MovedOn(_)));
        let pending = plan.blocked.iter().any(|b| b.reason == Reason::Missing);
        let pause = if moved { pauses.next() } else { None };
        let again = pause.is_some() || (pending && !dry && tokio::time::Instant::now() < end);
        if stop.is_cancelled() || hopeless || !again {
            return Ok((report, rows.into_values().collect()));
        }
        if let Some(pause) = pause {
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            plan = planner.plan().await?;
        } else {
            let (next, progress) = next_plan(ctx, planner, &plan, end, &stop).await?;
            if !progress {
                for blocked in &next.blocked {
                    rows.entry(blocked.key.clone()).and_modify(|r| r.why = Some(blocked.why.clone()));
                }
                return Ok((report, rows.into_values().collect()));
            }
            plan = next;
        }
    }
}

/// Waits until less is missing than before; false when the time is over. The plan is the last one made.
async fn next_plan(
    ctx: &Ctx,
    planner: &mut impl Planner,
    old: &Plan,
    end: tokio::time::Instant,
    stop: &CancellationToken,
) -> Result<(Plan, bool), Failure> {
    let missing = |p: &Plan| p.blocked.iter().filter(|b| b.reason == Reason::Missing).count();
    for blocked in old.blocked.iter().filter(|b| b.reason == Reason::Missing) {
        ctx.ui.say(format!("waiting for {}: {}", blocked.key, blocked.why));
    }
    let pauses = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_factor(1.5);
    let pauses = pauses.with_max_delay(Duration::from_secs(1)).without_max_times().build();
    let mut last = old.clone();
    for pause in pauses.take_while(|_| tokio::time::Instant::now() < end) {
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
        last = planner.plan().await?;
        if missing(&last) < missing(old) {
            return Ok((last, true));
        }
    }
    Ok((last, false))
}

pub(super) async fn write_once(
    ctx: &Ctx,
    clients: &Clients,
    plan: &Plan,
    options: &WriteOptions,
    stop: &CancellationToken,
) -> Report {
    let count = plan.changes().filter(|c| c.action != Action::Keep).count() + plan.blocked.len();
    let progress = ctx.ui.progress(count);
    let (sender, mut events) = mpsc::unbounded_channel();
    let watching = async {
        while let Some(event) = events.recv().await {
            progress.step(match &event {
                Event::Wrote(written) => written.change.key.to_string(),
                Event::Held(held) => held.key.to_string(),
            });
        }
    };
    let (report, ()) = tokio::join!(cluster::apply(clients, plan, options, stop, Some(sender)), watching);
    progress.done();
    report
}

/// One row per object in the order of the first plan; a later round replaces what an earlier one said.
pub(super) fn gather(rows: &mut IndexMap<ObjectKey, Row>, plan: &Plan, report: &Report) {
    let mut put = |key: &ObjectKey, action: Option<Action>, result: Ended, why: Option<String>| {
        // What a round finds as it should be was written by the round before.
        if result == Ended::Unchanged && rows.get(key).is_some_and(|r| r.result.is_done()) {
            return;
        }
        rows.insert(key.clone(), Row { object: key.into(), action, result, why });
    };
    let written: BTreeMap<&ObjectKey, &Written> = report.written.iter().map(|w| (&w.change.key, w)).collect();
    for change in plan.changes() {
        if change.action == Action::Keep {
            put(&change.key, Some(Action::Keep), Ended::Unchanged, None);
        } else if let Some(written) = written.get(&change.key) {
            put(&change.key, Some(change.action), ended(written), written.outcome.why());
        }
    }
    for held in &report.held {
        put(&held.key, held.action, Ended::Held, Some(held.why.clone()));
    }
}

pub(super) fn ended(written: &Written) -> Ended {
    match (&written.outcome.result, written.change.action) {
        (WriteResult::Created, _) => Ended::Created,
        (WriteResult::Updated, Action::Release) => Ended::Released,
        (WriteResult::Updated, _) => Ended::Changed,
        (WriteResult::Unchanged, _) => Ended::Unchanged,
        (WriteResult::Deleted, _) => Ended::Deleted,
        _ => Ended::Failed,
    }
}

/// The exit code: all done, none, or some; and of none, whether a cluster was away or said no.
pub(super) fn exit(view: &ApplyReport, last: &Report) -> Exit {
    let failed = view.summary.failed + view.summary.held;
    let wrote = view.objects.iter().any(|r| r.result.is_done() && r.result != Ended::Unchanged);
    let away = last.held.iter().any(|h| h.unreachable)
        || last.failed().any(|w| matches!(w.outcome.result, WriteResult::Unreachable(_)));
    match (failed, view.interrupted) {
        (_, true) => Exit::Interrupted,
        (0, _) => Exit::Ok,
        _ if wrote => Exit::Partial,
        _ if away => Exit::Unreachable,
        _ => Exit::Refused,
    }
}
