//! What a pod's status says, as a function of what its containers do.
//!
//! In: a pod, the states of its containers, addresses, the time. Out: its `status`. May not know: the API, processes.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
    Pod, PodCondition, PodIP, PodStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The conditions that a node says of a pod; all others are of others.
pub const OWN_CONDITIONS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// What a container does right now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does not run.
    Waiting {
        /// CamelCase, for machines.
        reason: String,
        /// For people.
        message: String,
    },
    /// It runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It has ended and will not be started again.
    Terminated(End),
}

/// How a run of a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Exit code; 128 + signal when killed.
    pub code: i32,
    /// `Completed`, `Error` or a more telling word.
    pub reason: String,
    /// For people; may be empty.
    pub message: String,
    /// When it started, if it did.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Timestamp,
}

/// All there is to say about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The image asked for.
    pub image: String,
    /// What runs for it, as an image id.
    pub image_id: String,
    /// Identifies this run of the container.
    pub id: String,
    /// What it does.
    pub state: State,
    /// How its previous run ended.
    pub last: Option<End>,
    /// How often it has been started again.
    pub restarts: i32,
    /// Whether its readiness probe passes (true without one).
    pub ready: bool,
}

impl View {
    fn running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn is_ready(&self) -> bool {
        self.running() && self.ready
    }
}

/// What does not change while a pod runs.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The pod's address.
    pub ip: Option<IpAddr>,
    /// The node's address.
    pub host: IpAddr,
    /// When the node took the pod.
    pub start: Timestamp,
}

/// The status of a pod.
pub fn of(pod: &Pod, views: &[View], frame: &Frame, now: Timestamp) -> PodStatus {
    let phase = phase(pod, views);
    let old = pod.status.as_ref();
    let unready: Vec<&str> = views.iter().filter(|v| !v.is_ready()).map(|v| v.name.as_str()).collect();
    let ended = matches!(phase, "Succeeded" | "Failed");
    let ready = match (ended, unready.is_empty()) {
        (true, _) => Err(("PodCompleted".to_owned(), String::new())),
        (false, true) => Ok(()),
        (false, false) => {
            Err(("ContainersNotReady".to_owned(), format!("containers with unready status: [{}]", unready.join(" "))))
        }
    };
    let mut conditions = vec![
        condition("PodReadyToStartContainers", if frame.ip.is_some() { Ok(()) } else { Err(Default::default()) }),
        condition("Initialized", Ok(())),
        condition("Ready", gates(pod, &ready)),
        condition("ContainersReady", ready),
        condition("PodScheduled", Ok(())),
    ];
    let old_conditions = old.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    for condition in &mut conditions {
        let same = old_conditions.iter().find(|o| o.type_ == condition.type_ && o.status == condition.status);
        condition.last_transition_time = same.and_then(|o| o.last_transition_time.clone()).or(Some(Time(now)));
    }
    // Conditions of others (readiness gates) are theirs.
    conditions.extend(old_conditions.iter().filter(|o| !OWN_CONDITIONS.contains(&o.type_.as_str())).cloned());
    let ip = frame.ip.map(|ip| ip.to_string());
    PodStatus {
        phase: Some(phase.into()),
        conditions: Some(conditions),
        host_ip: Some(frame.host.to_string()),
        host_ips: Some(vec![HostIP { ip: frame.host.to_string() }]),
        pod_ip: ip.clone(),
        pod_ips: ip.map(|ip| vec![PodIP { ip }]),
        start_time: Some(Time(frame.start)),
        container_statuses: Some(views.iter().map(container).collect()),
        qos_class: old.and_then(|s| s.qos_class.clone()).or(Some(qos(pod).into())),
        ..PodStatus::default()
    }
}

/// Ready needs the readiness gates of others besides the containers.
fn gates(pod: &Pod, containers: &Result<(), (String, String)>) -> Result<(), (String, String)> {
    containers.clone()?;
    let gates = pod.spec.as_ref().and_then(|s| s.readiness_gates.as_deref()).unwrap_or_default();
    let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_deref()).unwrap_or_default();
    let closed = |gate: &str| !conditions.iter().any(|c| c.type_ == gate && c.status == "True");
    match gates.iter().find(|g| closed(&g.condition_type)) {
        Some(gate) => {
            let message = format!("the status of pod readiness gate \"{}\" is not \"True\"", gate.condition_type);
            Err(("ReadinessGatesNotReady".into(), message))
        }
        None => Ok(()),
    }
}

