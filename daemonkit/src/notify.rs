//! What a service tells the manager that started it: the datagrams of sd_notify(3) on the socket that the environment
//! names. Without one every call does nothing, so callers need not ask who started them.
//!
//! Nothing here waits: a manager that does not read must not hold the service up. What it has to know it is told again
//! until it has taken it. Whether the service is alive is for the owner's loop to say, by [`Notifier::turn`]: a loop that
//! stands still says nothing, and the manager acts.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::Duration;

use crate::clock::Mono;

/// Name of the environment variable with the socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Name of the one with the longest silence that the manager puts up with, in microseconds.
const WATCHDOG: &str = "WATCHDOG_USEC";
/// Name of the one with the process that is watched.
const WATCHED: &str = "WATCHDOG_PID";
/// How often in the longest silence the manager hears that this process is alive: one word may get lost.
const WORDS_PER_SILENCE: u32 = 3;
/// Longest line for people, in bytes.
const LONGEST_STATUS: usize = 256;

/// Keeps from a program what the manager meant for this process.
pub fn hide_from(program: &mut Command) {
    for name in [SOCKET, WATCHDOG, WATCHED] {
        program.env_remove(name);
    }
}

/// What the manager was told last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Starting,
    Ready,
    Reloading,
    Stopping,
}

/// The way to the manager.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// The longest silence, when this process is watched.
    watchdog: Option<Duration>,
    alive_due: Option<Mono>,
    phase: Phase,
    /// The last phase, as long as there was no room for it.
    unheard: Option<String>,
    status: String,
}

