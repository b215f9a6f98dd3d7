//! One container: started, watched, started again when it ends, stopped when told.
//!
//! In: a container of a pod, orders. Out: views of what it does, as they change. May not know: other containers, the
//! pod's status, how the API is reached beyond reading what its environment names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use tokio::sync::{mpsc, watch};

use super::addresses::PodAddress;
use super::events::Events;
use super::image::{Image, Process, RUNNABLE};
use super::probe::{self, Verdict};
use super::process::{Place, Running, Tools};
use super::registry::ContainerEntry;
use super::status::{End, State, View};
use super::{agent, env, logs::Logs, sidecar};
use crate::sandbox::child::{ComingUp, Ended};

/// The first wait before a container that ended is started again; it doubles with every end.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// The longest wait.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// A container that ran this long is no longer held to its past.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);
/// What a program that is not ready after this time still waits for (an Envoy: its configuration) needs no processor.
const COMES_UP_WITHIN: Duration = Duration::from_millis(300);
/// How often a missing config map or secret is looked for.
const CONFIG_RETRY: Duration = Duration::from_secs(1);

/// What a container is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Run.
    Run,
    /// Stop, and be killed when that takes longer than this.
    Stop(Duration),
}

/// What does not change while a container's task lives.
pub struct Task {
    /// The pod.
    pub pod: Arc<Pod>,
    /// The container's part of it.
    pub spec: Container,
    /// Its place in the pod.
    pub index: usize,
    /// The pod's addresses.
    pub address: PodAddress,
    /// Where its environment comes from.
    pub sources: env::Sources,
    /// What runs it.
    pub tools: Tools,
    /// Its directory.
    pub dir: PathBuf,
    /// What the kubelet's endpoint sees of it.
    pub entry: Arc<ContainerEntry>,
    /// Where its views go.
    pub views: mpsc::UnboundedSender<(usize, View)>,
    /// Takes down what happens.
    pub events: Events,
    /// How it was before this task: restarts and the last end survive a restart of the node.
    pub before: (i32, Option<End>),
}

/// Why a run of a container is over.
enum Over {
    /// By itself, or because it was found dead.
    Ended(Ended, &'static str),
    /// As ordered.
    Stopped(Ended),
}

impl Task {
    /// What there is to say before it has run.
    pub fn first_view(&self) -> View {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        View {
            name: self.spec.name.clone(),
            image: self.spec.image.clone().unwrap_or_default(),
            image_id: String::new(),
            id: format!("failctl://{uid}/{}/{}", self.spec.name, self.before.0),
            state: State::Waiting { reason: "ContainerCreating".into(), message: String::new() },
            last: self.before.1.clone(),
            restarts: self.before.0,
            ready: self.spec.readiness_probe.is_none(),
        }
    }

    /// Runs until told to stop, or until its restart policy lets it rest.
    pub async fn run(self, mut orders: watch::Receiver<Order>) {
        let mut view = self.first_view();
        let mut backoff = FIRST_BACKOFF;
        loop {
            let (process, env) = match self.prepare(&mut view, &mut orders).await {
                Some(prepared) => prepared,
                None => return,
            };
            let coming_up = tokio::select! {
                leave = self.leave(&process) => leave,
                _ = stopped(&mut orders) => return,
            };
            let logs = self.entry.begin(env.clone());
            let place = Place { ip: self.bind(), env, logs: logs.clone(), dir: self.dir.clone() };
            let started = Timestamp::now();
            let over = match Running::start(process, place, &self.tools).await {
                Ok(running) => {
                    view.state = State::Running { since: started };
                    view.ready = self.spec.readiness_probe.is_none() && self.spec.startup_probe.is_none();
                    self.tell(&view);
                    self.events.normal(&self.pod, &view.name, "Started", format!("Started container {}", view.name));
                    self.attend(running, coming_up, &mut view, &mut orders, &logs).await
                }
                Err(message) => {
                    drop(coming_up);
                    self.events.warning(&self.pod, &view.name, "Failed", format!("Error: {message}"));
                    logs.push(message);
                    Over::Ended(Ended { code: 128, signal: None }, "StartError")
                }
            };
            self.entry.end();
            let (end, stopped) = self.end_of(over, started, &logs);
            view.ready = false;
            if stopped || self.rests(&end) {
                view.state = State::Terminated(end);
                self.tell(&view);
                return;
            }
            let ran = end.finished.duration_since(started).unsigned_abs();
            backoff = if ran >= FORGIVEN_AFTER { FIRST_BACKOFF } else { backoff };
            if !self.back_off(backoff, end, &mut view, &mut orders).await {
                return;
            }
            backoff = (backoff * 2).min(LONGEST_BACKOFF);
        }
    }

