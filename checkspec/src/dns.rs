//! `dns`: one question, and what its answer must be.
//!
//! Names are those of hosts and zones as people write them: letters, digits and few marks. What cannot be written so
//! (a label with a dot in it, say) cannot be asked for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::SpecError;
use crate::options::{About, Options};
use crate::words::{Line, Word};

pub(crate) const ABOUT: &str = "Asks one question and looks at the response code of the answer, and for a record if one is expected. A datagram \
     that answers another question is ignored; over TCP it is a failure. An answer that was truncated is good enough \
     for its code and for the records that are in it.";

/// Options of `dns`.
pub(crate) const OPTIONS: &[About] = &[
    About::once("name", "NAME", "`.`", "The domain name that is asked for."),
    About::once(
        "type",
        "TYPE",
        "`A`",
        "The type of its records: `A`, `AAAA`, `NS`, `SOA`, `MX`, `TXT`, `PTR`, `SRV`, `CNAME`, `ANY` or a number.",
    ),
    About::once(
        "rcode",
        "CODE,…",
        "`noerror`",
        "The response codes that are good: `noerror`, `formerr`, `servfail`, `nxdomain`, `notimp`, `refused`, a number \
         up to 15, or `any`.",
    ),
    About::once(
        "expect",
        "VALUE",
        "",
        "This must be among the answers: an address (`A`, `AAAA`), a name (`NS`, `CNAME`, `PTR`, and the host of `MX`, \
         `SRV` and `SOA`), or the text of a `TXT` record.",
    ),
    About::once("recursion", "on|off", "`on`", "Whether the server is asked to ask others."),
    About::once("transport", "udp|tcp", "`udp`", "How the question travels."),
    About::once("port", "PORT", "the real server's", "The port that is checked."),
];

/// Longest name in characters, without the dot at its end (RFC 1035, section 2.3.4, less its first and last octet).
const LONGEST_NAME: usize = 253;
/// Longest part of a name.
const LONGEST_LABEL: usize = 63;

/// How a question travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// As one datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// A question, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The name that is asked for.
    pub name: DomainName,
    /// The type of its records.
    pub record_type: RecordType,
    /// The response codes that are good.
    pub rcodes: Rcodes,
    /// What must be among the answers; it fits the type.
    pub expect: Option<Record>,
    /// Whether the server is asked to ask others.
    pub is_recursive: bool,
    /// How the question travels.
    pub transport: Transport,
    /// The port that is checked in place of the real server's.
    pub port: Option<u16>,
}

/// What a record holds, as far as it is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// Of `A` and `AAAA`, the family being that of the type.
    Address(IpAddr),
    /// Of the types that name a host.
    Name(DomainName),
    /// Of `TXT`: its strings, one after the other; at least one byte.
    Text(Vec<u8>),
}

impl Dns {
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        let name = match options.one("name") {
            Some(word) => domain_name(word)?,
            None => DomainName::root(),
        };
        let record_type = match options.one("type") {
            Some(word) => record_type(word)?,
            None => RecordType::A,
        };
        let transports = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
        Ok(Self {
            name,
            record_type,
            rcodes: options.one("rcode").map_or(Ok(Rcodes::NO_ERROR), rcodes)?,
            expect: options.one("expect").map(|word| record(word, record_type)).transpose()?,
            is_recursive: options.choice("recursion", &[("on", true), ("off", false)])?.unwrap_or(true),
            transport: options.choice("transport", &transports)?.unwrap_or(Transport::Udp),
            port: options.port("port")?,
        })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word("dns");
        line.plain("name", &self.name);
        line.plain("type", self.record_type);
        if self.rcodes != Rcodes::NO_ERROR {
            line.plain("rcode", self.rcodes);
        }
        match &self.expect {
            Some(Record::Address(address)) => line.plain("expect", address),
            Some(Record::Name(name)) => line.plain("expect", name),
            Some(Record::Text(text)) => line.bytes("expect", text),
            None => {}
        }
        if !self.is_recursive {
            line.plain("recursion", "off");
        }
        if self.transport == Transport::Tcp {
            line.plain("transport", "tcp");
        }
        if let Some(port) = self.port {
            line.plain("port", port);
        }
    }
}

