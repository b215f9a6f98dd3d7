//! What transparent failover needs besides its order, and what it opens: names, networks, exposure, weights. What comes in:
//! the objects of a fleet, a Service and the clusters that call and answer it. What goes out: findings.
//! May not know: Envoys, documents.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;
use crate::routing::istio::{Kind, Mesh, Workload, host, workloads};
use crate::routing::{Proxy, Side, Upstream};

/// A Service under the name that all its callers use.
pub struct Shared<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// Port.
    pub port: u16,
    /// Whose callers are meant.
    pub caller: &'a ClusterName,
    /// The clusters whose gateways are judged along with these callers.
    pub gateways: &'a [ClusterName],
}

/// More names than these are counted only.
const SHOWN: usize = 5;
/// An identity that no policy names: who admits it admits everybody.
const STRANGER: &str = "spiffe://stranger/ns/stranger/sa/stranger";

/// Everything worth saying, in a fixed order. `upstream` is the Service as a caller has it.
pub fn findings(world: &World, upstream: &Upstream, shared: &Shared) -> Vec<Problem> {
    let mut found: Vec<Problem> = unnamed(world, shared).into_iter().chain(weights(world, upstream, shared)).collect();
    for cluster in shared.gateways {
        let mesh = Mesh::read(world, cluster);
        let (gateways, sidecars): (Vec<_>, Vec<_>) =
            workloads(world, cluster).into_iter().partition(|w| w.kind == Kind::Router);
        found.extend(gateways.iter().find_map(|g| circle(&mesh.proxy(g), cluster, shared)));
        found.extend(exposed(world, &mesh, (&gateways, &sidecars), cluster));
    }
    found
}

/// A name that does not resolve where callers use it.
fn unnamed(world: &World, shared: &Shared) -> Option<Problem> {
    let Shared { namespace, name, caller, .. } = shared;
    if world.get(caller.as_str(), "", "Service", namespace, name).is_some() {
        return None;
    }
    let what = format!("{caller} has no Service {namespace}/{name}, so the name does not resolve for its callers");
    Some(Problem::error("FCT0644", what).hint("`failctl apply` writes one without Pods of its own"))
}

/// A gateway that would pass a call on to another gateway.
fn circle(gateway: &Proxy, cluster: &ClusterName, shared: &Shared) -> Option<Problem> {
    let served = host::sni(shared.port, "", &format!("{}.{}.svc.", shared.name, shared.namespace));
    let mine = gateway.upstreams.values().filter(|u| u.name.starts_with(&served));
    let other = mine.flat_map(Upstream::endpoints).find_map(|(_, e)| {
        let origin = e.origin.as_ref().filter(|o| o.cluster != *cluster)?;
        Some(format!("{} at {}:{}", origin.cluster, e.address, e.port))
    })?;
    let what = format!(
        "the gateway {} of {cluster} passes calls on to {other}: with no Pod left on either side they go round between the two",
        gateway.name
    );
    let hint = "give the endpoint its `network` and the gateway ISTIO_META_REQUESTED_NETWORK_VIEW with its own";
    Some(Problem::warning("FCT0645", what).hint(hint))
}

/// A gateway that lets every Service through, and Pods behind it that admit everybody.
fn exposed(
    world: &World,
    mesh: &Mesh,
    (gateways, sidecars): (&[Workload], &[Workload]),
    cluster: &ClusterName,
) -> Option<Problem> {
    let wildcard = wildcard(world, gateways, cluster)?;
    let open: Vec<&Workload> = sidecars.iter().filter(|w| admits_strangers(&mesh.proxy(w))).collect();
    let mut names: Vec<String> = open.iter().map(|w| format!("{}/{}", w.namespace, w.canonical().0)).collect();
    names.sort();
    names.dedup();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    names.truncate(SHOWN);
    let what = format!(
        "Gateway {wildcard} of {cluster} lets every Service through to other clusters, and {} Pods admit any caller of the \
         mesh: {}{more}",
        open.len(),
        names.join(", ")
    );
    let hint = "name the hosts in the Gateway, or give each workload an AuthorizationPolicy";
    (!open.is_empty()).then(|| Problem::warning("FCT0646", what).hint(hint))
}

