//! What a monitor tells the director about its real server: one bounded line per event.
//!
//! ```text
//! [ active ] rs=10.2.0.11:80 took_ms=3 reason="answered as expected"
//! [inactive] rs=10.2.0.11:80 took_ms=1 reason="connection refused"
//! [ weight ] rs=10.2.0.11:80 weight=40 reason="load 0.31"
//! [  late  ] rs=10.2.0.11:80 starts=3 worst_ms=140
//! [ notice ] rs=10.2.0.11:80 reason="not fully confined; missing: Landlock (not in this kernel)"
//! ```
//!
//! The first ten characters are, but for the last two, the tokens that the original director looked for in its monitors'
//! output, so a monitor of either suite is understood; it takes no notice of other lines. A director knows which monitor wrote a line by the pipe it came
//! through; `rs` is for people. The reason comes last and may hold anything but control characters.

use std::fmt;
use std::time::Duration;

/// Longest line, in bytes. A longer reason is cut when it is written.
pub const MAX_LINE: usize = 512;
/// Most of a server that is written, in bytes: room for an IPv6 address with scope and port.
const MAX_SERVER: usize = 128;

const ACTIVE: &str = "[ active ]";
const INACTIVE: &str = "[inactive]";
const WEIGHT: &str = "[ weight ]";
const LATE: &str = "[  late  ]";
const NOTICE: &str = "[ notice ]";

/// One event of a monitored real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The server passed its check and is to be used.
    Active {
        /// Address and port, for people.
        server: String,
        /// How long the deciding probe took, to the millisecond.
        took: Duration,
        /// Why.
        reason: String,
    },
    /// The server failed its check and is not to be used.
    Inactive {
        /// Address and port, for people.
        server: String,
        /// How long the deciding probe took, to the millisecond.
        took: Duration,
        /// Why.
        reason: String,
    },
    /// The server is to get this weight, 0 to 65535, until the next report.
    Weight {
        /// Address and port, for people.
        server: String,
        /// The weight.
        weight: u16,
        /// Why.
        reason: String,
    },
    /// Probes have begun later than they were due, because this machine has too much to do.
    Late {
        /// Address and port, for people.
        server: String,
        /// How many since the last such report.
        starts: u32,
        /// How late the latest of them was, to the millisecond.
        worst: Duration,
    },
    /// Something about the monitor that its director's operator should know. Says nothing about the server; other monitors
    /// may say the very same.
    Notice {
        /// Address and port, for people.
        server: String,
        /// What it is.
        reason: String,
    },
}

/// Why a line is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// It begins with none of the tokens.
    #[error("not a report: {0:?}")]
    UnknownToken(String),
    /// A weight report without a weight from 0 to 65535.
    #[error("weight report without a weight from 0 to 65535: {0:?}")]
    BadWeight(String),
    /// A report of late probes without their number.
    #[error("report of late probes without their number: {0:?}")]
    BadCount(String),
}

