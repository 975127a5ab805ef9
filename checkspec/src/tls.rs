//! `tls`, and what `https` shares with it: whom to believe, who to be, and which versions will do.
//!
//! Which name a certificate has to be for is said here, so that an operator can read it: the name of `sni`, for `https`
//! else that of `host`, and without either the address of the real server. Files are only named here; whoever checks
//! reads them.

use crate::error::{SpecError, printable};
use crate::exchange::{self, Step};
use crate::options::{About, Options};
use crate::words::{Line, Word};

pub(crate) const ABOUT: &str = "Connects, agrees on TLS, then sends and expects as `tcp` does. Without any such option it is enough that the server \
     proves who it is.";

pub(crate) const SNI: About = About::once(
    "sni",
    "NAME",
    "for `https` the name of `host`, otherwise none",
    "The name that the server is asked for (SNI), and that its certificate must be for. Without a name the certificate \
     must be for the address of the real server.",
);
pub(crate) const VERIFY: About = About::once(
    "verify",
    "on|off",
    "`on`",
    "Whether the certificate must be valid: in time, for the name, and signed by somebody who is trusted.",
);
pub(crate) const CA: About = About::once(
    "ca",
    "FILE",
    "the system's",
    "Who is trusted: certificates in PEM. A server's own certificate will do, too.",
);
pub(crate) const CERT: About = About::once(
    "cert",
    "FILE",
    "none",
    "The certificate that is shown to the server, with those between it and the authority, in PEM.",
);
pub(crate) const KEY: About = About::once("key", "FILE", "", "The private key of `cert`, in PEM.");
pub(crate) const MIN: About =
    About::once("min", "1.2|1.3", "`1.2`", "The least version of TLS that will do.");
pub(crate) const EXPIRY: About = About::once(
    "expiry",
    "DAYSd",
    "",
    "Warns when a certificate ends within so many days. The server stays up; the warning is logged, once a day, and is part \
     of the reason why it is up.",
);

/// Options of `tls`.
pub(crate) const OPTIONS: &[About] = &[
    exchange::SEND,
    exchange::EXPECT,
    exchange::CONTAINS,
    exchange::EQUALS,
    exchange::REGEX,
    exchange::ANY,
    SNI,
    VERIFY,
    CA,
    CERT,
    KEY,
    MIN,
    EXPIRY,
    exchange::PORT,
];

/// Longest warning before the end of a certificate, in days.
const MOST_DAYS: u16 = 3650;
/// Longest name in the DNS, and of one part of it (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A handshake, and what is said after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsExchange {
    /// The handshake.
    pub tls: Tls,
    /// The port that is checked in place of the real server's.
    pub port: Option<u16>,
    /// What is done after the handshake, in this order.
    pub steps: Vec<Step>,
}

/// A handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// The name that the server is asked for: a name in the DNS.
    pub sni: Option<String>,
    /// What makes a certificate good.
    pub trust: Trust,
    /// Who this side is.
    pub identity: Option<Identity>,
    /// The least version.
    pub min: Version,
}

/// What makes a server's certificate good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Nothing is asked of it.
    Anybody,
    /// It has to be valid.
    Authorities {
        /// The file of those who are trusted, an absolute path; `None` for those whom the system trusts.
        file: Option<String>,
        /// How many days before its end a certificate is worth a warning, from 1.
        expiry: Option<u16>,
    },
}

impl Default for Trust {
    fn default() -> Self {
        Self::Authorities { file: None, expiry: None }
    }
}

/// A client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its file, an absolute path.
    pub cert: String,
    /// The file of its key, an absolute path.
    pub key: String,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// TLS 1.2, RFC 5246.
    #[default]
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl TlsExchange {
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        let steps = exchange::steps(options)?;
        Ok(Self { tls: Tls::read(options)?, port: options.port("port")?, steps })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word("tls");
        for step in &self.steps {
            step.write(line);
        }
        self.tls.write(line);
        if let Some(port) = self.port {
            line.plain("port", port);
        }
    }
}

impl Tls {
    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        Ok(Self {
            sni: options.one("sni").map(name).transpose()?,
            trust: trust(options)?,
            identity: identity(options)?,
            min: options
                .choice("min", &[("1.2", Version::V1_2), ("1.3", Version::V1_3)])?
                .unwrap_or_default(),
        })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        if let Some(name) = &self.sni {
            line.plain("sni", name);
        }
        match &self.trust {
            Trust::Anybody => line.plain("verify", "off"),
            Trust::Authorities { file, expiry } => {
                if let Some(file) = file {
                    line.bytes("ca", file.as_bytes());
                }
                if let Some(days) = expiry {
                    line.plain("expiry", format_args!("{days}d"));
                }
            }
        }
        if let Some(Identity { cert, key }) = &self.identity {
            line.bytes("cert", cert.as_bytes());
            line.bytes("key", key.as_bytes());
        }
        if self.min == Version::V1_3 {
            line.plain("min", "1.3");
        }
    }
}

fn trust(options: &Options<'_>) -> Result<Trust, SpecError> {
    let verify = options.choice("verify", &[("on", true), ("off", false)])?;
    let trust = Trust::Authorities {
        file: options.one("ca").map(file).transpose()?,
        expiry: options.one("expiry").map(days).transpose()?,
    };
    if verify != Some(false) {
        return Ok(trust);
    }
    match options.one("ca").or_else(|| options.one("expiry")) {
        None => Ok(Trust::Anybody),
        Some(word) => {
            let message = format!("`{}` beside `verify=off`", word.name);
            Err(SpecError::new(word.place.clone(), message, "give one of the two"))
        }
    }
}

