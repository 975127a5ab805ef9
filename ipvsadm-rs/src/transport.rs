//! Bytes out, bytes in: the seam between what is said to the kernel and how it gets there.
//!
//! [`Transport`] moves datagrams and knows nothing of their content. [`Netlink`] is the real one, a blocking
//! generic netlink socket that never waits longer than its time limit; the feature `fake` has another.

use std::io;
use std::time::{Duration, Instant};

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, setsockopt, sockopt};
use nix::sys::time::TimeVal;

/// Carries netlink datagrams to a kernel and back.
pub trait Transport {
    /// Sends one datagram of one or more complete messages.
    ///
    /// # Errors
    /// Those of the system call.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Waits for one datagram and puts it into `datagram`, replacing what was there.
    ///
    /// # Errors
    /// `ENOBUFS` if datagrams were lost, [`io::ErrorKind::TimedOut`] if none came in time, and those of the
    /// system call.
    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()>;

    /// Throws away what waits unread, without waiting for more. A socket that lost a datagram takes no new
    /// ones until it has been emptied.
    ///
    /// # Errors
    /// Those of the system call.
    fn discard_unread(&mut self) -> io::Result<()>;

    /// How many small answers may wait unread without any being lost; at least 1.
    fn answers_in_flight(&self) -> usize;

    /// The time limit of [`Transport::receive`].
    fn time_limit(&self) -> Duration;
}

/// How long the kernel may take for one answer. Adding a service may load a module, so this is generous.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Receive buffer that is asked for, in bytes.
const RECEIVE_BUFFER: usize = 1 << 20;
/// What one acknowledgement takes of the receive buffer at most, in bytes: the kernel counts the memory of a
/// datagram, not its length, and an error may carry words.
const ANSWER_COST: usize = 2048;
/// Longest datagram: the kernel builds dumps in pieces of at most 32 KiB.
const DATAGRAM: usize = 64 << 10;

/// A generic netlink socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    answers_in_flight: usize,
}

impl Netlink {
    /// Opens a socket.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Old kernels know neither; then answers are longer and say less.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        let seconds = i64::try_from(TIME_LIMIT.as_secs()).unwrap_or(i64::MAX);
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(seconds, 0))?;
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(seconds, 0))?;
        // The first passes the system's limit but needs CAP_NET_ADMIN where the socket was made.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        }
        let answers_in_flight = (socket.get_rx_buf_sz()? / ANSWER_COST).max(1);
        Ok(Self { socket, answers_in_flight })
    }
}

impl Transport for Netlink {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let sent = again(|| self.socket.send(datagram, 0))?;
        if sent != datagram.len() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the datagram was sent in part"));
        }
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<()> {
        let late = Instant::now() + TIME_LIMIT;
        while Instant::now() < late {
            datagram.clear();
            datagram.reserve(DATAGRAM);
            let received = again(|| self.socket.recv_from(datagram, MsgFlags::MSG_TRUNC.bits()));
            let (length, from) = match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                other => other?,
            };
            if length > datagram.len() {
                let text = format!("a datagram of {length} bytes is longer than {DATAGRAM}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            // Port 0 is the kernel; nobody else is listened to.
            if from.port_number() == 0 {
                return Ok(());
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        let mut datagram = Vec::with_capacity(DATAGRAM);
        // Bounded, because another process may go on sending.
        for _ in 0..RECEIVE_BUFFER {
            datagram.clear();
            match again(|| self.socket.recv_from(&mut datagram, MsgFlags::MSG_DONTWAIT.bits())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The loss itself, reported once more.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }

    fn answers_in_flight(&self) -> usize {
        self.answers_in_flight
    }

    fn time_limit(&self) -> Duration {
        TIME_LIMIT
    }
}

/// Repeats a system call that a signal interrupted.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
