//! ReplicaSets to Pods: as many as asked for, from the template; and how many are ready.
//! What comes in: everything observed. What goes out: Pods to create and delete, ReplicaSet status.
//! May not know: clients, Deployments.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{condition, controlled_by, deleting, generation, is, name, namespace, number, text, uid};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::ReplicaSet, Kind::Pod];

/// One pass over all ReplicaSets.
pub fn reconcile(seen: &Observed, now: Timestamp) -> Pass {
    let owned = seen.by_controller(Kind::Pod);
    let mut pass = Pass::default();
    for set in seen.all(Kind::ReplicaSet).filter(|s| !deleting(s)) {
        pass.join(one(set, owned.get(uid(set)).map(Vec::as_slice).unwrap_or_default(), now));
    }
    pass
}

fn one(set: &Value, pods: &[&Value], now: Timestamp) -> Pass {
    let alive: Vec<&Value> = pods.iter().copied().filter(|p| active(p)).collect();
    let wanted = usize::try_from(number(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let mut pass = Pass::default();
    pass.writes.extend((alive.len()..wanted).map(|_| Write::Create(pod_of(set))));
    pass.writes.extend(surplus(&alive, wanted).into_iter().map(|p| Write::Delete(Ref::to(Kind::Pod, p))));
    let (status, wake) = status(set, &alive, now);
    pass.writes.extend(status);
    pass.wake = wake;
    pass
}

/// Whether a Pod counts: not on its way out, not finished.
pub fn active(pod: &Value) -> bool {
    !deleting(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// The Pods to delete: first those on no node, then those not ready, then the youngest.
fn surplus<'a>(alive: &[&'a Value], wanted: usize) -> Vec<&'a Value> {
    let mut order = alive.to_vec();
    order.sort_by_key(|p| {
        let worth = (!text(p, "/spec/nodeName").is_empty(), is(p, "Ready"));
        (worth, Reverse(text(p, "/metadata/creationTimestamp").to_string()), name(p).to_string())
    });
    order.truncate(alive.len().saturating_sub(wanted));
    order
}

/// A new Pod; the server completes its name.
fn pod_of(set: &Value) -> Value {
    let template = &set["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{}-", name(set)), "namespace": namespace(set),
        "ownerReferences": [controlled_by(set)],
    });
    for part in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template["metadata"].get(part).filter(|v| !v.is_null()) {
            metadata[part] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// The counts, when they differ from what is stored; and when a Pod will have been ready for long enough.
fn status(set: &Value, alive: &[&Value], now: Timestamp) -> (Option<Write>, Option<Timestamp>) {
    let minimum = SignedDuration::from_secs(number(set, "/spec/minReadySeconds").unwrap_or(0));
    let ready: Vec<&&Value> = alive.iter().filter(|p| is(p, "Ready")).collect();
    let due: Vec<Timestamp> = ready.iter().map(|p| ready_since(p).unwrap_or(now) + minimum).collect();
    let available = due.iter().filter(|at| minimum.is_zero() || **at <= now).count();
    let wanted = json!({
        "replicas": alive.len(), "fullyLabeledReplicas": alive.len(), "readyReplicas": ready.len(),
        "availableReplicas": available, "observedGeneration": generation(set),
    });
    let wake = due.into_iter().filter(|at| !minimum.is_zero() && *at > now).min();
    (status_write(Kind::ReplicaSet, set, &wanted), wake)
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    text(condition(pod, "Ready")?, "/lastTransitionTime").parse().ok()
}

/// The status write that turns the stored status into `wanted`, if they differ. A missing number equals 0.
pub fn status_write(kind: Kind, object: &Value, wanted: &Value) -> Option<Write> {
    let stored = &object["status"];
    let same = |(key, value): (&String, &Value)| match value.as_i64() {
        Some(0) => stored.get(key).is_none_or(|v| v.is_null() || v == 0),
        _ => stored.get(key) == Some(value),
    };
    let fields = wanted.as_object()?;
    if fields.iter().all(same) {
        return None;
    }
    let patch = json!({"status": wanted});
    Some(Write::Merge { of: Ref::to(kind, object), subresource: Some("status"), patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    fn set(replicas: i64, more: Value) -> Value {
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "echo-1", "namespace": "default", "uid": "rs", "generation": 3},
            "spec": {"replicas": replicas, "template": {
                "metadata": {"labels": {"app": "echo"}, "creationTimestamp": null},
                "spec": {"containers": [{"name": "c", "image": "hashicorp/http-echo"}]}}},
        });
        json_patch::merge(&mut set, &more);
        set
    }

    fn pod(name: &str, created: &str, ready: bool, node: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": name, "creationTimestamp": created,
                "ownerReferences": [{"kind": "ReplicaSet", "uid": "rs", "controller": true}]},
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "conditions": [
                {"type": "Ready", "status": if ready { "True" } else { "False" }, "lastTransitionTime": created}]},
        })
    }

    fn run(objects: Vec<Value>) -> Pass {
        reconcile(&Observed::of(objects), NOW.parse().unwrap())
    }

    #[test]
    fn a_new_set_creates_its_pods_from_the_template_and_reports_zero() {
        let pass = run(vec![set(2, json!({}))]);
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": "echo-1-", "namespace": "default",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "echo-1", "uid": "rs",
                    "controller": true, "blockOwnerDeletion": true}],
                "labels": {"app": "echo"}},
            "spec": {"containers": [{"name": "c", "image": "hashicorp/http-echo"}]},
        });
        assert_eq!(pass.writes[..2], [Write::Create(expected.clone()), Write::Create(expected)]);
        let Write::Merge { patch, subresource: Some("status"), .. } = &pass.writes[2] else { panic!("{pass:?}") };
        assert_eq!(patch["status"]["replicas"], 0);
    }

    #[test]
    fn scaling_down_takes_the_unready_first_and_then_the_youngest() {
        let pods = [
            pod("old", "2026-01-01T00:00:00Z", true, "n"),
            pod("young", "2026-01-02T00:00:00Z", true, "n"),
            pod("unready", "2025-01-01T00:00:00Z", false, "n"),
        ];
        let pass = run([vec![set(1, json!({}))], pods.to_vec()].concat());
        let gone: Vec<&str> = pass
            .writes
            .iter()
            .filter_map(|w| if let Write::Delete(of) = w { Some(of.name.as_str()) } else { None })
            .collect();
        assert_eq!(gone, ["unready", "young"]);
    }

    #[test]
    fn a_settled_set_writes_nothing() {
        let status = json!({"status": {"replicas": 1, "fullyLabeledReplicas": 1, "readyReplicas": 1,
            "availableReplicas": 1, "observedGeneration": 3}});
        let pass = run(vec![set(1, status), pod("a", "2026-01-01T00:00:00Z", true, "n")]);
        assert_eq!(pass, Pass::default());
    }

    #[test]
    fn a_pod_is_available_only_after_the_minimum_and_the_set_asks_to_be_woken_then() {
        let young = pod("a", "2026-01-02T03:04:00Z", true, "n");
        let pass = run(vec![set(1, json!({"spec": {"minReadySeconds": 30}})), young]);
        assert_eq!(pass.wake, Some("2026-01-02T03:04:30Z".parse().unwrap()));
        let Write::Merge { patch, .. } = &pass.writes[0] else { panic!("{pass:?}") };
        assert_eq!((&patch["status"]["readyReplicas"], &patch["status"]["availableReplicas"]), (&json!(1), &json!(0)));
    }

    #[test]
    fn a_pod_on_its_way_out_is_replaced_at_once() {
        let mut leaving = pod("a", "2026-01-01T00:00:00Z", true, "n");
        leaving["metadata"]["deletionTimestamp"] = json!(NOW);
        let pass = run(vec![set(1, json!({})), leaving]);
        assert!(matches!(&pass.writes[0], Write::Create(_)), "{pass:?}");
    }
}
