//! The kernel's network settings that the forwarding methods need: set while this router serves, kept so when somebody
//! else changes them, and set back afterwards.
//!
//! | module | decides |
//! | --- | --- |
//! | [`needs`] | what of the configuration the settings depend on |
//! | [`plan`] | which settings are wanted, with the reason for each; `docs/sysctls.md` is the table for people |
//! | [`keeper`] | what to read, write, remember and tell, from one reading to the next |
//! | [`memory`] | how the values of before are written down, so that a run after `kill -9` still knows them |
//! | [`event`] | what is worth a log line |
//! | [`files`] | carries out: `/proc/sys`, the file of what was before, the way to the real servers |
//!
//! [`Order`] and [`Answer`] are the whole protocol between the decisions and the world; one order is under way at a
//! time. A setting that this kernel does not have is no error, and one that cannot be written (`/proc/sys` is read-only
//! in most containers) is told once, with what to type by hand; neither keeps anything from being served.

pub mod event;
pub mod files;
pub mod keeper;
pub mod memory;
pub mod needs;
pub mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lvs_config::sysctl::SysctlName;

use memory::Remembered;

/// Something to do; answered by the [`Answer`] of the same kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Find out which interfaces there are, and which of them leads to each of these addresses.
    Survey(BTreeSet<IpAddr>),
    /// Read these settings.
    Read(BTreeSet<SysctlName>),
    /// Write down what was before; replaces what was written down.
    Remember(Vec<Remembered>),
    /// Give these settings these values, in this order.
    Write(Vec<(SysctlName, i64)>),
}

impl Order {
    /// The answer of a kernel that has no settings.
    #[must_use]
    pub fn without_settings(self) -> Answer {
        match self {
            Self::Survey(_) => Answer::Surveyed(Facts::default()),
            Self::Read(names) => {
                Answer::Read(names.into_iter().map(|name| (name, Err(Trouble::Missing))).collect())
            }
            Self::Remember(_) => Answer::Remembered(Ok(())),
            Self::Write(values) => Answer::Written(values.iter().map(|_| Err(Trouble::Missing)).collect()),
        }
    }
}

/// What became of an [`Order`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// What was found out.
    Surveyed(Facts),
    /// The settings, or why each cannot be read.
    Read(BTreeMap<SysctlName, Result<i64, Trouble>>),
    /// Done, or why not.
    Remembered(Result<(), String>),
    /// The outcome of each, in the order given.
    Written(Vec<Result<(), Trouble>>),
}

/// What the settings depend on beside the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// All interfaces.
    pub interfaces: BTreeSet<String>,
    /// The interface that leads to an address.
    pub towards: BTreeMap<IpAddr, String>,
}

/// Why a setting cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This kernel does not have it.
    Missing,
    /// Anything else, in words.
    Failed(String),
}
