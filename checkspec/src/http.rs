//! `http` and `https`: what is asked of a web server, and which answers are good.
//!
//! Whatever is given here becomes part of a request as it is, so nothing is accepted that could end a line of it: each
//! value is held to the characters that RFC 9110 allows in its place. The `Host` field, where it is not given, is the
//! real server's address and port, because that is where the request goes.

use std::fmt;
use std::ops::RangeInclusive;

use crate::error::{SpecError, printable};
use crate::exchange::{self, Expect};
use crate::options::{About, Options};
use crate::tls::{self, Tls, is_dns_name};
use crate::words::{Line, Word};

pub(crate) const ABOUT_HTTP: &str = "Sends a request of HTTP/1.1 and looks at the answer. The status decides; where something is said of the body, it is \
     read and compared too.";
pub(crate) const ABOUT_HTTPS: &str = "As `http`, over TLS.";

const METHOD: About = About::once("method", "METHOD", "`GET`", "The method of the request.");
const PATH: About = About::once("path", "PATH", "`/`", "What is asked for, with its query.");
const HOST: About = About::once(
    "host",
    "NAME[:PORT]",
    "the real server's address and port",
    "The `Host` of the request: a name or an address.",
);
const HEADER: About = About::repeated("header", "\"NAME: VALUE\"", "A further field of the request.");
const BODY: About =
    About::once("body", "TEXT", "none", "The body of the request; its length is said by itself.");
const STATUS: About =
    About::once("status", "RANGES", "`200-299`", "The statuses that are good, such as `200-299,401`.");
const REDIRECTS: About = About::once(
    "redirects",
    "COUNT",
    "`0`",
    "How many times the server may point elsewhere, up to 10. Followed is only what stays on the same server: a path, or an \
     address with the same `Host` and the same kind. Otherwise the status of the answer decides like any other.",
);
const EXPECT: About = About::once("expect", "TEXT", "", "The body must begin with this.");
const CONTAINS: About = About::once("contains", "TEXT", "", "This must be somewhere in the body.");
const EQUALS: About = About::once("equals", "TEXT", "", "The body must be this.");
const REGEX: About =
    About::once("regex", "EXPRESSION", "", "The expression must match somewhere in the body.");
const ANY: About = About::once("any", "", "", "There must be a body, whatever is in it.");
const SHA256: About = About::once("sha256", "DIGITS", "", "The body must have this SHA-256, in hexadecimal.");

/// Options of `http`.
pub(crate) const OPTIONS: &[About] = &[
    METHOD,
    PATH,
    HOST,
    HEADER,
    BODY,
    STATUS,
    EXPECT,
    CONTAINS,
    EQUALS,
    REGEX,
    ANY,
    SHA256,
    REDIRECTS,
    exchange::PORT,
];

/// Options of `https`.
pub(crate) const SECURED_OPTIONS: &[About] = &[
    METHOD,
    PATH,
    HOST,
    HEADER,
    BODY,
    STATUS,
    EXPECT,
    CONTAINS,
    EQUALS,
    REGEX,
    ANY,
    SHA256,
    REDIRECTS,
    tls::SNI,
    tls::VERIFY,
    tls::CA,
    tls::CERT,
    tls::KEY,
    tls::MIN,
    tls::EXPIRY,
    exchange::PORT,
];

/// Fields that are written by themselves, each with the option that decides about it.
const OWN_FIELDS: [(&str, &str); 4] = [
    ("host", "give `host`"),
    ("content-length", "it follows from `body`"),
    ("transfer-encoding", "the body is sent as it is"),
    ("connection", "every check has a connection of its own"),
];
/// Most redirects that can be asked for.
const MOST_REDIRECTS: u8 = 10;
/// Statuses that there are (RFC 9110, 15).
const STATUSES: RangeInclusive<u16> = 100..=599;

/// A request, and which answers are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The handshake, for `https`.
    pub tls: Option<Tls>,
    /// The port that is checked in place of the real server's.
    pub port: Option<u16>,
    /// A token of RFC 9110, not `CONNECT`.
    pub method: String,
    /// Printable ASCII from `/`, without blanks and fragment.
    pub path: String,
    /// The `Host` field, if it is another than the server's address.
    pub host: Option<String>,
    /// Further fields: a token, and a value without control characters and outer blanks.
    pub headers: Vec<(String, String)>,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// Statuses that are good.
    pub status: Statuses,
    /// What the body must look like, if that counts.
    pub expect: Option<Body>,
    /// How many redirects are followed.
    pub redirects: u8,
}

