//! "Did you mean …?": the known word that is nearest to an unknown one. `strsim` is used in this file only.

/// Longest word that is compared: nobody misspells a longer one into a keyword.
const LONGEST: usize = 32;

/// The best of `known` for `word`, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let distance = |candidate: &str| {
        let contained = word.len() >= 4 && (candidate.contains(&lower) || lower.contains(candidate));
        let edits = strsim::damerau_levenshtein(&lower, candidate);
        if contained { edits.min(2) } else { edits }
    };
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(candidate), candidate))
        .filter(|(distance, _)| *distance <= limit.max(if word.len() >= 4 { 2 } else { 1 }))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 5] = ["deadtime", "debug_level", "port", "vip_nmask", "rr"];

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(nearest("deadtme", KNOWN), Some("deadtime"));
        assert_eq!(nearest("DeadTime", KNOWN), Some("deadtime"));
        assert_eq!(nearest("debug", KNOWN), Some("debug_level"));
        assert_eq!(nearest("nmask", KNOWN), Some("vip_nmask"));
        assert_eq!(nearest("prot", KNOWN), Some("port"));
    }

    #[test]
    fn an_unrelated_word_suggests_nothing() {
        assert_eq!(nearest("colour", KNOWN), None);
        assert_eq!(nearest("x", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
        assert_eq!(nearest(&"deadtime".repeat(10), KNOWN), None);
    }
}