    /// Leave to start, for what takes a processor to itself while it comes up.
    async fn leave(&self, process: &Process) -> Option<ComingUp> {
        match process {
            Process::Envoy(_) | Process::IstioProxy(_) => {
                Some(self.tools.keeper.leave_to_come_up(COMES_UP_WITHIN).await)
            }
            Process::Echo(_) | Process::Bookinfo(_) | Process::Sleep(_) => None,
        }
    }

    /// The address it binds.
    fn bind(&self) -> std::net::IpAddr {
        self.address.bound_by(sidecar::is_proxy(self.spec.image.as_deref().unwrap_or_default()))
    }

    fn tell(&self, view: &View) {
        // Nobody listens any more when the pod is gone.
        let _ = self.views.send((self.index, view.clone()));
    }

    fn wait_for(&self, view: &mut View, reason: &str, message: String) {
        let state = State::Waiting { reason: reason.into(), message: message.clone() };
        if view.state != state {
            self.events.warning(&self.pod, &view.name, "Failed", message);
            view.state = state;
            self.tell(view);
        }
    }

    /// What to run and with which environment; waits for what is missing. None when told to stop meanwhile.
    async fn prepare(
        &self,
        view: &mut View,
        orders: &mut watch::Receiver<Order>,
    ) -> Option<(Process, BTreeMap<String, String>)> {
        let asked = self.spec.image.as_deref().unwrap_or_default();
        let image = Image::of(asked);
        let refused = match image {
            None => Some(("ImageUnsupported", format!("the sandbox cannot run {asked}; it runs {RUNNABLE}"))),
            Some(_) if sidecar::beside_others(&self.pod) && !self.address.suits_sidecar() => {
                let why =
                    "this node has no inner addresses to put a sidecar in front of; give it some with --inner RANGE";
                Some(("SidecarUnsupported", why.to_owned()))
            }
            Some(_) => probe::unsupported(&self.spec).map(|why| ("ProbeUnsupported", why)),
        };
        if let Some((reason, message)) = refused {
            self.wait_for(view, reason, message);
            stopped(orders).await;
            return None;
        }
        view.image_id = format!("failctl://{}", image_id(image?));
        loop {
            let found = tokio::select! {
                found = env::of_container(&self.pod, &self.spec, &self.address, &self.sources) => found,
                _ = stopped(orders) => return None,
            };
            let found = match found {
                Ok(env) => self.furnish(image?, env).await,
                refused => refused,
            };
            let refused = match found {
                Ok(mut env) => {
                    if matches!(image, Some(Image::Bookinfo(_))) {
                        env.entry("CLUSTER_NAME".into()).or_insert_with(|| self.sources.cluster.clone());
                    }
                    let words = |words: &Option<Vec<String>>| -> Vec<String> {
                        words.iter().flatten().map(|w| env::expand(w, &env)).collect()
                    };
                    match image?.process(&words(&self.spec.command), &words(&self.spec.args)) {
                        Ok(process) => return Some((process, env)),
                        Err(message) => ("RunContainerError", message),
                    }
                }
                Err(message) => ("CreateContainerConfigError", message),
            };
            self.wait_for(view, refused.0, refused.1);
            tokio::select! {
                () = tokio::time::sleep(CONFIG_RETRY) => {}
                _ = stopped(orders) => return None,
            }
        }
    }

    /// What Istio's agent needs besides its environment, where it runs.
    async fn furnish(
        &self,
        image: Image,
        mut env: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let agent = self.tools.agent.as_ref().filter(|_| image == Image::IstioProxy);
        let (Some(agent), Some(ports)) = (agent, self.address.ports) else { return Ok(env) };
        let container = agent::Container {
            pod: &self.pod,
            ip: self.address.ip,
            ports,
            dir: &self.dir,
            envoy: &self.tools.envoy,
            failctl: self.tools.keeper.failctl(),
        };
        container.furnish(agent, &self.sources, &mut env).await?;
        Ok(env)
    }