impl Report {
    /// Reads one line. Only the token is required of `active` and `inactive` reports; fields that are missing,
    /// unknown or out of range are left out, because what counts is the event.
    ///
    /// # Errors
    /// [`ReportError`] with (the beginning of) the line.
    pub fn parse(line: &str) -> Result<Self, ReportError> {
        let excerpt = || line.chars().take(80).collect();
        let tokens = [ACTIVE, INACTIVE, WEIGHT, LATE, NOTICE];
        // The first token counts: a reason further on may quote the others.
        let (at, token) = tokens
            .into_iter()
            .filter_map(|token| Some((line.find(token)?, token)))
            .min()
            .ok_or_else(|| ReportError::UnknownToken(excerpt()))?;
        let Fields { server, took, weight, starts, worst, reason } = Fields::parse(&line[at + token.len()..]);
        match token {
            ACTIVE => Ok(Self::Active { server, took, reason }),
            INACTIVE => Ok(Self::Inactive { server, took, reason }),
            LATE => {
                let starts = starts.ok_or_else(|| ReportError::BadCount(excerpt()))?;
                Ok(Self::Late { server, starts, worst })
            }
            NOTICE => Ok(Self::Notice { server, reason }),
            _ => {
                let weight = weight.ok_or_else(|| ReportError::BadWeight(excerpt()))?;
                Ok(Self::Weight { server, weight, reason })
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, reason) = match self {
            Self::Active { server, took, reason } => {
                (format!("{ACTIVE} rs={} took_ms={}", word(server), took.as_millis()), reason)
            }
            Self::Inactive { server, took, reason } => {
                (format!("{INACTIVE} rs={} took_ms={}", word(server), took.as_millis()), reason)
            }
            Self::Weight { server, weight, reason } => {
                (format!("{WEIGHT} rs={} weight={weight}", word(server)), reason)
            }
            Self::Late { server, starts, worst } => {
                let (server, worst) = (word(server), worst.as_millis());
                return write!(f, "{LATE} rs={server} starts={starts} worst_ms={worst}");
            }
            Self::Notice { server, reason } => (format!("{NOTICE} rs={}", word(server)), reason),
        };
        let room = MAX_LINE.saturating_sub(head.len() + " reason=\"\"".len());
        let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
        write!(f, "{head} reason=\"{}\"", fitting(reason, room))
    }
}

/// `server` as one bounded word, so that it can neither end the line nor crowd out what follows.
fn word(server: &str) -> String {
    let is_odd = |c: char| c.is_control() || c.is_whitespace();
    fitting(server.chars().map(|c| if is_odd(c) { '?' } else { c }), MAX_SERVER)
}

/// The first of `characters` that take up to `room` bytes.
fn fitting(characters: impl Iterator<Item = char>, room: usize) -> String {
    let mut text = String::new();
    for c in characters {
        if text.len() + c.len_utf8() > room {
            break;
        }
        text.push(c);
    }
    text
}

/// The `key=value` part of a line.
#[derive(Default)]
struct Fields {
    server: String,
    took: Duration,
    weight: Option<u16>,
    starts: Option<u32>,
    worst: Duration,
    reason: String,
}

impl Fields {
    fn parse(text: &str) -> Self {
        let mut fields = Self::default();
        let (words, reason) = text.split_once("reason=\"").unwrap_or((text, ""));
        reason.strip_suffix('"').unwrap_or(reason).clone_into(&mut fields.reason);
        for (key, value) in words.split_whitespace().filter_map(|word| word.split_once('=')) {
            match key {
                "rs" => value.clone_into(&mut fields.server),
                "took_ms" => fields.took = Duration::from_millis(value.parse().unwrap_or(0)),
                "worst_ms" => fields.worst = Duration::from_millis(value.parse().unwrap_or(0)),
                "starts" => fields.starts = value.parse().ok(),
                "weight" => fields.weight = value.parse().ok(),
                _ => {}
            }
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes_each_event() {
        let server = || "10.2.0.11:80".to_owned();
        for (line, report) in [
            (
                r#"[ active ] rs=10.2.0.11:80 took_ms=3 reason="answered as expected""#,
                Report::Active {
                    server: server(),
                    took: Duration::from_millis(3),
                    reason: "answered as expected".into(),
                },
            ),
            (
                r#"[inactive] rs=10.2.0.11:80 took_ms=0 reason="got "no", not "yes"""#,
                Report::Inactive {
                    server: server(),
                    took: Duration::ZERO,
                    reason: r#"got "no", not "yes""#.into(),
                },
            ),
            (
                r#"[ weight ] rs=10.2.0.11:80 weight=40 reason="load 0.31""#,
                Report::Weight { server: server(), weight: 40, reason: "load 0.31".into() },
            ),
            (
                "[  late  ] rs=10.2.0.11:80 starts=3 worst_ms=140",
                Report::Late { server: server(), starts: 3, worst: Duration::from_millis(140) },
            ),
            (
                r#"[ notice ] rs=10.2.0.11:80 reason="no Landlock""#,
                Report::Notice { server: server(), reason: "no Landlock".into() },
            ),
        ] {
            assert_eq!(report.to_string(), line);
            assert_eq!(Report::parse(line), Ok(report));
        }
    }

    #[test]
    fn the_tokens_of_an_original_monitor_are_understood() {
        let line = "nanny[99]: [ active ] making 10.1.0.100:80 available";
        assert!(matches!(Report::parse(line), Ok(Report::Active { .. })));
        assert!(matches!(Report::parse("x [inactive] y"), Ok(Report::Inactive { .. })));
    }

    #[test]
    fn a_server_that_answers_with_a_token_does_not_choose_the_event() {
        for (token, quoted) in
            [(ACTIVE, INACTIVE), (INACTIVE, ACTIVE), (INACTIVE, WEIGHT), (INACTIVE, NOTICE)]
        {
            let line = format!("{token} rs=a took_ms=1 reason=\"answer begins with \"{quoted} weight=7\"\"");
            let report = Report::parse(&line).unwrap();
            assert!(report.to_string().starts_with(token), "{report:?}");
            assert_eq!(report.to_string(), line);
        }
    }

    #[test]
    fn rejects_other_lines_and_weights_out_of_range() {
        assert_eq!(Report::parse("hello"), Err(ReportError::UnknownToken("hello".into())));
        for line in ["[ weight ] rs=a", "[ weight ] weight=65536", "[ weight ] weight=-1"] {
            assert_eq!(Report::parse(line), Err(ReportError::BadWeight(line.into())));
        }
        for line in ["[  late  ] rs=a worst_ms=5", "[  late  ] starts=4294967296", "[  late  ] starts=-1"] {
            assert_eq!(Report::parse(line), Err(ReportError::BadCount(line.into())));
        }
    }

    #[test]
    fn a_long_reason_is_cut_and_a_newline_cannot_begin_a_second_report() {
        let reason = "é".repeat(MAX_LINE) + "\n[ active ]";
        let line = Report::Inactive { server: "[2001:db8::1]:80".into(), took: Duration::ZERO, reason };
        let line = line.to_string();
        assert!(line.len() <= MAX_LINE && line.len() > MAX_LINE - 4 && !line.contains('\n'), "{line}");
        let short = Report::Inactive { server: "s".into(), took: Duration::ZERO, reason: "a\nb".into() };
        assert_eq!(short.to_string(), r#"[inactive] rs=s took_ms=0 reason="a b""#);
    }

    #[test]
    fn a_server_from_a_foreign_line_is_written_as_one_short_word() {
        let line = |server: &str| {
            let took = Duration::from_millis(u64::MAX);
            let reason = "e".repeat(MAX_LINE);
            Report::Active { server: server.into(), took, reason }.to_string()
        };
        assert!(
            line("a b\u{1b}\n").starts_with("[ active ] rs=a?b?? took_ms=18446744073709551615 reason=\"e")
        );
        let long = line(&"é".repeat(MAX_LINE));
        assert!(
            long.starts_with(&format!("[ active ] rs={} took_ms=", "é".repeat(MAX_SERVER / 2))),
            "{long}"
        );
        assert_eq!(long.len(), MAX_LINE);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(took in 0u64..100_000, weight: u16, reason in "[^\\p{Cc}]{0,40}", up: bool) {
            let (server, took) = ("10.2.0.11:80".to_owned(), Duration::from_millis(took));
            let report = match up {
                true => Report::Active { server: server.clone(), took, reason: reason.clone() },
                false => Report::Inactive { server: server.clone(), took, reason: reason.clone() },
            };
            prop_assert_eq!(Report::parse(&report.to_string()), Ok(report));
            let report = Report::Late { server: server.clone(), starts: weight.into(), worst: took };
            prop_assert_eq!(Report::parse(&report.to_string()), Ok(report));
            let weighed = Report::Weight { server: server.clone(), weight, reason: reason.clone() };
            for report in [weighed, Report::Notice { server, reason }] {
                prop_assert_eq!(Report::parse(&report.to_string()), Ok(report));
            }
        }

        #[test]
        fn any_text_is_read_without_panic(line in ".{0,600}") {
            let _ = Report::parse(&line);
        }
    }
}
