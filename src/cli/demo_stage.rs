//! What the demo stands on: a sandbox in this process, a directory for its documents, a voice. No command itself.
//! Whatever happens, closing it (or dropping it) leaves no process, port or file behind.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use backon::{ConstantBuilder, Retryable as _};
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::demo_turns::{self, Turn, What};
use super::documents::DocumentArgs;
use super::picture::Ground;
use super::{Ctx, Global, simulate};
use crate::cluster::{address, observe};
use crate::error::{Exit, Failure};
use crate::judge::drill::Verdict;
use crate::probe::capacity;
use crate::report::drill::RunReport;
use crate::sandbox::daemon::{self, Answer, Event, Request};
use crate::sandbox::envoy_binary::{self, Places};
use crate::sandbox::stack::Stack;
use crate::sandbox::{self, cluster};
use crate::ui::Ui;

/// How often a gateway is looked at, and the time between.
const GATEWAY_LOOKS: usize = 50;
const GATEWAY_PAUSE: Duration = Duration::from_millis(100);
/// What says that a drill asked too much of this machine: it could not hold the rate, or had no processor time left.
const TOO_MUCH: [&str; 2] = ["FCT0614", "FCT0628"];
/// How often a record measures again what proved nothing.
const AGAIN: usize = 3;

/// Somebody pressed Ctrl-C.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// The demo's stage.
pub struct Stage<'a> {
    ctx: &'a Ctx,
    envoy: PathBuf,
    documents: Option<tempfile::TempDir>,
    keep: bool,
    before: Option<PathBuf>,
    runtime: Option<tokio::runtime::Runtime>,
    interrupted: Arc<AtomicBool>,
    name: String,
    sandbox: Option<(PathBuf, CancellationToken, tokio::task::JoinHandle<anyhow::Result<()>>)>,
    step: usize,
    /// Where turns are taken, when other stories are told at the same time.
    turns: Option<PathBuf>,
    /// Whether a record is made: until all is measured that is judged, nobody else comes up.
    record: bool,
    /// Which turn a drill takes.
    measuring: What,
    /// What the services answer at most, once it was measured.
    carried: Option<f64>,
    /// How much of that counts: half of it less each time it proved too much.
    counts: f64,
    /// The turn of coming up; it ends with the first drill, in a record with the last that is judged.
    coming_up: Option<Turn>,
    /// The turn of a drill.
    drilling: Option<Turn>,
    waited: Duration,
}

/// The Envoy to run, fetched once if need be.
pub async fn envoy(ui: &Ui, named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let mut told = false;
    let mut progress = |_| {
        if !std::mem::replace(&mut told, true) {
            ui.say("fetching Envoy into failctl's cache (once)");
        }
    };
    Ok(envoy_binary::find(&Places::of_environment(named), &mut progress).await?.path)
}

