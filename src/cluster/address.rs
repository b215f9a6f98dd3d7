//! Where a cluster's gateways are reached from outside, as Gloo finds it. What comes in: a world with Services, Nodes
//! and Pods, and the fleet's word on a cluster. What goes out: addresses, or the problem that says what is pending.
//! May not know: clients. Rules: LoadBalancer → first ingress hostname, else IP, with the Service's port; NodePort →
//! address of a node and the nodePort (glooctl's `proxy url`, Federation's `ingressEndpoints`).

use serde_json::Value;

use super::observe::Want;
use crate::manifest::{ObjectKey, World};
use crate::model::fleet::{Cluster, GatewayAddress, Platform};
use crate::model::mesh;
use crate::model::name::ClusterName;
use crate::model::problem::Problem;

/// The port name by which a failover gateway's Service is known (Gloo's Helm chart and guide both use it).
pub const FAILOVER_PORT: &str = "failover";
/// The Service of Istio's ingress gateway.
pub const INGRESS: &str = "istio-ingressgateway";
/// The Service of Istio's gateway for other clusters.
pub const EAST_WEST: &str = "istio-eastwestgateway";
/// The Service of Gloo's proxy.
pub const PROXY: &str = "gateway-proxy";

/// What must be read to find addresses: Services of one namespace, and Nodes for NodePorts.
pub fn wants(cluster: &ClusterName, namespace: &str) -> Vec<Want> {
    vec![Want::all("v1", "Service").within(namespace).on(cluster), Want::all("v1", "Node").on(cluster)]
}

/// Where other clusters reach a cluster's failover gateway: the fleet's override, else the Service of Gloo's
/// namespace that has a port named `failover`.
pub fn failover(world: &World, cluster: &Cluster) -> Result<GatewayAddress, Problem> {
    if let Some(address) = &cluster.gateway {
        return Ok(address.clone());
    }
    let namespace = gloo_namespace(cluster);
    let mut services = services(world, cluster, namespace).filter(|(_, s)| port(s, FAILOVER_PORT).is_some());
    let Some((key, service)) = services.next() else {
        let what = format!("{}: no Service in {namespace} has a port named `{FAILOVER_PORT}`", cluster.name);
        let hint = "`failctl gateway apply` makes the failover gateway and its Service";
        return Err(Problem::error("FCC0201", what).hint(hint));
    };
    reach(world, cluster, key, service, FAILOVER_PORT)
}

/// The same for the Service of this name, such as the one failctl writes itself.
pub fn service(world: &World, cluster: &Cluster, name: &str, port: &str) -> Result<GatewayAddress, Problem> {
    named(world, cluster, gloo_namespace(cluster), name, port)
}

fn named(world: &World, cluster: &Cluster, namespace: &str, name: &str, port: &str) -> Result<GatewayAddress, Problem> {
    let Some((key, service)) = services(world, cluster, namespace).find(|(k, _)| k.name == name) else {
        let what = format!("{}: there is no Service {namespace}/{name}", cluster.name);
        return Err(Problem::error("FCC0202", what)
            .hint("is it installed in another namespace? see spec.clusters[] of the fleet"));
    };
    reach(world, cluster, key, service, port)
}

/// Where other clusters reach a cluster's east-west gateway: the fleet's word, else the Service in Istio's namespace
/// that is labelled or selects `istio: eastwestgateway` and has port 15443 (Istio's `samples/multicluster`).
pub fn east_west(world: &World, cluster: &Cluster) -> Result<GatewayAddress, Problem> {
    let istio = cluster.istio.as_ref();
    if let Some(address) = istio.and_then(|i| i.east_west.clone()) {
        return Ok(address);
    }
    let namespace = istio.map_or("istio-system", |i| i.namespace.as_str());
    let (label, value) = mesh::EAST_WEST;
    let is = |s: &Value| [&s["metadata"]["labels"], &s["spec"]["selector"]].iter().any(|l| l[label] == value);
    let through = |s: &Value| {
        let ports = s["spec"]["ports"].as_array().into_iter().flatten();
        let found = ports
            .into_iter()
            .find(|p| p["port"] == mesh::PASSTHROUGH_PORT || p["targetPort"] == mesh::PASSTHROUGH_PORT);
        found.cloned()
    };
    let found = services(world, cluster, namespace).filter(|(_, s)| is(s)).find_map(|(k, s)| Some((k, s, through(s)?)));
    let Some((key, service, port)) = found else {
        let what = format!(
            "{}: no Service in {namespace} is an east-west gateway (label {label}={value}, port {})",
            cluster.name,
            mesh::PASSTHROUGH_PORT
        );
        let hint = "install Istio's east-west gateway, or write istio.eastWestGateway: {host: …} in the fleet";
        return Err(Problem::error("FCC0209", what).hint(hint));
    };
    reached(world, cluster, key, service, &port)
}

/// What must be read to find a cluster's east-west gateway.
pub fn east_west_wants(cluster: &Cluster) -> Vec<Want> {
    let namespace = cluster.istio.as_ref().map_or("istio-system", |i| i.namespace.as_str());
    let mut found = wants(&cluster.name, namespace);
    found.retain(|w| w.gvk.kind != "Node" || cluster.platform == Platform::NodePort);
    found
}

