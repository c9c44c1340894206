//! How long an order that does not get through, or may not look at something, waits before it is tried again.
//!
//! The pause doubles from try to try up to a bound, and a part of it is chance, so that those who failed together do not
//! come back together. Chance is an input: the same seed gives the same pauses.

use std::time::Duration;

/// The pause after the first failure, before chance has its part.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The first and the longest pause before another look at what may not be read.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// Pauses, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    seed: u64,
}

impl Pauses {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The pause after this many failures before: between three and four quarters of the whole one.
    pub(crate) fn after(&mut self, failures: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << failures.min(10)).min(LONGEST);
        self.part(whole)
    }

    /// The pause before another look, after this many before.
    pub(crate) fn before_look(&mut self, looks: u32) -> Duration {
        let whole = LOOK.0.saturating_mul(3_u32.pow(looks.min(10)));
        self.part(whole.min(LOOK.1))
    }

    fn part(&mut self, whole: Duration) -> Duration {
        let chance = u32::try_from(self.next() >> 32).unwrap_or_default();
        let part = ((whole / 4).as_micros() * u128::from(chance)) >> 32;
        whole - Duration::from_micros(u64::try_from(part).unwrap_or_default())
    }

    /// SplitMix64: small, and good enough to spread.
    fn next(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        let mut pauses = Pauses::new(7);
        for (failures, whole) in [(0, 500), (1, 1000), (3, 4000), (6, 30_000), (99, 30_000)] {
            let seen: Vec<_> = (0..100)
                .map(|_| pauses.after(failures).as_millis())
                .collect();
            let (least, most) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
            assert!(*least >= whole * 3 / 4 && *most <= whole);
            assert!(most - least > whole / 8, "they spread");
        }
        let again = |seed| Pauses::new(seed).after(3);
        assert_eq!(again(1), again(1));
        assert_ne!(again(1), again(2));
    }
}
