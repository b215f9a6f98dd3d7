//! Vendor and Kubernetes objects, as they stand. What comes in: an object and its cluster. What goes out: a manifest
//! whose body is that object. May not know: what the object means beyond when it is to be written.

use serde_json::Value;

use crate::manifest::{Hold, Manifest, ObjectKey, Wave, key_of};
use crate::spec::Foreign;

/// Port names and fields by which Gloo knows things.
const FAILOVER_PORT: &str = "failover";

/// The fields of an Upstream's spec that say what it is; without one it only adds to an Upstream that is there.
const UPSTREAM_TYPES: [&str; 8] = ["kube", "static", "consul", "aws", "awsEc2", "azure", "gcp", "ai"];

/// The manifest of an object; nothing when it has no key (which reading has said already).
pub fn manifest(foreign: &Foreign) -> Option<Manifest> {
    let key = key_of(&foreign.cluster, &foreign.body)?;
    let wave = wave(&key, &foreign.body);
    Some(Manifest { hold: hold(&key, &foreign.body), wave, key, body: foreign.body.clone() })
}

fn hold(key: &ObjectKey, body: &Value) -> Hold {
    let spec = body.get("spec").and_then(Value::as_object);
    let whole = spec.is_some_and(|s| UPSTREAM_TYPES.iter().any(|t| s.contains_key(*t)));
    let upstream = key.gvk.group == "gloo.solo.io" && key.gvk.kind == "Upstream";
    if upstream && !whole { Hold::Fields } else { Hold::Own }
}

fn wave(key: &ObjectKey, body: &Value) -> Wave {
    match (key.gvk.group.as_str(), key.gvk.kind.as_str()) {
        ("", "Secret") => Wave::Secrets,
        ("", "Service") if has_failover_port(body) => Wave::Gateways,
        ("gateway.solo.io", "Gateway") => Wave::Gateways,
        ("gateway.solo.io", _) => Wave::Routes,
        ("gloo.solo.io", "Upstream") if body.pointer("/spec/failover").is_some() => Wave::Failover,
        ("gloo.solo.io", _) => Wave::Upstreams,
        ("fed.solo.io", _) => Wave::Failover,
        ("", "Namespace" | "ServiceAccount" | "ConfigMap") => Wave::Foundations,
        ("apiextensions.k8s.io" | "rbac.authorization.k8s.io", _) => Wave::Foundations,
        _ => Wave::Workloads,
    }
}

fn has_failover_port(body: &Value) -> bool {
    let ports = body.pointer("/spec/ports").and_then(Value::as_array);
    ports.into_iter().flatten().any(|p| p.get("name").and_then(Value::as_str) == Some(FAILOVER_PORT))
}
