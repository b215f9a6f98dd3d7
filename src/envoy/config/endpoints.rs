//! An upstream's endpoints (EDS).

use serde_json::{Value, json};

use super::{Names, set, tls};
use crate::routing::{Endpoint, Locality, Upstream};

/// The load assignment of an upstream. Endpoints that cannot be used are left out; a level that then is empty stays
/// in place, so that the levels after it keep their priority.
pub fn assignment(upstream: &Upstream, names: &Names) -> Value {
    let levels = upstream.levels.iter().enumerate();
    let localities: Vec<Value> = levels
        .flat_map(|(priority, level)| {
            let mut all: Vec<Value> = level.localities.iter().map(|l| locality(l, priority, names)).collect();
            if all.is_empty() {
                all.push(json!({ "priority": priority, "lb_endpoints": [] }));
            }
            all
        })
        .collect();
    let mut assignment = json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": upstream.name,
        "endpoints": localities
    });
    set(&mut assignment, "policy", upstream.overprovisioning.map(|o| json!({ "overprovisioning_factor": o })));
    assignment
}

fn locality(from: &Locality, priority: usize, names: &Names) -> Value {
    let mut place = json!({});
    set(&mut place, "region", from.region.clone());
    set(&mut place, "zone", from.zone.clone());
    set(&mut place, "sub_zone", from.sub_zone.clone());
    let usable = from.endpoints.iter().filter(|e| e.unusable.is_none());
    let endpoints: Vec<Value> = usable.flat_map(|e| addresses(e, names).into_iter().map(|a| endpoint(e, &a))).collect();
    let mut out = json!({ "priority": priority, "lb_endpoints": endpoints });
    set(&mut out, "locality", (place != json!({})).then_some(place));
    set(&mut out, "load_balancing_weight", from.weight);
    out
}

/// The address itself, or what its name stands for.
fn addresses(endpoint: &Endpoint, names: &Names) -> Vec<String> {
    if endpoint.address.parse::<std::net::IpAddr>().is_ok() {
        return vec![endpoint.address.clone()];
    }
    names.get(&endpoint.address).into_iter().flatten().map(ToString::to_string).collect()
}

fn endpoint(from: &Endpoint, address: &str) -> Value {
    let mut inner = json!({ "address": { "socket_address": { "address": address, "port_value": from.port } } });
    if address != from.address {
        set(&mut inner, "hostname", Some(from.address.clone()));
    }
    if let Some(check) = &from.check {
        let mut config = json!({});
        set(&mut config, "port_value", check.port);
        set(&mut config, "hostname", check.host.clone());
        set(&mut inner, "health_check_config", Some(config));
    }
    let mut out = json!({ "endpoint": inner });
    set(&mut out, "health_status", from.unready.then_some("UNHEALTHY"));
    let context = from.tls.as_ref().map(|t| json!({ super::cluster::TLS_KEY: tls::client_key(t) }));
    set(&mut out, "metadata", context.map(|c| json!({ "filter_metadata": { "envoy.transport_socket_match": c } })));
    set(&mut out, "load_balancing_weight", from.weight);
    out
}
