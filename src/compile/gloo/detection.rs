//! How loss is noticed, on the primary's Upstream. Every setting here is one that measurements of Envoy ask for.

use super::Job;
use crate::model::duration::Millis;
use crate::model::failover::{Detection, HealthCheck, OutlierDetection};
use crate::model::problem::Problem;
use crate::resource::Empty;
use crate::resource::upstream::{
    self, CircuitBreakers, ConnectionConfig, HttpHealthCheck, LoadBalancerConfig, Upstream,
};

/// Longest time a connection may take. Envoy's default of 5 s would hold every request queued on a dead host that long.
const CONNECT_TIMEOUT: Millis = Millis::secs(1);

/// The Upstream's detection, retry limit and connect timeout.
pub fn spec(job: &Job<'_>) -> Upstream {
    let detection = &job.failover.detection;
    let retry = &job.failover.retry;
    let connect = if retry.attempts > 0 { CONNECT_TIMEOUT.min(retry.per_try_timeout) } else { CONNECT_TIMEOUT };
    Upstream {
        // Envoy lets three retries through at a time; a lost cluster needs one for every request.
        circuit_breakers: (retry.attempts > 0).then_some(CircuitBreakers { max_retries: u32::MAX }),
        // Waiting for a connection is not a part of an attempt's time, so it has its own limit below it.
        connection_config: Some(ConnectionConfig { connect_timeout: connect.into() }),
        failover: None,
        health_checks: detection.active().map(check).into_iter().collect(),
        // With active checks a host that left the endpoints would stay in use as long as its checks pass.
        ignore_health_on_host_removal: detection.active().map(|_| true),
        load_balancer_config: Some(LoadBalancerConfig {
            // By default Envoy ignores health below 50 %: with 4 of 10 hosts left and a dead backup it would send four
            // requests of five to dead hosts. At 1 % it does so only when no host is left at all, so a wrong health
            // path is no outage.
            healthy_panic_threshold: Some(1),
            locality_weighted_lb_config: weighted(job).then_some(Empty {}),
            // Otherwise the second host that fails within a second is used for up to a second more.
            update_merge_window: Some(Millis(0).into()),
        }),
        outlier_detection: detection.passive().map(outlier),
        ssl_config: None,
    }
}

fn weighted(job: &Job<'_>) -> bool {
    job.failover.order.iter().skip(1).flatten().any(|m| m.weight.is_some())
}

fn check(check: &HealthCheck) -> upstream::HealthCheck {
    upstream::HealthCheck {
        healthy_threshold: check.healthy_threshold,
        http_health_check: HttpHealthCheck { path: check.path.clone() },
        interval: check.interval.into(),
        no_traffic_interval: check.no_traffic_interval.into(),
        timeout: check.timeout.into(),
        unhealthy_threshold: check.unhealthy_threshold,
    }
}

fn outlier(outlier: &OutlierDetection) -> upstream::OutlierDetection {
    upstream::OutlierDetection {
        base_ejection_time: outlier.base_ejection_time.into(),
        consecutive_5xx: outlier.consecutive_5xx,
        // On by default in Gloo: it could eject a recovered host for the last interval's errors.
        enforcing_success_rate: 0,
        interval: outlier.interval.into(),
        max_ejection_percent: u32::from(outlier.max_ejection_percent),
    }
}

/// What Gloo cannot say about detection.
pub fn notes(job: &Job<'_>) -> Vec<Problem> {
    let mut notes = Vec::new();
    if let Detection::Both(..) = job.failover.detection {
        let what = "a passing health check lets an ejected host back in at once: Gloo has no field for Envoy's \
                    successful_active_health_check_uneject_host";
        let hint = "if the health path can pass while traffic fails, use outlierDetection alone";
        notes.push(job.about(Problem::note("FCT0311", what).hint(hint), "/spec/detection"));
    }
    notes
}