    /// Stands by a running container until it ends, is found dead, or must stop.
    async fn attend(
        &self,
        mut running: Running,
        mut coming_up: Option<ComingUp>,
        view: &mut View,
        orders: &mut watch::Receiver<Order>,
        logs: &Logs,
    ) -> Over {
        let (found, mut verdicts) = mpsc::unbounded_channel();
        let mut probes = tokio::task::JoinSet::new();
        probes.spawn(probe::watch(self.spec.clone(), self.bind(), found));
        let mut signals = self.entry.hear();
        loop {
            tokio::select! {
                ended = running.wait() => return Over::Ended(ended, ""),
                Some(asked) = signals.recv() => running.signal(asked),
                grace = stopped(orders) => {
                    let told = format!("Stopping container {}", view.name);
                    self.events.normal(&self.pod, &view.name, "Killing", told);
                    return Over::Stopped(stop(&mut running, grace, orders).await);
                }
                Some(verdict) = verdicts.recv() => match verdict {
                    Verdict::Ready(ready) if ready != view.ready => {
                        coming_up = coming_up.filter(|_| !ready);
                        view.ready = ready;
                        self.tell(view);
                    }
                    Verdict::Ready(_) => {}
                    Verdict::Dead(why) => {
                        self.events.warning(&self.pod, &view.name, "Unhealthy", &why);
                        logs.push(format!("[sandbox] {why}; the container will be restarted"));
                        let ended = stop(&mut running, self.grace(), orders).await;
                        return Over::Ended(ended, "Unhealthy");
                    }
                },
            }
        }
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    fn end_of(&self, over: Over, started: Timestamp, logs: &Logs) -> (End, bool) {
        let (ended, reason, stopped) = match over {
            Over::Ended(ended, reason) => (ended, reason, false),
            Over::Stopped(ended) => (ended, "", true),
        };
        let reason = match (reason, ended.code) {
            ("", 0) => "Completed",
            ("", _) => "Error",
            (reason, _) => reason,
        };
        // What it said last is the best there is to know about a failure.
        let failed = ended.code != 0 && !stopped;
        let last = logs.read(Some(1)).ready().pop().filter(|_| failed);
        let message = last.map(|l| String::from_utf8_lossy(&l.text).into_owned()).unwrap_or_default();
        let end = End {
            code: ended.code,
            reason: reason.into(),
            message,
            started: Some(started),
            finished: Timestamp::now(),
        };
        (end, stopped)
    }

    /// Whether a container that ended so is not started again.
    fn rests(&self, end: &End) -> bool {
        match self.pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()) {
            Some("Never") => true,
            Some("OnFailure") => end.code == 0,
            _ => false,
        }
    }

    /// Waits before the next start. False when told to stop meanwhile.
    async fn back_off(&self, wait: Duration, end: End, view: &mut View, orders: &mut watch::Receiver<Order>) -> bool {
        let pod = self.pod.metadata.name.as_deref().unwrap_or_default();
        let message = format!("back-off {wait:?} restarting failed container={} pod={pod}", self.spec.name);
        let told = format!("Back-off restarting failed container {} in pod {pod}", self.spec.name);
        self.events.warning(&self.pod, &view.name, "BackOff", told);
        view.last = Some(end.clone());
        view.state = State::Waiting { reason: "CrashLoopBackOff".into(), message };
        self.tell(view);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopped(orders) => {
                view.state = State::Terminated(end);
                self.tell(view);
                return false;
            }
        }
        view.restarts += 1;
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        view.id = format!("failctl://{uid}/{}/{}", self.spec.name, view.restarts);
        true
    }
}

/// What stands for an image's digest: the sandbox pulls nothing.
fn image_id(image: Image) -> &'static str {
    match image {
        Image::HttpEcho => "http-echo",
        Image::Envoy => "envoy",
        Image::IstioProxy => "istio-proxy",
        Image::Bookinfo(program) => program.word(),
        Image::Curl => "curl",
    }
}

/// Waits for the order to stop.
async fn stopped(orders: &mut watch::Receiver<Order>) -> Duration {
    match orders.wait_for(|o| matches!(o, Order::Stop(_))).await.map(|o| *o) {
        Ok(Order::Stop(grace)) => grace,
        // Nobody is left who could want it to run.
        Ok(Order::Run) | Err(_) => Duration::ZERO,
    }
}

/// Stops it; a second order may shorten the grace period.
async fn stop(running: &mut Running, grace: Duration, orders: &mut watch::Receiver<Order>) -> Ended {
    orders.mark_unchanged();
    tokio::select! {
        ended = running.stop(grace) => return ended,
        _ = orders.wait_for(|o| *o == Order::Stop(Duration::ZERO)), if !grace.is_zero() => {}
    }
    running.stop(Duration::ZERO).await
}
