//! Texts of values to numbers, times, addresses and masks: pure, and as lenient as the original where it was.
//!
//! Ranges and messages are the callers' business.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A whole number as C's `strtol` with base 0 reads it: decimal, `0x…`, `0…` octal, with a sign. Empty is 0. Numbers
/// beyond the type stop at its ends.
pub(crate) fn number(text: &str) -> Option<i128> {
    if text.is_empty() {
        return Some(0);
    }
    let (sign, digits) = match text.as_bytes()[0] {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    Some(sign * i128::try_from(unsigned(digits)?).unwrap_or(i128::MAX))
}

/// Digits without a sign; at least one.
fn unsigned(digits: &str) -> Option<u128> {
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hexadecimal) => (16, hexadecimal),
        None if is_octal(digits) => (8, &digits[1..]),
        None => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    Some(u128::from_str_radix(digits, radix).unwrap_or(u128::MAX))
}

/// Whether a leading zero makes `number` read the digits as octal.
pub(crate) fn is_octal(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// Why a text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeError {
    /// Not a number with a unit that is known.
    NotATime,
    /// A fraction without a unit.
    NoUnit,
    /// Finer than a millisecond.
    TooFine,
    /// Below zero, or too large to be represented.
    OutOfRange,
}

/// A time: a whole number of seconds, or a decimal number with a unit `ms`, `s`, `m` or `h`.
pub(crate) fn time(text: &str) -> Result<Duration, TimeError> {
    if let Some(seconds) = number(text) {
        return u64::try_from(seconds).map(Duration::from_secs).map_err(|_| TimeError::OutOfRange);
    }
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, unit) = text.split_at(unit_at);
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "" if is_decimal(amount) => return Err(TimeError::NoUnit),
        _ => return Err(TimeError::NotATime),
    };
    if !is_decimal(amount) {
        return Err(TimeError::NotATime);
    }
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let whole: u64 = whole.parse().map_err(|_| TimeError::OutOfRange)?;
    let fraction = fraction.trim_end_matches('0');
    let scale =
        10_u64.checked_pow(u32::try_from(fraction.len()).unwrap_or(u32::MAX)).ok_or(TimeError::TooFine)?;
    let parts: u64 =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| TimeError::TooFine)? };
    let scaled = parts.checked_mul(unit_ms).ok_or(TimeError::TooFine)?;
    if scaled % scale != 0 {
        return Err(TimeError::TooFine);
    }
    let ms = whole.checked_mul(unit_ms).and_then(|ms| ms.checked_add(scaled / scale));
    ms.map(Duration::from_millis).ok_or(TimeError::OutOfRange)
}

/// `12` or `1.5`, with digits on both sides of the point.
fn is_decimal(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    }
}

/// What an address may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
    /// The usual form.
    Usual(IpAddr),
    /// A form that only the C library's `inet_aton` knows: short (`10.1`), hexadecimal or octal.
    Odd(Ipv4Addr),
    /// Digits and dots, or something with a colon: neither an address nor the name of a host.
    Malformed,
    /// Possibly the name of a host.
    NameLike,
}

/// Reads an address.
pub(crate) fn literal(text: &str) -> Literal {
    if let Ok(address) = text.parse() {
        return Literal::Usual(address);
    }
    if let Some(address) = aton(text) {
        return Literal::Odd(address);
    }
    let is_numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if is_numeric || !is_name || text.len() > 253 { Literal::Malformed } else { Literal::NameLike }
}

/// One to four numbers between dots; the last one fills what is left of the 32 bits.
fn aton(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.');
    let mut value = 0_u32;
    let mut bits_left = 32;
    while let Some(part) = parts.next() {
        let number = unsigned(part)?;
        let is_last = parts.clone().next().is_none();
        let bits = if is_last { bits_left } else { 8 };
        if bits_left == 0 || number >= 1 << bits {
            return None;
        }
        bits_left -= bits;
        value |= u32::try_from(number).ok()? << bits_left;
    }
    Some(Ipv4Addr::from(value))
}

/// Whether this is the name of a user, or `UID:GID`. The highest number is nobody's: to the kernel it means "unchanged".
pub(crate) fn is_user(text: &str) -> bool {
    let is_id = |text: &str| text.parse::<u32>().is_ok_and(|id| id != u32::MAX);
    match text.split_once(':') {
        Some((user, group)) => is_id(user) && is_id(group),
        None => {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
            let has_letter = text.contains(|c: char| c.is_ascii_alphabetic() || c == '_');
            has_letter && !text.starts_with('-') && text.chars().all(is_part)
        }
    }
}

/// Why a text is not a mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskError {
    /// Neither a mask nor a number.
    NotAMask,
    /// Ones after zeros.
    Gaps,
    /// A dotted mask, where the address is IPv6.
    DottedForV6,
    /// A prefix length beyond the address.
    TooLong,
}

