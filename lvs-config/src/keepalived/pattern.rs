//! Status codes of HTTP as a regular expression on the beginning of an answer.

/// The codes that keepalived takes for good when a file names none.
pub(super) const DEFAULT: &str = "200-299";

/// An expression for an answer whose status is one of `words`, each a code or a range; `None` when a word is neither.
pub(super) fn status<'w>(words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let mut wanted = [false; 1000];
    for word in words {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let code = |text: &str| text.parse::<usize>().ok().filter(|code| (100..1000).contains(code));
        let (first, last) = (code(first)?, code(last)?);
        wanted.get_mut(first..=last)?.fill(true);
    }
    let parts = alternatives(&wanted);
    match parts.as_slice() {
        [] => None,
        [only] => Some(format!("^HTTP/1[.][01] {only}")),
        several => Some(format!("^HTTP/1[.][01] ({})", several.join("|"))),
    }
}

/// Expressions that together match the codes in `wanted`.
fn alternatives(wanted: &[bool; 1000]) -> Vec<String> {
    let mut parts = Vec::new();
    for hundred in 1..10 {
        let codes = &wanted[hundred * 100..(hundred + 1) * 100];
        if codes.iter().all(|is| *is) {
            parts.push(format!("{hundred}[0-9][0-9]"));
            continue;
        }
        for (ten, codes) in codes.chunks(10).enumerate() {
            let digits: String =
                ('0'..='9').zip(codes).filter(|(_, is)| **is).map(|(digit, _)| digit).collect();
            match digits.len() {
                0 => {}
                1 => parts.push(format!("{hundred}{ten}{digits}")),
                10 => parts.push(format!("{hundred}{ten}[0-9]")),
                _ => parts.push(format!("{hundred}{ten}[{digits}]")),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_ranges_become_an_expression() {
        let of = |text: &str| status(text.split(' '));
        assert_eq!(of(DEFAULT).as_deref(), Some("^HTTP/1[.][01] 2[0-9][0-9]"));
        assert_eq!(of("200").as_deref(), Some("^HTTP/1[.][01] 200"));
        assert_eq!(of("200-299 301 302").as_deref(), Some("^HTTP/1[.][01] (2[0-9][0-9]|30[12])"));
        assert_eq!(of("200-210").as_deref(), Some("^HTTP/1[.][01] (20[0-9]|210)"));
        for bad in ["", "99", "1000", "300-200", "ok", "200-"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