/// What a body must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As an answer of any server.
    Like(Expect),
    /// It has this SHA-256.
    Sha256([u8; 32]),
}

/// Ranges of statuses, at least one; each from 100 to 599 and not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<RangeInclusive<u16>>);

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![200..=299])
    }
}

impl Statuses {
    /// Whether the status is one of them.
    #[must_use]
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    fn read(word: &Word<'_>) -> Result<Self, SpecError> {
        let number = |text: &str| text.parse().ok().filter(|status| STATUSES.contains(status));
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let range = number(first)?..=number(last)?;
            (!range.is_empty()).then_some(range)
        };
        let ranges = word.value.unwrap_or_default().split(',').map(range).collect::<Option<Vec<_>>>();
        ranges
            .map(Self)
            .ok_or_else(|| word.refuse("write numbers and ranges from 100 to 599, such as 200-299,401"))
    }
}

/// `200-299,401`.
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl Http {
    /// `http` or `https`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The name or the address of `host`, without a port.
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        self.host.as_deref().and_then(split_host).map(|(name, _)| name)
    }

    pub(crate) fn read(is_secured: bool, options: &Options<'_>) -> Result<Self, SpecError> {
        let one =
            |name, read: fn(&Word<'_>) -> Result<String, SpecError>| options.one(name).map(read).transpose();
        Ok(Self {
            tls: is_secured.then(|| Tls::read(options)).transpose()?,
            port: options.port("port")?,
            method: one("method", method)?.unwrap_or_else(|| "GET".to_owned()),
            path: one("path", path)?.unwrap_or_else(|| "/".to_owned()),
            host: one("host", host)?,
            headers: options.each("header").map(header).collect::<Result<_, _>>()?,
            body: options.one("body").map(Word::bytes).transpose()?,
            status: options.one("status").map(Statuses::read).transpose()?.unwrap_or_default(),
            expect: expect(options)?,
            redirects: options.number("redirects", 0..=MOST_REDIRECTS)?.unwrap_or(0),
        })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word(self.kind());
        if self.method != "GET" {
            line.plain("method", &self.method);
        }
        if self.path != "/" {
            line.bytes("path", self.path.as_bytes());
        }
        if let Some(host) = &self.host {
            line.plain("host", host);
        }
        for (name, value) in &self.headers {
            line.bytes("header", format!("{name}: {value}").as_bytes());
        }
        if let Some(body) = &self.body {
            line.bytes("body", body);
        }
        if self.status != Statuses::default() {
            line.plain("status", &self.status);
        }
        match &self.expect {
            None => {}
            Some(Body::Like(expect)) => expect.write(line),
            Some(Body::Sha256(digest)) => line.plain("sha256", hexadecimal(digest)),
        }
        if self.redirects > 0 {
            line.plain("redirects", self.redirects);
        }
        if let Some(tls) = &self.tls {
            tls.write(line);
        }
        if let Some(port) = self.port {
            line.plain("port", port);
        }
    }
}

/// A digest as it is written.
#[must_use]
pub fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name and the port of a `Host` field (RFC 9110, 7.2), if it is one. Brackets around an address stay outside.
#[must_use]
pub fn split_host(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(address, _)| is_address_6(address))?,
        None => {
            let end = host.find(':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            let is_name = is_dns_name(name) || name.parse::<std::net::Ipv4Addr>().is_ok();
            if is_name { (name, port) } else { return None }
        }
    };
    match port.strip_prefix(':') {
        None => port.is_empty().then_some((name, None)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().filter(|port| *port > 0).map(|port| (name, Some(port)))
        }
        Some(_) => None,
    }
}

fn is_address_6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// A token (RFC 9110, 5.6.2).
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn method(word: &Word<'_>) -> Result<String, SpecError> {
    let method = word.text()?;
    match &*method {
        "CONNECT" => Err(word.refuse("CONNECT is for proxies; write another method")),
        _ if is_token(&method) => Ok(method),
        _ => Err(word.refuse("write a method, such as GET or HEAD")),
    }
}

