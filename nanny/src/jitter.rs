//! Intervals that differ a little, so that what began together does not stay together.

use std::time::Duration;

/// Most percent of an interval by which it may differ.
pub const MOST: u8 = 50;

/// A source of intervals. The same seed gives the same ones.
#[derive(Debug, Clone)]
pub struct Jitter {
    percent: u8,
    state: u64,
}

impl Jitter {
    /// Intervals that differ by up to `percent` of them, at most [`MOST`], either way.
    #[must_use]
    pub fn new(percent: u8, seed: u64) -> Self {
        Self { percent: percent.min(MOST), state: seed }
    }

    /// An interval about as long as `interval`; on the average it is as long.
    pub fn spread(&mut self, interval: Duration) -> Duration {
        let widest = interval * u32::from(self.percent) / 100;
        if widest.is_zero() {
            return interval;
        }
        let share = (2 * widest.as_nanos() * u128::from(self.next())) >> 64;
        interval - widest + Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }

    /// The next of a row of numbers without a pattern: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
    /// number generators", 2014), which takes any seed.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut jitter = Jitter::new(1, 1_234_567);
        let numbers: Vec<u64> = std::iter::repeat_with(|| jitter.next()).take(3).collect();
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn intervals_are_spread_evenly_over_all_that_is_allowed() {
        let mut jitter = Jitter::new(20, 7);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let after = jitter.spread(Duration::from_secs(10)) - Duration::from_secs(8);
            tenths[usize::try_from(after.as_millis() / 400).unwrap().min(9)] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1_150).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn no_interval_differs_by_more_than_is_allowed(
            percent in 0u8..=100, seed: u64, millis in 0u64..86_400_000,
        ) {
            let (interval, mut jitter) = (Duration::from_millis(millis), Jitter::new(percent, seed));
            let widest = interval * u32::from(percent.min(MOST)) / 100;
            for _ in 0..20 {
                let spread = jitter.spread(interval);
                prop_assert!(spread >= interval - widest && spread <= interval + widest);
            }
        }
    }
}
