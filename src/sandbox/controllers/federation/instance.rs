//! What Federation knows of one Gloo installation: where it is and how it is reached from outside.
//! What comes in: a registered cluster's objects, or a stored GlooInstance. What goes out: an `Instance`.
//! May not know: schemes, clients.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{deleting, is, label, list, name, namespace, number, selects, text};
use crate::sandbox::controllers::observed::Observed;

/// What is read of a registered cluster: what the registration's role allows, and no more.
pub const READS: &[Kind] = &[Kind::Node, Kind::Pod, Kind::Service, Kind::Deployment, Kind::Upstream];

/// Topology label of Nodes.
const REGION: &str = "topology.kubernetes.io/region";
/// Topology label of Nodes.
const ZONE: &str = "topology.kubernetes.io/zone";
/// Label of gateway proxies.
const PROXY: (&str, &str) = ("gloo", "gateway-proxy");
/// Label of the control plane.
const CONTROL: (&str, &str) = ("gloo", "gloo");

/// One Gloo installation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Instance {
    /// The name under which its cluster is registered.
    pub cluster: String,
    /// Region of the nodes that run its proxies.
    pub region: String,
    /// Version of the control plane, from its image's tag.
    pub version: String,
    /// Whether the control plane is the Enterprise edition's, from its image's name.
    pub enterprise: bool,
    /// Its gateway proxies.
    pub proxies: Vec<Proxy>,
}

/// One gateway proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    /// The Deployment's name.
    pub name: String,
    /// The Deployment's namespace.
    pub namespace: String,
    /// Version, from the image's tag.
    pub version: String,
    /// Pods: wanted, available, ready.
    pub replicas: [i64; 3],
    /// Zones of the nodes that run it, in order.
    pub zones: Vec<String>,
    /// How it is reached from outside.
    pub ingress: Vec<Ingress>,
}

/// One external address of a proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ingress {
    /// IP address or DNS name.
    pub address: String,
    /// The Service's name.
    pub service: String,
    /// Port names and numbers, as reached at that address.
    pub ports: Vec<(String, u16)>,
}

impl Instance {
    /// Reads a cluster.
    pub fn observe(cluster: &str, seen: &Observed, gloo: &str) -> Self {
        let part = |(key, value): (&'static str, &'static str)| {
            let found = seen.all(Kind::Deployment).filter(move |d| namespace(d) == gloo && !deleting(d));
            found.filter(move |d| label(&d["spec"]["template"], key) == Some(value))
        };
        let proxies: Vec<(Proxy, BTreeSet<&str>)> = part(PROXY).map(|d| proxy(d, seen)).collect();
        let control = part(CONTROL).next().map_or("", image);
        let region = proxies.iter().flat_map(|(_, regions)| regions).next();
        Instance {
            cluster: cluster.into(),
            region: region.map(|r| (*r).to_string()).unwrap_or_default(),
            version: tag(control).into(),
            enterprise: control.contains("gloo-ee"),
            proxies: proxies.into_iter().map(|(p, _)| p).collect(),
        }
    }

    /// Reads a stored GlooInstance.
    pub fn read(object: &Value) -> Self {
        let strings = |v: &Value, p: &str| list(v, p).iter().filter_map(|s| s.as_str().map(String::from)).collect();
        let port = |p: &Value| Some((text(p, "/name").to_string(), u16::try_from(number(p, "/port")?).ok()?));
        let ingress = |i: &Value| Ingress {
            address: text(i, "/address").into(),
            service: text(i, "/serviceName").into(),
            ports: list(i, "/ports").iter().filter_map(port).collect(),
        };
        let proxy = |p: &Value| Proxy {
            name: text(p, "/name").into(),
            namespace: text(p, "/namespace").into(),
            version: text(p, "/version").into(),
            replicas: ["/replicas", "/availableReplicas", "/readyReplicas"].map(|f| number(p, f).unwrap_or(0)),
            zones: strings(p, "/zones"),
            ingress: list(p, "/ingressEndpoints").iter().map(ingress).collect(),
        };
        Instance {
            cluster: text(object, "/spec/cluster").into(),
            region: text(object, "/spec/region").into(),
            version: text(object, "/spec/controlPlane/version").into(),
            enterprise: object["spec"]["isEnterprise"] == true,
            proxies: list(object, "/spec/proxies").iter().map(proxy).collect(),
        }
    }

