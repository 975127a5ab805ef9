//! How real servers are checked.

use std::path::PathBuf;
use std::time::Duration;

use checkspec::escape::translate;
use checkspec::{Pattern, SpecError};

use super::Lowering;
use super::read::{Argument, Found};
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Key, Section};
use crate::model::{Check, Protocol};
use crate::span::Span;

/// What `reentry = 0` means.
const DEFAULT_REENTRY: Duration = Duration::from_secs(180);

/// Most bytes of an answer that `nanny` looks at.
const ANSWER_LIMIT: usize = 16 * 1024;

/// Most bytes of the output of a `send_program` that it looks at.
const OUTPUT_LIMIT: usize = 4095;

/// What a check asks for. With a `check` there is nothing else.
#[derive(Default)]
struct Asked {
    spec: Option<checkspec::Check>,
    send: Option<String>,
    expect: Option<String>,
    use_regex: Option<bool>,
    send_program: Option<String>,
}

impl<'a> Lowering<'a> {
    /// The checks of a block.
    pub(super) fn check(&mut self, found: &Found<'_>) -> Option<Check> {
        let default_monitor =
            Key::of(Section::Service, Directive::ClientMonitor).map_or("", |key| key.default);
        let client_monitor =
            self.text(found, Directive::ClientMonitor).filter(|path| path != default_monitor);
        let Asked { spec, send, expect, use_regex, send_program } =
            self.asked(found, client_monitor.is_some());
        let interval = self.time(found, Directive::Timeout).map(|time| time.value);
        let pace = self.pace(found, interval);
        let reentry = self.time(found, Directive::Reentry).map(|time| time.value);
        let reentry = reentry.map(|time| if time.is_zero() { DEFAULT_REENTRY } else { time });
        let damping = self.damping(found, reentry);
        let rise = self.count(found, Directive::Rise);
        let fall = self.count(found, Directive::Fall);
        let load_monitor = self.text(found, Directive::LoadMonitor);
        Some(Check {
            client_monitor: client_monitor.map(PathBuf::from),
            spec,
            send,
            expect,
            use_regex: use_regex?,
            send_program,
            interval: interval?,
            pace: pace?,
            reentry: reentry?,
            rise: rise?,
            fall: fall?,
            damping,
            load_monitor,
        })
    }

    /// What is asked of a server, by `nanny` or by a foreign monitor, which does not know `check`.
    fn asked(&mut self, found: &Found<'_>, is_foreign: bool) -> Asked {
        let spec = self.one(found, Directive::Check, Self::spec);
        let send = self.text(found, Directive::Send);
        let expect = self.text(found, Directive::Expect);
        let use_regex = self.switch(found, Directive::UseRegex);
        let send_program = self.text(found, Directive::SendProgram);
        if found.is_given(Directive::Check) && !is_foreign {
            self.replaced_by_check(found);
            return Asked { spec, use_regex: use_regex.map(|_| false), ..Asked::default() };
        }
        if send_program.is_some() {
            self.warn_no_effect(found, Directive::Send, "`send` has no effect beside `send_program`");
        }
        if use_regex == Some(true) && !found.is_given(Directive::Expect) {
            self.warn_no_effect(found, Directive::UseRegex, "`use_regex` has no effect without `expect`");
        }
        if let Some(expect) = expect.as_ref().filter(|_| !is_foreign) {
            match use_regex {
                // Of a program the whole output is compared, whatever it says.
                Some(true) if send_program.is_none() => self.expect_is_expression(found, expect),
                Some(false) => self.expect_fits(found, expect, send_program.is_some()),
                _ => {}
            }
        }
        Asked { spec: None, send, expect, use_regex, send_program }
    }

    /// The check that `argument` describes.
    fn spec(&mut self, argument: Argument<'_>) -> Option<checkspec::Check> {
        let Argument { text, span, .. } = argument;
        match text.parse() {
            Ok(spec) => Some(spec),
            Err(SpecError { place, message, help }) => {
                // Quotes around all of it are in the span and not in the text.
                let quote = (span.of(self.text).len() - text.len()) / 2;
                let at = |byte: usize| span.start + u32::try_from(quote + byte).unwrap_or(u32::MAX);
                let place = Span { start: at(place.start), end: at(place.end), ..span };
                let problem = Problem::error(Code::BadValue, place, message);
                self.report.add(if help.is_empty() { problem } else { problem.help(help) });
                None
            }
        }
    }

    /// Warns of what `check` takes the place of.
    fn replaced_by_check(&mut self, found: &Found<'_>) {
        let Some(check) = found.span(Directive::Check) else { return };
        for directive in [Directive::Send, Directive::Expect, Directive::UseRegex, Directive::SendProgram] {
            if let Some(span) = found.span(directive) {
                let message = format!("`{}` has no effect beside `check`", span.of(self.text));
                let problem = Problem::warning(Code::NoEffect, span, message);
                self.report.add(problem.note(check, "the check is given"));
            }
        }
    }

    /// Reports an `expect` that is no regular expression where it should be one.
    fn expect_is_expression(&mut self, found: &Found<'_>, expect: &str) {
        let translated = translate(expect.as_bytes());
        let Err(reason) = Pattern::new(&String::from_utf8_lossy(&translated)) else { return };
        self.one::<()>(found, Directive::Expect, |lowering, argument| {
            let message = format!("`expect` is no regular expression: {reason}");
            let problem = Problem::error(Code::BadValue, argument.span, message);
            lowering.report.add(match found.span(Directive::UseRegex) {
                Some(span) => problem.note(span, "it is asked for"),
                None => problem,
            });
            None
        });
    }

    /// Warns of an `expect` that no answer can begin with, because not as much of one is looked at.
    fn expect_fits(&mut self, found: &Found<'_>, expect: &str, is_program: bool) {
        let (limit, whose) =
            if is_program { (OUTPUT_LIMIT, "the program's output") } else { (ANSWER_LIMIT, "an answer") };
        let length = translate(expect.as_bytes()).len();
        if length > limit {
            let message = format!(
                "`expect` is {length} bytes long and never met: only {limit} bytes of {whose} are read"
            );
            self.warn_conflict(found, Directive::Expect, message);
        }
    }

    /// Warns of a check by datagrams that sends nothing: nobody answers what was not asked.
    pub(super) fn something_is_asked(
        &mut self,
        found: &Found<'_>,
        protocol: Option<Protocol>,
        check: &Check,
    ) {
        let asks = check.spec.is_some()
            || check.send.as_ref().is_some_and(|send| !send.is_empty())
            || check.send_program.is_some();
        if protocol == Some(Protocol::Udp) && !asks && check.client_monitor.is_none() {
            let message = "nothing is sent over UDP, so nothing answers and every check fails; give a `check`, \
                           `send` or `send_program`";
            self.warn_conflict(found, Directive::Protocol, message.to_owned());
        }
    }

    fn warn_conflict(&mut self, found: &Found<'_>, directive: Directive, message: String) {
        if let Some(span) = found.span(directive) {
            self.if_valid.push(Problem::warning(Code::Conflict, span, message));
        }
    }
}
