//! A client that sends requests at a steady pace and remembers what became of each.
//!
//! One request is *started* every interval, whatever became of the ones before: several workers take turns, so
//! that requests which hang do not hide the moment when service returns. Each worker is a thread inside the
//! client's host. The [`Report`] counts outages as the client saw them.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{host::Host, journal::locked, realserver::PROBE_MARK, source_ports::anywhere};

/// Most workers of one probe, whatever timeout and interval say.
const MOST_WORKERS: u32 = 200;
/// Default timeout: patient with a busy machine, but not to the second after which TCP repeats the first packet of a
/// connection, so that a request lost in an outage stays lost.
const TIMEOUT: Duration = Duration::from_millis(900);
/// Longest answer read, in bytes.
const LONGEST_ANSWER: u64 = 4096;

/// How requests are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Each on a TCP connection of its own.
    Connections,
    /// All on one TCP connection, made anew only when it broke.
    OneConnection,
    /// Each a datagram from a socket of its own.
    Udp,
}

/// A probe about to be started; made by [`Host::probe`].
#[must_use = "a probe does nothing until `start`"]
pub struct ProbeBuilder {
    host: Host,
    target: SocketAddr,
    interval: Duration,
    timeout: Duration,
    mode: Mode,
    marker: Option<String>,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection or no answer within the timeout.
    Timeout,
    /// The kernel of the far end refused the connection.
    Refused,
    /// The connection was reset or closed before an answer.
    Broken,
    /// No way to the target (or an ICMP error).
    Unreachable,
    /// An answer with another HTTP status than 200, or without the marker.
    BadAnswer(String),
    /// Any other error.
    Other(String),
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// When it was started, as time since the lab started.
    pub at: Duration,
    /// How long it took.
    pub took: Duration,
    /// Who answered, or why nobody did.
    pub outcome: Result<String, Failure>,
}

/// A stretch of time without service.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Start of the last request that succeeded before; the first failed one's where there was none.
    pub last_success: Duration,
    /// Start of the first request that failed.
    pub first_failure: Duration,
    /// Start of the first request that succeeded again; nothing if service never returned.
    pub next_success: Option<Duration>,
    /// Requests that failed.
    pub failures: usize,
}

impl Outage {
    /// From the last success to the next, or nothing if service never returned.
    pub fn gap(&self) -> Option<Duration> {
        self.next_success.map(|end| end.saturating_sub(self.last_success))
    }

    /// From the first failure to the next success, or nothing if service never returned.
    pub fn duration(&self) -> Option<Duration> {
        self.next_success.map(|end| end.saturating_sub(self.first_failure))
    }
}

/// What a probe saw, requests in order of their start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// Every request that is over.
    pub requests: Vec<Request>,
}

impl Report {
    /// Number of requests.
    pub fn total(&self) -> usize {
        self.requests.len()
    }

    /// The requests that failed.
    pub fn failures(&self) -> Vec<&Request> {
        self.requests.iter().filter(|r| r.outcome.is_err()).collect()
    }

    /// Answers by server.
    pub fn servers(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for server in self.requests.iter().filter_map(|r| r.outcome.as_deref().ok()) {
            *counts.entry(server).or_default() += 1;
        }
        counts
    }

    /// Failures by reason.
    pub fn reasons(&self) -> BTreeMap<&Failure, usize> {
        let mut counts = BTreeMap::new();
        for reason in self.requests.iter().filter_map(|r| r.outcome.as_ref().err()) {
            *counts.entry(reason).or_default() += 1;
        }
        counts
    }

    /// The requests started from `from` on.
    pub fn since(&self, from: Duration) -> Self {
        Self { requests: self.requests.iter().filter(|r| r.at >= from).cloned().collect() }
    }

    /// All stretches of failed requests.
    pub fn outages(&self) -> Vec<Outage> {
        let mut outages: Vec<Outage> = Vec::new();
        let mut last_success = None;
        let mut open = false;
        for request in &self.requests {
            match (&request.outcome, outages.last_mut().filter(|_| open)) {
                (Ok(_), current) => {
                    if let Some(outage) = current {
                        outage.next_success = Some(request.at);
                    }
                    last_success = Some(request.at);
                    open = false;
                }
                (Err(_), Some(outage)) => outage.failures += 1,
                (Err(_), None) => {
                    outages.push(Outage {
                        last_success: last_success.unwrap_or(request.at),
                        first_failure: request.at,
                        next_success: None,
                        failures: 1,
                    });
                    open = true;
                }
            }
        }
        outages
    }

