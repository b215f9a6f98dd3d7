//! Pods to Nodes: each pending Pod goes to the fitting Node with the fewest Pods.
//! What comes in: everything observed. What goes out: bindings, or the reason why a Pod stays pending.
//! May not know: clients.
//!
//! Read: readiness, `unschedulable`, `nodeSelector`, taints and tolerations. Left out: affinity, resources, priorities.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{condition, deleting, is, list, name, text};
use super::observed::Observed;
use super::replicaset::active;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Pod, Kind::Node];

/// The scheduler that Pods ask for when they ask for none.
const NAME: &str = "default-scheduler";

/// One pass over all pending Pods.
pub fn reconcile(seen: &Observed, now: Timestamp) -> Pass {
    let nodes: Vec<&Value> = seen.all(Kind::Node).collect();
    let mut load: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in seen.all(Kind::Pod).filter(|p| active(p)) {
        *load.entry(text(pod, "/spec/nodeName")).or_default() += 1;
    }
    let mut pass = Pass::default();
    for pod in seen.all(Kind::Pod).filter(|p| pending(p)) {
        let fitting = nodes.iter().filter(|n| misfit(n, pod).is_none());
        let chosen = fitting.min_by_key(|n| (load.get(name(n)).copied().unwrap_or(0), name(n)));
        match chosen {
            Some(node) => {
                *load.entry(name(node)).or_default() += 1;
                pass.writes.push(Write::Bind { pod: Ref::to(Kind::Pod, pod), node: name(node).into() });
            }
            None => pass.writes.extend(unschedulable(pod, &nodes, now)),
        }
    }
    pass
}

fn pending(pod: &Value) -> bool {
    let scheduler = text(pod, "/spec/schedulerName");
    text(pod, "/spec/nodeName").is_empty()
        && !deleting(pod)
        && (scheduler.is_empty() || scheduler == NAME)
        && list(pod, "/spec/schedulingGates").is_empty()
}

/// Why a Node cannot take a Pod.
fn misfit(node: &Value, pod: &Value) -> Option<&'static str> {
    let selected = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let labels = &node["metadata"]["labels"];
    if !is(node, "Ready") {
        return Some("were not ready");
    }
    if node["spec"]["unschedulable"] == true {
        return Some("were unschedulable");
    }
    if !selected.into_iter().all(|(key, value)| labels.get(key) == Some(value)) {
        return Some("didn't match Pod's node selector");
    }
    let repels =
        |taint: &&Value| matches!(text(taint, "/effect"), "NoSchedule" | "NoExecute") && !tolerated(taint, pod);
    list(node, "/spec/taints").iter().find(repels).map(|_| "had untolerated taints")
}

fn tolerated(taint: &Value, pod: &Value) -> bool {
    list(pod, "/spec/tolerations").iter().any(|t| {
        let key = text(t, "/key");
        let value = text(t, "/operator") == "Exists" || text(t, "/value") == text(taint, "/value");
        let effect = text(t, "/effect").is_empty() || text(t, "/effect") == text(taint, "/effect");
        (key.is_empty() && text(t, "/operator") == "Exists" || key == text(taint, "/key")) && value && effect
    })
}

fn unschedulable(pod: &Value, nodes: &[&Value], now: Timestamp) -> Option<Write> {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    nodes.iter().filter_map(|n| misfit(n, pod)).for_each(|r| *reasons.entry(r).or_default() += 1);
    let reasons: Vec<String> = reasons.into_iter().map(|(why, n)| format!("{n} node(s) {why}")).collect();
    let detail = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) };
    let message = format!("0/{} nodes are available{detail}.", nodes.len());
    if condition(pod, "PodScheduled").is_some_and(|c| c["message"] == message.as_str()) {
        return None;
    }
    let told = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastTransitionTime": format!("{now:.0}")});
    let patch = json!({"status": {"phase": "Pending", "conditions": [told]}});
    Some(Write::Merge { of: Ref::to(Kind::Pod, pod), subresource: Some("status"), patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, more: Value) -> Value {
        let mut node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        json_patch::merge(&mut node, &more);
        node
    }

    fn pod(name: &str, spec: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n", "uid": name}, "spec": spec})
    }

    fn run(objects: Vec<Value>) -> Vec<Write> {
        reconcile(&Observed::of(objects), "2026-01-01T00:00:00Z".parse().unwrap()).writes
    }

    fn bound(writes: &[Write]) -> Vec<(&str, &str)> {
        let mut bound = Vec::new();
        for write in writes {
            if let Write::Bind { pod, node } = write {
                bound.push((pod.name.as_str(), node.as_str()));
            }
        }
        bound
    }

    #[test]
    fn pods_spread_over_the_nodes_that_fit() {
        let writes = run(vec![
            node("a", json!({})),
            node("b", json!({})),
            pod("there", json!({"nodeName": "a"})),
            pod("x", json!({})),
            pod("y", json!({})),
        ]);
        assert_eq!(bound(&writes), [("x", "b"), ("y", "a")]);
    }

    #[test]
    fn a_taint_keeps_pods_off_unless_they_tolerate_it() {
        let taint = json!({"spec": {"taints": [{"key": "edge", "value": "yes", "effect": "NoSchedule"}]}});
        let tolerant = json!({"tolerations": [{"key": "edge", "operator": "Exists"}]});
        let writes = run(vec![node("edge", taint), pod("x", json!({})), pod("y", tolerant)]);
        assert_eq!(bound(&writes), [("y", "edge")]);
        let Write::Merge { patch, .. } = &writes[0] else { panic!("{writes:?}") };
        let message = &patch["status"]["conditions"][0]["message"];
        assert_eq!(message, "0/1 nodes are available: 1 node(s) had untolerated taints.");
    }

    #[test]
    fn a_pod_for_another_scheduler_is_left_alone() {
        assert_eq!(run(vec![node("a", json!({})), pod("x", json!({"schedulerName": "mine"}))]), []);
    }
}
