//! Landlock: no files, no ports but those of the check, no signals or abstract sockets of others.
//!
//! Sockets in the file system are left out of it: the log's is one. Opening any but that one is [`super::syscalls`]'s.

use std::fs::File;

use landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, NetPort, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::ConfineError;
use super::policy::Policy;

/// The newest version of the rules for files that is used.
const FILES: ABI = ABI::V8;
/// The first version with rules for ports, since Linux 6.7.
const PORTS: ABI = ABI::V4;
/// The first version with rules for signals and abstract sockets, since Linux 6.12.
const SCOPES: ABI = ABI::V6;

/// Any file that there is: what cannot be opened any more.
const ATTEMPT: &str = "/";

/// Restricts this process for ever, adds to `missing` what this kernel cannot do, and returns the version of the rules that
/// are in force, 0 for none.
///
/// # Errors
/// [`ConfineError::DidNotHold`] when a file can be opened in spite of the kernel's word.
pub fn restrict(policy: &Policy, missing: &mut Vec<String>) -> Result<u32, ConfineError> {
    let status = match apply(policy) {
        Ok(status) => status,
        Err(error) => {
            missing.push(format!("Landlock ({error})"));
            return Ok(0);
        }
    };
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi,
        LandlockStatus::NotEnabled => {
            missing.push("Landlock (not enabled in this kernel)".to_owned());
            return Ok(0);
        }
        LandlockStatus::NotImplemented => {
            missing.push("Landlock (not in this kernel)".to_owned());
            return Ok(0);
        }
    };
    if version < PORTS && !policy.runs_programs {
        missing.push("Landlock for ports (Linux 6.7 has it)".to_owned());
    }
    if version < SCOPES {
        missing.push("Landlock for signals (Linux 6.12 has it)".to_owned());
    }
    if status.ruleset == RulesetStatus::NotEnforced {
        return Ok(0);
    }
    if !policy.runs_programs && File::open(ATTEMPT).is_ok() {
        let (found, meant) = ("open to this process".to_owned(), "closed by Landlock".to_owned());
        return Err(ConfineError::DidNotHold { what: "the file system", found, meant });
    }
    Ok(version as u32)
}

fn apply(policy: &Policy) -> Result<RestrictionStatus, RulesetError> {
    if policy.runs_programs {
        return Ruleset::default().scope(Scope::Signal)?.create()?.restrict_self();
    }
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(FILES))?
        .handle_access(AccessNet::from_all(PORTS))?
        .scope(Scope::from_all(SCOPES))?
        .create()?;
    for port in &policy.tcp_ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}