impl Notifier {
    /// The way that the environment names. A name that is no socket's is told and then ignored: whether anybody
    /// listens is not this program's business. A process that becomes a daemon asks after that, with the process id that
    /// it keeps.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let Some(name) = variable(SOCKET) else { return Self::default() };
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        // What was set for another process is not meant for this one.
        let watched = variable(WATCHED).is_none() || number(WATCHED) == Some(u64::from(std::process::id()));
        let silence = number(WATCHDOG).filter(|micros| watched && *micros > 0).map(Duration::from_micros);
        Self::new(&name, silence).unwrap_or_else(|error| {
            tracing::warn!(name = %name.display(), %error, "NOTIFY_SOCKET cannot be used");
            Self::default()
        })
    }

    /// The way to the socket `name`: an absolute path, or a name of the abstract kind after `@`. With `watchdog` the
    /// manager is to hear at least once in that time that this process is alive.
    ///
    /// # Errors
    /// When `name` is neither, or those of the system calls.
    pub fn new(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(name)?,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a path nor @NAME")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket: Some((socket, address)), watchdog, ..Self::default() })
    }

    /// Whether there is a manager to be told anything.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// The service serves. Said once.
    pub fn ready(&mut self) {
        if self.phase == Phase::Starting {
            self.enter(Phase::Ready, "READY=1".into());
        }
    }

    /// The file is being read again. Nothing that a manager needs to hear before the service is ready.
    pub fn reloading(&mut self, now: Mono) {
        if matches!(self.phase, Phase::Ready | Phase::Reloading) {
            let since_boot = now.since(Mono::ZERO).as_micros();
            self.enter(Phase::Reloading, format!("RELOADING=1\nMONOTONIC_USEC={since_boot}"));
        }
    }

    /// What was read is in force or refused; said only after [`Notifier::reloading`].
    pub fn reloaded(&mut self) {
        if self.phase == Phase::Reloading {
            self.enter(Phase::Ready, "READY=1".into());
        }
    }

    /// The service is ending. Said once.
    pub fn stopping(&mut self) {
        if self.phase != Phase::Stopping {
            self.enter(Phase::Stopping, "STOPPING=1".into());
        }
    }

    /// What the service is doing, in one line for people; the same line is not sent twice.
    pub fn status(&mut self, line: &str) {
        let mut end = line.find(['\n', '\r']).unwrap_or(line.len()).min(LONGEST_STATUS);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        if self.status != line[..end] && self.send(&format!("STATUS={}", &line[..end])).is_ok() {
            line[..end].clone_into(&mut self.status);
        }
    }

    /// The owner's loop has gone round. Call it each time, and no later than at [`Notifier::deadline`].
    pub fn turn(&mut self, now: Mono) {
        if let Some(phase) = self.unheard.take() {
            self.insist(phase);
        }
        let Some(silence) = self.watchdog else { return };
        if self.alive_due.is_none_or(|due| now >= due) {
            self.alive_due = Some(now + silence / WORDS_PER_SILENCE);
            // If there is no room, there are more words to come in time.
            let _ = self.send("WATCHDOG=1");
        }
    }

    /// When [`Notifier::turn`] is to be called again at the latest; `None` when nobody watches.
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        self.alive_due
    }

    fn enter(&mut self, phase: Phase, text: String) {
        self.phase = phase;
        self.unheard = None;
        self.insist(text);
    }

    /// Sends what the manager waits for, and keeps it for the next turn while there is no room.
    fn insist(&mut self, text: String) {
        match self.send(&text) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unheard = Some(text),
            Err(error) => tracing::debug!(%error, %text, "the service manager cannot be told"),
            Ok(()) => {}
        }
    }

    fn send(&self, text: &str) -> io::Result<()> {
        match &self.socket {
            Some((socket, address)) => socket.send_to_addr(text.as_bytes(), address).map(drop),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake_manager::FakeManager;

    fn manager(name: &str) -> FakeManager {
        let path = env::temp_dir().join(format!("notify-{name}-{}", std::process::id()));
        FakeManager::listen(&path).unwrap()
    }

    fn service_of(manager: &FakeManager) -> Notifier {
        Notifier::new(manager.path().as_os_str(), None).unwrap()
    }

    #[test]
    fn each_step_is_one_datagram_and_is_told_once() {
        let manager = manager("steps");
        let mut notifier = service_of(&manager);
        notifier.reloading(Mono::ZERO);
        notifier.reloaded();
        assert_eq!(manager.waiting().unwrap(), [""; 0], "nothing is said before it is ready");
        notifier.ready();
        notifier.ready();
        notifier.reloaded();
        assert_eq!(manager.waiting().unwrap(), ["READY=1"]);
        notifier.reloading(Mono::from_millis(1500));
        notifier.ready();
        notifier.reloaded();
        notifier.reloaded();
        assert_eq!(manager.waiting().unwrap(), ["RELOADING=1\nMONOTONIC_USEC=1500000", "READY=1"]);
        notifier.stopping();
        notifier.stopping();
        notifier.reloading(Mono::ZERO);
        notifier.ready();
        notifier.turn(Mono::ZERO);
        assert_eq!((manager.waiting().unwrap(), notifier.deadline()), (vec!["STOPPING=1".to_owned()], None));
    }

    #[test]
    fn a_status_is_one_short_line_and_sent_when_it_changes() {
        let manager = manager("status");
        let mut notifier = service_of(&manager);
        for line in ["serves 2\nlines", "serves 2", "serves 3"] {
            notifier.status(line);
        }
        notifier.status(&format!("x{}", "é".repeat(1000)));
        let cut = format!("STATUS=x{}", "é".repeat(127));
        assert_eq!(manager.waiting().unwrap(), ["STATUS=serves 2", "STATUS=serves 3", &cut]);
    }

    #[test]
    fn a_loop_that_goes_round_is_told_three_times_in_the_longest_silence() {
        let name = format!("@notify-abstract-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name[1..]).unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let heard = || std::iter::from_fn(|| socket.recv(&mut [0; 16]).ok()).count();
        let mut notifier = Notifier::new(OsStr::new(&name), Some(Duration::from_secs(3))).unwrap();
        assert_eq!(notifier.deadline(), None);
        for millis in (0..3000).step_by(100) {
            notifier.turn(Mono::from_millis(millis));
        }
        let mut said = [0; 32];
        let length = socket.recv(&mut said).unwrap();
        assert_eq!((&said[..length], heard()), (&b"WATCHDOG=1"[..], 2));
        assert_eq!(notifier.deadline(), Some(Mono::from_millis(3000)));
    }

    #[test]
    fn a_phase_for_which_there_is_no_room_is_told_later_and_only_the_last_one() {
        let manager = manager("full");
        let mut notifier = service_of(&manager);
        while notifier.send("other").is_ok() {}
        notifier.ready();
        notifier.status("lost");
        notifier.stopping();
        notifier.turn(Mono::ZERO);
        assert!(manager.waiting().unwrap().iter().all(|text| text == "other"));
        notifier.turn(Mono::ZERO);
        notifier.turn(Mono::ZERO);
        notifier.status("lost");
        assert_eq!(manager.waiting().unwrap(), ["STOPPING=1", "STATUS=lost"]);
    }

    #[test]
    fn a_manager_that_is_gone_harms_nobody() {
        let mut notifier = Notifier::new(OsStr::new("/nobody/listens/here"), None).unwrap();
        notifier.ready();
        assert_eq!(notifier.unheard, None);
        notifier.status("x");
        let mut nobody = Notifier::default();
        assert!(!nobody.is_heard());
        nobody.ready();
        nobody.turn(Mono::ZERO);
    }

    #[test]
    fn a_name_that_is_no_sockets_is_refused() {
        for bad in ["", "relative/path", "vsock:2:3"] {
            assert!(Notifier::new(OsStr::new(bad), None).is_err(), "{bad}");
            assert!(!Notifier::from_variables(|_| Some(bad.into())).is_heard(), "{bad}");
        }
    }

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names_or_for_any() {
        let own = std::process::id().to_string();
        let silence = |micros: &'static str, pid: Option<&str>| {
            let notifier = Notifier::from_variables(|name| match name {
                SOCKET => Some("/run/x".into()),
                WATCHDOG => Some(micros.into()),
                _ => pid.map(Into::into),
            });
            notifier.watchdog.map(|time| time.as_millis())
        };
        assert_eq!(silence("2000000", None), Some(2000));
        assert_eq!(silence("2000000", Some(&own)), Some(2000));
        for (micros, pid) in [("2000000", "1"), ("2000000", "x"), ("0", &own), ("-1", &own), ("", &own)] {
            assert_eq!(silence(micros, Some(pid)), None, "{micros} {pid}");
        }
        assert!(!Notifier::from_variables(|_| None).is_heard());
    }

    #[test]
    fn what_is_meant_for_this_process_is_hidden_from_programs() {
        let mut program = Command::new("/usr/bin/env");
        program.env_clear().envs([(SOCKET, "x"), (WATCHDOG, "1"), (WATCHED, "2"), ("KEPT", "3")]);
        hide_from(&mut program);
        assert_eq!(program.output().unwrap().stdout, b"KEPT=3\n");
    }
}
