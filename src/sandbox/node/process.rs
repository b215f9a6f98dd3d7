//! Runs what a container runs, and ends it.
//!
//! In: a [`Process`], its environment and address. Out: how it ended. May not know: restarts, probes, the API.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use rustix::process::Signal;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::agent::Agent;
use super::image::Process;
use super::logs::Logs;
use super::signals::{self, Asked, Gate};
use super::{bookinfo, echo, envoy_config, sidecar};
use crate::sandbox::child::{Child, Ended, Keeper, Program, Streams};
use crate::yaml;

/// How long the last lines of an ended process may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What every process of a node needs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Starts child processes.
    pub keeper: Keeper,
    /// The Envoy executable.
    pub envoy: PathBuf,
    /// Istio's agent, where it runs Istio's proxies.
    pub agent: Option<Agent>,
}

/// What one process needs.
#[derive(Debug)]
pub struct Place {
    /// The address it binds: the pod's own, or the inner one behind a sidecar.
    pub ip: IpAddr,
    /// The container's environment.
    pub env: BTreeMap<String, String>,
    /// Where its output goes.
    pub logs: Logs,
    /// A directory of its own.
    pub dir: PathBuf,
}

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub enum Running {
    /// Runs inside this process.
    Inside(Inside),
    /// Is a child process.
    Child(Box<Child>, JoinSet<()>),
}

/// A task of this process that stands for a container's program.
#[derive(Debug)]
pub struct Inside {
    task: JoinHandle<Ended>,
    /// What `pgrep` calls it.
    name: &'static str,
    id: u32,
    gate: watch::Sender<bool>,
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inside {
    fn start(name: &'static str, make: impl FnOnce(Gate) -> BoxFuture<'static, Ended>) -> Running {
        static IDS: AtomicU32 = AtomicU32::new(1);
        let (gate, state) = Gate::new();
        let task = tokio::spawn(make(state));
        Running::Inside(Inside { task, name, id: IDS.fetch_add(1, Ordering::Relaxed), gate })
    }

    /// Every one is the first process of its container.
    fn signal(&self, asked: &Asked) -> Vec<u32> {
        if !asked.search.finds(self.name) {
            return Vec::new();
        }
        match asked.search.signal {
            Some(signal) if asked.shielded && signals::unfelt(signal) => {}
            Some(Signal::STOP) => drop(self.gate.send_replace(false)),
            Some(Signal::CONT) => drop(self.gate.send_replace(true)),
            Some(_) => self.task.abort(),
            None => {}
        }
        vec![self.id]
    }
}

impl Running {
    /// Starts it. The error is the message of `StartError`.
    pub async fn start(process: Process, place: Place, tools: &Tools) -> Result<Running, String> {
        match process {
            Process::Echo(options) => Ok(Inside::start("http-echo", |gate| Box::pin(echo_task(options, gate, place)))),
            Process::Sleep(duration) => Ok(Inside::start("sleep", |_| Box::pin(sleep_task(duration)))),
            Process::Bookinfo(program) => {
                Ok(Inside::start(program.word(), move |gate| Box::pin(bookinfo_task(program, gate, place))))
            }
            Process::IstioProxy(args) => {
                if let Some(agent) = &tools.agent {
                    return Running::child(&agent.program, args.words, place, tools).await;
                }
                let bootstrap = sidecar::bootstrap(&args, &place.env, place.ip)?;
                Running::envoy(&bootstrap, args.envoy(), place, tools).await
            }
            Process::Envoy(args) => {
                let documents = yaml::parse(&args.config).map_err(|e| format!("--config-yaml is no YAML: {e}"))?;
                let [document] = &documents[..] else {
                    return Err(format!("--config-yaml holds {} documents, not one", documents.len()));
                };
                let modern = envoy_config::modernise(document.value.clone(), place.ip);
                for change in modern.changes.iter().chain(&args.left_out) {
                    place.logs.push(format!("[sandbox] {change}"));
                }
                let mut words = Vec::new();
                if !args.says_concurrency() {
                    words.extend(["--concurrency".to_owned(), "1".to_owned()]);
                }
                words.extend(args.rest);
                Running::envoy(&modern.config, words, place, tools).await
            }
        }
    }

