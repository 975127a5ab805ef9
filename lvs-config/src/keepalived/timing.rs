//! When servers are checked, and what a failure means: settings of a virtual server, which its servers and their checks
//! may override.

use std::time::Duration;

use super::notes::Notes;
use super::tree::Node;
use super::values;

/// Shortest and longest interval of `lvs.cf`.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);
/// Most failures in a row of `lvs.cf`.
const MOST: u32 = 100;

/// What is given; `None` leaves what is given outside, or the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) interval: Option<Duration>,
    pub(super) retry: Option<u32>,
    pub(super) inhibit: Option<bool>,
    pub(super) alpha: Option<bool>,
    /// Limit of connecting, and of each answer.
    pub(super) step: Option<Duration>,
    /// Interval after a failure.
    pub(super) failing: Option<Duration>,
}

impl Timing {
    /// Takes `node`, if it is such a setting.
    pub(super) fn take(&mut self, node: &Node, notes: &mut Notes) -> bool {
        let argument = node.argument();
        match node.keyword() {
            "delay_loop" => self.interval = interval(node, notes),
            "retry" | "nb_get_retry" => match argument.and_then(|text| text.parse().ok()) {
                Some(retry) if retry < MOST => self.retry = Some(retry),
                _ => notes.leave(node.place, &node.words, "a failure counts after at most 100 checks"),
            },
            "inhibit_on_failure" => self.inhibit = switch(node, notes),
            "alpha" => self.alpha = switch(node, notes),
            "connect_timeout" => self.step = limit(node, notes),
            "delay_before_retry" => self.failing = limit(node, notes),
            "warmup" => {
                notes.leave(node.place, &node.words, "lvs spreads the first checks by itself");
            }
            "log_all_failures" => {
                notes.leave(node.place, &node.words, "the first failure is logged, and what follows from it");
            }
            _ => return false,
        }
        true
    }

    /// These settings, where they are given, else those of `outer`.
    pub(super) fn or(self, outer: Self) -> Self {
        Self {
            interval: self.interval.or(outer.interval),
            retry: self.retry.or(outer.retry),
            inhibit: self.inhibit.or(outer.inhibit),
            alpha: self.alpha.or(outer.alpha),
            step: self.step.or(outer.step),
            failing: self.failing.or(outer.failing),
        }
    }
}

/// A time of at least a hundredth of a second and at most an hour.
pub(super) fn limit(node: &Node, notes: &mut Notes) -> Option<Duration> {
    let time = node.argument().and_then(values::time);
    let time = time.filter(|time| (SHORTEST..=LONGEST).contains(time));
    if time.is_none() {
        notes.leave(node.place, &node.words, "not a time from 10ms to an hour");
    }
    time
}

fn interval(node: &Node, notes: &mut Notes) -> Option<Duration> {
    let time = node.argument().and_then(values::time).filter(|time| !time.is_zero());
    if time.is_none_or(|time| time > LONGEST) {
        notes.leave(node.place, &node.words, "the interval between checks is at most an hour");
    }
    time.filter(|time| *time <= LONGEST)
}

pub(super) fn switch(node: &Node, notes: &mut Notes) -> Option<bool> {
    let on = values::switch(node.argument());
    if on.is_none() {
        notes.leave(node.place, &node.words, "neither on nor off");
    }
    on
}