/// The Gateway of these proxies that has a server with AUTO_PASSTHROUGH for a wildcard.
fn wildcard(world: &World, gateways: &[Workload], cluster: &ClusterName) -> Option<String> {
    let list = |body: &'_ Value, field: &str| body.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let wide = |server: &Value| {
        let passes = server.pointer("/tls/mode").is_some_and(|m| m == "AUTO_PASSTHROUGH");
        let hosts = list(server, "hosts");
        let mut hosts = hosts.iter().filter_map(Value::as_str).map(|h| h.split_once('/').map_or(h, |(_, host)| host));
        passes && hosts.any(|h| h.starts_with('*'))
    };
    world.all(cluster.as_str(), "networking.istio.io", "Gateway").find_map(|(key, body)| {
        let selector = body.pointer("/spec/selector").and_then(Value::as_object)?;
        let carries = |w: &Workload| selector.iter().all(|(k, v)| w.labels.get(k).map(String::as_str) == v.as_str());
        let served = gateways.iter().any(carries) && list(&body["spec"], "servers").iter().any(wide);
        served.then(|| format!("{}/{}", key.namespace.as_deref().unwrap_or_default(), key.name))
    })
}

fn admits_strangers(proxy: &Proxy) -> bool {
    proxy.listeners.iter().any(|l| l.side == Side::Inbound && l.access.may_admit(Some(STRANGER)))
}

/// Gateways that share a level and stand for other numbers of Pods than their weights say.
fn weights(world: &World, upstream: &Upstream, shared: &Shared) -> Option<Problem> {
    for level in &upstream.levels {
        let mut said: BTreeMap<&ClusterName, u64> = BTreeMap::new();
        let mut through = false;
        for endpoint in level.localities.iter().flat_map(|l| &l.endpoints) {
            let Some(origin) = &endpoint.origin else { continue };
            *said.entry(&origin.cluster).or_default() += u64::from(endpoint.weight.unwrap_or(1));
            through |= origin.pod.is_none();
        }
        let pods: BTreeMap<&ClusterName, u64> = said.keys().map(|c| (*c, ready(world, c, shared))).collect();
        let (weight, count) = (said.values().sum::<u64>(), pods.values().sum::<u64>());
        if said.len() < 2 || !through || count == 0 || weight == 0 {
            continue;
        }
        // A tenth of the level's traffic off is worth saying.
        let off = |c: &ClusterName| (said[c] * count).abs_diff(pods[c] * weight) * 10 > weight * count;
        if said.keys().any(|c| off(c)) {
            let one =
                |c: &&ClusterName| format!("{c} has {} of {count} Pods and {} of {weight} parts", pods[*c], said[*c]);
            let what = format!(
                "weights are not those of the Pods behind the gateways: {}",
                said.keys().map(one).collect::<Vec<_>>().join(", ")
            );
            return Some(Problem::warning("FCT0647", what).hint("`failctl apply` weighs by the Pods it finds"));
        }
    }
    None
}

/// The Service's ready endpoints on a cluster.
fn ready(world: &World, cluster: &ClusterName, shared: &Shared) -> u64 {
    let slices = world.all(cluster.as_str(), "discovery.k8s.io", "EndpointSlice").filter(|(k, s)| {
        k.namespace.as_deref() == Some(shared.namespace)
            && s.pointer("/metadata/labels/kubernetes.io~1service-name").is_some_and(|n| n == shared.name)
    });
    let endpoints = slices.flat_map(|(_, s)| s["endpoints"].as_array().into_iter().flatten());
    endpoints.filter(|e| e.pointer("/conditions/ready").is_none_or(|r| r != false)).count() as u64
}
