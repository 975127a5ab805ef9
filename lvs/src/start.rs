//! Start-up in its order: log, file, kernel, pid file, privileges, and only then threads and children.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use daemonkit::clock::Mono;
use daemonkit::log::{self, Sink};
use daemonkit::notify::Notifier;
use daemonkit::pidfile::{PidFile, PidFileError};
use daemonkit::privilege::{Capability, PrivilegeError, holds, keep_for_self, limit_programs};
use daemonkit::{children, exit, program};
use lvs_ipc::control::{LVS_CONTROL_SOCKET, Plan};

use crate::args::{Mode, Run};
use crate::check::exit_code;
use crate::configuration::{self, Reader, Unusable};
use crate::dry_run;
use crate::engine::{Engine, Past, Settings, WallClock};
use crate::kernel::{Kernel as _, LinuxKernel};
use crate::nanny_args::MonitorSettings;
use crate::record::{self, Record};
use crate::shell::{Outside, Shell, warn_about};
use crate::state::StateFile;
use crate::sysctl::files::{PROC_SYS, SysctlFiles};
use crate::telling::Listeners;

/// File name of the pid file in the run directory.
pub(crate) const PID_FILE: &str = "lvs.pid";

/// Serves as asked; returns when told to end.
///
/// # Errors
/// Why serving could not begin; [`failure_code`] tells the exit code.
pub fn run(run: Run) -> anyhow::Result<ExitCode> {
    program::protect_new_files();
    let run = with_absolute_paths(run)?;
    let sink = if run.mode == Mode::Foreground { Sink::foreground() } else { Sink::Syslog };
    log::start("lvs", sink, run.verbose);
    let config_path = run.config.clone().unwrap_or_else(lvs_config::default_file);
    let mut reader = Reader::new(&run.state_dir);
    let usable = reader.load(&config_path)?;
    warn_about(&config_path, &usable);
    let kernel = LinuxKernel::open()?;
    let pid_path = run.run_dir.join(PID_FILE);
    if run.mode == Mode::Daemon {
        // While there is still a terminal to complain to; the fork changes the process id.
        drop(PidFile::take(&pid_path)?);
    }
    detach(run.mode)?;
    // Held until the end of this function, which is the end of serving.
    let _pid_file = PidFile::take(&pid_path)?;
    let listeners = Listeners::open(&run.run_dir, run.metrics)?;
    // Before the first thread: each thread has capabilities of its own.
    give_up_privileges()?;
    let settings = Settings { config_path: config_path.clone(), monitors: monitor_settings(&run) };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %config_path.display(),
        nanny = %settings.monitors.nanny.display(),
        "starting"
    );
    let record = Record::in_folder(&run.run_dir);
    let leftovers = record.read().unwrap_or_else(|error| {
        // Better to serve beside leftovers than not at all.
        tracing::error!(path = %record.path().display(), %error, "cannot read which services an earlier run left");
        BTreeSet::new()
    });
    let state_file = StateFile::in_folder(&run.state_dir);
    let state = state_file.read(WallClock::now());
    if let Err(error) = &state {
        tracing::error!(%error, "cannot read overrides and health of an earlier run; going on without");
    }
    let now = Mono::now();
    let sysctls = SysctlFiles::new(PROC_SYS.as_ref(), &run.run_dir);
    let mut engine =
        Engine::new(now, settings, usable.config, leftovers).after_sysctls(now, sysctls.left_behind());
    engine.restore(WallClock::at(now), state.map_err(|error| error.to_string()));
    let control_path = run.run_dir.join(LVS_CONTROL_SOCKET);
    let kernel = kernel.with_settings(sysctls);
    let notifier = Notifier::from_environment();
    let outside =
        Outside { kernel, record, listeners, state_file, control_path, config_path, reader, notifier };
    let code = Shell::start(engine, outside)?.run();
    tracing::info!(code, "ended");
    Ok(code.into())
}

