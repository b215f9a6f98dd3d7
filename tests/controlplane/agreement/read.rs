//! What `routing` reads from the objects → facts. What comes in: a proxy. What goes out: facts.

use std::collections::BTreeMap;

use failctl::routing::{
    Action, Balancer, HeaderMatch, ListenerKind, Matcher, Outlier, PathMatch, Proxy, Retry, Route, Shape, Side,
    TcpDestination, Upstream,
};
use serde_json::{Value, json};

use super::facts::{Endpoint, Facts, levels};

/// The facts of a proxy about hosts whose names hold the word.
pub fn facts(proxy: &Proxy, word: &str) -> Facts {
    let mut all = Facts::new();
    for upstream in proxy.upstreams.values().filter(|u| u.name.contains(word)) {
        of_upstream(upstream, &mut all);
    }
    for listener in &proxy.listeners {
        match &listener.kind {
            ListenerKind::Tcp(chains) => {
                for chain in chains {
                    let TcpDestination::Upstream(to) = &chain.to else { continue };
                    let mut alpn = chain.alpn.clone();
                    alpn.sort();
                    for name in chain.sni.iter().filter(|n| n.contains(word)) {
                        all.insert(format!("chain {name}"), json!({"alpn": alpn, "to": to}));
                    }
                }
            }
            ListenerKind::Http(chains) if listener.side == Side::Outbound => {
                for host in chains.iter().flat_map(|c| &c.virtual_hosts).filter(|h| h.name.contains(word)) {
                    let routes: Vec<Value> = host.routes.iter().flat_map(route).collect();
                    for domain in &host.domains {
                        all.insert(format!("domain {domain}"), json!(routes));
                    }
                }
            }
            ListenerKind::Http(_) => {}
        }
    }
    all
}

fn of_upstream(upstream: &Upstream, all: &mut Facts) {
    let name = &upstream.name;
    let mut add = |what: &str, value: Value| drop(all.insert(format!("cluster {name}: {what}"), value));
    let members = match &upstream.shape {
        Shape::Aggregate(members) => json!(members),
        Shape::Endpoints => Value::Null,
    };
    let aggregate = !members.is_null();
    add("members", members);
    add("retries", json!(upstream.breakers.max_retries));
    if aggregate {
        return;
    }
    let mut endpoints = Vec::new();
    let mut shares = BTreeMap::new();
    for (level, places) in upstream.levels.iter().enumerate() {
        for locality in &places.localities {
            let place = [&locality.region, &locality.zone, &locality.sub_zone].map(|p| p.clone().unwrap_or_default());
            let level = level as u64;
            let usable = locality.endpoints.iter().filter(|e| e.unusable.is_none());
            endpoints.extend(usable.map(|e| Endpoint {
                level,
                place: place.clone(),
                address: format!("{}:{}", e.address, e.port),
                weight: u64::from(e.weight.unwrap_or(1)),
                mtls: e.tls.is_some(),
                unready: e.unready,
            }));
            *shares.entry((level, place)).or_default() += u64::from(locality.weight.unwrap_or_default());
        }
    }
    add("endpoints", levels(endpoints, upstream.locality_weighted.then_some(shares)));
    add("weighs places", json!(upstream.locality_weighted));
    add("outlier detection", upstream.outlier.as_ref().map_or(Value::Null, outlier));
    add("panic below", json!(upstream.panic_threshold.unwrap_or(50)));
    add("connect timeout", seconds(upstream.connect_timeout.0));
    add("balancer", json!(balancer(upstream.balancer)));
    add("HTTP/2", json!(upstream.http2));
    if let Some(tls) = upstream.endpoints().find_map(|(_, e)| e.tls.as_ref()) {
        let mut names = tls.server_names.clone();
        names.sort();
        names.dedup();
        add("TLS", json!({"sni": tls.sni, "names": names, "alpn": tls.alpn}));
    }
}

fn balancer(balancer: Balancer) -> &'static str {
    match balancer {
        Balancer::RoundRobin => "ROUND_ROBIN",
        Balancer::LeastRequest { .. } => "LEAST_REQUEST",
        Balancer::Random => "RANDOM",
        Balancer::RingHash => "RING_HASH",
        Balancer::Maglev => "MAGLEV",
    }
}

fn outlier(outlier: &Outlier) -> Value {
    let mut all = json!(outlier.settings);
    let times = [
        ("interval", outlier.interval),
        ("base_ejection_time", outlier.base_ejection_time),
        ("max_ejection_time", outlier.max_ejection_time),
    ];
    for (field, time) in times {
        if let Some(time) = time {
            all[field] = seconds(time.0);
        }
    }
    if outlier.split_local_errors == Some(true) {
        all["split_external_local_origin_errors"] = json!(true);
    }
    all
}

/// One route for each of its matchers, as Envoy has them.
fn route(route: &Route) -> Vec<Value> {
    let to = match &route.action {
        Action::Upstream(name) => vec![json!([name, 1])],
        Action::Weighted(all) => all.iter().map(|(name, weight)| json!([name, weight])).collect(),
        Action::Respond { .. } | Action::Redirect { .. } => Vec::new(),
    };
    let timeout = route.timeout.map_or(Value::Null, |t| seconds(t.0));
    let one = |m: &Matcher| json!({"match": matcher(m), "to": to, "timeout": timeout, "retry": route.retry.as_ref().map_or(Value::Null, retry)});
    route.matchers.iter().map(one).collect()
}

fn matcher(matcher: &Matcher) -> Value {
    let mut all = match &matcher.path {
        PathMatch::Prefix(prefix) => json!({"prefix": prefix}),
        PathMatch::Exact(path) => json!({"path": path}),
        PathMatch::Regex(regex) => json!({"safe_regex": {"regex": regex}}),
    };
    let methods = match matcher.methods.as_slice() {
        [] => None,
        [one] => Some(json!({"name": ":method", "string_match": {"exact": one}})),
        several => Some(json!({"name": ":method", "string_match": {"safe_regex": {"regex": several.join("|")}}})),
    };
    let headers: Vec<Value> = matcher.headers.iter().map(header).chain(methods).collect();
    if !headers.is_empty() {
        all["headers"] = json!(headers);
    }
    all
}

fn header(wanted: &HeaderMatch) -> Value {
    let mut all = match (wanted.value.as_str(), wanted.regex) {
        ("", false) => json!({"name": wanted.name, "present_match": true}),
        (value, false) => json!({"name": wanted.name, "string_match": {"exact": value}}),
        (value, true) => json!({"name": wanted.name, "string_match": {"safe_regex": {"regex": value}}}),
    };
    if wanted.invert {
        all["invert_match"] = json!(true);
    }
    all
}

fn retry(retry: &Retry) -> Value {
    let mut on: Vec<&String> = retry.on.iter().collect();
    on.sort();
    json!({"on": on, "attempts": retry.attempts, "perTry": retry.per_try_timeout.map(|t| seconds(t.0)),
        "priorities": retry.previous_priorities, "hosts": retry.previous_hosts,
        "codes": (!retry.status_codes.is_empty()).then_some(&retry.status_codes)})
}

/// As protobuf's JSON has it: seconds with three decimals, if any.
fn seconds(millis: u64) -> Value {
    match (millis / 1000, millis % 1000) {
        (whole, 0) => json!(format!("{whole}s")),
        (whole, rest) => json!(format!("{whole}.{rest:03}s")),
    }
}
