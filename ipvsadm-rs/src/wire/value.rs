//! Values of attributes: reading them without panics, and writing them without allocating.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLA_F_NESTED, NLA_F_NET_BYTEORDER, NlaBuffer};

use super::WireError;
use super::consts::af;
use crate::model::Family;

/// Bytes of one attribute's value, on their way out.
#[derive(Debug)]
pub(super) enum Value<'a> {
    /// Up to 16 bytes, of which the first `.1` count.
    Inline([u8; 16], usize),
    /// Text or kept bytes.
    Borrowed(&'a [u8]),
    /// A nest, or text with its NUL.
    Owned(Vec<u8>),
}

impl Value<'_> {
    pub(super) fn inline<const N: usize>(bytes: [u8; N]) -> Self {
        let mut inline = [0; 16];
        inline[..N].copy_from_slice(&bytes);
        Self::Inline(inline, N)
    }

    /// Text with the final NUL that the kernel expects.
    pub(super) fn text(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        Self::Owned(bytes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Inline(bytes, length) => &bytes[..*length],
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Implements the codec trait for an attribute enumeration that has `kind()` and `value()`.
macro_rules! nla_by_value {
    ($type:ty) => {
        impl netlink_packet_core::Nla for $type {
            fn value_len(&self) -> usize {
                self.value().bytes().len()
            }

            fn kind(&self) -> u16 {
                self.number()
            }

            fn emit_value(&self, buffer: &mut [u8]) {
                buffer.copy_from_slice(self.value().bytes());
            }
        }
    };
}
pub(super) use nla_by_value;

/// The number of an attribute that is kept as it came, with the bit that says nest or network byte order. They
/// exclude each other (`linux/netlink.h`), and the writer could not set both.
pub(super) fn number_and_flags(nla: &NlaBuffer<&[u8]>) -> u16 {
    match (nla.nested_flag(), nla.network_byte_order_flag()) {
        (true, _) => nla.kind() | NLA_F_NESTED,
        (false, true) => nla.kind() | NLA_F_NET_BYTEORDER,
        (false, false) => nla.kind(),
    }
}

/// Exactly `N` bytes.
pub(super) fn array<const N: usize>(name: &'static str, value: &[u8]) -> Result<[u8; N], WireError> {
    value.try_into().map_err(|_| WireError::Length { attribute: name, length: value.len() })
}

pub(super) fn u8_of(name: &'static str, value: &[u8]) -> Result<u8, WireError> {
    array::<1>(name, value).map(|[byte]| byte)
}

pub(super) fn u16_of(name: &'static str, value: &[u8]) -> Result<u16, WireError> {
    array(name, value).map(u16::from_ne_bytes)
}

pub(super) fn be16_of(name: &'static str, value: &[u8]) -> Result<u16, WireError> {
    array(name, value).map(u16::from_be_bytes)
}

pub(super) fn u32_of(name: &'static str, value: &[u8]) -> Result<u32, WireError> {
    array(name, value).map(u32::from_ne_bytes)
}

/// A counter of 4 or 8 bytes. The kernel does not align those of 8, so they are copied, never cast.
pub(super) fn counter_of(name: &'static str, value: &[u8]) -> Result<u64, WireError> {
    match value.len() {
        4 => u32_of(name, value).map(u64::from),
        _ => array(name, value).map(u64::from_ne_bytes),
    }
}

/// Text up to the first NUL, or all of it.
pub(super) fn text_of<'a>(name: &'static str, value: &'a [u8]) -> Result<&'a str, WireError> {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(text)
        .map_err(|_| WireError::Value { attribute: name, value: text.escape_ascii().to_string() })
}

/// An address as it travels: 4 or 16 bytes in, IPv4 in the first four of 16.
pub(super) fn address_bytes(name: &'static str, value: &[u8]) -> Result<[u8; 16], WireError> {
    let mut bytes = [0; 16];
    match value.len() {
        4 | 16 => bytes[..value.len()].copy_from_slice(value),
        length => return Err(WireError::Length { attribute: name, length }),
    }
    Ok(bytes)
}

/// The 16 bytes that carry an address.
pub(super) fn bytes_of_address(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            bytes
        }
    }
}

/// The address that 16 bytes carry for a family.
pub(super) fn address_of_bytes(family: Family, bytes: [u8; 16]) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
        Family::V6 => Ipv6Addr::from(bytes).into(),
    }
}

/// The number of a family.
pub(super) fn number_of_family(family: Family) -> u16 {
    match family {
        Family::V4 => af::INET,
        Family::V6 => af::INET6,
    }
}

/// The family of a number.
pub(super) fn family_of_number(name: &'static str, number: u16) -> Result<Family, WireError> {
    match number {
        af::INET => Ok(Family::V4),
        af::INET6 => Ok(Family::V6),
        other => Err(WireError::Value { attribute: name, value: other.to_string() }),
    }
}
