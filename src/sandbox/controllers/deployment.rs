//! Deployments to ReplicaSets: scale, replace on a new template, revisions, status.
//! What comes in: everything observed. What goes out: ReplicaSets to create, scale and delete; Deployment status.
//! May not know: clients, Pods.
//!
//! Left out: proportional scaling in the middle of a rollout, and adopting ReplicaSets that nobody owns.

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::kind::Kind;
use super::object::{annotation, compact, controlled_by, deleting, name, namespace, number, text, uid};
use super::observed::Observed;
use super::rollout::{self, Counts};
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Deployment, Kind::ReplicaSet];

/// Annotation with a rollout's number, read by `kubectl rollout history` and `undo`.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation of a user's own words about a rollout.
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// Label that tells the Pods of one template from those of another.
const HASH: &str = "pod-template-hash";

/// One pass over all Deployments.
pub fn reconcile(seen: &Observed, now: Timestamp) -> Pass {
    let owned = seen.by_controller(Kind::ReplicaSet);
    let mut pass = Pass::default();
    for deployment in seen.all(Kind::Deployment).filter(|d| !deleting(d)) {
        let sets = owned.get(uid(deployment)).map(Vec::as_slice).unwrap_or_default();
        pass.join(one(deployment, sets, now));
    }
    pass
}

fn one(deployment: &Value, sets: &[&Value], now: Timestamp) -> Pass {
    let sets: Vec<&Value> = sets.iter().copied().filter(|s| !deleting(s)).collect();
    let wanted = template_of(&deployment["spec"]["template"]);
    let current = sets.iter().copied().find(|s| template_of(&s["spec"]["template"]) == wanted);
    let old: Vec<&Value> = sets.iter().copied().filter(|s| current.is_none_or(|c| uid(c) != uid(s))).collect();
    let paused = deployment["spec"]["paused"] == true;
    let mut pass = Pass::default();
    match current {
        None if !paused => pass.writes.push(Write::Create(new_set(deployment, &old, &sets))),
        None => {}
        Some(current) => {
            pass.writes.extend(revision(deployment, current, &old));
            pass.writes.extend(patience(deployment, current));
            pass.writes.extend(match paused {
                true => Vec::new(),
                false => scale(deployment, current, &old),
            });
            pass.writes.extend(history(deployment, &old));
        }
    }
    pass.join(rollout::status(deployment, current, &sets, now));
    pass
}

/// A template without what differs between a Deployment and its ReplicaSet.
fn template_of(template: &Value) -> Value {
    let mut template = compact(template);
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.shift_remove(HASH);
    }
    template
}

/// The hash of a template, in letters and digits that spell no words.
fn hash(template: &Value) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(sorted(template).to_string());
    digest.iter().take(10).map(|b| ALPHABET[usize::from(*b) % ALPHABET.len()] as char).collect()
}

/// The same value with keys in order, so that equal templates have equal bytes.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<_, _> = map.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn new_set(deployment: &Value, old: &[&Value], sets: &[&Value]) -> Value {
    let template = template_of(&deployment["spec"]["template"]);
    let hash = hash(&template);
    let mut labelled = template.clone();
    labelled["metadata"]["labels"][HASH] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(hash);
    let counts = Counts::of(deployment);
    let running: i64 = sets.iter().map(|s| replicas(s)).sum();
    // With Recreate the new Pods wait until the old ones are gone.
    let room = if recreate(deployment) && running > 0 { 0 } else { counts.replicas + counts.surge - running };
    let mut annotations = json!({REVISION: (last_revision(old) + 1).to_string()});
    if let Some(cause) = annotation(deployment, CHANGE_CAUSE) {
        annotations[CHANGE_CAUSE] = json!(cause);
    }
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
            "labels": labelled["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [controlled_by(deployment)],
        },
        "spec": {
            "replicas": room.clamp(0, counts.replicas), "selector": selector, "template": labelled,
            "minReadySeconds": min_ready_seconds(deployment),
        },
    })
}

fn min_ready_seconds(object: &Value) -> i64 {
    number(object, "/spec/minReadySeconds").unwrap_or(0)
}

