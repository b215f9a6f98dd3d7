//! Route options that decide what a lost request costs.

use crate::routing::read::At;
use crate::routing::{BackOff, Retry};

/// Gloo's default of `numRetries` (its basicroute plugin turns 0 into it).
const NUM_RETRIES: u32 = 1;
/// Gloo's documented default of `previousPriorities.updateFrequency`.
const UPDATE_FREQUENCY: u32 = 2;

/// `options.retries` of a route or a virtual host.
pub fn retry(at: &At) -> Option<Retry> {
    at.value()?;
    let conditions = at.get("retryOn").string().unwrap_or_default();
    let priorities = at.get("previousPriorities").some();
    let back_off = at.get("retryBackOff").some().and_then(|b| {
        Some(BackOff {
            base: b.get("baseInterval").millis_above_zero()?,
            max: b.get("maxInterval").millis_above_zero(),
        })
    });
    let codes = at.get("retriableStatusCodes").items();
    Some(Retry {
        on: conditions.split(',').map(|c| c.trim().to_string()).filter(|c| !c.is_empty()).collect(),
        attempts: at.get("numRetries").u32().filter(|n| *n > 0).unwrap_or(NUM_RETRIES),
        per_try_timeout: at.get("perTryTimeout").millis_above_zero(),
        previous_priorities: priorities
            .map(|p| p.get("updateFrequency").u32().filter(|n| *n > 0).unwrap_or(UPDATE_FREQUENCY)),
        previous_hosts: None,
        status_codes: codes.iter().filter_map(At::u32).filter_map(|c| u16::try_from(c).ok()).collect(),
        back_off,
    })
}
