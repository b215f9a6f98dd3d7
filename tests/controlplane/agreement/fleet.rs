//! Failovers at random among the ring's clusters, and the objects that are there before failctl: Services with their pods,
//! callers, gateways. Each failover has namespaces of its own, so that many of them share the same clusters.

use serde_json::{Value, json};

use super::garnish::{self, State};
use crate::dice::Dice;

/// Clusters of the ring; every failover is about two to four of them.
pub const CLUSTERS: usize = 4;
/// Failovers that have addresses for their pods.
pub const MOST: u64 = 250;
/// Where a sidecar is its application's HTTP proxy.
const HTTP_PROXY_PORT: u16 = 15002;

const AGGREGATE: &str = "istioAggregate";
/// What failovers are compiled to.
const TARGETS: [&str; 2] = [AGGREGATE, "istioLocality"];

/// The name of a cluster.
pub fn cluster(i: usize) -> String {
    format!("c{i}")
}

/// The prefixes of failovers that a text holds.
pub fn prefixes(text: &str) -> Vec<&str> {
    let starts = text.match_indices('f').map(|(at, _)| at);
    let starts = starts.filter(|at| !text[..*at].ends_with(|c: char| c.is_ascii_alphanumeric()));
    let words = starts.filter_map(|at| text.get(at..at + 5));
    words.filter(|w| w.ends_with('-') && w[1..4].bytes().all(|b| b.is_ascii_digit())).collect()
}

/// One cluster's part in a failover.
struct Member {
    cluster: usize,
    own_name: bool,
    port: u16,
    target: u16,
    account: String,
    /// Pods by their place and state.
    pods: Vec<(Where, State)>,
}

/// How a pod is told where it is.
enum Where {
    Node(&'static str),
    Label(&'static str),
    Nowhere,
}

/// One failover.
pub struct Case {
    /// Its number, which its names and addresses carry.
    pub number: u64,
    target: &'static str,
    /// Priority groups, the primary's first.
    groups: Vec<Vec<Member>>,
    weights: Option<u32>,
    caller: Where,
    /// The network of the caller's proxy and what it asks to see.
    environment: Value,
    /// What users wrote beside it, on the primary.
    garnish: Vec<Value>,
    elsewhere: bool,
    errors: usize,
    attempts: usize,
    idempotent: bool,
}

const NODES: [(&str, &str, &str); 4] =
    [("here", "eu-central", "a"), ("near", "eu-central", "b"), ("far", "us-east", "a"), ("lost", "", "")];

impl Case {
    /// The failover of a seed.
    pub fn new(seed: u64) -> Case {
        let mut dice = Dice::new(seed);
        let count = 2 + dice.roll(CLUSTERS - 1);
        let clusters: Vec<usize> = dice.shuffled((0..CLUSTERS).collect()).into_iter().take(count).collect();
        let target = dice.one_of(&TARGETS);
        // An aggregate cluster has one cluster for each priority; who joins a Service's own endpoints has its name.
        let (several, renamed) = (target != AGGREGATE, target == AGGREGATE);
        let mut groups: Vec<Vec<Member>> = Vec::new();
        for (nth, cluster) in clusters.into_iter().enumerate() {
            let member = member(cluster, nth > 0 && renamed && dice.one_in(2), &mut dice);
            match groups.last_mut().filter(|_| several && nth > 1 && dice.one_in(4)) {
                Some(group) => group.push(member),
                None => groups.push(vec![member]),
            }
        }
        let (primary, shop) = (groups[0][0].cluster, format!("f{seed:03}-shop"));
        let extra: Vec<(String, String)> =
            (0..dice.roll(3)).map(|n| (format!("extra-{n}"), address(seed, primary, 20 + n))).collect();
        let mut garnish = garnish::objects(&shop, &extra, &mut dice);
        for (name, address) in &extra {
            let labels =
                if dice.one_in(2) { json!({"app": "extra", "version": "v1"}) } else { json!({"app": "extra"}) };
            garnish.push(pod(&shop, name, labels, "extra", address, &place(&mut dice), true));
        }
        Case {
            number: seed,
            target,
            groups,
            weights: dice.one_in(3).then(|| 1 + dice.roll(9) as u32),
            caller: place(&mut dice),
            environment: garnish::environment(&format!("{}-net", cluster(primary)), &mut dice),
            garnish,
            elsewhere: dice.one_in(3),
            errors: 1 + dice.roll(8),
            attempts: dice.roll(7),
            idempotent: dice.one_in(2),
        }
    }

    /// What every name of this failover begins with; no other failover's name holds it.
    pub fn prefix(&self) -> String {
        format!("f{:03}-", self.number)
    }

    fn namespace(&self, of: &str) -> String {
        format!("{}{of}", self.prefix())
    }

    /// Namespaces on every cluster.
    pub fn namespaces(&self) -> [String; 3] {
        ["shop", "own", "callers"].map(|n| self.namespace(n))
    }

    /// Namespace, name and port of the Service on a member.
    fn service(&self, member: &Member) -> (String, String, u16) {
        match member.own_name {
            true => (self.namespace("own"), format!("of-{}", cluster(member.cluster)), member.port),
            false => (self.namespace("shop"), "orders".into(), self.groups[0][0].port),
        }
    }

    /// The clusters whose pods and gateways are looked at.
    pub fn clusters(&self) -> Vec<usize> {
        self.groups.iter().flatten().map(|m| m.cluster).collect()
    }

    /// The failover's document.
    pub fn document(&self) -> Value {
        let named = |member: &Member| {
            let (namespace, name, port) = self.service(member);
            let mut named = json!({"name": cluster(member.cluster)});
            if member.own_name {
                named["service"] = json!({"namespace": namespace, "name": name, "port": port});
            }
            named
        };
        let group = |members: &Vec<Member>| {
            let mut all: Vec<Value> = members.iter().map(named).collect();
            if let Some(weight) = self.weights.filter(|_| members.len() > 1) {
                all.iter_mut().enumerate().for_each(|(i, c)| c["weight"] = json!(weight + i as u32));
            }
            json!({"clusters": all})
        };
        let (namespace, name, port) = self.service(&self.groups[0][0]);
        let detection = json!({"consecutive5xx": self.errors, "interval": "1s", "baseEjectionTime": "10s"});
        json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Failover", "metadata": {"name": format!("{}order", self.prefix())},
            "spec": {"service": {"namespace": namespace, "name": name, "port": port},
                "order": self.groups.iter().map(group).collect::<Vec<_>>(), "target": self.target,
                "detection": {"outlierDetection": detection},
                "retries": {"attempts": self.attempts, "idempotent": self.idempotent}}})
    }

