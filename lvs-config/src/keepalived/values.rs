//! Texts to values, as keepalived reads them, and values to texts, as `lvs.cf` wants them.

use std::net::IpAddr;
use std::time::Duration;

/// A time in seconds with an optional fraction, to the millisecond.
pub(super) fn time(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut millis = 0;
    for (digit, scale) in fraction.bytes().zip([100, 10, 1]) {
        millis += u64::from(digit - b'0') * scale;
    }
    seconds.checked_mul(1000)?.checked_add(millis).map(Duration::from_millis)
}

/// `on`, `true` or `yes`, or nothing, against `off`, `false` or `no`.
pub(super) fn switch(argument: Option<&str>) -> Option<bool> {
    match argument {
        None | Some("on" | "true" | "yes") => Some(true),
        Some("off" | "false" | "no") => Some(false),
        Some(_) => None,
    }
}

/// An address with an optional prefix length.
pub(super) fn prefixed(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, n)| (address, Some(n)));
    let address: IpAddr = address.parse().ok()?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Ok(bits), str::parse).ok()?;
    (1..=bits).contains(&length).then_some((address, length))
}

/// `text` as one token of an `lvs.cf`; `None` where it cannot be.
pub(super) fn token(text: &str) -> Option<String> {
    let is_odd = |c: char| c.is_control() && c != '\t' || c == char::REPLACEMENT_CHARACTER;
    let cannot = text.contains(is_odd) || (text.contains('"') && text.contains('\''));
    (!cannot).then(|| crate::write::quoted(text))
}

/// A command of keepalived's as one token of an `lvs.cf`, which splits it at blanks; `None` when an argument has blanks.
pub(super) fn command(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains(['\'', '"']) || text.is_empty() {
        return None;
    }
    token(text)
}
