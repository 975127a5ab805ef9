//! Which clients count as one for persistence: a network of a given size, or in IPv4 any mask.

use std::fmt;
use std::net::Ipv4Addr;

use super::Family;

/// The part of a client's address that persistence looks at.
///
/// Nearly always a prefix. IPv4 also allows masks with holes, which no prefix length can say; they are a value of
/// their own, and a mask without holes is the same value as its prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Granularity(Part);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Prefix(u8),
    /// A mask whose ones are not all in front.
    Holes(Ipv4Addr),
}

impl Granularity {
    /// The first `length` bits: 0 to 32 for IPv4, 1 to 128 for IPv6 (the kernel refuses others).
    #[must_use]
    pub const fn prefix(length: u8) -> Self {
        Self(Part::Prefix(length))
    }

    /// Each client by itself: the whole address.
    #[must_use]
    pub fn single_client(family: Family) -> Self {
        Self::prefix(family.bits())
    }

    /// The bits that are set in an IPv4 mask.
    #[must_use]
    pub fn mask(mask: Ipv4Addr) -> Self {
        let bits = mask.to_bits();
        match u8::try_from(bits.leading_ones()) {
            Ok(length) if bits.leading_ones() == bits.count_ones() => Self::prefix(length),
            _ => Self(Part::Holes(mask)),
        }
    }

    /// The prefix length, `None` for a mask with holes.
    #[must_use]
    pub fn prefix_length(self) -> Option<u8> {
        match self.0 {
            Part::Prefix(length) => Some(length),
            Part::Holes(_) => None,
        }
    }

    /// The IPv4 mask; of a prefix longer than 32 that of a single address.
    #[must_use]
    pub fn to_mask(self) -> Ipv4Addr {
        match self.0 {
            Part::Holes(mask) => mask,
            Part::Prefix(length) => {
                let host_bits = 32 - u32::from(length.min(32));
                Ipv4Addr::from_bits(u32::MAX.checked_shl(host_bits).unwrap_or(0))
            }
        }
    }

    /// As `ipvsadm -M` takes it: a mask for IPv4, a prefix length for IPv6.
    #[must_use]
    pub fn word(self, family: Family) -> String {
        match (family, self.0) {
            (Family::V6, Part::Prefix(length)) => length.to_string(),
            _ => self.to_mask().to_string(),
        }
    }
}

/// As a prefix length with a slash, or as a mask: `/24`, `255.0.255.0`.
impl fmt::Display for Granularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Part::Prefix(length) => write!(f, "/{length}"),
            Part::Holes(mask) => mask.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_comes_back_and_one_without_holes_is_a_prefix() {
        for (mask, prefix) in [
            ("0.0.0.0", Some(0)),
            ("128.0.0.0", Some(1)),
            ("255.255.255.0", Some(24)),
            ("255.255.255.255", Some(32)),
            ("255.0.255.0", None),
            ("0.0.0.255", None),
        ] {
            let mask: Ipv4Addr = mask.parse().unwrap();
            assert_eq!(Granularity::mask(mask).to_mask(), mask);
            assert_eq!(Granularity::mask(mask).prefix_length(), prefix);
        }
        assert_eq!(Granularity::prefix(128).to_mask(), Ipv4Addr::BROADCAST);
    }

    #[test]
    fn it_is_shown_as_the_family_is_used_to() {
        let holes = Granularity::mask("255.0.255.0".parse().unwrap());
        assert_eq!(holes.to_string(), "255.0.255.0");
        assert_eq!(holes.word(Family::V4), "255.0.255.0");
        assert_eq!(Granularity::prefix(24).to_string(), "/24");
        assert_eq!(Granularity::prefix(24).word(Family::V4), "255.255.255.0");
        assert_eq!(Granularity::prefix(64).word(Family::V6), "64");
    }
}
