//! Waiting until controllers have taken what was written, and Pods run. Shared by commands; no command itself.

use std::time::Duration;

use serde_json::Value;

use super::Ctx;
use crate::cluster::{Clients, Waited, Want, observe, stop_on_ctrl_c, until};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, ObjectKey};
use crate::plan;

/// How long a rejection must last to be believed: controllers look again when what they missed arrives.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a controller has said about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It works on it, or has not looked yet.
    Pending(String),
    /// It took it.
    Accepted,
    /// It will not take it as it stands.
    Rejected(String),
}

/// Kinds whose controllers answer in a status.
fn is_answered(key: &ObjectKey) -> bool {
    matches!(
        (key.gvk.group.as_str(), key.gvk.kind.as_str()),
        ("fed.solo.io", "FailoverScheme")
            | ("gloo.solo.io", "Upstream")
            | ("gateway.solo.io", "Gateway" | "VirtualService")
            | ("apps", "Deployment")
    )
}

/// Whether a Deployment's Pods are there and ready, as many as were asked for and all of the last template.
fn rolled_out(deployment: &Value) -> State {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_u64);
    let wanted = number("/spec/replicas").unwrap_or(1);
    let ready = number("/status/availableReplicas").unwrap_or(0).min(number("/status/updatedReplicas").unwrap_or(0));
    let seen = number("/status/observedGeneration") >= number("/metadata/generation");
    match seen && ready >= wanted {
        true => State::Accepted,
        false => State::Pending(format!("{ready} of {wanted} Pods are ready")),
    }
}

/// What an object's status says: flat (Federation's older form), by namespace (`namespacedStatuses`, `statuses`), as a
/// word or as the number of Gloo's enumeration (0 pending, 1 accepted, 2 rejected, 3 warning).
pub fn state(object: &Value) -> State {
    if object["kind"] == "Deployment" {
        return rolled_out(object);
    }
    let status = object.get("status").unwrap_or(&Value::Null);
    let nested = ["namespacedStatuses", "statuses"].iter().filter_map(|k| status.get(*k)?.as_object());
    let all: Vec<&Value> = nested.flat_map(|m| m.values()).chain([status]).collect();
    let mut said: Vec<State> = all.into_iter().filter_map(one).collect();
    said.sort_by_key(|s| match s {
        State::Rejected(_) => 0,
        State::Accepted => 1,
        State::Pending(_) => 2,
    });
    said.into_iter().next().unwrap_or(State::Pending("nobody has looked at it yet".into()))
}

fn one(status: &Value) -> Option<State> {
    let word = match status.get("state")? {
        Value::Number(n) => ["PENDING", "ACCEPTED", "REJECTED", "WARNING"].get(n.as_u64()? as usize)?.to_string(),
        word => word.as_str()?.to_ascii_uppercase(),
    };
    let why = ["message", "reason"].iter().find_map(|k| status.get(*k)?.as_str().filter(|t| !t.is_empty()));
    let why = why.unwrap_or("no reason given").to_string();
    Some(match word.as_str() {
        "ACCEPTED" | "WARNING" => State::Accepted,
        "REJECTED" | "INVALID" | "FAILED" => State::Rejected(why),
        other => State::Pending(other.to_ascii_lowercase()),
    })
}

/// Waits until every object that is answered is accepted; says on stderr what is not.
pub async fn settle(ctx: &Ctx, clients: &Clients, desired: &[Manifest], deadline: Duration) -> Result<Exit, Failure> {
    let keys: Vec<&ObjectKey> = desired.iter().map(|m| &m.key).filter(|k| is_answered(k)).collect();
    let manifests: Vec<_> = desired.iter().filter(|m| is_answered(&m.key)).cloned().collect();
    let wants = Want::for_manifests(&manifests);
    let rejected_since = std::cell::Cell::new(None::<tokio::time::Instant>);
    let ask = || async {
        let world = observe(clients, &wants).await;
        let mut rejected = Vec::new();
        let mut pending = Vec::new();
        for key in &keys {
            match plan::find(&world, key).map_or(State::Pending("it is not there".into()), state) {
                State::Accepted => {}
                State::Rejected(why) => rejected.push(format!("{key} is rejected: {why}")),
                State::Pending(why) => pending.push(format!("{key} is not accepted yet: {why}")),
            }
        }
        let since = if rejected.is_empty() { None } else { rejected_since.get().or(Some(tokio::time::Instant::now())) };
        rejected_since.set(since);
        match (rejected.is_empty(), pending.is_empty()) {
            // What is rejected for something that is only just coming (an address, a secret) is looked at again.
            (false, _) if since.is_none_or(|s| s.elapsed() < PATIENCE.min(deadline)) => Err(rejected.join("\n")),
            (false, _) => Ok(rejected),
            (true, true) => Ok(Vec::new()),
            (true, false) => Err(pending.join("\n")),
        }
    };
    match until(deadline, &stop_on_ctrl_c(), ask).await {
        Waited::Reached(rejected) if rejected.is_empty() => Ok(Exit::Ok),
        Waited::Reached(rejected) => {
            rejected.iter().for_each(|r| ctx.ui.say(r));
            Ok(Exit::No)
        }
        Waited::TooLate(pending) => {
            ctx.ui.say(pending);
            let hint = "does what answers it run there? `failctl status` shows more; --timeout gives it longer";
            Err(Failure::because(Exit::Unknown, "not everything was accepted in time").hint(hint))
        }
        Waited::Stopped => Err(Failure::because(Exit::Interrupted, "interrupted while waiting; everything is written")),
    }
}
