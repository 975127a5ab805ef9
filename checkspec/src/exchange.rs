//! `tcp`, `udp`, `sctp`: what is sent, and what the answers must look like, one step after the other.
//!
//! The steps stand in the order in which they are taken. Without any, a connection is enough.

use crate::error::SpecError;
use crate::options::{About, Options};
use crate::pattern::Pattern;
use crate::words::{Line, Word};

pub(crate) const ABOUT_TCP: &str = "Connects, then sends and expects as the options say, in their order. Without any, the connection is enough.";
pub(crate) const ABOUT_UDP: &str = "Sends datagrams and expects others as the options say, in their order. At the end some datagram must have come, \
     unless `silence=up` is given. A port that the server's machine calls closed (ICMP) is a failure.";
pub(crate) const ABOUT_SCTP: &str = "As `tcp`, over an association of SCTP with one stream.";

pub(crate) const SEND: About = About::repeated(
    "send",
    "TEXT",
    "Sends this. `\\r`, `\\n`, `\\t`, `\\\\`, `\\\"` and `\\xHH` stand for the usual characters and any byte.",
);
pub(crate) const PORT: About = About::once("port", "PORT", "the real server's", "The port that is checked.");

pub(crate) const EXPECT: About =
    About::repeated("expect", "TEXT", "What has come since the step before must begin with this.");
pub(crate) const CONTAINS: About =
    About::repeated("contains", "TEXT", "This must be somewhere in what has come since the step before.");
pub(crate) const EQUALS: About = About::repeated(
    "equals",
    "TEXT",
    "All that comes from the step before until the server closes the connection must be this.",
);
pub(crate) const REGEX: About = About::repeated(
    "regex",
    "EXPRESSION",
    "The expression must match somewhere in what has come since the step before.",
);
pub(crate) const ANY: About = About::repeated("any", "", "At least one byte must come.");

/// Options of `tcp` and `sctp`.
pub(crate) const OPTIONS: &[About] = &[SEND, EXPECT, CONTAINS, EQUALS, REGEX, ANY, PORT];

/// Options of `udp`.
pub(crate) const DATAGRAM_OPTIONS: &[About] = &[
    SEND,
    About::repeated("expect", "TEXT", "The next datagram must begin with this."),
    About::repeated("contains", "TEXT", "This must be somewhere in the next datagram."),
    About::repeated("equals", "TEXT", "The next datagram must be this."),
    About::repeated("regex", "EXPRESSION", "The expression must match somewhere in the next datagram."),
    About::repeated("any", "", "A datagram must come, whatever is in it."),
    About::once(
        "silence",
        "up|down",
        "`down`",
        "What it means when nothing comes in time and nothing particular is expected.",
    ),
    PORT,
];

/// How the bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A connection with a stream of bytes in either direction.
    Tcp,
    /// Datagrams.
    Udp,
    /// An association of SCTP, used as a connection with one stream.
    Sctp,
}

impl Transport {
    /// The kind of check, as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// What an answer must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// At least one byte, or one datagram.
    Any,
    /// It begins with these bytes, of which there is at least one.
    Begins(Vec<u8>),
    /// These bytes, of which there is at least one, are somewhere in it.
    Contains(Vec<u8>),
    /// It is these bytes, all of it.
    Equals(Vec<u8>),
    /// The expression matches somewhere in it.
    Matches(Pattern),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// These bytes, of which there is at least one, are sent.
    Send(Vec<u8>),
    /// What has come since the step before, or the next datagram, is looked at.
    Expect(Expect),
}

/// An exchange of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// How the bytes travel.
    pub transport: Transport,
    /// The port that is checked in place of the real server's.
    pub port: Option<u16>,
    /// What is done once the connection stands, in this order.
    pub steps: Vec<Step>,
    /// Whether silence at the end is no failure. Only for datagrams of which nothing particular is expected.
    pub silence_is_up: bool,
}

impl Exchange {
    pub(crate) fn read(transport: Transport, options: &Options<'_>) -> Result<Self, SpecError> {
        let steps = steps(options)?;
        let silence = options.choice("silence", &[("up", true), ("down", false)])?;
        let asks = steps.iter().any(|step| matches!(step, Step::Send(_)));
        let expects = steps.iter().any(|step| matches!(step, Step::Expect(_)));
        if transport == Transport::Udp && !asks {
            return Err(options.missing("send", "nobody answers what was not asked"));
        }
        if let Some(word) = options.one("silence").filter(|_| expects && silence == Some(true)) {
            let message = "`silence=up` says that no answer is good, another option expects one";
            return Err(SpecError::new(word.place.clone(), message, "give one of the two"));
        }
        Ok(Self { transport, port: options.port("port")?, steps, silence_is_up: silence == Some(true) })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word(self.transport.name());
        for step in &self.steps {
            step.write(line);
        }
        if self.silence_is_up {
            line.plain("silence", "up");
        }
        if let Some(port) = self.port {
            line.plain("port", port);
        }
    }
}

