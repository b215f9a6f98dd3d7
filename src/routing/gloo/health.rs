//! Active checks and outlier detection of an Upstream. Required fields and defaults are Gloo's.

use crate::model::duration::Millis;
use crate::routing::read::At;
use crate::routing::{Check, HealthCheck, Outlier};

/// `spec.healthChecks`; one that lacks a required field is noted and left out.
pub fn checks(at: &At) -> Vec<HealthCheck> {
    at.items().iter().filter_map(check).collect()
}

fn check(at: &At) -> Option<HealthCheck> {
    let needed = |field: &str| {
        if !at.get(field).is_some() {
            at.reject("FCT0520", format!("{}.{field} is missing; Envoy needs it", at.path()));
        }
    };
    ["timeout", "interval", "unhealthyThreshold", "healthyThreshold"].iter().for_each(|f| needed(f));
    let kind = kind(at);
    Some(HealthCheck {
        timeout: at.get("timeout").millis_above_zero()?,
        interval: at.get("interval").millis_above_zero()?,
        unhealthy_threshold: at.get("unhealthyThreshold").u32()?,
        healthy_threshold: at.get("healthyThreshold").u32()?,
        check: kind?,
        no_traffic_interval: at.get("noTrafficInterval").millis_above_zero(),
        unhealthy_interval: at.get("unhealthyInterval").millis_above_zero(),
        unhealthy_edge_interval: at.get("unhealthyEdgeInterval").millis_above_zero(),
        healthy_edge_interval: at.get("healthyEdgeInterval").millis_above_zero(),
        initial_jitter: at.get("initialJitter").millis(),
        interval_jitter: at.get("intervalJitter").millis(),
        interval_jitter_percent: at.get("intervalJitterPercent").u32(),
        reuse_connection: at.get("reuseConnection").bool(),
    })
}

fn kind(at: &At) -> Option<Check> {
    if let Some(http) = at.get("httpHealthCheck").some() {
        let path = http.get("path").string();
        if path.is_none() {
            http.reject("FCT0520", format!("{}.path is missing; Envoy needs it", http.path()));
        }
        let range = |r: &At| Some((small(&r.get("start"))?, small(&r.get("end"))?));
        return Some(Check::Http {
            path: path?,
            host: http.get("host").string(),
            method: http.get("method").string(),
            expected: http.get("expectedStatuses").items().iter().filter_map(range).collect(),
        });
    }
    if let Some(tcp) = at.get("tcpHealthCheck").some() {
        if tcp.get("send").is_some() || tcp.get("receive").is_some() {
            tcp.warn("FCT0521", format!("{}: payloads are not read; the check is a plain connection", tcp.path()));
        }
        return Some(Check::Tcp);
    }
    if let Some(grpc) = at.get("grpcHealthCheck").some() {
        return Some(Check::Grpc { service: grpc.get("serviceName").string().unwrap_or_default() });
    }
    at.reject("FCT0520", format!("{} needs one of httpHealthCheck, tcpHealthCheck, grpcHealthCheck", at.path()));
    None
}

fn small(at: &At) -> Option<u16> {
    at.u32().and_then(|n| u16::try_from(n).ok())
}

/// Gloo's names of whole-number settings and Envoy's.
const NUMBERS: [(&str, &str); 11] = [
    ("consecutive5xx", "consecutive_5xx"),
    ("consecutiveGatewayFailure", "consecutive_gateway_failure"),
    ("consecutiveLocalOriginFailure", "consecutive_local_origin_failure"),
    ("maxEjectionPercent", "max_ejection_percent"),
    ("enforcingConsecutive5xx", "enforcing_consecutive_5xx"),
    ("enforcingConsecutiveGatewayFailure", "enforcing_consecutive_gateway_failure"),
    ("enforcingConsecutiveLocalOriginFailure", "enforcing_consecutive_local_origin_failure"),
    ("enforcingSuccessRate", "enforcing_success_rate"),
    ("successRateMinimumHosts", "success_rate_minimum_hosts"),
    ("successRateRequestVolume", "success_rate_request_volume"),
    ("successRateStdevFactor", "success_rate_stdev_factor"),
];

/// `spec.outlierDetection`. Gloo refuses it without an interval.
pub fn outlier(at: &At) -> Option<Outlier> {
    at.value()?;
    if !at.get("interval").is_some() {
        at.reject("FCT0522", format!("{}.interval is missing; Gloo refuses outlier detection without it", at.path()));
    }
    let interval: Option<Millis> = at.get("interval").millis_above_zero();
    let number = |(ours, envoys): &(&str, &'static str)| at.get(ours).u32().map(|n| (*envoys, n));
    Some(Outlier {
        interval: Some(interval?),
        base_ejection_time: at.get("baseEjectionTime").millis_above_zero(),
        max_ejection_time: None,
        settings: NUMBERS.iter().filter_map(number).collect(),
        split_local_errors: at.get("splitExternalLocalOriginErrors").bool(),
        health_check_unejects: None,
    })
}
