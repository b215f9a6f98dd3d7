//! Chance, the same for the same seed.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Chance.
pub struct Dice(Pcg64);

impl Dice {
    /// The chance of a seed.
    pub fn new(seed: u64) -> Dice {
        Dice(Pcg64::seed_from_u64(seed))
    }

    /// A number below `n`.
    pub fn roll(&mut self, n: usize) -> usize {
        self.0.random_range(0..n)
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    /// One of these.
    pub fn one_of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    /// The same items in another order.
    pub fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        (1..items.len()).rev().for_each(|i| items.swap(i, self.roll(i + 1)));
        items
    }
}
