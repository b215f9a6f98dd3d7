//! Per-second counts: who answered and what failed.
//! May not know: how they are drawn.

use std::collections::BTreeMap;

use serde::Serialize;

use super::record::{Micros, Samples};

/// One second of a run, counted by intended start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Second {
    /// Seconds from the fault; the fault is injected at the start of second 0.
    pub second: i64,
    /// Requests started.
    pub requests: u64,
    /// Answers by label.
    pub answered: BTreeMap<String, u64>,
    /// Lost requests.
    pub failed: u64,
    /// Answers cut after their headers.
    pub cut_after_headers: u64,
    /// Lost requests by cause.
    pub failures: BTreeMap<String, u64>,
    /// Starts that could not be made.
    pub missed: u64,
}

/// Counts per second; second 0 begins at `zero`.
pub fn seconds(samples: &Samples, zero: Micros) -> Vec<Second> {
    let index = |at: Micros| (at as i64 - zero as i64).div_euclid(1_000_000);
    let mut all: BTreeMap<i64, Second> = BTreeMap::new();
    for record in &samples.records {
        let i = index(record.start);
        let second = all.entry(i).or_insert_with(|| Second { second: i, ..Second::default() });
        second.requests += 1;
        if let Some(by) = record.by() {
            *second.answered.entry(by.to_string()).or_default() += 1;
        }
        if let Some(class) = record.failure() {
            *second.failures.entry(class.as_str().to_string()).or_default() += 1;
            if record.lost() { second.failed += 1 } else { second.cut_after_headers += 1 }
        }
    }
    for missed in &samples.missed {
        let i = index(*missed);
        all.entry(i).or_insert_with(|| Second { second: i, ..Second::default() }).missed += 1;
    }
    all.into_values().collect()
}