fn path(word: &Word<'_>) -> Result<String, SpecError> {
    let path = word.text()?;
    if path.starts_with('/') && is_path(&path) {
        return Ok(path);
    }
    Err(word.refuse("write a path from /, with %20 for a blank and so on, without # and what follows it"))
}

/// Whether it can stand in the first line of a request.
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

fn host(word: &Word<'_>) -> Result<String, SpecError> {
    let host = word.text()?;
    if split_host(&host).is_some() {
        return Ok(host);
    }
    Err(word.refuse("write a name or an address, [ADDRESS] for IPv6, and :PORT if it is needed"))
}

fn header(word: &Word<'_>) -> Result<(String, String), SpecError> {
    let text = word.text()?;
    let field = text.split_once(':').map(|(name, value)| (name, value.trim_matches(' ')));
    let (name, value) = field
        .filter(|(name, _)| is_token(name))
        .ok_or_else(|| word.refuse("write header=\"NAME: VALUE\""))?;
    match OWN_FIELDS.into_iter().find(|(own, _)| name.eq_ignore_ascii_case(own)) {
        None => Ok((name.to_owned(), value.to_owned())),
        Some((_, help)) => {
            let message = format!("the field `{}` is written by itself", printable(name));
            Err(SpecError::new(word.place.clone(), message, help))
        }
    }
}

fn expect(options: &Options<'_>) -> Result<Option<Body>, SpecError> {
    let mut found: Option<(&str, Body)> = None;
    for word in options.all() {
        let body = match word.name {
            "sha256" => Some(Body::Sha256(digest(word)?)),
            _ => Expect::read(word)?.map(Body::Like),
        };
        let Some(body) = body else { continue };
        if let Some((first, _)) = found {
            let message = format!("`{}` beside `{first}`", word.name);
            let help = "a body is compared in one way: give one of the two";
            return Err(SpecError::new(word.place.clone(), message, help));
        }
        if options.one("method").is_some_and(|method| method.value == Some("HEAD")) {
            let message = format!("`{}` beside `method=HEAD`", word.name);
            return Err(SpecError::new(word.place.clone(), message, "such an answer has no body: use GET"));
        }
        found = Some((word.name, body));
    }
    Ok(found.map(|(_, body)| body))
}

