//! How far a Deployment's rollout is: its counts and conditions, as `kubectl rollout status` reads them.
//! What comes in: a Deployment and its ReplicaSets. What goes out: the status write, and when to look again.
//! May not know: clients, Pods.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::deployment::replicas;
use super::kind::Kind;
use super::object::{condition, generation, name, number, text};
use super::replicaset::status_write;
use super::runner::Pass;

/// What a Deployment asks for, in numbers of Pods.
pub struct Counts {
    /// Wanted Pods.
    pub replicas: i64,
    /// How many more may exist during a rollout. 25 %, rounded up, unless written.
    pub surge: i64,
    /// How many may be missing during a rollout. 25 %, rounded down, unless written; 1 when both come to 0.
    pub unavailable: i64,
}

impl Counts {
    /// Reads them from a Deployment.
    pub fn of(deployment: &Value) -> Self {
        let replicas = replicas(deployment);
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            return Counts { replicas, surge: 0, unavailable: replicas };
        }
        let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
        let surge = part(&rolling["maxSurge"], replicas, true);
        let unavailable = part(&rolling["maxUnavailable"], replicas, false);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        Counts { replicas, surge, unavailable: unavailable.min(replicas) }
    }
}

/// A number or a percentage of `whole`; 25 % when nothing is written.
fn part(value: &Value, whole: i64, up: bool) -> i64 {
    let percent = match value {
        Value::Number(n) => return n.as_i64().unwrap_or(0).max(0),
        Value::String(text) => text.trim_end_matches('%').parse().unwrap_or(25),
        _ => 25,
    };
    let hundredths: i64 = whole * percent;
    if up { (hundredths + 99) / 100 } else { hundredths / 100 }
}

/// The status of a Deployment.
pub fn status(deployment: &Value, current: Option<&Value>, sets: &[&Value], now: Timestamp) -> Pass {
    let count = |set: &Value, field: &str| number(set, &format!("/status/{field}")).unwrap_or(0);
    let sum = |field: &str| sets.iter().map(|s| count(s, field)).sum::<i64>();
    let counts = Counts::of(deployment);
    let asked: i64 = sets.iter().map(|s| replicas(s)).sum();
    let available = sum("availableReplicas");
    let mut wanted = json!({
        "observedGeneration": generation(deployment), "replicas": sum("replicas"),
        "updatedReplicas": current.map_or(0, |c| count(c, "replicas")), "readyReplicas": sum("readyReplicas"),
        "availableReplicas": available, "unavailableReplicas": (asked - available).max(0),
    });
    let (progressing, wake) = progressing(deployment, current, &wanted, now);
    wanted["conditions"] = json!([availability(deployment, &counts, available, now), progressing]);
    Pass { writes: status_write(Kind::Deployment, deployment, &wanted).into_iter().collect(), wake }
}

fn availability(deployment: &Value, counts: &Counts, available: i64, now: Timestamp) -> Value {
    let enough = available >= counts.replicas - counts.unavailable;
    let (status, reason, message) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    told(deployment, "Available", status, reason, message, false, now)
}

/// Complete, under way, or for too long without progress.
fn progressing(deployment: &Value, set: Option<&Value>, wanted: &Value, now: Timestamp) -> (Value, Option<Timestamp>) {
    let replicas = replicas(deployment);
    let whose =
        set.map_or_else(|| format!("Deployment {:?}", name(deployment)), |s| format!("ReplicaSet {:?}", name(s)));
    let complete = ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|f| wanted[*f] == replicas);
    let stored = condition(deployment, "Progressing");
    let same_rollout = stored.is_some_and(|c| text(c, "/message").starts_with(&whose));
    let said = stored.map_or("", |c| text(c, "/reason"));
    if complete || (same_rollout && said == "NewReplicaSetAvailable") {
        let message = format!("{whose} has successfully progressed.");
        return (told(deployment, "Progressing", "True", "NewReplicaSetAvailable", &message, false, now), None);
    }
    let grew = ["updatedReplicas", "readyReplicas", "availableReplicas"]
        .iter()
        .any(|f| wanted[*f].as_i64() > Some(number(deployment, &format!("/status/{f}")).unwrap_or(0)));
    let progress = grew || !same_rollout;
    let patience = SignedDuration::from_secs(number(deployment, "/spec/progressDeadlineSeconds").unwrap_or(600));
    let since = stored.and_then(|c| text(c, "/lastUpdateTime").parse::<Timestamp>().ok()).filter(|_| !progress);
    let deadline = since.unwrap_or(now) + patience;
    if deadline <= now || (said == "ProgressDeadlineExceeded" && !progress) {
        let message = format!("{whose} has timed out progressing.");
        return (told(deployment, "Progressing", "False", "ProgressDeadlineExceeded", &message, false, now), None);
    }
    let message = format!("{whose} is progressing.");
    (told(deployment, "Progressing", "True", "ReplicaSetUpdated", &message, progress, now), Some(deadline))
}

