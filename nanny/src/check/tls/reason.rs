//! Why there is no TLS with a server, in an operator's words.

use std::fmt;
use std::time::Duration;

use daemonkit::duration;
use nix::errno::Errno;
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::verifier::SelfSigned;
use crate::check::reason::describe;
use crate::escape::quote;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;
/// Most names of a certificate that are told.
const NAMES: usize = 5;

/// Why there is no TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFailure {
    /// The handshake was not done within this time.
    Timeout(Duration),
    /// The server closed the connection in the handshake.
    Closed,
    /// The connection broke in the handshake.
    Broken(Errno),
    /// The server speaks something else.
    NoTls(Vec<u8>),
    /// The server has no version that will do.
    Version,
    /// Of a certificate in the chain the time is over, for so many whole days.
    Expired(u64),
    /// Of a certificate in the chain the time has not come, for so many whole days.
    NotYet(u64),
    /// The certificate is for somebody else.
    WrongName {
        /// Whom it should be for.
        expected: String,
        /// Whom it is for.
        names: Vec<String>,
    },
    /// Only the certificate itself says that it is good.
    SelfSigned,
    /// Nobody who is trusted says that the certificate is good.
    UnknownIssuer,
    /// Something else is wrong with the certificate.
    Certificate(String),
    /// The server ended it with this alert.
    Alert(AlertDescription),
    /// The server did not say within this time whether the client's certificate will do.
    NoConsent(Duration),
    /// The server breaks the rules, or has nothing in common with this side.
    Protocol(String),
}

impl TlsFailure {
    /// What an error of `rustls` means.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        use PeerIncompatible::{
            ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig, Tls12NotOffered,
            Tls12NotOfferedOrEnabled,
        };
        match error {
            Error::AlertReceived(AlertDescription::ProtocolVersion) => Self::Version,
            Error::AlertReceived(alert) => Self::Alert(*alert),
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::PeerIncompatible(
                ServerDoesNotSupportTls12Or13
                | ServerTlsVersionIsDisabledByOurConfig
                | Tls12NotOffered
                | Tls12NotOfferedOrEnabled,
            ) => Self::Version,
            other => Self::Protocol(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        let days = |from: u64, to: u64| to.saturating_sub(from) / DAY;
        match error {
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired(days(not_after.as_secs(), time.as_secs()))
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotYet(days(time.as_secs(), not_before.as_secs()))
            }
            CertificateError::NotValidForNameContext { expected, presented } => Self::WrongName {
                expected: expected.to_str().into_owned(),
                names: presented.iter().map(|name| bare(name)).collect(),
            },
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::Other(other) if other.0.is::<SelfSigned>() => Self::SelfSigned,
            CertificateError::Other(other) => Self::Certificate(words(&other.0)),
            other => Self::Certificate(words(other)),
        }
    }
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout(time) => write!(f, "no TLS handshake within {}", duration::format(*time)),
            Self::Closed => f.write_str("closed in the TLS handshake"),
            Self::Broken(errno) => write!(f, "TLS handshake broke off: {}", describe(*errno)),
            Self::NoTls(got) => write!(f, "no TLS: answer begins with {}", quote(got)),
            Self::Version => f.write_str("no version of TLS in common"),
            Self::Expired(days) => write!(f, "certificate expired {} ago", for_days(*days)),
            Self::NotYet(days) => write!(f, "certificate is not valid for another {}", for_days(*days)),
            Self::WrongName { expected, names } if names.is_empty() => {
                write!(f, "certificate is for no name at all, not for {expected}")
            }
            Self::WrongName { expected, names } => {
                let more = if names.len() > NAMES { ", …" } else { "" };
                let names = names[..names.len().min(NAMES)].join(", ");
                write!(f, "certificate is for {}{more}, not for {expected}", printable(&names))
            }
            Self::SelfSigned => f.write_str("certificate is self-signed and not trusted"),
            Self::UnknownIssuer => f.write_str("certificate is signed by nobody who is trusted"),
            Self::Certificate(reason) => write!(f, "certificate is not good: {reason}"),
            Self::Alert(alert) => match meaning(*alert) {
                Some(meaning) => f.write_str(meaning),
                None => write!(f, "server ended TLS: {}", words(alert)),
            },
            Self::NoConsent(time) => {
                write!(f, "no word on the client certificate within {}", duration::format(*time))
            }
            Self::Protocol(reason) => write!(f, "TLS failed: {}", printable(reason)),
        }
    }
}

/// What a server means by an alert (RFC 8446, 6.2), where its name does not say it.
fn meaning(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::HandshakeFailure => {
            "server and check have no way of TLS in common (handshake failure)"
        }
        AlertDescription::UnrecognisedName => "server does not know the name that it is asked for (SNI)",
        AlertDescription::NoApplicationProtocol => "server does not speak HTTP/1.1 in TLS",
        AlertDescription::CertificateRequired => "server demands a client certificate",
        AlertDescription::UnknownCA => "server does not trust the client certificate (unknown authority)",
        AlertDescription::CertificateExpired => "server refuses the client certificate: expired",
        AlertDescription::CertificateRevoked => "server refuses the client certificate: revoked",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::AccessDenied => "server refuses the client certificate",
        _ => return None,
    })
}

/// Text of which a server may have written a part, fit for a log.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// `3 days`, `1 day`, `less than a day`.
fn for_days(days: u64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// The name in `DnsName("…")` and the like.
fn bare(name: &str) -> String {
    let inside = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(name).trim_matches('"').to_owned()
}

/// `DecodeError` as `decode error`; what follows the first word of letters is left out.
fn words(name: &impl fmt::Debug) -> String {
    let name = format!("{name:?}");
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    let mut text = String::new();
    for c in name[..end].chars() {
        if c.is_ascii_uppercase()
            && !text.is_empty()
            && !text.ends_with(|last: char| last.is_ascii_uppercase())
        {
            text.push(' ');
        }
        text.push(c);
    }
    text.to_ascii_lowercase()
}