/// Prefix length of a dotted (or `0x…`) mask, or of a decimal number, for addresses of `bits` bits. A mask without
/// ones is `None`: "no mask".
pub(crate) fn mask(text: &str, bits: u8) -> Result<Option<u8>, MaskError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let length: u8 = text.parse().map_err(|_| MaskError::TooLong)?;
        return if length > bits { Err(MaskError::TooLong) } else { Ok(Some(length).filter(|l| *l > 0)) };
    }
    let mask = u32::from(aton(text).ok_or(MaskError::NotAMask)?);
    if bits != 32 {
        return Err(MaskError::DottedForV6);
    }
    if mask.leading_ones() + mask.trailing_zeros() < 32 {
        return Err(MaskError::Gaps);
    }
    Ok(u8::try_from(mask.leading_ones()).ok().filter(|length| *length > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        assert_eq!(number("12"), Some(12));
        assert_eq!(number("+12"), Some(12));
        assert_eq!(number("-3"), Some(-3));
        assert_eq!(number("0x1F"), Some(31));
        assert_eq!(number("010"), Some(8));
        assert_eq!(number("0"), Some(0));
        assert_eq!(number(""), Some(0));
        assert_eq!(number("99999999999999999999999999999999999999999"), Some(i128::MAX));
        for bad in ["080", "1.5", "0x", "-", "+", "ten", "1 ", "٣", "--1", "0x-1"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn times_take_units() {
        assert_eq!(time("6"), Ok(Duration::from_secs(6)));
        assert_eq!(time("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("0.5m"), Ok(Duration::from_secs(30)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(time("1.50000000000000000000000000s"), Ok(Duration::from_millis(1500)));
        assert_eq!(time("1.0ms"), Ok(Duration::from_millis(1)));
    }

    #[test]
    fn what_is_not_a_time_says_why() {
        assert_eq!(time("1.5"), Err(TimeError::NoUnit));
        assert_eq!(time("-1"), Err(TimeError::OutOfRange));
        assert_eq!(time("99999999999999999999h"), Err(TimeError::OutOfRange));
        assert_eq!(time("18446744073709551615h"), Err(TimeError::OutOfRange));
        assert_eq!(time("0.5ms"), Err(TimeError::TooFine));
        assert_eq!(time("1.0000000000000000000000001s"), Err(TimeError::TooFine));
        for bad in ["s", "5 s", "5d", "5S", ".5s", "5.s", "1.2.3s", "-5ms", "soon"] {
            assert_eq!(time(bad), Err(TimeError::NotATime), "{bad:?}");
        }
    }

    #[test]
    fn addresses_include_the_odd_forms_of_old() {
        assert_eq!(literal("192.0.2.1"), Literal::Usual("192.0.2.1".parse().unwrap()));
        assert_eq!(literal("2001:db8::1"), Literal::Usual("2001:db8::1".parse().unwrap()));
        assert_eq!(literal("10.1"), Literal::Odd(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(literal("0x0a000001"), Literal::Odd(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(literal("010.0.0.1"), Literal::Odd(Ipv4Addr::new(8, 0, 0, 1)));
        assert_eq!(literal("web1.example"), Literal::NameLike);
        for bad in ["192.0.2.256", "1.2.3.4.5", "2001:db8::g", "192.0.2.", "a/24", "", "ö.example"] {
            assert_eq!(literal(bad), Literal::Malformed, "{bad:?}");
        }
    }

    #[test]
    fn users_are_names_or_two_numbers() {
        for good in ["root", "lvs-nanny", "_x", "a.b$", "4user", "0:0", "4294967294:1"] {
            assert!(is_user(good), "{good:?}");
        }
        for bad in ["", "99", "99:", "1:2:3", "-1:0", "4294967295:0", "0:4294967295", "a b", "-x", "a/b", "é"]
        {
            assert!(!is_user(bad), "{bad:?}");
        }
    }

    #[test]
    fn masks_are_dotted_or_lengths() {
        assert_eq!(mask("255.255.255.0", 32), Ok(Some(24)));
        assert_eq!(mask("255.255.255.255", 32), Ok(Some(32)));
        assert_eq!(mask("0.0.0.0", 32), Ok(None));
        assert_eq!(mask("0xffffff00", 32), Ok(Some(24)));
        assert_eq!(mask("24", 32), Ok(Some(24)));
        assert_eq!(mask("64", 128), Ok(Some(64)));
        assert_eq!(mask("33", 32), Err(MaskError::TooLong));
        assert_eq!(mask("129", 128), Err(MaskError::TooLong));
        assert_eq!(mask("1000", 128), Err(MaskError::TooLong));
        assert_eq!(mask("255.0.255.0", 32), Err(MaskError::Gaps));
        assert_eq!(mask("255.255.255.0", 128), Err(MaskError::DottedForV6));
        assert_eq!(mask("wide", 32), Err(MaskError::NotAMask));
        assert_eq!(mask("", 32), Err(MaskError::NotAMask));
    }
}
