//! Names of kernel modules: schedulers and persistence engines.
//!
//! Both are open sets, because a module may be added to the kernel at any time; so they are names with
//! the kernel's length limit and not enumerations. Whether a module exists is the kernel's to say.

use std::fmt;
use std::str::FromStr;

/// Longest name that fits the kernel's field beside its final NUL (`ip_vs.h`: `IP_VS_SCHEDNAME_MAXLEN`,
/// `IP_VS_PENAME_MAXLEN`, both 16).
const MAX: usize = 15;

/// Why a word cannot name a kernel module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a {kind} name: 1 to 15 printable ASCII characters without spaces are allowed, the first not a #"
)]
pub struct BadName {
    kind: &'static str,
    name: String,
}

/// A validated name, stored inline so that a table of thousands of services allocates none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Name {
    bytes: [u8; MAX],
    length: u8,
}

impl Name {
    const fn literal(name: &'static str) -> Self {
        let mut bytes = [0; MAX];
        let source = name.as_bytes();
        let mut length: u8 = 0;
        while (length as usize) < source.len() {
            bytes[length as usize] = source[length as usize];
            length += 1;
        }
        Self { bytes, length }
    }

    fn new(kind: &'static str, name: &str) -> Result<Self, BadName> {
        let bad = || BadName { kind, name: name.escape_debug().to_string() };
        // A word that begins with `#` would be a comment among saved rules.
        if name.is_empty() || name.starts_with('#') || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(bad());
        }
        let mut bytes = [0; MAX];
        bytes.get_mut(..name.len()).ok_or_else(bad)?.copy_from_slice(name.as_bytes());
        Ok(Self { bytes, length: u8::try_from(name.len()).map_err(|_| bad())? })
    }

    fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length)];
        std::str::from_utf8(bytes).expect("every constructor accepts ASCII only")
    }
}

macro_rules! module_name {
    ($type:ident, $kind:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Name);

        impl $type {
            /// Takes a name as the kernel module registers it.
            ///
            /// # Errors
            /// [`BadName`] unless it is 1 to 15 printable ASCII characters without spaces, the first not a `#`.
            pub fn new(name: &str) -> Result<Self, BadName> {
                Name::new($kind, name).map(Self)
            }

            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = BadName;

            fn from_str(name: &str) -> Result<Self, BadName> {
                Self::new(name)
            }
        }
    };
}

module_name!(
    Scheduler,
    "scheduler",
    "How a service spreads connections, by the name of its kernel module (`ip_vs_NAME`)."
);
module_name!(
    PersistenceEngine,
    "persistence engine",
    "What persistence is keyed on beside the client address, by the name of its kernel module (`ip_vs_pe_NAME`); `sip` is the only one in Linux."
);

macro_rules! known {
    ($($constant:ident $name:literal $doc:literal)*) => {
        impl Scheduler {
            $(#[doc = $doc] pub const $constant: Self = Self(Name::literal($name));)*

            /// The schedulers that Linux ships, in the order of the ipvsadm manual.
            pub const KNOWN: &'static [Self] = &[$(Self::$constant),*];
        }
    };
}

known! {
    RR "rr" "Round robin."
    WRR "wrr" "Weighted round robin."
    LC "lc" "Least connections."
    WLC "wlc" "Weighted least connections; the default of ipvsadm."
    LBLC "lblc" "Locality-based least connections (by destination address)."
    LBLCR "lblcr" "Locality-based least connections with replication."
    DH "dh" "Destination hashing."
    SH "sh" "Source hashing."
    SED "sed" "Shortest expected delay."
    NQ "nq" "Never queue: an idle server first, else shortest expected delay."
    FO "fo" "Weighted failover: the available server of highest weight."
    OVF "ovf" "Weighted overflow: highest weight until it holds that many active connections."
    MH "mh" "Maglev hashing."
    TWOS "twos" "Power of two random choices."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_to_fifteen_printable_characters() {
        assert_eq!(Scheduler::new("rr").unwrap(), Scheduler::RR);
        assert_eq!(Scheduler::new("abcdefghijklmno").unwrap().as_str(), "abcdefghijklmno");
        for bad in ["", "abcdefghijklmnop", "r r", "r\0", "ré", "r\n", "#rr"] {
            assert!(Scheduler::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            Scheduler::new("r r").unwrap_err().to_string(),
            "`r r` is not a scheduler name: 1 to 15 printable ASCII characters without spaces are allowed, the first not a #"
        );
    }

    #[test]
    fn every_known_scheduler_reads_back_as_itself() {
        for known in Scheduler::KNOWN {
            assert_eq!(known.as_str().parse::<Scheduler>().unwrap(), *known);
        }
        assert_eq!(Scheduler::KNOWN.len(), 14);
    }
}
