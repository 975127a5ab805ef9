//! Guests as processes of the host: started in a group of their own, watched, and killed by id at their time
//! limit, when we are interrupted, and never otherwise.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{journal::locked, kernel::Console};

/// Process groups of the guests that run now.
static GROUPS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Exit status after an interruption, as shells have it for SIGINT.
const INTERRUPTED: i32 = 130;

/// From now on an interruption kills all guests first and then ends this process.
///
/// # Errors
/// When the signals cannot be caught.
pub fn kill_guests_when_interrupted() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("catch signals")?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if signals.forever().next().is_some() {
            for group in locked(&GROUPS).iter() {
                // It may end by itself meanwhile, which is as good.
                let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
            }
            eprintln!("\ninterrupted; guests stopped");
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(())
}

/// Runs a guest to its end and returns its status; nothing if it had to be killed at its limit. Its output, and the
/// messages of its kernel, are kept in `log`.
pub(crate) fn run(
    mut command: Command,
    limit: Duration,
    console: Console,
    log: &Path,
) -> Result<Option<ExitStatus>> {
    let log = File::create(log).with_context(|| format!("create {}", log.display()))?;
    if console == Console::Terminal {
        // Stays in our group: only that may read the terminal.
        let mut child = command.stderr(log).spawn().context("start the guest")?;
        return Ok(Some(child.wait()?));
    }
    let (read, write) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(write).stderr(log.try_clone()?).process_group(0);
    let child = command.spawn().context("start the guest")?;
    // Its ends of the pipe must go, or reading would never end.
    drop(command);
    let group = i32::try_from(child.id()).context("process id")?;
    locked(&GROUPS).push(group);
    let copier = copy_console(read, log, console == Console::Shown)?;
    let status = wait(child, group, limit);
    locked(&GROUPS).retain(|g| *g != group);
    // The group is gone, and with it the last writer.
    let _ = copier.join();
    status
}

fn copy_console(mut from: io::PipeReader, mut log: File, show: bool) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("console".to_owned()).spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // A full disk or a closed terminal must not stop the guest.
            let _ = log.write_all(&buffer[..length]);
            if show {
                let mut out = io::stdout().lock();
                let _ = out.write_all(&buffer[..length]).and_then(|()| out.flush());
            }
        }
    })
}

fn wait(mut child: Child, group: i32, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    let (done, ended) = mpsc::channel();
    // The waiter does not reap: until we do, the id cannot pass to a stranger.
    let waiter = thread::Builder::new().name("guest".to_owned()).spawn(move || {
        crate::program::wait_without_reaping(Pid::from_raw(group));
        // Nobody listens any more once the limit has passed.
        let _ = done.send(());
    })?;
    let in_time = ended.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok();
    // Also after a normal end: helpers of the guest kernel may outlive it for a moment.
    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    let _ = waiter.join();
    let status = child.wait().context("wait for the guest")?;
    Ok(in_time.then_some(status))
}
