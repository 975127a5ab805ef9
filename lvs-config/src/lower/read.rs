//! Entries to values: which directive an entry is, how many values it has, and values that are words or text.
//!
//! A value that cannot be read is reported and is `None` to the caller. Numbers and times are in `number.rs`,
//! addresses in `address.rs`.

use super::Lowering;
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::{Directive, Key, Section, Value};
use crate::span::Span;
use crate::suggest::nearest;
use crate::token::Token;
use crate::tree::{Entry, Node};
use crate::value::is_user;
use crate::words::{self, Word};

/// The entries of one section, each directive's last one.
pub(super) struct Found<'a> {
    pub(super) section: Section,
    entries: [Option<&'a Entry>; Directive::COUNT],
    /// Directives that unknown words were probably meant to be, a bit for each. They have been told as unknown; that
    /// they are missing as well would be the same mistake told twice.
    misspelt: u128,
}

const _: () = assert!(Directive::COUNT <= 128, "every directive has a bit");

impl<'a> Found<'a> {
    /// The entry of `directive`, if it is there.
    pub(super) fn entry(&self, directive: Directive) -> Option<&'a Entry> {
        self.entries[directive as usize]
    }

    /// Whether `directive` is there, or would be if it were spelt rightly.
    pub(super) fn is_given(&self, directive: Directive) -> bool {
        self.entry(directive).is_some() || self.misspelt & (1 << directive as u32) != 0
    }

    /// Where `directive` is, if it is there.
    pub(super) fn span(&self, directive: Directive) -> Option<Span> {
        self.entry(directive).map(|entry| entry.name.span())
    }
}

/// One value of a directive, from the file or the table's default.
#[derive(Clone, Copy)]
pub(super) struct Argument<'a> {
    pub(super) key: &'static Key,
    pub(super) text: &'a str,
    pub(super) span: Span,
}

