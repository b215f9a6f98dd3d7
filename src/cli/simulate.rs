//! `failctl simulate`: break something under load, watch, put it back.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Ctx;
use super::documents::DocumentArgs;
use super::output::{Output, print};
use super::simulate_flags::Flags;
use crate::cluster::{Clients, stop_on_ctrl_c};
use crate::drill::resolve::{self, Resolved};
use crate::drill::{self, Drill, Event, Lane, act, lock, state};
use crate::error::{Exit, Failure};
use crate::judge::drill::Verdict;
use crate::model::problem::Problem;
use crate::report::drill::{self as report, DrillReport, RunReport, Title};
use crate::sim::{Ending, Scenario, document};
use crate::spec::Documents;

/// Arguments of `failctl simulate`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true, after_help = "Examples:
  failctl simulate -f scenario.yaml
  failctl simulate --fault scale-to-zero --failover color --rate 200 --heal-after 10s
  failctl simulate --fault cluster-down --failover color --dry-run
  failctl simulate restore")]
pub struct Args {
    /// What else
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Documents: the fleet, its failovers, scenarios
    #[command(flatten)]
    pub documents: DocumentArgs,
    /// The drill, where no scenario document says it
    #[command(flatten)]
    pub flags: Flags,
    /// List what would be broken and what would be asked, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Start although the service is not well before anything is broken
    #[arg(long)]
    pub force: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
}

/// What else can be done.
#[derive(clap::Subcommand, Debug)]
pub enum Action {
    /// Put back what a drill that was killed left broken
    Restore,
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    if let Some(Action::Restore) = args.action {
        return super::simulate_restore::run(ctx);
    }
    let documents = args.documents.load_beside_fleet(ctx)?;
    let output = args.output;
    let state = state::directory().map_err(|e| Failure::new(Exit::Missing, e))?;
    match perform(args, ctx, &documents, state)? {
        Outcome::Listed(text) => ctx.ui.data(text).map(|()| Exit::Ok),
        Outcome::Done(report, exit) => {
            print(ctx, output, &report, || report::text(&report))?;
            Ok(exit)
        }
    }
}

/// The command without its printing; journals and locks go to `state`. Shared with `demo`.
pub fn perform(args: Args, ctx: &Ctx, documents: &Documents, state: PathBuf) -> Result<Outcome, Failure> {
    // One runtime for all of it: clients live on the one they were made on.
    ctx.block_on(drive(args, ctx, documents, state))?
}

/// What the command showed.
pub enum Outcome {
    /// What would be done.
    Listed(String),
    /// What was measured.
    Done(Box<DrillReport>, Exit),
}

async fn drive(args: Args, ctx: &Ctx, documents: &Documents, state: PathBuf) -> Result<Outcome, Failure> {
    let clients = Clients::of(&documents.fleet, ctx.global.kubeconfig.as_deref())?;
    let mut scenarios = scenarios(documents)?;
    if args.flags.fault.is_some() {
        scenarios = vec![args.flags.scenario(documents, &clients).await?];
    } else if scenarios.is_empty() {
        let why = "no drill: the documents hold no Scenario, and --fault is not given";
        let hint = "failctl simulate --fault scale-to-zero --failover NAME, or write a Scenario document";
        return Err(Failure::because(Exit::Usage, why).hint(hint));
    } else {
        scenarios.iter_mut().for_each(|s| args.flags.adjust(s));
    }
    scenarios.iter_mut().for_each(|s| s.force |= args.force);
    let problems: Vec<_> = scenarios.iter().flat_map(|s| document::check(&s.load)).collect();
    if !problems.is_empty() {
        return Err(problems.into());
    }
    if args.dry_run {
        return dry_run(documents, &clients, &scenarios).await.map(Outcome::Listed);
    }
    let (report, exit) = all(ctx, documents, &clients, scenarios, &state).await?;
    Ok(Outcome::Done(Box::new(report), exit))
}

/// What the drills of these documents would ask. Shared with `demo`.
pub fn asked(ctx: &Ctx, documents: &Documents) -> Result<Vec<Lane>, Failure> {
    let asked = async {
        let clients = Clients::of(&documents.fleet, ctx.global.kubeconfig.as_deref())?;
        let mut lanes = Vec::new();
        for scenario in scenarios(documents)? {
            let resolved = resolve::resolve(documents, &clients, &scenario).await.map_err(unresolved)?;
            lanes.extend(resolved.lanes);
        }
        Ok(lanes)
    };
    ctx.block_on(asked)?
}

