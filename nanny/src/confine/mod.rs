//! Giving up, before the first byte of a server's answer is read, whatever checking it does not take; and proving that it
//! is gone.
//!
//! ```text
//! settings -> policy (pure) -> begin: another user, no capabilities, no_new_privs
//!                           -> finish: resource limits, Landlock, seccomp, then a look at /proc/self
//! ```
//!
//! What a kernel lacks is told and done without. What it says that it has done and has not is the end. Nothing here can
//! be undone; all of it holds for the programs that are run as well, so with a program there is less of it ([`policy`]).

use std::fs::File;
use std::io::{self, Read};

use daemonkit::privilege::{self, PrivilegeError, UserIds, become_user, keep_for_self, limit_programs};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{getegid, geteuid};

use self::held::{Held, verify_limits};
use self::policy::Policy;

pub mod files;
pub mod held;
pub mod limits;
pub mod policy;
pub mod syscalls;
pub mod user;

/// Why a process must not go on.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A capability or `no_new_privs`.
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    /// The kernel agreed to something, and `/proc/self` or an attempt says otherwise.
    #[error("{what} is {found} and should be {meant}, although the kernel agreed")]
    DidNotHold {
        /// What was looked at.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        meant: String,
    },
}

/// What is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// As whom this process runs.
    pub user: UserIds,
    /// The capabilities that it has kept, as a mask.
    pub capabilities: u64,
    /// Whether it can make only the system calls that checking takes.
    pub syscalls: bool,
    /// The version of Landlock's rules, 0 for none.
    pub landlock: u32,
    /// What this kernel or this start does not give, each as a few words.
    pub missing: Vec<String>,
}

/// A process that has begun to give things up. What follows must not wait for anything foreign before
/// [`Confinement::finish`].
#[derive(Debug)]
#[must_use]
pub struct Confinement<'p> {
    policy: &'p Policy,
    /// The user that it meant to become, and did.
    user: Option<UserIds>,
    /// As whom it runs.
    is: UserIds,
    missing: Vec<String>,
    proof: Option<Proof>,
}

/// More than a file of `/proc/self` that is looked at has, in bytes.
const PROOF: u64 = 1 << 16;

/// Files of `/proc/self`, opened while files can be opened.
#[derive(Debug)]
struct Proof {
    status: File,
    limits: File,
}

impl<'p> Confinement<'p> {
    /// Gives up the user, the groups, the capabilities and the hope of new ones. The kernel forgets a death signal at that:
    /// ask for it afterwards.
    ///
    /// # Errors
    /// [`ConfineError`]; the process must not go on then.
    pub fn begin(policy: &'p Policy) -> Result<Self, ConfineError> {
        let mut missing = Vec::new();
        let proof = Proof::open().map_err(|error| missing.push(format!("proof (/proc/self: {error})"))).ok();
        limit_programs(policy.capabilities)?;
        let (wanted, reason) = policy.identity(geteuid().is_root(), user::read);
        missing.extend(reason.map(|reason| format!("own user ({reason})")));
        let user = match wanted.map(|ids| become_user(ids).map(|()| ids)).transpose() {
            Ok(user) => user,
            Err(refused @ PrivilegeError::Refused { .. }) => {
                missing.push(format!("own user ({refused})"));
                None
            }
            Err(error) => return Err(error.into()),
        };
        let is = UserIds { uid: geteuid().as_raw(), gid: getegid().as_raw() };
        keep_for_self(policy.capabilities)?;
        privilege::no_new_privileges()?;
        // Others of the same user shall not look into this process; a program that it runs is not affected.
        if let Err(errno) = set_dumpable(false) {
            missing.push(format!("protection from other processes of its user ({})", errno.desc()));
        }
        Ok(Self { policy, user, is, missing, proof })
    }

    /// Closes the rest, and looks whether all of it holds. No file can be opened afterwards.
    ///
    /// # Errors
    /// [`ConfineError`]; the process must not go on then.
    pub fn finish(mut self) -> Result<Confined, ConfineError> {
        let limits = self.policy.limits();
        for limit in &limits {
            if let Err(errno) = limit.apply() {
                self.missing.push(format!("limit of {} ({})", limit.name(), errno.desc()));
            }
        }
        let landlock = files::restrict(self.policy, &mut self.missing)?;
        let syscalls = syscalls::restrict(self.policy, &mut self.missing);
        let mut confined =
            Confined { user: self.is, capabilities: 0, syscalls, landlock, missing: self.missing };
        if let Some(proof) = &mut self.proof {
            match proof.read() {
                Ok((status, in_force)) => {
                    let held = Held::parse(&status);
                    held.verify(self.policy, self.user, syscalls)?;
                    confined.capabilities = held.capabilities();
                    let refused = |name: &str| confined.missing.iter().any(|missing| missing.contains(name));
                    verify_limits(&in_force, limits.iter().filter(|limit| !refused(limit.name())))?;
                }
                Err(error) => confined.missing.push(format!("proof (/proc/self: {error})")),
            }
        }
        Ok(confined)
    }
}

impl Proof {
    fn open() -> io::Result<Self> {
        // Of this thread: what is given up here belongs to threads.
        Ok(Self { status: File::open("/proc/thread-self/status")?, limits: File::open("/proc/self/limits")? })
    }

    fn read(&mut self) -> io::Result<(String, String)> {
        // Bounded, and without a look at a size that cannot be asked for any more.
        let text = |file: &mut File| io::read_to_string(file.take(PROOF));
        Ok((text(&mut self.status)?, text(&mut self.limits)?))
    }
}

impl Confined {
    /// Says what is in force, for whoever wants details.
    pub fn log(&self) {
        tracing::debug!(
            user = %self.user,
            caps = %if self.capabilities == 0 { "none".to_owned() } else { format!("{:#x}", self.capabilities) },
            no_new_privs = 1,
            seccomp = if self.syscalls { "filter" } else { "none" },
            landlock = self.landlock,
            "confined"
        );
    }

    /// What is missing, in a sentence; `None` if all is as meant.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        (!self.missing.is_empty())
            .then(|| format!("not fully confined; missing: {}", self.missing.join(", ")))
    }
}
