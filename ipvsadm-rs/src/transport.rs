//! Bytes out, bytes in: the seam between what is said to the kernel and how it gets there.
//!
//! [`Transport`] moves datagrams and knows nothing of their content. [`Netlink`] is the real one, a blocking
//! generic netlink socket that never waits longer than its time limit; the feature `fake` has another.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use netlink_sys::protocols::NETLINK_GENERIC;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, NetlinkAddr, recvmmsg, setsockopt, sockopt};
use nix::sys::time::TimeVal;

/// Carries netlink datagrams to a kernel and back.
pub trait Transport {
    /// Sends one datagram of one or more complete messages.
    ///
    /// # Errors
    /// Those of the system call.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Waits for a datagram and puts it into `messages`, replacing what was there; datagrams that wait behind it
    /// may follow it there, in order, each beginning at a multiple of four bytes. Returns how many there are.
    ///
    /// # Errors
    /// `ENOBUFS` if datagrams were lost, [`io::ErrorKind::TimedOut`] if none came in time, and those of the
    /// system call.
    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize>;

    /// Throws away what waits unread, without waiting for more. A socket that lost a datagram takes no new
    /// ones until it has been emptied.
    ///
    /// # Errors
    /// Those of the system call.
    fn discard_unread(&mut self) -> io::Result<()>;

    /// How many small answers may wait unread without any being lost; at least 1.
    fn answers_in_flight(&self) -> usize;

    /// The time limit of [`Transport::receive`], and of a wait for an answer that other datagrams interrupt.
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
const DATAGRAM: usize = 32 << 10;
/// Most datagrams that one system call reads. An acknowledgement is a datagram of its own, and a system call
/// costs more than the kernel's work on most requests.
const MOST_DATAGRAMS: usize = 64;
/// Datagrams that the first system call reads: those of an ordinary answer, which are the answer itself and its end.
/// Places for more cost time with every call.
const USUAL_DATAGRAMS: usize = 2;

/// A generic netlink socket, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    answers_in_flight: usize,
    /// Room for what one system call reads; pages that nothing is read into take no memory.
    room: Vec<u8>,
    /// How many datagrams the next system call reads: more while many come.
    datagrams: usize,
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
        Ok(Self {
            socket,
            answers_in_flight,
            room: vec![0; DATAGRAM * MOST_DATAGRAMS],
            datagrams: USUAL_DATAGRAMS,
        })
    }
}

impl Netlink {
    /// Waits for one datagram, appends it and those behind it, and counts them.
    fn read_waiting(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        let places = self.room.chunks_exact_mut(DATAGRAM).take(self.datagrams);
        let mut places: Vec<_> = places.map(|place| [IoSliceMut::new(place)]).collect();
        let mut headers = MultiHeaders::<NetlinkAddr>::preallocate(places.len(), None);
        let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_WAITFORONE | MsgFlags::MSG_TRUNC);
        let mut count = 0;
        for datagram in recvmmsg(fd, &mut headers, &mut places, flags, None)? {
            count += 1;
            // Port 0 is the kernel; nobody else is listened to.
            if datagram.address.is_some_and(|from| from.pid() != 0) {
                continue;
            }
            if datagram.flags.contains(MsgFlags::MSG_TRUNC) {
                let text = format!("a datagram of {} bytes is longer than {DATAGRAM}", datagram.bytes);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            datagram.iovs().for_each(|bytes| messages.extend_from_slice(bytes));
            messages.resize(messages.len().next_multiple_of(4), 0);
        }
        self.datagrams = match count {
            all if all == self.datagrams => (all * 2).min(MOST_DATAGRAMS),
            few if few * 2 < self.datagrams => (self.datagrams / 2).max(USUAL_DATAGRAMS),
            _ => self.datagrams,
        };
        Ok(count)
    }
}

/// How many reads of nothing but other processes' datagrams are put up with.
const FOREIGN_READS: usize = 16;

impl Transport for Netlink {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let sent = again(|| self.socket.send(datagram, 0))?;
        if sent != datagram.len() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the datagram was sent in part"));
        }
        Ok(())
    }

    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        messages.clear();
        for _ in 0..FOREIGN_READS {
            match again(|| self.read_waiting(messages)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
                Ok(_) if messages.is_empty() => {}
                Ok(count) => return Ok(count),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        // Bounded, because another process may go on sending.
        for _ in 0..RECEIVE_BUFFER {
            // Without room the datagram is cut off, which is all that is wanted.
            match again(|| self.socket.recv_from(&mut [0; 0].as_mut_slice(), MsgFlags::MSG_DONTWAIT.bits())) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_a_signal_interrupts_is_made_again_and_no_other() {
        let mut outcomes = vec![Ok(7), Err(io::ErrorKind::Interrupted), Err(io::ErrorKind::Interrupted)];
        assert_eq!(again(|| Ok(outcomes.pop().unwrap()?)).unwrap(), 7);
        let mut calls = 0;
        let failed = again(|| {
            calls += 1;
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        assert_eq!((failed.unwrap_err().kind(), calls), (io::ErrorKind::WouldBlock, 1));
    }
}
