//! One program run to its end in a host, by the clock.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Host,
    program::{Launch, suite_binary, wait_without_reaping},
};

/// A program that can be measured: started without a shell or script in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    /// The file.
    pub(crate) path: PathBuf,
    /// Environment variables that it needs, besides ours.
    pub(crate) env: Vec<(String, String)>,
}

/// What to run: arguments, and the files behind its standard input and output, as the host sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    /// Arguments.
    pub(crate) args: &'a [&'a str],
    /// Standard input; without one it is empty.
    pub(crate) input: Option<&'a Path>,
    /// Standard output, made anew.
    pub(crate) output: &'a Path,
    /// How long it may take before it is killed.
    pub(crate) limit: Duration,
}

/// Where standard error goes, as the host sees it.
const ERRORS: &str = "/run/bench-errors";

impl Executable {
    /// A program of the suite.
    ///
    /// # Errors
    /// When it is not built.
    pub(crate) fn ours(name: &str) -> Result<Self> {
        Ok(Self { path: suite_binary(name)?, env: Vec::new() })
    }

    /// The program, about to be started in a host as a daemon.
    pub(crate) fn launch(&self, host: &Host) -> Launch {
        let launch = host.tool(&self.path.display().to_string());
        self.env.iter().fold(launch, |launch, (key, value)| launch.env(key, value))
    }

    /// Runs a job in a host and returns how long it took, from before the start of the process to its end.
    ///
    /// # Errors
    /// When it cannot be started, does not end in time, fails, or complains.
    pub(crate) fn time(&self, host: &Host, job: &Job<'_>) -> Result<Duration> {
        let what = || format!("{} {}", self.path.display(), job.args.join(" "));
        let took = host.try_enter(|| self.time_here(job)).with_context(what)?;
        host.note(format_args!("{} {} took {took:?}", self.path.display(), job.args.join(" ")));
        Ok(took)
    }

    fn time_here(&self, job: &Job<'_>) -> Result<Duration> {
        let mut command = Command::new(&self.path);
        command.args(job.args).envs(self.env.iter().map(|(key, value)| (key, value)));
        let input =
            job.input.map(|path| File::open(path).with_context(|| format!("open {}", path.display())));
        command.stdin(input.transpose()?.map_or_else(Stdio::null, Stdio::from));
        let create = |path: &Path| File::create(path).with_context(|| format!("create {}", path.display()));
        command.stdout(create(job.output)?).stderr(create(ERRORS.as_ref())?);

        let (ended, watched) = mpsc::channel::<()>();
        let pid: OnceLock<Pid> = OnceLock::new();
        let pid = &pid;
        let (took, status) = thread::scope(|scope| {
            // It waits before the clock starts, and the program's end does not wait for it.
            let watchdog = thread::Builder::new().name("limit".to_owned()).spawn_scoped(scope, move || {
                let late = watched.recv_timeout(job.limit) == Err(mpsc::RecvTimeoutError::Timeout);
                if let (true, Some(pid)) = (late, pid.get()) {
                    // Not reaped before we are joined, so the id is still its own.
                    let _ = kill(*pid, Signal::SIGKILL);
                }
                late
            });
            let watchdog = watchdog.context("start a thread")?;
            let start = Instant::now();
            let mut child = command.spawn().context("start it")?;
            let id = Pid::from_raw(i32::try_from(child.id()).context("process id")?);
            pid.get_or_init(|| id);
            wait_without_reaping(id);
            let took = start.elapsed();
            drop(ended);
            let late = watchdog.join().unwrap_or(false);
            let status = child.wait().context("wait for it")?;
            ensure!(!late, "it took longer than {:?}", job.limit);
            Ok((took, status))
        })?;
        let errors = fs::read_to_string(ERRORS).context("read its standard error")?;
        if !status.success() || !errors.is_empty() {
            bail!("{status}: {}", errors.lines().next().unwrap_or("without a word"));
        }
        Ok(took)
    }
}
