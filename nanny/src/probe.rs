//! One probe under way: carries bytes between a conversation and a socket or a program. Decides nothing.
//!
//! Nothing here waits. [`Probe::interest`] says what to wait for, [`Probe::deadline`] until when, and
//! [`Probe::advance`] does what can be done now.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use daemonkit::clock::Mono;
use nix::errno::Errno;
use nix::poll::PollFlags;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::check::{self, Check, Conversation, Event, Failure, Fault, Next, Transport, Verdict};
use crate::program::{Dying, Program};

/// Most bytes read at once, which is also where a longer datagram is cut.
const PIECE: usize = 4096;

/// A probe under way.
#[derive(Debug)]
pub struct Probe<'c> {
    conversation: Box<dyn Conversation + 'c>,
    server: SocketAddr,
    medium: Medium,
    unsent: Vec<u8>,
    started: Mono,
    until: Mono,
    total: Option<Duration>,
}

#[derive(Debug)]
enum Medium {
    Socket { socket: Socket, transport: Transport, is_connected: bool },
    Program(Program),
}

impl Medium {
    fn connect(server: SocketAddr, transport: Transport) -> Result<Self, Errno> {
        let socket = connect(server, transport)?;
        Ok(Self::Socket { socket, transport, is_connected: false })
    }

    /// A socket for echoes is used like one for datagrams.
    fn echo(socket: Socket) -> Self {
        Self::Socket { socket, transport: Transport::Udp, is_connected: false }
    }
}

impl<'c> Probe<'c> {
    /// Begins to probe `server`, and tells whoever looks on what happens if it is `narrated`.
    ///
    /// # Errors
    /// The verdict, when the probe is over before it has begun.
    pub fn start(now: Mono, check: &'c Check, server: SocketAddr, narrated: bool) -> Result<Self, Verdict> {
        let mut conversation = check.conversation(narrated);
        let medium = match check.medium() {
            check::Medium::Socket(transport) => Medium::connect(server, transport),
            check::Medium::Echo => open_for_echo(server).map(Medium::echo),
            check::Medium::Program(check) => {
                Program::start(&check.words, &check.environment).map(Medium::Program)
            }
        };
        let (next, medium) = match medium {
            Ok(medium) => (conversation.step(now, Event::Started), medium),
            Err(errno) => return Err(over(conversation.step(now, Event::Failed(errno)), errno)),
        };
        let total = check.limits.total;
        let mut probe =
            Self { conversation, server, medium, unsent: Vec::new(), started: now, until: now, total };
        probe.follow(now, next).map_or(Ok(probe), Err)
    }

    /// What the server has answered, if the conversation keeps that.
    #[must_use]
    pub fn answer(&self) -> &[u8] {
        self.conversation.answer()
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Mono {
        self.started
    }

    /// When to call [`Probe::advance`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Mono {
        self.end().map_or(self.until, |end| end.min(self.until))
    }

    /// When it ends, whatever the conversation is about.
    fn end(&self) -> Option<Mono> {
        self.total.map(|total| self.started + total)
    }

    /// What to wait for; nothing when only a signal (the end of a program) or the deadline can bring news.
    #[must_use]
    pub fn interest(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        match &self.medium {
            Medium::Socket { socket, is_connected, .. } => {
                let writes = !is_connected || !self.unsent.is_empty();
                vec![(socket.as_fd(), if writes { PollFlags::POLLOUT } else { PollFlags::POLLIN })]
            }
            Medium::Program(program) => program.streams().map(|stream| (stream, PollFlags::POLLIN)).collect(),
        }
    }

    /// Does one thing that can be done at `now`. `ready` tells whether what was waited for has come; a program is
    /// looked at in any case.
    pub fn advance(&mut self, now: Mono, ready: bool) -> Option<Verdict> {
        let next = match &self.medium {
            Medium::Program(_) => self.look(now),
            Medium::Socket { .. } if ready => self.exchange(now),
            Medium::Socket { .. } => None,
        };
        match next.and_then(|next| self.follow(now, next)) {
            None if self.end().is_some_and(|end| now >= end) => {
                self.total.map(|total| Verdict::Unhealthy(Failure::TotalTimeout(total)))
            }
            None if now >= self.until => {
                let late = self.conversation.step(now, Event::Deadline);
                self.follow(now, late)
            }
            verdict => verdict,
        }
    }

