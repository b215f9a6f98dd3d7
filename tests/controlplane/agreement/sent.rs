//! What istiod sends → facts. What comes in: Envoy's configuration as JSON. What goes out: facts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ask::Answer;
use super::facts::{Endpoint, Facts, levels};

/// The facts of an answer about hosts whose names hold the word.
pub fn facts(answer: &Answer, word: &str) -> Facts {
    let mut all = Facts::new();
    let list = |part: &Option<Vec<Value>>| part.clone().unwrap_or_default();
    let endpoints = list(&answer.endpoints);
    let assigned: BTreeMap<&str, &Value> = endpoints.iter().map(|e| (text(e, "/cluster_name"), e)).collect();
    for listener in list(&answer.listeners) {
        for chain in items(&listener, "/filter_chains") {
            of_chain(chain, word, &mut all);
        }
    }
    // Of what waits behind a gateway's names only that which a chain leads to: the rest can never be reached.
    let chained: Vec<String> = all.keys().filter_map(|k| k.strip_prefix("chain ").map(str::to_string)).collect();
    let reached = |name: &str| !name.starts_with("outbound_.") || chained.iter().any(|c| c == name);
    for cluster in
        list(&answer.clusters).iter().filter(|c| text(c, "/name").contains(word) && reached(text(c, "/name")))
    {
        of_cluster(cluster, assigned.get(text(cluster, "/name")).copied(), &mut all);
    }
    for table in list(&answer.routes) {
        for host in items(&table, "/virtual_hosts").filter(|h| text(h, "/name").contains(word)) {
            let routes: Vec<Value> = items(host, "/routes").map(route).collect();
            for domain in items(host, "/domains").filter_map(Value::as_str) {
                all.insert(format!("domain {domain}"), json!(routes));
            }
        }
    }
    all
}

fn of_cluster(cluster: &Value, assigned: Option<&Value>, all: &mut Facts) {
    let name = text(cluster, "/name");
    let mut add = |what: &str, value: Value| drop(all.insert(format!("cluster {name}: {what}"), value));
    let custom = cluster.pointer("/cluster_type/typed_config/clusters");
    add("members", custom.cloned().unwrap_or_default());
    add("retries", json!(cluster.pointer("/circuit_breakers/thresholds/0/max_retries")));
    if custom.is_some() {
        return;
    }
    let inline = cluster.get("load_assignment");
    let matches: Vec<&Value> = items(cluster, "/transport_socket_matches").collect();
    let always = cluster.pointer("/transport_socket/typed_config");
    let auto = matches.iter().find(|m| text(m, "/match/tlsMode") == "istio");
    let tls = always.or_else(|| auto.and_then(|m| m.pointer("/transport_socket/typed_config")));
    let weighs = cluster.pointer("/common_lb_config/locality_weighted_lb_config").is_some();
    let mut endpoints = Vec::new();
    let mut shares = BTreeMap::new();
    for group in assigned.or(inline).into_iter().flat_map(|a| items(a, "/endpoints")) {
        let level = number(group, "/priority");
        let place = ["region", "zone", "sub_zone"].map(|p| text(group, &format!("/locality/{p}")).to_string());
        // A host that is its own endpoint, and that only the mesh knows by that name, leads nowhere.
        let itself = |e: &Value| {
            let address = text(e, "/endpoint/address/socket_address/address");
            address.parse::<std::net::IpAddr>().is_err() && name.ends_with(&format!("|{address}"))
        };
        let before = endpoints.len();
        endpoints.extend(items(group, "/lb_endpoints").filter(|e| !itself(e)).map(|e| {
            let socket = |field: &str| e.pointer(&format!("/endpoint/address/socket_address/{field}"));
            let address = socket("address").and_then(Value::as_str).unwrap_or_default();
            let port = socket("port_value").and_then(Value::as_u64).unwrap_or_default();
            let mode = text(e, "/metadata/filter_metadata/envoy.transport_socket_match/tlsMode");
            Endpoint {
                level,
                place: place.clone(),
                address: format!("{address}:{port}"),
                weight: number(e, "/load_balancing_weight").max(1),
                mtls: always.is_some() || auto.is_some() && mode == "istio",
                unready: text(e, "/health_status") == "UNHEALTHY",
            }
        }));
        if endpoints.len() > before {
            *shares.entry((level, place)).or_default() += number(group, "/load_balancing_weight");
        }
    }
    let speaks = endpoints.iter().any(|e| e.mtls);
    add("endpoints", levels(endpoints, weighs.then_some(shares)));
    add("weighs places", json!(weighs));
    add("outlier detection", outlier(cluster.get("outlier_detection")));
    let panic = cluster.pointer("/common_lb_config/healthy_panic_threshold");
    add(
        "panic below",
        panic.map_or(json!(50), |p| json!(p.get("value").and_then(Value::as_f64).unwrap_or(0.0) as u64)),
    );
    add("connect timeout", json!(text(cluster, "/connect_timeout")));
    add("balancer", json!(cluster.get("lb_policy").and_then(Value::as_str).unwrap_or("ROUND_ROBIN")));
    let options = "/typed_extension_protocol_options/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let http2 = cluster.pointer(&format!("{options}/explicit_http_config/http2_protocol_options"));
    add("HTTP/2", json!(http2.is_some()));
    if let Some(tls) = tls.filter(|_| speaks) {
        add("TLS", client_tls(tls));
    }
}

