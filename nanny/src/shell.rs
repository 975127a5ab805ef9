//! The loop around the monitor: one thread, one wait for everything, then one thing done at a time.
//!
//! It waits for a signal, the report reader's end of life, the probe, the load program, and the next deadline, all
//! together; nothing else in the process waits. So a signal counts in the middle of a probe, and a hung server or
//! program delays nothing but its own verdict.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use daemonkit::clock::Mono;
use daemonkit::exit;
use lvs_ipc::report::Report;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::check::{Failure, Medium, Verdict};
use crate::health::{State, Transition};
use crate::lateness::Late;
use crate::monitor::{Action, Input, Monitor};
use crate::once;
use crate::probe::Probe;
use crate::program::Dying;
use crate::random;
use crate::reporter::{Gone, Reporter};
use crate::row::Row;
use crate::settings::Settings;
use crate::table::Table;
use crate::weighing::Change;

/// Most killed programs that the kernel has not let go of; then no further check program is started.
const MOST_DYING: usize = 8;

/// The conditions under which a stream's other end is gone.
const CLOSED: PollFlags = PollFlags::POLLERR.union(PollFlags::POLLHUP).union(PollFlags::POLLNVAL);

/// A monitor with its surroundings. `Break(status)` ends the process with that status.
#[derive(Debug)]
pub struct Shell<'s> {
    settings: &'s Settings,
    server: String,
    monitor: Monitor,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    reporter: Reporter,
    probe: Option<Probe<'s>>,
    measurement: Option<Probe<'s>>,
    load_failed: bool,
    dying: Vec<Dying>,
    table: Option<Table>,
}

/// What a wait brought.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    reader_gone: bool,
    signalled: bool,
    probe_ready: bool,
    load_ready: bool,
}

impl<'s> Shell<'s> {
    /// Catches the signals and gets ready.
    ///
    /// # Errors
    /// The operating system's, when a signal cannot be caught.
    pub fn new(settings: &'s Settings) -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        let caught = [SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD];
        Ok(Self {
            settings,
            server: settings.server.to_string(),
            monitor: Monitor::new(Mono::now(), settings.rules, random::number()),
            signals: SignalDelivery::with_pipe(read, write, SignalOnly, caught)?,
            reporter: Reporter::new(),
            probe: None,
            measurement: None,
            load_failed: false,
            dying: Vec::new(),
            table: settings.duty.clone().map(Table::new),
        })
    }

    /// Runs until a signal or the monitor ends it, and returns the exit status. Says `complaint` first, to whom it concerns.
    ///
    /// # Errors
    /// The operating system's, when waiting fails.
    pub fn run(mut self, complaint: Option<&str>) -> anyhow::Result<u8> {
        for warning in &self.settings.warnings {
            tracing::warn!(vs = %self.settings.service, rs = %self.server, "{warning}");
        }
        match complaint {
            // One that reads the reports of thousands says it once.
            Some(complaint) if self.settings.reports_only => {
                let notice = Report::Notice { server: self.server.clone(), reason: complaint.to_owned() };
                if let ControlFlow::Break(status) = self.report(&notice) {
                    return Ok(status);
                }
            }
            Some(complaint) => tracing::warn!(vs = %self.settings.service, rs = %self.server, "{complaint}"),
            None => {}
        }
        let status = loop {
            let news = self.wait()?;
            if let ControlFlow::Break(status) = self.turn(Mono::now(), news) {
                break status;
            }
        };
        self.want(Mono::now(), Row::withdraw);
        Ok(status)
    }

