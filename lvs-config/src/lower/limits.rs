//! `max_connections` and `min_connections`: how many connections a real server takes.

use super::Lowering;
use super::read::Found;
use crate::diagnostic::{Code, Problem};
use crate::keys::Directive;
use crate::model::{Limits, RealServer};

impl<'a> Lowering<'a> {
    /// The limits that a `virtual` block has for its servers.
    pub(super) fn default_limits(&mut self, found: &Found<'_>) -> Option<Limits> {
        let limits = self.given_limits(found, Limits::default())?;
        // Without a maximum here, servers may have theirs.
        self.limits_agree(found, limits, limits.max > 0).then_some(limits)
    }

    /// The limits of a server; what it does not say, its block does, if that could be read.
    pub(super) fn limits(&mut self, found: &Found<'_>, inherited: Option<Limits>) -> Option<Limits> {
        let mut limits = self.given_limits(found, inherited.unwrap_or_default())?;
        if limits.max == 0 && !found.is_given(Directive::MinConnections) {
            limits.min = 0;
        }
        self.limits_agree(found, limits, inherited.is_some()).then_some(limits)
    }

    /// Warns of limits in a `virtual` block that no server is told.
    pub(super) fn useless_limits(&mut self, found: &Found<'_>, is_foreign: bool, servers: &[RealServer]) {
        if is_foreign && servers.iter().any(|server| server.limits.max > 0) {
            let message = "`max_connections` has no effect with this program, which adds the rows by itself";
            self.warn_if_valid(found, Directive::ClientMonitor, message);
        }
        let is_set = servers.iter().any(|server| server.limits.max > 0);
        if !is_set && !found.is_given(Directive::MaxConnections) {
            let message = "`min_connections` has no effect without `max_connections`";
            self.warn_if_valid(found, Directive::MinConnections, message);
        }
    }

    fn warn_if_valid(&mut self, found: &Found<'_>, directive: Directive, message: &str) {
        if let Some(span) = found.span(directive) {
            self.if_valid.push(Problem::warning(Code::NoEffect, span, message));
        }
    }

    fn given_limits(&mut self, found: &Found<'_>, inherited: Limits) -> Option<Limits> {
        let max = self.limit(found, Directive::MaxConnections, inherited.max);
        let min = self.limit(found, Directive::MinConnections, inherited.min);
        Some(Limits { max: max?, min: min? })
    }

    fn limit(&mut self, found: &Found<'_>, directive: Directive, inherited: u32) -> Option<u32> {
        if found.is_given(directive) {
            u32::try_from(self.number(found, directive)?).ok()
        } else {
            Some(inherited)
        }
    }

    /// Reports a minimum above the maximum, which the kernel refuses.
    fn limits_agree(&mut self, found: &Found<'_>, limits: Limits, is_complete: bool) -> bool {
        let Limits { max, min } = limits;
        let directives = [Directive::MinConnections, Directive::MaxConnections];
        let Some(span) = directives.into_iter().find_map(|directive| found.span(directive)) else {
            return true;
        };
        if !is_complete || min <= max {
            return true;
        }
        let message = if max == 0 {
            format!("`min_connections` is {min} and there is no `max_connections`")
        } else {
            format!("`min_connections` is {min} and `max_connections` only {max}")
        };
        let problem = Problem::error(Code::Conflict, span, message);
        self.report.add(problem.help("allowed: at most `max_connections`"));
        false
    }
}
