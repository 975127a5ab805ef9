//! What an agent on the real server advises, and what it has come to mean. Pure.
//!
//! An agent answers with one line, as those that HAProxy asks: words between blanks or commas, in either case, perhaps with
//! `# text for people` at the end.
//!
//! | word | says |
//! | --- | --- |
//! | `75%` | this part of the configured weight |
//! | `drain` | no new connections, until `ready` |
//! | `maint` | out of service, until `ready` |
//! | `ready` | neither of the two |
//! | `down`, `failed`, `stopped` | out of service, until `up` |
//! | `up` | not that |
//!
//! What a line does not speak of stays as it was; other words, such as `maxconn:30`, say nothing here. A server that the
//! agent wants out of service is down, however good its probes; one that it calls up still has to pass them.

use crate::escape::quote;

/// Largest part of the configured weight, in percent: what a weight of 1 needs to become the largest of HAProxy's.
pub(crate) const MOST: u16 = 256;

/// Most bytes of the text for people that a reason quotes.
const TEXT: usize = 80;

/// One line of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advice {
    /// `ready`, `drain` or `maint`.
    pub administration: Option<Administration>,
    /// Whether it is up; `Some(false)` for `down`, `failed` and `stopped`.
    pub is_up: Option<bool>,
    /// Part of the configured weight in percent, at most 256.
    pub percent: Option<u16>,
    /// What follows `#`, cut to 80 bytes.
    pub text: Vec<u8>,
}

/// What an administrator has told the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Administration {
    /// Nothing special.
    #[default]
    Ready,
    /// No new connections.
    Drain,
    /// Out of service.
    Maintenance,
}

impl Advice {
    /// Reads the first line of `answer`. `None` if not one of its words is known.
    #[must_use]
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let line = answer.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
        let end = line.iter().position(|byte| *byte == b'#').unwrap_or(line.len());
        let (words, text) = line.split_at(end);
        let mut advice = Self::default();
        for word in words.split(|byte| matches!(byte, b' ' | b'\t' | b',')) {
            advice.take(&word.to_ascii_lowercase());
        }
        if advice == Self::default() {
            return None;
        }
        let text = text.strip_prefix(b"#").unwrap_or_default().trim_ascii();
        advice.text = text[..text.len().min(TEXT)].to_vec();
        Some(advice)
    }

    fn take(&mut self, word: &[u8]) {
        match word {
            b"ready" => self.administration = Some(Administration::Ready),
            b"drain" => self.administration = Some(Administration::Drain),
            b"maint" => self.administration = Some(Administration::Maintenance),
            b"up" => self.is_up = Some(true),
            b"down" | b"failed" | b"stopped" => self.is_up = Some(false),
            _ => {
                let digits = word.strip_suffix(b"%").and_then(|digits| std::str::from_utf8(digits).ok());
                let percent =
                    digits.and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= MOST);
                self.percent = percent.or(self.percent);
            }
        }
    }
}

/// What all advice so far has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    administration: Administration,
    is_failed: bool,
    percent: Option<u16>,
    text: Vec<u8>,
}

impl Standing {
    /// Takes a line into account.
    pub fn advise(&mut self, advice: Advice) {
        self.administration = advice.administration.unwrap_or(self.administration);
        self.is_failed = advice.is_up.map_or(self.is_failed, |up| !up);
        self.percent = advice.percent.or(self.percent);
        self.text = advice.text;
    }

    /// Why the server is to be out of service, if it is.
    #[must_use]
    pub fn objection(&self) -> Option<String> {
        let word = match (self.administration, self.is_failed) {
            (Administration::Maintenance, _) => "maint",
            (_, true) => "down",
            _ => return None,
        };
        let text = if self.text.is_empty() { String::new() } else { format!(", {}", quote(&self.text)) };
        Some(format!("agent says {word}{text}"))
    }