fn identity(options: &Options<'_>) -> Result<Option<Identity>, SpecError> {
    let alone = |word: &Word<'_>, other: &str| {
        let message = format!("`{}` without `{other}`", word.name);
        Err(SpecError::new(word.place.clone(), message, "give the certificate and its key"))
    };
    match (options.one("cert"), options.one("key")) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(Identity { cert: file(cert)?, key: file(key)? })),
        (Some(cert), None) => alone(cert, "key"),
        (None, Some(key)) => alone(key, "cert"),
    }
}

/// The path of a file. It must not depend on where a program was started.
fn file(word: &Word<'_>) -> Result<String, SpecError> {
    let path = word.text()?;
    if path.starts_with('/') { Ok(path) } else { Err(word.refuse("write a path that begins with /")) }
}

fn days(word: &Word<'_>) -> Result<u16, SpecError> {
    let days = word.value.and_then(|value| value.strip_suffix('d')?.parse().ok());
    days.filter(|days| (1..=MOST_DAYS).contains(days))
        .ok_or_else(|| word.refuse(format!("allowed: 1d to {MOST_DAYS}d, in days")))
}

fn name(word: &Word<'_>) -> Result<String, SpecError> {
    let name = word.text()?;
    if is_dns_name(&name) {
        return Ok(name);
    }
    let message = format!("`sni` is `{}`", printable(&name));
    Err(SpecError::new(word.place.clone(), message, "write a name of the DNS, not an address"))
}

/// Whether it can be asked for in a handshake (RFC 6066, 3): a name of the DNS and no address.
#[must_use]
pub fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= LONGEST_NAME
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_some_and(is_number)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;
    use crate::exchange::tests::steps;

    fn read(text: &str) -> TlsExchange {
        match text.parse() {
            Ok(Check::Tls(exchange)) => exchange,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    #[test]
    fn without_options_a_valid_certificate_is_enough() {
        assert_eq!(read("tls"), TlsExchange { tls: Tls::default(), port: None, steps: vec![] });
        assert_eq!(Tls::default().trust, Trust::Authorities { file: None, expiry: None });
    }

    #[test]
    fn everything_that_can_be_said() {
        let text = r#"tls expect="220 " sni=mail.example ca=/etc/ca.pem expiry=30d cert=/etc/c.pem key=/etc/k.pem min=1.3 port=465"#;
        let exchange = read(text);
        assert_eq!((exchange.port, exchange.steps.len()), (Some(465), 1));
        assert_eq!(
            exchange.tls,
            Tls {
                sni: Some("mail.example".into()),
                trust: Trust::Authorities { file: Some("/etc/ca.pem".into()), expiry: Some(30) },
                identity: Some(Identity { cert: "/etc/c.pem".into(), key: "/etc/k.pem".into() }),
                min: Version::V1_3,
            }
        );
        assert_eq!(Check::Tls(exchange).to_string(), text);
        assert_eq!(read("tls verify=off").tls.trust, Trust::Anybody);
        assert_eq!(read("tls verify=on min=1.2").tls, Tls::default());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, message) in [
            ("tls cert=/c", "`cert` without `key`; give the certificate and its key"),
            ("tls key=/k", "`key` without `cert`; give the certificate and its key"),
            ("tls verify=off ca=/ca", "`ca` beside `verify=off`; give one of the two"),
            ("tls verify=off expiry=3d", "`expiry` beside `verify=off`; give one of the two"),
            ("tls ca=ca.pem", "`ca` is `ca.pem`; write a path that begins with /"),
            ("tls expiry=30", "`expiry` is `30`; allowed: 1d to 3650d, in days"),
            ("tls expiry=0d", "`expiry` is `0d`; allowed: 1d to 3650d, in days"),
            ("tls min=1.1", "`min` is `1.1`; allowed: 1.2, 1.3"),
            ("tls sni=10.0.0.1", "`sni` is `10.0.0.1`; write a name of the DNS, not an address"),
            ("tls sni=::1", "`sni` is `::1`; write a name of the DNS, not an address"),
            ("tls sni=a..b", "`sni` is `a..b`; write a name of the DNS, not an address"),
            (r"tls sni=a\r\nb", r"`sni` is `a\\r\\nb`; write printable characters"),
        ] {
            assert_eq!(wrong(text), message, "{text}");
        }
    }

    pub(crate) fn tls() -> impl Strategy<Value = Tls> {
        let path = || "/[ -~\u{e9}]{0,8}";
        let trust = prop_oneof![
            Just(Trust::Anybody),
            (prop::option::of(path()), prop::option::of(1..=MOST_DAYS))
                .prop_map(|(file, expiry)| Trust::Authorities { file, expiry }),
        ];
        let identity = (path(), path()).prop_map(|(cert, key)| Identity { cert, key });
        let min = prop::sample::select(vec![Version::V1_2, Version::V1_3]);
        let sni = prop::option::of("[a-z]{1,5}(\\.[a-z][a-z0-9_]{0,3}){0,3}");
        (sni, trust, prop::option::of(identity), min).prop_map(|(sni, trust, identity, min)| Tls {
            sni,
            trust,
            identity,
            min,
        })
    }

    proptest! {
        #[test]
        fn a_handshake_reads_back(tls in tls(), port in prop::option::of(1..=u16::MAX), steps in steps()) {
            let check = Check::Tls(TlsExchange { tls, port, steps });
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
