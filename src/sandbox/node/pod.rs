//! One pod: its containers run, and the API hears of it.
//!
//! In: the pod's object, as it changes, and orders of the node. Out: running containers, `status`, the final delete.
//! May not know: other pods, how containers run.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, Pod, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::addresses::PodAddress;
use super::container::{Order, Task};
use super::events::Events;
use super::process::Tools;
use super::registry::{ContainerEntry, PodEntry};
use super::status::{self, End, Frame, State, View};
use super::{Power, env};

/// What a pod's task is told.
pub enum Message {
    /// The object has changed.
    Update(Box<Pod>),
    /// The object is gone from the API, or the node stops: end at once, tell nobody.
    Gone,
    /// The machine loses its power: everything stops at once and nobody is told.
    Halt(oneshot::Sender<()>),
    /// The power is back: start again.
    Resume,
}

/// What a pod's task works with.
pub struct Worker {
    /// The object, as last seen; its status is the one we last said.
    pub pod: Pod,
    /// The pod's addresses.
    pub address: PodAddress,
    /// When the node took it.
    pub start: Timestamp,
    /// Where environments come from; its client also writes the status.
    pub sources: env::Sources,
    /// What runs containers.
    pub tools: Tools,
    /// What the kubelet's endpoint sees.
    pub entry: Arc<PodEntry>,
    /// Takes down what happens.
    pub events: Events,
    /// Whether the node has power.
    pub power: watch::Receiver<Power>,
}

/// The containers of a pod, running.
struct Crew {
    orders: watch::Sender<Order>,
    tasks: JoinSet<()>,
    views: mpsc::UnboundedReceiver<(usize, View)>,
}

impl Worker {
    /// Runs the pod until it is gone.
    pub async fn run(mut self, mut messages: mpsc::UnboundedReceiver<Message>) {
        let (desired, changes) = watch::channel(None::<PodStatus>);
        let mut writer = JoinSet::new();
        let (api, name, uid, power) = (self.api(), self.name(), self.entry.uid.clone(), self.power.clone());
        let annotations = self.address.annotations();
        writer.spawn(async move {
            if !annotations.is_empty() {
                annotate(&api, &name, &uid, &annotations, power.clone()).await;
            }
            write_statuses(api, name, uid, changes, power).await;
        });
        let mut views = Vec::new();
        let mut crew = self.begin(&mut views, true);
        let mut deleting = false;
        let mut finished = JoinSet::new();
        if crew.tasks.is_empty() {
            self.tell(&views, &desired);
        }
        loop {
            if self.pod.metadata.deletion_timestamp.is_some() && !deleting {
                deleting = true;
                crew.orders.send_replace(Order::Stop(self.deletion_grace()));
            }
            if deleting && crew.tasks.is_empty() && finished.is_empty() {
                finished.spawn(delete(self.api(), self.name(), self.entry.uid.clone()));
            }
            tokio::select! {
                // Orders before news: a pod that must go has nothing more to say.
                biased;
                message = messages.recv() => match message {
                    None | Some(Message::Gone) => {
                        crew.end_now(&mut views).await;
                        break;
                    }
                    Some(Message::Update(pod)) => {
                        self.update(*pod);
                        self.tell(&views, &desired);
                    }
                    Some(Message::Halt(done)) => {
                        crew.end_now(&mut views).await;
                        let _ = done.send(());
                    }
                    Some(Message::Resume) => {
                        if crew.tasks.is_empty() && !deleting {
                            crew = self.begin(&mut views, false);
                        }
                        // Others may have said of us meanwhile what they believed.
                        desired.send_replace(None);
                        self.tell(&views, &desired);
                    }
                },
                Some((index, view)) = crew.views.recv() => {
                    views[index] = view;
                    crew.absorb(&mut views);
                    self.tell(&views, &desired);
                }
                Some(_) = crew.tasks.join_next(), if !crew.tasks.is_empty() => {}
            }
        }
        let _ = std::fs::remove_dir_all(&self.entry.dir);
    }

    fn api(&self) -> Api<Pod> {
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or("default");
        Api::namespaced(self.sources.client.clone(), namespace)
    }

    fn name(&self) -> String {
        self.pod.metadata.name.clone().unwrap_or_default()
    }

    fn deletion_grace(&self) -> Duration {
        let asked = self.pod.metadata.deletion_grace_period_seconds;
        let own = || self.pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds);
        Duration::from_secs(u64::try_from(asked.or_else(own).unwrap_or(30)).unwrap_or(0))
    }

    /// Starts every container. At the first start, what ran before is known from the object; later from the views.
    fn begin(&self, views: &mut Vec<View>, first: bool) -> Crew {
        let (orders, _) = watch::channel(Order::Run);
        let (told, receiver) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let spec = self.pod.spec.clone().unwrap_or_default();
        let pod = Arc::new(self.pod.clone());
        let old = std::mem::take(views);
        for (index, container) in spec.containers.iter().enumerate() {
            let before = if first { before(&self.pod, &container.name) } else { after(old.get(index)) };
            let entry = self.entry.containers.get(&container.name).cloned();
            let task = Task {
                pod: pod.clone(),
                spec: container.clone(),
                index,
                address: self.address,
                sources: self.sources.clone(),
                tools: self.tools.clone(),
                dir: self.entry.dir.join(&container.name),
                entry: entry.unwrap_or_else(|| Arc::new(ContainerEntry::default())),
                views: told.clone(),
                events: self.events.clone(),
                before,
            };
            let mut view = task.first_view();
            if spec.init_containers.as_ref().is_some_and(|c| !c.is_empty()) {
                let message = "the sandbox runs no init containers; it only runs a pod's containers".into();
                view.state = State::Waiting { reason: "InitContainersUnsupported".into(), message };
            } else {
                tasks.spawn(task.run(orders.subscribe()));
            }
            views.push(view);
        }
        Crew { orders, tasks, views: receiver }
    }

    /// Takes a new version of the object; of its status, only what others say.
    fn update(&mut self, pod: Pod) {
        let own = self.pod.status.take();
        *self.entry.pod.lock().unwrap_or_else(PoisonError::into_inner) = pod.clone();
        self.pod = pod;
        let Some(mut own) = own else { return };
        let said = self.pod.status.take().and_then(|s| s.conditions).unwrap_or_default();
        let conditions = own.conditions.get_or_insert_default();
        conditions.retain(|c| status::OWN_CONDITIONS.contains(&c.type_.as_str()));
        conditions.extend(said.into_iter().filter(|c| !status::OWN_CONDITIONS.contains(&c.type_.as_str())));
        self.pod.status = Some(own);
    }

    /// Says what the pod does, if that is news.
    fn tell(&mut self, views: &[View], desired: &watch::Sender<Option<PodStatus>>) {
        let frame = Frame { ip: Some(self.address.ip), host: self.sources.host, start: self.start };
        let status = status::of(&self.pod, views, &frame, Timestamp::now());
        desired.send_if_modified(|said| {
            let news = said.as_ref() != Some(&status);
            *said = Some(status.clone());
            news
        });
        self.pod.status = Some(status);
    }
}

