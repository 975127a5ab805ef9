//! Words, numbers, ages and colours as people read them. Pure.

use std::time::Duration;

/// Whether words are coloured: for a terminal whose owner does not object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// Plain text.
    Off,
    /// ANSI escapes.
    On,
}

/// What a word says beside its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Title,
    Good,
    Odd,
    Bad,
}

impl Colours {
    /// The text in its colour.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if self == Self::Off => return text.to_owned(),
            Tone::Plain => return text.to_owned(),
            Tone::Title => "1",
            Tone::Good => "32",
            Tone::Odd => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// How long ago, in its two greatest units.
pub(super) fn age(since_ms: u64, now_ms: u64) -> String {
    in_two_units(Duration::from_millis(now_ms.saturating_sub(since_ms)))
}

/// A time in its two greatest units.
pub(crate) fn in_two_units(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m{s:02}s"),
        (0, h, m, _) => format!("{h}h{m:02}m"),
        (d, h, _, _) => format!("{d}d{h:02}h"),
    }
}

/// A number in at most five characters: exact below 10,000, else with a unit of thousands.
pub(super) fn short(number: u64) -> String {
    if number < 10_000 {
        return number.to_string();
    }
    let mut unit = 1;
    for letter in ["K", "M", "G", "T", "P"] {
        unit *= 1000;
        let tenths = number / (unit / 10);
        match tenths {
            0..1000 => return format!("{}.{}{letter}", tenths / 10, tenths % 10),
            1000..10_000 => return format!("{}{letter}", tenths / 10),
            _ => {}
        }
    }
    format!("{}E", number / 1_000_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0, "0"),
            (9_999, "9999"),
            (10_000, "10.0K"),
            (99_999, "99.9K"),
            (100_000, "100K"),
            (999_999, "999K"),
            (1_000_000, "1.0M"),
            (12_345_678_901, "12.3G"),
            (u64::MAX, "18E"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }

    #[test]
    fn ages_have_their_two_greatest_units() {
        let cases = [(0, "0s"), (59, "59s"), (61, "1m01s"), (3_660, "1h01m"), (90_000, "1d01h")];
        for (seconds, text) in cases {
            assert_eq!(age(500, 500 + seconds * 1000), text);
        }
        assert_eq!(age(9_000, 0), "0s", "a clock that was set back");
    }
}