/// Keeps what the table takes, and what monitors take who become another user: they themselves to do so, and this process to
/// signal them then. Without the latter they stay who they are, because they must end when they are told to.
fn give_up_privileges() -> Result<(), PrivilegeError> {
    let (table, signals) = (Capability::NET_ADMIN, Capability::KILL);
    let of_programs: &[_] =
        if holds(signals)? { &[table, Capability::SETUID, Capability::SETGID] } else { &[table] };
    limit_programs(of_programs)?;
    keep_for_self(&[table, signals])
}

/// Prints what [`run`] would do.
///
/// # Errors
/// When the file cannot be used.
pub fn dry_run(run: &Run) -> anyhow::Result<String> {
    let config_path = run.config.clone().unwrap_or_else(lvs_config::default_file);
    let usable = configuration::load(&config_path)?;
    let read = LinuxKernel::open().ok().and_then(|mut kernel| kernel.read().ok());
    Ok(dry_run::render(&usable.config, &monitor_settings(run), read.as_ref()))
}

/// What serving `file` would do at first, with what the kernel has and what an earlier run left in these folders. Changes
/// nothing.
///
/// # Errors
/// When the file cannot be used.
pub fn plan_of(file: &Path, run_dir: &Path, state_dir: &Path) -> anyhow::Result<Plan> {
    let usable = Reader::new(state_dir).consult(file)?;
    let read = LinuxKernel::open().map_err(|error| error.to_string()).and_then(|mut kernel| kernel.read());
    let leftovers = Record::in_folder(run_dir).read();
    let left = leftovers.map_err(|error| format!("{}: {error}", run_dir.join(record::FILE).display()));
    let nanny = program::beside_this_one("nanny");
    let monitors = MonitorSettings { nanny, verbose: false, foreground: false };
    let settings = Settings { config_path: file.to_owned(), monitors };
    let clock = WallClock::now();
    let past = Past { left, state: StateFile::in_folder(state_dir).look(clock) };
    Ok(Engine::plan_of_start(clock, settings, usable.config, past, read))
}

/// A daemon works in the root directory, so paths must not depend on where it was started.
fn with_absolute_paths(run: Run) -> anyhow::Result<Run> {
    let absolute =
        |path: PathBuf| std::path::absolute(&path).with_context(|| format!("{}: not a path", path.display()));
    Ok(Run {
        config: run.config.map(absolute).transpose()?,
        nanny: run.nanny.map(absolute).transpose()?,
        run_dir: absolute(run.run_dir)?,
        state_dir: absolute(run.state_dir)?,
        ..run
    })
}

fn monitor_settings(run: &Run) -> MonitorSettings {
    MonitorSettings {
        nanny: run.nanny.clone().unwrap_or_else(|| program::beside_this_one("nanny")),
        verbose: run.verbose,
        foreground: run.mode == Mode::Foreground,
    }
}

/// Takes the place in the process tree that the mode asks for.
pub(crate) fn detach(mode: Mode) -> anyhow::Result<()> {
    match mode {
        Mode::Daemon => return nix::unistd::daemon(false, false).context("cannot become a daemon"),
        // A process that leads its group already cannot, and need not, leave the session.
        Mode::NoFork => drop(nix::unistd::setsid()),
        Mode::Foreground => {}
    }
    match children::die_with_parent().context("cannot follow the supervisor's end")? {
        true => Ok(()),
        false => anyhow::bail!("the supervisor has ended"),
    }
}

/// The exit code for an error of this module.
#[must_use]
pub fn failure_code(error: &anyhow::Error) -> u8 {
    if let Some(unusable) = error.downcast_ref::<Unusable>() {
        return exit_code(unusable);
    }
    let denied =
        error.downcast_ref::<ipvsadm::Error>().is_some_and(|e| matches!(e, ipvsadm::Error::Permission))
            || error.downcast_ref::<PrivilegeError>().is_some()
            || error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(is_denied)
            || matches!(error.downcast_ref(), Some(PidFileError::Io { reason, .. }) if is_denied(reason));
    if denied { exit::NO_PERMISSION } else { exit::FAILED }
}

fn is_denied(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}
