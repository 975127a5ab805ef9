//! Request and answer over a [`Transport`]: sequence numbers, batches, dumps, and recovery.
//!
//! Every request gets the next sequence number, and an answer counts only for the request that carries its
//! number. So a late answer does no harm: what is left over from an abandoned exchange has an old number and
//! is passed over, and does not prolong the wait for what was asked.

use std::io;
use std::time::Instant;

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NlasIterator};
use netlink_packet_generic::GenlHeader;
use netlink_packet_generic::constants::{CTRL_ATTR_FAMILY_ID, GENL_ID_CTRL};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlMessage};
use nix::errno::Errno;

use crate::error::Error;
use crate::transport::Transport;
use crate::wire::ack::{self, Answer, Body, Refusal};
use crate::wire::consts::FAMILY;
use crate::wire::{Message, WireError};

/// Most requests in one batch, however large the receive buffer is.
const BATCH: usize = 256;
/// Most bytes in one batch; well below the default send buffer.
const BATCH_BYTES: usize = 32 << 10;
/// How often a dump that changes disturbed is begun anew.
const DUMP_ATTEMPTS: u32 = 10;

/// What kind of answer a question has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One message.
    One,
    /// Any number of messages and an end.
    Dump,
}

/// What a question was answered with.
#[derive(Debug)]
pub(crate) struct Answers<A> {
    /// What was made of each answer.
    pub(crate) answers: Vec<A>,
    /// Whether the kernel put them together at one moment. What comes in several datagrams is put together datagram by
    /// datagram, as they are fetched.
    pub(crate) at_one_moment: bool,
}

/// Whether what was read last was an answer to something else than what was asked.
#[derive(Debug, Clone, Copy)]
enum Distracted {
    No,
    /// One read, of which it is not known yet. Nearly every exchange ends here, and a look at the clock can cost as much
    /// as the exchange.
    Once,
    /// More than one, since this moment.
    Since(Instant),
}