fn client_tls(tls: &Value) -> Value {
    let context = "/common_tls_context";
    let validation = format!("{context}/combined_validation_context/default_validation_context");
    let mut names: Vec<String> = Vec::new();
    for list in ["match_typed_subject_alt_names", "match_subject_alt_names"] {
        for name in items(tls, &format!("{validation}/{list}")) {
            let exact = name.pointer("/matcher/exact").or_else(|| name.get("exact"));
            names.push(exact.and_then(Value::as_str).unwrap_or_default().into());
        }
    }
    names.sort();
    names.dedup();
    let alpn: Vec<&Value> = items(tls, &format!("{context}/alpn_protocols")).collect();
    json!({"sni": text(tls, "/sni"), "names": names, "alpn": alpn})
}

fn outlier(detection: Option<&Value>) -> Value {
    let mut all = detection.cloned().unwrap_or_default();
    // Switched off either way.
    if let Some(fields) = all.as_object_mut() {
        fields.retain(|_, v| *v != json!(false));
    }
    all
}

/// One chain of an east-west gateway, by the names it takes.
fn of_chain(chain: &Value, word: &str, all: &mut Facts) {
    let mut alpn: Vec<&str> =
        items(chain, "/filter_chain_match/application_protocols").filter_map(Value::as_str).collect();
    alpn.sort_unstable();
    let tcp = items(chain, "/filters").find(|f| text(f, "/name") == "envoy.filters.network.tcp_proxy");
    let to = tcp.map_or("", |t| text(t, "/typed_config/cluster"));
    for name in items(chain, "/filter_chain_match/server_names").filter_map(Value::as_str).filter(|n| n.contains(word))
    {
        all.insert(format!("chain {name}"), json!({"alpn": alpn, "to": to}));
    }
}

fn route(route: &Value) -> Value {
    let action = route.get("route").cloned().unwrap_or_default();
    let to = match action.pointer("/weighted_clusters/clusters").and_then(Value::as_array) {
        Some(all) => all.iter().map(|c| json!([text(c, "/name"), number(c, "/weight")])).collect(),
        None => vec![json!([text(&action, "/cluster"), 1])],
    };
    let mut path = route.get("match").cloned().unwrap_or_default();
    if let Some(fields) = path.as_object_mut() {
        fields
            .retain(|k, _| ["prefix", "path", "safe_regex", "path_separated_prefix", "headers"].contains(&k.as_str()));
    }
    json!({"match": path, "to": to, "timeout": text(&action, "/timeout"), "retry": retry(action.get("retry_policy"))})
}

fn retry(policy: Option<&Value>) -> Value {
    let Some(policy) = policy else { return Value::Null };
    let mut on: Vec<&str> = text(policy, "/retry_on").split(',').filter(|w| !w.is_empty()).collect();
    on.sort_unstable();
    let attempts = policy.get("num_retries").map_or(1, |n| n.as_u64().unwrap_or_default());
    json!({"on": on, "attempts": attempts, "perTry": policy.get("per_try_timeout"),
        "priorities": policy.pointer("/retry_priority/typed_config/update_frequency"),
        "hosts": policy.get("retry_host_predicate").map(|_| number(policy, "/host_selection_retry_max_attempts")),
        "codes": policy.get("retriable_status_codes")})
}

fn items<'v>(object: &'v Value, path: &str) -> impl Iterator<Item = &'v Value> {
    object.pointer(path).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(object: &'v Value, path: &str) -> &'v str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number; JSON of 64 bits is in quotes.
fn number(object: &Value, path: &str) -> u64 {
    let found = object.pointer(path);
    found.and_then(|n| n.as_u64().or_else(|| n.as_str()?.parse().ok())).unwrap_or_default()
}
