//! Gloo's discovery of Upstreams: every port of every Service becomes an Upstream in Gloo's namespace.
//! What comes in: Services and Upstreams as observed. What goes out: Upstreams to apply and delete.
//! May not know: clients, failover.
//!
//! Stands for Gloo's `discovery` Deployment with its kubernetes plug-in. It owns the label, `spec.kube` and
//! `spec.discoveryMetadata`, and applies only those, so what users and Federation set on an Upstream
//! (health checks, failover, circuit breakers …) survives every rediscovery.

use std::collections::BTreeMap;

use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{deleting, label, list, name, namespace, number};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Service, Kind::Upstream];

/// Label on discovered Upstreams, and its value for Services.
pub const DISCOVERED_BY: (&str, &str) = ("discovered_by", "kubernetesplugin");

/// Longest name Gloo gives.
const LONGEST_NAME: usize = 63;

/// One pass over all Services.
pub fn reconcile(seen: &Observed, gloo: &str, _now: Timestamp) -> Pass {
    let mut wanted: BTreeMap<String, Value> = BTreeMap::new();
    for service in seen.all(Kind::Service).filter(|s| !deleting(s)) {
        for port in list(service, "/spec/ports").iter().filter_map(|p| number(p, "/port")) {
            let body = upstream(service, port, gloo);
            wanted.insert(name(&body).to_string(), body);
        }
    }
    let mut writes = Vec::new();
    for stored in seen.all(Kind::Upstream).filter(|u| namespace(u) == gloo) {
        let discovered = label(stored, DISCOVERED_BY.0) == Some(DISCOVERED_BY.1);
        match wanted.remove(name(stored)) {
            // Somebody's own Upstream of that name is not taken over.
            Some(body) if discovered && differs(stored, &body) => writes.push(Write::Apply(body)),
            None if discovered && !deleting(stored) => writes.push(Write::Delete(Ref::to(Kind::Upstream, stored))),
            _ => {}
        }
    }
    writes.extend(wanted.into_values().map(Write::Apply));
    writes.into()
}

/// The name Gloo gives to a Service's port: `<namespace>-<service>-<port>`, shortened with a hash when it is too long.
pub fn upstream_name(namespace: &str, service: &str, port: i64) -> String {
    let name = format!("{namespace}-{service}-{port}").replace('.', "-");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let mut short = format!("{}-{}", &name[..31], hex::encode(Md5::digest(&name)));
    short.truncate(LONGEST_NAME);
    short
}

fn upstream(service: &Value, port: i64, gloo: &str) -> Value {
    let mut kube = json!({
        "serviceName": name(service), "serviceNamespace": namespace(service), "servicePort": port,
    });
    if let Some(selector) = service["spec"]["selector"].as_object().filter(|s| !s.is_empty()) {
        kube["selector"] = json!(selector);
    }
    let mut metadata = json!({});
    if let Some(labels) = service["metadata"]["labels"].as_object().filter(|l| !l.is_empty()) {
        metadata["labels"] = json!(labels);
    }
    json!({
        "apiVersion": Kind::Upstream.api_version(), "kind": "Upstream",
        "metadata": {
            "name": upstream_name(namespace(service), name(service), port), "namespace": gloo,
            "labels": {DISCOVERED_BY.0: DISCOVERED_BY.1},
        },
        "spec": {"discoveryMetadata": metadata, "kube": kube},
    })
}

fn differs(stored: &Value, wanted: &Value) -> bool {
    ["kube", "discoveryMetadata"].iter().any(|part| stored["spec"][part] != wanted["spec"][part])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Value {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "service-blue", "namespace": "default", "labels": {"app": "bluegreen"}},
            "spec": {"selector": {"app": "bluegreen", "text": "blue"}, "ports": [{"port": 10000}]}})
    }

    fn run(objects: Vec<Value>) -> Vec<Write> {
        reconcile(&Observed::of(objects), "gloo-system", "2026-01-01T00:00:00Z".parse().unwrap()).writes
    }

    fn discovered() -> Value {
        match &run(vec![service()])[..] {
            [Write::Apply(body)] => body.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_service_port_becomes_an_upstream_named_after_it() {
        assert_eq!(
            discovered(),
            json!({
            "apiVersion": "gloo.solo.io/v1", "kind": "Upstream",
            "metadata": {"name": "default-service-blue-10000", "namespace": "gloo-system",
                "labels": {"discovered_by": "kubernetesplugin"}},
            "spec": {"discoveryMetadata": {"labels": {"app": "bluegreen"}},
                "kube": {"serviceName": "service-blue", "serviceNamespace": "default", "servicePort": 10000,
                    "selector": {"app": "bluegreen", "text": "blue"}}}})
        );
    }

    #[test]
    fn rediscovery_touches_nothing_that_is_not_its_own() {
        let mut stored = discovered();
        stored["spec"]["healthChecks"] = json!([{"interval": "1s"}]);
        stored["spec"]["failover"] = json!({"prioritizedLocalities": []});
        assert_eq!(run(vec![service(), stored.clone()]), []);
        let mut changed = service();
        changed["spec"]["selector"] = json!({"app": "other"});
        let [Write::Apply(body)] = &run(vec![changed, stored])[..] else { panic!() };
        let fields: Vec<&String> = body["spec"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["discoveryMetadata", "kube"]);
    }

    #[test]
    fn an_upstream_goes_with_its_service_but_a_users_own_stays() {
        let mut own = discovered();
        own["metadata"] = json!({"name": "mine", "namespace": "gloo-system"});
        let [Write::Delete(of)] = &run(vec![discovered(), own.clone()])[..] else { panic!() };
        assert_eq!(of.name, "default-service-blue-10000");
        own["metadata"]["name"] = json!("default-service-blue-10000");
        assert_eq!(run(vec![service(), own]), []);
    }

    #[test]
    fn a_long_name_is_cut_and_stays_unique() {
        let long = "a".repeat(60);
        let (one, two) = (upstream_name("default", &long, 80), upstream_name("default", &long, 81));
        assert_eq!((one.len(), one == two), (63, false));
        assert!(one.starts_with(&format!("default-{}-", "a".repeat(23))), "{one}");
    }
}