    /// What users wrote beside it, for those who look for a difference: entries and rules.
    pub fn beside(&self) -> Vec<&Value> {
        self.garnish.iter().filter(|o| o["kind"] == "ServiceEntry" || o["kind"] == "DestinationRule").collect()
    }

    /// Its objects on a cluster, with their status.
    pub fn objects(&self, at: usize) -> Vec<Value> {
        let mut all: Vec<Value> = self.namespaces().iter().map(|n| namespace(n, json!({}))).collect();
        let found = self.groups.iter().flatten().find(|m| m.cluster == at);
        if let Some(member) = found {
            all.extend(self.served(member));
        }
        let primary = self.groups[0][0].cluster == at;
        if primary || self.target != AGGREGATE && found.is_some() {
            let namespace = self.namespace(if self.elsewhere { "callers" } else { "shop" });
            let address = self.address(at, 1);
            let mut caller =
                pod(&namespace, "caller", json!({"app": "caller"}), "caller", &address, &self.caller, true);
            caller["spec"]["containers"][1]["env"] = self.environment.clone();
            all.push(caller);
        }
        if primary {
            all.extend(self.garnish.iter().cloned());
        }
        all
    }

    fn address(&self, cluster: usize, n: usize) -> String {
        address(self.number, cluster, n)
    }

    fn served(&self, member: &Member) -> Vec<Value> {
        let (namespace, name, port) = self.service(member);
        let labels = json!({"app": name});
        let template = json!({"metadata": {"labels": labels}, "spec": {"serviceAccountName": member.account,
            "containers": [{"name": "app", "image": "x"}]}});
        let mut endpoints = Vec::new();
        let mut all = Vec::new();
        for (n, (place, state)) in member.pods.iter().enumerate() {
            let (pod_name, address) = (format!("{name}-{n}"), self.address(member.cluster, 10 + n));
            let target = json!({"kind": "Pod", "name": pod_name, "namespace": namespace});
            endpoints.push(json!({"addresses": [address], "conditions": state.conditions(), "targetRef": target}));
            let ready = *state == State::Ready;
            all.push(pod(&namespace, &pod_name, labels.clone(), &member.account, &address, place, ready));
        }
        all.extend([
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                "spec": {"selector": labels, "ports": [{"name": "http", "port": port, "targetPort": member.target}]}}),
            json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
                "ports": [{"name": "http", "port": member.target, "protocol": "TCP"}], "endpoints": endpoints}),
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
                "spec": {"selector": {"matchLabels": labels}, "template": template}}),
        ]);
        all
    }
}

fn address(number: u64, cluster: usize, n: usize) -> String {
    format!("10.244.{number}.{}", cluster * 40 + n)
}