    /// Waits for whatever comes first.
    fn wait(&self) -> anyhow::Result<News> {
        let (stdout, room) = self.reporter.interest();
        let mut fds =
            vec![PollFd::new(self.signals.get_read().as_fd(), PollFlags::POLLIN), PollFd::new(stdout, room)];
        let probe = self.probe.as_ref().map_or(Vec::new(), Probe::interest);
        let of_probe = fds.len()..fds.len() + probe.len();
        fds.extend(probe.into_iter().map(|(fd, flags)| PollFd::new(fd, flags)));
        let load = self.measurement.as_ref().map_or(Vec::new(), Probe::interest);
        let of_load = fds.len()..fds.len() + load.len();
        fds.extend(load.into_iter().map(|(fd, flags)| PollFd::new(fd, flags)));
        let deadlines = [
            self.monitor.deadline(),
            self.probe.as_ref().map(Probe::deadline),
            self.measurement.as_ref().map(Probe::deadline),
            self.table.as_ref().and_then(Table::deadline),
        ];
        let now = Mono::now();
        let left = deadlines.into_iter().flatten().min().map(|deadline| TimeSpec::from(deadline.since(now)));
        match ppoll(&mut fds, left, None) {
            Ok(_) => {}
            // By a signal, which is in the pipe by now.
            Err(Errno::EINTR) => return Ok(News { signalled: true, ..News::default() }),
            Err(errno) => return Err(anyhow::Error::new(errno).context("wait")),
        }
        let came = |at: usize| fds.get(at).and_then(PollFd::revents).unwrap_or(PollFlags::empty());
        Ok(News {
            reader_gone: came(1).intersects(CLOSED),
            signalled: !came(0).is_empty(),
            probe_ready: of_probe.into_iter().any(|at| !came(at).is_empty()),
            load_ready: of_load.into_iter().any(|at| !came(at).is_empty()),
        })
    }

    /// Does what can be done at `now`.
    fn turn(&mut self, now: Mono, news: News) -> ControlFlow<u8> {
        if news.reader_gone || self.reporter.flush().is_err() {
            return ControlFlow::Break(self.settings.unasked());
        }
        let arrived: Vec<i32> = if news.signalled { self.signals.pending().collect() } else { Vec::new() };
        for signal in arrived {
            match signal {
                SIGTERM | SIGINT => return ControlFlow::Break(self.settings.unasked()),
                SIGHUP => self.feed(now, Input::CheckNow)?,
                SIGUSR1 => self.feed(now, Input::ForceDown)?,
                SIGUSR2 => self.feed(now, Input::ForceUp)?,
                // The probe and the load program are looked at below.
                _ => self.dying.retain_mut(|program| !program.is_gone()),
            }
        }
        if let Some(verdict) = self.probe.as_mut().and_then(|probe| probe.advance(now, news.probe_ready)) {
            let took = self.probe.as_ref().map_or(Duration::ZERO, |probe| now.since(probe.started()));
            self.stop_probe();
            self.feed(now, Input::Probed { verdict, took })?;
        }
        if let Some(verdict) = self.measurement.as_mut().and_then(|asked| asked.advance(now, news.load_ready))
        {
            let input = self.measured(verdict);
            self.feed(now, input)?;
        }
        if let Some(table) = self.table.as_mut().filter(|table| table.deadline().is_some_and(|at| now >= at))
        {
            table.settle(now);
        }
        self.feed(now, Input::Tick)
    }

