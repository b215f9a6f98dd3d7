//! Fleets whose clusters answer one Service under its own name, at random: documents, and the clusters before failctl.
//! What comes in: nothing. What goes out: an intent that tells both. Shared by everybody who reads what is compiled.

use failctl::manifest::World;
use failctl::model::name::ClusterName;
use failctl::spec::{self, Documents, Source};
use proptest::prelude::*;
use serde_json::{Value, json};

/// One failover of target istioLocality on two to four clusters.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Clusters by number; each has a network of its own.
    pub clusters: usize,
    /// The order: groups of numbers, none twice. The others lack the Service.
    pub order: Vec<Vec<usize>>,
    /// The callers that the document names; else those of the order.
    pub callers: Option<Vec<usize>>,
    /// Weights by cluster, where the document gives them.
    pub weights: Option<Vec<u32>>,
    /// Ready Pods by cluster.
    pub replicas: Vec<usize>,
    /// Whether all meshes have one trust domain.
    pub one_domain: bool,
    /// Retries.
    pub attempts: u32,
    /// Whether any request may be repeated.
    pub idempotent: bool,
    /// Whether gateways have DNS names.
    pub names: bool,
}

/// Where the Service is: namespace, name, port.
pub const SERVICE: (&str, &str, u16) = ("shop", "orders", 8080);

/// Any of them, with gateways that have addresses.
pub fn joined() -> impl Strategy<Value = Joined> {
    (2usize..=4).prop_flat_map(|n| {
        let order = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
        let callers = proptest::option::of(proptest::sample::subsequence((0..n).collect::<Vec<_>>(), 1..=n));
        let weights = proptest::option::of(proptest::collection::vec(1u32..9, n));
        let cuts = proptest::collection::vec(any::<bool>(), n);
        let parts = (order, 2..=n, cuts, callers, weights, proptest::collection::vec(1usize..4, n));
        (parts, any::<[bool; 2]>(), 0u32..7).prop_map(move |(parts, [one_domain, idempotent], attempts)| {
            let (order, answering, cuts, callers, weights, replicas) = parts;
            let mut groups: Vec<Vec<usize>> = Vec::new();
            for (i, cluster) in order.into_iter().take(answering).enumerate() {
                // At least two groups: the second cluster always begins one.
                match groups.last_mut() {
                    Some(last) if i != 1 && !cuts[i] => last.push(cluster),
                    _ => groups.push(vec![cluster]),
                }
            }
            let names = false;
            Joined { clusters: n, order: groups, callers, weights, replicas, one_domain, attempts, idempotent, names }
        })
    })
}

/// The name of a cluster.
pub fn cluster(i: usize) -> ClusterName {
    ClusterName::new(format!("c{i}")).unwrap()
}

impl Joined {
    /// The clusters of the callers.
    pub fn calling(&self) -> Vec<usize> {
        self.callers.clone().unwrap_or_else(|| self.order.iter().flatten().copied().collect())
    }

    /// Whether a cluster has Pods of the Service.
    pub fn answers(&self, i: usize) -> bool {
        self.order.iter().flatten().any(|c| *c == i)
    }

    /// What callers in a cluster were promised: their own Pods, then the others in order.
    pub fn asked(&self, caller: usize) -> Vec<Vec<usize>> {
        let own = self.answers(caller).then(|| vec![caller]);
        let others = self.order.iter().map(|g| g.iter().copied().filter(|c| *c != caller).collect::<Vec<_>>());
        let mut all: Vec<Vec<usize>> = own.into_iter().chain(others.filter(|g| !g.is_empty())).collect();
        all.iter_mut().for_each(|g| g.sort_unstable());
        all
    }

    /// The trust domain of a cluster.
    pub fn domain(&self, i: usize) -> String {
        if self.one_domain { "mesh".into() } else { format!("c{i}") }
    }

    /// Where a cluster's gateway is reached.
    pub fn host(&self, i: usize) -> String {
        if self.names { format!("c{i}.lb.example.com") } else { format!("192.0.2.{i}") }
    }

