//! Networks: which endpoints a proxy is shown, and through which gateways it reaches those of other networks.
//! What comes in: the objects of a cluster, a proxy, endpoints. What goes out: the endpoints that proxy has.
//! Rules: Istio's pilot/pkg/xds/endpoints/ep_filters.go, its network managers and ProxyView.
//!
//! An endpoint of a network with a known gateway is replaced by that gateway, which keeps its place and loses its labels. Of a
//! network without one the address is used as it is: a gateway's own address in a ServiceEntry needs none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::client::Client;
use super::place::{Place, label};
use super::scene::Scene;
use super::service::{Instance, Port, Service};
use super::{origin, topology};
use crate::manifest::World;
use crate::model::name::ClusterName;
use crate::routing::Origin;
use crate::yaml;

/// The port of a gateway between networks, unless a label says another.
const PORT: u16 = 15443;
/// The label with that port.
const PORT_LABEL: &str = "networking.istio.io/gatewayPort";
/// Key of the mesh's ConfigMap that lists networks.
const NETWORKS_KEY: &str = "meshNetworks";

/// A gateway into a network, at one address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    address: String,
    port: u16,
    /// Its cluster; empty is not known.
    cluster: String,
}

/// The gateways that are known, by network.
#[derive(Debug, Default)]
pub struct Gateways(BTreeMap<String, BTreeSet<Gateway>>);

impl Gateways {
    /// Those of labelled Services, of Gateways of the Gateway API, and of the mesh's list of networks.
    pub fn read(world: &World, cluster: &ClusterName, mesh: Option<&Value>) -> Gateways {
        let mut all = Gateways::default();
        all.add_services(world, cluster);
        let mut add = |network: &str, address: &str, port: u16, cluster: &str| {
            let gateway = Gateway { address: address.into(), port, cluster: cluster.into() };
            all.0.entry(network.into()).or_default().insert(gateway);
        };
        let own = cluster.as_str();
        for (_, gateway) in world.all(own, "gateway.networking.k8s.io", "Gateway") {
            let Some(network) = label(gateway, topology::NETWORK) else { continue };
            for port in passing(gateway) {
                let addresses = list(gateway, "/spec/addresses").filter(|a| a.get("type").is_some());
                let addresses = addresses.filter_map(|a| a.get("value")?.as_str());
                addresses.for_each(|address| add(network, address, port, own));
            }
        }
        for (network, said) in networks(mesh) {
            for gateway in list(&said, "/gateways") {
                let address = gateway.get("address").and_then(Value::as_str).filter(|a| !a.is_empty());
                if let (Some(address), Some(port)) = (address, number(gateway.get("port"))) {
                    add(&network, address, port, "");
                }
            }
        }
        all
    }

    /// Adds the Services of a cluster that are labelled as gateways.
    pub fn add_services(&mut self, world: &World, cluster: &ClusterName) {
        for (_, service) in world.all(cluster.as_str(), "", "Service") {
            if let (Some(network), Some(port)) = (label(service, topology::NETWORK), service_port(service)) {
                let gateway = |address: &str| Gateway { address: address.into(), port, cluster: cluster.to_string() };
                self.0.entry(network.into()).or_default().extend(outside(service).into_iter().map(gateway));
            }
        }
    }

    /// The ways into a network, those of the endpoint's own cluster if it has any.
    pub fn to(&self, network: &str, cluster: &str) -> Vec<&Gateway> {
        let all: Vec<&Gateway> = self.0.get(network).into_iter().flatten().collect();
        let near: Vec<&Gateway> = all.iter().copied().filter(|g| g.cluster == cluster).collect();
        if near.is_empty() { all } else { near }
    }