fn digest(word: &Word<'_>) -> Result<[u8; 32], SpecError> {
    let value = word.value.unwrap_or_default();
    let digits: Option<Vec<u8>> =
        value.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let bytes = digits.filter(|digits| digits.len() == 64).and_then(|digits| {
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        bytes.try_into().ok()
    });
    bytes.ok_or_else(|| word.refuse("write 64 hexadecimal digits, as sha256sum does"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;
    use crate::tls::tests::tls;

    fn read(text: &str) -> Http {
        match text.parse() {
            Ok(Check::Http(http)) => http,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    #[test]
    fn without_options_the_first_page_must_be_there() {
        let plain = read("http");
        assert_eq!((plain.method.as_str(), plain.path.as_str(), plain.host_name()), ("GET", "/", None));
        assert_eq!(
            (plain.tls.as_ref(), plain.status.to_string(), plain.redirects),
            (None, "200-299".into(), 0)
        );
        assert_eq!(read("https").tls, Some(Tls::default()));
    }

    #[test]
    fn everything_that_can_be_said() {
        let digest = "ab".repeat(32);
        let text = format!(
            "https method=POST path=/a?b=c host=www.example:8443 header=\"X-A: 1, 2\" header=\"X-B: \" \
             body=a\\r\\n\\x00 status=200-204,401 sha256={digest} redirects=3 sni=other.example min=1.3 port=8443"
        );
        let http = read(&text);
        assert_eq!(http.headers, [("X-A".to_owned(), "1, 2".to_owned()), ("X-B".to_owned(), String::new())]);
        assert_eq!((http.body.as_deref(), http.host_name()), (Some(&b"a\r\n\0"[..]), Some("www.example")));
        assert_eq!(http.expect, Some(Body::Sha256([0xab; 32])));
        let good = |status| http.status.contain(status);
        assert!(good(200) && good(204) && good(401) && !good(205) && !good(199) && !good(400));
        assert_eq!(Check::Http(http).to_string(), text);
    }

    #[test]
    fn no_value_can_end_a_line_of_the_request() {
        for text in [
            r"http method=GET\r\nX:",
            r"http path=/\r\nX:",
            r"http path=/\n",
            r"http host=a\r\n",
            r#"http header="A: b\r\nEvil: c""#,
            r#"http header="A\r\nEvil: c""#,
            r#"http header="A: b\x00""#,
            r#"http header="A B: c""#,
            r"http path=/\x20HTTP/1.1",
            r"http path=/\xff",
            r"http path=/ä",
        ] {
            let message = wrong(text);
            assert!(message.contains(" is `"), "{text}: {message}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let ranges = "write numbers and ranges from 100 to 599, such as 200-299,401";
        for (text, message) in [
            ("http status=", format!("`status` is ``; {ranges}")),
            ("http status=99", format!("`status` is `99`; {ranges}")),
            ("http status=200-600", format!("`status` is `200-600`; {ranges}")),
            ("http status=299-200", format!("`status` is `299-200`; {ranges}")),
            ("http status=200,", format!("`status` is `200,`; {ranges}")),
            (
                "http method=CONNECT",
                "`method` is `CONNECT`; CONNECT is for proxies; write another method".into(),
            ),
            ("http header=\"Host: a\"", "the field `Host` is written by itself; give `host`".into()),
            (
                "http header=\"content-length: 3\"",
                "the field `content-length` is written by itself; it follows from `body`".into(),
            ),
            ("http header=A", "`header` is `A`; write header=\"NAME: VALUE\"".into()),
            (
                "http contains=a regex=b",
                "`regex` beside `contains`; a body is compared in one way: give one of the two".into(),
            ),
            (
                "http any method=HEAD",
                "`any` beside `method=HEAD`; such an answer has no body: use GET".into(),
            ),
            ("http sha256=ab", "`sha256` is `ab`; write 64 hexadecimal digits, as sha256sum does".into()),
            ("http redirects=11", "`redirects` is `11`; allowed: a whole number from 0 to 10".into()),
            (
                "http host=a:b",
                "`host` is `a:b`; write a name or an address, [ADDRESS] for IPv6, and :PORT if it is needed"
                    .into(),
            ),
        ] {
            assert_eq!(wrong(text), message, "{text}");
        }
        assert!(wrong("http sni=a").starts_with("`http` has no option `sni`"));
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for (host, name, port) in [
            ("www.example", "www.example", None),
            ("www.example:80", "www.example", Some(80)),
            ("10.0.0.1", "10.0.0.1", None),
            ("[::1]:8080", "::1", Some(8080)),
            ("[fe80::1]", "fe80::1", None),
        ] {
            assert_eq!(split_host(host), Some((name, port)));
        }
        for host in ["", ":80", "a:", "a:0", "a:65536", "a:+1", "[::1", "::1", "[a]", "a b", "a/b", "[::1]80"]
        {
            assert_eq!(split_host(host), None, "{host}");
        }
    }

    fn body() -> impl Strategy<Value = Body> {
        prop_oneof![exchange::tests::expect().prop_map(Body::Like), any::<[u8; 32]>().prop_map(Body::Sha256),]
    }

    fn statuses() -> impl Strategy<Value = Statuses> {
        let range = (STATUSES, 0..50_u16).prop_map(|(first, more)| first..=(first + more).min(599));
        prop::collection::vec(range, 1..4).prop_map(Statuses)
    }

    prop_compose! {
        fn http()(
            tls in prop::option::of(tls()),
            port in prop::option::of(1..=u16::MAX),
            method in "GET|HEAD|POST|X-1",
            path in "/[!-\"$-~]{0,8}",
            host in prop::option::of("[a-z]{1,4}(:[1-9][0-9]{0,3})?|\\[::[1-9a-f]\\]"),
            headers in prop::collection::vec(("X-[A-Za-z]{1,4}", "([!-~]([ -~\u{e9}]{0,4}[!-~])?)?"), 0..3),
            body in prop::option::of(prop::collection::vec(any::<u8>(), 0..6)),
            status in statuses(),
            expect in prop::option::of(body()),
            redirects in 0..=MOST_REDIRECTS,
        ) -> Http {
            let expect = expect.filter(|_| method != "HEAD");
            Http { tls, port, method, path, host, headers, body, status, expect, redirects }
        }
    }

    proptest! {
        #[test]
        fn a_request_reads_back(http in http()) {
            let check = Check::Http(http);
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
