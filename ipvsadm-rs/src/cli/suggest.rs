//! "Did you mean …?": the known words that are near to an unknown one. `strsim` is used in this file only.

/// Longest word that is compared: nobody misspells a longer one into an option.
const LONGEST: usize = 32;
/// Most words that are suggested at once.
const MOST: usize = 3;

/// `; did you mean …?`, or nothing if no word of `known` is near. A word that begins several of them gets them all;
/// else the nearest by letters that are wrong, missing, too many or swapped. Each is shown with `prefix`.
pub(super) fn did_you_mean(
    prefix: &str,
    word: &str,
    known: impl IntoIterator<Item = &'static str>,
) -> String {
    let found: Vec<String> = near(word, known).into_iter().map(|it| format!("{prefix}{it}")).collect();
    match found.split_last() {
        None => String::new(),
        Some((only, [])) => format!("; did you mean {only}?"),
        Some((last, others)) => format!("; did you mean {} or {last}?", others.join(", ")),
    }
}

fn near(word: &str, known: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
    let length = word.chars().count();
    if !(1..=LONGEST).contains(&length) {
        return Vec::new();
    }
    let known: Vec<&str> = known.into_iter().collect();
    let begun: Vec<&str> = known.iter().copied().filter(|it| length >= 3 && it.starts_with(word)).collect();
    if (1..=MOST).contains(&begun.len()) {
        return begun;
    }
    let distance = |it: &str| strsim::damerau_levenshtein(&word.to_ascii_lowercase(), it);
    let limit = (length / 3).clamp(1, 3);
    // One letter is near to every other one.
    let near = |it: &&str| length > 1 && distance(it) <= limit;
    let Some(least) = known.iter().filter(|it| near(it)).map(|it| distance(it)).min() else {
        return Vec::new();
    };
    known.into_iter().filter(|it| distance(it) == least).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULERS: [&str; 6] = ["rr", "wrr", "lc", "wlc", "lblc", "sed"];

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(did_you_mean("", "wlcc", SCHEDULERS), "; did you mean wlc?");
        assert_eq!(did_you_mean("", "wcl", SCHEDULERS), "; did you mean wlc?");
        assert_eq!(did_you_mean("", "WLC", SCHEDULERS), "; did you mean wlc?");
        assert_eq!(
            did_you_mean("--", "tcp-serv", ["tcp-service", "udp-service"]),
            "; did you mean --tcp-service?"
        );
    }

    #[test]
    fn several_words_that_are_equally_near_are_all_named() {
        let known = ["add-service", "add-server", "edit-service"];
        assert_eq!(did_you_mean("", "add", known), "; did you mean add-service or add-server?");
        assert_eq!(did_you_mean("", "lrc", SCHEDULERS), "; did you mean lc?");
        assert_eq!(did_you_mean("", "llc", SCHEDULERS), "; did you mean lc, wlc or lblc?");
    }

    #[test]
    fn an_unrelated_word_suggests_nothing() {
        for word in ["", "x", "roundrobin", "é"] {
            assert_eq!(did_you_mean("", word, SCHEDULERS), "", "{word}");
        }
        assert_eq!(did_you_mean("", &"wlc".repeat(20), SCHEDULERS), "");
    }
}
