//! `sched_flags`: which switches of its scheduler a virtual server sets.

use super::Lowering;
use super::read::{Argument, Found};
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::{Directive, Key};
use crate::model::{Scheduler, SchedulerFlags};
use crate::sched_flags::{FLAGS, Flag, is_used};
use crate::token::Token;

impl<'a> Lowering<'a> {
    /// The switches; `scheduler` is `None` when it could not be read.
    pub(super) fn scheduler_flags(
        &mut self,
        found: &Found<'_>,
        scheduler: Option<Scheduler>,
    ) -> Option<SchedulerFlags> {
        let key = Key::of(found.section, Directive::SchedFlags)?;
        let Some(entry) = found.entry(Directive::SchedFlags) else { return Some(SchedulerFlags::default()) };
        if entry.is_broken || !entry.has_equals {
            return None;
        }
        let mut flags = Some(SchedulerFlags::default());
        let mut count = 0;
        for token in entry.values(self.text) {
            for text in token.text(self.text).split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
                count += 1;
                match self.scheduler_flag(Argument { key, text, span: token.span() }, scheduler) {
                    Some(flag) => {
                        if let Some(flags) = &mut flags {
                            *(flag.of)(flags) = true;
                        }
                    }
                    None => flags = None,
                }
            }
        }
        if count == 0 {
            let span = entry.values(self.text).last().map_or(entry.name.span(), Token::span);
            let message = format!("`{}` takes one word or more, found none", key.name);
            let problem = Problem::error(Code::ValueCount, span, message);
            self.report.add(problem.help(format!("allowed: {}", key.value.allowed())));
            return None;
        }
        flags
    }

    fn scheduler_flag(
        &mut self,
        argument: Argument<'_>,
        scheduler: Option<Scheduler>,
    ) -> Option<&'static Flag> {
        let Some(flag) = FLAGS.iter().find(|flag| flag.name == argument.text) else {
            let allowed =
                |flag: &&Flag| flag.scheduler.is_none() || scheduler.is_none() || flag.scheduler == scheduler;
            let known: Vec<_> = FLAGS.iter().filter(allowed).map(|flag| flag.name).collect();
            return self.reject_word(argument, &known);
        };
        let Some(scheduler) = scheduler else { return Some(flag) };
        let Argument { key, text, span } = argument;
        if flag.scheduler.is_some_and(|of| of != scheduler) {
            let message =
                format!("`{}` cannot be `{}` with `scheduler = {}`", key.name, shown(text), scheduler.name());
            let own: Vec<_> =
                FLAGS.iter().filter(|flag| flag.scheduler == Some(scheduler)).map(|flag| flag.name).collect();
            let help = if own.is_empty() {
                "this scheduler has no flags; sh and mh have".to_owned()
            } else {
                format!("allowed: {}", own.join(", "))
            };
            self.report.add(Problem::error(Code::BadValue, span, message).help(help));
            return None;
        }
        if !is_used(scheduler, flag) {
            let message = format!("`{text}` has no effect with `scheduler = {}`", scheduler.name());
            self.report.add(Problem::warning(Code::NoEffect, span, message));
        }
        Some(flag)
    }
}
