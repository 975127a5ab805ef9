//! What to say to a real server, and what its answer means: conversations without sockets.
//!
//! A [`Conversation`] is told what happened ([`Event`]) and says what to do next ([`Next`]), until it is done with a
//! [`Verdict`]. It never waits, reads or writes; [`crate::probe`] does. So every check can be tested with bytes and
//! numbers, and every kind of check looks alike to the driver.

pub mod answer;
pub mod asked;
pub mod dns;
pub mod exchange;
pub mod http;
pub mod line;
pub mod ping;
pub mod program;
mod progress;
mod reason;
pub mod smtp;
pub mod tls;

use std::fmt;
use std::time::Duration;

use daemonkit::children::Exit;
use daemonkit::clock::Mono;
use nix::errno::Errno;

pub use checkspec::Transport;
pub use exchange::{Exchange, Step};
pub use http::{Http, HttpFailure};
pub use line::LineCheck;
pub use program::ProgramCheck;
pub use reason::{Failure, Fault, Success};
pub use tls::TlsFailure;

use crate::narrator::Narrated;
use crate::random;

/// A check as it was asked for.
#[derive(Debug, Clone)]
pub struct Check {
    /// What is asked of the server.
    pub kind: Kind,
    /// How long that may take.
    pub limits: Limits,
}

/// What is asked of a server.
#[derive(Debug, Clone)]
pub enum Kind {
    /// Connect, send, expect.
    Exchange(Exchange),
    /// Ask a web server for a page.
    Http(Http),
    /// Any of these over a stream, in TLS.
    Secured {
        /// How to speak TLS with the server.
        client: tls::Client,
        /// What is asked inside.
        inside: Box<Kind>,
    },
    /// Run a program and look at how it ends.
    Program(ProgramCheck),
    /// Ask a name server.
    Dns(checkspec::Dns),
    /// Greet a mail server.
    Smtp(smtp::Greeting),
    /// Ask the machine for an echo.
    Ping(ping::Echo),
    /// Connect and take one line.
    Line(LineCheck),
}

/// How long a probe may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until the connection stands.
    pub connect: Duration,
    /// From there, or from the step before, until the next step is done. A program has one step.
    pub step: Duration,
    /// Everything together; the driver ends a conversation that takes longer.
    pub total: Option<Duration>,
}

impl Limits {
    /// The same limit for each step, as `timeout` in lvs.cf, and none for everything together.
    #[must_use]
    pub fn each(limit: Duration) -> Self {
        Self { connect: limit, step: limit, total: None }
    }
}

/// By what a conversation is carried.
#[derive(Debug, Clone, Copy)]
pub enum Medium<'c> {
    /// A connected socket.
    Socket(Transport),
    /// A socket for echo requests, which tells as datagrams what comes back; the kernel fills in the number of the
    /// socket and the checksum.
    Echo,
    /// A program.
    Program(&'c ProgramCheck),
}

impl Check {
    /// What carries its conversations.
    #[must_use]
    pub fn medium(&self) -> Medium<'_> {
        self.kind.medium()
    }

    /// A new conversation, told to whoever looks on if it is `narrated`; its first event is [`Event::Started`] or
    /// [`Event::Failed`].
    #[must_use]
    pub fn conversation(&self, narrated: bool) -> Box<dyn Conversation + '_> {
        self.kind.conversation(self.limits, narrated)
    }
}