fn scenarios(documents: &Documents) -> Result<Vec<Scenario>, Failure> {
    let mut problems = Vec::new();
    let mut all = Vec::new();
    for draft in &documents.scenarios {
        match document::read(draft.value.clone()) {
            Ok(scenario) => all.push(scenario),
            Err(found) => problems.extend(found.into_iter().map(|(pointer, p)| draft.locate(p, &pointer))),
        }
    }
    if problems.is_empty() { Ok(all) } else { Err(problems.into()) }
}

async fn dry_run(documents: &Documents, clients: &Clients, scenarios: &[Scenario]) -> Result<String, Failure> {
    let mut text = String::new();
    for scenario in scenarios {
        let Resolved { lanes, ground, .. } = resolve::resolve(documents, clients, scenario).await.map_err(unresolved)?;
        text += &format!("{}:\n", scenario.name);
        for lane in &lanes {
            let (host, port) = &lane.target.address;
            let named = lane.target.host.to_str().unwrap_or_default();
            text += &format!(
                "  load     {}/s to {host}:{port}{} (Host: {named})\n",
                lane.rate, lane.target.path
            );
        }
        for step in &scenario.faults {
            text += &format!("  fault    {}\n", step.fault);
            let deeds = act::prepare(&ground, &step.fault).await;
            let deeds = deeds.map_err(|e| failure(e.context(format!("cannot {}", step.fault))))?;
            deeds.iter().for_each(|(cluster, deed)| text += &format!("  would    {cluster}: {deed}\n"));
            act::remarks(&ground, &step.fault).iter().for_each(|r| text += &format!("  note     {r}\n"));
        }
        let load = &scenario.load;
        let times = format!("{} of load, {} of fault, then at most {} until the primary serves", load.warmup, load.during, load.after);
        text += &format!("  times    {times}\n");
    }
    Ok(text)
}

async fn all(
    ctx: &Ctx,
    documents: &Documents,
    clients: &Clients,
    scenarios: Vec<Scenario>,
    state: &Path,
) -> Result<(DrillReport, Exit), Failure> {
    let stop = stop_on_ctrl_c();
    let started = jiff::Timestamp::now();
    let mut runs = Vec::new();
    let mut exit = Exit::Ok;
    for scenario in scenarios {
        let resolved = resolve::resolve(documents, clients, &scenario).await.map_err(unresolved)?;
        for step in &scenario.faults {
            act::remarks(&resolved.ground, &step.fault).iter().for_each(|r| ctx.ui.say(format!("note: {r}")));
        }
        let story = scenario.name.clone();
        let (more, ended) = one(ctx, scenario, resolved, &story, state, &stop).await?;
        runs.extend(more);
        exit = worse(exit, ended);
        if matches!(ended, Exit::Interrupted | Exit::Partial) {
            break;
        }
    }
    let report = report::report(started.to_string(), runs);
    Ok((report, exit))
}

/// One drill: shown while it runs, its report and its exit code at the end.
async fn one(
    ctx: &Ctx,
    scenario: Scenario,
    resolved: Resolved,
    story: &str,
    state: &Path,
    stop: &CancellationToken,
) -> Result<(Vec<RunReport>, Exit), Failure> {
    let names: Vec<_> = resolved.lanes.iter().map(|l| l.name.clone()).collect();
    let named = |lane: &Lane| (lane.name.clone(), lane.rate, lane.entry.clone());
    let named: Vec<_> = resolved.lanes.iter().map(named).zip(resolved.policies).collect();
    let drill = Drill {
        scenario: scenario.clone(),
        ground: resolved.ground,
        lanes: resolved.lanes,
        state: state.to_path_buf(),
        kubeconfig: kubeconfig_files(ctx),
        started: jiff::Timestamp::now().to_string(),
    };
    let (tell, events) = mpsc::unbounded_channel();
    let (outcome, ()) = tokio::join!(drill::run(drill, stop.clone(), tell), show(ctx, names.clone(), events));
    let outcome = outcome.map_err(failure)?;
    outcome.remarks.iter().for_each(|r| ctx.ui.say(format!("note: {r}")));
    if let Ending::Refused(why) = &outcome.ending {
        ctx.ui.say(format!("not started: {why}"));
        ctx.ui.say("  hint: nothing was broken; `failctl status` says more, --force starts anyway");
    }
    let (ending, marks) = (&outcome.ending, &outcome.marks);
    let title = |((target, rate, entry), policy)| Title {
        story: story.to_string(),
        target,
        rate,
        policy,
        entry,
        zero: outcome.zero,
    };
    let runs: Vec<_> =
        named.into_iter().map(title).zip(&outcome.runs).map(|(t, run)| report::run(t, &scenario, ending, marks, run)).collect();
    if let Some(journal) = &outcome.journal {
        ctx.ui.say(format!("error: not everything was put back; what is left is in {}", journal.display()));
        ctx.ui.say("  hint: `failctl simulate restore` tries again");
        return Ok((runs, Exit::Partial));
    }
    let verdict = crate::judge::drill::verdict(runs.iter().flat_map(|r| &r.findings));
    let exit = match (ending, verdict) {
        (Ending::Interrupted, _) => Exit::Interrupted,
        (_, Verdict::Pass) => Exit::Ok,
        (_, Verdict::Fail) => Exit::No,
        (_, Verdict::Inconclusive) => Exit::Unknown,
    };
    Ok((runs, exit))
}

