//! Values that are addresses, devices and masks.

use std::net::{IpAddr, SocketAddr};

use super::Lowering;
use super::read::{Argument, Found, Located};
use crate::diagnostic::{Code, Problem, shown};
use crate::keys::{Directive, Key};
use crate::model::FloatingAddress;
use crate::names::Family;
use crate::units::Device;
use crate::value::{self, Literal, MaskError};

impl<'a> Lowering<'a> {
    /// The address of a host. Names are resolved, preferably to `wanted`.
    pub(super) fn host(
        &mut self,
        found: &Found<'_>,
        directive: Directive,
        wanted: Family,
    ) -> Option<Located<IpAddr>> {
        self.one(found, directive, |lowering, a| lowering.host_of(a, Some(wanted)))
    }

    /// The address that `argument` is; without `wanted`, only as a literal.
    pub(super) fn host_of(
        &mut self,
        argument: Argument<'_>,
        wanted: Option<Family>,
    ) -> Option<Located<IpAddr>> {
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
        if let Some(address) = address.filter(|_| names.is_of_old(argument.text, wanted)) {
            let message =
                format!("`{}` cannot be resolved; its last address is used, {address}", shown(argument.text));
            self.report.add(Problem::warning(Code::UnknownName, argument.span, message));
        }
        address.or_else(|| self.reject(Code::UnknownName, argument, "the name cannot be resolved"))
    }

    /// An address with optional `/N`, and the device that carries it; `mask` may give the prefix length as well.
    pub(super) fn floating(
        &mut self,
        found: &Found<'_>,
        directive: Directive,
        mask: Directive,
    ) -> Option<Located<FloatingAddress>> {
        let key = Key::of(found.section, directive)?;
        let values = found.entry(directive).and_then(|entry| self.values(key, entry));
        let Some([host, device]) = values else {
            self.mask(found, mask, None);
            return None;
        };
        let text = host.text(self.text);
        let (host_text, suffix) = text.split_once('/').map_or((text, None), |(host, n)| (host, Some(n)));
        let whole = Argument { key, text, span: host.span() };
        let address = self.host_of(Argument { text: host_text, ..whole }, Some(Family::V4));
        let device = self.device(Argument { key, text: device.text(self.text), span: device.span() });
        let family = address.as_ref().map(|a| Family::of(a.value));
        let from_suffix = suffix.and_then(|n| self.prefix(whole, n, family));
        let from_mask = self.mask(found, mask, family);
        if let (Some(suffix), Some(mask_length)) = (from_suffix, &from_mask)
            && suffix != mask_length.value
        {
            let message = format!("/{suffix} contradicts the mask, which is /{}", mask_length.value);
            let problem = Problem::error(Code::Conflict, host.span(), message);
            self.report.add(problem.note(mask_length.span, "the mask is given"));
        }
        let prefix = from_suffix.or(from_mask.map(|m| m.value));
        let value = FloatingAddress { address: address?.value, prefix, device: device? };
        Some(Located { value, span: host.span() })
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

    /// Where a program without privileges listens.
    pub(super) fn listen(&mut self, found: &Found<'_>, directive: Directive) -> Option<SocketAddr> {
        self.one(found, directive, |lowering, a| match a.text.parse::<SocketAddr>() {
            Ok(address) if address.port() >= 1024 => Some(address),
            Ok(_) => lowering.reject(Code::OutOfRange, a, "the port is too low"),
            Err(_) => lowering.reject(Code::BadValue, a, ""),
        })
    }

    /// An interface without alias.
    pub(super) fn interface(&mut self, found: &Found<'_>, directive: Directive) -> Option<String> {
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
        found: &Found<'_>,
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
