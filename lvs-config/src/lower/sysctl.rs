//! `sysctl`: `leave`, or a list of settings of the kernel with the values that they are to have.

use std::collections::BTreeMap;

use super::Lowering;
use super::read::{Argument, Found};
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::{Directive, Key};
use crate::span::Span;
use crate::sysctl::{Choice, SysctlName, Sysctls};
use crate::token::Token;
use crate::value;

/// The word that leaves a setting, or all of them, alone.
const LEAVE: &str = "leave";

impl<'a> Lowering<'a> {
    /// What the file asks of the kernel's settings; `None` if something about it is wrong.
    pub(super) fn sysctls(&mut self, found: &Found<'_>) -> Option<Sysctls> {
        let key = Key::of(found.section, Directive::Sysctl)?;
        let Some(entry) = found.entry(Directive::Sysctl) else { return Some(Sysctls::default()) };
        if entry.is_broken || !entry.has_equals {
            return None;
        }
        let text = self.text;
        let tokens: Vec<Token> = entry.values(text).collect();
        if let [only] = &*tokens
            && only.text(text) == LEAVE
        {
            return Some(Sysctls::LeaveAll);
        }
        let [first, items @ .., last] = &*tokens else {
            return self.no_list(key, entry.name.span());
        };
        if first.text(text) != "[" || last.text(text) != "]" {
            return self.no_list(key, entry.name.span());
        }
        let mut chosen = BTreeMap::<SysctlName, (Choice, Span)>::new();
        let mut is_good = true;
        for token in items {
            let argument = Argument { key, text: token.text(text).trim_end_matches(','), span: token.span() };
            let Some((name, choice)) = self.sysctl(argument) else {
                is_good = false;
                continue;
            };
            if let Some((_, before)) = chosen.get(&name) {
                let message = format!("`{name}` is given twice");
                let problem = Problem::error(Code::Repeated, token.span(), message);
                self.report.add(problem.note(*before, "first given"));
                is_good = false;
            } else {
                chosen.insert(name, (choice, token.span()));
            }
        }
        let chosen = chosen.into_iter().map(|(name, (choice, _))| (name, choice));
        is_good.then(|| Sysctls::Chosen(chosen.collect()))
    }

    fn no_list<T>(&mut self, key: &'static Key, span: Span) -> Option<T> {
        let message = format!("`{}` takes a list", key.name);
        let help = format!("allowed: {}, with blanks around the brackets", key.value.allowed());
        self.report.add(Problem::error(Code::BadValue, span, message).help(help));
        None
    }

    /// `NAME=VALUE`.
    fn sysctl(&mut self, argument: Argument<'_>) -> Option<(SysctlName, Choice)> {
        let Argument { text, span, .. } = argument;
        let Some((name, wanted)) = text.split_once('=') else {
            return self.reject(Code::BadValue, argument, "a setting is written NAME=VALUE");
        };
        let name = match SysctlName::parse(name) {
            Ok(name) => name,
            Err(unknown) => {
                let message = format!("`{}` is no setting that can be given here", shown(name));
                let help = match unknown.nearest {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "allowed: net.ipv4.ip_forward, and those of net.ipv4.vs, net.ipv4.conf and \
                             net.ipv6.conf that a load balancer may need"
                        .to_owned(),
                };
                self.report.add(Problem::error(Code::BadValue, span, message).help(help));
                return None;
            }
        };
        if wanted == LEAVE {
            return Some((name, Choice::Leave));
        }
        let range = name.range();
        let number = if wanted.is_empty() { None } else { value::number(wanted) };
        match number.map(i64::try_from) {
            Some(Ok(number)) if range.contains(&number) => Some((name, Choice::Set(number))),
            _ => {
                let message = format!("`{name}` cannot be `{}`", shown(wanted));
                let help = format!("allowed: {} to {}, or leave", range.start(), range.end());
                self.report.add(Problem::error(Code::OutOfRange, span, message).help(help));
                None
            }
        }
    }
}
