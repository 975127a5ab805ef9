//! What is asked of a real server, as one line of text: `check` in lvs.cf and `--check` of `nanny`.
//!
//! ```text
//! tcp
//! tcp expect="220 " send="QUIT\r\n" expect="221 "
//! udp port=5353 send="\x00\x01" regex="^ok"
//! ```
//!
//! The first word is the kind, the others are options of that kind: what each means is in the kind's own file, beside its
//! type. Decided here: what can be asked for, what is wrong with a text, and how a check is written so that it reads back
//! as the same. Not decided here: when a server is checked and what follows (`nanny`), and whether the files that a check
//! names are there.
//!
//! | file | kind |
//! | --- | --- |
//! | [`exchange`] | `tcp`, `udp`, `sctp`: send and expect |
//! | [`http`] | `http`, `https`: ask for a page |
//! | [`tls`] | `tls`: send and expect after a handshake; what `https` shares with it |
//! | [`dns`] | `dns`: a question to a name server |
//! | [`smtp`] | `smtp`: a mail server's greeting |
//! | [`ping`] | `ping`: an echo request |
//! | [`program`] | `program`: run a program |
//!
//! [`load`] is about what tells a server's weight, in the same form. [`words`] cuts the line, [`options`] hands the words
//! out, [`error`] says what is wrong with one; [`pattern`] and [`posix`] know regular expressions.

pub mod dns;
pub mod error;
pub mod escape;
pub mod exchange;
pub mod http;
pub mod load;
pub mod options;
pub mod pattern;
pub mod ping;
pub mod posix;
pub mod program;
pub mod smtp;
pub mod tls;
pub mod words;

use std::fmt;
use std::str::FromStr;

pub use dns::Dns;
pub use error::SpecError;
pub use exchange::{Exchange, Expect, Step, Transport};
pub use http::Http;
pub use load::Load;
pub use pattern::Pattern;
pub use ping::Ping;
pub use program::Program;
pub use smtp::Smtp;
pub use tls::{Tls, TlsExchange};

use options::{About, Options};
use words::Line;

/// A check, whatever its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// `tcp`, `udp` and `sctp`.
    Exchange(Exchange),
    /// `http` and `https`.
    Http(Http),
    /// `tls`.
    Tls(TlsExchange),
    /// `dns`.
    Dns(Dns),
    /// `smtp`.
    Smtp(Smtp),
    /// `ping`.
    Ping(Ping),
    /// `program`.
    Program(Program),
}

/// A kind of check: its first word, and what is known of it.
struct Kind {
    name: &'static str,
    about: &'static str,
    options: &'static [About],
    read: fn(&Options<'_>) -> Result<Check, SpecError>,
}

/// Every kind, in the order in which the manual lists them.
const KINDS: &[Kind] = &[
    Kind {
        name: "tcp",
        about: exchange::ABOUT_TCP,
        options: exchange::OPTIONS,
        read: |options| Exchange::read(Transport::Tcp, options).map(Check::Exchange),
    },
    Kind {
        name: "udp",
        about: exchange::ABOUT_UDP,
        options: exchange::DATAGRAM_OPTIONS,
        read: |options| Exchange::read(Transport::Udp, options).map(Check::Exchange),
    },
    Kind {
        name: "sctp",
        about: exchange::ABOUT_SCTP,
        options: exchange::OPTIONS,
        read: |options| Exchange::read(Transport::Sctp, options).map(Check::Exchange),
    },
    Kind {
        name: "http",
        about: http::ABOUT_HTTP,
        options: http::OPTIONS,
        read: |options| Http::read(false, options).map(Check::Http),
    },
    Kind {
        name: "https",
        about: http::ABOUT_HTTPS,
        options: http::SECURED_OPTIONS,
        read: |options| Http::read(true, options).map(Check::Http),
    },
    Kind {
        name: "tls",
        about: tls::ABOUT,
        options: tls::OPTIONS,
        read: |options| TlsExchange::read(options).map(Check::Tls),
    },
    Kind {
        name: "dns",
        about: dns::ABOUT,
        options: dns::OPTIONS,
        read: |options| Dns::read(options).map(Check::Dns),
    },
    Kind {
        name: "smtp",
        about: smtp::ABOUT,
        options: smtp::OPTIONS,
        read: |options| Smtp::read(options).map(Check::Smtp),
    },
    Kind {
        name: "ping",
        about: ping::ABOUT,
        options: ping::OPTIONS,
        read: |options| Ping::read(options).map(Check::Ping),
    },
    Kind {
        name: "program",
        about: program::ABOUT,
        options: program::OPTIONS,
        read: |options| Program::read(options).map(Check::Program),
    },
];

impl Check {
    /// The port that is checked in place of the real server's, if it is another.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Exchange(exchange) => exchange.port,
            Self::Http(http) => http.port,
            Self::Tls(exchange) => exchange.port,
            Self::Dns(dns) => dns.port,
            Self::Smtp(smtp) => smtp.port,
            Self::Ping(_) | Self::Program(_) => None,
        }
    }

    /// Whether it is of use to one virtual server only: it says something about a weight, or asks about the service.
    #[must_use]
    pub fn is_of_one_service(&self) -> bool {
        match self {
            Self::Exchange(_) | Self::Http(_) | Self::Tls(_) => false,
            Self::Dns(_) | Self::Smtp(_) | Self::Ping(_) => false,
            Self::Program(program) => program.is_of_one_service(),
        }
    }
}

