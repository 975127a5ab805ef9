//! The fake kernel's answers: bytes in, datagrams out.

use netlink_packet_core::{
    NLM_F_CAPPED, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
    NlasIterator,
};
use netlink_packet_generic::GenlHeader;
use netlink_packet_generic::constants::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, CTRL_CMD_NEWFAMILY, GENL_ID_CTRL,
};
use nix::errno::Errno;

use super::state::State;
use crate::model::Info;
use crate::request::Request;
use crate::wire::consts::{FAMILY, cmd};
use crate::wire::{Attribute, Message, ack, daemon, destination, message, service};

/// The number under which the fake's family is registered.
const FAMILY_NUMBER: u16 = 0x1e;
/// Messages of a dump in one datagram: few, so that every dump of a test takes several.
const PER_DATAGRAM: usize = 3;
/// Length of a generic netlink header.
const GENL_HEADER: usize = 4;

/// What is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// Changes to be refused: after how many others, why, in which words.
    pub(super) refusals: Vec<(usize, Errno, Option<String>)>,
    pub(super) busy_dumps: usize,
    pub(super) interrupted_dumps: usize,
    pub(super) unloaded: bool,
    pub(super) forbidden: bool,
    pub(super) hanging: bool,
}

impl Faults {
    /// Counts one change, and says whether it is to be refused.
    fn next_refusal(&mut self) -> Option<(Errno, Option<String>)> {
        let due = self.refusals.iter().position(|(skip, ..)| *skip == 0);
        let due = due.map(|index| self.refusals.remove(index));
        for (skip, ..) in &mut self.refusals {
            *skip = skip.saturating_sub(1);
        }
        due.map(|(_, errno, words)| (errno, words))
    }
}

/// One datagram of the kernel.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Whether it is a piece of a dump.
    pub(super) is_dump: bool,
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, is_dump: false }
    }
}

/// What the kernel answers to a datagram.
pub(super) fn to(
    datagram: &[u8],
    state: &mut State,
    faults: &mut Faults,
    log: &mut Vec<Request>,
) -> Vec<Answer> {
    let mut out = Vec::new();
    for message in ack::split(datagram).map_while(Result::ok) {
        match message.message_type() {
            GENL_ID_CTRL => resolve(&message, faults, &mut out),
            FAMILY_NUMBER if !faults.unloaded => family(&message, state, faults, log, &mut out),
            _ => out.push(acknowledge(&message, Err((Errno::ENOENT, None)))),
        }
    }
    out
}

type Outcome = Result<(), (Errno, Option<String>)>;

