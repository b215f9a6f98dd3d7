//! `outlierDetection` of a DestinationRule in Envoy's terms. What comes in: the part of the object. What goes out:
//! passive detection and the panic threshold. Rules: Istio's applyOutlierDetection.

use std::collections::BTreeMap;

use crate::routing::Outlier;
use crate::routing::read::At;

/// Detection, and below which share of hosts (percent) health is ignored: Istio's default is never.
pub fn read(at: &At) -> (Outlier, u32) {
    let mut settings: BTreeMap<&'static str, u32> = BTreeMap::new();
    // Envoy's statistics over many hosts are on by default; Istio switches them off.
    settings.insert("enforcing_success_rate", 0);
    let mut counter = |field: &str, count: &'static str, enforce: &'static str| {
        if let Some(n) = at.get(field).u32() {
            settings.insert(count, n);
            settings.insert(enforce, if n > 0 { 100 } else { 0 });
        }
    };
    counter("consecutive5xxErrors", "consecutive_5xx", "enforcing_consecutive_5xx");
    counter("consecutiveGatewayErrors", "consecutive_gateway_failure", "enforcing_consecutive_gateway_failure");
    let split = at.get("splitExternalLocalOriginErrors").bool().unwrap_or(false);
    if split {
        if at.get("consecutiveLocalOriginFailures").u32().is_some_and(|n| n > 0) {
            counter(
                "consecutiveLocalOriginFailures",
                "consecutive_local_origin_failure",
                "enforcing_consecutive_local_origin_failure",
            );
        }
        settings.insert("enforcing_local_origin_success_rate", 0);
    }
    // Zero counts as not said (protobuf): Envoy's 10 then.
    if let Some(percent) = at.get("maxEjectionPercent").percent().filter(|p| *p > 0) {
        settings.insert("max_ejection_percent", percent);
    }
    if at.get("consecutiveErrors").is_some() {
        at.warn(
            "FCT0550",
            format!("{}.consecutiveErrors is no longer read by Istio; write consecutive5xxErrors", at.path()),
        );
    }
    let outlier = Outlier {
        interval: at.get("interval").millis_above_zero(),
        base_ejection_time: at.get("baseEjectionTime").millis_above_zero(),
        max_ejection_time: None,
        settings,
        split_local_errors: split.then_some(true),
        health_check_unejects: None,
    };
    (outlier, at.get("minHealthPercent").percent().unwrap_or(0))
}