/// The URL of a cluster's proxy: `scheme://host:port` for ports named http or https, else `host:port`.
pub fn proxy_url(world: &World, cluster: &Cluster, name: &str, port: &str) -> Result<String, Problem> {
    let GatewayAddress { host, port: number } = service(world, cluster, name, port)?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(match port {
        "http" | "https" => format!("{port}://{host}:{number}"),
        _ => format!("{host}:{number}"),
    })
}

/// The URL of a cluster's Istio ingress gateway (its Service's port `http2`, as Istio's charts name it).
pub fn ingress_url(world: &World, cluster: &Cluster) -> Result<String, Problem> {
    let GatewayAddress { host, port } = named(world, cluster, istio_namespace(cluster), INGRESS, "http2")?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(format!("http://{host}:{port}"))
}

/// Istio's namespace on a cluster.
pub fn istio_namespace(cluster: &Cluster) -> &str {
    cluster.istio.as_ref().map_or("istio-system", |i| i.namespace.as_str())
}

/// Gloo's namespace on a cluster.
pub fn gloo_namespace(cluster: &Cluster) -> &str {
    cluster.gloo.as_ref().map_or("gloo-system", |g| g.namespace.as_str())
}

fn services<'a>(
    world: &'a World,
    cluster: &Cluster,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a ObjectKey, &'a Value)> {
    let all = world.all(cluster.name.as_str(), "", "Service");
    all.filter(move |(k, _)| k.namespace.as_deref() == Some(namespace))
}

fn port<'a>(service: &'a Value, name: &str) -> Option<&'a Value> {
    service.pointer("/spec/ports").and_then(Value::as_array)?.iter().find(|p| p["name"] == name)
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|n| u16::try_from(n).ok())
}

fn reach(
    world: &World,
    cluster: &Cluster,
    key: &ObjectKey,
    service: &Value,
    port_name: &str,
) -> Result<GatewayAddress, Problem> {
    let Some(port) = port(service, port_name) else {
        let names: Vec<_> = service["spec"]["ports"].as_array().into_iter().flatten().collect();
        let names: Vec<_> = names.iter().filter_map(|p| p["name"].as_str()).collect();
        let what = format!("{key} has no port named `{port_name}`");
        return Err(Problem::error("FCC0203", what).hint(format!("it has: {}", names.join(", "))));
    };
    reached(world, cluster, key, service, port)
}

fn reached(
    world: &World,
    cluster: &Cluster,
    key: &ObjectKey,
    service: &Value,
    port: &Value,
) -> Result<GatewayAddress, Problem> {
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP");
    match (kind, cluster.platform) {
        ("LoadBalancer", Platform::LoadBalancer) => load_balancer(key, service, port),
        ("LoadBalancer" | "NodePort", _) => node_port(world, cluster, key, port),
        (other, _) => {
            let what = format!("{key} has type {other}: it has no address outside the cluster");
            Err(Problem::error("FCC0204", what)
                .hint("make it a LoadBalancer or NodePort, or set spec.clusters[].gateway"))
        }
    }
}

fn load_balancer(key: &ObjectKey, service: &Value, port: &Value) -> Result<GatewayAddress, Problem> {
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    let host = ["hostname", "ip"].iter().find_map(|k| ingress[*k].as_str().filter(|h| !h.is_empty()));
    match (host, number(&port["port"])) {
        (Some(host), Some(port)) => Ok(GatewayAddress { host: host.to_string(), port }),
        _ => Err(Problem::error("FCC0205", format!("{key}: its load balancer has no address yet (pending)")).hint(
            "wait for it, set `platform: NodePort` where no load balancer exists, or set spec.clusters[].gateway",
        )),
    }
}

fn node_port(world: &World, cluster: &Cluster, key: &ObjectKey, port: &Value) -> Result<GatewayAddress, Problem> {
    let Some(port) = number(&port["nodePort"]) else {
        let what = format!("{key} has no nodePort yet");
        return Err(Problem::error("FCC0206", what).hint("is the Service of type NodePort or LoadBalancer?"));
    };
    let mut nodes: Vec<_> = world.all(cluster.name.as_str(), "", "Node").collect();
    nodes.sort_by_key(|(_, n)| !is_ready(n));
    let host = nodes.iter().find_map(|(_, node)| node_address(node));
    let none = || {
        let what = format!("{}: no node has an address, so the nodePort of {key} cannot be reached", cluster.name);
        Problem::error("FCC0207", what).hint("set spec.clusters[].gateway in the fleet document")
    };
    Ok(GatewayAddress { host: host.ok_or_else(none)?, port })
}

fn is_ready(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// An address others can use: external if there is one, else internal, as they stand in the list.
fn node_address(node: &Value) -> Option<String> {
    let list = node["status"]["addresses"].as_array().map_or(&[][..], Vec::as_slice);
    let of = |kind: &str| list.iter().find(|a| a["type"] == kind).and_then(|a| a["address"].as_str());
    of("ExternalIP").or_else(|| of("InternalIP")).map(str::to_string)
}