impl FromStr for Check {
    type Err = SpecError;

    /// Reads a check.
    ///
    /// # Errors
    /// [`SpecError`] for the first thing that is wrong, with its place in the text.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let words = words::split(text)?;
        let names = || KINDS.iter().map(|kind| kind.name);
        let Some((first, rest)) = words.split_first() else {
            return Err(SpecError::no_kind(text, names()));
        };
        let kind = KINDS.iter().find(|kind| first.is_plain(kind.name));
        let kind = kind.ok_or_else(|| SpecError::unknown_kind(first, names()))?;
        (kind.read)(&Options::new(kind.name, kind.options, rest, text.len())?)
    }
}

/// Writes the check so that it reads back as the same.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::default();
        match self {
            Self::Exchange(exchange) => exchange.write(&mut line),
            Self::Http(http) => http.write(&mut line),
            Self::Tls(exchange) => exchange.write(&mut line),
            Self::Dns(dns) => dns.write(&mut line),
            Self::Smtp(smtp) => smtp.write(&mut line),
            Self::Ping(ping) => ping.write(&mut line),
            Self::Program(program) => program.write(&mut line),
        }
        f.write_str(line.as_str())
    }
}

/// What the manual says of one kind: its name, what it does, and its options.
#[derive(Debug, Clone, Copy)]
pub struct Described {
    /// The first word.
    pub name: &'static str,
    /// What the check does, in Markdown.
    pub about: &'static str,
    /// Its options.
    pub options: &'static [About],
}

/// Every kind with its options, from which the manual is made.
pub fn described() -> impl Iterator<Item = Described> {
    KINDS.iter().map(|kind| Described { name: kind.name, about: kind.about, options: kind.options })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a text, and the part of it that is.
    fn wrong(text: &str) -> (String, &str) {
        let error = text.parse::<Check>().unwrap_err();
        (error.to_string(), &text[error.place.clone()])
    }

    #[test]
    fn a_kind_that_is_missing_or_unknown_is_told_with_those_that_there_are() {
        let (message, place) = wrong("  ");
        assert!(message.starts_with("the kind of check is missing; allowed: tcp, udp, sctp"), "{message}");
        assert_eq!(place, "");
        let (message, place) = wrong("tpc send=x");
        assert!(message.starts_with("unknown kind of check `tpc`, did you mean `tcp`?"), "{message}");
        assert_eq!(place, "tpc");
    }

    #[test]
    fn an_option_of_no_use_is_told_with_those_that_there_are() {
        assert_eq!(
            wrong("tcp snd=x"),
            (
                "`tcp` has no option `snd`, did you mean `send`?; \
                 allowed: send, expect, contains, equals, regex, any, port"
                    .into(),
                "snd=x"
            )
        );
        let (message, place) = wrong("tcp hello");
        assert!(message.starts_with("`tcp` has no word `hello`"), "{message}");
        assert_eq!(place, "hello");
        let (message, place) = wrong("tcp port=1 port=2");
        assert_eq!((&*message, place), ("`port` is given twice", "port=2"));
    }

    #[test]
    fn every_kind_describes_each_option_once() {
        for kind in described() {
            let mut names: Vec<_> = kind.options.iter().map(|option| option.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count, "{}", kind.name);
            assert!(!kind.about.is_empty() && kind.options.iter().all(|option| !option.about.is_empty()));
        }
    }
}