    /// Gives it up. A program that was killed is returned, to be reaped.
    pub fn stop(self) -> Option<Dying> {
        match self.medium {
            Medium::Program(program) => Some(program.kill()),
            Medium::Socket { .. } => None,
        }
    }

    fn follow(&mut self, now: Mono, next: Next) -> Option<Verdict> {
        match next {
            Next::Send { bytes, until } => {
                self.unsent = bytes;
                self.until = until;
                None
            }
            Next::Wait { until } => {
                self.until = until;
                None
            }
            Next::Reconnect => {
                let next = self.reconnect(now);
                self.follow(now, next)
            }
            Next::Done(verdict) => Some(verdict),
        }
    }

    /// Begins to connect once more. How often is the conversation's business, which it bounds.
    fn reconnect(&mut self, now: Mono) -> Next {
        let Medium::Socket { transport, .. } = self.medium else { return Next::Wait { until: self.until } };
        self.unsent.clear();
        match Medium::connect(self.server, transport) {
            Ok(medium) => {
                self.medium = medium;
                self.conversation.step(now, Event::Started)
            }
            Err(errno) => self.conversation.step(now, Event::Failed(errno)),
        }
    }

    /// One look at the program, and what it tells the conversation.
    fn look(&mut self, now: Mono) -> Option<Next> {
        let Medium::Program(program) = &mut self.medium else { return None };
        let conversation = &mut self.conversation;
        let mut next = None;
        let end = program.drain(|piece| next = Some(conversation.step(now, Event::Received(piece))));
        let said = program.complaint();
        end.map(|exit| conversation.step(now, Event::Exited { exit, said })).or(next)
    }

    /// One system call on the socket, and what it tells the conversation.
    fn exchange(&mut self, now: Mono) -> Option<Next> {
        let Medium::Socket { socket, transport, is_connected } = &mut self.medium else { return None };
        let mut buffer = [0; PIECE];
        let outcome = if !*is_connected {
            *is_connected = true;
            socket.take_error().and_then(|error| error.map_or(Ok(Event::Connected), Err))
        } else if !self.unsent.is_empty() {
            socket.send(&self.unsent).map(|count| {
                self.unsent.drain(..count);
                Event::Sent
            })
        } else {
            socket.read(&mut buffer).map(|count| match (count, transport) {
                (0, Transport::Tcp | Transport::Sctp) => Event::Closed,
                _ => Event::Received(&buffer[..count]),
            })
        };
        let event = match outcome {
            Ok(Event::Sent) if !self.unsent.is_empty() => return None,
            Ok(event) => event,
            Err(error) if is_temporary(&error) => return None,
            Err(error) => Event::Failed(errno(&error)),
        };
        Some(self.conversation.step(now, event))
    }
}

/// The verdict of a conversation whose medium could not be had.
fn over(next: Next, errno: Errno) -> Verdict {
    match next {
        Next::Done(verdict) => verdict,
        Next::Send { .. } | Next::Wait { .. } | Next::Reconnect => {
            Verdict::Unknown(Fault { doing: "probe", errno })
        }
    }
}

/// Begins to connect. A datagram socket is connected at once; then it hears ICMP errors and nobody else's datagrams.
fn connect(server: SocketAddr, transport: Transport) -> Result<Socket, Errno> {
    open(server, kind(transport))
}

/// Gets a socket for echo requests without privileges. What it hears are replies that carry its number, from anybody.
fn open_for_echo(server: SocketAddr) -> Result<Socket, Errno> {
    open(server, echo(server))
}

fn open(server: SocketAddr, (kind, protocol): (Type, Protocol)) -> Result<Socket, Errno> {
    let open = || {
        let socket = Socket::new(Domain::for_address(server), kind.nonblocking().cloexec(), Some(protocol))?;
        match socket.connect(&SockAddr::from(server)) {
            Err(error) if error.raw_os_error() == Some(Errno::EINPROGRESS as i32) => Ok(socket),
            outcome => outcome.map(|()| socket),
        }
    };
    open().map_err(|error| errno(&error))
}

/// The type and the protocol of the socket for `transport`.
#[must_use]
pub fn kind(transport: Transport) -> (Type, Protocol) {
    match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Sctp => (Type::STREAM, Protocol::SCTP),
    }
}

/// The type and the protocol of the socket for echo requests to `server`.
#[must_use]
pub fn echo(server: SocketAddr) -> (Type, Protocol) {
    (Type::DGRAM, if server.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 })
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
