//! `smtp`: whether a mail server greets, and takes a greeting.

use std::fmt;
use std::str::FromStr;

use crate::error::SpecError;
use crate::options::{About, Options};
use crate::words::Line;

pub(crate) const ABOUT: &str = "Waits for the greeting of a mail server (220), says `EHLO`, or `HELO` to a server that does not know it, waits for \
     its consent (250) and says `QUIT`. What comes after that does not matter.";

/// Options of `smtp`.
pub(crate) const OPTIONS: &[About] = &[
    About::once("helo", "NAME", "the router's host name", "The name by which the router introduces itself."),
    About::once("port", "PORT", "the real server's", "The port that is checked."),
];

/// Longest name (RFC 5321, section 4.5.3.1.2).
const LONGEST: usize = 255;

/// A look at a mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smtp {
    /// The name by which the router introduces itself, if it is not its host name.
    pub helo: Option<HeloName>,
    /// The port that is checked in place of the real server's.
    pub port: Option<u16>,
}

impl Smtp {
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        let name = options.one("helo").map(|word| {
            let name = word.value.unwrap_or_default().parse();
            name.map_err(|error: NoHeloName| word.refuse(error.to_string()))
        });
        Ok(Self { helo: name.transpose()?, port: options.port("port")? })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word("smtp");
        if let Some(name) = &self.helo {
            line.plain("helo", name);
        }
        if let Some(port) = self.port {
            line.plain("port", port);
        }
    }
}

/// A name that can follow `EHLO`: a domain name, or an address in brackets. It holds no blanks and ends no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeloName(String);

impl HeloName {
    /// `localhost`, for a machine without a name.
    #[must_use]
    pub fn localhost() -> Self {
        Self("localhost".to_owned())
    }
}

impl fmt::Display for HeloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no such name: what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoHeloName;

impl fmt::Display for NoHeloName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "allowed: a host name, or an address in brackets, of up to {LONGEST} characters")
    }
}

impl std::error::Error for NoHeloName {}

impl FromStr for HeloName {
    type Err = NoHeloName;

    fn from_str(text: &str) -> Result<Self, NoHeloName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_name = (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed);
        if is_name { Ok(Self(text.to_owned())) } else { Err(NoHeloName) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;

    #[test]
    fn a_name_is_one_word_that_ends_no_line() {
        let read = |text: &str| text.parse::<Check>().map_err(|error| error.to_string());
        let named = |text: &str| Check::Smtp(Smtp { helo: Some(text.parse().unwrap()), port: Some(2525) });
        assert_eq!(read("smtp"), Ok(Check::Smtp(Smtp { helo: None, port: None })));
        assert_eq!(read("smtp helo=lb1.example.org port=2525"), Ok(named("lb1.example.org")));
        assert_eq!(read("smtp port=2525 helo=[IPv6:2001:db8::1]"), Ok(named("[IPv6:2001:db8::1]")));
        let allowed = "allowed: a host name, or an address in brackets, of up to 255 characters";
        assert_eq!(read(r"smtp helo=a\r\nQUIT"), Err(format!(r"`helo` is `a\\r\\nQUIT`; {allowed}")));
        assert_eq!(read(r#"smtp helo="a b""#), Err(format!("`helo` is `a b`; {allowed}")));
        assert_eq!(read("smtp helo="), Err(format!("`helo` is ``; {allowed}")));
        assert_eq!("x".repeat(256).parse::<HeloName>(), Err(NoHeloName));
    }

    proptest! {
        #[test]
        fn a_look_at_a_mail_server_reads_back(
            name in prop::option::of("[a-z0-9._:\\[\\]-]{1,20}"),
            port in prop::option::of(1..=u16::MAX),
        ) {
            let check = Check::Smtp(Smtp { helo: name.map(|name| name.parse().unwrap()), port });
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
