//! A wall-clock time as people read it: `2026-11-22T09:30:00.250000Z`, RFC 3339 in UTC. For log lines; it decides nothing.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds of a day; a clock that counts Unix time knows no leap seconds.
const DAY: u64 = 86_400;
/// Days from 1 March of the year 0 to 1 January 1970, in the Gregorian calendar.
const TO_EPOCH: u64 = 719_468;
/// Days of 400 years, after which the calendar repeats itself.
const ERA: u64 = 146_097;

/// Shows a time, to the microsecond. One before 1970 is shown as the beginning of 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(pub SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since.as_secs() / DAY, since.as_secs() % DAY);
        let (year, month, day) = date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let micros = since.subsec_micros();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day that lie `days` after 1 January 1970. Years are counted from March here, so that a leap day is the
/// last of its year and the months before it have the same lengths every year: five take 153 days.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + TO_EPOCH;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn shown(seconds: u64, micros: u64) -> String {
        let time = UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
        Timestamp(time).to_string()
    }

    #[test]
    fn known_moments_are_shown_to_the_microsecond() {
        assert_eq!(shown(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(951_782_399, 999_999), "2000-02-28T23:59:59.999999Z");
        assert_eq!(shown(951_782_400, 1), "2000-02-29T00:00:00.000001Z");
        assert_eq!(shown(1_795_339_800, 250_000), "2026-11-22T09:30:00.250000Z");
        assert_eq!(shown(4_107_542_399, 0), "2100-02-28T23:59:59.000000Z");
        assert_eq!(shown(4_107_542_400, 0), "2100-03-01T00:00:00.000000Z");
        assert_eq!(Timestamp(UNIX_EPOCH - Duration::from_secs(1)).to_string(), shown(0, 0));
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let is_leap =
            |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = |year, month| match month {
            2 => 28 + u64::from(is_leap(year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..ERA {
            assert_eq!(date(days), expected, "{days} days");
            expected = match expected {
                (year, month, day) if day < length(year, month) => (year, month, day + 1),
                (year, 12, _) => (year + 1, 1, 1),
                (year, month, _) => (year, month + 1, 1),
            };
        }
    }
}
