//! Giving up what a process does not need, and proving that it is gone.
//!
//! Each program says which capabilities it keeps. Capabilities belong to a thread: call these before starting others.

use capctl::caps::{Cap, CapSet, CapState, ambient, bounding};

pub use capctl::caps::Cap as Capability;

/// Why privileges could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// A call of the kernel failed.
    #[error("cannot {what}: {source}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: capctl::Error,
    },
    /// The kernel agreed, yet a capability is still there.
    #[error("capabilities are still held after dropping them: {0:?}")]
    StillHeld(Vec<Cap>),
}

/// Keeps those of `keep` that this process has, and drops all other capabilities for ever, for itself and for whatever
/// it runs. A process that has no capability at all passes.
///
/// # Errors
/// [`PrivilegeError`]; the process should not go on then.
pub fn keep_only(keep: &[Cap]) -> Result<(), PrivilegeError> {
    if CapState::get_current().map_err(refused("read the capabilities"))?.effective.has(Cap::SETPCAP) {
        for cap in Cap::iter().filter(|cap| !keep.contains(cap)) {
            // A capability that this kernel does not know cannot be dropped and need not be.
            if bounding::read(cap) == Some(true) {
                bounding::drop(cap).map_err(refused("shrink the bounding set"))?;
            }
        }
    }
    keep_for_self(keep)
}

/// Keeps those of `keep` that this process has for itself, but lets programs that it runs as root have theirs.
///
/// # Errors
/// [`PrivilegeError`]; the process should not go on then.
pub fn keep_for_self(keep: &[Cap]) -> Result<(), PrivilegeError> {
    let now = CapState::get_current().map_err(refused("read the capabilities"))?;
    let kept: CapSet = keep.iter().copied().filter(|cap| now.permitted.has(*cap)).collect();
    if ambient::is_supported() {
        ambient::clear().map_err(refused("clear the ambient set"))?;
    }
    let wanted = CapState { effective: kept, permitted: kept, inheritable: CapSet::empty() };
    wanted.set_current().map_err(refused("drop capabilities"))?;
    let left = CapState::get_current().map_err(refused("read the capabilities"))?;
    let extra: Vec<Cap> =
        (left.permitted | left.effective).iter().filter(|cap| !keep.contains(cap)).collect();
    if extra.is_empty() { Ok(()) } else { Err(PrivilegeError::StillHeld(extra)) }
}

/// Whether this process has `cap` and can use it.
///
/// # Errors
/// [`PrivilegeError::Refused`] when the kernel does not tell.
pub fn holds(cap: Cap) -> Result<bool, PrivilegeError> {
    Ok(CapState::get_current().map_err(refused("read the capabilities"))?.effective.has(cap))
}

fn refused(what: &'static str) -> impl Fn(capctl::Error) -> PrivilegeError {
    move |source| PrivilegeError::Refused { what, source }
}

/// Promises that neither this process nor any that it starts gains privileges by exec (`no_new_privs`).
///
/// # Errors
/// [`PrivilegeError::Refused`] when the kernel does not know the promise.
pub fn no_new_privileges() -> Result<(), PrivilegeError> {
    capctl::prctl::set_no_new_privs().map_err(refused("set no_new_privs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_after_keeping_nothing() {
        // Capabilities belong to a thread; the other tests keep theirs.
        std::thread::spawn(|| {
            keep_only(&[]).unwrap();
            let left = CapState::get_current().unwrap();
            assert!(left.permitted.is_empty() && left.effective.is_empty() && left.inheritable.is_empty());
            assert!(!holds(Cap::NET_ADMIN).unwrap());
            no_new_privileges().unwrap();
            keep_only(&[Cap::NET_ADMIN]).unwrap();
            assert!(CapState::get_current().unwrap().permitted.is_empty());
        })
        .join()
        .unwrap();
    }
}
