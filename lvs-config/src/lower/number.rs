//! Values that are numbers: counts, switches, ports, times.

use std::time::Duration;

use super::Lowering;
use super::read::{Argument, Found, Located};
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Value};
use crate::model::Protocol;
use crate::units::{FwMark, Weight};
use crate::value::{self, TimeError};

impl<'a> Lowering<'a> {
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
    pub(super) fn number(&mut self, found: &Found<'_>, directive: Directive) -> Option<u64> {
        self.one(found, directive, |lowering, a| {
            let (min, max) =
                if let Value::Number(min, max) = a.key.value { (min, max) } else { (0, u64::MAX) };
            lowering.integer_in(a, min, max)
        })
    }

    /// A weight.
    pub(super) fn weight(&mut self, found: &Found<'_>) -> Option<Weight> {
        let number = self.number(found, Directive::Weight)?;
        Weight::new(u32::try_from(number).ok()?)
    }

    /// A firewall mark; `None` inside for 0, no mark.
    pub(super) fn fwmark(&mut self, found: &Found<'_>) -> Option<Located<Option<FwMark>>> {
        self.one(found, Directive::Fwmark, |lowering, a| {
            let number = lowering.integer_in(a, 0, u64::from(u32::MAX))?;
            Some(Located { value: FwMark::new(u32::try_from(number).ok()?), span: a.span })
        })
    }

    /// 0 or 1.
    pub(super) fn switch(&mut self, found: &Found<'_>, directive: Directive) -> Option<bool> {
        self.one(found, directive, |lowering, a| Some(lowering.integer_in(a, 0, 1)? == 1))
    }

    /// 0, or any other number for on.
    pub(super) fn non_zero(&mut self, found: &Found<'_>, directive: Directive) -> Option<bool> {
        self.one(found, directive, |lowering, a| Some(lowering.integer(a)? != 0))
    }

    /// A port by number or name, 1 to 65535.
    pub(super) fn port(
        &mut self,
        found: &Found<'_>,
        directive: Directive,
        protocol: Protocol,
    ) -> Option<Located<u16>> {
        self.one(found, directive, |lowering, a| {
            Some(Located { value: lowering.port_of(a, protocol)?, span: a.span })
        })
    }

    /// The port that `argument` is.
    pub(super) fn port_of(&mut self, argument: Argument<'_>, protocol: Protocol) -> Option<u16> {
        let is_name = argument.text.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_name { self.service(argument, protocol) } else { self.port_number(argument, 1) }
    }

    /// A number in the range of the table that fits in 32 bits.
    pub(super) fn count(&mut self, found: &Found<'_>, directive: Directive) -> Option<u32> {
        u32::try_from(self.number(found, directive)?).ok()
    }

    /// A real server's port; 0 with `zero`.
    pub(super) fn server_port(&mut self, found: &Found<'_>, zero: bool) -> Option<Located<u16>> {
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
    pub(super) fn time(&mut self, found: &Found<'_>, directive: Directive) -> Option<Located<Duration>> {
        self.one(found, directive, |lowering, a| {
            let value = lowering.time_of(a)?;
            Some(Located { value, span: a.span })
        })
    }

    pub(super) fn time_of(&mut self, argument: Argument<'_>) -> Option<Duration> {
        let (min, max, is_whole) = match argument.key.value {
            Value::WholeTime(min, max) => (min, max, true),
            Value::Time(min, max) | Value::Climb(min, max) => (min, max, false),
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
}
