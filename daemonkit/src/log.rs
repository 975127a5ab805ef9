//! One line per event: to a terminal, to the journal through standard error, or to the syslog socket.
//!
//! A line is `MESSAGE key=value …`; a value with blanks, quotes or control characters is quoted and escaped, so a
//! peer's text can never forge a line. What is worth a line is decided by the callers: one per transition, with
//! its reason, and silence in steady state.
//!
//! A log that nobody reads, or whose reader died, costs lines and nothing else: no thread waits for it longer than
//! 20 ms, once.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::timestamp::Timestamp;

/// Longest datagram written to syslog, in bytes; longer lines are cut.
const SYSLOG_LIMIT: usize = 2000;

/// Longest line written to standard error, in bytes: as much as a pipe that has room at all takes without waiting
/// (`PIPE_BUF`, pipe(7)).
const STDERR_LIMIT: usize = 4096;

/// How long a line waits for a reader that is slow, in milliseconds. While that one stays stuck, lines wait no more.
const PATIENCE_MS: u8 = 20;

/// Facility "daemon" of RFC 5424 section 6.2.1, already shifted.
const FACILITY_DAEMON: u8 = 3 << 3;

/// Environment variable with the stream that is connected to the journal, see systemd.exec(5). A program that is started with
/// an empty environment and this process's standard error needs it.
pub const JOURNAL_ENV: &str = "JOURNAL_STREAM";

/// Where the lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Standard error, with time and level.
    Terminal,
    /// Standard error, with the `<N>` prefix that the systemd journal understands, and no time.
    Journal,
    /// The datagram socket `/dev/log`.
    Syslog,
}

impl Sink {
    /// The sink of a process in the foreground: the journal when standard error is the stream that systemd connected to
    /// it, which the environment tells. Whoever redirects standard error does not take that out of the environment.
    #[must_use]
    pub fn foreground() -> Self {
        let journal = std::env::var(JOURNAL_ENV).is_ok_and(|stream| is_stream(io::stderr(), &stream));
        if journal { Self::Journal } else { Self::Terminal }
    }
}

/// Whether `descriptor` is the file that `stream` names: its device and inode, in decimal with a colon between them.
fn is_stream(descriptor: impl AsFd, stream: &str) -> bool {
    fstat(descriptor).is_ok_and(|file| format!("{}:{}", file.st_dev, file.st_ino) == stream)
}

/// Starts logging for the whole process under the name `ident`. A second call changes nothing.
pub fn start(ident: &'static str, sink: Sink, verbose: bool) {
    let most = if verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // An error means that logging has been started already.
    let _ = match sink {
        Sink::Terminal | Sink::Journal => {
            static STUCK: AtomicBool = AtomicBool::new(false);
            let write = |line: &[u8]| write_or_lose(io::stderr(), &STUCK, line);
            tracing::subscriber::set_global_default(Log { ident, sink, most, write })
        }
        Sink::Syslog => {
            let syslog = Syslog::open(Path::new("/dev/log"));
            let write = move |line: &[u8]| syslog.send(line);
            tracing::subscriber::set_global_default(Log { ident, sink, most, write })
        }
    };
}

/// Makes a line of each event and has it written. It keeps nothing, above all no register of spans, which the suite does
/// not use: one process in a thousand must not pay for one.
struct Log<W> {
    ident: &'static str,
    sink: Sink,
    most: LevelFilter,
    write: W,
}

