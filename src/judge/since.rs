//! Since when somebody serves, as far as Kubernetes' own objects tell: never a guess.
//! What comes in: a world and the primary's Service. What goes out: a time and the evidence for it, or nothing.
//! May not know: Envoy; clocks.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::manifest::World;
use crate::model::name::ClusterName;

/// A time with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Since {
    /// RFC 3339, as the object says it.
    pub time: String,
    /// Which object says so.
    pub evidence: String,
}

/// Since when the primary serves (`primary`), or since when it does not.
pub fn since(world: &World, cluster: &ClusterName, service: (&str, &str), primary: bool) -> Option<Since> {
    let (namespace, name) = service;
    let selector =
        world.get(cluster.as_str(), "", "Service", namespace, name)?.pointer("/spec/selector")?.as_object()?;
    let selected = |labels: &Value| selector.iter().all(|(k, v)| labels.get(k) == Some(v));
    let here = |ns: &Option<String>| ns.as_deref() == Some(namespace);
    let pods = world
        .all(cluster.as_str(), "", "Pod")
        .filter(|(k, p)| here(&k.namespace) && selected(&p["metadata"]["labels"]));
    let changes = pods.filter_map(|(k, p)| {
        let conditions = p.pointer("/status/conditions")?.as_array()?;
        let ready = conditions.iter().find(|c| c["type"] == "Ready")?;
        let is = ready["status"] == "True";
        let time = ready["lastTransitionTime"].as_str()?.to_string();
        (is == primary).then(|| Since {
            time,
            evidence: format!("Pod {} became {}", k.name, if is { "ready" } else { "unready" }),
        })
    });
    if let Some(change) = changes.max_by(|a, b| a.time.cmp(&b.time)) {
        return Some(change);
    }
    if primary {
        return None;
    }
    let deployments = world.all(cluster.as_str(), "apps", "Deployment");
    let mine =
        deployments.filter(|(k, d)| here(&k.namespace) && selected(&d["spec"]["template"]["metadata"]["labels"]));
    let scaled =
        mine.filter(|(_, d)| d.pointer("/spec/replicas").and_then(Value::as_i64) == Some(0)).filter_map(|(k, d)| {
            let managers = d.pointer("/metadata/managedFields")?.as_array()?;
            let owns = |m: &&Value| m.pointer("/fieldsV1/f:spec/f:replicas").is_some();
            let manager = managers.iter().filter(owns).max_by_key(|m| m["time"].as_str().map(str::to_string))?;
            let who = manager["manager"].as_str().unwrap_or("somebody");
            let time = manager["time"].as_str()?.to_string();
            Some(Since { time, evidence: format!("{who} set the replicas of Deployment {} to 0", k.name) })
        });
    scaled.max_by(|a, b| a.time.cmp(&b.time)).or_else(|| emptied(world, cluster, service))
}

/// Since when a Service has no ready endpoint, by the last change of its EndpointSlices. An API server records no owner
/// of replicas that were scaled to 0 (the `scale` subresource leaves a zero out), so this may be all there is.
fn emptied(world: &World, cluster: &ClusterName, (namespace, name): (&str, &str)) -> Option<Since> {
    let all = world.all(cluster.as_str(), "discovery.k8s.io", "EndpointSlice");
    let mine = all.filter(|(k, s)| {
        let of = s.pointer("/metadata/labels").and_then(|l| l.get("kubernetes.io/service-name"));
        k.namespace.as_deref() == Some(namespace) && of.is_some_and(|of| of == name)
    });
    let slices: Vec<_> = mine.collect();
    let ready = |e: &Value| e.pointer("/conditions/ready").is_none_or(|r| r != false);
    if slices.iter().any(|(_, s)| s["endpoints"].as_array().into_iter().flatten().any(ready)) {
        return None;
    }
    let changes = slices.iter().filter_map(|(k, s)| {
        let managers = s.pointer("/metadata/managedFields")?.as_array()?;
        let time = managers.iter().filter_map(|m| m["time"].as_str()).max()?.to_string();
        Some(Since { time, evidence: format!("EndpointSlice {} lost its last ready endpoint", k.name) })
    });
    changes.max_by(|a, b| a.time.cmp(&b.time))
}