impl Kind {
    fn medium(&self) -> Medium<'_> {
        match self {
            Self::Exchange(exchange) => Medium::Socket(exchange.transport),
            Self::Http(_) | Self::Line(_) => Medium::Socket(Transport::Tcp),
            Self::Secured { inside, .. } => inside.medium(),
            Self::Program(program) => Medium::Program(program),
            Self::Dns(check) => Medium::Socket(dns::transport(check)),
            Self::Smtp(_) => Medium::Socket(Transport::Tcp),
            Self::Ping(_) => Medium::Echo,
        }
    }

    fn conversation(&self, limits: Limits, narrated: bool) -> Box<dyn Conversation + '_> {
        let plain: Box<dyn Conversation + '_> = match self {
            Self::Exchange(exchange) => Box::new(exchange::Talk::new(exchange, limits)),
            Self::Http(http) => Box::new(http::Talk::new(http, limits)),
            Self::Secured { client, inside } => {
                // Whoever looks on understands what is said inside.
                return Box::new(tls::Talk::new(client, inside.conversation(limits, narrated), limits));
            }
            Self::Program(program) => Box::new(program::Talk::new(program, limits)),
            Self::Dns(check) => {
                let [low, high, ..] = random::number().to_le_bytes();
                Box::new(dns::Talk::new(check, limits, u16::from_le_bytes([low, high])))
            }
            Self::Smtp(greeting) => Box::new(smtp::Talk::new(greeting, limits)),
            Self::Ping(echo) => Box::new(ping::Talk::new(*echo, limits, random::number())),
            Self::Line(line) => Box::new(line::Talk::new(line, limits)),
        };
        if narrated { Box::new(Narrated::new(plain)) } else { plain }
    }
}

/// One probe's conversation: no sockets, no waiting.
pub trait Conversation: fmt::Debug {
    /// Tells what happened at `now`. An event that does not belong to what is waited for changes nothing. After
    /// [`Next::Done`] there is nothing more to tell.
    fn step(&mut self, now: Mono, event: Event<'_>) -> Next;

    /// How many of its [`Conversation::steps`] are done.
    fn done(&self) -> usize {
        0
    }

    /// Its steps as they were asked for, for whoever looks on; none if there is nothing to tell apart.
    fn steps(&self) -> Vec<String> {
        Vec::new()
    }

    /// What the server has answered, of those that keep it for someone who reads more in it than health.
    fn answer(&self) -> &[u8] {
        &[]
    }
}

/// What became of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The server does what is asked of it.
    Healthy(Success),
    /// It does not.
    Unhealthy(Failure),
    /// This machine could not ask, so nothing is known about the server.
    Unknown(Fault),
}

/// What happened to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The driver began to connect, for the first time or after [`Next::Reconnect`], or started the program.
    Started,
    /// The connection stands. A datagram socket connects at once.
    Connected,
    /// Everything that the last [`Next::Send`] asked for has been handed to the kernel.
    Sent,
    /// Bytes arrived: the next piece of a stream, one datagram, or a piece of a program's output.
    Received(&'a [u8]),
    /// The server closed the stream; nothing will follow.
    Closed,
    /// A system call failed: the connection, a transmission, or starting the program.
    Failed(Errno),
    /// The program ended; its output has been passed on.
    Exited {
        /// How.
        exit: Exit,
        /// The beginning of what it wrote to standard error.
        said: &'a [u8],
    },
    /// The time of the last [`Next`] is over.
    Deadline,
}

/// What a conversation wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Transmit all of `bytes`, then tell [`Event::Sent`].
    Send {
        /// A stream's next bytes, or one datagram; not empty.
        bytes: Vec<u8>,
        /// When to tell [`Event::Deadline`] if it is not done by then.
        until: Mono,
    },
    /// Wait for any event.
    Wait {
        /// When to tell [`Event::Deadline`].
        until: Mono,
    },
    /// Close the connection, connect to the same server again, and tell [`Event::Started`] or [`Event::Failed`].
    Reconnect,
    /// The conversation is over; its socket or program can go.
    Done(Verdict),
}

impl Next {
    fn healthy(success: Success) -> Self {
        Self::Done(Verdict::Healthy(success))
    }

    fn unhealthy(failure: Failure) -> Self {
        Self::Done(Verdict::Unhealthy(failure))
    }
}

impl Verdict {
    /// The verdict on a failed system call: the server's failure, unless `errno` says that this machine has run out
    /// of something.
    fn failed(doing: &'static str, errno: Errno, failure: impl FnOnce(Errno) -> Failure) -> Self {
        use Errno::{EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
        match errno {
            EADDRNOTAVAIL | EAFNOSUPPORT | EAGAIN | EMFILE | ENFILE | ENOBUFS | ENOMEM => {
                Self::Unknown(Fault { doing, errno })
            }
            _ => Self::Unhealthy(failure(errno)),
        }
    }
}
