//! An Ethernet (MAC-48) address: how it is written and what it may be used for.
//!
//! Decides which spellings are accepted; does not know which interface has which address.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A 48-bit Ethernet address, in the order in which its octets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address of every station on the segment.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// The address of no station; stands for "not known" inside ARP (RFC 5227 section 1.1).
    pub const ZERO: Mac = Mac([0; 6]);
    /// Where frames for the IPv6 all-nodes group `ff02::1` go: `33:33` and the group's last four octets
    /// (RFC 2464 section 7).
    pub const IPV6_ALL_NODES: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);

    /// Whether one station can own this address: neither all zeroes nor a group (multicast or broadcast) address,
    /// which IEEE 802 marks by the lowest bit of the first octet.
    #[must_use]
    pub fn is_station(self) -> bool {
        self != Mac::ZERO && self.0[0] & 1 == 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// The text is not six pairs of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{0}` is not a MAC address: six pairs of hexadecimal digits, such as 00:16:3e:12:34:56 or 00163E123456"
)]
pub struct MacError(pub String);

impl FromStr for Mac {
    type Err = MacError;

    /// Six pairs of hexadecimal digits in either case, each pair followed by an optional colon: the spellings that
    /// Piranha's `send_arp` took. Anything after the sixth pair, which it ignored, is an error.
    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut rest = text.as_bytes();
        let mut octets = [0; 6];
        for octet in &mut octets {
            let (&[high, low], after) = rest.split_first_chunk().ok_or_else(|| MacError(text.to_owned()))?;
            match (hex_digit(high), hex_digit(low)) {
                (Some(high), Some(low)) => *octet = high << 4 | low,
                _ => return Err(MacError(text.to_owned())),
            }
            rest = after.strip_prefix(b":").unwrap_or(after);
        }
        if rest.is_empty() { Ok(Mac(octets)) } else { Err(MacError(text.to_owned())) }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::Mac;

    const SAMPLE: Mac = Mac([0x00, 0x16, 0x3e, 0xab, 0xcd, 0xef]);

    #[test]
    fn every_spelling_of_the_original_is_accepted() {
        for text in
            ["00:16:3e:ab:cd:ef", "00163EABCDEF", "00163eabcdef", "0016:3eAB:cdEF", "00:16:3e:ab:cd:ef:"]
        {
            assert_eq!(text.parse(), Ok(SAMPLE), "{text}");
        }
        assert_eq!("ffffffffffff".parse(), Ok(Mac::BROADCAST));
    }

    #[test]
    fn what_is_not_six_pairs_is_rejected_with_the_text() {
        for text in [
            "",
            "0",
            "00:16:3e:ab:cd",
            "00:16:3e:ab:cd:e",
            "00:16:3e:ab:cd:eg",
            "0:16:3e:ab:cd:ef",
            "00:16:3e:ab:cd:ef junk",
            "00::16:3e:ab:cd:ef",
            ":00163eabcdef",
            "00-16-3e-ab-cd-ef",
            "+0163eabcdef",
            "00163eabcdeé",
        ] {
            let error = text.parse::<Mac>().unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{text}` is not a MAC address: six pairs")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_group_or_zero_address_is_no_station() {
        assert!(SAMPLE.is_station());
        assert!(!Mac::ZERO.is_station());
        assert!(!Mac::BROADCAST.is_station());
        assert!(!Mac::IPV6_ALL_NODES.is_station());
    }

    proptest! {
        #[test]
        fn text_round_trips(octets in any::<[u8; 6]>()) {
            prop_assert_eq!(Mac(octets).to_string().parse(), Ok(Mac(octets)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,40}") {
            let _ = text.parse::<Mac>();
        }
    }
}
