//! The row of a pod: the one reason that says best how it fares. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::builtin::{items, or, text};

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let mut tally = Tally { reason: phase(pod), ..Tally::default() };
    let waiting = tally.init_containers(pod);
    let initialized = items(pod, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "Initialized" && text(c, "/status") == "True");
    if !waiting || initialized {
        tally.containers(pod);
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null()) {
        match (text(pod, "/status/reason"), text(pod, "/status/phase")) {
            ("NodeLost", _) => tally.reason = "Unknown".into(),
            (_, "Succeeded" | "Failed") => {}
            _ => tally.reason = "Terminating".into(),
        }
    }
    let sidecars = items(pod, "/spec/initContainers").iter().filter(|c| text(c, "/restartPolicy") == "Always").count();
    let total = items(pod, "/spec/containers").len() + sidecars;
    let restarts = match (tally.restarts, tally.last_restart) {
        (0, _) | (_, None) => tally.restarts.to_string(),
        (count, Some(then)) => format!("{count} ({} ago)", age::human(now, then)),
    };
    vec![
        json!(text(pod, "/metadata/name")),
        json!(format!("{}/{total}", tally.ready)),
        json!(tally.reason),
        json!(restarts),
        json!(age::of(pod, "/metadata/creationTimestamp", now)),
        or(pod, "/status/podIPs/0/ip", "<none>"),
        or(pod, "/spec/nodeName", "<none>"),
        or(pod, "/status/nominatedNodeName", "<none>"),
        gates(pod),
    ]
}

fn phase(pod: &Value) -> String {
    let gated = items(pod, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == "PodScheduled" && text(c, "/reason") == "SchedulingGated");
    match (gated, text(pod, "/status/reason")) {
        (true, _) => "SchedulingGated".into(),
        (false, "") => text(pod, "/status/phase").into(),
        (false, reason) => reason.into(),
    }
}

/// What the containers add up to.
#[derive(Default)]
struct Tally {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
    /// Of init containers that go on running beside the others.
    sidecar_restarts: i64,
    sidecar_last_restart: Option<Timestamp>,
}

fn restarted(status: &Value) -> Option<Timestamp> {
    text(status, "/lastState/terminated/finishedAt").parse().ok()
}

fn restart_count(status: &Value) -> i64 {
    status.get("restartCount").and_then(Value::as_i64).unwrap_or(0)
}

fn flag(status: &Value, name: &str) -> bool {
    status.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// Why a container ended: its reason, else its signal, else its exit code.
fn ended(terminated: &Value) -> String {
    let number = |name: &str| terminated.get(name).and_then(Value::as_i64).unwrap_or(0);
    match (text(terminated, "/reason"), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

impl Tally {
    /// Counts init containers; answers whether one of them still has to end.
    fn init_containers(&mut self, pod: &Value) -> bool {
        let specs = items(pod, "/spec/initContainers");
        for (i, status) in items(pod, "/status/initContainerStatuses").iter().enumerate() {
            let name = text(status, "/name");
            let sidecar = specs.iter().any(|c| text(c, "/name") == name && text(c, "/restartPolicy") == "Always");
            self.restarts += restart_count(status);
            self.last_restart = self.last_restart.max(restarted(status));
            if sidecar {
                self.sidecar_restarts += restart_count(status);
                self.sidecar_last_restart = self.sidecar_last_restart.max(restarted(status));
            }
            let terminated = status.pointer("/state/terminated");
            let waits = text(status, "/state/waiting/reason");
            match terminated {
                Some(t) if t.get("exitCode").and_then(Value::as_i64).unwrap_or(0) == 0 => continue,
                _ if sidecar && flag(status, "started") => {
                    self.ready += usize::from(flag(status, "ready"));
                    continue;
                }
                Some(t) => self.reason = format!("Init:{}", ended(t)),
                None if !waits.is_empty() && waits != "PodInitializing" => self.reason = format!("Init:{waits}"),
                None => self.reason = format!("Init:{i}/{}", specs.len()),
            }
            return true;
        }
        false
    }

    fn containers(&mut self, pod: &Value) {
        (self.restarts, self.last_restart) = (self.sidecar_restarts, self.sidecar_last_restart);
        let mut running = false;
        for status in items(pod, "/status/containerStatuses").iter().rev() {
            self.restarts += restart_count(status);
            self.last_restart = self.last_restart.max(restarted(status));
            let waits = text(status, "/state/waiting/reason");
            if !waits.is_empty() {
                self.reason = waits.to_owned();
            } else if let Some(terminated) = status.pointer("/state/terminated") {
                self.reason = ended(terminated);
            } else if flag(status, "ready") && status.pointer("/state/running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            let conditions = items(pod, "/status/conditions");
            let ready = conditions.iter().any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
            self.reason = if ready { "Running".into() } else { "NotReady".into() };
        }
    }
}

fn gates(pod: &Value) -> Value {
    let gates = items(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return json!("<none>");
    }
    let open = gates.iter().filter(|gate| {
        let kind = text(gate, "/conditionType");
        let condition = items(pod, "/status/conditions").iter().find(|c| text(c, "/type") == kind);
        condition.is_some_and(|c| text(c, "/status") == "True")
    });
    json!(format!("{}/{}", open.count(), gates.len()))
}
