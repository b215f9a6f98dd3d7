//! EnvoyFilter: what it does to a proxy's upstreams. What comes in: the objects of a cluster, a proxy's upstreams.
//! What goes out: the upstreams afterwards. Rules: Istio's envoyfilter package.
//!
//! Read are patches of CLUSTERs: REMOVE, ADD of an aggregate cluster, MERGE of limits and times. Every other patch is
//! a finding: what cannot be read is never shown as if it were not there.

use std::collections::BTreeMap;

use super::client::Client;
use super::cluster::plain;
use super::scene::{NETWORKING, Object, selects, texts};
use super::workload::Kind;
use crate::model::duration::Millis;
use crate::routing::read::At;
use crate::routing::{Balancer, Breakers, Shape, Upstream};

/// Applies every EnvoyFilter that is this proxy's, in Istio's order: root namespace first, then by priority and age.
pub fn apply(client: &Client, upstreams: &mut BTreeMap<String, Upstream>) {
    let root = client.scene.config.root_namespace.as_str();
    let own = client.workload.namespace.as_str();
    let mut filters: Vec<(bool, i64, &Object)> = Vec::new();
    for object in client.scene.all(NETWORKING, "EnvoyFilter") {
        let spec = object.at(&client.log).get("spec");
        let here = object.namespace() == root || object.namespace() == own;
        let labels = spec.at(&["workloadSelector", "labels"]).some();
        if here && labels.is_none_or(|l| selects(&texts(&l), &client.labels)) {
            let priority = spec.get("priority").value().and_then(serde_json::Value::as_i64).unwrap_or(0);
            filters.push((object.namespace() != root, priority, object));
        }
    }
    filters.sort_by_key(|(own, priority, object)| (*own, *priority, object.age()));
    // Istio adds clusters after all others were removed and merged, whichever filter says it.
    let patches: Vec<At> = filters
        .iter()
        .flat_map(|(_, _, o)| o.at(&client.log).get("spec").get("configPatches").items())
        .filter(|p| concerns(client, p))
        .collect();
    let (adds, rest): (Vec<&At>, Vec<&At>) = patches.iter().partition(|p| operation(p) == "ADD");
    rest.iter().for_each(|p| change(p, upstreams));
    adds.iter().for_each(|p| add(p, upstreams));
    warn_of_missing_members(client, &adds, upstreams);
}

fn operation<'b>(patch: &At<'b>) -> &'b str {
    patch.at(&["patch", "operation"]).text().unwrap_or("INVALID")
}

/// Whether a patch is about clusters that this kind of proxy has; what is not read is noted.
fn concerns(client: &Client, patch: &At) -> bool {
    let applies_to = patch.get("applyTo").text().unwrap_or("INVALID");
    let condition = patch.get("match");
    let context = condition.get("context").text().unwrap_or("ANY");
    let mine = match client.workload.kind {
        Kind::Sidecar => matches!(context, "ANY" | "SIDECAR_OUTBOUND" | "SIDECAR_INBOUND"),
        Kind::Router => matches!(context, "ANY" | "GATEWAY"),
    };
    if !mine {
        return false;
    }
    if applies_to != "CLUSTER" {
        unread(patch, &format!("applyTo {applies_to}"));
        return false;
    }
    if condition.get("proxy").is_some() {
        unread(patch, "match.proxy");
        return false;
    }
    if context == "SIDECAR_INBOUND" {
        unread(patch, "context SIDECAR_INBOUND");
        return false;
    }
    true
}

fn unread(patch: &At, what: &str) {
    patch.warn("FCT0552", format!("{}: {what} is not read; traffic may differ from what is shown", patch.path()));
}

/// REMOVE and MERGE: the upstreams a patch matches.
fn change(patch: &At, upstreams: &mut BTreeMap<String, Upstream>) {
    let condition = patch.at(&["match", "cluster"]);
    let names: Vec<String> = upstreams.keys().filter(|n| matches(&condition, n)).cloned().collect();
    match operation(patch) {
        "REMOVE" => names.iter().for_each(|n| drop(upstreams.remove(n))),
        "MERGE" => {
            let value = patch.at(&["patch", "value"]);
            for name in names {
                upstreams.entry(name).and_modify(|u| merge(&value, u));
            }
        }
        other => unread(patch, &format!("operation {other} of a CLUSTER")),
    }
}

/// By name, or by the parts of Istio's own names.
fn matches(condition: &At, name: &str) -> bool {
    if !condition.is_some() {
        return !name.starts_with("inbound|");
    }
    let parts: Vec<&str> = name.split('|').collect();
    let [direction, port, subset, host] = parts.as_slice() else {
        return condition.get("name").text() == Some(name);
    };
    let same = |field: &str, part: &str| condition.get(field).some().is_none_or(|v| v.text() == Some(part));
    *direction != "inbound"
        && same("name", name)
        && same("service", host)
        && same("subset", subset)
        && condition.get("portNumber").some().is_none_or(|p| p.port().is_some_and(|p| p.to_string() == *port))
}