    /// The longest outage by gap; one that never ended counts as the longest.
    pub fn longest_outage(&self) -> Option<Outage> {
        self.outages().into_iter().max_by_key(|outage| outage.gap().unwrap_or(Duration::MAX))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, {} failed", self.total(), self.failures().len())?;
        for (reason, count) in self.reasons() {
            write!(f, ", {count} {reason:?}")?;
        }
        for (server, count) in self.servers() {
            write!(f, "; {server} {count}")?;
        }
        for outage in self.outages() {
            let start = outage.first_failure.as_secs_f64();
            match outage.gap() {
                Some(gap) => write!(f, "; outage from {start:.3} of {} ms", gap.as_millis())?,
                None => write!(f, "; outage from {start:.3} to the end")?,
            }
        }
        Ok(())
    }
}

impl ProbeBuilder {
    pub(crate) fn new(host: &Host, target: SocketAddr) -> Self {
        Self {
            host: host.clone(),
            target,
            interval: Duration::from_millis(10),
            timeout: TIMEOUT,
            mode: Mode::Connections,
            marker: None,
        }
    }

    /// Time between the starts of two requests (default 10 ms).
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Time after which a request has failed (default 900 ms), connection included.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends all requests on one long-lived connection, made anew only when it broke.
    pub fn one_connection(mut self) -> Self {
        self.mode = Mode::OneConnection;
        self
    }

    /// Takes for the answer's author what follows this text, up to the end of the line, and an answer without it for a
    /// failure. By default an answer is a line, or the body of a successful HTTP response.
    pub fn marker(mut self, marker: &str) -> Self {
        self.marker = Some(marker.to_owned());
        self
    }

    /// Sends datagrams.
    pub fn udp(mut self) -> Self {
        self.mode = Mode::Udp;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(self) -> Result<Probe> {
        let turns = self.timeout.as_nanos().div_ceil(self.interval.as_nanos()) + 1;
        let workers = match self.mode {
            Mode::OneConnection => 1,
            Mode::Connections | Mode::Udp => u32::try_from(turns).unwrap_or(MOST_WORKERS).min(MOST_WORKERS),
        };
        let shared = Arc::new(Shared {
            host: self.host,
            target: self.target,
            timeout: self.timeout,
            mode: self.mode,
            marker: self.marker,
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
            ending: Condvar::new(),
        });
        let first = Instant::now();
        let mut threads = Vec::new();
        for turn in 0..workers {
            let shared = Arc::clone(&shared);
            let start = first + self.interval * turn;
            let period = self.interval * workers;
            let worker = thread::Builder::new().name(format!("probe {turn}")).spawn(move || -> Result<()> {
                shared.host.join()?;
                shared.work(start, period);
                Ok(())
            });
            threads.push(worker.context("start a probe's thread")?);
        }
        Ok(Probe { shared, threads })
    }
}

struct Shared {
    host: Host,
    target: SocketAddr,
    timeout: Duration,
    mode: Mode,
    marker: Option<String>,
    requests: Mutex<Vec<Request>>,
    ended: AtomicBool,
    /// With `requests`: wakes the workers that wait for their turn when the probe ends.
    ending: Condvar,
}

/// A running probe; it ends when it is stopped or dropped.
pub struct Probe {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Drop for Probe {
    /// Leaves what it saw in the journal.
    fn drop(&mut self) {
        self.shared.end();
        let report = self.report();
        self.shared.host.journal().note(&Arc::from("probe"), format!("{}: {report}", self.shared.target));
    }
}

impl Probe {
    /// What it saw so far.
    pub fn report(&self) -> Report {
        let mut requests = locked(&self.shared.requests).clone();
        requests.sort_by_key(|request| request.at);
        Report { requests }
    }