/// A condition; its times change only with its contents, or when `news` says there was progress.
fn told(object: &Value, kind: &str, status: &str, reason: &str, message: &str, news: bool, now: Timestamp) -> Value {
    let stored = condition(object, kind);
    let field = |name: &str| stored.map_or("", |c| c[name].as_str().unwrap_or_default());
    let now = format!("{now:.0}");
    let same = field("status") == status && field("reason") == reason && field("message") == message && !news;
    let keep = |name: &str, keep: bool| match field(name) {
        time if keep && !time.is_empty() => time.to_string(),
        _ => now.clone(),
    };
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastUpdateTime": keep("lastUpdateTime", same),
        "lastTransitionTime": keep("lastTransitionTime", field("status") == status),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(status: Value) -> Value {
        json!({"metadata": {"name": "echo", "generation": 2}, "spec": {"replicas": 2}, "status": status})
    }

    fn set(replicas: i64, available: i64) -> Value {
        json!({"metadata": {"name": "echo-x"}, "spec": {"replicas": replicas},
               "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}})
    }

    fn written(deployment: &Value, set: &Value, now: &str) -> (Value, Option<Timestamp>) {
        let pass = status(deployment, Some(set), &[set], now.parse().unwrap());
        let patch = pass.writes.first().map(|w| match w {
            super::super::write::Write::Merge { patch, .. } => patch["status"].clone(),
            other => panic!("{other:?}"),
        });
        (patch.unwrap_or_default(), pass.wake)
    }

    #[test]
    fn percentages_round_surge_up_and_absence_down() {
        let counts = |spec: Value| {
            let c = Counts::of(&json!({"spec": spec}));
            (c.replicas, c.surge, c.unavailable)
        };
        assert_eq!(counts(json!({})), (1, 1, 0));
        assert_eq!(counts(json!({"replicas": 10})), (10, 3, 2));
        let none = json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}});
        assert_eq!(counts(json!({"replicas": 4, "strategy": none})), (4, 0, 1));
    }

    #[test]
    fn a_rollout_goes_from_progressing_to_complete_and_then_nothing_is_written() {
        let (first, wake) = written(&deployment(json!({})), &set(2, 0), "2026-01-01T00:00:00Z");
        assert_eq!(first["conditions"][1]["reason"], "ReplicaSetUpdated");
        assert_eq!(first["conditions"][0]["status"], "False");
        assert_eq!(wake, Some("2026-01-01T00:10:00Z".parse().unwrap()));
        let (second, wake) = written(&deployment(first), &set(2, 2), "2026-01-01T00:00:05Z");
        assert_eq!(second["conditions"][1]["reason"], "NewReplicaSetAvailable");
        assert_eq!(second["conditions"][1]["lastTransitionTime"], "2026-01-01T00:00:00Z");
        assert_eq!(second["observedGeneration"], 2);
        assert_eq!(wake, None);
        assert_eq!(written(&deployment(second), &set(2, 2), "2026-01-01T00:00:09Z").0, Value::Null);
    }

    #[test]
    fn without_progress_the_deadline_is_reported() {
        let (first, _) = written(&deployment(json!({})), &set(2, 0), "2026-01-01T00:00:00Z");
        let (late, _) = written(&deployment(first), &set(2, 0), "2026-01-01T00:10:00Z");
        assert_eq!(late["conditions"][1]["reason"], "ProgressDeadlineExceeded");
        assert_eq!(late["conditions"][1]["status"], "False");
    }

    #[test]
    fn losing_a_pod_after_a_finished_rollout_is_no_new_rollout() {
        let (done, _) = written(&deployment(json!({})), &set(2, 2), "2026-01-01T00:00:00Z");
        let (lost, wake) = written(&deployment(done), &set(2, 1), "2026-01-01T01:00:00Z");
        assert_eq!(lost["conditions"][1]["reason"], "NewReplicaSetAvailable");
        assert_eq!((lost["unavailableReplicas"].as_i64(), wake), (Some(1), None));
    }
}
