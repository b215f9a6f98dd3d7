//! What a fault comes to on a cluster, and how it is put back, as values: computed from what was observed.
//! May not know: clients.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One thing done to a cluster, with what is needed to put it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Deed {
    /// Replicas of a workload.
    Scale {
        /// Deployment or StatefulSet.
        kind: String,
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// Replicas before.
        from: i64,
        /// Replicas during the drill.
        to: i64,
    },
    /// Commands of a Deployment's containers.
    Command {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
        /// The containers that get the command, as they were.
        containers: Vec<Container>,
        /// The command during the drill.
        to: Vec<String>,
    },
    /// The health check of an Envoy in Pods.
    HealthCheck {
        /// Namespace.
        namespace: String,
        /// The Deployment, for messages.
        name: String,
        /// The Pods.
        pods: Vec<String>,
        /// The admin port.
        port: u16,
    },
    /// A signal to a process of containers.
    Signal {
        /// Namespace.
        namespace: String,
        /// The Deployment, for messages.
        name: String,
        /// The Pods.
        pods: Vec<String>,
        /// The container; none: the first.
        container: Option<String>,
        /// The process's name.
        process: String,
        /// Whether it is only stopped, and told to go on afterwards; else it is killed.
        pause: bool,
    },
    /// A Service that selects nothing any more.
    Deselect {
        /// Namespace.
        namespace: String,
        /// The Service.
        name: String,
    },
    /// The user's own commands.
    Switch {
        /// Cuts the cluster off.
        off: Vec<String>,
        /// Brings it back.
        on: Vec<String>,
    },
}

/// The label a Service selects while it is to have no Pods.
const DESELECT: &str = "failctl.dev/drill";

/// What a container ran before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its command, if it had one.
    pub command: Option<Value>,
    /// Its arguments, if it had some.
    pub args: Option<Value>,
}

impl std::fmt::Display for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Deed::Scale { kind, namespace, name, from, to } => {
                write!(f, "scale {} {namespace}/{name} from {from} to {to}", kind.to_lowercase())
            }
            Deed::Command { namespace, name, containers, to } => {
                let names: Vec<_> = containers.iter().map(|c| c.name.as_str()).collect();
                write!(f, "run `{}` in {} of deployment {namespace}/{name}", to.join(" "), names.join(", "))
            }
            Deed::HealthCheck { namespace, name, pods, port } => {
                write!(f, "POST /healthcheck/fail to port {port} of {} pod(s) of {namespace}/{name}", pods.len())
            }
            Deed::Signal { namespace, name, pods, process, pause, .. } => {
                let signal = if *pause { "STOP" } else { "KILL" };
                write!(f, "`pkill -{signal} -x {process}` in {} pod(s) of {namespace}/{name}", pods.len())
            }
            Deed::Deselect { namespace, name } => {
                write!(f, "have Service {namespace}/{name} select {DESELECT}, which no Pod has")
            }
            Deed::Switch { off, .. } => write!(f, "run `{}`", off.join(" ")),
        }
    }
}

/// What to write now.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// It already is as it should be.
    Nothing,
    /// Somebody else changed it meanwhile; it is left alone, and why.
    Leave(String),
    /// This merge patch, to the object or a subresource.
    Merge {
        /// The patch.
        patch: Value,
        /// `scale`, if not the object itself.
        subresource: Option<String>,
    },
}

/// Replicas of a workload; Kubernetes' default is 1.
pub fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

/// What scaling to zero means for an observed workload.
pub fn scale(kind: &str, object: &Value) -> Deed {
    let text = |p: &str| object.pointer(p).and_then(Value::as_str).unwrap_or_default().to_string();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    Deed::Scale { kind: kind.to_string(), namespace, name, from: replicas(object), to: 0 }
}

/// What another command means for an observed Deployment; `only` one container, or all.
pub fn command(object: &Value, only: Option<&str>, to: &[String]) -> Result<Deed, String> {
    let text = |p: &str| object.pointer(p).and_then(Value::as_str).unwrap_or_default().to_string();
    let all = containers(object);
    let chosen: Vec<_> = all.iter().filter(|c| only.is_none_or(|o| c["name"] == o)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = all.iter().filter_map(|c| c["name"].as_str()).collect();
        return Err(format!("it has no container {}; it has: {}", only.unwrap_or_default(), names.join(", ")));
    }
    let before = |c: &Value| Container {
        name: c["name"].as_str().unwrap_or_default().to_string(),
        command: c.get("command").cloned(),
        args: c.get("args").cloned(),
    };
    Ok(Deed::Command {
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name"),
        containers: chosen.into_iter().map(before).collect(),
        to: to.to_vec(),
    })
}