    /// The weight of a server of configured weight `configured`; at least 1 as long as the agent leaves it any part.
    #[must_use]
    pub fn weight(&self, configured: u16) -> u16 {
        match (self.administration, self.percent) {
            (Administration::Drain, _) => 0,
            (_, None) => configured,
            (_, Some(percent)) => share(configured, percent),
        }
    }

    /// Why the weight is what it is.
    #[must_use]
    pub fn reason(&self) -> String {
        match (self.administration, self.percent) {
            (Administration::Drain, _) => "agent says drain".into(),
            (_, Some(percent)) => format!("agent says {percent}%"),
            (_, None) => "agent says ready".into(),
        }
    }
}

/// `percent` of `weight`, rounded, at most 65535, and at least 1 if neither is 0.
#[must_use]
pub fn share(weight: u16, percent: u16) -> u16 {
    let exact = (u32::from(weight) * u32::from(percent) + 50) / 100;
    let least = u16::from(weight > 0 && percent > 0);
    u16::try_from(exact).unwrap_or(u16::MAX).max(least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn standing(lines: &[&str]) -> Standing {
        let mut standing = Standing::default();
        for line in lines {
            standing.advise(Advice::parse(line.as_bytes()).unwrap());
        }
        standing
    }

    #[test]
    fn the_words_of_a_line_are_read_in_any_order_and_case() {
        let advice = Advice::parse(b"Ready, UP 75%,maxconn:30 # all is well\r\nsecond line down").unwrap();
        let expected = Advice {
            administration: Some(Administration::Ready),
            is_up: Some(true),
            percent: Some(75),
            text: b"all is well".into(),
        };
        assert_eq!(advice, expected);
    }

    #[test]
    fn an_answer_without_a_known_word_is_none() {
        for answer in ["", "\n", "hello", "# down", "75", "257%", "-1%", "1.5%", "100000%", "%", "updown"] {
            assert_eq!(Advice::parse(answer.as_bytes()), None, "{answer}");
        }
    }

    #[test]
    fn what_is_not_spoken_of_stays() {
        assert_eq!(standing(&["50%", "drain"]).weight(100), 0);
        assert_eq!(standing(&["50%", "drain", "up"]).weight(100), 0);
        assert_eq!(standing(&["50%", "drain", "ready"]).weight(100), 50);
        assert_eq!(standing(&["drain", "20%"]).weight(100), 0);
        assert_eq!(standing(&["up"]).weight(100), 100);
    }

    #[test]
    fn an_agent_takes_a_server_out_and_gives_the_reason() {
        assert_eq!(standing(&["down # disk full"]).objection().unwrap(), "agent says down, \"disk full\"");
        assert_eq!(standing(&["stopped", "50%"]).objection().unwrap(), "agent says down");
        assert_eq!(standing(&["stopped", "ready"]).objection().unwrap(), "agent says down");
        assert_eq!(standing(&["stopped", "up"]).objection(), None);
        assert_eq!(standing(&["maint", "up"]).objection().unwrap(), "agent says maint");
        assert_eq!(standing(&["maint", "ready"]).objection(), None);
        assert_eq!(standing(&["drain"]).objection(), None);
    }

    #[test]
    fn a_share_is_rounded_and_leaves_something_of_what_is_something() {
        for (weight, percent, of_it) in [
            (100, 33, 33),
            (3, 50, 2),
            (1, 1, 1),
            (1, 0, 0),
            (0, 100, 0),
            (65_535, 256, 65_535),
            (10, 256, 26),
        ] {
            assert_eq!(share(weight, percent), of_it, "{percent} % of {weight}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic_and_in_bounds(answer: Vec<u8>, configured: u16) {
            if let Some(advice) = Advice::parse(&answer) {
                let mut standing = Standing::default();
                prop_assert!(advice.text.len() <= TEXT);
                standing.advise(advice);
                let _ = (standing.objection(), standing.weight(configured));
            }
        }
    }
}
