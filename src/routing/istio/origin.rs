//! What stands behind an endpoint: the Service a pod belongs to, or, through an east-west gateway, the one its cluster's
//! objects lead the SNI to. For people and status; traffic does not depend on it.
//!
//! The way through a gateway is followed object by object on the other side, so that a Gateway or ServiceEntry that is
//! missing there shows here: nobody is then behind the address.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::host;
use super::mesh_config::MeshConfig;
use super::scene::{NETWORKING, Pod, Scene, selects};
use super::service::Export;
use super::workload::labels;
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::Origin;
use crate::routing::outside::Listening;
use crate::routing::read::Log;

/// The Service a pod belongs to, asked at a port of the pod.
pub fn of_pod(scene: &Scene, pod: &Pod, port: u16) -> Option<Origin> {
    let own = scene.all("", "Service").iter().filter(|s| s.namespace() == pod.namespace);
    let found = own.filter(|s| selector(s.body).is_some_and(|wanted| selects(&wanted, &pod.labels)));
    let asked = |s: &Value| {
        let ports = s.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
        let number = |p: &Value, field: &str| p.get(field).and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
        ports.filter_map(|p| Some((number(p, "port")?, number(p, "targetPort")))).find(|(p, t)| t.unwrap_or(*p) == port)
    };
    let (key, number) = found.filter_map(|s| Some((s.key, asked(s.body)?.0))).next()?;
    Some(Origin {
        cluster: scene.cluster.clone(),
        namespace: pod.namespace.into(),
        service: key.name.clone(),
        port: number,
        pod: Some(pod.name.into()),
    })
}

/// Where a connection to `address:port` with the SNI of a port of a host ends, if the objects of some cluster tell.
pub fn behind(scene: &Scene, address: &str, port: u16, host: &str, number: u16) -> Option<Origin> {
    let listening = scene.outside.get(&(address.to_string(), port))?;
    let (world, cluster) = (scene.world, listening.cluster);
    let gateway = gateway_labels(world, listening);
    let target = target_port(listening);
    let passes = world.all(cluster.as_str(), NETWORKING, "Gateway").any(|(key, body)| {
        let wanted = texts(body.pointer("/spec/selector"));
        let servers = body.pointer("/spec/servers").and_then(Value::as_array).into_iter().flatten();
        let own = key.namespace.as_deref().unwrap_or("");
        gateway.iter().any(|l| selects(&wanted, l))
            && servers.into_iter().any(|s| passes(s, own, host, &[listening.port, target]))
    });
    let gateway_namespace = listening.service.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("");
    passes.then(|| destination(scene, cluster, gateway_namespace, host, number)).flatten()
}

/// Why a cluster would refuse identities of another, if its objects tell: its trust domains, or its root.
pub fn refuses(world: &World, from: &ClusterName, own: &MeshConfig, to: &ClusterName) -> Option<String> {
    let log = Log::default();
    let theirs = MeshConfig::read(world, to, &log);
    if theirs.object.is_some() && own.object.is_some() && !theirs.trusted().contains(&own.trust_domain) {
        return Some(format!(
            "{to} does not let identities of trust domain {} in: its mesh configuration trusts {}",
            own.trust_domain,
            theirs.trusted().join(", ")
        ));
    }
    let roots = |cluster: &ClusterName, namespace: &str| {
        let secret = world.get(cluster.as_str(), "", "Secret", namespace, "cacerts")?;
        let text = secret.pointer("/data/root-cert.pem").and_then(Value::as_str)?;
        let bytes = STANDARD.decode(text).ok()?;
        crate::pki::certificates(std::str::from_utf8(&bytes).ok()?).ok()
    };
    match (roots(from, &own.namespace), roots(to, &theirs.namespace)) {
        // While a root is being replaced there are two: one in common is enough.
        (Some(ours), Some(others)) if !ours.iter().any(|r| others.contains(r)) => {
            Some(format!("{from} and {to} have no root in common in their Secrets cacerts, so every handshake fails"))
        }
        _ => None,
    }
}

