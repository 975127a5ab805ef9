//! The frame around every message: netlink header, acknowledgement with its extended part, end of a dump.
//!
//! ```text
//! nlmsghdr { len, type, flags, seq, port } | NLMSG_ERROR: errno, the request's header [its body] [TLVs]
//!                                          | NLMSG_DONE:  errno [TLVs]
//!                                          | family:      genlmsghdr, attributes
//! ```
//! The extended part (`NLM_F_ACK_TLVS`) is where the kernel says in words what it did not like.

use netlink_packet_core::{
    Emitable, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
    NetlinkBuffer, NetlinkHeader, NlasIterator,
};
use netlink_packet_generic::GenlHeader;
use nix::errno::Errno;

use super::value::text_of;
use super::{Message, WireError};

/// Flag of an acknowledgement or end of dump: TLVs follow (`linux/netlink.h: NLM_F_ACK_TLVS`).
const NLM_F_ACK_TLVS: u16 = 0x200;
/// The kernel's words, text with a final NUL (`linux/netlink.h: NLMSGERR_ATTR_MSG`).
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Length of a netlink header.
const HEADER: usize = 16;

/// One message of the kernel, as far as the frame goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming<'a> {
    /// Sequence number of the request that it answers.
    pub sequence: u32,
    /// Whether the dump that it belongs to was disturbed by a change.
    pub interrupted: bool,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message of the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A request was done (`None`) or refused.
    Ack(Option<Refusal>),
    /// A dump is over; it may have failed on the way.
    Done(Option<Refusal>),
    /// An answer of the family that was asked, not yet read.
    Answer(Answer<'a>),
    /// Nothing of interest.
    Nothing,
    /// The kernel lost messages.
    Overrun,
}

/// An answer of the family: what follows the netlink header. [`Message::parse`] reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// One of [`super::consts::cmd`].
    pub command: u8,
    /// Attributes of the top level.
    pub attributes: &'a [u8],
}

impl Answer<'_> {
    /// All of it as a message.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn message(&self) -> Result<Message, WireError> {
        Message::parse(self.command, self.attributes)
    }

    /// Reads one nest of the top level and nothing else: for dumps, which are long.
    ///
    /// # Errors
    /// Those of `read`, [`WireError::Missing`] with `name` if there is no such nest, and others if the attributes
    /// before it are malformed.
    pub fn nest<A>(
        &self,
        number: u16,
        name: &'static str,
        read: impl FnOnce(&[u8]) -> Result<A, WireError>,
    ) -> Result<A, WireError> {
        for nla in NlasIterator::new(self.attributes) {
            let nla = nla?;
            if nla.kind() == number {
                return read(nla.value());
            }
        }
        Err(WireError::Missing(name))
    }
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub errno: Errno,
    /// The kernel's own words.
    pub extended: Option<String>,
}

/// Splits a datagram into messages, the netlink headers included. A malformed one ends the iteration.
pub fn split(datagram: &[u8]) -> impl Iterator<Item = Result<NetlinkBuffer<&[u8]>, WireError>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match NetlinkBuffer::new_checked(rest) {
            Ok(message) => {
                let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
                let aligned = length.saturating_add(3) & !3;
                rest = rest.get(aligned..).unwrap_or_default();
                Some(Ok(message))
            }
            Err(error) => {
                rest = &[];
                Some(Err(error.into()))
            }
        }
    })
}

/// Reads one message. `family` is the number under which answers come.
///
/// # Errors
/// [`WireError`] if it is malformed.
pub fn parse<'a>(message: &NetlinkBuffer<&'a [u8]>, family: u16) -> Result<Incoming<'a>, WireError> {
    let payload = message.payload();
    let body = match message.message_type() {
        NLMSG_ERROR => Body::Ack(refusal(payload, message.flags(), true)?),
        NLMSG_DONE => Body::Done(refusal(payload, message.flags(), false)?),
        NLMSG_OVERRUN => Body::Overrun,
        number if number == family && number != NLMSG_NOOP => {
            let header = GenlHeader::parse(payload)?;
            let attributes = payload.get(header.buffer_len()..).unwrap_or_default();
            Body::Answer(Answer { command: header.cmd, attributes })
        }
        _ => Body::Nothing,
    };
    let interrupted = message.flags() & NLM_F_DUMP_INTR != 0;
    Ok(Incoming { sequence: message.sequence_number(), interrupted, body })
}

fn refusal(payload: &[u8], flags: u16, echoes: bool) -> Result<Option<Refusal>, WireError> {
    // Old kernels end a dump with an empty NLMSG_DONE.
    if payload.is_empty() && !echoes {
        return Ok(None);
    }
    let Some((code, rest)) = payload.split_first_chunk::<4>() else {
        return Err(WireError::Length { attribute: "nlmsgerr", length: payload.len() });
    };
    let code = i32::from_ne_bytes(*code);
    if code >= 0 {
        return Ok(None);
    }
    let tlvs = match (flags & NLM_F_ACK_TLVS != 0, echoes) {
        (false, _) => &[],
        (true, false) => rest,
        (true, true) => rest.get(echoed_length(rest, flags)..).unwrap_or_default(),
    };
    Ok(Some(Refusal { errno: Errno::from_raw(code.saturating_neg()), extended: words(tlvs) }))
}

/// How much of the request an acknowledgement repeats: its header, and its body too unless capped.
fn echoed_length(echo: &[u8], flags: u16) -> usize {
    if flags & NLM_F_CAPPED != 0 {
        return HEADER;
    }
    let length = echo
        .first_chunk::<4>()
        .map_or(HEADER, |bytes| usize::try_from(u32::from_ne_bytes(*bytes)).unwrap_or(usize::MAX));
    length.saturating_add(3) & !3
}

fn words(tlvs: &[u8]) -> Option<String> {
    NlasIterator::new(tlvs)
        .map_while(Result::ok)
        .find(|tlv| tlv.kind() == NLMSGERR_ATTR_MSG)
        .and_then(|tlv| text_of("NLMSGERR_ATTR_MSG", tlv.value()).ok().map(str::to_owned))
}

/// Appends the header of a message whose body has `body` bytes.
pub fn write_header(body: usize, kind: u16, flags: u16, sequence: u32, into: &mut Vec<u8>) {
    let mut header = NetlinkHeader::default();
    header.length = u32::try_from(HEADER + body).unwrap_or(u32::MAX);
    header.message_type = kind;
    header.flags = flags;
    header.sequence_number = sequence;
    let start = into.len();
    into.resize(start + HEADER, 0);
    header.emit(&mut into[start..]);
}
