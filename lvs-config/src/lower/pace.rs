//! `connect_timeout`, `answer_timeout`, `check_timeout`, `failing_interval`, `jitter` and `damping`: how long a check may
//! take, when the next one comes, and how often a server may fail.

use std::time::Duration;

use super::Lowering;
use super::read::{Argument, Found};
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Value, time_text};
use crate::model::{Damping, Pace};
use crate::value;

impl<'a> Lowering<'a> {
    /// The pace of the checks of a block, which is at most `interval` where it says nothing.
    pub(super) fn pace(&mut self, found: &Found<'_>, interval: Option<Duration>) -> Option<Pace> {
        let mut time = |directive| match found.entry(directive) {
            None => Some(None),
            Some(_) => self.time(found, directive).map(|time| Some(time.value)),
        };
        let connect = time(Directive::ConnectTimeout);
        let answer = time(Directive::AnswerTimeout);
        let probe = time(Directive::CheckTimeout);
        let failing = time(Directive::FailingInterval);
        let jitter = self.number(found, Directive::Jitter).and_then(|percent| u8::try_from(percent).ok());
        let pace =
            Pace { connect: connect?, answer: answer?, probe: probe?, failing: failing?, jitter: jitter? };
        self.limits_are_reached(found, pace);
        if let (Some(failing), Some(interval)) = (pace.failing, interval)
            && failing > interval
        {
            let message = format!(
                "`failing_interval` ({}) is longer than `timeout` ({}): a server that fails is checked less often",
                time_text(failing),
                time_text(interval)
            );
            self.warn_of_pace(found, Code::Conflict, Directive::FailingInterval, message, Directive::Timeout);
        }
        Some(pace)
    }

    /// Warns of a limit for a part of a check that is longer than the one for all of it.
    fn limits_are_reached(&mut self, found: &Found<'_>, pace: Pace) {
        let Some(probe) = pace.probe else { return };
        let parts = [
            (Directive::ConnectTimeout, "connect_timeout", pace.connect),
            (Directive::AnswerTimeout, "answer_timeout", pace.answer),
        ];
        for (directive, name, limit) in parts {
            if let Some(limit) = limit.filter(|limit| *limit > probe) {
                let message = format!(
                    "`{name}` ({}) has no effect: `check_timeout` ({}) ends the check before",
                    time_text(limit),
                    time_text(probe)
                );
                self.warn_of_pace(found, Code::NoEffect, directive, message, Directive::CheckTimeout);
            }
        }
    }

    /// What counts as flapping of a server that comes back after `reentry`.
    pub(super) fn damping(&mut self, found: &Found<'_>, reentry: Option<Duration>) -> Option<Damping> {
        let damping = self.one(found, Directive::Damping, Self::rate)?;
        if reentry.is_some_and(|reentry| damping.within < reentry * damping.times) {
            let message =
                "`damping` has no effect: a server that comes back after `reentry` cannot fail so often";
            self.warn_of_pace(
                found,
                Code::NoEffect,
                Directive::Damping,
                message.to_owned(),
                Directive::Reentry,
            );
        }
        Some(damping)
    }

    /// `NUMBER/TIME`.
    fn rate(&mut self, argument: Argument<'_>) -> Option<Damping> {
        let Value::Rate((fewest, most), (min, max)) = argument.key.value else { return None };
        let Some((times, within)) = argument.text.split_once('/') else {
            return self.reject(Code::BadValue, argument, "there is no `/`");
        };
        let times = value::number(times).filter(|_| !times.is_empty()).map(u32::try_from);
        let within = if within.is_empty() { None } else { value::time(within).ok() };
        match (times, within) {
            (Some(Ok(times)), Some(within))
                if (fewest..=most).contains(&times) && (min..=max).contains(&within) =>
            {
                Some(Damping { times, within })
            }
            (Some(_), Some(_)) => self.reject(Code::OutOfRange, argument, ""),
            _ => self.reject(Code::BadValue, argument, ""),
        }
    }

    /// A warning about `directive` because of `other`.
    fn warn_of_pace(
        &mut self,
        found: &Found<'_>,
        code: Code,
        directive: Directive,
        message: String,
        other: Directive,
    ) {
        let Some(span) = found.span(directive) else { return };
        let problem = Problem::warning(code, span, message);
        self.if_valid.push(match found.span(other) {
            Some(other) => problem.note(other, format!("`{}` is given", other.of(self.text))),
            None => problem,
        });
    }
}