impl Crew {
    /// Takes the views that wait.
    fn absorb(&mut self, views: &mut [View]) {
        while let Ok((index, view)) = self.views.try_recv() {
            views[index] = view;
        }
    }

    /// Kills every container and returns when all are gone.
    async fn end_now(&mut self, views: &mut [View]) {
        self.orders.send_replace(Order::Stop(Duration::ZERO));
        while self.tasks.join_next().await.is_some() {}
        self.absorb(views);
    }
}

/// Restarts and last end of a container that an earlier life of this node ran.
fn before(pod: &Pod, container: &str) -> (i32, Option<End>) {
    let statuses = pod.status.as_ref().and_then(|s| s.container_statuses.as_deref()).unwrap_or_default();
    let Some(old) = statuses.iter().find(|s| s.name == container) else { return (0, None) };
    let started = |state: &Option<ContainerState>| {
        state.as_ref().and_then(|s| s.running.as_ref()).and_then(|r| r.started_at.as_ref()).map(|t| t.0)
    };
    if old.container_id.is_none() {
        return (old.restart_count, None);
    }
    (old.restart_count + 1, Some(lost(started(&old.state))))
}

/// The same of one that lost its power.
fn after(view: Option<&View>) -> (i32, Option<End>) {
    match view {
        None => (0, None),
        Some(view) => match &view.state {
            State::Terminated(end) => (view.restarts + 1, Some(lost(end.started))),
            _ => (view.restarts, view.last.clone()),
        },
    }
}

/// Nobody saw how it ended.
fn lost(started: Option<Timestamp>) -> End {
    let message = "the node was restarted while the container ran".into();
    End { code: 255, reason: "Unknown".into(), message, started, finished: Timestamp::now() }
}

/// Writes down where the pod is beside its own address, before anything else is said of it: its sidecar's configuration
/// needs it.
async fn annotate(
    api: &Api<Pod>,
    name: &str,
    uid: &str,
    annotations: &BTreeMap<&str, String>,
    mut power: watch::Receiver<Power>,
) {
    let patch = Patch::Merge(json!({"metadata": {"uid": uid, "annotations": annotations}}));
    let mut wait = Duration::from_millis(100);
    while power.wait_for(|p| *p == Power::On).await.is_ok() {
        match api.patch(name, &PatchParams::default(), &patch).await {
            Ok(_) => return,
            Err(kube::Error::Api(e)) if matches!(e.code, 404 | 409) => return,
            Err(e) => tracing::debug!("annotations of pod {name} not written: {e}"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// Writes the latest status until nobody changes it any more. A status that cannot be written is tried again; the
/// next one replaces it.
async fn write_statuses(
    api: Api<Pod>,
    name: String,
    uid: String,
    mut desired: watch::Receiver<Option<PodStatus>>,
    mut power: watch::Receiver<Power>,
) {
    let mut wait = Duration::ZERO;
    loop {
        if wait.is_zero() {
            if desired.changed().await.is_err() {
                return;
            }
        } else {
            // A newer status need not wait for the time of an older one.
            let _ = tokio::time::timeout(wait, desired.changed()).await;
        }
        if power.wait_for(|p| *p == Power::On).await.is_err() {
            return;
        }
        let Some(status) = desired.borrow_and_update().clone() else { continue };
        let patch = Patch::Merge(json!({"metadata": {"uid": uid}, "status": status}));
        wait = match api.patch_status(&name, &PatchParams::default(), &patch).await {
            Ok(_) => Duration::ZERO,
            // The pod is gone, or another one has its name.
            Err(kube::Error::Api(e)) if matches!(e.code, 404 | 409) => Duration::ZERO,
            Err(e) => {
                tracing::debug!("status of pod {name} not written: {e}");
                (wait * 2).clamp(Duration::from_millis(100), Duration::from_secs(5))
            }
        };
    }
}

/// Removes the object of a pod whose containers have all stopped. Its end is the watch's `Gone`.
pub async fn delete(api: Api<Pod>, name: String, uid: String) {
    let preconditions = Preconditions { uid: Some(uid), resource_version: None };
    let now =
        DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    let mut wait = Duration::from_millis(100);
    loop {
        match api.delete(&name, &now).await {
            Ok(_) => return,
            Err(kube::Error::Api(e)) if matches!(e.code, 404 | 409) => return,
            Err(e) => tracing::debug!("pod {name} not deleted: {e}"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}