    async fn envoy(config: &Value, rest: Vec<String>, place: Place, tools: &Tools) -> Result<Running, String> {
        let mut words = vec!["--config-yaml".to_owned(), config.to_string()];
        // Without shared memory nothing is left behind when it is killed, and no two Envoys can meet.
        words.push("--disable-hot-restart".to_owned());
        words.extend(rest);
        Running::child(&tools.envoy, words, place, tools).await
    }

    async fn child(path: &Path, args: Vec<String>, place: Place, tools: &Tools) -> Result<Running, String> {
        std::fs::create_dir_all(&place.dir).map_err(|e| format!("making {}: {e}", place.dir.display()))?;
        let program = Program {
            path: path.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: place.env,
            dir: Some(place.dir),
            streams: Streams::Output,
        };
        let mut child = tools.keeper.start(program).await.map_err(|e| format!("{e:#}"))?;
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout() {
            readers.spawn(place.logs.clone().read_from(stdout));
        }
        if let Some(stderr) = child.stderr() {
            readers.spawn(place.logs.clone().read_from(stderr));
        }
        Ok(Running::Child(Box::new(child), readers))
    }

    /// Waits for its end. Cancel-safe.
    pub async fn wait(&mut self) -> Ended {
        match self {
            Running::Inside(task) => (&mut task.task).await.unwrap_or(Ended { code: 137, signal: Some(9) }),
            Running::Child(child, readers) => {
                let ended = child.wait().await.unwrap_or(Ended { code: 255, signal: None });
                last_words(readers).await;
                ended
            }
        }
    }

    /// Looks for processes and signals them.
    pub fn signal(&self, asked: Asked) {
        let found = match self {
            Running::Inside(inside) => inside.signal(&asked),
            Running::Child(child, _) => child.id().map(|id| signals::in_group(id, &asked)).unwrap_or_default(),
        };
        // Whoever asked may be gone.
        let _ = asked.answer.send(found);
    }

    /// Asks it to end, kills it after `grace`, and returns when it is gone.
    pub async fn stop(&mut self, grace: Duration) -> Ended {
        match self {
            Running::Inside(task) => {
                task.task.abort();
                // Sockets close when the task is gone, not when it is told to go.
                let _ = (&mut task.task).await;
                let signal = if grace.is_zero() { 9 } else { 15 };
                Ended { code: 128 + signal, signal: Some(signal) }
            }
            Running::Child(child, readers) => {
                let ended = child.stop(grace).await.unwrap_or(Ended { code: 255, signal: None });
                last_words(readers).await;
                ended
            }
        }
    }
}

async fn last_words(readers: &mut JoinSet<()>) {
    let all = async { while readers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_WORDS, all).await;
}

async fn sleep_task(duration: Option<Duration>) -> Ended {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
    Ended { code: 0, signal: None }
}

async fn echo_task(options: Result<echo::Options, String>, gate: Gate, place: Place) -> Ended {
    let code = match options {
        Ok(options) => {
            let error = echo::serve(options, place.ip, gate, place.logs.clone()).await;
            place.logs.push(format!("Server exited with: listen tcp: {error}"));
            1
        }
        Err(complaint) => {
            let code = if complaint.starts_with("flag") { 2 } else { 127 };
            place.logs.push(complaint);
            code
        }
    };
    Ended { code, signal: None }
}

async fn bookinfo_task(program: bookinfo::Program, gate: Gate, place: Place) -> Ended {
    let error = bookinfo::serve(program, place.ip, &place.env, gate, place.logs.clone()).await;
    place.logs.push(format!("{program}: cannot listen on port {}: {error}", bookinfo::PORT));
    Ended { code: 1, signal: None }
}