impl Step {
    pub(crate) fn write(&self, line: &mut Line) {
        match self {
            Self::Send(bytes) => line.bytes("send", bytes),
            Self::Expect(expect) => expect.write(line),
        }
    }
}

impl Expect {
    /// The expectation that a word is, if it is one.
    pub(crate) fn read(word: &Word<'_>) -> Result<Option<Self>, SpecError> {
        Ok(Some(match word.name {
            "any" => Self::Any,
            "expect" => Self::Begins(word.some_bytes()?),
            "contains" => Self::Contains(word.some_bytes()?),
            "equals" => Self::Equals(word.bytes()?),
            "regex" => Self::Matches(word.pattern()?),
            _ => return Ok(None),
        }))
    }

    pub(crate) fn write(&self, line: &mut Line) {
        match self {
            Self::Any => line.word("any"),
            Self::Begins(bytes) => line.bytes("expect", bytes),
            Self::Contains(bytes) => line.bytes("contains", bytes),
            Self::Equals(bytes) => line.bytes("equals", bytes),
            Self::Matches(pattern) => line.regex("regex", pattern.as_str()),
        }
    }
}

/// The steps among the options, in their order.
pub(crate) fn steps(options: &Options<'_>) -> Result<Vec<Step>, SpecError> {
    options.all().filter_map(|word| step(word).transpose()).collect()
}

/// The step that a word is, if it is one.
fn step(word: &Word<'_>) -> Result<Option<Step>, SpecError> {
    match word.name {
        "send" => word.some_bytes().map(Step::Send).map(Some),
        _ => Ok(Expect::read(word)?.map(Step::Expect)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;

    fn read(text: &str) -> Exchange {
        match text.parse() {
            Ok(Check::Exchange(exchange)) => exchange,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    #[test]
    fn steps_keep_their_order() {
        let exchange = read(r#"tcp expect="220 " send=QUIT\r\n regex=^2\d1 any port=25"#);
        assert_eq!(exchange.port, Some(25));
        let pattern = Pattern::new(r"^2\d1").unwrap();
        assert_eq!(
            exchange.steps,
            [
                Step::Expect(Expect::Begins(b"220 ".into())),
                Step::Send(b"QUIT\r\n".into()),
                Step::Expect(Expect::Matches(pattern)),
                Step::Expect(Expect::Any),
            ]
        );
    }

    #[test]
    fn datagrams_must_ask_and_silence_is_good_only_when_nothing_is_expected() {
        assert!(read(r"udp send=\x00 silence=up").silence_is_up);
        assert_eq!(wrong("udp"), "`udp` needs `send`; nobody answers what was not asked");
        assert_eq!(
            wrong("udp send=a any silence=up"),
            "`silence=up` says that no answer is good, another option expects one; give one of the two"
        );
        assert_eq!(wrong("udp send=a silence=maybe"), "`silence` is `maybe`; allowed: up, down");
    }

    #[test]
    fn values_that_cannot_be_are_told() {
        assert_eq!(wrong("tcp send="), "`send` is empty; write at least one character");
        assert_eq!(wrong("tcp send"), "`send` needs a value; write send=TEXT");
        assert_eq!(wrong("tcp any=1"), "`any` has no value; write it without `=`");
        assert_eq!(wrong("tcp regex=("), "`regex` is no regular expression: unclosed group");
        assert_eq!(wrong("tcp port=0"), "`port` is `0`; allowed: a whole number from 1 to 65535");
        assert_eq!(
            wrong(r"tcp send=\xz1"),
            r"`\xz1` is no byte; write \x and two hexadecimal digits, or \\x"
        );
    }

    pub(crate) fn expect() -> impl Strategy<Value = Expect> {
        let bytes = || prop::collection::vec(any::<u8>(), 1..6);
        prop_oneof![
            Just(Expect::Any),
            bytes().prop_map(Expect::Begins),
            bytes().prop_map(Expect::Contains),
            prop::collection::vec(any::<u8>(), 0..6).prop_map(Expect::Equals),
            "[a-z .*\"]{0,8}"
                .prop_filter_map("no expression", |text| Pattern::new(&text).ok().map(Expect::Matches)),
        ]
    }

    fn send() -> impl Strategy<Value = Step> {
        prop::collection::vec(any::<u8>(), 1..6).prop_map(Step::Send)
    }

    pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
        prop::collection::vec(prop_oneof![send(), expect().prop_map(Step::Expect)], 0..5)
    }

    fn exchange() -> impl Strategy<Value = Exchange> {
        let transport = prop::sample::select(vec![Transport::Tcp, Transport::Udp, Transport::Sctp]);
        (transport, prop::option::of(1..=u16::MAX), steps(), send()).prop_map(
            |(transport, port, mut steps, first)| {
                if transport == Transport::Udp {
                    steps.insert(0, first);
                }
                Exchange { transport, port, steps, silence_is_up: false }
            },
        )
    }

    proptest! {
        #[test]
        fn an_exchange_reads_back(exchange in exchange()) {
            let check = Check::Exchange(exchange);
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