    /// The GlooInstance that says it, in Federation's namespace.
    pub fn object(&self, federation: &str, gloo: &str) -> Value {
        let proxy = |p: &Proxy| {
            let port = |(name, port): &(String, u16)| json!({"name": name, "port": port});
            let ingress = |i: &Ingress| {
                json!({"address": i.address, "serviceName": i.service,
                    "ports": i.ports.iter().map(port).collect::<Vec<_>>()})
            };
            json!({
                "name": p.name, "namespace": p.namespace, "version": p.version, "workloadControllerType": "DEPLOYMENT",
                "replicas": p.replicas[0], "availableReplicas": p.replicas[1], "readyReplicas": p.replicas[2],
                "zones": p.zones, "ingressEndpoints": p.ingress.iter().map(ingress).collect::<Vec<_>>(),
            })
        };
        json!({
            "apiVersion": Kind::GlooInstance.api_version(), "kind": "GlooInstance",
            "metadata": {"name": format!("{}-{gloo}", self.cluster), "namespace": federation},
            "spec": {
                "cluster": self.cluster, "region": self.region,
                "isEnterprise": self.enterprise,
                "controlPlane": {"namespace": gloo, "version": self.version},
                "admin": {"writeNamespace": gloo},
                "proxies": self.proxies.iter().map(proxy).collect::<Vec<_>>(),
            },
        })
    }

    /// Its zone: the first in order, when its proxies run in several.
    pub fn zone(&self) -> &str {
        self.proxies.iter().flat_map(|p| &p.zones).min().map_or("", String::as_str)
    }

    /// External addresses with the port of that name, without repetition.
    pub fn addresses(&self, port: &str) -> BTreeSet<(&str, u16)> {
        let ingress = self.proxies.iter().flat_map(|p| &p.ingress);
        ingress
            .flat_map(|i| i.ports.iter().map(move |(name, number)| (name, i.address.as_str(), *number)))
            .filter(|(name, ..)| *name == port)
            .map(|(_, address, number)| (address, number))
            .collect()
    }
}

fn image(deployment: &Value) -> &str {
    text(deployment, "/spec/template/spec/containers/0/image")
}

fn tag(image: &str) -> &str {
    image.rsplit_once(':').map_or("", |(_, tag)| tag)
}

fn proxy<'a>(deployment: &'a Value, seen: &'a Observed) -> (Proxy, BTreeSet<&'a str>) {
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let nodes: Vec<&Value> = nodes_of(labels, namespace(deployment), seen);
    let services = seen.all(Kind::Service).filter(|s| namespace(s) == namespace(deployment) && !deleting(s));
    let ingress = services.filter(|s| selects(&s["spec"]["selector"], labels)).flat_map(|s| ingress(s, &nodes));
    let zones: BTreeSet<&str> = nodes.iter().filter_map(|n| label(n, ZONE)).collect();
    let count = |field: &str| number(deployment, field).unwrap_or(0);
    let proxy = Proxy {
        name: name(deployment).into(),
        namespace: namespace(deployment).into(),
        version: tag(image(deployment)).into(),
        replicas: ["/spec/replicas", "/status/availableReplicas", "/status/readyReplicas"].map(count),
        zones: zones.into_iter().map(String::from).collect(),
        ingress: ingress.collect(),
    };
    (proxy, nodes.iter().filter_map(|n| label(n, REGION)).collect())
}

/// The nodes that run a proxy's Pods, in the order of their names.
fn nodes_of<'a>(labels: &Value, space: &str, seen: &'a Observed) -> Vec<&'a Value> {
    let pods = seen.all(Kind::Pod).filter(|p| namespace(p) == space && !deleting(p));
    let names: BTreeSet<&str> =
        pods.filter(|p| selects(labels, &p["metadata"]["labels"])).map(|p| text(p, "/spec/nodeName")).collect();
    seen.all(Kind::Node).filter(|n| names.contains(name(n))).collect()
}

/// External addresses of a Service: a LoadBalancer's ingress, or the proxies' nodes with the NodePorts.
/// A LoadBalancer without an address has none yet.
fn ingress(service: &Value, nodes: &[&Value]) -> Vec<Ingress> {
    let ports = |field: &str| {
        let port = |p: &Value| Some((text(p, "/name").to_string(), u16::try_from(number(p, field)?).ok()?));
        list(service, "/spec/ports").iter().filter_map(port).collect::<Vec<_>>()
    };
    let at = |address: &str, ports: Vec<(String, u16)>| Ingress {
        address: address.into(),
        service: name(service).into(),
        ports,
    };
    match text(service, "/spec/type") {
        "LoadBalancer" => list(service, "/status/loadBalancer/ingress")
            .iter()
            .map(|i| if text(i, "/hostname").is_empty() { text(i, "/ip") } else { text(i, "/hostname") })
            .filter(|address| !address.is_empty())
            .map(|address| at(address, ports("/port")))
            .collect(),
        "NodePort" => {
            let ready = nodes.iter().filter(|n| is(n, "Ready"));
            ready.filter_map(|n| node_address(n)).map(|a| at(a, ports("/nodePort"))).collect()
        }
        _ => Vec::new(),
    }
}