/// The state of an exchange with the kernel.
#[derive(Debug)]
pub(crate) struct Conversation<T> {
    transport: T,
    family: u16,
    sequence: u32,
    /// Whether answers to something else are coming in.
    distracted: Distracted,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl<T: Transport> Conversation<T> {
    /// Asks the kernel under which number the family answers.
    pub(crate) fn begin(transport: T) -> Result<Self, Error> {
        let (outgoing, incoming) = (Vec::new(), Vec::new());
        let mut it =
            Self { transport, family: 0, sequence: 0, distracted: Distracted::No, outgoing, incoming };
        it.family = it.resolve()?;
        Ok(it)
    }

    /// Sends changes and returns, in order, why each was refused, if it was.
    pub(crate) fn pipeline(
        &mut self,
        messages: &mut dyn Iterator<Item = Message>,
    ) -> Result<Vec<Option<Refusal>>, Error> {
        let most = self.transport.answers_in_flight().clamp(1, BATCH);
        let mut outcome = Vec::new();
        loop {
            self.outgoing.clear();
            let first = self.sequence.wrapping_add(1);
            let mut count = 0;
            while count < most && self.outgoing.len() < BATCH_BYTES {
                let Some(message) = messages.next() else { break };
                self.sequence = self.sequence.wrapping_add(1);
                message.write(self.family, NLM_F_REQUEST | NLM_F_ACK, self.sequence, &mut self.outgoing);
                count += 1;
            }
            if count == 0 {
                return Ok(outcome);
            }
            self.send()?;
            outcome.extend(self.acknowledgements(first, count)?);
        }
    }

    /// Reads the acknowledgements of `count` requests from sequence number `first` on.
    fn acknowledgements(&mut self, first: u32, count: usize) -> Result<Vec<Option<Refusal>>, Error> {
        let mut slots: Vec<Option<Option<Refusal>>> = vec![None; count];
        let mut missing = count;
        while missing > 0 {
            self.read()?;
            for message in ack::split(&self.incoming) {
                let answer = ack::parse(&message?, self.family)?;
                let index = usize::try_from(answer.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                match (answer.body, slots.get_mut(index)) {
                    (Body::Overrun, _) => return Err(overrun(&mut self.transport)),
                    (Body::Ack(refusal), Some(slot @ None)) => {
                        *slot = Some(refusal);
                        missing -= 1;
                        self.distracted = Distracted::No;
                    }
                    _ => {}
                }
            }
        }
        Ok(slots.into_iter().flatten().collect())
    }

    /// Asks one question, a dump that the kernel calls disturbed as often as it takes within reason, and returns what
    /// `read` makes of each answer.
    pub(crate) fn ask<A>(
        &mut self,
        question: &'static str,
        message: &Message,
        mode: Mode,
        read: impl Fn(&Answer<'_>) -> Result<A, WireError>,
    ) -> Result<Answers<A>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(answers) = self.ask_once(question, message, mode, &read)? {
                return Ok(answers);
            }
        }
        Err(Error::DumpInterrupted(DUMP_ATTEMPTS))
    }

    /// `None` means that a dump was disturbed.
    fn ask_once<A>(
        &mut self,
        question: &'static str,
        message: &Message,
        mode: Mode,
        read: &impl Fn(&Answer<'_>) -> Result<A, WireError>,
    ) -> Result<Option<Answers<A>>, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let flags = match mode {
            // The acknowledgement marks the end, so that nothing of this answer is left for the next question.
            Mode::One => NLM_F_REQUEST | NLM_F_ACK,
            Mode::Dump => NLM_F_REQUEST | NLM_F_DUMP,
        };
        self.outgoing.clear();
        message.write(self.family, flags, self.sequence, &mut self.outgoing);
        self.send()?;
        let mut answers = Vec::new();
        let (mut disturbed, mut datagrams) = (false, 0);
        loop {
            datagrams += self.read()?;
            for message in ack::split(&self.incoming) {
                let answer = ack::parse(&message?, self.family)?;
                if answer.sequence != self.sequence {
                    continue;
                }
                self.distracted = Distracted::No;
                disturbed |= answer.interrupted;
                match answer.body {
                    Body::Answer(answer) => answers.push(read(&answer)?),
                    Body::Overrun => return Err(overrun(&mut self.transport)),
                    Body::Nothing => {}
                    Body::Ack(None) | Body::Done(None) => {
                        // The last one is the end.
                        let at_one_moment = datagrams <= 2;
                        return Ok((!disturbed).then_some(Answers { answers, at_one_moment }));
                    }
                    Body::Ack(Some(refusal)) | Body::Done(Some(refusal)) => {
                        return retry_or_refuse(question, refusal);
                    }
                }
            }
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        self.distracted = Distracted::No;
        self.transport.send(&self.outgoing).map_err(|source| Error::Socket { doing: "sending to", source })
    }

    /// Reads what comes next. It counts as an answer to something else until it is found to belong to the request,
    /// and of those no more are read once the time limit is over. Returns the number of datagrams.
    fn read(&mut self) -> Result<usize, Error> {
        let limit = self.transport.time_limit();
        self.distracted = match self.distracted {
            Distracted::No => Distracted::Once,
            Distracted::Once => Distracted::Since(Instant::now()),
            Distracted::Since(start) if start.elapsed() >= limit => return Err(Error::Timeout(limit)),
            since @ Distracted::Since(_) => since,
        };
        receive_into(&mut self.transport, &mut self.incoming)
    }

    /// Asks the controller of generic netlink for the family's number.
    fn resolve(&mut self) -> Result<u16, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        self.outgoing.clear();
        let question = GenlMessage::from_payload(GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(FAMILY.to_owned())],
        });
        let length = question.buffer_len();
        let flags = NLM_F_REQUEST | NLM_F_ACK;
        ack::write_header(length, question.payload.family_id(), flags, self.sequence, &mut self.outgoing);
        let start = self.outgoing.len();
        self.outgoing.resize(start + length, 0);
        question.emit(&mut self.outgoing[start..]);
        self.send()?;
        let mut family = None;
        loop {
            self.read()?;
            for message in ack::split(&self.incoming) {
                let message = message?;
                if message.sequence_number() != self.sequence {
                    continue;
                }
                self.distracted = Distracted::No;
                if message.message_type() == GENL_ID_CTRL {
                    family = family.or(family_number(message.payload())?);
                    continue;
                }
                match ack::parse(&message, 0)?.body {
                    Body::Ack(None) => return family.ok_or(Error::Unexpected("the family's number")),
                    Body::Ack(Some(Refusal { errno: Errno::ENOENT, .. })) => return Err(Error::NotAvailable),
                    Body::Ack(Some(Refusal { errno, extended })) => {
                        return Err(Error::Refused { question: "the family's number", errno, extended });
                    }
                    _ => {}
                }
            }
        }
    }
}

fn receive_into(transport: &mut impl Transport, datagram: &mut Vec<u8>) -> Result<usize, Error> {
    transport.receive(datagram).map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut => Error::Timeout(transport.time_limit()),
        _ if source.raw_os_error() == Some(Errno::ENOBUFS as i32) => overrun(transport),
        _ => Error::Socket { doing: "receiving from", source },
    })
}

/// Answers were lost. What is left is emptied out, else the socket would stay deaf.
fn overrun(transport: &mut impl Transport) -> Error {
    match transport.discard_unread() {
        Ok(()) => Error::Overrun,
        Err(source) => Error::Socket { doing: "emptying", source },
    }
}

/// The family number in the controller's answer. Only that one attribute is looked at: the answer describes
/// the whole family, in terms that newer kernels add to.
fn family_number(payload: &[u8]) -> Result<Option<u16>, WireError> {
    let header = GenlHeader::parse(payload)?;
    for nla in NlasIterator::new(payload.get(header.buffer_len()..).unwrap_or_default()) {
        let nla = nla?;
        if nla.kind() == CTRL_ATTR_FAMILY_ID {
            let value = nla.value();
            let bytes = value
                .try_into()
                .map_err(|_| WireError::Length { attribute: "CTRL_ATTR_FAMILY_ID", length: value.len() })?;
            return Ok(Some(u16::from_ne_bytes(bytes)));
        }
    }
    Ok(None)
}

/// A refused question: worth another attempt, or an error.
fn retry_or_refuse<A>(question: &'static str, refusal: Refusal) -> Result<Option<A>, Error> {
    match refusal.errno {
        Errno::EINTR | Errno::EAGAIN | Errno::EBUSY => Ok(None),
        Errno::EPERM => Err(Error::Permission),
        errno => Err(Error::Refused { question, errno, extended: refusal.extended }),
    }
}
