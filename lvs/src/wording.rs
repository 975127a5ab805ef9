//! Small words that several answers to people are made of.

use std::fmt::Display;

/// A number with its unit, `1 repair` or `2 repairs`.
pub(crate) fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, unit: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// `; 3 checks began late`, or nothing when none did.
pub(crate) fn late_starts(count: u64) -> String {
    if count == 0 { String::new() } else { format!("; {} began late", counted(count, "check")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let all = [counted(0_usize, "request"), counted(1_u64, "request"), counted(2_u64, "request")];
        assert_eq!(all, ["0 requests", "1 request", "2 requests"]);
    }
}
