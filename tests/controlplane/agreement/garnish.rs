//! What a mesh's users write themselves, at random: a Service with a ServiceEntry beside it, and rules about places, labels,
//! networks and weights. failctl has no hand in it; `routing` must read it all the same.

use serde_json::{Value, json};

use crate::dice::Dice;

/// The network whose gateways every cluster of the ring knows.
pub const KNOWN: &str = "far-net";
/// A network without any gateway.
const UNKNOWN: &str = "dark-net";
const PLACES: [&str; 5] = ["eu-central/a", "eu-central/b/rack-1", "us-east", "ap-south/a", ""];
const RANKS: [&str; 2] = ["ring/behind-2", "ring/behind-1"];

/// How a Pod stands, as its EndpointSlice says it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Ready.
    Ready,
    /// Not, and it stays.
    Unready,
    /// Not, and it goes away.
    Leaving,
    /// Not, and whether it stays is not said.
    Unsaid,
}

impl State {
    /// Ready, mostly.
    pub fn roll(dice: &mut Dice) -> State {
        if !dice.one_in(4) {
            return State::Ready;
        }
        dice.one_of(&[State::Unready, State::Unready, State::Unready, State::Leaving, State::Unsaid])
    }

    /// The conditions of an endpoint.
    pub fn conditions(self) -> Value {
        match self {
            State::Ready => json!({"ready": true, "serving": true, "terminating": false}),
            State::Unready => json!({"ready": false, "serving": false, "terminating": false}),
            State::Leaving => json!({"ready": false, "serving": true, "terminating": true}),
            State::Unsaid => json!({"ready": false}),
        }
    }
}

/// A proxy's network and the networks it asks to see, as its pod's environment says them.
pub fn environment(own: &str, dice: &mut Dice) -> Value {
    let mut all = Vec::new();
    if dice.one_in(2) {
        all.push(json!({"name": "ISTIO_META_NETWORK", "value": dice.one_of(&[own, KNOWN])}));
    }
    if dice.one_in(3) {
        let view = dice.one_of(&[own.to_string(), format!("{own},{KNOWN}"), UNKNOWN.to_string()]);
        all.push(json!({"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": view}));
    }
    json!(all)
}

/// The user's own objects in a namespace. Pods that carry the selector's labels are somebody else's.
pub fn objects(namespace: &str, pods: &[(String, String)], dice: &mut Dice) -> Vec<Value> {
    let name = "extra";
    let host = format!("{name}.{namespace}.svc.cluster.local");
    let meta = |extra: Value| {
        let mut metadata = json!({"name": name, "namespace": namespace});
        json_patch::merge(&mut metadata, &extra);
        metadata
    };
    let endpoints: Vec<Value> = pods
        .iter()
        .map(|(pod, address)| {
            let target = json!({"kind": "Pod", "name": pod, "namespace": namespace});
            json!({"addresses": [address], "conditions": State::roll(dice).conditions(), "targetRef": target})
        })
        .collect();
    let mut spec = json!({"ports": [{"name": "http", "port": 80}, {"name": "tcp-raw", "port": 81}]});
    if dice.one_in(4) {
        spec["trafficDistribution"] = json!("PreferClose");
    }
    let port_name = dice.one_of(&["http", "http", "http", "web"]);
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(json!({})), "spec": spec}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": meta(json!({"labels": {"kubernetes.io/service-name": name}})), "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"name": "tcp-raw", "port": 8081, "protocol": "TCP"}]}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": meta(json!({})), "spec": {
            "hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"name": port_name, "number": 80, "protocol": "HTTP"}],
            "endpoints": (0..1 + dice.roll(4)).map(|n| endpoint(n, port_name, dice)).collect::<Vec<_>>()}}),
    ];
    if dice.one_in(5) {
        let mode = dice.one_of(&["DISABLE", "STRICT"]);
        all.push(
            json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": meta(json!({})),
            "spec": {"selector": {"matchLabels": {"app": "extra"}}, "mtls": {"mode": mode}}}),
        );
    }
    if !dice.one_in(6) {
        all.push(json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta(json!({})),
            "spec": {"host": dice.one_of(&[name, host.as_str()]), "trafficPolicy": policy(dice),
                "subsets": [{"name": "v1", "labels": {"version": "v1"}}, {"name": "here", "labels": {"topology.istio.io/network": KNOWN}}]}}));
    }
    all
}

