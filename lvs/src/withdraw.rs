//! Carries out [`crate::withdrawal`]: the lock, the list of services, the kernel, one loop. Reads no configuration,
//! and asks the kernel nothing when nothing is listed.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::thread;

use anyhow::Context as _;
use daemonkit::clock::Mono;
use daemonkit::log::{self, Sink};
use daemonkit::pidfile::PidFile;
use daemonkit::privilege::{Capability, keep_only};
use daemonkit::{exit, program};

use crate::action::{Action, Input};
use crate::args::{Mode, Withdraw};
use crate::kernel::{Kernel, LinuxKernel};
use crate::record::Record;
use crate::shell::{apply, write_down};
use crate::start::{PID_FILE, detach};
use crate::sysctl::files::{PROC_SYS, SysctlFiles, set_back};
use crate::withdrawal::Withdrawal;

/// Withdraws what an earlier run left; returns when that is done or cannot be done.
///
/// # Errors
/// Why it could not begin; [`crate::start::failure_code`] tells the exit code.
pub fn withdraw(asked: &Withdraw) -> anyhow::Result<ExitCode> {
    program::protect_new_files();
    log::start("lvs", if asked.syslog { Sink::Syslog } else { Sink::foreground() }, asked.verbose);
    detach(if asked.syslog { Mode::NoFork } else { Mode::Foreground })?;
    // Nobody may serve meanwhile, and of one who serves nothing is left over.
    let _pid_file = PidFile::take(&asked.run_dir.join(PID_FILE))?;
    keep_only(&[Capability::NET_ADMIN])?;
    let record = Record::in_folder(&asked.run_dir);
    let leftovers = record.read().with_context(|| format!("{}: cannot read", record.path().display()))?;
    let sysctls = SysctlFiles::new(PROC_SYS.as_ref(), &asked.run_dir);
    if leftovers.is_empty() {
        set_back(&sysctls);
        tracing::debug!(path = %record.path().display(), "no services are listed");
        return Ok(exit::OK.into());
    }
    let services = leftovers.len();
    match LinuxKernel::open() {
        Ok(mut kernel) => {
            let code = carry_out(Withdrawal::new(Mono::now(), leftovers), &mut kernel, &record);
            if code == exit::OK {
                set_back(&sysctls);
            }
            tracing::info!(services, code, "withdrawal ended");
            Ok(code.into())
        }
        // What the list names went with the module.
        Err(ipvsadm::Error::NotAvailable) => {
            tracing::info!(services, "the kernel has no IPVS, so nothing is left in it");
            record
                .write(&Default::default())
                .with_context(|| format!("{}: cannot remove", record.path().display()))?;
            set_back(&sysctls);
            Ok(exit::OK.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Does what `withdrawal` asks for until it ends; returns its exit code.
pub fn carry_out<K: Kernel>(mut withdrawal: Withdrawal, kernel: &mut K, record: &Record) -> u8 {
    let mut pending = VecDeque::new();
    loop {
        let input = pending.pop_front().unwrap_or(Input::Tick);
        let ticked = input == Input::Tick;
        for action in withdrawal.step(Mono::now(), input) {
            match action {
                Action::ReadTable => pending.push_back(Input::Table(kernel.read())),
                Action::Apply(requests) => pending.push_back(apply(kernel, &requests)),
                Action::Record(services) => pending.push_back(write_down(record, &services)),
                Action::Log(event) => event.log(),
                Action::Exit(code) => return code,
                _ => {}
            }
        }
        if ticked && pending.is_empty() {
            // Nothing else can happen before.
            thread::sleep(withdrawal.deadline().since(Mono::now()));
        }
    }
}