/// A value and where it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<'a> Lowering<'a> {
    /// Sorts the entries among `nodes` by directive; reports those that do not belong there and those given twice.
    pub(super) fn entries<'n>(&mut self, section: Section, nodes: &'n [Node]) -> Found<'n> {
        let mut found = Found { section, entries: [None; Directive::COUNT], misspelt: 0 };
        for node in nodes {
            let Node::Entry(entry) = node else { continue };
            let name = entry.name.text(self.text);
            let Some(key) = Key::find(section, name) else {
                if let Some(meant) = self.unknown_directive(section, entry) {
                    found.misspelt |= 1 << meant as u32;
                }
                continue;
            };
            if !entry.has_equals && !entry.is_broken {
                let problem = Problem::error(
                    Code::MissingEquals,
                    entry.name.span(),
                    format!("`=` is missing after `{name}`"),
                );
                self.report.add(problem);
            }
            if key.directive == Directive::Include {
                // What it includes stands behind it already, and it may be given more than once.
                self.values::<1>(key, entry);
                found.entries[key.directive as usize] = Some(entry);
                continue;
            }
            if let Some(first) = found.entries[key.directive as usize].replace(entry) {
                let message = format!("`{name}` is given twice; this one holds");
                let problem = Problem::warning(Code::Repeated, entry.name.span(), message);
                self.report.add(problem.note(first.name.span(), "first given"));
            }
        }
        found
    }

    /// Reports an unknown word, and says which directive it was probably meant to be.
    fn unknown_directive(&mut self, section: Section, entry: &Entry) -> Option<Directive> {
        let name = entry.name.text(self.text);
        let blocks = ["virtual", "failover", "server"].iter().copied();
        let known = Key::in_section(section).iter().map(|key| key.name).chain(blocks);
        let elsewhere = Section::ALL.into_iter().find(|other| Key::find(*other, name).is_some());
        let may_suggest = elsewhere.is_none() && !self.report.is_full();
        let near = if may_suggest { nearest(name, known) } else { None };
        let (message, help) = match (elsewhere, near) {
            (Some(other), _) => (
                format!("`{name}` cannot be used {}", section.place()),
                Some(format!("it belongs {}", other.place())),
            ),
            (None, near) => (
                format!("unknown directive `{}`", shown(name)),
                near.map(|near| format!("did you mean `{near}`?")),
            ),
        };
        if !entry.is_broken {
            let problem = Problem::error(Code::UnknownDirective, entry.name.span(), message);
            self.report.add(match help {
                Some(help) => problem.help(help),
                None => problem,
            });
        }
        near.and_then(|near| Key::find(section, near)).map(|key| key.directive)
    }

    /// Reports that `argument` cannot be what it is, and what could be.
    pub(super) fn reject<T>(&mut self, code: Code, argument: Argument<'_>, reason: &str) -> Option<T> {
        let Argument { key, text, span } = argument;
        let mut message = format!("`{}` cannot be `{}`", key.name, shown(text));
        if !reason.is_empty() {
            message = format!("{message}: {reason}");
        }
        self.report
            .add(Problem::error(code, span, message).help(format!("allowed: {}", key.value.allowed())));
        None
    }

    /// The single value of `directive`, else its default; read by `convert`.
    pub(super) fn one<T>(
        &mut self,
        found: &Found<'_>,
        directive: Directive,
        convert: impl FnOnce(&mut Self, Argument<'a>) -> Option<T>,
    ) -> Option<T> {
        let key = Key::of(found.section, directive)?;
        let Some(entry) = found.entry(directive) else {
            let default = Argument { key, text: key.default, span: Span::START };
            let is_default = !found.is_given(directive) && !key.default.is_empty();
            return if is_default { convert(self, default) } else { None };
        };
        let [token] = self.values(key, entry)?;
        convert(self, Argument { key, text: token.text(self.text), span: token.span() })
    }

    /// The values of `entry`, which must be `N`.
    pub(super) fn values<const N: usize>(&mut self, key: &'static Key, entry: &Entry) -> Option<[Token; N]> {
        if entry.is_broken || !entry.has_equals {
            return None;
        }
        // Without a list: this is done for every line of a file.
        let mut each = entry.values(self.text);
        let mut values = [entry.name; N];
        let mut count = 0;
        for (place, token) in values.iter_mut().zip(each.by_ref()) {
            *place = token;
            count += 1;
        }
        if count == N && each.next().is_none() {
            return Some(values);
        }
        let tokens: Vec<Token> = entry.values(self.text).collect();
        let (span, message) = match tokens.get(N) {
            Some(extra) => {
                let last = tokens.last().map_or(extra.span(), |t| t.span());
                let found = shown(extra.span().to(last).of(self.text));
                (
                    extra.span().to(last),
                    format!("`{}` takes {}; `{found}` is too much", key.name, count_text(N)),
                )
            }
            None => {
                let end = tokens.last().map_or(entry.name.span(), |t| t.span());
                let count = if tokens.is_empty() { "none".to_owned() } else { tokens.len().to_string() };
                (end, format!("`{}` takes {}, found {count}", key.name, count_text(N)))
            }
        };
        let allowed = format!("allowed: {}", key.value.allowed());
        let help = match tokens.get(N) {
            Some(_) if matches!(key.value, Value::Text | Value::Command) => {
                format!("{allowed}; a value with blanks needs quotes")
            }
            Some(_) if matches!(key.value, Value::Time(..) | Value::Climb(..) | Value::WholeTime(..)) => {
                format!("{allowed}; a unit follows its number without a blank")
            }
            _ => allowed,
        };
        self.report.add(Problem::error(Code::ValueCount, span, message).help(help));
        None
    }

    /// Text; `None` also when it is empty.
    pub(super) fn text(&mut self, found: &Found<'_>, directive: Directive) -> Option<String> {
        self.one(found, directive, |_, a| Some(a.text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// A user, by name or numbers.
    pub(super) fn user(&mut self, found: &Found<'_>, directive: Directive) -> Option<String> {
        self.one(found, directive, |lowering, a| match is_user(a.text) {
            true => Some(a.text.to_owned()),
            false => lowering.reject(Code::BadValue, a, ""),
        })
    }

    /// A command, split at blanks; `None` also when it is blank.
    pub(super) fn command(&mut self, found: &Found<'_>, directive: Directive) -> Option<Vec<String>> {
        self.one(found, directive, |_, a| {
            let words: Vec<String> =
                a.text.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
            Some(words).filter(|words| !words.is_empty())
        })
    }

    /// One of the words of `T`.
    pub(super) fn choice<T: Word>(&mut self, found: &Found<'_>, directive: Directive) -> Option<T> {
        self.one(found, directive, |lowering, a| {
            words::value(a.text).or_else(|| lowering.reject_word(a, &words::all::<T>()))
        })
    }

    pub(super) fn reject_word<T>(&mut self, argument: Argument<'_>, known: &[&'static str]) -> Option<T> {
        let Argument { key, text, span } = argument;
        let message = format!("`{}` cannot be `{}`", key.name, shown(text));
        let allowed = format!("allowed: {}", key.value.allowed());
        let help = match nearest(text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? {allowed}"),
            None => allowed,
        };
        self.report.add(Problem::error(Code::BadValue, span, message).help(help));
        None
    }

    /// Reads a directive only for what may be wrong with it.
    pub(super) fn check_only(&mut self, found: &Found<'_>, directive: Directive) {
        let Some(key) = Key::of(found.section, directive) else { return };
        match key.value {
            Value::Switch => {
                self.switch(found, directive);
            }
            Value::List => self.list(key, found.entry(directive)),
            Value::Choice(known) => {
                self.one(found, directive, |lowering, a| {
                    let known = known();
                    if known.contains(&a.text) { Some(()) } else { lowering.reject_word(a, &known) }
                });
            }
            _ => {
                self.text(found, directive);
            }
        }
    }

    fn list(&mut self, key: &'static Key, entry: Option<&Entry>) {
        let Some(entry) = entry.filter(|e| e.has_equals && !e.is_broken) else { return };
        let text = self.text;
        let tokens: Vec<Token> = entry.values(text).collect();
        let is_list =
            matches!(&*tokens, [first, .., last] if first.text(text) == "[" && last.text(text) == "]");
        if !is_list {
            let message = format!("`{}` takes a list", key.name);
            let problem = Problem::error(Code::BadValue, entry.name.span(), message);
            self.report.add(
                problem.help(format!("allowed: {}, with blanks around the brackets", key.value.allowed())),
            );
        }
    }
}

fn count_text(count: usize) -> String {
    if count == 1 { "one value".to_owned() } else { format!("{count} values") }
}
