//! How long loss goes unnoticed, and what that costs: closed forms that held when measured.
//! What comes in: a health check or outlier settings, a rate, a fault. What goes out: times and request counts.

use crate::model::duration::Millis;
use crate::routing::{HealthCheck, Outlier};

/// Envoy's `no_traffic_interval` where none is set.
pub const NO_TRAFFIC_INTERVAL: Millis = Millis::secs(60);
/// Envoy's outlier defaults: errors in a row, sweep interval, first ejection, longest ejection, percent.
pub const CONSECUTIVE_5XX: u32 = 5;
/// Sweep interval.
pub const SWEEP_INTERVAL: Millis = Millis::secs(10);
/// First ejection.
pub const BASE_EJECTION_TIME: Millis = Millis::secs(30);
/// Longest ejection.
pub const MAX_EJECTION_TIME: Millis = Millis::secs(300);
/// Percent of a cluster's hosts that may be ejected.
pub const MAX_EJECTION_PERCENT: u32 = 10;

/// What a check meets after the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused: counts towards the threshold.
    Refused,
    /// A wrong status: fails at once, whatever the threshold.
    BadStatus,
    /// No answer: each check takes its whole timeout.
    Hangs,
}

/// The shortest and the longest time something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// At least.
    pub least: Millis,
    /// At most.
    pub most: Millis,
}

/// Time from a fault to the check that finds it, when the fault comes `phase` after the last check ended.
/// Checks run at the interval measured from the end of the one before; `unhealthy_edge_interval` applies between
/// the failures that count towards the threshold.
pub fn active(check: &HealthCheck, fault: Fault, phase: Millis) -> Millis {
    let edge = check.unhealthy_edge_interval.unwrap_or(check.interval).0;
    let checks = match fault {
        Fault::BadStatus => 1,
        Fault::Refused | Fault::Hangs => u64::from(check.unhealthy_threshold.max(1)),
    };
    let each = if fault == Fault::Hangs { check.timeout.0 } else { 0 };
    let first = check.interval.0 - phase.0.min(check.interval.0);
    Millis(first + each + (checks - 1) * (edge + each))
}

/// Bounds of [`active`] over all phases, and over a proxy that has not yet seen traffic when `fresh`.
pub fn active_bounds(check: &HealthCheck, fault: Fault, fresh: bool) -> Between {
    let least = active(check, fault, check.interval);
    let idle = check.no_traffic_interval.unwrap_or(NO_TRAFFIC_INTERVAL);
    let interval = if fresh { check.interval.max(idle) } else { check.interval };
    let slow = HealthCheck { interval, ..check.clone() };
    Between { least, most: active(&slow, fault, Millis(0)) }
}

/// Time from recovery to the check that finds it.
pub fn active_recovery(check: &HealthCheck) -> Between {
    let interval = check.unhealthy_interval.unwrap_or(check.interval).0;
    let edge = check.healthy_edge_interval.unwrap_or(check.interval).0;
    let more = u64::from(check.healthy_threshold.max(1) - 1) * edge;
    Between { least: Millis(more), most: Millis(interval + check.timeout.0 + more) }
}

/// Requests lost without retries when a killed or hanging host is found by checks:
/// those that start before detection, and for a kill those in flight at the fault.
pub fn lost_until_found(per_second: u64, unseen: Millis, service: Millis, fault: Fault) -> u64 {
    let in_flight = if fault == Fault::Hangs { 0 } else { service.0 };
    per_second * (unseen.0 + in_flight) / 1000
}

/// Requests lost to one host until outlier detection ejects it: the errors it counts, and those already on the wire
/// (one service time and about 2 ms for the ejection to reach the workers).
pub fn lost_until_ejected(per_second: u64, service: Millis, outlier: &Outlier) -> u64 {
    u64::from(errors_until_ejected(outlier)) + per_second * (service.0 + 2) / 1000
}

/// Errors in a row, of a host that is gone, after which it is ejected. Envoy counts 5xx unless that is switched off, and
/// gateway errors only where that is switched on.
fn errors_until_ejected(outlier: &Outlier) -> u32 {
    let setting = |name: &str| outlier.settings.get(name).copied();
    let enforced = |name: &str, default: u32| setting(name).unwrap_or(default) > 0;
    let all = enforced("enforcing_consecutive_5xx", 100).then(|| setting("consecutive_5xx").unwrap_or(CONSECUTIVE_5XX));
    let gateway = enforced("enforcing_consecutive_gateway_failure", 0)
        .then(|| setting("consecutive_gateway_failure").unwrap_or(CONSECUTIVE_5XX));
    all.into_iter().chain(gateway).min().unwrap_or(u32::MAX)
}

/// How long ejection number `count` (from 1) lasts at least: base times count, capped.
pub fn ejection(outlier: &Outlier, count: u32) -> Millis {
    let base = outlier.base_ejection_time.unwrap_or(BASE_EJECTION_TIME).0;
    let max = outlier.max_ejection_time.map_or(MAX_EJECTION_TIME.0.max(base), |m| m.0.max(base));
    Millis((base * u64::from(count)).min(max))
}