/// What is wrong with a drill; with nothing but clusters that do not answer, no document is to blame.
fn unresolved(problems: Vec<Problem>) -> Failure {
    let exit = if problems.iter().all(|p| p.code == "FCT0609") { Exit::Unreachable } else { Exit::Input };
    Failure { exit, ..Failure::input(problems) }
}

fn failure(e: anyhow::Error) -> Failure {
    let in_the_way = e.downcast_ref::<lock::Busy>().is_some() || e.downcast_ref::<drill::Leftover>().is_some();
    let exit = match () {
        () if in_the_way => Exit::Refused,
        () if e.is::<act::Unreachable>() => Exit::Unreachable,
        () if e.is::<act::Impossible>() => Exit::Input,
        () => Exit::Unknown,
    };
    Failure::new(exit, e).hint("nothing was broken")
}

/// What weighs more: an interruption, something left broken, a no, a doubt.
fn worse(a: Exit, b: Exit) -> Exit {
    let weight = |e: Exit| match e {
        Exit::Interrupted => 5,
        Exit::Partial => 4,
        Exit::No => 3,
        Exit::Unknown => 2,
        Exit::Ok => 0,
        _ => 1,
    };
    if weight(b) > weight(a) { b } else { a }
}

/// The kubeconfig files in use, as absolute paths: `restore` must find them from any directory.
pub(super) fn kubeconfig_files(ctx: &Ctx) -> Vec<PathBuf> {
    let absolute = |p: PathBuf| std::path::absolute(&p).unwrap_or(p);
    match (&ctx.global.kubeconfig, std::env::var_os("KUBECONFIG").filter(|v| !v.is_empty())) {
        (Some(file), _) => vec![absolute(file.clone())],
        (None, Some(list)) => std::env::split_paths(&list).filter(|p| !p.as_os_str().is_empty()).map(absolute).collect(),
        (None, None) => Vec::new(),
    }
}

/// Steps as lines; on a terminal also a line that lives.
async fn show(ctx: &Ctx, names: Vec<String>, mut events: mpsc::UnboundedReceiver<Event>) {
    let bar = std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar
    });
    while let Some(event) = events.recv().await {
        match (event, &bar) {
            (Event::Step { at, what }, bar) => {
                let line = format!("{:>7.1} s  {what}", at.0 as f64 / 1000.0);
                match bar {
                    Some(bar) => bar.suspend(|| ctx.ui.say(line)),
                    None => ctx.ui.say(line),
                }
            }
            (Event::Tick { at, lanes }, Some(bar)) => {
                let lane = |(name, (by, lost)): (&String, &(std::collections::BTreeMap<String, u64>, u64))| {
                    let who: Vec<_> = by.iter().map(|(k, n)| format!("{k} {n}/s")).collect();
                    format!("{name}: {}, failed {lost}/s", if who.is_empty() { "nobody".into() } else { who.join(" ") })
                };
                let lanes: Vec<_> = names.iter().zip(&lanes).map(lane).collect();
                bar.set_message(format!("{:.0} s  {}", at.0 as f64 / 1000.0, lanes.join("  |  ")));
                bar.tick();
            }
            (Event::Tick { .. }, None) => {}
        }
    }
    bar.iter().for_each(ProgressBar::finish_and_clear);
}
