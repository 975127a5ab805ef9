//! The generic netlink family "IPVS": bytes to typed messages and back. No sockets here.
//!
//! One file per kind of attribute; each holds an enumeration of the attributes (unknown ones are kept as
//! `Other`), its codec, and the translation to and from the [model](crate::model). Parsing never panics and
//! never trusts a length. Numbers are in the byte order of the host except where [`consts`] says otherwise.

pub mod ack;
pub mod consts;
pub mod daemon;
pub mod destination;
pub mod message;
pub mod service;
pub mod stats;
mod value;

pub use message::{Attribute, Message};

/// Why bytes could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The frame around the values is broken.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// A value has a length that its kind cannot have.
    #[error("{attribute} has {length} bytes")]
    Length {
        /// Name as in `ip_vs.h`.
        attribute: &'static str,
        /// Length found.
        length: usize,
    },
    /// A value is outside what its kind can hold.
    #[error("{attribute} has the value {value}")]
    Value {
        /// Name as in `ip_vs.h`.
        attribute: &'static str,
        /// Value found.
        value: String,
    },
    /// An attribute that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl From<netlink_packet_core::DecodeError> for WireError {
    fn from(error: netlink_packet_core::DecodeError) -> Self {
        Self::Malformed(error.to_string())
    }
}