/// A node's ExternalIP, else its InternalIP.
fn node_address(node: &Value) -> Option<&str> {
    let of =
        |kind: &str| list(node, "/status/addresses").iter().find(|a| a["type"] == kind).map(|a| text(a, "/address"));
    of("ExternalIP").or_else(|| of("InternalIP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(service: Value) -> Observed {
        Observed::of([
            json!({"apiVersion": "v1", "kind": "Node",
                "metadata": {"name": "edge", "labels": {REGION: "us-west-1", ZONE: "us-west-1a"}},
                "status": {"conditions": [{"type": "Ready", "status": "True"}],
                    "addresses": [{"type": "InternalIP", "address": "127.30.16.4"}]}}),
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker", "labels": {REGION: "elsewhere"}}}),
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "gw-1", "namespace": "gloo-system", "labels": {"gloo": "gateway-proxy", "gateway-proxy": "live"}},
                "spec": {"nodeName": "edge"}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "gateway-proxy", "namespace": "gloo-system"},
                "spec": {"replicas": 1, "template": {
                    "metadata": {"labels": {"gloo": "gateway-proxy", "gateway-proxy": "live"}},
                    "spec": {"containers": [{"image": "envoyproxy/envoy:v1.40.0"}]}}},
                "status": {"availableReplicas": 1, "readyReplicas": 1}}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "gloo", "namespace": "gloo-system"},
                "spec": {"replicas": 0, "template": {"metadata": {"labels": {"gloo": "gloo"}},
                    "spec": {"containers": [{"image": "quay.io/solo-io/gloo-ee:1.18.3"}]}}}}),
            service,
        ])
    }

    fn failover(kind: &str, ingress: Value) -> Value {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "failover", "namespace": "gloo-system"},
            "spec": {"type": kind, "selector": {"gateway-proxy": "live"},
                "ports": [{"name": "failover", "port": 15443, "nodePort": 32000}]},
            "status": {"loadBalancer": {"ingress": ingress}}})
    }

    #[test]
    fn a_load_balancers_address_is_found_and_survives_being_stored() {
        let seen = cluster(failover("LoadBalancer", json!([{"ip": "127.30.17.2"}])));
        let instance = Instance::observe("remote", &seen, "gloo-system");
        assert_eq!(instance.addresses("failover").into_iter().collect::<Vec<_>>(), [("127.30.17.2", 15443)]);
        assert_eq!((instance.region.as_str(), instance.zone()), ("us-west-1", "us-west-1a"));
        let object = instance.object("gloo-system", "gloo-system");
        assert_eq!(object["metadata"]["name"], "remote-gloo-system");
        assert_eq!(
            (&object["spec"]["isEnterprise"], &object["spec"]["controlPlane"]["version"]),
            (&json!(true), &json!("1.18.3"))
        );
        assert_eq!(Instance::read(&object), instance);
    }

    #[test]
    fn a_node_port_is_reached_at_the_node_that_runs_the_proxy() {
        let instance = Instance::observe("remote", &cluster(failover("NodePort", json!(null))), "gloo-system");
        assert_eq!(instance.addresses("failover").into_iter().collect::<Vec<_>>(), [("127.30.16.4", 32000)]);
    }

    #[test]
    fn a_pending_load_balancer_has_no_address_and_another_port_is_no_failover_port() {
        let instance = Instance::observe("remote", &cluster(failover("LoadBalancer", json!(null))), "gloo-system");
        assert!(instance.addresses("failover").is_empty());
        let seen = cluster(failover("LoadBalancer", json!([{"ip": "127.30.17.2"}])));
        assert!(Instance::observe("remote", &seen, "gloo-system").addresses("http").is_empty());
    }

    #[test]
    fn a_service_that_does_not_select_the_proxy_is_no_entry() {
        let mut service = failover("LoadBalancer", json!([{"ip": "127.30.17.2"}]));
        service["spec"]["selector"] = json!({"app": "other"});
        assert!(Instance::observe("remote", &cluster(service), "gloo-system").addresses("failover").is_empty());
    }
}
