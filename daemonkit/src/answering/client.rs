//! One client of a listening socket: what was heard of it, what is being said to it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::PollFlags;

use super::{LIFETIME, LONGEST_REQUEST};
use crate::clock::Mono;

/// How long a client has to close its end after it got its answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// An accepted connection.
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }

    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(true),
            Self::Tcp(stream) => stream.set_nonblocking(true),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn end(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

/// Where a connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// The request is not complete.
    Listening,
    /// So many bytes of the answer have been sent.
    Answering(Arc<[u8]>, usize),
    /// All is said. What the client still sends is read: closing before would take the answer from it.
    Leaving,
    /// To be closed.
    Over,
}

/// One client.
pub(super) struct Client {
    stream: Stream,
    heard: Vec<u8>,
    phase: Phase,
    until: Mono,
}

impl Client {
    /// A client that has come just now.
    pub(super) fn new(stream: Stream, answer: &mut impl FnMut(&[u8]) -> Option<Arc<[u8]>>) -> Self {
        let until = Mono::now() + LIFETIME;
        let mut client = Self { stream, heard: Vec::new(), phase: Phase::Listening, until };
        client.consider(answer);
        client
    }

    /// Whether its connection is to be closed.
    pub(super) fn is_over(&self, now: Mono) -> bool {
        self.phase == Phase::Over || now >= self.until
    }

    /// The end of its time.
    pub(super) fn until(&self) -> Mono {
        self.until
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// What it can go on with.
    pub(super) fn awaited(&self) -> PollFlags {
        match self.phase {
            Phase::Answering(..) => PollFlags::POLLOUT,
            _ => PollFlags::POLLIN,
        }
    }

    /// Does what can be done without waiting.
    pub(super) fn go_on(&mut self, answer: &mut impl FnMut(&[u8]) -> Option<Arc<[u8]>>) {
        if matches!(self.phase, Phase::Answering(..)) {
            return self.send();
        }
        let mut buffer = [0; LONGEST_REQUEST];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.phase = Phase::Over,
            Ok(_) if self.phase == Phase::Leaving => {}
            Ok(count) => {
                let room = LONGEST_REQUEST - self.heard.len();
                self.heard.extend_from_slice(&buffer[..count.min(room)]);
                self.consider(answer);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn consider(&mut self, answer: &mut impl FnMut(&[u8]) -> Option<Arc<[u8]>>) {
        match answer(&self.heard) {
            Some(answer) => {
                // Making the answer may have taken a while, which is not the client's.
                self.until = Mono::now() + LIFETIME;
                self.phase = Phase::Answering(answer, 0);
                self.send();
            }
            None if self.heard.len() >= LONGEST_REQUEST => self.phase = Phase::Over,
            None => {}
        }
    }

    fn send(&mut self) {
        let Phase::Answering(answer, sent) = &mut self.phase else { return };
        match self.stream.write(&answer[*sent..]) {
            Ok(count) => *sent += count,
            Err(error) => return self.failed(&error),
        }
        if *sent >= answer.len() {
            self.until = self.until.min(Mono::now() + FAREWELL);
            self.phase = if self.stream.end().is_ok() { Phase::Leaving } else { Phase::Over };
        }
    }

    fn failed(&mut self, error: &io::Error) {
        if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) {
            self.phase = Phase::Over;
        }
    }
}