/// ADD of an aggregate cluster: the type of today's Envoy, or the TypedStruct of Service Mesh Hub's days.
fn add(patch: &At, upstreams: &mut BTreeMap<String, Upstream>) {
    let value = patch.at(&["patch", "value"]);
    let Some(name) = value.get("name").string() else {
        patch.reject("FCT0552", format!("{} has no name", value.path()));
        return;
    };
    let Some(members) = members(&field(&value, "cluster_type", "clusterType")) else {
        unread(patch, &format!("ADD of {name}, which is no aggregate cluster,"));
        return;
    };
    if upstreams.contains_key(&name) {
        patch.reject(
            "FCT0552",
            format!("{}: there already is a cluster {name}; REMOVE it first, or Envoy refuses both", value.path()),
        );
        return;
    }
    let mut upstream = Upstream {
        shape: Shape::Aggregate(members),
        levels: Vec::new(),
        // Envoy's own defaults: this is Envoy's configuration and not Istio's.
        breakers: Breakers::default(),
        connect_timeout: Millis::secs(5),
        balancer: Balancer::RoundRobin,
        ..plain(name.clone(), patch.object.clone())
    };
    let known = ["name", "cluster_type", "clusterType", "lb_policy", "lbPolicy"];
    value.fields().into_iter().filter(|f| !known.contains(f)).for_each(|f| part(&value, f, &mut upstream));
    upstreams.insert(name, upstream);
}

/// The ordered members of an aggregate cluster, from either form of its type.
fn members(cluster_type: &At) -> Option<Vec<String>> {
    let typed = field(cluster_type, "typed_config", "typedConfig");
    let url = typed.get("@type").text()?;
    let config = match url.rsplit('/').next()? {
        "envoy.extensions.clusters.aggregate.v3.ClusterConfig" => typed,
        "udpa.type.v1.TypedStruct" | "xds.type.v3.TypedStruct" => {
            let inner = field(&typed, "type_url", "typeUrl").text()?;
            if !inner.contains("aggregate") {
                return None;
            }
            typed.get("value")
        }
        _ => return None,
    };
    let members = config.get("clusters").strings();
    (!members.is_empty()).then_some(members)
}

fn merge(value: &At, upstream: &mut Upstream) {
    value.fields().into_iter().filter(|f| *f != "name").for_each(|f| part(value, f, upstream));
}

/// One part of a cluster in Envoy's words.
fn part(value: &At, name: &str, upstream: &mut Upstream) {
    let at = value.get(name);
    match name {
        "connect_timeout" | "connectTimeout" => {
            upstream.connect_timeout = at.millis_above_zero().unwrap_or(upstream.connect_timeout);
        }
        "circuit_breakers" | "circuitBreakers" => {
            if let Some(limits) = at.get("thresholds").items().first() {
                let number = |snake: &str, camel: &str| field(limits, snake, camel).u32();
                let own = &mut upstream.breakers;
                own.max_connections = number("max_connections", "maxConnections").or(own.max_connections);
                own.max_pending_requests =
                    number("max_pending_requests", "maxPendingRequests").or(own.max_pending_requests);
                own.max_requests = number("max_requests", "maxRequests").or(own.max_requests);
                own.max_retries = number("max_retries", "maxRetries").or(own.max_retries);
            }
        }
        "common_lb_config" | "commonLbConfig" => {
            let panic = field(&at, "healthy_panic_threshold", "healthyPanicThreshold");
            upstream.panic_threshold =
                panic.get("value").percent().or(panic.is_some().then_some(0)).or(upstream.panic_threshold);
            upstream.merge_window =
                field(&at, "update_merge_window", "updateMergeWindow").millis().or(upstream.merge_window);
        }
        _ => {
            value.warn("FCT0552", format!("{}.{name} is not read; traffic may differ from what is shown", value.path()))
        }
    }
}

fn field<'b>(at: &At<'b>, snake: &str, camel: &str) -> At<'b> {
    at.get(snake).some().unwrap_or_else(|| at.get(camel))
}

/// An aggregate passes over a member that does not exist, without a word.
fn warn_of_missing_members(client: &Client, adds: &[&At], upstreams: &BTreeMap<String, Upstream>) {
    for patch in adds {
        let value = patch.at(&["patch", "value"]);
        for member in members(&field(&value, "cluster_type", "clusterType")).unwrap_or_default() {
            if !upstreams.contains_key(&member) {
                patch.warn(
                    "FCT0556",
                    format!(
                        "{}: {} has no cluster {member}, so the aggregate passes over it",
                        value.path(),
                        client.workload.name
                    ),
                );
            }
        }
    }
}
