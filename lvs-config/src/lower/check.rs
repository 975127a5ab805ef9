//! How real servers are checked.

use std::path::PathBuf;
use std::time::Duration;

use super::Lowering;
use super::read::Found;
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Key, Section};
use crate::model::{Check, Protocol};

/// What `reentry = 0` means.
const DEFAULT_REENTRY: Duration = Duration::from_secs(180);

/// Most bytes of an answer that `nanny` looks at.
const ANSWER_LIMIT: usize = 16 * 1024;

/// Most bytes of the output of a `send_program` that it looks at.
const OUTPUT_LIMIT: usize = 4095;

impl<'a> Lowering<'a> {
    /// The checks of a block.
    pub(super) fn check(&mut self, found: &Found<'_>) -> Option<Check> {
        let default_monitor =
            Key::of(Section::Service, Directive::ClientMonitor).map_or("", |key| key.default);
        let client_monitor =
            self.text(found, Directive::ClientMonitor).filter(|path| path != default_monitor);
        let send = self.text(found, Directive::Send);
        let expect = self.text(found, Directive::Expect);
        let use_regex = self.switch(found, Directive::UseRegex);
        let send_program = self.text(found, Directive::SendProgram);
        let interval = self.time(found, Directive::Timeout);
        let reentry = self.time(found, Directive::Reentry);
        let rise = self.count(found, Directive::Rise);
        let fall = self.count(found, Directive::Fall);
        let load_monitor = self.text(found, Directive::LoadMonitor);
        if send_program.is_some() {
            self.warn_no_effect(found, Directive::Send, "`send` has no effect beside `send_program`");
        }
        if use_regex == Some(true) && !found.is_given(Directive::Expect) {
            self.warn_no_effect(found, Directive::UseRegex, "`use_regex` has no effect without `expect`");
        }
        if client_monitor.is_none()
            && use_regex == Some(false)
            && let Some(expect) = &expect
        {
            self.expect_fits(found, expect, send_program.is_some());
        }
        Some(Check {
            client_monitor: client_monitor.map(PathBuf::from),
            send,
            expect,
            use_regex: use_regex?,
            send_program,
            interval: interval?.value,
            reentry: Some(reentry?.value).filter(|time| !time.is_zero()).unwrap_or(DEFAULT_REENTRY),
            rise: rise?,
            fall: fall?,
            load_monitor,
        })
    }

    /// Warns of an `expect` that no answer can begin with, because not as much of one is looked at.
    fn expect_fits(&mut self, found: &Found<'_>, expect: &str, is_program: bool) {
        let (limit, whose) =
            if is_program { (OUTPUT_LIMIT, "the program's output") } else { (ANSWER_LIMIT, "an answer") };
        let length = unescaped_len(expect);
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
        let asks = check.send.as_ref().is_some_and(|send| !send.is_empty()) || check.send_program.is_some();
        if protocol == Some(Protocol::Udp) && !asks && check.client_monitor.is_none() {
            let message = "nothing is sent over UDP, so nothing answers and every check fails; give `send` or \
                           `send_program`";
            self.warn_conflict(found, Directive::Protocol, message.to_owned());
        }
    }

    fn warn_conflict(&mut self, found: &Found<'_>, directive: Directive, message: String) {
        if let Some(span) = found.span(directive) {
            self.if_valid.push(Problem::warning(Code::Conflict, span, message));
        }
    }
}

/// Length of `text` in bytes when each escape has become the one character that it stands for.
fn unescaped_len(text: &str) -> usize {
    let mut bytes = text.bytes();
    let mut length = 0;
    while let Some(byte) = bytes.next() {
        if byte == b'\\' {
            bytes.next();
        }
        length += 1;
    }
    length
}
