//! What is worth a log line about the kernel's settings.

use lvs_config::sysctl::SysctlName;

/// A transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SysctlEvent {
    /// A setting gets the value that is needed.
    Set {
        /// Which.
        name: SysctlName,
        /// The value found.
        found: i64,
        /// The value that it gets.
        wanted: i64,
        /// Why.
        reason: String,
    },
    /// Somebody else changed a setting that was right; it is put right.
    Repaired {
        /// Which.
        name: SysctlName,
        /// The value found.
        found: i64,
        /// The value that it gets again.
        wanted: i64,
        /// Why.
        reason: String,
        /// How many such repairs this line stands for.
        times: u64,
    },
    /// A setting is not as it is needed and cannot be made so.
    Refused {
        /// Which.
        name: SysctlName,
        /// The value that it should have.
        wanted: i64,
        /// Why it should.
        reason: String,
        /// Why it has not.
        problem: String,
    },
    /// A setting that could not be made right is right now.
    Right(SysctlName),
    /// The file asks for a setting that this kernel does not have.
    Missing(SysctlName),
    /// A setting is not needed any more and gets its value of before.
    Restored {
        /// Which.
        name: SysctlName,
        /// The value found.
        found: i64,
        /// Its value of before.
        original: i64,
    },
    /// A setting is not needed any more, and somebody else has changed it: it stays as it is.
    LeftAsIs {
        /// Which.
        name: SysctlName,
        /// The value found.
        found: i64,
    },
    /// A setting could not be given its value of before.
    NotRestored {
        /// Which.
        name: SysctlName,
        /// Its value of before.
        original: i64,
        /// Why not.
        problem: String,
    },
    /// What was before could not be written down.
    NotRemembered(String),
}

impl SysctlEvent {
    /// Writes the line.
    pub fn log(&self) {
        match self {
            Self::Set { name, found, wanted, reason } => {
                tracing::info!(%name, found, wanted, %reason, "setting the kernel");
            }
            Self::Repaired { name, found, wanted, reason, times } => {
                tracing::warn!(%name, found, wanted, times, %reason, "repairing a setting changed by somebody else");
            }
            Self::Refused { name, wanted, reason, problem } => {
                let by_hand = format!("sysctl -w {name}={wanted}");
                tracing::warn!(%name, wanted, %problem, %reason, %by_hand, "cannot set the kernel");
            }
            Self::Right(name) => tracing::info!(%name, "the kernel is set right now"),
            Self::Missing(name) => {
                tracing::warn!(%name, "this kernel has no such setting; the file asks for it");
            }
            Self::Restored { name, found, original } => {
                tracing::info!(%name, found, original, "setting the kernel back");
            }
            Self::LeftAsIs { name, found } => {
                tracing::info!(%name, found, "somebody else has changed this setting; it stays so");
            }
            Self::NotRestored { name, original, problem } => {
                let by_hand = format!("sysctl -w {name}={original}");
                tracing::warn!(%name, original, %problem, %by_hand, "cannot set the kernel back");
            }
            Self::NotRemembered(reason) => {
                tracing::error!(%reason, "cannot write down what the kernel's settings were; the next run may not know");
            }
        }
    }
}