/// The labels of the pods behind a Service; where no pod is known, what its selector asks for.
fn gateway_labels(world: &World, listening: &Listening) -> Vec<BTreeMap<String, String>> {
    let Some(wanted) = selector(listening.service) else { return Vec::new() };
    let namespace = listening.service.pointer("/metadata/namespace").and_then(Value::as_str);
    let pods = world.all(listening.cluster.as_str(), "", "Pod").filter(|(k, _)| k.namespace.as_deref() == namespace);
    let found: Vec<_> = pods.map(|(_, p)| labels(p)).filter(|l| selects(&wanted, l)).collect();
    if found.is_empty() { vec![wanted] } else { found }
}

/// The port of the gateway's pods.
fn target_port(listening: &Listening) -> u16 {
    let ports = listening.service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    let own = ports.into_iter().find(|p| p["port"].as_u64() == Some(u64::from(listening.port)));
    let target = own.and_then(|p| p["targetPort"].as_u64()).and_then(|n| u16::try_from(n).ok());
    target.unwrap_or(listening.port)
}

fn passes(server: &Value, own: &str, wanted: &str, ports: &[u16]) -> bool {
    let number = server.pointer("/port/number").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok());
    let through = server.pointer("/tls/mode").and_then(Value::as_str) == Some("AUTO_PASSTHROUGH");
    let hosts = server.get("hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    // `NAMESPACE/HOST`: which namespace's services are meant.
    let mut hosts = hosts.map(|h| h.split_once('/').map_or((own, h), |(_, host)| (own, host)));
    number.is_some_and(|n| ports.contains(&n)) && through && hosts.any(|(_, h)| host::covers(h, wanted))
}

/// The Service that a host means on its own cluster, seen from the gateway's namespace.
fn destination(scene: &Scene, cluster: &ClusterName, gateway: &str, host: &str, port: u16) -> Option<Origin> {
    let world = scene.world;
    let local = |host| local(host, scene.domains.get(cluster)?);
    let origin = |namespace: &str, service: &str| Origin {
        cluster: cluster.clone(),
        namespace: namespace.into(),
        service: service.into(),
        port,
        pod: None,
    };
    if let Some((service, namespace)) = local(host) {
        return world.get(cluster.as_str(), "", "Service", namespace, service).map(|_| origin(namespace, service));
    }
    for (key, entry) in world.all(cluster.as_str(), NETWORKING, "ServiceEntry") {
        let list = |path: &str| entry.pointer(path).and_then(Value::as_array).into_iter().flatten();
        let namespace = key.namespace.as_deref().unwrap_or("");
        let words: Vec<String> = list("/spec/exportTo").filter_map(Value::as_str).map(str::to_string).collect();
        let named = list("/spec/hosts").any(|h| h.as_str() == Some(host));
        if !named || !Export::read(&words, namespace).includes(gateway) {
            continue;
        }
        if let Some(wanted) = entry.pointer("/spec/workloadSelector/labels") {
            let wanted = texts(Some(wanted));
            let services = world.all(cluster.as_str(), "", "Service");
            let mut own = services.filter(|(k, _)| k.namespace.as_deref() == Some(namespace));
            let (found, _) = own.find(|(_, s)| selector(s).is_some_and(|s| s == wanted))?;
            return Some(origin(namespace, &found.name));
        }
        let mut addresses = list("/spec/endpoints").filter_map(|e| e.get("address").and_then(Value::as_str));
        return addresses.find_map(local).map(|(service, namespace)| origin(namespace, service));
    }
    None
}

/// Name and namespace of the Service a local host means.
fn local<'h>(host: &'h str, domain: &str) -> Option<(&'h str, &'h str)> {
    host.strip_suffix(domain)?.strip_suffix(".svc.")?.split_once('.')
}

/// What a Service selects pods by; nothing when it selects none.
fn selector(service: &Value) -> Option<BTreeMap<String, String>> {
    let wanted = texts(service.pointer("/spec/selector"));
    (!wanted.is_empty()).then_some(wanted)
}

fn texts(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string()))).collect()
}
