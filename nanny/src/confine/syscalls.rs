//! Seccomp: the system calls that checking takes, and no other.
//!
//! What is not allowed fails with `EPERM` and ends nothing: should a C library use a call that is not listed here, the check
//! says which of its steps failed and why, and the other checks go on. (Calls by the numbers of another architecture do end
//! the process.) A program would inherit the filter, so one that runs programs has none.
//!
//! Memory that can be executed cannot be had, so what is injected cannot run. Nothing can be started, no file opened, no
//! process but this one be signalled, and no socket be had but those of the check.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::policy::Policy;

/// Calls whose arguments do not matter: they work on what is open, on time, or on this process's own memory and signals.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_fcntl,
    libc::SYS_ppoll,
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getppid,
    libc::SYS_geteuid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // What `poll` and `time` of a C library are, where the architecture has calls of their own for them.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// The bits of a socket's type that are not flags (`SOCK_TYPE_MASK`, include/linux/net.h).
const SOCKET_TYPE: u64 = 0xf;

/// Restricts this process for ever, or adds to `missing` why that cannot be. Returns whether it did.
pub fn restrict(policy: &Policy, missing: &mut Vec<String>) -> bool {
    if policy.runs_programs {
        return false;
    }
    let applied =
        compile(policy).map_err(seccompiler::Error::Backend).and_then(|filter| apply_filter(&filter));
    if let Err(error) = &applied {
        missing.push(format!("seccomp ({error})"));
    }
    applied.is_ok()
}

fn compile(policy: &Policy) -> Result<BpfProgram, BackendError> {
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules(policy)?, refusal, SeccompAction::Allow, architecture)?.try_into()
}

/// The calls that are allowed, each with the arguments that it may have; none means any.
fn rules(policy: &Policy) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // An empty list would be a call with any argument: a kind of socket that is not there is no call at all.
    for socket in &policy.sockets {
        let rule = SeccompRule::new(vec![
            equals(0, socket.family.unsigned_abs().into())?,
            masked(1, SOCKET_TYPE, socket.kind.unsigned_abs().into())?,
            equals(2, socket.protocol.unsigned_abs().into())?,
        ])?;
        rules.entry(libc::SYS_socket).or_default().push(rule);
        if socket.family == libc::AF_NETLINK {
            rules.entry(libc::SYS_bind).or_default();
        }
    }
    let own: u64 = std::process::id().into();
    // `abort` signals its own thread, which is the only one.
    for call in [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill] {
        rules.insert(call, vec![SeccompRule::new(vec![equals(0, own)?])?]);
    }
    let executable = libc::PROT_EXEC.unsigned_abs().into();
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![SeccompRule::new(vec![masked(2, executable, 0)?])?]);
    }
    let non_blocking = SeccompRule::new(vec![equals(1, libc::FIONBIO)?])?;
    rules.insert(libc::SYS_ioctl, vec![non_blocking]);
    Ok(rules)
}

/// Argument `at`, of 32 bits, is `value`.
fn equals(at: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// The bits `mask` of argument `at`, of 32 bits, are those of `value`.
fn masked(at: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(at, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}