/// No part of the template: one that is current, or current again, gets it as it is now.
fn patience(deployment: &Value, current: &Value) -> Option<Write> {
    let seconds = min_ready_seconds(deployment);
    let patch = json!({"spec": {"minReadySeconds": seconds}});
    (min_ready_seconds(current) != seconds).then(|| merge(Kind::ReplicaSet, current, patch))
}

/// `spec.replicas`; 1 when it is not written.
pub fn replicas(object: &Value) -> i64 {
    number(object, "/spec/replicas").unwrap_or(1)
}

fn recreate(deployment: &Value) -> bool {
    text(deployment, "/spec/strategy/type") == "Recreate"
}

fn revision_of(set: &Value) -> i64 {
    annotation(set, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
}

fn last_revision(sets: &[&Value]) -> i64 {
    sets.iter().map(|s| revision_of(s)).max().unwrap_or(0)
}

/// A template that is current again gets the next number; the Deployment carries the number of its ReplicaSet.
fn revision(deployment: &Value, current: &Value, old: &[&Value]) -> Vec<Write> {
    let number = revision_of(current).max(last_revision(old) + 1).to_string();
    [(Kind::ReplicaSet, current), (Kind::Deployment, deployment)]
        .into_iter()
        .filter(|(_, o)| annotation(o, REVISION) != Some(&number))
        .map(|(kind, o)| merge(kind, o, json!({"metadata": {"annotations": {REVISION: number}}})))
        .collect()
}

fn merge(kind: Kind, object: &Value, patch: Value) -> Write {
    Write::Merge { of: Ref::to(kind, object), subresource: None, patch }
}

fn scaled(set: &Value, to: i64) -> Option<Write> {
    (replicas(set) != to).then(|| merge(Kind::ReplicaSet, set, json!({"spec": {"replicas": to}})))
}

/// The next step from the old ReplicaSets to the current one, never above the surge, never below the minimum.
fn scale(deployment: &Value, current: &Value, old: &[&Value]) -> Vec<Write> {
    let counts = Counts::of(deployment);
    let running: i64 = old.iter().map(|s| replicas(s)).sum();
    let have = replicas(current);
    if have > counts.replicas {
        return scaled(current, counts.replicas).into_iter().collect();
    }
    if recreate(deployment) {
        let gone = old.iter().all(|s| replicas(s) == 0 && number(s, "/status/replicas").unwrap_or(0) == 0);
        let down = old.iter().filter_map(|s| scaled(s, 0));
        return if gone { scaled(current, counts.replicas).into_iter().collect() } else { down.collect() };
    }
    let room = (counts.replicas + counts.surge - running - have).max(0);
    let grown = (have + room).min(counts.replicas);
    if grown > have {
        return scaled(current, grown).into_iter().collect();
    }
    shrink(&counts, current, old)
}

/// Old Pods that are not available go first; then as many as the available ones allow.
fn shrink(counts: &Counts, current: &Value, old: &[&Value]) -> Vec<Write> {
    let minimum = counts.replicas - counts.unavailable;
    let available = |s: &Value| number(s, "/status/availableReplicas").unwrap_or(0);
    let waiting = (replicas(current) - available(current)).max(0);
    let total: i64 = replicas(current) + old.iter().map(|s| replicas(s)).sum::<i64>();
    let mut allowed = (total - minimum - waiting).max(0);
    let mut sets: Vec<(&Value, i64)> = old.iter().map(|s| (*s, replicas(s))).collect();
    sets.sort_by_key(|(s, _)| text(s, "/metadata/creationTimestamp").to_string());
    for (set, left) in &mut sets {
        let dead = (*left - available(set)).clamp(0, allowed);
        *left -= dead;
        allowed -= dead;
    }
    let serving: i64 = available(current) + sets.iter().map(|(s, left)| available(s).min(*left)).sum::<i64>();
    let mut spare = (serving - minimum).max(0);
    for (_, left) in &mut sets {
        let taken = (*left).min(spare);
        *left -= taken;
        spare -= taken;
    }
    sets.into_iter().filter_map(|(set, left)| scaled(set, left)).collect()
}

/// Old, empty ReplicaSets beyond `revisionHistoryLimit` (10 unless written) are deleted, the oldest first.
fn history(deployment: &Value, old: &[&Value]) -> Vec<Write> {
    let limit = usize::try_from(number(deployment, "/spec/revisionHistoryLimit").unwrap_or(10)).unwrap_or(10);
    let empty = |s: &&&Value| replicas(s) == 0 && number(s, "/status/replicas").unwrap_or(0) == 0;
    let mut empty: Vec<&Value> = old.iter().filter(empty).copied().collect();
    empty.sort_by_key(|s| revision_of(s));
    empty.truncate(empty.len().saturating_sub(limit));
    empty.into_iter().map(|s| Write::Delete(Ref::to(Kind::ReplicaSet, s))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(image: &str, replicas: i64) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "echo", "namespace": "default", "uid": "d", "generation": 1},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "echo"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "template": {"metadata": {"labels": {"app": "echo"}, "creationTimestamp": null},
                    "spec": {"containers": [{"name": "c", "image": image}]}}},
        })
    }

    /// The ReplicaSet that this controller makes for a Deployment, as a server stores it.
    fn set(of: &Value, revision: i64, replicas: i64, available: i64) -> Value {
        let mut set = new_set(of, &[], &[]);
        set["metadata"]["uid"] = json!(format!("rs{revision}"));
        set["metadata"]["annotations"][REVISION] = json!(revision.to_string());
        set["metadata"]["creationTimestamp"] = json!(format!("2026-01-01T00:00:0{revision}Z"));
        set["spec"]["replicas"] = json!(replicas);
        set["status"] = json!({"replicas": replicas, "readyReplicas": available, "availableReplicas": available});
        set
    }

    fn steps(deployment: Value, sets: Vec<Value>) -> Vec<(String, i64)> {
        let seen = Observed::of(std::iter::once(deployment).chain(sets));
        let pass = reconcile(&seen, "2026-01-02T03:04:05Z".parse().unwrap());
        let scale = |w: Write| match w {
            Write::Merge { of, patch, .. } if of.kind == Kind::ReplicaSet => {
                patch.pointer("/spec/replicas").and_then(Value::as_i64).map(|n| (of.uid, n))
            }
            Write::Create(body) => Some(("new".into(), body["spec"]["replicas"].as_i64().unwrap())),
            _ => None,
        };
        pass.writes.into_iter().filter_map(scale).collect()
    }

    #[test]
    fn a_new_deployment_gets_one_set_with_hash_revision_and_owner() {
        let deployment = deployment("a", 2);
        let set = new_set(&deployment, &[], &[]);
        let hash = set["metadata"]["labels"][HASH].as_str().unwrap();
        assert_eq!(name(&set), format!("echo-{hash}"));
        assert_eq!(set["spec"]["selector"]["matchLabels"], json!({"app": "echo", HASH: hash}));
        assert_eq!(set["spec"]["template"]["metadata"]["labels"], json!({"app": "echo", HASH: hash}));
        assert_eq!(annotation(&set, REVISION), Some("1"));
        assert_eq!(set["metadata"]["ownerReferences"][0]["uid"], "d");
        assert_eq!(steps(deployment, vec![]), [("new".to_string(), 2)]);
    }

    #[test]
    fn a_deployment_without_replicas_settles_though_servers_leave_zeros_out() {
        let mut settled = deployment("a", 0);
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let mut set = set(&settled, 1, 0, 0);
        set["status"] = json!({"replicas": 0, "observedGeneration": 0});
        settled["metadata"]["annotations"] = json!({REVISION: "1"});
        let pass = reconcile(&Observed::of([settled.clone(), set.clone()]), now);
        let [Write::Merge { patch, .. }] = &pass.writes[..] else { panic!("{pass:?}") };
        let counts = patch["status"].as_object().unwrap().iter().filter(|(_, v)| **v != 0);
        settled["status"] = counts.map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(reconcile(&Observed::of([settled, set]), now), Pass::default());
    }

    #[test]
    fn the_hash_does_not_depend_on_the_order_of_keys() {
        assert_eq!(hash(&json!({"a": 1, "b": {"c": 1, "d": 2}})), hash(&json!({"b": {"d": 2, "c": 1}, "a": 1})));
    }

    #[test]
    fn scaling_changes_the_current_set_only() {
        let d = deployment("a", 0);
        let s = set(&d, 1, 1, 1);
        assert_eq!(steps(d, vec![s]), [("rs1".to_string(), 0)]);
    }

    #[test]
    fn a_set_that_is_current_takes_the_time_a_pod_must_be_ready_for() {
        let mut slow = deployment("a", 1);
        let set = set(&slow, 1, 1, 1);
        assert_eq!(patience(&slow, &set), None);
        slow["spec"]["minReadySeconds"] = json!(6);
        let patch = json!({"spec": {"minReadySeconds": 6}});
        assert_eq!(patience(&slow, &set), Some(merge(Kind::ReplicaSet, &set, patch)));
    }

    #[test]
    fn a_new_template_grows_first_and_shrinks_when_the_new_pods_are_available() {
        let (old, new) = (deployment("a", 1), deployment("b", 1));
        let first = set(&old, 1, 1, 1);
        assert_eq!(steps(new.clone(), vec![first.clone()]), [("new".to_string(), 1)]);
        assert_eq!(steps(new.clone(), vec![first.clone(), set(&new, 2, 1, 0)]), []);
        assert_eq!(steps(new.clone(), vec![first, set(&new, 2, 1, 1)]), [("rs1".to_string(), 0)]);
    }

    #[test]
    fn an_old_pod_that_does_not_work_is_not_waited_for() {
        let (old, mid, new) = (deployment("a", 1), deployment("b", 1), deployment("c", 1));
        let sets = vec![set(&old, 1, 1, 1), set(&mid, 2, 1, 0)];
        // Two run already (one old, one broken): no room until the broken one is gone.
        assert_eq!(steps(new.clone(), sets.clone()), [("new".to_string(), 0)]);
        let with_new = [sets, vec![set(&new, 3, 0, 0)]].concat();
        assert_eq!(steps(new, with_new), [("rs2".to_string(), 0)]);
    }

    #[test]
    fn recreate_empties_the_old_set_before_it_fills_the_new_one() {
        let (old, mut new) = (deployment("a", 2), deployment("b", 2));
        new["spec"]["strategy"] = json!({"type": "Recreate"});
        assert_eq!(steps(new.clone(), vec![set(&old, 1, 2, 2)]), [("new".to_string(), 0)]);
        let sets = vec![set(&old, 1, 2, 2), set(&new, 2, 0, 0)];
        assert_eq!(steps(new.clone(), sets), [("rs1".to_string(), 0)]);
        let sets = vec![set(&old, 1, 0, 0), set(&new, 2, 0, 0)];
        assert_eq!(steps(new, sets), [("rs2".to_string(), 2)]);
    }

    #[test]
    fn going_back_to_an_old_template_reuses_its_set_under_a_new_revision() {
        let (first, second) = (deployment("a", 1), deployment("b", 1));
        let sets = vec![set(&first, 1, 0, 0), set(&second, 2, 1, 1)];
        let seen = Observed::of(std::iter::once(first).chain(sets));
        let pass = reconcile(&seen, "2026-01-02T03:04:05Z".parse().unwrap());
        let revisions: Vec<_> = pass
            .writes
            .iter()
            .filter_map(|w| match w {
                Write::Merge { of, patch, .. } => {
                    Some((of.uid.as_str(), patch["metadata"]["annotations"].get(REVISION)?))
                }
                _ => None,
            })
            .collect();
        assert_eq!(revisions, [("rs1", &json!("3")), ("d", &json!("3"))]);
    }

    #[test]
    fn empty_sets_beyond_the_history_limit_are_deleted_oldest_first() {
        let mut current = deployment("z", 1);
        current["spec"]["revisionHistoryLimit"] = json!(1);
        let old: Vec<Value> = (1..=3).map(|i| set(&deployment(&format!("i{i}"), 1), i, 0, 0)).collect();
        let sets: Vec<&Value> = old.iter().collect();
        let gone: Vec<String> = history(&current, &sets)
            .into_iter()
            .filter_map(|w| if let Write::Delete(of) = w { Some(of.uid) } else { None })
            .collect();
        assert_eq!(gone, ["rs1", "rs2"]);
    }
}