    /// By what weights are multiplied so that every network's can be shared among its gateways.
    fn scale(&self) -> u32 {
        let mut counts: Vec<usize> = Vec::new();
        for gateways in self.0.values() {
            counts.push(gateways.len());
            let clusters: BTreeSet<&str> = gateways.iter().map(|g| g.cluster.as_str()).collect();
            counts.extend(clusters.iter().map(|c| gateways.iter().filter(|g| g.cluster == *c).count()));
        }
        let common = |a: u32, b: usize| {
            let b = u32::try_from(b).unwrap_or(1);
            a / gcd(a, b) * b
        };
        counts.into_iter().fold(1, common)
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The endpoints as a proxy has them: what it may see, with gateways in the place of what lies behind them. `mtls` tells of
/// an endpoint whether it is spoken to by Istio's mTLS; nothing else gets through such a gateway.
pub fn reached(
    client: &Client,
    service: &Service,
    port: &Port,
    wanted: Vec<&Instance>,
    mtls: &dyn Fn(&Instance) -> bool,
) -> Vec<Instance> {
    let (own, known) = (client.workload.network.as_str(), &client.scene.gateways);
    let scale = known.scale();
    let mut all = Vec::new();
    let mut ways: BTreeMap<(&Place, &str, &Gateway), u32> = BTreeMap::new();
    for instance in wanted.into_iter().filter(|i| client.sees(&i.network)) {
        let cluster = instance.labels.get(topology::CLUSTER).map_or("", String::as_str);
        let gateways = known.to(&instance.network, cluster);
        let here = instance.network.is_empty() || instance.network == own;
        let weight = instance.weight.filter(|w| *w > 0).map(|w| w.saturating_mul(scale));
        let weight = weight.or((scale > 1).then_some(scale));
        if here || gateways.is_empty() {
            if !instance.address.is_empty() {
                all.push(Instance { weight, ..instance.clone() });
            }
        } else if mtls(instance) {
            let share = weight.unwrap_or(1) / u32::try_from(gateways.len()).unwrap_or(u32::MAX);
            for gateway in gateways {
                *ways.entry((&instance.place, &instance.network, gateway)).or_default() += share;
            }
        }
    }
    let ways = ways.into_iter().map(|((place, network, gateway), weight)| Instance {
        origin: behind(client, service, port, gateway),
        labels: topology::Topology { cluster: &gateway.cluster, place: &Place::default(), node: "", network }
            .added_to(&BTreeMap::new()),
        place: place.clone(),
        network: network.into(),
        sidecar: true,
        weight: Some(weight.max(1)),
        ..Instance::at(&gateway.address, gateway.port)
    });
    all.extend(ways);
    all
}

/// What stands behind a gateway; nobody where its cluster does not let the host through, which is a finding.
fn behind(client: &Client, service: &Service, port: &Port, gateway: &Gateway) -> Option<Origin> {
    let Gateway { address, port: number, cluster } = gateway;
    let origin = origin::behind(client.scene, address, *number, &service.host, port.number);
    if origin.is_none() && !cluster.is_empty() {
        let what =
            format!("the gateway of {cluster} at {address}:{number} has no Gateway that lets {} through", service.host);
        service.object.at(&client.log).warn("FCT0555", what);
    }
    origin
}

/// Of a Service that is labelled as a gateway: the port its network is entered by, if it has it.
fn service_port(service: &Value) -> Option<u16> {
    let wanted = label(service, PORT_LABEL).and_then(|p| p.parse().ok()).unwrap_or(PORT);
    list(service, "/spec/ports").any(|p| number(p.get("port")) == Some(wanted)).then_some(wanted)
}

/// Addresses of a Service outside its cluster.
fn outside(service: &Value) -> Vec<&str> {
    let ingress = list(service, "/status/loadBalancer/ingress");
    let balanced = ingress.filter_map(|i| i.get("ip").or_else(|| i.get("hostname"))?.as_str());
    balanced.chain(list(service, "/spec/externalIPs").filter_map(Value::as_str)).collect()
}

/// The listeners of a Gateway of the Gateway API that pass TLS on by its names.
fn passing(gateway: &Value) -> Vec<u16> {
    let wanted = label(gateway, PORT_LABEL).and_then(|p| p.parse().ok()).unwrap_or(PORT);
    let passes = |l: &&Value| {
        let option = l.pointer("/tls/options/gateway.istio.io~1listener-protocol").and_then(Value::as_str);
        l.get("tls").is_some() && (option == Some("auto-passthrough") || number(l.get("port")) == Some(wanted))
    };
    list(gateway, "/spec/listeners").filter(passes).filter_map(|l| number(l.get("port"))).collect()
}

/// The mesh's list of networks.
fn networks(mesh: Option<&Value>) -> Vec<(String, Value)> {
    let text = mesh.and_then(|m| m.get("data")?.get(NETWORKS_KEY)?.as_str());
    let parsed = text.and_then(|t| yaml::parse(t).ok()).and_then(|d| d.into_iter().next());
    let all = parsed.and_then(|d| d.value.get("networks").and_then(Value::as_object).cloned());
    all.into_iter().flatten().collect()
}

/// The network that the mesh's list gives to a whole cluster, by `fromRegistry`.
pub fn of_registry(mesh: Option<&Value>, cluster: &ClusterName) -> Option<String> {
    let own = |said: &Value| {
        list(said, "/endpoints").any(|e| e.get("fromRegistry").and_then(Value::as_str) == Some(cluster.as_str()))
    };
    networks(mesh).into_iter().find(|(_, said)| own(said)).map(|(network, _)| network)
}

fn list<'v>(object: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    object.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn number(value: Option<&Value>) -> Option<u16> {
    value.and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok())
}

/// Whether some gateway leads into a network, for an endpoint that has no address of its own.
pub fn leads_into(scene: &Scene, network: &str) -> bool {
    !scene.gateways.to(network, "").is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(counts: &[(&str, &str, usize)]) -> Gateways {
        let mut all = Gateways::default();
        for (network, cluster, count) in counts {
            let gateway = |n| Gateway { address: format!("192.0.2.{n}"), port: PORT, cluster: cluster.to_string() };
            all.0.entry(network.to_string()).or_default().extend((0..*count).map(gateway));
        }
        all
    }

    #[test]
    fn gateways_of_the_endpoints_own_cluster_come_first() {
        let all = gateways(&[("net", "east", 1), ("net", "west", 2)]);
        assert_eq!([all.to("net", "east").len(), all.to("net", "").len(), all.to("other", "east").len()], [1, 3, 0]);
    }

    #[test]
    fn weights_grow_until_every_network_can_share_them() {
        assert_eq!(Gateways::default().scale(), 1);
        assert_eq!(gateways(&[("a", "east", 1), ("b", "west", 1)]).scale(), 1);
        assert_eq!(gateways(&[("a", "east", 2), ("b", "west", 3)]).scale(), 6);
    }
}