    /// What it saw of the requests started from `from` on; cheaper than the whole, for looking often.
    pub fn report_since(&self, from: Duration) -> Report {
        let all = locked(&self.shared.requests);
        let mut requests: Vec<Request> = all.iter().filter(|request| request.at >= from).cloned().collect();
        drop(all);
        requests.sort_by_key(|request| request.at);
        Report { requests }
    }

    /// Waits until `count` more requests have succeeded than had when this was called.
    ///
    /// # Errors
    /// When they have not in time; with the report.
    pub fn wait_for_successes(&self, count: usize, within: Duration) -> Result<()> {
        let successes = || locked(&self.shared.requests).iter().filter(|r| r.outcome.is_ok()).count();
        let wanted = successes() + count;
        crate::eventually(within, &format!("{count} more successes"), || {
            if successes() >= wanted { Ok(()) } else { Err(self.report().to_string()) }
        })
    }

    /// Waits until a request has failed that was started after this was called.
    ///
    /// # Errors
    /// When none has in time.
    pub fn wait_for_failure(&self, within: Duration) -> Result<Request> {
        let from = self.shared.host.journal().now();
        crate::eventually(within, "a failed request", || {
            let report = self.report().since(from);
            report.failures().first().map(|r| (*r).clone()).ok_or_else(|| report.to_string())
        })
    }

    /// Ends it after the requests under way and says what it saw.
    ///
    /// # Errors
    /// When a worker could not enter the host.
    pub fn stop(mut self) -> Result<Report> {
        self.shared.end();
        for thread in std::mem::take(&mut self.threads) {
            if let Ok(result) = thread.join() {
                result?;
            }
        }
        Ok(self.report())
    }
}

impl Shared {
    /// Starts a request at `start` and every `period` after it.
    fn work(&self, start: Instant, period: Duration) {
        let mut next = start;
        let mut connection = None;
        while !self.ended.load(Ordering::Relaxed) {
            self.wait_for_turn(next);
            // A request that took longer than its turn leaves turns out, it does not catch up.
            next = (next + period).max(Instant::now());
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            let begun = Instant::now();
            let at = self.host.journal().time_of(begun);
            let outcome =
                self.request(begun + self.timeout, &mut connection).map_err(|error| Failure::of(&error));
            let outcome = outcome.and_then(|answer| match &self.marker {
                Some(marker) => named_after(marker, &answer),
                None => served_by(&answer),
            });
            locked(&self.requests).push(Request { at, took: begun.elapsed(), outcome });
        }
    }

