//! The program `nanny`: options, surroundings, then the loop of [`nanny::shell`].

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::Context;
use daemonkit::children::die_with_parent;
use daemonkit::{exit, log};
use nanny::args::{HELP, Invocation, parse};
use nanny::confine::policy::Policy;
use nanny::confine::{ConfineError, Confinement};
use nanny::once::UNKNOWN;
use nanny::program::{HELPER, become_program};
use nanny::settings::{Place, Settings};
use nanny::shell::Shell;
use nix::sys::signal::SigSet;
use nix::unistd;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.next_if(|word| word == HELPER).is_some() {
        return ExitCode::from(become_program(words));
    }
    let settings = match parse(words) {
        Ok(Invocation::Help) => return print(HELP),
        Ok(Invocation::Version) => {
            return print(concat!("nanny ", env!("CARGO_PKG_VERSION"), " (lvs-router)\n"));
        }
        Ok(Invocation::Run(args)) => Settings::resolve(&args).inspect_err(|error| {
            // The standard error of a director that is a daemon leads nowhere.
            if args.no_fork && !args.foreground {
                log::start("nanny", log::Sink::Syslog, false);
                tracing::error!("{error}");
            }
        }),
        Err(error) => Err(error),
    };
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("nanny: {error}");
            return ExitCode::from(exit::USAGE);
        }
    };
    match run(&settings) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            tracing::error!(reason = %format_args!("{error:#}"), "cannot go on");
            let lacks_permission = error.is::<ConfineError>();
            ExitCode::from(match (lacks_permission, settings.once) {
                (true, _) => exit::NO_PERMISSION,
                (false, true) => UNKNOWN,
                (false, false) => exit::FAILED,
            })
        }
    }
}

fn run(settings: &Settings) -> anyhow::Result<u8> {
    // The original's director starts its monitors with signals blocked.
    SigSet::all().thread_unblock().context("unblock signals")?;
    let sink = match settings.place {
        Place::Foreground => log::Sink::foreground(),
        Place::Detached | Place::Daemon => log::Sink::Syslog,
    };
    log::start("nanny", sink, settings.verbose);
    match settings.place {
        Place::Daemon => unistd::daemon(false, false).context("become a daemon")?,
        Place::Detached => detach().context("let go of the terminal")?,
        Place::Foreground => {}
    }
    let shell = Shell::new(settings).context("prepare to wait for signals")?;
    let policy = Policy::of(settings, writes_files());
    let confinement = Confinement::begin(&policy)?;
    // Now, because the kernel forgets it when the user changes. A daemon has left its parent on purpose.
    if settings.place != Place::Daemon && !die_with_parent().context("follow the director")? {
        return Ok(settings.unasked());
    }
    let confined = confinement.finish()?;
    confined.log();
    shell.run(confined.complaint().as_deref())
}

/// Whether somebody has redirected standard output or standard error to a file.
fn writes_files() -> bool {
    let is_file = |stream: io::Result<Metadata>| stream.is_ok_and(|about| about.is_file());
    is_file(about(io::stdout())) || is_file(about(io::stderr()))
}

/// What is known of the file behind a stream.
fn about(stream: impl AsFd) -> io::Result<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}

/// Standard input and standard error become `/dev/null`; standard output is where the reports go and stays.
fn detach() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(null.as_fd())?;
    unistd::dup2_stderr(null.as_fd())?;
    // Fails only for the leader of a process group, which then has been set apart already.
    let _ = unistd::setsid();
    Ok(())
}

/// Prints to standard output; a reader that went away is no error.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(exit::FAILED),
        Ok(()) | Err(_) => ExitCode::from(exit::OK),
    }
}