fn condition(type_: &str, holds: Result<(), (String, String)>) -> PodCondition {
    let (status, why) = match holds {
        Ok(()) => ("True", None),
        Err(why) => ("False", Some(why)),
    };
    let (reason, message) = why.unwrap_or_default();
    let some = |text: String| (!text.is_empty()).then_some(text);
    PodCondition {
        type_: type_.into(),
        status: status.into(),
        reason: some(reason),
        message: some(message),
        ..PodCondition::default()
    }
}

fn phase(pod: &Pod, views: &[View]) -> &'static str {
    let policy = pod.spec.as_ref().and_then(|s| s.restart_policy.as_deref()).unwrap_or("Always");
    let ended: Vec<&End> = views
        .iter()
        .filter_map(|v| match &v.state {
            State::Terminated(end) => Some(end),
            _ => None,
        })
        .collect();
    let never_ran = |v: &View| matches!(v.state, State::Waiting { .. }) && v.last.is_none();
    if !views.is_empty() && ended.len() == views.len() && policy != "Always" {
        return if ended.iter().all(|e| e.code == 0) { "Succeeded" } else { "Failed" };
    }
    if views.is_empty() || views.iter().any(never_ran) { "Pending" } else { "Running" }
}

fn container(view: &View) -> ContainerStatus {
    let mut state = ContainerState::default();
    match &view.state {
        State::Waiting { reason, message } => {
            let message = (!message.is_empty()).then(|| message.clone());
            state.waiting = Some(ContainerStateWaiting { reason: Some(reason.clone()), message });
        }
        State::Running { since } => state.running = Some(ContainerStateRunning { started_at: Some(Time(*since)) }),
        State::Terminated(end) => state.terminated = Some(terminated(end, &view.id)),
    }
    let last = view.last.as_ref().map(|end| terminated(end, &view.id));
    let ran = view.running() || view.last.is_some() || matches!(view.state, State::Terminated(_));
    ContainerStatus {
        name: view.name.clone(),
        image: view.image.clone(),
        image_id: view.image_id.clone(),
        container_id: ran.then(|| view.id.clone()),
        ready: view.is_ready(),
        started: Some(view.running()),
        restart_count: view.restarts,
        state: Some(state),
        last_state: Some(ContainerState { terminated: last, ..ContainerState::default() }),
        ..ContainerStatus::default()
    }
}

fn terminated(end: &End, id: &str) -> ContainerStateTerminated {
    ContainerStateTerminated {
        container_id: Some(id.into()),
        exit_code: end.code,
        signal: (end.code > 128 && end.code < 160).then_some(end.code - 128),
        reason: Some(end.reason.clone()),
        message: (!end.message.is_empty()).then(|| end.message.clone()),
        started_at: end.started.map(Time),
        finished_at: Some(Time(end.finished)),
    }
}

