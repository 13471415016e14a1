//! The one source of chance: everything that decides in a simulated run comes from here, so that
//! a seed is a run. The generator is written out (`SplitMix64`), so that an upgraded library cannot
//! change what a recorded seed means.

use std::time::Duration;

use uuid::Uuid;

/// A seeded sequence of throws.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Self(seed ^ 0x5851_F42D_4C95_7F2D);
        dice.throw();
        dice
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.throw().checked_rem(end).unwrap_or(0)
    }

    /// A number of `from..=to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        let span = to.saturating_sub(from).saturating_add(1);
        from.saturating_add(self.below(span))
    }

    /// `true` in `ppm` of a million throws.
    pub(crate) fn chance(&mut self, ppm: u64) -> bool {
        self.below(1_000_000) < ppm
    }

    /// One of two.
    pub(crate) fn coin(&mut self) -> bool {
        self.throw() & 1 == 1
    }

    /// One of them, or the fallback if there are none.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T], fallback: T) -> T {
        let index = self.below(u64::try_from(items.len()).unwrap_or(0));
        let index = usize::try_from(index).unwrap_or(0);
        items.get(index).copied().unwrap_or(fallback)
    }

    /// A duration of whole milliseconds up to `most`.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.between(0, millis))
    }

    /// A random token.
    pub(crate) fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.throw(), self.throw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_throws_the_same_and_another_one_does_not() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..8).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
        let mut dice = Dice::new(1);
        assert!((0..1000).all(|_| (3..=5).contains(&dice.between(3, 5))));
        assert_eq!(dice.below(0), 0);
    }
}
