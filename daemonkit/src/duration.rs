//! Times on command lines: a number with an optional unit, seconds when it has none.

use std::time::Duration;

/// Why a word is not a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No digits where a number has to be, or a sign.
    #[error("“{0}” is not a time; write a number with an optional unit, such as 2, 200ms, 1.5s, 2m or 1h")]
    NotANumber(String),
    /// Letters after the number that name no unit.
    #[error("“{0}” has an unknown unit; the units are ms, s, m and h")]
    UnknownUnit(String),
    /// More than a century.
    #[error("“{0}” is too long a time")]
    TooLong(String),
}

/// Reads `2`, `200ms`, `1.5s`, `2m` or `1h`. A bare number is in seconds. Precision ends at a nanosecond.
///
/// # Errors
/// [`DurationError`], whose text is meant for the user.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let number_len = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_len);
    let nanos_per_unit: u64 = match unit {
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ if number.is_empty() => return Err(DurationError::NotANumber(text.to_owned())),
        _ => return Err(DurationError::UnknownUnit(text.to_owned())),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::NotANumber(text.to_owned()));
    }
    let too_long = || DurationError::TooLong(text.to_owned());
    let whole: u64 = whole.parse().map_err(|_| too_long())?;
    let mut nanos = whole.checked_mul(nanos_per_unit).ok_or_else(too_long)?;
    let mut place = nanos_per_unit;
    for digit in fraction.bytes().take(15) {
        place /= 10;
        nanos = nanos.checked_add(place * u64::from(digit - b'0')).ok_or_else(too_long)?;
    }
    let century = Duration::from_secs(100 * 366 * 86_400);
    Some(Duration::from_nanos(nanos)).filter(|time| *time <= century).ok_or_else(too_long)
}

/// Writes a time in the greatest unit of which it is a whole number, so that [`parse`] reads the same one back, to the
/// millisecond: `10m`, `90s`, `200ms`.
#[must_use]
pub fn format(time: Duration) -> String {
    match (time.as_secs(), time.subsec_nanos()) {
        (0, 0) => "0s".to_owned(),
        (seconds, 0) if seconds % 3600 == 0 => format!("{}h", seconds / 3600),
        (seconds, 0) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", time.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_fractions() {
        for (text, millis) in [
            ("2", 2_000),
            ("0", 0),
            ("200ms", 200),
            ("1.5s", 1_500),
            ("0.25", 250),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn rejects_what_is_not_a_time() {
        for text in ["", "ms", "-1", "+1", "1.", ".5", "1.2.3", "x"] {
            assert_eq!(parse(text), Err(DurationError::NotANumber(text.into())), "{text}");
        }
        assert_eq!(parse("5 s"), Err(DurationError::UnknownUnit("5 s".into())));
        assert_eq!(parse("5d"), Err(DurationError::UnknownUnit("5d".into())));
        assert_eq!(parse("99999999999999999999"), Err(DurationError::TooLong("99999999999999999999".into())));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for millis in [0, 1, 200, 1_000, 1_500, 60_000, 61_000, 5_400_000, 7_200_000] {
            let time = Duration::from_millis(millis);
            assert_eq!(parse(&format(time)), Ok(time));
        }
        for (seconds, text) in [(0, "0s"), (90, "90s"), (600, "10m"), (7_200, "2h")] {
            assert_eq!(format(Duration::from_secs(seconds)), text);
        }
    }
}
