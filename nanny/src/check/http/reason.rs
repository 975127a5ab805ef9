//! Why an answer of HTTP is not good enough.

use std::fmt;
use std::time::Duration;

use daemonkit::duration;

use super::body::HASHED;
use super::head::MOST_FIELDS;
use crate::escape::quote;
use crate::expect::LIMIT;

/// What should have come.
pub(super) const AN_ANSWER: &str = "an answer of HTTP/1.1";

/// Why an answer is not good enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpFailure {
    /// It is no answer of HTTP.
    NoHttp {
        /// What it is.
        got: Vec<u8>,
    },
    /// Its fields, or those after its body, do not fit.
    HeadTooLong,
    /// It has too many fields.
    TooManyFields,
    /// Its length is said in a way that makes no sense, or in two.
    Length(Vec<u8>),
    /// Its body comes in another form than chunks.
    Coding(Vec<u8>),
    /// Where a chunk, or its end, should be, this is.
    Chunk(Vec<u8>),
    /// It has another status.
    Status {
        /// Which.
        status: u16,
        /// What the server says to that.
        said: Vec<u8>,
        /// Where it points to.
        location: Option<Vec<u8>>,
        /// Which are good.
        expected: String,
    },
    /// The connection was closed in the body.
    ClosedInBody {
        /// Bytes that came.
        got: u64,
        /// Bytes that should have come, if that was said.
        of: Option<u64>,
    },
    /// The body did not come in time.
    SlowBody {
        /// Bytes that came.
        got: u64,
        /// Bytes that should have come, if that was said.
        of: Option<u64>,
        /// How long it was waited for.
        within: Duration,
    },
    /// The body is longer than those of which a SHA-256 is made.
    BodyTooLong,
    /// The body is another.
    Body {
        /// What is looked at of it.
        got: Vec<u8>,
        /// What it should have been.
        expected: String,
    },
    /// The body has another SHA-256.
    Sha256 {
        /// Which, in hexadecimal.
        got: String,
        /// Which it should have had.
        expected: String,
    },
}

impl fmt::Display for HttpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHttp { got } => write!(f, "answer begins with {}, expected {AN_ANSWER}", quote(got)),
            Self::HeadTooLong => write!(f, "the fields of the answer take more than {LIMIT} bytes"),
            Self::TooManyFields => write!(f, "the answer has more than {MOST_FIELDS} fields"),
            Self::Length(text) => write!(f, "the answer says that it is {} bytes long", quote(text)),
            Self::Coding(text) => {
                write!(f, "the answer is encoded in a way that is not known: {}", quote(text))
            }
            Self::Chunk(text) => write!(f, "{} where a chunk of the answer should begin or end", quote(text)),
            Self::Status { status, said, location, expected } => {
                write!(f, "status {status}")?;
                match location {
                    Some(location) => write!(f, " to {}", quote(location))?,
                    None if said.is_empty() => {}
                    None => write!(f, " {}", quote(said))?,
                }
                write!(f, ", expected {expected}")
            }
            Self::ClosedInBody { got, of } => write!(f, "closed after {} of the body", bytes(*got, *of)),
            Self::SlowBody { got, of, within } => {
                write!(f, "only {} of the body within {}", bytes(*got, *of), duration::format(*within))
            }
            Self::BodyTooLong => write!(f, "the body is longer than {HASHED} bytes"),
            Self::Body { got, expected } if got.is_empty() => write!(f, "no body, expected {expected}"),
            Self::Body { got, expected } => write!(f, "body begins with {}, expected {expected}", quote(got)),
            Self::Sha256 { got, expected } => write!(f, "body has the SHA-256 {got}, expected {expected}"),
        }
    }
}

/// `12 of 40 bytes`, `12 bytes`, `1 byte`.
fn bytes(got: u64, of: Option<u64>) -> String {
    match (got, of) {
        (got, Some(of)) => format!("{got} of {of} bytes"),
        (1, None) => "1 byte".to_owned(),
        (got, None) => format!("{got} bytes"),
    }
}