/// A domain name in ASCII, without the dot at its end; the root is `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainName(String);

impl DomainName {
    /// The root of all names.
    #[must_use]
    pub fn root() -> Self {
        Self(".".to_owned())
    }

    /// The name as it is written; `.` for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts from left to right, each of 1 to 63 bytes; none of the root.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.split('.').filter(|label| !label.is_empty())
    }
}

/// Why a text is no domain name: what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoDomainName;

impl fmt::Display for NoDomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("allowed: a domain name of letters, digits, `-`, `_`, `/` and `*`, ")?;
        write!(f, "up to {LONGEST_LABEL} between two dots and {LONGEST_NAME} in all")
    }
}

impl std::error::Error for NoDomainName {}

impl FromStr for DomainName {
    type Err = NoDomainName;

    fn from_str(text: &str) -> Result<Self, NoDomainName> {
        if text == "." {
            return Ok(Self::root());
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_mark = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/*".contains(&byte);
        let is_label = |label: &str| (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(is_mark);
        let is_name = name.len() <= LONGEST_NAME && name.split('.').all(is_label);
        if is_name { Ok(Self(name.to_owned())) } else { Err(NoDomainName) }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The type of a record, by its number (IANA, "Resource Record (RR) TYPEs").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address.
    pub const A: Self = Self(1);
    /// A name server.
    pub const NS: Self = Self(2);
    /// The name that an alias stands for.
    pub const CNAME: Self = Self(5);
    /// The start of a zone.
    pub const SOA: Self = Self(6);
    /// The name of an address.
    pub const PTR: Self = Self(12);
    /// A mail server.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// An IPv6 address.
    pub const AAAA: Self = Self(28);
    /// The server of a service.
    pub const SRV: Self = Self(33);
    /// Whatever there is.
    pub const ANY: Self = Self(255);

    const NAMES: &[(&str, Self)] = &[
        ("A", Self::A),
        ("AAAA", Self::AAAA),
        ("NS", Self::NS),
        ("SOA", Self::SOA),
        ("MX", Self::MX),
        ("TXT", Self::TXT),
        ("PTR", Self::PTR),
        ("SRV", Self::SRV),
        ("CNAME", Self::CNAME),
        ("ANY", Self::ANY),
    ];
}

/// The name, or the number of one that has none here.
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// A response code as it is in the header of a message: from 0 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rcode(u8);

impl Rcode {
    const NAMES: &[(&str, Self)] = &[
        ("noerror", Self(0)),
        ("formerr", Self(1)),
        ("servfail", Self(2)),
        ("nxdomain", Self(3)),
        ("notimp", Self(4)),
        ("refused", Self(5)),
    ];

    /// The code of this number, of which the lowest four bits count.
    #[must_use]
    pub fn new(number: u8) -> Self {
        Self(number & 0xf)
    }
}

/// The name, or the number of one that has none here.
impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, known)| known == self) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

/// A set of response codes, one bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rcodes(u16);

impl Rcodes {
    /// Only the code of success.
    pub const NO_ERROR: Self = Self(1);
    /// All codes: any answer is good.
    pub const ANY: Self = Self(u16::MAX);

    /// Whether a code is among them.
    #[must_use]
    pub fn contains(self, code: Rcode) -> bool {
        self.0 & (1 << code.0) != 0
    }

    /// With one more.
    #[must_use]
    pub fn with(self, code: Rcode) -> Self {
        Self(self.0 | 1 << code.0)
    }
}

/// The codes with commas between them, or `any`.
impl fmt::Display for Rcodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ANY {
            return f.write_str("any");
        }
        for (at, code) in (0..16).map(Rcode::new).filter(|code| self.contains(*code)).enumerate() {
            write!(f, "{}{code}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn domain_name(word: &Word<'_>) -> Result<DomainName, SpecError> {
    word.value.unwrap_or_default().parse().map_err(|NoDomainName| word.refuse(NoDomainName.to_string()))
}

fn record_type(word: &Word<'_>) -> Result<RecordType, SpecError> {
    let value = word.value.unwrap_or_default();
    let named = RecordType::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    let numbered = || value.parse().ok().filter(|number| *number > 0).map(RecordType);
    named.map(|(_, record_type)| *record_type).or_else(numbered).ok_or_else(|| {
        let names: Vec<_> = RecordType::NAMES.iter().map(|(name, _)| *name).collect();
        word.refuse(format!("allowed: {}, or a number from 1 to 65535", names.join(", ")))
    })
}

fn rcodes(word: &Word<'_>) -> Result<Rcodes, SpecError> {
    let value = word.value.unwrap_or_default();
    if value.eq_ignore_ascii_case("any") {
        return Ok(Rcodes::ANY);
    }
    value.split(',').try_fold(Rcodes(0), |codes, text| {
        let named = Rcode::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let numbered = || text.parse().ok().filter(|number| *number < 16).map(Rcode);
        let code = named.map(|(_, code)| *code).or_else(numbered).ok_or_else(|| {
            let names: Vec<_> = Rcode::NAMES.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            word.refuse(format!("allowed: any, or {names} and numbers up to 15 with commas between them"))
        })?;
        Ok(codes.with(code))
    })
}

/// What is expected of a record of this type.
fn record(word: &Word<'_>, record_type: RecordType) -> Result<Record, SpecError> {
    let address = |is_of_family: fn(&IpAddr) -> bool, allowed: &str| {
        let parsed = word.value.unwrap_or_default().parse().ok().filter(is_of_family);
        parsed
            .map(Record::Address)
            .ok_or_else(|| word.refuse(format!("allowed with type={record_type}: {allowed}")))
    };
    match record_type {
        RecordType::A => address(IpAddr::is_ipv4, "an IPv4 address"),
        RecordType::AAAA => address(IpAddr::is_ipv6, "an IPv6 address"),
        RecordType::TXT => word.some_bytes().map(Record::Text),
        RecordType::NS
        | RecordType::CNAME
        | RecordType::PTR
        | RecordType::MX
        | RecordType::SRV
        | RecordType::SOA => domain_name(word).map(Record::Name),
        _ => {
            let message = format!("`expect` does not go with type={record_type}");
            let help = "allowed with A, AAAA, NS, SOA, MX, TXT, PTR, SRV and CNAME";
            Err(SpecError::new(word.place.clone(), message, help))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;

    fn read(text: &str) -> Dns {
        match text.parse() {
            Ok(Check::Dns(dns)) => dns,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_of_the_root_is_asked_for_when_nothing_else_is() {
        let plain = Dns {
            name: DomainName::root(),
            record_type: RecordType::A,
            rcodes: Rcodes::NO_ERROR,
            expect: None,
            is_recursive: true,
            transport: Transport::Udp,
            port: None,
        };
        assert_eq!(read("dns"), plain);
        assert_eq!(Check::Dns(plain).to_string(), "dns name=. type=A");
    }

    #[test]
    fn all_that_can_be_asked_for_is_written_in_one_way() {
        let text = "dns name=Example.org. type=mx rcode=3,NoError expect=mail.example.org. transport=tcp recursion=off port=5353";
        let dns = read(text);
        assert_eq!(dns.expect, Some(Record::Name(name("mail.example.org"))));
        assert!(dns.rcodes.contains(Rcode::new(3)) && !dns.rcodes.contains(Rcode::new(2)));
        assert_eq!(
            Check::Dns(dns).to_string(),
            "dns name=Example.org type=MX rcode=noerror,nxdomain expect=mail.example.org recursion=off transport=tcp port=5353"
        );
        assert_eq!(Check::Dns(read("dns type=65 rcode=ANY")).to_string(), "dns name=. type=65 rcode=any");
        assert_eq!(
            read(r#"dns type=TXT expect="v=spf1 -all""#).expect,
            Some(Record::Text(b"v=spf1 -all".into()))
        );
    }

    #[test]
    fn a_name_has_parts_of_letters_digits_and_few_marks() {
        let labels = |text: &str| name(text).labels().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(labels("_sip._udp.a-b.example."), ["_sip", "_udp", "a-b", "example"]);
        assert_eq!(labels("."), [""; 0]);
        let (longest, label) = (format!("{0}.{0}.{0}.{1}", "x".repeat(63), "x".repeat(61)), "x".repeat(63));
        for good in [&*longest, &label, "0/25.2.0.192.in-addr.arpa"] {
            assert_eq!(good.parse::<DomainName>().map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in
            ["", "..", ".a", "a..b", "a b", "b\u{fc}ro.example", &format!("{longest}x"), &"x".repeat(64)]
        {
            assert_eq!(bad.parse::<DomainName>(), Err(NoDomainName), "{bad}");
        }
    }

    #[test]
    fn values_that_cannot_be_are_told() {
        assert_eq!(
            wrong("dns name=a..b"),
            "`name` is `a..b`; allowed: a domain name of letters, digits, `-`, `_`, `/` and `*`, up to 63 between two \
             dots and 253 in all"
        );
        assert_eq!(
            wrong("dns type=X"),
            "`type` is `X`; allowed: A, AAAA, NS, SOA, MX, TXT, PTR, SRV, CNAME, ANY, or a number from 1 to 65535"
        );
        for text in ["dns rcode=noerror,", "dns rcode=16", "dns rcode="] {
            assert!(wrong(text).contains("allowed: any, or noerror, formerr,"), "{}", wrong(text));
        }
        assert_eq!(wrong("dns expect=::1"), "`expect` is `::1`; allowed with type=A: an IPv4 address");
        assert_eq!(
            wrong("dns type=AAAA expect=10.0.0.1"),
            "`expect` is `10.0.0.1`; allowed with type=AAAA: an IPv6 address"
        );
        assert_eq!(
            wrong("dns type=any expect=x"),
            "`expect` does not go with type=ANY; allowed with A, AAAA, NS, SOA, MX, TXT, PTR, SRV and CNAME"
        );
        assert_eq!(wrong("dns transport=sctp"), "`transport` is `sctp`; allowed: udp, tcp");
    }

    fn any_name() -> impl Strategy<Value = DomainName> {
        prop_oneof![Just("."), Just("a.b-c._d"), Just("EXAMPLE.org")].prop_map(name)
    }

    fn any_question() -> impl Strategy<Value = (RecordType, Option<Record>)> {
        let names =
            prop::sample::select(vec![RecordType::NS, RecordType::MX, RecordType::SOA, RecordType::SRV]);
        prop_oneof![
            (1..=u16::MAX).prop_map(|number| (RecordType(number), None)),
            any::<[u8; 4]>().prop_map(|ip| (RecordType::A, Some(Record::Address(ip.into())))),
            any::<[u8; 16]>().prop_map(|ip| (RecordType::AAAA, Some(Record::Address(ip.into())))),
            (names, any_name()).prop_map(|(record_type, name)| (record_type, Some(Record::Name(name)))),
            prop::collection::vec(any::<u8>(), 1..6)
                .prop_map(|text| (RecordType::TXT, Some(Record::Text(text)))),
        ]
    }

    proptest! {
        #[test]
        fn a_question_reads_back(
            name in any_name(),
            (record_type, expect) in any_question(),
            rcodes in (1..=u16::MAX).prop_map(Rcodes),
            is_recursive: bool,
            is_tcp: bool,
            port in prop::option::of(1..=u16::MAX),
        ) {
            let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
            let dns = Dns { name, record_type, rcodes, expect, is_recursive, transport, port };
            let check = Check::Dns(dns);
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
