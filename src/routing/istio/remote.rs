//! The clusters that istiod of a cluster reads besides its own: those whose kubeconfigs it has as remote secrets. What comes
//! in: a world. What goes out: names. May not know: what the kubeconfigs hold. Rules: Istio's pkg/kube/multicluster.

use super::place::label;
use crate::manifest::World;
use crate::model::name::ClusterName;

/// The label of remote secrets.
const LABEL: (&str, &str) = ("istio/multiCluster", "true");

/// Clusters of the world that a cluster has remote secrets for; every key of one is a cluster's name.
pub fn clusters<'a>(world: &'a World, own: &ClusterName, namespace: &str) -> Vec<&'a ClusterName> {
    let secrets = world
        .all(own.as_str(), "", "Secret")
        .filter(|(k, s)| k.namespace.as_deref() == Some(namespace) && label(s, LABEL.0).is_some_and(|v| v == LABEL.1));
    let maps = secrets.flat_map(|(_, s)| ["data", "stringData"].into_iter().filter_map(|f| s.get(f)?.as_object()));
    let named = maps.flat_map(|map| map.keys().map(String::as_str)).filter(|name| *name != own.as_str());
    let mut found: Vec<&ClusterName> = named.filter_map(|n| Some(world.clusters.get_key_value(n)?.0)).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::routing::istio::{Mesh, workloads};

    fn name(cluster: &str) -> ClusterName {
        ClusterName::new(cluster).unwrap()
    }

    fn pod(app: &str, ip: &str, region: &str) -> Value {
        let labels = json!({"app": app, "security.istio.io/tlsMode": "istio", "topology.istio.io/locality": region});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": app, "namespace": "shop", "labels": labels},
            "spec": {"containers": [{"name": "istio-proxy", "args": ["proxy", "sidecar"],
                "env": [{"name": "ISTIO_META_NETWORK", "value": format!("{region}-net")}]}]},
            "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}})
    }

    /// Two clusters with one Service, each in a network of its own, and a caller in the first.
    fn world(registered: bool, gateway: bool) -> World {
        let mut world = World::default();
        for (cluster, ip) in [("east", "10.1.0.1"), ("west", "10.2.0.1")] {
            let network = json!({"topology.istio.io/network": format!("{cluster}-net")});
            let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
                "spec": {"ports": [{"name": "http", "port": 80}]}});
            let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": "web", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [ip], "targetRef": {"kind": "Pod", "name": "web"}}]});
            let system = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system", "labels": network}});
            for object in [service, slice, system, pod("web", ip, cluster)] {
                world.insert(&name(cluster), object).unwrap();
            }
            if gateway {
                let service = json!({"apiVersion": "v1", "kind": "Service",
                    "metadata": {"name": "gateway", "namespace": "istio-system", "labels": network},
                    "spec": {"ports": [{"name": "tls", "port": 15443}]},
                    "status": {"loadBalancer": {"ingress": [{"ip": format!("192.0.2.{}", cluster.len() + ip.len())}, {"ip": "192.0.2.99"}]}}});
                world.insert(&name(cluster), service).unwrap();
            }
        }
        world.insert(&name("east"), pod("caller", "10.1.0.9", "east")).unwrap();
        let rule = json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"host": "web", "trafficPolicy": {"outlierDetection": {"maxEjectionPercent": 100}}}});
        world.insert(&name("east"), rule).unwrap();
        if registered {
            let secret = json!({"apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "istio-remote-secret-west", "namespace": "istio-system", "labels": {"istio/multiCluster": "true"}},
                "data": {"west": ""}});
            world.insert(&name("east"), secret).unwrap();
        }
        world
    }

    /// Addresses by priority as the caller has them.
    fn reached(world: &World) -> Vec<Vec<String>> {
        let cluster = name("east");
        let caller = workloads(world, &cluster).into_iter().find(|w| w.name == "caller").unwrap();
        let proxy = Mesh::read(world, &cluster).proxy(&caller);
        let upstream = &proxy.upstreams["outbound|80||web.shop.svc.cluster.local"];
        let address = |e: &crate::routing::Endpoint| format!("{}:{} {}", e.address, e.port, e.weight.unwrap_or(1));
        upstream.levels.iter().map(|l| l.localities.iter().flat_map(|p| &p.endpoints).map(address).collect()).collect()
    }

    #[test]
    fn pods_of_a_remote_cluster_come_behind_the_own_ones() {
        assert_eq!(reached(&world(false, false)), [["10.1.0.1:8080 1"]]);
        assert_eq!(reached(&world(true, false)), [["10.1.0.1:8080 1"], ["10.2.0.1:8080 1"]]);
    }

    #[test]
    fn in_another_network_they_are_reached_through_its_gateways_which_share_their_weight() {
        let levels = reached(&world(true, true));
        assert_eq!(levels[0], ["10.1.0.1:8080 2"]);
        assert_eq!(levels[1], ["192.0.2.12:15443 1", "192.0.2.99:15443 1"]);
    }

    #[test]
    fn a_proxy_does_not_have_what_it_did_not_ask_to_see() {
        let mut world = world(true, false);
        let mut objects = world.clusters.get_mut(&name("east")).unwrap().by_key.values_mut();
        let caller = objects.find(|o| o["metadata"]["name"] == "caller").unwrap();
        let env = caller.pointer_mut("/spec/containers/0/env").and_then(Value::as_array_mut).unwrap();
        env.push(json!({"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": "east-net"}));
        assert_eq!(reached(&world), [["10.1.0.1:8080 1"]]);
    }
}