/// The quality-of-service class follows from requests and limits.
fn qos(pod: &Pod) -> &'static str {
    let containers = pod.spec.iter().flat_map(|s| s.containers.iter());
    let resources: Vec<_> = containers.map(|c| c.resources.clone().unwrap_or_default()).collect();
    let none = resources
        .iter()
        .all(|r| r.requests.as_ref().is_none_or(|m| m.is_empty()) && r.limits.as_ref().is_none_or(|m| m.is_empty()));
    let guaranteed = resources.iter().all(|r| {
        let limits = r.limits.clone().unwrap_or_default();
        let requests = r.requests.clone().unwrap_or_else(|| limits.clone());
        ["cpu", "memory"].iter().all(|k| limits.contains_key(*k) && limits.get(*k) == requests.get(*k))
    });
    match (none, guaranteed) {
        (true, _) => "BestEffort",
        (false, true) => "Guaranteed",
        (false, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(policy: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p"}, "spec": {"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]}
        }))
        .unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn view(name: &str, state: State) -> View {
        View {
            name: name.into(),
            image: "i".into(),
            image_id: "d".into(),
            id: "x".into(),
            state,
            last: None,
            restarts: 0,
            ready: true,
        }
    }

    fn end(code: i32) -> End {
        End { code, reason: "Error".into(), message: String::new(), started: Some(at(1)), finished: at(2) }
    }

    fn running() -> State {
        State::Running { since: at(1) }
    }

    fn frame() -> Frame {
        Frame { ip: Some([127, 1, 2, 1].into()), host: [127, 1, 0, 2].into(), start: at(1) }
    }

    fn condition_of<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
        status.conditions.as_ref().unwrap().iter().find(|c| c.type_ == type_).unwrap()
    }

    #[test]
    fn a_pod_is_ready_when_all_its_containers_are() {
        let both = [view("a", running()), view("b", running())];
        let status = of(&pod("Always"), &both, &frame(), at(5));
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert_eq!(condition_of(&status, "Ready").status, "True");
        let mut one = both.clone();
        one[1].ready = false;
        let status = of(&pod("Always"), &one, &frame(), at(5));
        let ready = condition_of(&status, "Ready");
        assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("ContainersNotReady")));
        assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));
    }

    #[test]
    fn a_container_that_never_ran_keeps_its_pod_pending_and_one_that_did_does_not() {
        let waiting = State::Waiting { reason: "ImageUnsupported".into(), message: "m".into() };
        let mut views = [view("a", running()), view("b", waiting)];
        assert_eq!(of(&pod("Always"), &views, &frame(), at(5)).phase.as_deref(), Some("Pending"));
        views[1].last = Some(end(1));
        assert_eq!(of(&pod("Always"), &views, &frame(), at(5)).phase.as_deref(), Some("Running"));
    }

    #[test]
    fn a_pod_that_is_not_restarted_succeeds_or_fails() {
        let ended = |code| State::Terminated(end(code));
        let phase =
            |policy: &str, a, b| of(&pod(policy), &[view("a", a), view("b", b)], &frame(), at(5)).phase.unwrap();
        assert_eq!(phase("Never", ended(0), ended(0)), "Succeeded");
        assert_eq!(phase("OnFailure", ended(0), ended(137)), "Failed");
        assert_eq!(phase("Never", ended(0), running()), "Running");
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes_and_others_keep_theirs() {
        let mut pod = pod("Always");
        let views = [view("a", running())];
        let mut first = of(&pod, &views, &frame(), at(5));
        let gate = PodCondition { type_: "example.com/gate".into(), status: "True".into(), ..PodCondition::default() };
        first.conditions.as_mut().unwrap().push(gate);
        pod.status = Some(first);
        let again = of(&pod, &views, &frame(), at(9));
        assert_eq!(condition_of(&again, "Ready").last_transition_time, Some(Time(at(5))));
        assert_eq!(condition_of(&again, "example.com/gate").status, "True");
        let changed = of(&pod, &[view("a", State::Terminated(end(1)))], &frame(), at(9));
        assert_eq!(condition_of(&changed, "Ready").last_transition_time, Some(Time(at(9))));
    }

    #[test]
    fn a_closed_readiness_gate_keeps_a_pod_unready() {
        let mut pod = pod("Always");
        let gate = k8s_openapi::api::core::v1::PodReadinessGate { condition_type: "g".into() };
        pod.spec.as_mut().unwrap().readiness_gates = Some(vec![gate]);
        let status = of(&pod, &[view("a", running())], &frame(), at(5));
        assert_eq!(condition_of(&status, "Ready").status, "False");
        assert_eq!(condition_of(&status, "ContainersReady").status, "True");
    }

    #[test]
    fn a_killed_container_shows_its_signal() {
        let mut restarted = view("a", running());
        restarted.last = Some(end(137));
        let status = of(&pod("Always"), &[restarted], &frame(), at(5));
        let last = status.container_statuses.unwrap()[0].last_state.clone().unwrap().terminated.unwrap();
        assert_eq!((last.exit_code, last.signal), (137, Some(9)));
    }
}
