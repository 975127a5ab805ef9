//! Giving up what a process does not need, and proving that it is gone.
//!
//! Each program says which capabilities it keeps. Capabilities belong to a thread: call these before starting others.

use std::fmt;

use capctl::caps::{Cap, CapSet, CapState, ambient, bounding};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};

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
    /// The kernel agreed, yet this process is still somebody else.
    #[error("the user is still not {0} after changing it")]
    StillAnother(UserIds),
}

/// A user and its group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIds {
    /// The user's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
}

impl fmt::Display for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Keeps those of `keep` that this process has, and drops all other capabilities for ever, for itself and for whatever
/// it runs. A process that has no capability at all passes.
///
/// # Errors
/// [`PrivilegeError`]; the process should not go on then.
pub fn keep_only(keep: &[Cap]) -> Result<(), PrivilegeError> {
    limit_programs(keep)?;
    keep_for_self(keep)
}

/// Makes `keep` all that programs can ever have which this process runs as root: the bounding set. Takes CAP_SETPCAP;
/// without it nothing changes, and nothing has to, where this process is not root.
///
/// # Errors
/// [`PrivilegeError::Refused`].
pub fn limit_programs(keep: &[Cap]) -> Result<(), PrivilegeError> {
    if !holds(Cap::SETPCAP)? {
        return Ok(());
    }
    for cap in Cap::iter().filter(|cap| !keep.contains(cap)) {
        // A capability that this kernel does not know cannot be dropped and need not be.
        if bounding::read(cap) == Some(true) {
            bounding::drop(cap).map_err(refused("shrink the bounding set"))?;
        }
    }
    Ok(())
}

/// Becomes another user for ever, of no group but its own. The kernel takes the capabilities of a root that becomes somebody
/// else, and forgets the death signal that was asked for.
///
/// # Errors
/// [`PrivilegeError::Refused`] without CAP_SETUID and CAP_SETGID, or for a user that this user namespace does not know;
/// [`PrivilegeError::StillAnother`], after which the process should not go on.
pub fn become_user(ids: UserIds) -> Result<(), PrivilegeError> {
    let refused = |what| move |errno: Errno| refused(what)(capctl::Error::from_code(errno as i32));
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    setgroups(&[]).map_err(refused("leave the supplementary groups"))?;
    setresgid(gid, gid, gid).map_err(refused("change the group"))?;
    setresuid(uid, uid, uid).map_err(refused("change the user"))?;
    let users = getresuid().map_err(refused("read the user"))?;
    let groups = getresgid().map_err(refused("read the group"))?;
    let is_all_user = [users.real, users.effective, users.saved].iter().all(|held| *held == uid);
    let is_all_group = [groups.real, groups.effective, groups.saved].iter().all(|held| *held == gid);
    if is_all_user && is_all_group { Ok(()) } else { Err(PrivilegeError::StillAnother(ids)) }
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
    fn the_bounding_set_is_for_programs_and_shrinks_by_root_only() {
        // Capabilities belong to a thread; the other tests keep theirs.
        std::thread::spawn(|| {
            let could = holds(Cap::SETPCAP).unwrap();
            let before = bounding::probe();
            limit_programs(&[Cap::NET_ADMIN, Cap::SETPCAP]).unwrap();
            let expected: CapSet =
                [Cap::NET_ADMIN, Cap::SETPCAP].into_iter().filter(|cap| before.has(*cap)).collect();
            assert_eq!(bounding::probe(), if could { expected } else { before });
            assert_eq!(holds(Cap::SETPCAP).unwrap(), could, "this process has what it had");
        })
        .join()
        .unwrap();
    }

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
