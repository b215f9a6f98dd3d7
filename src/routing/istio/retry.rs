//! Retries of a route. What comes in: `retries` of a VirtualService, or nothing. What goes out: Envoy's policy.
//! Rules: Istio's pilot/pkg/networking/core/route/retry.

use crate::routing::read::At;
use crate::routing::{BackOff, Retry};

/// Istio's conditions when a VirtualService names none.
const CONDITIONS: [&str; 5] =
    ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"];
/// Host picks before a retry takes a host that was tried.
const HOST_PICKS: u32 = 5;
/// With `retryRemoteLocalities`: attempts before the priorities tried so far are left.
const UPDATE_FREQUENCY: u32 = 2;
const CODES: &str = "retriable-status-codes";

/// What Istio does when a VirtualService says nothing: two retries.
pub fn by_default() -> Retry {
    Retry {
        on: CONDITIONS.map(str::to_string).into(),
        attempts: 2,
        per_try_timeout: None,
        previous_priorities: None,
        previous_hosts: Some(HOST_PICKS),
        status_codes: Vec::new(),
        back_off: None,
    }
}

/// From `retries`, which replaces the default as a whole; zero attempts switch retries off.
pub fn read(at: &At) -> Option<Retry> {
    if !at.is_some() {
        return Some(by_default());
    }
    let attempts = at.get("attempts").u32().unwrap_or(0);
    if attempts == 0 {
        return None;
    }
    let (on, status_codes) = conditions(at.get("retryOn").text().unwrap_or_default());
    let remote = at.get("retryRemoteLocalities").bool().unwrap_or(false);
    let same_host = at.get("retryIgnorePreviousHosts").bool() == Some(false);
    Some(Retry {
        on,
        attempts,
        per_try_timeout: at.get("perTryTimeout").millis_above_zero(),
        previous_priorities: remote.then_some(UPDATE_FREQUENCY),
        previous_hosts: (!same_host).then_some(HOST_PICKS),
        status_codes,
        back_off: at.get("backoff").millis_above_zero().map(|base| BackOff { base, max: None }),
    })
}

/// Words and status codes of `retryOn`; codes imply the condition that makes them count.
fn conditions(text: &str) -> (Vec<String>, Vec<u16>) {
    if text.trim().is_empty() {
        return (CONDITIONS.map(str::to_string).into(), Vec::new());
    }
    let (mut on, mut codes): (Vec<String>, Vec<u16>) = (Vec::new(), Vec::new());
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        match word.parse::<u16>() {
            Ok(code) => codes.push(code),
            Err(_) => on.push(word.to_string()),
        }
    }
    if !codes.is_empty() && !on.iter().any(|w| w == CODES) {
        on.push(CODES.into());
    }
    (on, codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_retry_on_are_status_codes_and_make_them_count() {
        let (on, codes) = conditions("connect-failure, 503 ,reset");
        assert_eq!((on.join(" "), codes), ("connect-failure reset retriable-status-codes".to_string(), vec![503]));
        assert_eq!(conditions(" ").0.len(), 5);
    }
}