/// When an ejection ends: with the first sweep at or after its time. `at` and the result count from a sweep.
pub fn uneject_sweep(outlier: &Outlier, at: Millis, count: u32) -> Millis {
    let sweep = outlier.interval.unwrap_or(SWEEP_INTERVAL).0;
    Millis((at.0 + ejection(outlier, count).0).div_ceil(sweep) * sweep)
}

/// How many of `hosts` (all priorities of the cluster) may be ejected at once.
pub fn ejectable(outlier: &Outlier, hosts: u32) -> u32 {
    let percent = outlier.settings.get("max_ejection_percent").copied().unwrap_or(MAX_EJECTION_PERCENT);
    let fits = |ejected: &u32| u64::from(*ejected) * 100 <= u64::from(percent) * u64::from(hosts);
    (0..=hosts).rev().find(fits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::Check;

    fn check(threshold: u32, timeout: u64) -> HealthCheck {
        HealthCheck {
            timeout: Millis(timeout),
            interval: Millis(1000),
            unhealthy_threshold: threshold,
            healthy_threshold: 1,
            check: Check::Tcp,
            no_traffic_interval: Some(Millis(1000)),
            unhealthy_interval: None,
            unhealthy_edge_interval: None,
            healthy_edge_interval: None,
            initial_jitter: None,
            interval_jitter: None,
            interval_jitter_percent: None,
            reuse_connection: None,
        }
    }

    fn outlier(settings: &[(&'static str, u32)], interval: u64, base: u64) -> Outlier {
        Outlier {
            interval: Some(Millis(interval)),
            base_ejection_time: Some(Millis(base)),
            settings: settings.iter().copied().collect(),
            ..Outlier::default()
        }
    }

    #[test]
    fn a_killed_host_costs_the_rest_of_the_interval_and_what_was_in_flight() {
        for (phase, lost) in [(190, 166), (505, 103), (795, 45)] {
            let unseen = active(&check(1, 1000), Fault::Refused, Millis(phase));
            assert_eq!(lost_until_found(200, unseen, Millis(20), Fault::Refused), lost);
        }
    }

    #[test]
    fn a_hanging_host_costs_a_timeout_more() {
        for (phase, lost) in [(180, 364), (530, 294), (785, 243)] {
            let unseen = active(&check(1, 1000), Fault::Hangs, Millis(phase));
            assert_eq!(lost_until_found(200, unseen, Millis(20), Fault::Hangs), lost);
        }
    }

    #[test]
    fn a_threshold_of_three_waits_for_refusals_but_not_for_a_bad_status() {
        assert_eq!(active(&check(3, 1000), Fault::Refused, Millis(500)), Millis(2500));
        assert_eq!(active(&check(3, 1000), Fault::BadStatus, Millis(440)), Millis(560));
    }

    #[test]
    fn a_proxy_without_traffic_may_look_away_for_a_minute() {
        let blind = HealthCheck { no_traffic_interval: None, ..check(1, 1000) };
        assert_eq!(active_bounds(&blind, Fault::Refused, true).most, Millis(60_000));
        assert_eq!(active_bounds(&blind, Fault::Refused, false).most, Millis(1000));
        assert_eq!(active_bounds(&check(1, 1000), Fault::Hangs, true).most, Millis(2000));
        assert_eq!(active_recovery(&check(1, 1000)), Between { least: Millis(0), most: Millis(2000) });
    }

    #[test]
    fn outlier_detection_costs_its_threshold_and_the_wire() {
        let lost = |n| lost_until_ejected(200, Millis(22), &outlier(&[("consecutive_5xx", n)], 10_000, 5000));
        assert!((5..=6).contains(&lost(1)), "{}", lost(1));
        assert!((9..=10).contains(&lost(5)), "{}", lost(5));
        let gateway = [
            ("consecutive_5xx", 0),
            ("enforcing_consecutive_5xx", 0),
            ("consecutive_gateway_failure", 3),
            ("enforcing_consecutive_gateway_failure", 100),
        ];
        assert_eq!(lost_until_ejected(200, Millis(22), &outlier(&gateway, 1000, 1000)), 3 + 4);
    }

    #[test]
    fn ten_percent_of_nine_hosts_is_nobody() {
        let default = Outlier::default();
        assert_eq!([1, 3, 9, 10, 20].map(|n| ejectable(&default, n)), [0, 0, 0, 1, 2]);
        assert_eq!(ejectable(&outlier(&[("max_ejection_percent", 100)], 1000, 1000), 2), 2);
    }

    #[test]
    fn an_ejection_just_after_a_sweep_lasts_one_sweep_longer() {
        let settings = outlier(&[], 10_000, 10_000);
        assert_eq!(uneject_sweep(&settings, Millis(0), 1), Millis(10_000));
        assert_eq!(uneject_sweep(&settings, Millis(1), 1), Millis(20_000));
        assert_eq!(ejection(&settings, 40), Millis(300_000));
    }
}