    /// Waits until a moment, or until the probe ends.
    fn wait_for_turn(&self, moment: Instant) {
        let requests = locked(&self.requests);
        let pause = moment.saturating_duration_since(Instant::now());
        let going_on = |_: &mut Vec<Request>| !self.ended.load(Ordering::Relaxed);
        drop(
            self.ending.wait_timeout_while(requests, pause, going_on).unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Lets the workers finish the requests under way and end.
    fn end(&self) {
        // Under the lock, so that no worker is between its look and its wait.
        let requests = locked(&self.requests);
        self.ended.store(true, Ordering::Relaxed);
        drop(requests);
        self.ending.notify_all();
    }

    fn connect(&self, deadline: Instant) -> io::Result<TcpStream> {
        self.host.ports().connect(anywhere(self.target), self.target, left(deadline)?)
    }

    fn request(&self, deadline: Instant, connection: &mut Option<TcpStream>) -> io::Result<String> {
        match self.mode {
            Mode::Connections => {
                let mut stream = self.connect(deadline)?;
                stream.set_write_timeout(Some(left(deadline)?))?;
                let host = self.target;
                let request =
                    format!("GET /{PROBE_MARK} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                read_to_end(&mut stream, deadline)
            }
            Mode::OneConnection => {
                let mut stream = match connection.take() {
                    Some(stream) => stream,
                    None => self.connect(deadline)?,
                };
                stream.set_write_timeout(Some(left(deadline)?))?;
                stream.write_all(format!("{PROBE_MARK}\n").as_bytes())?;
                let answer = read_line(&mut stream, deadline)?;
                *connection = Some(stream);
                Ok(answer)
            }
            Mode::Udp => {
                let socket = self.host.ports().udp(anywhere(self.target))?;
                socket.connect(self.target)?;
                socket.send(PROBE_MARK.as_bytes())?;
                socket.set_read_timeout(Some(left(deadline)?))?;
                let mut buffer = [0; 4096];
                let length = socket.recv(&mut buffer)?;
                Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
            }
        }
    }
}

/// Time left, or the error that there is none.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
    left.ok_or_else(|| io::ErrorKind::TimedOut.into())
}

fn read_to_end(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    read_until(stream, deadline, |_| false)
}

fn read_line(stream: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let line = read_until(stream, deadline, |bytes| bytes.ends_with(b"\n"))?;
    // Without an end the far side closed in the middle or before.
    if line.ends_with('\n') { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_until(
    stream: &mut TcpStream,
    deadline: Instant,
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<String> {
    let mut answer = Vec::new();
    let mut part = [0; 1024];
    while !enough(&answer) && (answer.len() as u64) < LONGEST_ANSWER {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut part)? {
            0 => break,
            length => answer.extend_from_slice(&part[..length]),
        }
    }
    if answer.is_empty() {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// What follows the marker, up to the end of the line.
fn named_after(marker: &str, answer: &str) -> Result<String, Failure> {
    let name = answer.split_once(marker).and_then(|(_, rest)| rest.lines().next());
    let name = name.map(|name| name.trim_end().to_owned()).filter(|name| !name.is_empty());
    name.ok_or_else(|| Failure::BadAnswer(answer.lines().next().unwrap_or_default().to_owned()))
}

/// The text of a line or of a successful HTTP response.
fn served_by(answer: &str) -> Result<String, Failure> {
    if !answer.starts_with("HTTP/") {
        return Ok(answer.trim_end().to_owned());
    }
    let status = answer.lines().next().unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.trim_end());
    match body {
        Some(body) if status.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(Failure::BadAnswer(status.to_owned())),
    }
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Timeout,
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Broken,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn report(outcomes: &[(u64, Result<&str, Failure>)]) -> Report {
        let request = |(at, outcome): &(u64, Result<&str, Failure>)| Request {
            at: ms(*at),
            took: ms(1),
            outcome: outcome.clone().map(str::to_owned),
        };
        Report { requests: outcomes.iter().map(request).collect() }
    }

    #[test]
    fn an_outage_lasts_from_the_last_success_to_the_next() {
        let report = report(&[
            (0, Ok("rs1")),
            (10, Ok("rs2")),
            (20, Err(Failure::Timeout)),
            (30, Err(Failure::Refused)),
            (40, Ok("rs2")),
            (50, Err(Failure::Timeout)),
        ]);
        let outages = report.outages();
        assert_eq!(outages.len(), 2);
        assert_eq!(
            (outages[0].gap(), outages[0].duration(), outages[0].failures),
            (Some(ms(30)), Some(ms(20)), 2)
        );
        assert_eq!((outages[1].gap(), outages[1].last_success), (None, ms(40)));
        assert_eq!(report.longest_outage(), Some(outages[1].clone()));
        assert_eq!(
            report.to_string(),
            "6 requests, 3 failed, 2 Timeout, 1 Refused; rs1 1; rs2 2; outage from 0.020 of 30 ms; \
             outage from 0.050 to the end"
        );
    }

    #[test]
    fn a_marked_name_is_found_anywhere_in_an_answer() {
        let named = |answer| named_after("by ", answer);
        assert_eq!(named("220 ready\r\nHTTP/1.1 302 Gone\r\n\r\nby web1\r\nmore"), Ok("web1".to_owned()));
        assert_eq!(named("nobody\nelse"), Err(Failure::BadAnswer("nobody".to_owned())));
    }

    #[test]
    fn answers_name_their_server() {
        assert_eq!(served_by("rs1\n"), Ok("rs1".to_owned()));
        assert_eq!(served_by("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nrs2\n"), Ok("rs2".to_owned()));
        assert_eq!(
            served_by("HTTP/1.1 503 Busy\r\n\r\n"),
            Err(Failure::BadAnswer("HTTP/1.1 503 Busy".to_owned()))
        );
    }
}