fn endpoint(n: usize, port: &str, dice: &mut Dice) -> Value {
    let mut labels = json!({});
    for (label, value) in [("security.istio.io/tlsMode", "istio"), ("version", "v1"), (RANKS[0], "y"), (RANKS[1], "y")]
    {
        if dice.one_in(2) {
            labels[label] = json!(value);
        }
    }
    // Now and then two have one address.
    let address = if dice.one_in(8) { 1 } else { 1 + n };
    let mut endpoint = json!({"address": format!("198.51.100.{address}"), "labels": labels, "ports": {port: 15443}});
    let place = dice.one_of(&PLACES);
    if !place.is_empty() {
        endpoint["locality"] = json!(place);
    }
    if dice.one_in(2) {
        endpoint["network"] = json!(dice.one_of(&[KNOWN, UNKNOWN]));
    }
    if dice.one_in(3) {
        endpoint["weight"] = json!(1 + dice.roll(9));
    }
    if dice.one_in(5) {
        endpoint["serviceAccount"] = json!("remote");
    }
    if dice.one_in(6) {
        endpoint.as_object_mut().expect("an object").remove("address");
        endpoint["network"] = json!(KNOWN);
    }
    endpoint
}

fn policy(dice: &mut Dice) -> Value {
    let mut policy = json!({});
    if !dice.one_in(5) {
        policy["outlierDetection"] = json!({"consecutiveGatewayErrors": 1 + dice.roll(5), "consecutive5xxErrors": 0,
            "interval": "5s", "baseEjectionTime": "30s", "maxEjectionPercent": 100});
        if dice.one_in(4) {
            policy["outlierDetection"]["minHealthPercent"] = json!(dice.one_of(&[0, 30]));
        }
    }
    if dice.one_in(3) {
        policy["tls"] = json!({"mode": dice.one_of(&["ISTIO_MUTUAL", "DISABLE"])});
    }
    if dice.one_in(4) {
        policy["connectionPool"] = json!({"tcp": {"connectTimeout": "3s"}, "http": {"maxRetries": 7}});
    }
    let keys = ["topology.istio.io/network", "topology.kubernetes.io/region", "app", "version=v1", RANKS[0], RANKS[1]];
    let some: Vec<&str> = keys.into_iter().filter(|_| dice.one_in(2)).collect();
    let failover = json!([{"from": "eu-central", "to": "us-east"}]);
    let setting = match dice.roll(9) {
        0 => json!({"enabled": false}),
        1 => json!({"enabled": true, "failover": failover}),
        2 => json!({"enabled": true, "failoverPriority": some}),
        // The order of one failover's clusters by labels that only the backups carry.
        3 => json!({"enabled": true, "failoverPriority": RANKS}),
        4 => json!({"enabled": true, "failoverPriority": ["version=v1", RANKS[1]], "failover": failover}),
        5 => json!({"enabled": true, "distribute": distribute(dice)}),
        6 => {
            let setting = json!({"enabled": !dice.one_in(4), "failover": failover, "failoverPriority": some});
            policy["loadBalancer"] = json!({"zoneAwareLbSetting": setting});
            return policy;
        }
        _ => return policy,
    };
    policy["loadBalancer"] = json!({"localityLbSetting": setting});
    policy
}

/// Shares by place for clients of some places; no two of a rule overlap, and they come to 100.
fn distribute(dice: &mut Dice) -> Value {
    let share = 1 + dice.roll(99);
    let [first, second] = dice.one_of(&[
        ["eu-central/*", "us-east"],
        ["eu-central/a/*", "eu-central/b/*"],
        ["eu-central/b/rack-1", "ap-south/*"],
        ["us-east/*", "ap-south/a"],
    ]);
    let from = dice.one_of(&["*", "eu-central/*", "eu-central/a/*", "us-east/*"]);
    let mut rules = vec![json!({"from": from, "to": {first: share, second: 100 - share}})];
    if from != "*" && dice.one_in(2) {
        rules.push(json!({"from": "ap-south/*", "to": {second: 100}}));
    }
    json!(rules)
}
