//! A conversation with the kernel about interfaces, addresses and routes (rtnetlink). What is asked and what the
//! answers mean is the callers' business.

use std::io;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

/// Longest wait for an answer. The kernel answers at once; this bounds the damage if it does not.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// Requests in the making, to be sent together.
#[derive(Debug, Default)]
pub struct Batch {
    datagram: Vec<u8>,
    first: Option<u32>,
}

/// A connection to the kernel's routing tables.
#[derive(Debug)]
pub struct Rtnetlink {
    socket: Socket,
    sequence: u32,
}

impl Rtnetlink {
    /// Opens a connection, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let limit = TimeVal::new(TIME_LIMIT.as_secs().try_into().unwrap_or(i64::MAX), 0);
        setsockopt(&socket, sockopt::ReceiveTimeout, &limit)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Asks for a whole table.
    ///
    /// # Errors
    /// The kernel's, and those of the conversation.
    pub fn dump(&mut self, request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut batch = Batch::default();
        self.append(&mut batch, request, NLM_F_DUMP);
        let mut answers = Vec::new();
        self.send(&batch, |_, payload| {
            match payload {
                NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            Ok(false)
        })?;
        Ok(answers)
    }

    /// Asks for one thing, which the kernel answers with one message.
    ///
    /// # Errors
    /// The kernel's, and those of the conversation.
    pub fn ask(&mut self, request: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let mut batch = Batch::default();
        self.append(&mut batch, request, 0);
        let mut found = None;
        self.send(&batch, |_, payload| match payload {
            NetlinkPayload::InnerMessage(answer) => {
                found = Some(answer);
                Ok(true)
            }
            NetlinkPayload::Error(error) => Err(error.to_io()),
            _ => Ok(false),
        })?;
        found.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }

    /// Adds a request with these flags beside `NLM_F_REQUEST`.
    pub fn append(&mut self, batch: &mut Batch, request: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        batch.first.get_or_insert(self.sequence);
        let start = batch.datagram.len();
        // Netlink messages begin at multiples of four bytes.
        batch.datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut batch.datagram[start..]);
    }

    /// Sends the requests and hands each answer to `take`, with the place in the batch of the request that it answers,
    /// until `take` says that it has them all. Answers to earlier batches are not handed on.
    ///
    /// # Errors
    /// Those of the conversation, also when no answer comes in time, and those of `take`.
    pub fn send(
        &mut self,
        batch: &Batch,
        mut take: impl FnMut(usize, NetlinkPayload<RouteNetlinkMessage>) -> io::Result<bool>,
    ) -> io::Result<()> {
        let Some(first) = batch.first else { return Ok(()) };
        let count = self.sequence.wrapping_sub(first) as usize;
        self.socket.send(&batch.datagram, 0)?;
        let give_up = Instant::now() + TIME_LIMIT;
        while Instant::now() < give_up {
            let (datagram, _) = match self.socket.recv_from_full() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                received => received?,
            };
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let message =
                    NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(io::Error::other)?;
                let length = (message.header.length as usize).next_multiple_of(4).max(1);
                rest = rest.get(length..).unwrap_or_default();
                let index = message.header.sequence_number.wrapping_sub(first) as usize;
                if index <= count && take(index, message.payload)? {
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    #[test]
    fn the_loopback_interface_and_its_address_are_there() {
        let mut kernel = Rtnetlink::open().unwrap();
        let links = kernel.dump(RouteNetlinkMessage::GetLink(LinkMessage::default())).unwrap();
        assert!(matches!(links.first(), Some(RouteNetlinkMessage::NewLink(_))), "{links:?}");
        let addresses = kernel.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default())).unwrap();
        assert!(addresses.iter().all(|it| matches!(it, RouteNetlinkMessage::NewAddress(_))));
    }

    #[test]
    fn a_refusal_is_the_kernels_error() {
        let mut message = LinkMessage::default();
        message.header.index = u32::MAX / 2;
        let refused = Rtnetlink::open().unwrap().ask(RouteNetlinkMessage::GetLink(message)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::libc::ENODEV));
    }
}
