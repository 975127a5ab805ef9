//! Which weight a server is to have: its configured one, as far as its load, its own probe and its agent leave it. Pure.
//!
//! The load moves the weight up from what is configured ([`load`]); a probe that passed with a warning, and an agent, take
//! a part of that, and of two parts the smaller. What has been told is remembered, so that only changes are told.

use crate::advice::{Advice, Standing, share};
use crate::load;

/// What a measurement gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured {
    /// A load average.
    Load(f64),
    /// The part of the configured weight that the server wants, in percent, at most 256.
    Percent(u16),
    /// An agent's line.
    Advice(Advice),
}

/// A weight to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The weight.
    pub weight: u16,
    /// Why.
    pub reason: String,
}

/// The weight of one server.
#[derive(Debug)]
pub struct Weighing {
    configured: u16,
    /// Largest multiple of the configured weight that a low load can give.
    scale: u16,
    by_load: u16,
    probe_percent: u16,
    standing: Standing,
    told: u16,
    reason: String,
}

impl Weighing {
    /// A server that has its configured weight.
    #[must_use]
    pub fn new(configured: u16, scale: u16) -> Self {
        Self {
            configured,
            scale,
            by_load: configured,
            probe_percent: 100,
            standing: Standing::default(),
            told: configured,
            reason: String::new(),
        }
    }

    /// The server has come up, so that whoever is told gives it the configured weight.
    pub fn came_up(&mut self) {
        self.by_load = self.configured;
        self.told = self.configured;
    }

    /// A probe has passed that leaves the server this part of its weight, in percent.
    pub fn probed(&mut self, percent: u16) {
        if self.probe_percent != percent {
            self.reason = format!("check leaves {percent}%");
        }
        self.probe_percent = percent;
    }

    /// Something was measured.
    pub fn measured(&mut self, measured: Measured) {
        match measured {
            Measured::Load(load) => {
                if let Some(weight) = load::weight(self.configured, self.by_load, self.scale, load) {
                    self.by_load = weight;
                    self.reason = format!("load {load:.2}");
                }
            }
            Measured::Percent(percent) => {
                self.standing.advise(Advice { percent: Some(percent), ..Advice::default() });
                self.reason = format!("server wants {percent}%");
            }
            Measured::Advice(advice) => {
                self.standing.advise(advice);
                self.reason = self.standing.reason();
            }
        }
    }

    /// Why the agent wants the server out of service, if it does.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        self.standing.objection()
    }

    /// The weight that is to be told, if it is another than what was told last.
    pub fn change(&mut self) -> Option<Change> {
        let advised = self.standing.weight(self.by_load);
        let weight = if self.probe_percent < 100 {
            share(self.by_load, self.probe_percent).min(advised)
        } else {
            advised
        };
        let before = std::mem::replace(&mut self.told, weight);
        (weight != before).then(|| Change { weight, reason: self.reason.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(line: &str) -> Measured {
        Measured::Advice(Advice::parse(line.as_bytes()).unwrap())
    }

    fn change(weight: u16, reason: &str) -> Option<Change> {
        Some(Change { weight, reason: reason.into() })
    }

    #[test]
    fn a_weight_is_told_once_with_its_reason() {
        let mut weighing = Weighing::new(100, 10);
        assert_eq!(weighing.change(), None);
        weighing.measured(Measured::Load(0.0));
        assert_eq!((weighing.change(), weighing.change()), (change(150, "load 0.00"), None));
        weighing.measured(advice("50%"));
        assert_eq!(weighing.change(), change(75, "agent says 50%"));
        weighing.measured(advice("50%"));
        assert_eq!(weighing.change(), None);
        weighing.measured(advice("drain"));
        assert_eq!(weighing.change(), change(0, "agent says drain"));
    }

    #[test]
    fn of_a_warning_and_an_agent_the_smaller_part_counts() {
        let mut weighing = Weighing::new(100, 10);
        weighing.probed(40);
        assert_eq!(weighing.change(), change(40, "check leaves 40%"));
        weighing.measured(advice("80%"));
        assert_eq!(weighing.change(), None);
        weighing.measured(Measured::Percent(20));
        assert_eq!(weighing.change(), change(20, "server wants 20%"));
        weighing.probed(100);
        assert_eq!(weighing.change(), None);
        weighing.measured(Measured::Percent(200));
        assert_eq!(weighing.change(), change(200, "server wants 200%"));
    }

    #[test]
    fn a_server_that_comes_up_has_its_configured_weight_until_it_is_told_otherwise() {
        let mut weighing = Weighing::new(100, 10);
        weighing.measured(Measured::Load(0.0));
        assert_eq!(weighing.change(), change(150, "load 0.00"));
        weighing.came_up();
        assert_eq!(weighing.change(), None);
        weighing.measured(advice("10%"));
        weighing.came_up();
        assert_eq!(weighing.change(), change(10, "agent says 10%"));
    }
}
