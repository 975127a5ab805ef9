//! How a weight grows: which part of the full one a real server has, so long after it came up. Pure numbers.
//!
//! - Doubling, as Piranha's monitor did it: the 32nd part of the full weight, at least 1, then twice as much every
//!   [`PACE`], up to the full one. Piranha's first weight for 0 was 1; here it is 0.
//! - Even: a sixteenth of the full weight, rounded up, then two, and so on, evenly spread over a time.
//!
//! Both are a few steps long, and none is lower than the one before, so a weight never falls while the full one stays.

use std::time::Duration;

use lvs_config::model::SlowStart;

/// Time between two doublings.
const PACE: Duration = Duration::from_secs(20);
/// Doublings that make every weight full: from the 32nd part, which rounding may have cut to about the 64th.
const DOUBLINGS: u32 = 6;
/// Even steps, the full weight included.
const EVEN_STEPS: u32 = 16;

/// A way to the full weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ramp {
    /// In doublings.
    Doubling,
    /// In even steps within this time.
    Even(Duration),
}

impl Ramp {
    /// What the file asks for; `None` where weights are full at once.
    pub(super) fn of(slow_start: SlowStart) -> Option<Self> {
        match slow_start {
            SlowStart::Off => None,
            SlowStart::Doubling => Some(Self::Doubling),
            SlowStart::Even(time) => Some(Self::Even(time)),
        }
    }

    /// The weight after this time.
    pub(super) fn weight(self, full: u32, elapsed: Duration) -> u32 {
        self.part(full, self.step(elapsed))
    }

    /// After which time the weight is the next time another one than after this time; `None`: never.
    pub(super) fn next(self, full: u32, elapsed: Duration) -> Option<Duration> {
        let now = self.step(elapsed);
        let weight = self.part(full, now);
        (now + 1..=self.last()).find(|step| self.part(full, *step) != weight).map(|step| self.begin(step))
    }

    /// After which time the weight is first full.
    pub(super) fn length(self, full: u32) -> Duration {
        self.place(full, full)
    }

    /// After which time the weight is first not less than `weight`.
    pub(super) fn place(self, full: u32, weight: u32) -> Duration {
        let step = (0..self.last()).find(|step| self.part(full, *step) >= weight);
        self.begin(step.unwrap_or(self.last()))
    }

    /// The last step; they count from 0.
    fn last(self) -> u32 {
        match self {
            Self::Doubling => DOUBLINGS,
            Self::Even(_) => EVEN_STEPS - 1,
        }
    }

    /// The step after this time.
    fn step(self, elapsed: Duration) -> u32 {
        (1..=self.last()).take_while(|step| self.begin(*step) <= elapsed).last().unwrap_or(0)
    }

    /// When a step begins, in whole milliseconds: the first at once, the last of an even climb after the whole time.
    fn begin(self, step: u32) -> Duration {
        match self {
            Self::Doubling => PACE * step,
            Self::Even(time) => {
                let nanos = time.as_nanos() * u128::from(step) / u128::from(EVEN_STEPS - 1);
                Duration::from_millis(u64::try_from(nanos.div_ceil(1_000_000)).unwrap_or(u64::MAX))
            }
        }
    }

    /// What a step gives of a full weight.
    fn part(self, full: u32, step: u32) -> u32 {
        let part = match self {
            Self::Doubling => u64::from((full >> 5).max(1)) << step,
            Self::Even(_) => (u64::from(full) * u64::from(step + 1)).div_ceil(EVEN_STEPS.into()),
        };
        u32::try_from(part).unwrap_or(full).min(full)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The weights of a climb with the seconds at which they begin.
    fn climb(ramp: Ramp, full: u32) -> Vec<(u64, u32)> {
        let mut found = vec![(0, ramp.weight(full, Duration::ZERO))];
        let mut at = Duration::ZERO;
        while let Some(next) = ramp.next(full, at) {
            found.push((next.as_secs(), ramp.weight(full, next)));
            at = next;
        }
        assert_eq!(at, ramp.length(full));
        found
    }

    #[test]
    fn doubling_has_piranhas_numbers() {
        let of = |full| climb(Ramp::Doubling, full);
        assert_eq!(of(64), [(0, 2), (20, 4), (40, 8), (60, 16), (80, 32), (100, 64)]);
        assert_eq!(of(100), [(0, 3), (20, 6), (40, 12), (60, 24), (80, 48), (100, 96), (120, 100)]);
        assert_eq!(of(63), [(0, 1), (20, 2), (40, 4), (60, 8), (80, 16), (100, 32), (120, 63)]);
        assert_eq!(of(32), [(0, 1), (20, 2), (40, 4), (60, 8), (80, 16), (100, 32)]);
        assert_eq!(of(3), [(0, 1), (20, 2), (40, 3)]);
        assert_eq!(of(2), [(0, 1), (20, 2)]);
        assert_eq!(of(1), [(0, 1)]);
        assert_eq!(of(0), [(0, 0)]);
        for full in 1..64 {
            assert_eq!(of(full)[0], (0, 1), "{full}");
        }
    }

    #[test]
    fn an_even_climb_has_up_to_sixteen_steps() {
        let ramp = Ramp::Even(Duration::from_secs(15));
        let expected: Vec<(u64, u32)> = (0..16u32).map(|step| (u64::from(step), 2 * (step + 1))).collect();
        assert_eq!(climb(ramp, 32), expected);
        assert_eq!(climb(ramp, 3), [(0, 1), (5, 2), (10, 3)]);
        assert_eq!(climb(ramp, 1), [(0, 1)]);
        assert_eq!(climb(ramp, 0), [(0, 0)]);
    }

    #[test]
    fn the_place_of_a_weight_is_where_a_climb_first_has_as_much() {
        let place = |full, weight| Ramp::Doubling.place(full, weight).as_secs();
        assert_eq!([place(64, 0), place(64, 2), place(64, 4), place(64, 5)], [0, 0, 20, 40]);
        assert_eq!([place(64, 64), place(64, 1000), place(1, 1), place(0, 0)], [100, 120, 0, 0]);
    }

    fn ramp() -> impl Strategy<Value = Ramp> {
        let even = (1000u64..3_600_000).prop_map(|millis| Ramp::Even(Duration::from_millis(millis)));
        prop_oneof![Just(Ramp::Doubling), even]
    }

    proptest! {
        #[test]
        fn a_climb_only_rises_in_few_steps_to_the_full_weight(
            ramp in ramp(),
            full in prop_oneof![0u32..200, 1u32..70_000, Just(u32::MAX)],
            looks in prop::collection::vec(0u64..300_000, 1..30),
        ) {
            let (mut steps, mut at) = (1, Duration::ZERO);
            while let Some(next) = ramp.next(full, at) {
                prop_assert!(next > at && ramp.weight(full, next) > ramp.weight(full, at));
                (steps, at) = (steps + 1, next);
            }
            prop_assert!(steps <= 16 && at == ramp.length(full));
            let (mut now, mut last) = (Duration::ZERO, 0);
            for look in looks {
                now += Duration::from_millis(look);
                let weight = ramp.weight(full, now);
                prop_assert!(weight >= last && weight <= full && weight >= full.min(1));
                prop_assert_eq!(now >= ramp.length(full), weight == full);
                prop_assert!(ramp.weight(full, ramp.place(full, weight)) == weight);
                last = weight;
            }
        }
    }
}
