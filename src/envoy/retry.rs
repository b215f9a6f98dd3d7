//! Which losses a retry condition covers, what a retry costs, and where the next attempt goes.
//! Rules: Envoy's retry_state_impl.cc and previous_priorities; the rows used here were measured on 1.40.

use std::collections::BTreeSet;

use super::load::{self, Hosts};
use crate::model::duration::Millis;
use crate::routing::Retry;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The connection was refused or timed out: nothing was sent.
    Connect,
    /// An HTTP/2 peer refused the stream before it worked on it.
    RefusedStream,
    /// Cut before anything was sent.
    CutUnsent,
    /// Cut in flight: the request may have been worked on.
    CutInFlight,
    /// The upstream answered with this status.
    Status(u16),
    /// One attempt took too long.
    PerTryTimeout,
    /// The whole request took too long: no condition covers it.
    RouteTimeout,
}

impl Cause {
    /// Whether the upstream may have worked on the request, so that a retry may repeat work.
    pub fn may_have_worked(self) -> bool {
        !matches!(self, Cause::Connect | Cause::RefusedStream | Cause::CutUnsent)
    }
}

/// Whether one condition (by Envoy's name) covers a cause. `codes` are what `retriable-status-codes` means.
/// An unknown name covers nothing, as in Envoy.
pub fn covers(condition: &str, cause: Cause, codes: &[u16]) -> bool {
    use Cause::{Connect, CutInFlight, CutUnsent, PerTryTimeout, RefusedStream, RouteTimeout, Status};
    let reset = matches!(cause, Connect | RefusedStream | CutUnsent | CutInFlight | PerTryTimeout);
    match (condition, cause) {
        (_, RouteTimeout) => false,
        ("5xx", Status(s)) => (500..600).contains(&s),
        ("gateway-error", Status(s)) => (502..=504).contains(&s),
        ("5xx" | "gateway-error" | "reset", _) => reset,
        ("reset-before-request", _) => matches!(cause, Connect | RefusedStream | CutUnsent),
        ("connect-failure", _) => cause == Connect,
        ("refused-stream", _) => cause == RefusedStream,
        ("retriable-4xx", Status(s)) => s == 409,
        ("retriable-status-codes", Status(s)) => codes.contains(&s),
        _ => false,
    }
}

/// Whether a policy tries again after a cause.
pub fn retries(policy: &Retry, cause: Cause) -> bool {
    policy.attempts > 0 && policy.on.iter().any(|c| covers(c, cause, &policy.status_codes))
}

/// Whether a policy may repeat a request the upstream has worked on.
pub fn may_repeat_work(policy: &Retry) -> bool {
    let statuses = [409, 500, 502, 503, 504].into_iter().chain(policy.status_codes.iter().copied());
    let causes = [Cause::CutInFlight, Cause::PerTryTimeout].into_iter().chain(statuses.map(Cause::Status));
    causes.into_iter().any(|c| c.may_have_worked() && retries(policy, c))
}

/// The longest wait before retry `number` (from 1); the wait is drawn evenly from zero up to it, exclusive.
pub fn back_off(policy: &Retry, number: u32) -> Millis {
    let (base, max) = policy.back_off.map_or((25, 250), |b| (b.base.0, b.max.map_or(b.base.0 * 10, |m| m.0)));
    let factor = 1u64.checked_shl(number.saturating_sub(1)).unwrap_or(u64::MAX);
    Millis(base.saturating_mul(factor).min(max))
}

/// The attempt (from 1) that first leaves the primary level, if the policy makes any do so.
pub fn first_attempt_elsewhere(policy: &Retry) -> Option<u32> {
    let attempt = policy.previous_priorities? + 1;
    (attempt <= policy.attempts + 1).then_some(attempt)
}

/// The split for an attempt when the priorities in `tried` were used by earlier ones (previous_priorities).
/// When nobody is left it starts over; when nobody is available at all the plain split stands.
pub fn split_after(hosts: &[Hosts], settings: load::Settings, tried: &BTreeSet<usize>) -> Vec<u32> {
    let (health, degraded) = load::availability(hosts, settings.overprovisioning);
    let without = |all: &[u32]| -> Vec<u32> {
        all.iter().enumerate().map(|(p, a)| if tried.contains(&p) { 0 } else { *a }).collect()
    };
    let parts = load::split(&without(&health), &without(&degraded)).or_else(|| load::split(&health, &degraded));
    match parts {
        Some((healthy, degraded)) => healthy.iter().zip(degraded).map(|(h, d)| h + d).collect(),
        None => load::load(hosts, settings).split(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(on: &[&str], attempts: u32, previous_priorities: Option<u32>) -> Retry {
        Retry {
            on: on.iter().map(|s| s.to_string()).collect(),
            attempts,
            per_try_timeout: None,
            previous_priorities,
            previous_hosts: None,
            status_codes: Vec::new(),
            back_off: None,
        }
    }

    #[test]
    fn each_condition_covers_what_was_measured() {
        let causes = [Cause::Connect, Cause::CutInFlight, Cause::Status(503), Cause::PerTryTimeout];
        let table: [(&str, [bool; 4]); 6] = [
            ("5xx", [true, true, true, true]),
            ("gateway-error", [true, true, true, true]),
            ("reset", [true, true, false, true]),
            ("reset-before-request", [true, false, false, false]),
            ("connect-failure", [true, false, false, false]),
            ("retriable-status-codes", [false, false, false, false]),
        ];
        for (condition, expected) in table {
            assert_eq!(causes.map(|c| covers(condition, c, &[])), expected, "{condition}");
        }
        assert!(covers("retriable-status-codes", Cause::Status(503), &[503]));
        assert!(!covers("5xx", Cause::RouteTimeout, &[]), "the route's timeout ends everything");
    }

    #[test]
    fn only_policies_that_cover_sent_requests_may_repeat_work() {
        assert!(may_repeat_work(&policy(&["5xx"], 2, None)));
        assert!(!may_repeat_work(&policy(&["connect-failure", "refused-stream", "reset-before-request"], 2, None)));
        assert!(!may_repeat_work(&policy(&["5xx"], 0, None)));
    }

    #[test]
    fn the_wait_doubles_up_to_ten_times_the_base() {
        let waits: Vec<u64> = (1..=6).map(|n| back_off(&policy(&["5xx"], 6, None), n).0).collect();
        assert_eq!(waits, [25, 50, 100, 200, 250, 250]);
    }

    #[test]
    fn the_update_frequency_decides_which_attempt_leaves_the_primary() {
        assert_eq!(first_attempt_elsewhere(&policy(&["5xx"], 2, Some(1))), Some(2));
        assert_eq!(first_attempt_elsewhere(&policy(&["5xx"], 2, Some(2))), Some(3));
        assert_eq!(first_attempt_elsewhere(&policy(&["5xx"], 1, Some(2))), None);
        assert_eq!(first_attempt_elsewhere(&policy(&["5xx"], 2, None)), None);
    }

    #[test]
    fn a_tried_priority_gets_nothing_until_nobody_else_is_left() {
        let hosts = [Hosts::of(1, 1), Hosts::of(1, 1)];
        let settings = load::Settings::default();
        assert_eq!(split_after(&hosts, settings, &BTreeSet::from([0])), [0, 100]);
        assert_eq!(split_after(&hosts, settings, &BTreeSet::from([0, 1])), [100, 0]);
        let lone = [Hosts::of(1, 1), Hosts::of(0, 1)];
        assert_eq!(split_after(&lone, settings, &BTreeSet::from([0])), [100, 0]);
    }
}
