//! Federation's decisions, step by step, over stored objects.

use super::*;

const NOW: &str = "2026-01-02T03:04:05Z";

fn settings() -> Settings {
    Settings { namespace: "gloo-system".into(), gloo: "gloo-system".into() }
}

fn scheme(more: Value) -> Value {
    let mut scheme = json!({
        "apiVersion": "fed.solo.io/v1", "kind": "FailoverScheme",
        "metadata": {"name": "failover-scheme", "namespace": "gloo-fed", "uid": "s", "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]},
        "spec": {
            "failoverGroups": [{"priorityGroup": [{"cluster": "remote",
                "upstreams": [{"name": "default-service-green-10000", "namespace": "gloo-system"}]}]}],
            "primary": {"clusterName": "local", "name": "default-service-blue-10000", "namespace": "gloo-system"}},
    });
    json_patch::merge(&mut scheme, &more);
    scheme
}

fn glooinstance(address: &str) -> Value {
    json!({
        "apiVersion": "fed.solo.io/v1", "kind": "GlooInstance",
        "metadata": {"name": "remote-gloo-system", "namespace": "gloo-system"},
        "spec": {"cluster": "remote", "region": "r", "proxies": [{"zones": ["z"],
            "ingressEndpoints": [{"address": address, "ports": [{"name": "failover", "port": 15443}]}]}]},
    })
}

fn upstream(uid: &str, failover: Value) -> Value {
    json!({"apiVersion": "gloo.solo.io/v1", "kind": "Upstream",
        "metadata": {"name": "default-service-blue-10000", "namespace": "gloo-system", "uid": uid},
        "spec": {"failover": failover}})
}

/// The orders for a management cluster with these objects and a primary cluster with those.
fn orders(home: Vec<Value>, local: Vec<Value>, memory: &mut Memory) -> Vec<Order> {
    let (home, local) = (Observed::of(home), Observed::of(local));
    let members: Members<'_> = [("local".to_string(), Some(&local)), ("remote".to_string(), None)].into();
    decide(&home, &members, memory, &settings(), NOW.parse().unwrap())
}

fn patches(orders: Vec<Order>) -> Vec<(Kind, Value)> {
    let patch = |o: Order| match o.write {
        Write::Merge { of, patch, .. } => (of.kind, patch),
        other => panic!("{other:?}"),
    };
    orders.into_iter().map(patch).collect()
}

fn written(orders: &[Order]) -> Option<&Value> {
    orders.iter().find_map(|o| match &o.write {
        Write::Merge { of, patch, .. } if of.kind == Kind::Upstream => Some(&patch["spec"]["failover"]),
        _ => None,
    })
}

fn state(orders: &[Order]) -> Option<(String, String)> {
    orders.iter().find_map(|o| match &o.write {
        Write::Merge { subresource: Some("status"), patch, .. } => {
            let status = &patch["status"];
            assert_eq!(status["state"], status["namespacedStatuses"]["gloo-system"]["state"]);
            Some((text(status, "/state").to_string(), text(status, "/message").to_string()))
        }
        _ => None,
    })
}

fn said(state: &str, message: &str) -> Option<(String, String)> {
    Some((state.into(), message.into()))
}

#[test]
fn a_new_scheme_is_first_held_by_the_finalizer() {
    let fresh = scheme(json!({"metadata": {"finalizers": null, "resourceVersion": "5"}}));
    let orders = orders(vec![fresh], vec![], &mut Memory::default());
    let expected = json!({"metadata": {"finalizers": [FINALIZER], "resourceVersion": "5"}});
    assert_eq!(patches(orders), [(Kind::FailoverScheme, expected)]);
}

#[test]
fn the_block_is_written_to_the_primary_and_then_accepted() {
    let mut memory = Memory::default();
    let home = vec![scheme(json!({})), glooinstance("10.0.0.1")];
    let first = orders(home.clone(), vec![upstream("u", Value::Null)], &mut memory);
    assert_eq!(state(&first), said("PROCESSING", ""));
    assert_eq!(first[0].target, Target::Member("local".into()));
    let block = written(&first).unwrap().clone();
    assert_eq!(block["prioritizedLocalities"][0]["localityEndpoints"][0]["lbEndpoints"][0]["address"], "10.0.0.1");
    let second = orders(home, vec![upstream("u", block)], &mut memory);
    assert_eq!((state(&second), written(&second)), (said("ACCEPTED", ""), None));
}

#[test]
fn what_an_operator_removes_stays_removed_until_something_changes() {
    let mut memory = Memory::default();
    let home = vec![scheme(json!({})), glooinstance("10.0.0.1")];
    let block = written(&orders(home.clone(), vec![upstream("u", Value::Null)], &mut memory)).unwrap().clone();
    orders(home.clone(), vec![upstream("u", block)], &mut memory);
    assert_eq!(written(&orders(home, vec![upstream("u", Value::Null)], &mut memory)), None);
    // Another address, a new generation, or a new Upstream of the same name: carried out again.
    let moved = vec![scheme(json!({})), glooinstance("10.0.0.2")];
    assert!(written(&orders(moved, vec![upstream("u", Value::Null)], &mut memory)).is_some());
    let edited = vec![scheme(json!({"metadata": {"generation": 2}})), glooinstance("10.0.0.1")];
    assert!(written(&orders(edited, vec![upstream("u", Value::Null)], &mut memory)).is_some());
    let home = vec![scheme(json!({})), glooinstance("10.0.0.1")];
    assert!(written(&orders(home, vec![upstream("u2", Value::Null)], &mut memory)).is_some());
}

#[test]
fn an_unregistered_cluster_is_failed_and_nothing_is_written() {
    let elsewhere = scheme(json!({"spec": {"primary": {"clusterName": "nowhere"}}}));
    let orders = orders(vec![elsewhere, glooinstance("10.0.0.1")], vec![], &mut Memory::default());
    let message = "failed to get client for cluster nowhere: Failed to get manager for cluster nowhere";
    assert_eq!((state(&orders), written(&orders)), (said("FAILED", message), None));
}

#[test]
fn a_missing_primary_upstream_is_failed() {
    let orders = orders(vec![scheme(json!({})), glooinstance("10.0.0.1")], vec![], &mut Memory::default());
    assert_eq!(state(&orders), said("FAILED", "upstreams.gloo.solo.io \"default-service-blue-10000\" not found"));
}

#[test]
fn a_failed_write_is_told_and_tried_again() {
    let mut memory = Memory::default();
    memory.errors.insert("s".into(), "Operation cannot be fulfilled".into());
    let orders =
        orders(vec![scheme(json!({})), glooinstance("10.0.0.1")], vec![upstream("u", Value::Null)], &mut memory);
    assert_eq!(state(&orders), said("FAILED", "Operation cannot be fulfilled"));
    assert!(written(&orders).is_some());
}

#[test]
fn deletion_takes_the_block_first_and_the_finalizer_after() {
    let leaving = scheme(json!({"metadata": {"deletionTimestamp": NOW}}));
    let block = json!({"prioritizedLocalities": []});
    let first = orders(vec![leaving.clone()], vec![upstream("u", block)], &mut Memory::default());
    assert_eq!(patches(first), [(Kind::Upstream, json!({"spec": {"failover": null}}))]);
    let second = orders(vec![leaving], vec![upstream("u", Value::Null)], &mut Memory::default());
    assert_eq!(patches(second), [(Kind::FailoverScheme, json!({"metadata": {"finalizers": []}}))]);
}

#[test]
fn a_scheme_whose_primary_is_not_registered_cannot_be_deleted() {
    let leaving = json!({"metadata": {"deletionTimestamp": NOW}, "spec": {"primary": {"clusterName": "nowhere"}}});
    let orders = orders(vec![scheme(leaving)], vec![], &mut Memory::default());
    assert_eq!(state(&orders).unwrap().0, "FAILED");
    assert_eq!(orders.len(), 1);
}

#[test]
fn of_two_schemes_for_one_primary_the_younger_is_written_and_the_older_takes_over_when_it_goes() {
    let second = |more: Value| {
        let mut other =
            scheme(json!({"metadata": {"name": "z", "uid": "z", "creationTimestamp": "2026-01-01T00:00:01Z"},
            "spec": {"failoverGroups": [{"priorityGroup": [{"cluster": "remote",
                "upstreams": [{"name": "other", "namespace": "gloo-system"}]}]}]}}));
        json_patch::merge(&mut other, &more);
        other
    };
    let mut memory = Memory::default();
    let home = vec![scheme(json!({})), second(json!({})), glooinstance("10.0.0.1")];
    let both = orders(home, vec![upstream("u", Value::Null)], &mut memory);
    let sni = |block: &Value| {
        text(block, "/prioritizedLocalities/0/localityEndpoints/0/lbEndpoints/0/upstreamSslConfig/sni").to_string()
    };
    assert_eq!(both.iter().filter(|o| o.target == Target::Member("local".into())).count(), 1);
    let block = written(&both).unwrap().clone();
    assert_eq!(sni(&block), "other_gloo-system");
    let home =
        vec![scheme(json!({})), second(json!({"metadata": {"deletionTimestamp": NOW}})), glooinstance("10.0.0.1")];
    let after = orders(home, vec![upstream("u", block)], &mut memory);
    assert_eq!(sni(written(&after).unwrap()), "default-service-green-10000_gloo-system");
}

#[test]
fn a_new_primary_takes_the_block_from_the_old_one() {
    let mut memory = Memory::default();
    let home = vec![scheme(json!({})), glooinstance("10.0.0.1")];
    let block = written(&orders(home.clone(), vec![upstream("u", Value::Null)], &mut memory)).unwrap().clone();
    orders(home, vec![upstream("u", block.clone())], &mut memory);
    let moved = scheme(json!({"metadata": {"generation": 2}, "spec": {"primary": {"name": "second"}}}));
    let mut second = upstream("u2", Value::Null);
    second["metadata"]["name"] = json!("second");
    let after = orders(vec![moved, glooinstance("10.0.0.1")], vec![upstream("u", block), second], &mut memory);
    let touched: Vec<(String, bool)> = after
        .iter()
        .filter_map(|o| match &o.write {
            Write::Merge { of, patch, .. } if of.kind == Kind::Upstream => {
                Some((of.name.clone(), patch["spec"]["failover"].is_null()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(touched, [("default-service-blue-10000".to_string(), true), ("second".to_string(), false)]);
}

#[test]
fn glooinstances_of_unregistered_clusters_go_and_those_of_unreachable_ones_stay() {
    let mut stray = glooinstance("10.0.0.9");
    stray["metadata"]["name"] = json!("gone-gloo-system");
    stray["spec"]["cluster"] = json!("gone");
    let orders = orders(vec![stray, glooinstance("10.0.0.1")], vec![], &mut Memory::default());
    assert!(
        matches!(&orders[..], [Order { write: Write::Delete(of), .. }] if of.name == "gone-gloo-system"),
        "{orders:?}"
    );
}