    /// Tells the monitor, and does what it wants.
    fn feed(&mut self, now: Mono, input: Input) -> ControlFlow<u8> {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            if let Input::Probed { verdict, took } = &input {
                self.log_probe(verdict, *took);
                if self.settings.once {
                    return ControlFlow::Break(once::tell(self.settings.target, verdict, *took));
                }
            }
            for action in self.monitor.step(now, input) {
                inputs.extend(self.carry_out(now, action)?);
            }
        }
        ControlFlow::Continue(())
    }

    /// Carries out one action, and returns what is already known to follow from it.
    fn carry_out(&mut self, now: Mono, action: Action) -> ControlFlow<u8, Option<Input>> {
        match action {
            Action::StartProbe => return ControlFlow::Continue(self.start_probe(now)),
            Action::StopProbe => self.stop_probe(),
            Action::Measure => return ControlFlow::Continue(self.start_measurement(now)),
            Action::Up { transition, reason, took } => {
                let is_concern = reason.concern().is_some();
                let reason = reason.to_string();
                if is_concern {
                    let (vs, rs) = (&self.settings.service, &self.server);
                    tracing::warn!(%vs, %rs, reason, "real server needs attention");
                }
                self.log_transition(transition, State::Up, &reason, took);
                self.want(now, Row::up);
                self.report(&Report::Active { server: self.server.clone(), took, reason })?;
            }
            Action::Down { transition, reason, took } => {
                let reason = reason.to_string();
                self.log_transition(transition, State::Down, &reason, took);
                self.want(now, Row::down);
                self.report(&Report::Inactive { server: self.server.clone(), took, reason })?;
            }
            Action::Weight(Change { weight, reason }) => {
                self.log_weight(weight, &reason);
                self.want(now, |row| row.weight(weight));
                self.report(&Report::Weight { server: self.server.clone(), weight, reason })?;
            }
            Action::CannotProbe(fault) => {
                let (vs, rs) = (&self.settings.service, &self.server);
                tracing::warn!(%vs, %rs, reason = %fault, "cannot check; the state stays as it is");
            }
            Action::Late(Late { starts, worst }) => {
                self.report(&Report::Late { server: self.server.clone(), starts, worst })?;
            }
            Action::Exit(status) => return ControlFlow::Break(status),
        }
        ControlFlow::Continue(None)
    }

    fn start_probe(&mut self, now: Mono) -> Option<Input> {
        let took = Duration::ZERO;
        // What needs no program is checked all the same.
        let runs_program = matches!(self.settings.check.medium(), Medium::Program(_));
        if runs_program && self.dying.len() >= MOST_DYING {
            let verdict = Verdict::Unhealthy(Failure::ProgramStuck);
            return Some(Input::Probed { verdict, took });
        }
        match Probe::start(now, &self.settings.check, self.settings.target, self.settings.narrated) {
            Ok(probe) => {
                self.probe = Some(probe);
                None
            }
            Err(verdict) => Some(Input::Probed { verdict, took }),
        }
    }

    fn stop_probe(&mut self) {
        let killed = self.probe.take().and_then(Probe::stop);
        self.dying.extend(killed.into_iter().filter_map(Dying::still_there));
    }

    /// The load is less than health: it waits until every killed program is gone, so that it never adds up to what
    /// would stop a check.
    fn start_measurement(&mut self, now: Mono) -> Option<Input> {
        if !self.dying.is_empty() {
            self.log_load_failure("an earlier program cannot be killed");
            return Some(Input::Measured(None));
        }
        let source = self.settings.load.as_ref()?;
        match Probe::start(now, &source.check, source.target, false) {
            Ok(asked) => {
                self.measurement = Some(asked);
                None
            }
            Err(verdict) => Some(self.measured(verdict)),
        }
    }

    /// What the end of a measurement means.
    fn measured(&mut self, verdict: Verdict) -> Input {
        let asked = self.measurement.take();
        let answer = asked.as_ref().map_or(&[][..], Probe::answer);
        let measured = match verdict {
            Verdict::Healthy(_) => {
                let source = self.settings.load.as_ref();
                source.map_or_else(|| Err("nobody is asked".into()), |source| source.read(answer))
            }
            Verdict::Unhealthy(reason) => Err(reason.to_string()),
            Verdict::Unknown(reason) => Err(reason.to_string()),
        };
        let killed = asked.and_then(Probe::stop);
        self.dying.extend(killed.into_iter().filter_map(Dying::still_there));
        match &measured {
            Ok(_) => self.load_failed = false,
            Err(reason) => self.log_load_failure(reason),
        }
        Input::Measured(measured.ok())
    }

    fn want(&mut self, now: Mono, change: impl FnOnce(&mut Row)) {
        if let Some(table) = &mut self.table {
            table.want(now, change);
        }
    }

    fn report(&mut self, report: &Report) -> ControlFlow<u8> {
        match self.reporter.report(report) {
            Ok(()) => ControlFlow::Continue(()),
            Err(Gone) => ControlFlow::Break(exit::OK),
        }
    }

    fn log_probe(&self, verdict: &Verdict, took: Duration) {
        let (vs, rs, took_ms) = (&self.settings.service, &self.server, millis(took));
        match verdict {
            Verdict::Healthy(reason) => tracing::debug!(%vs, %rs, %reason, took_ms, "probe passed"),
            Verdict::Unhealthy(reason) => tracing::debug!(%vs, %rs, %reason, took_ms, "probe failed"),
            Verdict::Unknown(reason) => tracing::debug!(%vs, %rs, %reason, took_ms, "probe not made"),
        }
    }

    fn log_transition(&self, transition: Option<Transition>, to: State, reason: &str, took: Duration) {
        let (vs, rs, took_ms) = (&self.settings.service, &self.server, millis(took));
        let from = transition.map_or(to, |transition| transition.from).name();
        let (to, up) = (to.name(), to == State::Up);
        match (self.settings.reports_only, up) {
            (true, true) => tracing::debug!(%vs, %rs, from, to, reason, took_ms, "real server up"),
            (true, false) => tracing::debug!(%vs, %rs, from, to, reason, took_ms, "real server down"),
            (false, true) => tracing::info!(%vs, %rs, from, to, reason, took_ms, "real server up"),
            (false, false) => tracing::warn!(%vs, %rs, from, to, reason, took_ms, "real server down"),
        }
    }

    fn log_weight(&self, weight: u16, reason: &str) {
        let (vs, rs) = (&self.settings.service, &self.server);
        match self.settings.reports_only {
            true => tracing::debug!(%vs, %rs, weight, reason, "weight changed"),
            false => tracing::info!(%vs, %rs, weight, reason, "weight changed"),
        }
    }

    fn log_load_failure(&mut self, reason: &str) {
        let (vs, rs) = (&self.settings.service, &self.server);
        if std::mem::replace(&mut self.load_failed, true) {
            tracing::debug!(%vs, %rs, reason, "load not measured");
        } else {
            tracing::warn!(%vs, %rs, reason, "load not measured; the weight stays as it is");
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::process::Command;

    use super::*;
    use crate::args::{Invocation, parse};
    use crate::program::Program;

    fn settings(line: &str) -> Settings {
        match parse(line.split(' ').map(OsString::from)) {
            Ok(Invocation::Run(args)) => Settings::resolve(&args).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// As many programs as the kernel is allowed not to let go of; nobody looks whether it has.
    fn stuck() -> Vec<Dying> {
        let start = |_| Program::start_command(Command::new("/bin/true")).unwrap().kill();
        (0..MOST_DYING).map(start).collect()
    }

    #[test]
    fn programs_that_cannot_be_killed_stop_programs_and_no_other_check() {
        let connects = settings("-h 127.0.0.1 -p 1 -U rup");
        let mut shell = Shell::new(&connects).unwrap();
        shell.dying = stuck();
        let refused = |verdict: &Verdict| matches!(verdict, Verdict::Unhealthy(Failure::Connect(_)));
        match shell.start_probe(Mono::ZERO) {
            None => assert!(shell.probe.is_some()),
            Some(Input::Probed { verdict, .. }) => assert!(refused(&verdict), "{verdict:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(shell.start_measurement(Mono::ZERO), Some(Input::Measured(None)));
        assert!(shell.measurement.is_none());

        let runs = settings("-h 127.0.0.1 -p 1 -e /bin/true");
        let mut shell = Shell::new(&runs).unwrap();
        shell.dying = stuck();
        let verdict = Verdict::Unhealthy(Failure::ProgramStuck);
        let took = Duration::ZERO;
        assert_eq!(shell.start_probe(Mono::ZERO), Some(Input::Probed { verdict, took }));
    }
}
