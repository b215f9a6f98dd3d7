//! An upstream's cluster (CDS): everything about it but its endpoints.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Place, duration, extension, set, tls};
use crate::routing::{Balancer, Breakers, Check, HealthCheck, Outlier, Shape, Upstream};

/// The endpoint metadata key that chooses the TLS context.
pub const TLS_KEY: &str = "failctl_tls";

/// The cluster of an upstream.
pub fn cluster(from: &Upstream, place: &Place) -> Value {
    match &from.shape {
        Shape::Endpoints => plain(from, place),
        Shape::Aggregate(members) => aggregate(from, members),
    }
}

/// A cluster of clusters: the members' priorities in a row. Only what Envoy reads from the aggregate itself is said.
fn aggregate(from: &Upstream, members: &[String]) -> Value {
    let kind = "envoy.extensions.clusters.aggregate.v3.ClusterConfig";
    let mut out = json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": from.name,
        "cluster_type": extension("envoy.clusters.aggregate", kind, json!({ "clusters": members })),
        "connect_timeout": duration(from.connect_timeout),
        "lb_policy": "CLUSTER_PROVIDED"
    });
    set(&mut out, "circuit_breakers", breakers(&from.breakers));
    set(&mut out, "common_lb_config", common(from));
    out
}

fn plain(from: &Upstream, place: &Place) -> Value {
    let mut out = json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": from.name,
        "type": "EDS",
        "eds_cluster_config": { "eds_config": place.source },
        "connect_timeout": duration(from.connect_timeout),
        "lb_policy": policy(from.balancer)
    });
    if let Balancer::LeastRequest { choices } = from.balancer {
        set(&mut out, "least_request_lb_config", Some(json!({ "choice_count": choices })));
    }
    let checks: Vec<Value> = from.health_checks.iter().map(check).collect();
    set(&mut out, "health_checks", (!checks.is_empty()).then_some(checks));
    set(&mut out, "outlier_detection", from.outlier.as_ref().map(outlier));
    set(&mut out, "circuit_breakers", breakers(&from.breakers));
    set(&mut out, "common_lb_config", common(from));
    set(&mut out, "ignore_health_on_host_removal", from.ignore_health_on_removal.then_some(true));
    let contexts = contexts(from, place.source);
    set(&mut out, "transport_socket_matches", (!contexts.is_empty()).then_some(contexts));
    set(&mut out, "typed_extension_protocol_options", from.http2.then(http2));
    out
}

fn policy(balancer: Balancer) -> &'static str {
    match balancer {
        Balancer::RoundRobin => "ROUND_ROBIN",
        Balancer::LeastRequest { .. } => "LEAST_REQUEST",
        Balancer::Random => "RANDOM",
        Balancer::RingHash => "RING_HASH",
        Balancer::Maglev => "MAGLEV",
    }
}

fn check(from: &HealthCheck) -> Value {
    let mut out = json!({
        "timeout": duration(from.timeout),
        "interval": duration(from.interval),
        "unhealthy_threshold": from.unhealthy_threshold,
        "healthy_threshold": from.healthy_threshold
    });
    let times = [
        ("no_traffic_interval", from.no_traffic_interval),
        ("unhealthy_interval", from.unhealthy_interval),
        ("unhealthy_edge_interval", from.unhealthy_edge_interval),
        ("healthy_edge_interval", from.healthy_edge_interval),
        ("initial_jitter", from.initial_jitter),
        ("interval_jitter", from.interval_jitter),
    ];
    times.into_iter().for_each(|(field, time)| set(&mut out, field, time.map(duration)));
    set(&mut out, "interval_jitter_percent", from.interval_jitter_percent);
    set(&mut out, "reuse_connection", from.reuse_connection);
    let (field, kind) = match &from.check {
        Check::Tcp => ("tcp_health_check", json!({})),
        Check::Grpc { service } => ("grpc_health_check", json!({ "service_name": service })),
        Check::Http { path, host, method, expected } => {
            let mut http = json!({ "path": path });
            set(&mut http, "host", host.clone());
            set(&mut http, "method", method.clone());
            let ranges: Vec<Value> = expected.iter().map(|(a, b)| json!({ "start": a, "end": b })).collect();
            set(&mut http, "expected_statuses", (!ranges.is_empty()).then_some(ranges));
            ("http_health_check", http)
        }
    };
    set(&mut out, field, Some(kind));
    out
}

fn outlier(from: &Outlier) -> Value {
    let mut out = json!({});
    set(&mut out, "interval", from.interval.map(duration));
    set(&mut out, "base_ejection_time", from.base_ejection_time.map(duration));
    set(&mut out, "max_ejection_time", from.max_ejection_time.map(duration));
    from.settings.iter().for_each(|(name, value)| set(&mut out, name, Some(*value)));
    set(&mut out, "split_external_local_origin_errors", from.split_local_errors);
    set(&mut out, "successful_active_health_check_uneject_host", from.health_check_unejects);
    out
}

fn breakers(from: &Breakers) -> Option<Value> {
    if *from == Breakers::default() {
        return None;
    }
    let mut limits = json!({});
    set(&mut limits, "max_connections", from.max_connections);
    set(&mut limits, "max_pending_requests", from.max_pending_requests);
    set(&mut limits, "max_requests", from.max_requests);
    set(&mut limits, "max_retries", from.max_retries);
    Some(json!({ "thresholds": [limits] }))
}

fn common(from: &Upstream) -> Option<Value> {
    let mut out = json!({});
    set(&mut out, "healthy_panic_threshold", from.panic_threshold.map(|p| json!({ "value": p })));
    set(&mut out, "update_merge_window", from.merge_window.map(duration));
    set(&mut out, "locality_weighted_lb_config", from.locality_weighted.then(|| json!({})));
    (out != json!({})).then_some(out)
}

/// One TLS context for each way the endpoints are reached; an endpoint's metadata names its own.
fn contexts(from: &Upstream, source: &Value) -> Vec<Value> {
    let used = from.endpoints().filter_map(|(_, e)| e.tls.as_ref());
    let by_key: BTreeMap<String, _> = used.map(|tls| (tls::client_key(tls), tls)).collect();
    let entry = |(key, tls): (&String, &&_)| json!({ "name": key, "match": { TLS_KEY: key }, "transport_socket": tls::client(tls, source) });
    by_key.iter().map(entry).collect()
}

fn http2() -> Value {
    let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({ name: {
        "@type": format!("type.googleapis.com/{name}"),
        "explicit_http_config": { "http2_protocol_options": {} }
    } })
}