fn member(cluster: usize, own_name: bool, dice: &mut Dice) -> Member {
    let pods = (0..1 + dice.roll(3)).map(|_| (place(dice), State::roll(dice))).collect();
    Member {
        cluster,
        own_name,
        port: 8000 + dice.roll(100) as u16,
        target: 9000 + dice.roll(100) as u16,
        account: format!("account-{}", dice.roll(3)),
        pods,
    }
}

fn place(dice: &mut Dice) -> Where {
    match dice.roll(6) {
        0 => Where::Nowhere,
        1 => Where::Label("eu-central.b.rack-1"),
        2 => Where::Label("us-east"),
        n => Where::Node(NODES[n % NODES.len()].0),
    }
}

/// The fleet's document.
pub fn document() -> Value {
    let clusters = (0..CLUSTERS).map(|i| {
        let mut one = json!({"name": cluster(i), "context": cluster(i), "trustDomain": trust_domain(i),
            "istio": {"version": "1.31.0", "eastWestGateway": {"host": gateway(i)}}});
        // Some places and networks are known to the fleet, others are not.
        if i % 2 == 0 {
            one["region"] = json!(["eu-central", "us-east"][i / 2 % 2]);
            one["network"] = json!(format!("{}-net", cluster(i)));
        }
        one
    });
    let clusters: Vec<Value> = clusters.collect();
    json!({"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "ring"}, "spec": {"clusters": clusters}})
}

/// Two trust domains among four clusters.
fn trust_domain(i: usize) -> String {
    format!("domain-{}", i % 2)
}

fn gateway(i: usize) -> String {
    format!("192.0.2.{}", 10 + i)
}

/// What a cluster has whatever failovers there are.
pub fn ground(i: usize) -> Vec<Value> {
    let mesh = json!({"trustDomain": trust_domain(i), "trustDomainAliases": [trust_domain(i + 1)], "proxyHttpPort": HTTP_PROXY_PORT});
    let labels = json!({"istio": "eastwestgateway", "app": "istio-eastwestgateway"});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": mesh.to_string()}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "istio-eastwestgateway", "namespace": "istio-system", "labels": labels},
            "spec": {"type": "LoadBalancer", "selector": labels, "allocateLoadBalancerNodePorts": false,
                "ports": [{"name": "tls", "port": 15443, "targetPort": 15443}]},
            "status": {"loadBalancer": {"ingress": [{"ip": gateway(i)}]}}}),
    ];
    let ways: Vec<Value> = (0..1 + i % 3).map(|n| json!({"ip": format!("203.0.113.{}", 10 * i + n)})).collect();
    all.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "far-gateway", "namespace": "istio-system",
        "labels": {"topology.istio.io/network": garnish::KNOWN}},
        "spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"name": "tls", "port": 15443}]},
        "status": {"loadBalancer": {"ingress": ways}}}));
    for (name, region, zone) in NODES {
        let mut labels = json!({"kubernetes.io/hostname": name});
        if !region.is_empty() {
            labels["topology.kubernetes.io/region"] = json!(region);
            labels["topology.kubernetes.io/zone"] = json!(zone);
        }
        all.push(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}));
    }
    let mut edge =
        pod("istio-system", "edge", labels, "edge", &format!("10.244.255.{}", 10 + i), &Where::Node("here"), true);
    edge["spec"]["containers"][1]["args"] =
        json!(["proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local"]);
    all.push(edge);
    let env: Vec<Value> = switches(i).iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    all.push(json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "istiod", "namespace": "istio-system", "labels": {"app": "istiod"}},
        "spec": {"containers": [{"name": "discovery", "image": "istio/pilot:1.31.0", "env": env}]}}));
    all
}

/// What a cluster's istiod is asked by its environment. One keeps what is not ready to itself, as all did before 1.31, and one
/// tells of it always.
pub fn switches(i: usize) -> &'static [(&'static str, &'static str)] {
    match i {
        2 => &[("PILOT_AUTO_SEND_UNHEALTHY_ENDPOINTS", "false")],
        3 => &[("PILOT_SEND_UNHEALTHY_ENDPOINTS", "true")],
        _ => &[],
    }
}

fn namespace(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

fn pod(namespace: &str, name: &str, mut labels: Value, account: &str, ip: &str, place: &Where, ready: bool) -> Value {
    labels["security.istio.io/tlsMode"] = json!("istio");
    if let Where::Label(said) = place {
        labels["topology.istio.io/locality"] = json!(said);
    }
    let mut spec = json!({"serviceAccountName": account, "containers": [{"name": "app", "image": "x"},
        {"name": "istio-proxy", "image": "x", "args": ["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"]}]});
    if let Where::Node(name) = place {
        spec["nodeName"] = json!(name);
    }
    let ready = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec,
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [{"type": "Ready", "status": ready}]}})
}
