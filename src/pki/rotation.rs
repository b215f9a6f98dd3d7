//! Replacing a root without an outage. What comes in: what each secret trusts, and which root signed what is in it.
//! What goes out: the next step. May not know: clusters, files; nothing is remembered elsewhere, so what is in the
//! clusters is where a rotation stands.
//! Two parties talk as long as each trusts the root of the other's certificate. Everyone trusts both roots before
//! anyone moves, everyone has moved before the old root goes: so in every state between, finished or not, every pair
//! talks.

use serde::Serialize;

use super::Error;
use super::facts::{certificates, facts, signature_of};
use super::mesh::blocks;

/// What one secret says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// It trusts what the old root signed.
    pub trusts_old: bool,
    /// It trusts what the new root signed.
    pub trusts_new: bool,
    /// Its certificate comes from the new root.
    pub moved: bool,
}

/// The steps of a rotation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Everyone trusts both roots.
    TrustBoth,
    /// Everyone takes a certificate of the new root.
    Move,
    /// Nobody trusts the old root any more.
    Retire,
    /// Everything is under the new root.
    Done,
}

impl Step {
    /// What it does, as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Step::TrustBoth => "trust both roots everywhere",
            Step::Move => "take certificates of the new root everywhere",
            Step::Retire => "trust the new root alone",
            Step::Done => "everything is under the new root",
        }
    }

    /// Its place among three.
    pub fn number(self) -> usize {
        match self {
            Step::TrustBoth => 1,
            Step::Move => 2,
            Step::Retire => 3,
            Step::Done => 4,
        }
    }
}

/// The next step, from what every secret says.
pub fn next(seen: &[Seen]) -> Step {
    if seen.iter().any(|s| !s.trusts_new) {
        return Step::TrustBoth;
    }
    // Somebody who has not moved is trusted only by those who trust the old root.
    let old_ones = seen.iter().any(|s| !s.moved);
    if old_ones && seen.iter().any(|s| !s.trusts_old) {
        return Step::TrustBoth;
    }
    match (old_ones, seen.iter().any(|s| s.trusts_old)) {
        (true, _) => Step::Move,
        (false, true) => Step::Retire,
        (false, false) => Step::Done,
    }
}

/// Both roots, the one in use first; once where they are the same.
pub fn bundle(first: &str, second: &str) -> String {
    let mut text = String::new();
    for block in blocks(first).chain(blocks(second)) {
        if !text.contains(block.trim()) {
            text += block.trim();
            text.push('\n');
        }
    }
    text
}

/// Whether a bundle holds a root.
///
/// # Errors
/// When one of them cannot be read.
pub fn trusts(roots: &str, root: &str) -> Result<bool, Error> {
    let root = certificates(root)?;
    Ok(certificates(roots)?.contains(&root[0]))
}

/// Whether a root signed the last certificate of a chain that did not sign itself.
///
/// # Errors
/// When one of them cannot be read.
pub fn comes_from(chain: &str, root: &str) -> Result<bool, Error> {
    let all = certificates(chain)?.iter().map(facts).collect::<Result<Vec<_>, _>>()?;
    let root = facts(&certificates(root)?[0])?;
    let last = all.iter().rev().find(|f| f.subject != f.issuer);
    Ok(last.is_some_and(|f| f.issuer == root.subject && signature_of(f, &root)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether two parties talk, each as it is.
    fn talk(a: Seen, b: Seen) -> bool {
        let trusts = |who: Seen, other: Seen| if other.moved { who.trusts_new } else { who.trusts_old };
        trusts(a, b) && trusts(b, a)
    }

    /// One secret written as a step wants it.
    fn written(step: Step, old: Seen) -> Seen {
        match step {
            Step::TrustBoth => Seen { trusts_old: true, trusts_new: true, ..old },
            Step::Move => Seen { trusts_old: true, trusts_new: true, moved: true },
            Step::Retire | Step::Done => Seen { trusts_old: false, trusts_new: true, moved: true },
        }
    }

    #[test]
    fn every_pair_talks_in_every_state_between_and_the_steps_come_to_an_end() {
        let old = Seen { trusts_old: true, trusts_new: false, moved: false };
        // Every order in which four secrets may be written, stopped after any number of them, is met: within a step
        // secrets are independent, so it is enough that any subset is written.
        let mut worlds = vec![vec![old; 4]];
        for round in 0..3 {
            let mut finished = Vec::new();
            for world in &worlds {
                let step = next(world);
                assert_eq!(step.number(), round + 1);
                for subset in 0u32..16 {
                    let between: Vec<Seen> = world
                        .iter()
                        .enumerate()
                        .map(|(i, s)| if subset & (1 << i) == 0 { *s } else { written(step, *s) })
                        .collect();
                    for a in &between {
                        assert!(between.iter().all(|b| talk(*a, *b)), "{step:?} {between:?}");
                    }
                    // A rotation that was stopped here goes on with the same step, and never with an earlier one.
                    assert!(next(&between) == step || subset == 15, "{step:?} {between:?}");
                }
                finished.push(world.iter().map(|s| written(step, *s)).collect());
            }
            worlds = finished;
        }
        assert!(worlds.iter().all(|w| next(w) == Step::Done));
    }
}
