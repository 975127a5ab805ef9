//! Entries to typed values. A value that cannot be read is reported here and is `None` to the caller.

use std::net::IpAddr;
use std::time::Duration;

use super::Lowering;
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::{Directive, Key, Section, Value};
use crate::model::{FloatingAddress, Protocol};
use crate::names::Family;
use crate::span::Span;
use crate::suggest::nearest;
use crate::token::Token;
use crate::tree::{Entry, Node};
use crate::units::{Device, FwMark, Weight};
use crate::value::{self, Literal, MaskError, TimeError};
use crate::words::{self, Word};

/// The entries of one section, each directive's last one.
pub(super) struct Found<'a> {
    section: Section,
    entries: [Option<&'a Entry>; Directive::COUNT],
}

impl<'a> Found<'a> {
    /// The entry of `directive`, if it is there.
    pub(super) fn entry(&self, directive: Directive) -> Option<&'a Entry> {
        self.entries[directive as usize]
    }

    /// Where `directive` is, if it is there.
    pub(super) fn span(&self, directive: Directive) -> Option<Span> {
        self.entry(directive).map(|entry| entry.name.span)
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
    pub(super) fn entries(&mut self, section: Section, nodes: &'a [Node]) -> Found<'a> {
        let mut found = Found { section, entries: [None; Directive::COUNT] };
        for node in nodes {
            let Node::Entry(entry) = node else { continue };
            let name = entry.name.text(self.document.text);
            let Some(key) = Key::find(section, name) else {
                self.unknown_directive(section, entry);
                continue;
            };
            if !entry.has_equals && !entry.is_broken {
                let problem = Problem::error(
                    Code::MissingEquals,
                    entry.name.span,
                    format!("`=` is missing after `{name}`"),
                );
                self.report.add(problem);
            }
            if let Some(first) = found.entries[key.directive as usize].replace(entry) {
                let message = format!("`{name}` is given twice; this one holds");
                let problem = Problem::warning(Code::Repeated, entry.name.span, message);
                self.report.add(problem.note(first.name.span, "first given"));
            }
        }
        found
    }

    fn unknown_directive(&mut self, section: Section, entry: &Entry) {
        if entry.is_broken {
            return;
        }
        let name = entry.name.text(self.document.text);
        let elsewhere = Section::ALL.into_iter().find(|other| Key::find(*other, name).is_some());
        let problem = match elsewhere {
            Some(other) => {
                let message = format!("`{name}` cannot be used {}", section.place());
                Problem::error(Code::UnknownDirective, entry.name.span, message)
                    .help(format!("it belongs {}", other.place()))
            }
            None => {
                let message = format!("unknown directive `{}`", shown(name));
                let problem = Problem::error(Code::UnknownDirective, entry.name.span, message);
                let blocks = ["virtual", "failover", "server"].iter().copied();
                let known = Key::in_section(section).iter().map(|key| key.name).chain(blocks);
                match nearest(name, known) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                }
            }
        };
        self.report.add(problem);
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
    fn one<T>(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        convert: impl FnOnce(&mut Self, Argument<'a>) -> Option<T>,
    ) -> Option<T> {
        let key = Key::of(found.section, directive)?;
        let Some(entry) = found.entry(directive) else {
            let default = Argument { key, text: key.default, span: Span::START };
            return if key.default.is_empty() { None } else { convert(self, default) };
        };
        let [token] = self.values(key, entry)?;
        convert(self, Argument { key, text: token.text(self.document.text), span: token.span })
    }

    /// The values of `entry`, which must be `N`.
    fn values<const N: usize>(&mut self, key: &'static Key, entry: &Entry) -> Option<[Token; N]> {
        if entry.is_broken || !entry.has_equals {
            return None;
        }
        let tokens = self.document.values(entry);
        if let Ok(values) = tokens.try_into() {
            return Some(values);
        }
        let (span, message) = match tokens.get(N) {
            Some(extra) => {
                let last = tokens.last().map_or(extra.span, |t| t.span);
                let found = shown(extra.span.to(last).of(self.document.text));
                (
                    extra.span.to(last),
                    format!("`{}` takes {}; `{found}` is too much", key.name, count_text(N)),
                )
            }
            None => {
                let end = tokens.last().map_or(entry.name.span, |t| t.span);
                let count = if tokens.is_empty() { "none".to_owned() } else { tokens.len().to_string() };
                (end, format!("`{}` takes {}, found {count}", key.name, count_text(N)))
            }
        };
        let allowed = format!("allowed: {}", key.value.allowed());
        let help = match tokens.get(N) {
            Some(_) if matches!(key.value, Value::Text | Value::Command) => {
                format!("{allowed}; a value with blanks needs quotes")
            }
            Some(_) if matches!(key.value, Value::Time(..) | Value::WholeTime(..)) => {
                format!("{allowed}; a unit follows its number without a blank")
            }
            _ => allowed,
        };
        self.report.add(Problem::error(Code::ValueCount, span, message).help(help));
        None
    }

    /// Text; `None` also when it is empty.
    pub(super) fn text(&mut self, found: &Found<'a>, directive: Directive) -> Option<String> {
        self.one(found, directive, |_, a| Some(a.text.to_owned()).filter(|text| !text.is_empty()))
    }

    /// A command, split at blanks; `None` also when it is blank.
    pub(super) fn command(&mut self, found: &Found<'a>, directive: Directive) -> Option<Vec<String>> {
        self.one(found, directive, |_, a| {
            let words: Vec<String> =
                a.text.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect();
            Some(words).filter(|words| !words.is_empty())
        })
    }

    /// One of the words of `T`.
    pub(super) fn choice<T: Word>(&mut self, found: &Found<'a>, directive: Directive) -> Option<T> {
        self.one(found, directive, |lowering, a| {
            words::value(a.text).or_else(|| lowering.reject_word(a, &words::all::<T>()))
        })
    }

    fn reject_word<T>(&mut self, argument: Argument<'_>, known: &[&'static str]) -> Option<T> {
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
    pub(super) fn check_only(&mut self, found: &Found<'a>, directive: Directive) {
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
        let text = self.document.text;
        let tokens = self.document.values(entry);
        let is_list =
            matches!(tokens, [first, .., last] if first.text(text) == "[" && last.text(text) == "]");
        if !is_list {
            let message = format!("`{}` takes a list", key.name);
            let problem = Problem::error(Code::BadValue, entry.name.span, message);
            self.report.add(
                problem.help(format!("allowed: {}, with blanks around the brackets", key.value.allowed())),
            );
        }
    }

    fn integer(&mut self, argument: Argument<'_>) -> Option<i128> {
        let Some(number) = value::number(argument.text) else {
            let reason = match argument.key.value {
                Value::Switch => "",
                _ if value::is_octal(argument.text) => "a leading 0 means octal",
                _ => "not a whole number",
            };
            return self.reject(Code::BadValue, argument, reason);
        };
        if value::is_octal(argument.text) && number > 7 {
            let message = format!("`{}` is octal for {number}: a leading 0 means octal", argument.text);
            self.report.add(Problem::warning(Code::BadValue, argument.span, message));
        }
        Some(number)
    }

    fn integer_in(&mut self, argument: Argument<'_>, min: u64, max: u64) -> Option<u64> {
        let number = self.integer(argument)?;
        match u64::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => self.reject(Code::OutOfRange, argument, ""),
        }
    }

    /// A number in the range of the table.
    pub(super) fn number(&mut self, found: &Found<'a>, directive: Directive) -> Option<u64> {
        self.one(found, directive, |lowering, a| {
            let (min, max) =
                if let Value::Number(min, max) = a.key.value { (min, max) } else { (0, u64::MAX) };
            lowering.integer_in(a, min, max)
        })
    }

    /// A weight.
    pub(super) fn weight(&mut self, found: &Found<'a>) -> Option<Weight> {
        let number = self.number(found, Directive::Weight)?;
        Weight::new(u32::try_from(number).ok()?)
    }

    /// A firewall mark; `None` inside for 0, no mark.
    pub(super) fn fwmark(&mut self, found: &Found<'a>) -> Option<Located<Option<FwMark>>> {
        self.one(found, Directive::Fwmark, |lowering, a| {
            let number = lowering.integer_in(a, 0, u64::from(u32::MAX))?;
            Some(Located { value: FwMark::new(u32::try_from(number).ok()?), span: a.span })
        })
    }

    /// 0 or 1.
    pub(super) fn switch(&mut self, found: &Found<'a>, directive: Directive) -> Option<bool> {
        self.one(found, directive, |lowering, a| Some(lowering.integer_in(a, 0, 1)? == 1))
    }

    /// 0, or any other number for on.
    pub(super) fn non_zero(&mut self, found: &Found<'a>, directive: Directive) -> Option<bool> {
        self.one(found, directive, |lowering, a| Some(lowering.integer(a)? != 0))
    }

    /// A port by number or name, 1 to 65535.
    pub(super) fn port(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        protocol: Protocol,
    ) -> Option<Located<u16>> {
        self.one(found, directive, |lowering, a| {
            let is_name = a.text.starts_with(|c: char| c.is_ascii_alphabetic());
            let value = if is_name { lowering.service(a, protocol) } else { lowering.port_number(a, 1) }?;
            Some(Located { value, span: a.span })
        })
    }

    /// A real server's port; 0 with `zero`.
    pub(super) fn server_port(&mut self, found: &Found<'a>, zero: bool) -> Option<Located<u16>> {
        self.one(found, Directive::Port, |lowering, a| {
            let value = lowering.port_number(a, u64::from(!zero))?;
            Some(Located { value, span: a.span })
        })
    }

    fn port_number(&mut self, argument: Argument<'_>, min: u64) -> Option<u16> {
        u16::try_from(self.integer_in(argument, min, u64::from(u16::MAX))?).ok()
    }

    fn service(&mut self, argument: Argument<'_>, protocol: Protocol) -> Option<u16> {
        let key = (argument.text.to_owned(), protocol);
        let names = self.names;
        let port =
            *self.services.entry(key).or_insert_with_key(|(name, protocol)| names.service(name, *protocol));
        match port {
            Some(port) if port > 0 => Some(port),
            _ => self.reject(Code::UnknownName, argument, "no such service is known"),
        }
    }

    /// A time in the range of the table.
    pub(super) fn time(&mut self, found: &Found<'a>, directive: Directive) -> Option<Located<Duration>> {
        self.one(found, directive, |lowering, a| {
            let value = lowering.time_of(a)?;
            Some(Located { value, span: a.span })
        })
    }

    fn time_of(&mut self, argument: Argument<'_>) -> Option<Duration> {
        let (min, max, is_whole) = match argument.key.value {
            Value::WholeTime(min, max) => (min, max, true),
            Value::Time(min, max) => (min, max, false),
            _ => (Duration::ZERO, Duration::MAX, false),
        };
        match value::time(argument.text) {
            Ok(time) if !(min..=max).contains(&time) => self.reject(Code::OutOfRange, argument, ""),
            Ok(time) if is_whole && time.subsec_nanos() != 0 => {
                self.reject(Code::BadValue, argument, "the kernel counts whole seconds here")
            }
            Ok(time) => Some(time),
            Err(TimeError::OutOfRange) => self.reject(Code::OutOfRange, argument, ""),
            Err(TimeError::NoUnit) => {
                self.reject(Code::BadValue, argument, "a fraction needs a unit, such as `1.5s`")
            }
            Err(TimeError::TooFine) => self.reject(Code::BadValue, argument, "finer than a millisecond"),
            Err(TimeError::NotATime) if value::is_octal(argument.text) => {
                self.reject(Code::BadValue, argument, "a leading 0 means octal")
            }
            Err(TimeError::NotATime) => self.reject(Code::BadValue, argument, "not a time"),
        }
    }

    /// The address of a host. Names are resolved, preferably to `wanted`.
    pub(super) fn host(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        wanted: Family,
    ) -> Option<Located<IpAddr>> {
        self.one(found, directive, |lowering, a| lowering.host_of(a, Some(wanted)))
    }

    /// A literal address.
    pub(super) fn address(&mut self, found: &Found<'a>, directive: Directive) -> Option<Located<IpAddr>> {
        self.one(found, directive, |lowering, a| lowering.host_of(a, None))
    }

    fn host_of(&mut self, argument: Argument<'_>, wanted: Option<Family>) -> Option<Located<IpAddr>> {
        let value = match value::literal(argument.text) {
            Literal::Usual(address) => address,
            Literal::Odd(address) => {
                let message = format!("`{}` is read as {address}", shown(argument.text));
                let problem = Problem::warning(Code::BadValue, argument.span, message);
                self.report.add(problem.help("write all four numbers, in decimal without leading zeros"));
                IpAddr::V4(address)
            }
            Literal::Malformed => return self.reject(Code::BadValue, argument, "not an address"),
            Literal::NameLike => match wanted {
                Some(wanted) => self.resolve(argument, wanted)?,
                None => return self.reject(Code::BadValue, argument, "not an address"),
            },
        };
        let is_broadcast = matches!(value, IpAddr::V4(v4) if v4.is_broadcast());
        if value.is_multicast() || is_broadcast {
            return self.reject(Code::BadValue, argument, "not the address of one host");
        }
        Some(Located { value, span: argument.span })
    }

    fn resolve(&mut self, argument: Argument<'_>, wanted: Family) -> Option<IpAddr> {
        let names = self.names;
        let key = (argument.text.to_owned(), wanted);
        let address = *self.hosts.entry(key).or_insert_with_key(|(name, wanted)| names.host(name, *wanted));
        address.or_else(|| self.reject(Code::UnknownName, argument, "the name cannot be resolved"))
    }

    /// An address with optional `/N`, and the device that carries it; `mask` may give the prefix length as well.
    pub(super) fn floating(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        mask: Directive,
    ) -> Option<Located<FloatingAddress>> {
        let key = Key::of(found.section, directive)?;
        let values = found.entry(directive).and_then(|entry| self.values(key, entry));
        let Some([host, device]) = values else {
            self.mask(found, mask, None);
            return None;
        };
        let text = host.text(self.document.text);
        let (host_text, suffix) = text.split_once('/').map_or((text, None), |(host, n)| (host, Some(n)));
        let whole = Argument { key, text, span: host.span };
        let address = self.host_of(Argument { text: host_text, ..whole }, Some(Family::V4));
        let device = self.device(Argument { key, text: device.text(self.document.text), span: device.span });
        let family = address.as_ref().map(|a| Family::of(a.value));
        let from_suffix = suffix.and_then(|n| self.prefix(whole, n, family));
        let from_mask = self.mask(found, mask, family);
        if let (Some(suffix), Some(mask_length)) = (from_suffix, &from_mask)
            && suffix != mask_length.value
        {
            let message = format!("/{suffix} contradicts the mask, which is /{}", mask_length.value);
            let problem = Problem::error(Code::Conflict, host.span, message);
            self.report.add(problem.note(mask_length.span, "the mask is given"));
        }
        let prefix = from_suffix.or(from_mask.map(|m| m.value));
        let value = FloatingAddress { address: address?.value, prefix, device: device? };
        Some(Located { value, span: host.span })
    }

    fn device(&mut self, argument: Argument<'_>) -> Option<Device> {
        match Device::new(argument.text) {
            Ok(device) => Some(device),
            Err(error) => {
                let message = format!("`{}` is not a device: {error}", shown(argument.text));
                let problem = Problem::error(Code::BadValue, argument.span, message);
                self.report.add(problem.help(format!("allowed: {}", argument.key.value.allowed())));
                None
            }
        }
    }

    /// An interface without alias.
    pub(super) fn interface(&mut self, found: &Found<'a>, directive: Directive) -> Option<String> {
        self.one(found, directive, |lowering, a| {
            let device = lowering.device(a)?;
            if device.label() != device.interface() {
                return lowering.reject(Code::BadValue, a, "an alias is not an interface");
            }
            Some(a.text.to_owned())
        })
    }

    fn prefix(&mut self, argument: Argument<'_>, length: &str, family: Option<Family>) -> Option<u8> {
        let bits = bits(family?);
        let is_number = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
        match length.parse() {
            Ok(length) if is_number && (1..=bits).contains(&length) => Some(length),
            _ => {
                let message = format!("`/{}` is not a prefix length", shown(length));
                let problem = Problem::error(Code::OutOfRange, argument.span, message);
                self.report.add(problem.help(format!("allowed: /1 to /{bits}")));
                None
            }
        }
    }

    /// A mask for addresses of `family`, as a prefix length. Without a family, it is only looked at.
    pub(super) fn mask(
        &mut self,
        found: &Found<'a>,
        directive: Directive,
        family: Option<Family>,
    ) -> Option<Located<u8>> {
        self.one(found, directive, |lowering, a| {
            let bits = family.map_or(32, bits);
            let result = value::mask(a.text, bits);
            let reason = match result {
                Ok(length) => return length.map(|value| Located { value, span: a.span }),
                Err(_) if family.is_none() => return None,
                Err(MaskError::NotAMask) => "not a mask".to_owned(),
                Err(MaskError::Gaps) => "ones follow zeros".to_owned(),
                Err(MaskError::DottedForV6) => "the address is IPv6, which takes a prefix length".to_owned(),
                Err(MaskError::TooLong) => format!("a prefix length is at most {bits} here"),
            };
            lowering.reject(Code::BadValue, a, &reason)
        })
    }
}

fn bits(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

fn count_text(count: usize) -> String {
    if count == 1 { "one value".to_owned() } else { format!("{count} values") }
}