impl<'a> Stage<'a> {
    /// Finds what is needed; starts nothing yet. `turns`: where turns are taken, if others are there. `record`: whether what
    /// is measured has the machine for itself.
    pub fn open(
        ctx: &'a Ctx,
        envoy: Option<PathBuf>,
        keep: bool,
        turns: Option<PathBuf>,
        record: bool,
    ) -> Result<Stage<'a>, Failure> {
        let internal = |e: std::io::Error| Failure::new(Exit::Internal, e);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(internal)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        runtime.spawn(async move {
            crate::cluster::stop_on_ctrl_c().cancelled().await;
            flag.store(true, Ordering::SeqCst);
        });
        let envoy = runtime.block_on(self::envoy(&ctx.ui, envoy))?;
        let documents = tempfile::Builder::new().prefix("failctl-demo-").tempdir().map_err(internal)?;
        let before = std::env::current_dir().ok();
        std::env::set_current_dir(documents.path()).map_err(internal)?;
        Ok(Stage {
            ctx,
            envoy,
            documents: Some(documents),
            keep,
            before,
            runtime: Some(runtime),
            interrupted,
            name: format!("demo-{}", std::process::id()),
            sandbox: None,
            step: 0,
            turns,
            record,
            measuring: What::Drill,
            carried: None,
            counts: 1.0,
            coming_up: None,
            drilling: None,
            waited: Duration::ZERO,
        })
    }

    /// Says a heading.
    pub fn chapter(&mut self, what: &str) -> Result<(), Failure> {
        self.check()?;
        self.step += 1;
        self.ctx.ui.say(format!("\n=== {}. {what}", self.step));
        Ok(())
    }

    /// Says a sentence.
    pub fn say(&self, what: impl std::fmt::Display) {
        self.ctx.ui.say(what);
    }

    /// Writes a document.
    pub fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        std::fs::write(name, text)
            .map_err(|e| Failure::new(Exit::Internal, anyhow::Error::new(e).context(format!("writing {name}"))))
    }

    /// Runs a command, after printing it as a user would type it.
    pub fn run(&self, line: &str) -> Result<Exit, Failure> {
        self.check()?;
        self.say(format!("\n$ failctl {line}"));
        let mut ctx = self.context();
        let exit = super::typed(&words(line), &mut ctx)?;
        if exit == Exit::Interrupted {
            self.interrupted.store(true, Ordering::SeqCst);
        }
        self.check()?;
        Ok(exit)
    }

    /// Runs a command that must succeed.
    pub fn must(&self, line: &str) -> Result<(), Failure> {
        match self.run(line)? {
            Exit::Ok => Ok(()),
            other => Err(Failure::because(other, format!("`failctl {line}` ended with {other:?}"))),
        }
    }

    /// Runs `failctl simulate` and returns what it measured. If that proves nothing, once more; in a record up to [`AGAIN`]
    /// times. `ease` writes the drill anew where it was too much for the machine.
    pub fn simulate(
        &mut self,
        line: &str,
        mut ease: impl FnMut(&mut Self) -> Result<(), Failure>,
    ) -> Result<Vec<RunReport>, Failure> {
        self.check()?;
        if !self.record {
            self.coming_up = None;
        }
        self.take_turn()?;
        let mut runs = self.measure(line)?;
        for _ in 0..if self.record { AGAIN } else { 1 } {
            let doubtful = |r: &&RunReport| r.policy == "recommended" && r.verdict == Verdict::Inconclusive;
            let doubts: Vec<_> = runs.iter().filter(doubtful).flat_map(|r| &r.findings).map(|f| f.code).collect();
            if doubts.is_empty() {
                break;
            }
            self.say("\nThat proves nothing, one way or the other: once more.");
            if doubts.iter().any(|code| TOO_MUCH.contains(code)) {
                ease(self)?;
            }
            runs = self.measure(line)?;
        }
        if !self.record {
            self.drilling = None;
        }
        Ok(runs)
    }

    /// The turn of a drill. In a record it is kept to the end: a story that cleans up takes from one that measures.
    fn take_turn(&mut self) -> Result<(), Failure> {
        if self.drilling.is_none() {
            self.drilling = Some(self.turn(self.measuring)?);
        }
        Ok(())
    }

    fn turn(&mut self, what: What) -> Result<Turn, Failure> {
        let since = Instant::now();
        let turn = demo_turns::take(self.turns.as_ref(), what, || self.check());
        self.waited += since.elapsed();
        turn
    }

    /// How long it has waited for other stories.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What is left to do may be done while another story comes up.
    pub fn let_others_come_up(&mut self) {
        self.coming_up = None;
    }

    /// From now on half as much of what the services answer counts as before, and that is measured anew: the machine may be
    /// slower than it was.
    pub fn ease(&mut self) {
        self.carried = None;
        self.counts /= 2.0;
    }

    /// How many requests per second the last service of a drill answers at most, as far as that counts; measured once.
    pub fn carries(&mut self, line: &str) -> Result<f64, Failure> {
        self.check()?;
        if let Some(carried) = self.carried {
            return Ok(carried * self.counts);
        }
        let args = drill_of(line)?;
        self.take_turn()?;
        let ctx = self.context();
        let lanes = simulate::asked(&ctx, &args.documents.load_beside_fleet(&ctx)?)?;
        let Some(last) = lanes.last() else {
            return Err(Failure::because(Exit::Internal, "the drill asks nothing"));
        };
        let carried = ctx.block_on(capacity::answers_per_second(&last.target))?;
        self.say(format!(
            "Asked again and again without a pause, the service answers {carried:.0} requests per second here."
        ));
        self.carried = Some(carried);
        Ok(carried * self.counts)
    }

    fn measure(&self, line: &str) -> Result<Vec<RunReport>, Failure> {
        self.say(format!("\n$ failctl {line}"));
        let args = drill_of(line)?;
        let ctx = self.context();
        let documents = args.documents.load_beside_fleet(&ctx)?;
        let state = self.directory()?.join("state");
        std::fs::create_dir_all(&state).map_err(|e| Failure::new(Exit::Internal, e))?;
        let simulate::Outcome::Done(report, exit) = simulate::perform(args, &ctx, &documents, state)? else {
            return Err(Failure::because(Exit::Internal, "the drill measured nothing"));
        };
        if exit == Exit::Interrupted {
            self.interrupted.store(true, Ordering::SeqCst);
        }
        self.check()?;
        self.say(crate::report::drill::text(&report).trim_end());
        Ok(report.runs)
    }

    /// Waits until a cluster's failover gateway takes connections, which is a moment after its objects are accepted. Gives up
    /// in silence after a while: what comes next shows it.
    pub fn gateway_listens(&self, cluster: &str) -> Result<(), Failure> {
        let ctx = self.context();
        let ground = fleet(&ctx)?;
        let cluster = ground.cluster(cluster)?;
        let wants = address::wants(&cluster.name, address::gloo_namespace(cluster));
        let world = ctx.block_on(observe(&ground.clients, &wants))?;
        let found = address::failover(&world, cluster).map_err(|p| Failure::input(vec![p]))?;
        let look = || async { keeps_connections(&found.host, found.port).await.then_some(()).ok_or(()) };
        let again = ConstantBuilder::new().with_delay(GATEWAY_PAUSE).with_max_times(GATEWAY_LOOKS);
        ctx.block_on(look.retry(again)).map(drop)
    }

    /// The address of a cluster's east-west gateway and the place (`REGION/ZONE`) it is in.
    pub fn east_west(&self, cluster: &str) -> Result<(String, String), Failure> {
        let ctx = self.context();
        let ground = fleet(&ctx)?;
        let cluster = ground.cluster(cluster)?;
        let world = ctx.block_on(observe(&ground.clients, &address::east_west_wants(cluster)))?;
        let found = address::east_west(&world, cluster).map_err(|p| Failure::input(vec![p]))?;
        let place: Vec<&str> = cluster.region.iter().chain(&cluster.zone).map(String::as_str).collect();
        Ok((found.host, place.join("/")))
    }

    /// Starts the sandbox in this process.
    pub fn start(&mut self, clusters: &str, stack: Stack) -> Result<(), Failure> {
        self.coming_up = Some(self.turn(What::Boot)?);
        self.measuring = if self.record || stack == Stack::Gloo { What::Drill } else { What::HeavyDrill };
        let dir = sandbox::record::directory(&self.name).map_err(|e| Failure::new(Exit::Missing, e))?;
        let executable = std::env::current_exe().map_err(|e| Failure::new(Exit::Internal, e))?;
        let specs = cluster::parse(clusters).map_err(|e| Failure::because(Exit::Internal, e.join("; ")))?;
        let options = sandbox::Options {
            name: self.name.clone(),
            clusters: stack.on(specs),
            dir: dir.clone(),
            envoy: self.envoy.clone(),
            executable,
            block: None,
        };
        let (tell, mut events) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let running = daemon::run_until(options, move |e| tell.send(e).is_ok(), stop.clone());
        let runtime =
            self.runtime.as_ref().context("the stage is closed").map_err(|e| Failure::new(Exit::Internal, e))?;
        let task = runtime.spawn(running);
        self.sandbox = Some((dir.clone(), stop, task));
        while let Some(event) = runtime.block_on(events.recv()) {
            match event {
                Event::Progress(step) => self.say(format!("  {step}")),
                Event::Ready(_) => break,
                Event::Failed { why, missing } => {
                    let exit = if missing { Exit::Missing } else { Exit::Internal };
                    return Err(Failure::because(exit, format!("the sandbox cannot be started: {why}")));
                }
            }
            self.check()?;
        }
        let fleet = std::fs::read_to_string(dir.join(sandbox::documents::FLEET));
        self.write("failctl.yaml", &fleet.map_err(|e| Failure::new(Exit::Internal, e))?)
    }

    fn context(&self) -> Ctx {
        let kubeconfig = self.sandbox.as_ref().map(|(dir, ..)| dir.join(sandbox::documents::KUBECONFIG));
        let ui = Ui { interactive: false, data_is_talk: true };
        Ctx { ui, global: Global { kubeconfig, verbose: self.ctx.global.verbose } }
    }

    fn directory(&self) -> Result<&Path, Failure> {
        let dir = self.documents.as_ref().context("the stage is closed");
        dir.map(tempfile::TempDir::path).map_err(|e| Failure::new(Exit::Internal, e))
    }

    fn check(&self) -> Result<(), Failure> {
        match self.interrupted.load(Ordering::SeqCst) {
            true => Err(Failure::new(Exit::Interrupted, Interrupted)),
            false => Ok(()),
        }
    }

    /// Ends everything.
    pub fn close(mut self) -> Result<(), Failure> {
        self.end().map_err(|e| Failure::new(Exit::Internal, e))
    }

    fn end(&mut self) -> anyhow::Result<()> {
        if let Some(before) = self.before.take() {
            // A directory that was removed meanwhile is nobody's to go back to.
            let _ = std::env::set_current_dir(before);
        }
        let mut ended = Ok(());
        if let (Some((dir, stop, task)), Some(runtime)) = (self.sandbox.take(), &self.runtime) {
            ended = runtime.block_on(async {
                let down = daemon::ask(&dir, &Request::Down).await;
                if !matches!(down, Ok(Some(Answer::Done(_)))) {
                    stop.cancel();
                }
                let finished = task.await.context("the sandbox's task")?;
                let _ = std::fs::remove_dir_all(&dir);
                finished
            });
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(3));
        }
        match self.documents.take() {
            Some(documents) if self.keep => {
                self.ctx.ui.say(format!("the documents are in {}", documents.keep().display()));
            }
            Some(documents) => documents.close().context("removing the demo's documents")?,
            None => {}
        }
        ended
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The clusters of the sandbox.
fn fleet(ctx: &Ctx) -> Result<Ground, Failure> {
    Ground::new(ctx, &DocumentArgs { files: vec!["failctl.yaml".into()] }, &[])
}

/// Whether somebody stands behind an address: a load balancer takes the connection first and ends it if nobody does.
async fn keeps_connections(host: &str, port: u16) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect((host, port)).await else { return false };
    tokio::time::timeout(GATEWAY_PAUSE, stream.read_u8()).await.is_err()
}

/// A drill as it would be typed.
fn drill_of(line: &str) -> Result<simulate::Args, Failure> {
    match super::parse(&words(line))?.command {
        super::Command::Simulate(args) => Ok(args),
        _ => Err(Failure::because(Exit::Internal, format!("`{line}` is not a drill"))),
    }
}

/// A line as a shell would split it; the demo's lines need no quotes.
fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_string).collect()
}