    /// The fleet and the failover.
    pub fn documents(&self) -> Documents {
        let clusters: Vec<Value> = (0..self.clusters)
            .map(|i| {
                json!({"name": format!("c{i}"), "trustDomain": self.domain(i), "region": format!("r{i}"), "zone": "z",
                    "istio": {"version": "1.30.0", "eastWestGateway": {"host": self.host(i)}}})
            })
            .collect();
        let member = |i: &usize| match &self.weights {
            Some(weights) => json!({"name": format!("c{i}"), "weight": weights[*i]}),
            None => json!({"name": format!("c{i}")}),
        };
        let order: Vec<Value> =
            self.order.iter().map(|g| json!({"clusters": g.iter().map(member).collect::<Vec<_>>()})).collect();
        let mut mesh = json!({});
        if let Some(callers) = &self.callers {
            mesh["callers"] = callers.iter().map(|i| format!("c{i}")).collect();
        }
        let (namespace, name, port) = SERVICE;
        let text = [
            json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "law"}, "spec": {"clusters": clusters}}),
            json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Failover", "metadata": {"name": "law"}, "spec": {
                "service": {"namespace": namespace, "name": name, "port": port}, "order": order, "target": "istioLocality",
                "detection": {"outlierDetection": {"consecutive5xx": 1, "interval": "1s", "baseEjectionTime": "10s"}},
                "retries": {"attempts": self.attempts, "idempotent": self.idempotent}, "mesh": mesh}}),
        ];
        let body = text.map(|t| t.to_string()).join("\n---\n");
        let source = Source { name: "law.yaml".into(), cluster: None, body: body.clone() };
        spec::read(vec![source]).unwrap_or_else(|p| panic!("{p:#?}\n{body}"))
    }

    /// The clusters before failctl: settings, networks, gateways that see their own, the Service where it is, a caller.
    pub fn before(&self) -> World {
        let mut world = World::default();
        for i in 0..self.clusters {
            let mut all = self.mesh(i);
            if self.answers(i) {
                all.extend(self.service(i));
            }
            all.push(pod("callers", "caller", "caller", "caller", &format!("10.{i}.0.5"), "sidecar", i));
            // Places count only where the order is told by region.
            for pod in all.iter_mut().filter(|o| o["kind"] == "Pod" && self.names) {
                pod["metadata"]["labels"]["topology.istio.io/locality"] = format!("r{i}.z").into();
            }
            all.into_iter().for_each(|o| drop(world.insert(&cluster(i), o).unwrap()));
        }
        world
    }

    fn mesh(&self, i: usize) -> Vec<Value> {
        let others: Vec<String> = (0..self.clusters).filter(|o| *o != i).map(|o| self.domain(o)).collect();
        let mesh = json!({"trustDomain": self.domain(i), "trustDomainAliases": others, "proxyHttpPort": 15002});
        vec![
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system",
                "labels": {"topology.istio.io/network": format!("c{i}")}}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
                "data": {"mesh": mesh.to_string()}}),
            pod("istio-system", "edge", "istio-eastwestgateway", "edge", &format!("10.{i}.0.9"), "router", i),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system"},
                "spec": {"type": "LoadBalancer", "selector": {"istio": "eastwestgateway"}, "ports": [{"name": "tls", "port": 15443, "targetPort": 15443}]},
                "status": {"loadBalancer": {"ingress": [if self.names { json!({"hostname": self.host(i)}) } else { json!({"ip": self.host(i)}) }]}}}),
        ]
    }

    fn service(&self, i: usize) -> Vec<Value> {
        let (namespace, name, port) = SERVICE;
        let pods = 0..self.replicas[i];
        let address = |n: usize| format!("10.{i}.1.{n}");
        let endpoint = |n| json!({"addresses": [address(n)], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": format!("server-{n}")}});
        let mut all = vec![
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": port, "targetPort": 9000}]}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"name": "http", "port": 9000}], "endpoints": pods.clone().map(endpoint).collect::<Vec<_>>()}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
                "status": {"readyReplicas": self.replicas[i]},
                "spec": {"selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
                    "spec": {"serviceAccountName": account(i), "containers": [{"name": "app", "image": "x"}]}}}}),
        ];
        for n in pods {
            let mut pod = pod(namespace, &format!("server-{n}"), name, &account(i), &address(n), "sidecar", i);
            pod["metadata"]["ownerReferences"] =
                json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "u"}]);
            all.push(pod);
        }
        all
    }
}

/// Whom a cluster's Pods run as.
pub fn account(i: usize) -> String {
    format!("orders-of-c{i}")
}

fn pod(namespace: &str, name: &str, app: &str, account: &str, ip: &str, role: &str, i: usize) -> Value {
    let mut labels =
        json!({"app": app, "security.istio.io/tlsMode": "istio", "topology.istio.io/network": format!("c{i}")});
    if role == "router" {
        labels = json!({"app": app, "istio": "eastwestgateway", "topology.istio.io/network": format!("c{i}")});
    }
    let view = json!([{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": format!("c{i}")}]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"serviceAccountName": account, "containers": [
            {"name": "app", "image": "x"},
            {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.30.0", "args": ["proxy", role],
                "env": if role == "router" { view } else { json!([]) }}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]}})
}