fn containers(object: &Value) -> Vec<Value> {
    object.pointer("/spec/template/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What must be written to do (`undo` false) or put back a deed, given the object as it is now.
pub fn next(deed: &Deed, now: &Value, undo: bool) -> Next {
    match deed {
        Deed::Scale { from, to, .. } => next_scale(*from, *to, now, undo),
        Deed::Command { containers, to, .. } => next_command(containers, to, now, undo),
        Deed::Deselect { .. } => next_selector(now, undo),
        Deed::HealthCheck { .. } | Deed::Signal { .. } | Deed::Switch { .. } => Next::Nothing,
    }
}

fn next_scale(from: i64, to: i64, now: &Value, undo: bool) -> Next {
    let (have, want) = (replicas(now), if undo { from } else { to });
    if have == want {
        return Next::Nothing;
    }
    if undo && have != to {
        return Next::Leave(format!("it has {have} replicas, neither {to} (the drill's) nor {from} (as before)"));
    }
    Next::Merge { patch: json!({"spec": {"replicas": want}}), subresource: Some("scale".into()) }
}

fn next_command(before: &[Container], to: &[String], now: &Value, undo: bool) -> Next {
    let mut all = containers(now);
    let mut changed = false;
    for container in &mut all {
        let Some(old) = before.iter().find(|b| container["name"] == b.name.as_str()) else { continue };
        let sleeping = container.get("command") == Some(&json!(to));
        match undo {
            false if !sleeping => {
                container["command"] = json!(to);
                remove(container, "args");
            }
            true if sleeping => {
                set(container, "command", old.command.as_ref());
                set(container, "args", old.args.as_ref());
            }
            _ => continue,
        }
        changed = true;
    }
    if !changed {
        return Next::Nothing;
    }
    // A list is replaced as a whole by a merge patch; the version makes sure that it is the one that was read.
    let version = now.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
    let patch = json!({
        "metadata": {"resourceVersion": version},
        "spec": {"template": {"spec": {"containers": all}}},
    });
    Next::Merge { patch, subresource: None }
}

/// Whether what a deed wrote has become of the Pods, by what the cluster's controllers say of the object now; if not, what
/// is still as it was. A Deployment rolls out one Pod after the other, and until then those of before answer.
pub fn holds(deed: &Deed, now: &Value) -> Result<(), String> {
    let number = |path: &str| now.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let to = match deed {
        Deed::Scale { to, .. } => *to,
        Deed::Command { .. } => replicas(now),
        _ => return Ok(()),
    };
    if now.pointer("/status/observedGeneration").is_none() {
        // No controller has ever looked at it, so none will say more.
        return Ok(());
    }
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Err("its controller has not seen the change".into());
    }
    let all = number("/status/replicas");
    match deed {
        Deed::Scale { .. } if all > to => Err(format!("{all} of its Pods are left")),
        Deed::Command { .. } if number("/status/updatedReplicas") < to => {
            Err(format!("{} of {to} Pods run the command", number("/status/updatedReplicas")))
        }
        Deed::Command { .. } if all > to => Err(format!("{} more run what they ran before", all - to)),
        _ => Ok(()),
    }
}

/// One more label in the selector; the others stay as they are, and as somebody may change them meanwhile.
fn next_selector(now: &Value, undo: bool) -> Next {
    let selects = now["spec"]["selector"].get(DESELECT).is_some();
    if selects != undo {
        return Next::Nothing;
    }
    let label = if undo { Value::Null } else { json!("unselected") };
    Next::Merge { patch: json!({"spec": {"selector": {DESELECT: label}}}), subresource: None }
}

fn set(container: &mut Value, field: &str, value: Option<&Value>) {
    match value {
        Some(value) => container[field] = value.clone(),
        None => remove(container, field),
    }
}

fn remove(container: &mut Value, field: &str) {
    if let Some(fields) = container.as_object_mut() {
        fields.shift_remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: i64) -> Value {
        json!({
            "metadata": {"namespace": "default", "name": "echo-blue", "resourceVersion": "7"},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [
                {"name": "echo", "args": ["-text=blue"]},
                {"name": "envoy", "command": ["envoy"], "args": ["-c", "x"]},
            ]}}},
        })
    }

    fn patched(mut object: Value, next: Next) -> Value {
        let Next::Merge { patch, .. } = next else { panic!("{next:?}") };
        json_patch::merge(&mut object, &patch);
        object
    }

    #[test]
    fn doing_and_undoing_leaves_a_deployment_as_it_was() {
        let before = deployment(3);
        let sleep = ["sleep".to_string(), "20h".to_string()];
        for deed in [scale("Deployment", &before), command(&before, None, &sleep).unwrap()] {
            let broken = patched(before.clone(), next(&deed, &before, false));
            assert_ne!(broken, before);
            assert_eq!(next(&deed, &broken, false), Next::Nothing, "doing twice is doing once");
            assert_eq!(patched(broken.clone(), next(&deed, &broken, true)), before);
            assert_eq!(next(&deed, &before, true), Next::Nothing, "undoing twice is undoing once");
        }
    }

    #[test]
    fn a_service_selects_nothing_and_then_what_it_did_before() {
        let before = json!({"spec": {"selector": {"app": "echo"}}});
        let deed = Deed::Deselect { namespace: "default".into(), name: "echo".into() };
        let broken = patched(before.clone(), next(&deed, &before, false));
        assert_eq!(broken["spec"]["selector"], json!({"app": "echo", "failctl.dev/drill": "unselected"}));
        assert_eq!(next(&deed, &broken, false), Next::Nothing);
        assert_eq!(patched(broken.clone(), next(&deed, &broken, true)), before);
        assert_eq!(next(&deed, &before, true), Next::Nothing);
    }

    #[test]
    fn only_the_named_container_sleeps() {
        let before = deployment(1);
        let deed = command(&before, Some("echo"), &["sleep".to_string()]).unwrap();
        let broken = patched(before.clone(), next(&deed, &before, false));
        let containers = broken.pointer("/spec/template/spec/containers").unwrap();
        assert_eq!(containers[0], json!({"name": "echo", "command": ["sleep"]}));
        assert_eq!(containers[1], before.pointer("/spec/template/spec/containers/1").unwrap().clone());
        let missing = command(&before, Some("web"), &[]).unwrap_err();
        assert_eq!(missing, "it has no container web; it has: echo, envoy");
    }

    #[test]
    fn a_deed_holds_once_no_pod_of_before_is_left() {
        let with = |generation: i64, status: Value| {
            let mut object = deployment(2);
            object["metadata"]["generation"] = json!(generation);
            object["status"] = status;
            object
        };
        let sleep = command(&deployment(2), None, &["sleep".to_string()]).unwrap();
        let status = |all: i64, new: i64| json!({"observedGeneration": 3, "replicas": all, "updatedReplicas": new});
        assert_eq!(holds(&sleep, &with(4, status(2, 2))).unwrap_err(), "its controller has not seen the change");
        assert_eq!(holds(&sleep, &with(3, status(3, 1))).unwrap_err(), "1 of 2 Pods run the command");
        assert_eq!(holds(&sleep, &with(3, status(3, 2))).unwrap_err(), "1 more run what they ran before");
        assert_eq!(holds(&sleep, &with(3, status(2, 2))), Ok(()));
        let gone = scale("Deployment", &deployment(2));
        assert_eq!(holds(&gone, &with(3, status(2, 2))).unwrap_err(), "2 of its Pods are left");
        assert_eq!(holds(&gone, &with(3, json!({"observedGeneration": 3}))), Ok(()));
        assert_eq!(holds(&gone, &with(3, Value::Null)), Ok(()), "nobody tells");
        let switch = Deed::Switch { off: Vec::new(), on: Vec::new() };
        assert_eq!(holds(&switch, &Value::Null), Ok(()), "nothing is said of it");
    }

    #[test]
    fn what_somebody_changed_meanwhile_is_left_alone() {
        let deed = scale("Deployment", &deployment(3));
        assert!(matches!(next(&deed, &deployment(5), true), Next::Leave(_)));
    }
}
