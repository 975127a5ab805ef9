//! What the health of real servers leads to: start, slow start, drain, quorum, and commands to run.

use std::time::Duration;

use super::Lowering;
use super::read::Found;
use crate::diagnostic::{Code, Problem};
use crate::keys::Directive;
use crate::model::{Hooks, Quorum, StartPolicy};

/// What a `virtual` block says of it.
pub(super) struct Policy {
    pub(super) quorum: Option<Quorum>,
    pub(super) start: Option<StartPolicy>,
    pub(super) slow_start: Option<Duration>,
    pub(super) drain: Option<Duration>,
    pub(super) hooks: Hooks,
}

impl<'a> Lowering<'a> {
    /// The policy of a `virtual` block.
    pub(super) fn policy(&mut self, found: &Found<'a>) -> Policy {
        Policy {
            quorum: self.quorum(found),
            start: self.choice(found, Directive::Start),
            slow_start: self.time(found, Directive::SlowStart).map(|time| time.value),
            drain: self.time(found, Directive::Drain).map(|time| time.value),
            hooks: self.hooks(found),
        }
    }

    /// The commands of a block.
    pub(super) fn hooks(&mut self, found: &Found<'a>) -> Hooks {
        Hooks { on_up: self.command(found, Directive::OnUp), on_down: self.command(found, Directive::OnDown) }
    }

    fn quorum(&mut self, found: &Found<'a>) -> Option<Quorum> {
        let weight = self.count(found, Directive::Quorum);
        let hysteresis = self.count(found, Directive::QuorumHysteresis);
        let (weight, hysteresis) = (weight?, hysteresis?);
        if hysteresis < weight {
            return Some(Quorum { weight, hysteresis });
        }
        let span = found.span(Directive::QuorumHysteresis)?;
        let message = format!("`quorum_hysteresis` ({hysteresis}) is not less than `quorum` ({weight})");
        let problem = Problem::error(Code::Conflict, span, message);
        let problem = problem.help("allowed: less than `quorum`, or it could never be lost");
        self.report.add(match found.span(Directive::Quorum) {
            Some(quorum) => problem.note(quorum, "the quorum is given"),
            None => problem,
        });
        None
    }
}
