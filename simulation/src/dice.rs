//! The only source of chance in a simulation: the same seed throws the same numbers for ever.

use std::time::Duration;

/// A generator of numbers (SplitMix64), small and the same on every machine.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5851_f42d_4c95_7f2d)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        let scaled = (self.number() >> 32) * u64::from(bound);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    /// A number of `low..=high`.
    pub fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True so often in a hundred times.
    pub fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// A time of `low..=high` milliseconds.
    pub fn millis(&mut self, low: u32, high: u32) -> Duration {
        Duration::from_millis(u64::from(self.between(low, high)))
    }

    /// A time of `low..=high` seconds.
    pub fn seconds(&mut self, low: u32, high: u32) -> Duration {
        self.millis(low * 1000, high * 1000)
    }

    /// One of these; none of none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        let count = u32::try_from(among.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return None;
        }
        among.get(self.below(count) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_throws_the_same_numbers_for_ever() {
        let mut dice = Dice::new(7);
        let thrown: Vec<_> = (0..6).map(|_| dice.below(100)).collect();
        let mut again = Dice::new(7);
        assert_eq!(thrown, (0..6).map(|_| again.below(100)).collect::<Vec<_>>());
        assert_ne!(thrown, (0..6).map(|_| dice.below(100)).collect::<Vec<_>>());
    }

    #[test]
    fn numbers_stay_within_their_bounds() {
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            assert!((3..=5).contains(&dice.between(3, 5)));
            assert_eq!(dice.below(1), 0);
        }
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
