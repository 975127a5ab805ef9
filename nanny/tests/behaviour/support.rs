//! Starting the program, reading what it writes, and servers to check.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};

/// How long a test waits for something that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A nanny in the foreground. It is killed when the test ends.
pub(crate) struct Nanny {
    child: Child,
    reports: Receiver<String>,
    log: Receiver<String>,
}

/// The program with `words`, not started yet.
pub(crate) fn command<S: AsRef<OsStr>>(words: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nanny"));
    command.args(words).env_remove("JOURNAL_STREAM").stdin(Stdio::null());
    command
}

impl Nanny {
    /// Checks `server`, with `line` split at blanks as further words.
    pub(crate) fn check(server: SocketAddr, line: &str) -> Self {
        Self::check_words(server, &line.split_whitespace().collect::<Vec<_>>())
    }

    /// Checks `server`, with `words` as further words.
    pub(crate) fn check_words(server: SocketAddr, words: &[&str]) -> Self {
        let (address, port) = (server.ip().to_string(), server.port().to_string());
        let mut all = vec!["--report", "-n", "-h", &address, "-r", &port, "-p", "1"];
        all.extend(words);
        Self::start(command(&all))
    }

    /// Starts `command`.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // What the kernel here does not offer is said first, and is no matter of most tests.
        let reports = lines(child.stdout.take().unwrap(), |line| !line.starts_with("[ notice ]"));
        let log = lines(child.stderr.take().unwrap(), |_| true);
        Self { child, reports, log }
    }

    /// The next report about the server, with `N` for the time that the probe took and without the server's address.
    #[track_caller]
    pub(crate) fn report(&self) -> String {
        match self.reports.recv_timeout(PATIENCE) {
            // A word about this machine, which may be busy.
            Ok(line) if is_late(&line) => self.report(),
            Ok(line) => normalise(&line),
            Err(error) => panic!("no report ({error}); log: {:#?}", self.log.try_iter().collect::<Vec<_>>()),
        }
    }

    /// Whether a report about the server waits to be read.
    pub(crate) fn has_reported(&self) -> bool {
        self.reports.try_iter().any(|line| !is_late(&line))
    }

    /// The first line of the log, from here on, that contains `part`.
    #[track_caller]
    pub(crate) fn log_line(&self, part: &str) -> String {
        let started = Instant::now();
        while let Ok(line) = self.log.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
            if line.contains(part) {
                return line;
            }
        }
        panic!("no line with {part:?} in the log")
    }

    /// What comes first: a report about the server, as [`Nanny::report`] gives it, or a line of the log that contains `part`.
    #[track_caller]
    pub(crate) fn report_or_line(&self, part: &str) -> Result<String, String> {
        eventually("there is a report or a line of the log", || {
            let report = self.reports.try_iter().find(|line| !is_late(line));
            let line = || self.log.try_iter().find(|line| line.contains(part));
            report.map(|report| Ok(normalise(&report))).or_else(|| line().map(Err))
        })
    }

    /// The log from here on; call it after the end.
    pub(crate) fn rest_of_the_log(&self) -> Vec<String> {
        self.log.iter().collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for the end, and returns the exit status and how long it took.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let status = eventually("the program ends", || self.child.try_wait().unwrap());
        (status, started.elapsed())
    }
}

impl Drop for Nanny {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream that `matter`.
fn lines(from: impl Read + Send + 'static, matter: fn(&str) -> bool) -> Receiver<String> {
    let (to, received) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok).filter(|line| matter(line)) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
    received
}

fn is_late(line: &str) -> bool {
    line.starts_with("[  late  ]")
}

fn normalise(line: &str) -> String {
    line.split(' ')
        .filter(|word| !word.starts_with("rs="))
        .map(|word| if word.starts_with("took_ms=") { "took_ms=N" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

/// Makes one probe of `server` as `check` says, with `line` split at blanks as further words, and returns the exit status
/// and what was written about it, without address and time.
#[track_caller]
pub(crate) fn once(server: SocketAddr, check: &str, line: &str) -> (Option<i32>, String) {
    let (address, port) = (server.ip().to_string(), server.port().to_string());
    let mut words = vec!["--once", "-h", &address, "-p", &port, "--check", check];
    words.extend(line.split_whitespace());
    let output = command(&words).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.ends_with('\n'), "{words:?}: {told:?}, {}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), normalise(told.trim_end()))
}

/// What [`once`] returns for a healthy server.
pub(crate) fn healthy(reason: &str) -> (Option<i32>, String) {
    (Some(0), format!("healthy took_ms=N reason=\"{reason}\""))
}

/// What [`once`] returns for an unhealthy server.
pub(crate) fn unhealthy(reason: &str) -> (Option<i32>, String) {
    (Some(1), format!("unhealthy took_ms=N reason=\"{reason}\""))
}

/// The report of a server that is up for `reason`.
pub(crate) fn up(reason: &str) -> String {
    format!("[ active ] took_ms=N reason=\"{reason}\"")
}

/// The report of a server that is down for `reason`.
pub(crate) fn down(reason: &str) -> String {
    format!("[inactive] took_ms=N reason=\"{reason}\"")
}

/// Waits until `probe` gives something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(value) = probe() {
            return value;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("waited for too long until {what}")
}

/// A TCP server that does `behaviour` with each connection, one after the other, until the test ends.
pub(crate) fn server(behaviour: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            behaviour(connection);
        }
    });
    address
}

/// A TCP server that writes `answer` and then waits for the other end to close.
pub(crate) fn answering(answer: &'static [u8]) -> SocketAddr {
    server(move |mut connection| {
        // The monitor may have seen enough and hung up.
        let _ = connection.write_all(answer);
        wait_for_close(&mut connection);
    })
}

/// Reads and drops everything until the other end closes.
pub(crate) fn wait_for_close(connection: &mut TcpStream) {
    let _ = std::io::copy(connection, &mut std::io::sink());
}

/// An address at which nothing listens, nor will as long as the tests run.
pub(crate) fn nobody() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    // Nobody else gets the port while somebody has it.
    std::mem::forget(socket);
    address
}

/// Waits until the process is gone, or a zombie that nobody reaps.
#[track_caller]
pub(crate) fn is_gone(pid: &str) {
    let state = |stat: String| stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    eventually("the process is gone", || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => matches!(state(stat), Some('Z' | 'X')).then_some(()),
        Err(_) => Some(()),
    });
}