impl<W: Fn(&[u8]) + 'static> Subscriber for Log<W> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        let level = *event.metadata().level();
        let (ident, pid) = (self.ident, std::process::id());
        let mut line = Line::default();
        event.record(&mut line);
        let Line { message, fields } = line;
        let text = match self.sink {
            Sink::Terminal => {
                format!("{} {level:5} {ident}[{pid}]: {message}{fields}", Timestamp(SystemTime::now()))
            }
            Sink::Journal => format!("<{}>{ident}[{pid}]: {message}{fields}", severity(level)),
            Sink::Syslog => {
                format!("<{}>{ident}[{pid}]: {message}{fields}", FACILITY_DAEMON | severity(level))
            }
        };
        (self.write)(text.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Severity of RFC 5424 section 6.2.1.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// An event's message and fields as text.
#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Line {
    fn put(&mut self, field: &Field, value: &str) {
        let name = field.name();
        if name == "message" {
            self.message = escape_control(value);
        } else if value.is_empty()
            || value.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
        {
            // Writing to a String cannot fail.
            let _ = write!(self.fields, " {name}={value:?}");
        } else {
            let _ = write!(self.fields, " {name}={value}");
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

/// Keeps a message on its line.
fn escape_control(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        out
    })
}

/// Writes a line to a descriptor that somebody reads, or should. A line for which there is no room is lost, and so is one
/// that cannot be written. `stuck` says whether there was no room for the line before.
fn write_or_lose(mut to: impl Write + AsFd, stuck: &AtomicBool, line: &[u8]) {
    let patience = if stuck.load(Ordering::Relaxed) { 0 } else { PATIENCE_MS };
    let mut descriptor = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
    let room = poll(&mut descriptor, PollTimeout::from(patience)).is_ok_and(|ready| ready > 0);
    stuck.store(!room, Ordering::Relaxed);
    if room {
        let cut = &line[..line.len().min(STDERR_LIMIT - 1)];
        let _ = to.write_all(&[cut, b"\n"].concat());
    }
}

/// Sends each line as one datagram. While nobody listens at the socket, lines are lost: a daemon must not stop because its
/// log does.
///
/// The socket is connected to nothing, so that it survives a restarted syslog daemon, and open from the beginning, so that a
/// process that may not open any more can still log.
struct Syslog {
    /// None when the kernel gave none; nobody can be told.
    socket: Option<UnixDatagram>,
    path: PathBuf,
}

impl Syslog {
    fn open(path: &Path) -> Self {
        let unbound = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_nonblocking(true)?;
            Ok::<_, io::Error>(socket)
        };
        Self { socket: unbound().ok(), path: path.to_owned() }
    }

    fn send(&self, line: &[u8]) {
        let line = [&line[..line.len().min(SYSLOG_LIMIT)], b"\n"].concat();
        let _ = self.socket.as_ref().map(|socket| socket.send_to(&line, &self.path));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::*;

    fn logged(sink: Sink, events: impl FnOnce()) -> String {
        let memory = Arc::new(Mutex::new(String::new()));
        let lines = Arc::clone(&memory);
        let write = move |line: &[u8]| {
            let mut text = lines.lock().unwrap();
            text.push_str(std::str::from_utf8(line).unwrap());
            text.push('\n');
        };
        let log = Log { ident: "test", sink, most: LevelFilter::DEBUG, write };
        tracing::subscriber::with_default(log, events);
        memory.lock().unwrap().replace(&std::process::id().to_string(), "PID")
    }

    #[test]
    fn values_are_quoted_only_when_they_must_be() {
        let text = logged(Sink::Journal, || {
            tracing::info!(rs = %"10.2.0.11:80", reason = "connection refused", took_ms = 3, "real server down");
        });
        assert_eq!(
            text,
            "<6>test[PID]: real server down rs=10.2.0.11:80 reason=\"connection refused\" took_ms=3\n"
        );
    }

    #[test]
    fn foreign_text_cannot_forge_a_line() {
        let text = logged(Sink::Syslog, || tracing::warn!(got = "x\n<0>kernel: panic", "odd\nanswer"));
        assert_eq!(text, "<28>test[PID]: odd\\nanswer got=\"x\\n<0>kernel: panic\"\n");
    }

    #[test]
    fn a_terminal_line_begins_with_time_and_level() {
        let text = logged(Sink::Terminal, || tracing::debug!("hello"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
        assert_eq!(rest, "DEBUG test[PID]: hello\n");
    }

    #[test]
    fn a_log_that_nobody_reads_costs_lines_and_no_time() {
        let (mut reader, to) = io::pipe().unwrap();
        let stuck = AtomicBool::new(false);
        let log = |line: &[u8]| write_or_lose(&to, &stuck, line);
        let mut lines = 0;
        while !stuck.load(Ordering::Relaxed) {
            log(&[b'x'; 5000]);
            lines += 1;
        }
        let began = Instant::now();
        for _ in 0..1000 {
            log(b"lost");
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let mut first = vec![0; STDERR_LIMIT * (lines - 1)];
        reader.read_exact(&mut first).unwrap();
        assert!(first.chunks(STDERR_LIMIT).all(|line| line.ends_with(b"x\n")), "cut lines are still lines");
        log(b"heard");
        let mut last = [0; 6];
        reader.read_exact(&mut last).unwrap();
        assert_eq!(&last, b"heard\n");
        drop(reader);
        log(b"a reader that died is no error");
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        let (one, other) = (io::pipe().unwrap(), io::pipe().unwrap());
        let file = fstat(&one.1).unwrap();
        let stream = format!("{}:{}", file.st_dev, file.st_ino);
        assert!(is_stream(&one.1, &stream));
        assert!(!is_stream(&other.1, &stream), "redirected");
        for bad in ["", "1", ":", &format!("{stream}0"), &format!("{}:{}", file.st_ino, file.st_dev)] {
            assert!(!is_stream(&one.1, bad), "{bad}");
        }
    }

    #[test]
    fn syslog_lines_are_datagrams() {
        let path = std::env::temp_dir().join(format!("log-{}", std::process::id()));
        let log = Syslog::open(&path);
        log.send(b"lost: nobody listens yet");
        for line in ["<30>x", "<30>heard by a daemon that was started again"] {
            let listener = UnixDatagram::bind(&path).unwrap();
            log.send(line.as_bytes());
            let mut received = [0; 64];
            let count = listener.recv(&mut received).unwrap();
            assert_eq!(String::from_utf8_lossy(&received[..count]), format!("{line}\n"));
            std::fs::remove_file(&path).unwrap();
        }
    }
}
