//! What a real server's load average means for its weight.
//!
//! An idle server's weight creeps up from what is configured to at most `scale` times that; a busy one's comes back
//! down. Small steps are not taken, so that the table does not change with every breath. No program is run here.

/// Highest load average taken for one.
const LOAD_LIMIT: f64 = 1e6;

/// Finds the 1-minute load average in what `uptime`, `rup` or `ruptime` print: the first number after the first
/// colon after the word `load`, when a comma, a blank or the end follows it.
#[must_use]
pub fn parse(output: &[u8]) -> Option<f64> {
    let text = String::from_utf8_lossy(output);
    let (_, after_word) = text.split_once("load")?;
    let (_, after_colon) = after_word.split_once(':')?;
    let number = after_colon.trim_start_matches([' ', '\t']);
    let end = number.find([',', ' ', '\t', '\r', '\n']).unwrap_or(number.len());
    let number = &number[..end];
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    number.parse().ok().filter(|load| plain && is_load(*load))
}

/// Whether a number can be a load average.
#[must_use]
pub fn is_load(number: f64) -> bool {
    (0.0..=LOAD_LIMIT).contains(&number)
}

/// The weight for a server of configured weight `configured` that now has `current` and reports `load`, or `None`
/// when it stays. With w = `configured`:
///
/// - load below 1: current + (w/2) · ∛(1 − load), at most `scale` · w
/// - load above 1: current − (w/2) · ∛(load − 1), at least w
///
/// The result is rounded down, at most 65535, and taken when it differs from `current` by w/4 or more.
#[must_use]
pub fn weight(configured: u16, current: u16, scale: u16, load: f64) -> Option<u16> {
    let step = f64::from(configured / 2) * (1.0 - load).cbrt();
    let highest = configured.saturating_mul(scale).max(configured);
    let wanted = (f64::from(current) + step).clamp(f64::from(configured), f64::from(highest));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of u16 above; the fraction is meant to be lost"
    )]
    let wanted = wanted as u16;
    (wanted != current && wanted.abs_diff(current) >= configured / 4).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_one_minute_average_is_found_in_every_usual_output() {
        for (output, load) in [
            (" 10:11:12 up 3 days,  2:13,  1 user,  load average: 0.31, 0.20, 0.18\n", Some(0.31)),
            ("10:11  up 3 days, load averages: 1.50 0.20 0.18\n", Some(1.5)),
            ("rs1   up   3+02:13,  1 user,   load: 12.00, 0.5, 0.1", Some(12.0)),
            ("load:7", Some(7.0)),
            ("Permission denied", None),
            ("load average: , 0.2", None),
            ("load average: nan, 0.2", None),
            ("load average: -1.0, 0.2", None),
            ("load average: 1e9, 0.2", None),
            ("load average: 9999999999999, 1", None),
        ] {
            assert_eq!(parse(output.as_bytes()), load, "{output}");
        }
    }

    #[test]
    fn an_idle_server_gains_and_a_busy_one_loses() {
        assert_eq!(weight(100, 100, 10, 0.0), Some(150));
        assert_eq!(weight(100, 980, 10, 0.0), None);
        assert_eq!(weight(100, 960, 10, 0.0), Some(1000));
        assert_eq!(weight(100, 300, 10, 2.0), Some(250));
        assert_eq!(weight(100, 140, 10, 9.0), Some(100));
        assert_eq!(weight(100, 300, 10, 1.0), None);
        assert_eq!(weight(64, 64, 10, 0.875), Some(80));
    }

    #[test]
    fn a_weight_of_one_never_moves() {
        for load in [0.0, 0.5, 1.0, 50.0] {
            assert_eq!(weight(1, 1, 10, load), None);
        }
    }

    proptest! {
        #[test]
        fn the_weight_stays_between_the_configured_one_and_its_multiple(
            configured: u16, current: u16, scale in 1u16..100, load in 0.0f64..1e6
        ) {
            if let Some(weight) = weight(configured, current, scale, load) {
                prop_assert!(weight >= configured && weight <= configured.saturating_mul(scale));
            }
        }

        #[test]
        fn any_output_is_read_without_panic(output: Vec<u8>) {
            let _ = parse(&output);
        }
    }
}
