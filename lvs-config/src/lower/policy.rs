//! What the health of real servers leads to: start, slow start, drain, quorum, and commands to run.

use std::time::Duration;

use super::Lowering;
use super::read::Found;
use crate::diagnostic::{Code, Problem};
use crate::keys::Directive;
use crate::model::{Check, Hooks, Quorum, RealServer, Scheduler, SlowStart, StartPolicy, WeightUse};
use crate::tree::Block;
use crate::{value, words};

/// What a `virtual` block says of it.
pub(super) struct Policy {
    pub(super) quorum: Option<Quorum>,
    pub(super) start: Option<StartPolicy>,
    pub(super) slow_start: Option<SlowStart>,
    pub(super) drain: Option<Duration>,
    pub(super) hooks: Hooks,
}

impl<'a> Lowering<'a> {
    /// The policy of a `virtual` block.
    pub(super) fn policy(&mut self, found: &Found<'_>) -> Policy {
        Policy {
            quorum: self.quorum(found),
            start: self.choice(found, Directive::Start),
            slow_start: self.climb(found),
            drain: self.time(found, Directive::Drain).map(|time| time.value),
            hooks: self.hooks(found),
        }
    }

    /// The commands of a block.
    pub(super) fn hooks(&mut self, found: &Found<'_>) -> Hooks {
        Hooks { on_up: self.command(found, Directive::OnUp), on_down: self.command(found, Directive::OnDown) }
    }

    fn quorum(&mut self, found: &Found<'_>) -> Option<Quorum> {
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

    /// Warns of a quorum that the servers cannot make together.
    pub(super) fn quorum_can_be_reached(
        &mut self,
        found: &Found<'_>,
        quorum: Quorum,
        servers: &[RealServer],
    ) {
        let Some(span) = found.span(Directive::Quorum) else { return };
        let active = servers.iter().filter(|server| server.active);
        let sum: u64 = active.map(|server| u64::from(server.weight.value())).sum();
        let needed = u64::from(quorum.weight) + u64::from(quorum.hysteresis);
        if sum < needed && servers.iter().any(|server| server.active) {
            let message = format!(
                "the quorum can never be reached: it takes {needed}, and the weights of the active real servers are \
                 {sum} together"
            );
            let problem = Problem::warning(Code::Conflict, span, message);
            self.if_valid.push(match found.span(Directive::QuorumHysteresis) {
                Some(hysteresis) if quorum.hysteresis > 0 => {
                    problem.note(hysteresis, "the hysteresis is given")
                }
                _ => problem,
            });
        }
    }

    /// Warns of servers that all have weight 0. A monitor may compute other weights, and with a sorry server it is a
    /// way to have that serve.
    pub(super) fn somebody_has_a_weight(
        &mut self,
        block: &Block,
        check: Option<&Check>,
        servers: &[RealServer],
    ) {
        let mut active = servers.iter().filter(|server| server.active).peekable();
        if active.peek().is_some()
            && active.all(|server| server.weight.value() == 0)
            && !check.is_some_and(computes_weights)
        {
            let message = "every active real server has weight 0: no new connection is served";
            self.if_valid.push(Problem::warning(Code::NoEffect, block.keyword, message));
        }
    }

    fn climb(&mut self, found: &Found<'_>) -> Option<SlowStart> {
        self.one(found, Directive::SlowStart, |lowering, a| {
            if a.text.starts_with(|c: char| c.is_ascii_digit()) {
                let is_off = value::time(a.text).is_ok_and(|time| time.is_zero());
                return if is_off { Some(SlowStart::Off) } else { lowering.time_of(a).map(SlowStart::Even) };
            }
            words::climb(a.text).or_else(|| lowering.reject_word(a, &words::climbs()))
        })
    }

    /// Warns of weights that cannot grow although the file asks for it.
    fn nothing_grows(&mut self, found: &Found<'_>, check: Option<&Check>, servers: &[RealServer]) {
        let Some(span) = found.span(Directive::SlowStart) else { return };
        let mut active = servers.iter().filter(|server| server.active).peekable();
        if active.peek().is_some()
            && active.all(|server| server.weight.value() <= 1)
            && !check.is_some_and(computes_weights)
        {
            let message = "`slow_start` has no effect: no active real server has a weight above 1";
            let help = "give weights such as 100, which can begin lower";
            self.if_valid.push(Problem::warning(Code::NoEffect, span, message).help(help));
        }
    }

    /// Warns of a growing weight that was asked for where weights are no shares of the work, or too small.
    pub(super) fn useless_slow_start(
        &mut self,
        found: &Found<'_>,
        scheduler: Option<Scheduler>,
        slow_start: Option<SlowStart>,
        check: Option<&Check>,
        servers: &[RealServer],
    ) {
        let (Some(scheduler), Some(slow_start)) = (scheduler, slow_start) else { return };
        let why = match (scheduler.use_of_weights(), slow_start) {
            (_, SlowStart::Off) => return,
            (WeightUse::None, _) => "which knows no weights",
            (WeightUse::Share, _) | (_, SlowStart::Even(_)) => {
                return self.nothing_grows(found, check, servers);
            }
            (WeightUse::Rank, SlowStart::Doubling) => "where the greatest weight takes all",
            (WeightUse::Deal, SlowStart::Doubling) => "where each step would send clients to other servers",
        };
        let Some(span) = found.span(Directive::SlowStart) else { return };
        let name = scheduler.name();
        let message = format!("`slow_start` has no effect with `scheduler = {name}`, {why}");
        let problem = Problem::warning(Code::NoEffect, span, message);
        self.if_valid.push(match found.span(Directive::Scheduler) {
            Some(given) => problem.note(given, "the scheduler is given"),
            None => problem,
        });
    }

    /// Warns of what needs a row in the kernel's table that is ours, where a foreign monitor keeps the rows.
    pub(super) fn useless_with_a_foreign_monitor(&mut self, found: &Found<'_>, is_foreign: bool) {
        let Some(program) = found.span(Directive::ClientMonitor).filter(|_| is_foreign) else { return };
        let concerned = [
            Directive::SlowStart,
            Directive::Drain,
            Directive::Start,
            Directive::TunnelType,
            Directive::Check,
            Directive::Rise,
            Directive::Fall,
            Directive::ConnectTimeout,
            Directive::AnswerTimeout,
            Directive::CheckTimeout,
            Directive::FailingInterval,
            Directive::Jitter,
            Directive::Damping,
        ];
        for directive in concerned {
            let Some(span) = found.span(directive) else { continue };
            let name = span.of(self.text);
            let message =
                format!("`{name}` has no effect with this `client_monitor`, which keeps the rows by itself");
            let problem = Problem::warning(Code::NoEffect, span, message);
            self.if_valid.push(problem.note(program, "the program is given"));
        }
    }
}

/// Whether something else than the file says what weights are.
fn computes_weights(check: &Check) -> bool {
    check.client_monitor.is_some() || check.load_monitor.as_deref().is_some_and(|load| load != "none")
}