fn acknowledge(message: &NetlinkBuffer<&[u8]>, outcome: Outcome) -> Answer {
    const NLM_F_ACK_TLVS: u16 = 0x200;
    let (errno, words) = match outcome {
        Ok(()) => (0, None),
        Err((errno, words)) => (-(errno as i32), words),
    };
    let mut body = errno.to_ne_bytes().to_vec();
    // The header of what is answered.
    ack::write_header(0, message.message_type(), message.flags(), message.sequence_number(), &mut body);
    let mut flags = NLM_F_CAPPED;
    if let Some(words) = words {
        flags |= NLM_F_ACK_TLVS;
        let length = u16::try_from(4 + words.len() + 1).unwrap_or(u16::MAX);
        body.extend(length.to_ne_bytes());
        body.extend(1u16.to_ne_bytes());
        body.extend(words.bytes());
        body.push(0);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let mut datagram = Vec::new();
    ack::write_header(body.len(), NLMSG_ERROR, flags, message.sequence_number(), &mut datagram);
    datagram.extend(body);
    datagram.into()
}

fn resolve(message: &NetlinkBuffer<&[u8]>, faults: &Faults, out: &mut Vec<Answer>) {
    let payload = message.payload();
    let asks = GenlHeader::parse(payload).is_ok_and(|it| it.cmd == CTRL_CMD_GETFAMILY);
    let named =
        NlasIterator::new(payload.get(GENL_HEADER..).unwrap_or_default()).map_while(Result::ok).any(|nla| {
            nla.kind() == CTRL_ATTR_FAMILY_NAME && nla.value().strip_suffix(&[0]) == Some(FAMILY.as_bytes())
        });
    if !asks || !named || faults.unloaded {
        out.push(acknowledge(message, Err((Errno::ENOENT, None))));
        return;
    }
    let mut datagram = Vec::new();
    ack::write_header(GENL_HEADER + 8, GENL_ID_CTRL, 0, message.sequence_number(), &mut datagram);
    datagram.extend([CTRL_CMD_NEWFAMILY, 2, 0, 0]);
    datagram.extend(6u16.to_ne_bytes());
    datagram.extend(CTRL_ATTR_FAMILY_ID.to_ne_bytes());
    datagram.extend(FAMILY_NUMBER.to_ne_bytes());
    datagram.extend([0, 0]);
    out.push(datagram.into());
    out.push(acknowledge(message, Ok(())));
}

fn family(
    message: &NetlinkBuffer<&[u8]>,
    state: &mut State,
    faults: &mut Faults,
    log: &mut Vec<Request>,
    out: &mut Vec<Answer>,
) {
    let refused = |errno| Err((errno, None));
    if faults.forbidden {
        out.push(acknowledge(message, refused(Errno::EPERM)));
        return;
    }
    let payload = message.payload();
    let parsed = GenlHeader::parse(payload)
        .ok()
        .and_then(|header| Message::parse(header.cmd, payload.get(GENL_HEADER..).unwrap_or_default()).ok());
    let Some(parsed) = parsed else {
        out.push(acknowledge(message, refused(Errno::EINVAL)));
        return;
    };
    match parsed.to_request() {
        Err(_) => out.push(acknowledge(message, refused(Errno::EINVAL))),
        Ok(Some(request)) => {
            let outcome = match faults.next_refusal() {
                Some(refusal) => Err(refusal),
                None => state.apply(&request).map_err(|errno| (errno, None)),
            };
            log.push(request);
            out.push(acknowledge(message, outcome));
        }
        Ok(None) if message.flags() & NLM_F_DUMP == NLM_F_DUMP => dump(message, &parsed, state, faults, out),
        Ok(None) => {
            match answer(&parsed, state) {
                Ok(answer) => {
                    let mut datagram = Vec::new();
                    answer.write(FAMILY_NUMBER, 0, message.sequence_number(), &mut datagram);
                    out.push(datagram.into());
                    out.push(acknowledge(message, Ok(())));
                }
                Err(errno) => out.push(acknowledge(message, refused(errno))),
            };
        }
    }
}

/// The answer to a question that has one.
fn answer(asked: &Message, state: &State) -> Result<Message, Errno> {
    match asked.command {
        cmd::GET_SERVICE => {
            let id = asked.service().and_then(|nest| service::id(nest).ok()).ok_or(Errno::EINVAL)?;
            let entry = state.table.find(&id).ok_or(Errno::ESRCH)?;
            let nest = service::entry_attributes(&entry.service, entry.stats);
            Ok(Message::new(cmd::NEW_SERVICE, vec![Attribute::Service(nest)]))
        }
        cmd::GET_CONFIG => Ok(Message::new(cmd::SET_CONFIG, message::timeout_attributes(&state.timeouts))),
        cmd::GET_INFO => {
            let Info { version, table_size } = Info { version: 0x01_02_01, table_size: 4096 };
            let attributes = vec![Attribute::InfoVersion(version), Attribute::InfoTableSize(table_size)];
            Ok(Message::new(cmd::SET_INFO, attributes))
        }
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn dump(
    message: &NetlinkBuffer<&[u8]>,
    asked: &Message,
    state: &State,
    faults: &mut Faults,
    out: &mut Vec<Answer>,
) {
    if faults.busy_dumps > 0 {
        faults.busy_dumps -= 1;
        out.push(acknowledge(message, Err((Errno::EBUSY, None))));
        return;
    }
    let mut flags = NLM_F_MULTIPART;
    if faults.interrupted_dumps > 0 {
        faults.interrupted_dumps -= 1;
        flags |= NLM_F_DUMP_INTR;
    }
    let entries = match asked.command {
        cmd::GET_SERVICE => services(state),
        cmd::GET_DEST => destinations(asked, state),
        cmd::GET_DAEMON => daemons(state),
        _ => {
            out.push(acknowledge(message, Err((Errno::EOPNOTSUPP, None))));
            return;
        }
    };
    for part in entries.chunks(PER_DATAGRAM) {
        let mut datagram = Vec::new();
        for entry in part {
            entry.write(FAMILY_NUMBER, flags, message.sequence_number(), &mut datagram);
        }
        out.push(Answer { bytes: datagram, is_dump: true });
    }
    let mut done = Vec::new();
    ack::write_header(4, NLMSG_DONE, flags, message.sequence_number(), &mut done);
    done.extend(0i32.to_ne_bytes());
    out.push(Answer { bytes: done, is_dump: true });
}

fn services(state: &State) -> Vec<Message> {
    let nest = |entry: &crate::ServiceEntry| service::entry_attributes(&entry.service, entry.stats);
    let message = |nest| Message::new(cmd::NEW_SERVICE, vec![Attribute::Service(nest)]);
    state.table.services.iter().map(nest).map(message).collect()
}

/// A missing service has no destinations, which is no error to the kernel.
fn destinations(asked: &Message, state: &State) -> Vec<Message> {
    let entry = asked.service().and_then(|nest| service::id(nest).ok()).and_then(|id| state.table.find(&id));
    let nests = entry.into_iter().flat_map(|it| &it.destinations).map(destination::entry_attributes);
    nests.map(|nest| Message::new(cmd::NEW_DEST, vec![Attribute::Destination(nest)])).collect()
}

fn daemons(state: &State) -> Vec<Message> {
    let nests = state.daemons.iter().map(daemon::attributes);
    nests.map(|nest| Message::new(cmd::NEW_DAEMON, vec![Attribute::Daemon(nest)])).collect()
}
