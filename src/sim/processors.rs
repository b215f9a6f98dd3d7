//! How busy the processors of the machine were that made the requests: all of the time, and where they had no time left.
//! What comes in: their use, a stretch at a time. What goes out: a mean, and the stretches in which they were full.
//! May not know: how it was seen, what the requests were for.

use super::record::Micros;

/// How much of the processors' time was in use, for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// From when.
    pub from: Micros,
    /// To when.
    pub to: Micros,
    /// In use, per mille of the time of all of them.
    pub per_mille: u32,
}

/// Processors in use that much of a time (per mille) had none left: what is late or lost then is late or lost because of
/// them too. Two cores that carry what they are given were seen at up to 950, and at 990 and more once they did not.
pub const FULL: u32 = 980;
/// A stretch shorter than this, in microseconds, is one that a service waits through.
pub const FULL_FOR: Micros = 2_000_000;

/// Their use over all the time they were watched, per mille; none where they were not.
pub fn mean(seen: &[Use]) -> Option<u32> {
    let time: u64 = seen.iter().map(|u| u.to - u.from).sum();
    let used: u64 = seen.iter().map(|u| (u.to - u.from) * u64::from(u.per_mille)).sum();
    (time > 0).then(|| (used as f64 / time as f64).round() as u32)
}

/// The stretches in which they were full, from when to when, in order.
pub fn full(seen: &[Use]) -> Vec<(Micros, Micros)> {
    let stretches = seen.chunk_by(|a, b| (a.per_mille >= FULL) == (b.per_mille >= FULL));
    let full = stretches.filter(|s| s[0].per_mille >= FULL).map(|s| (s[0].from, s[s.len() - 1].to));
    full.filter(|(from, to)| to - from >= FULL_FOR).collect()
}
