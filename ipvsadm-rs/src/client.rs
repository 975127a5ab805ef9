//! Asking the kernel: changes in batches, and questions.
//!
//! What is asked and how it is answered is decided here; sequence numbers and waiting are the business of
//! [`crate::conversation`], the bytes that of [`crate::wire`].

use std::collections::HashSet;
use std::hash::Hash;

use nix::errno::Errno;

use crate::conversation::{Answers, Conversation, Mode};
use crate::error::{Error, KernelError};
use crate::model::{DestinationEntry, Family, Info, ServiceEntry, ServiceId, SyncDaemon, Table, Timeouts};
use crate::request::Request;
use crate::transport::{Netlink, Transport};
use crate::wire::ack::Answer;
use crate::wire::consts::{attr, cmd};
use crate::wire::{Attribute, Message, WireError, daemon, destination, service};

/// How often a list that came in pieces is read at most until it stands still.
const READINGS: u32 = 5;

/// A connection to the kernel's IPVS, in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Ipvs<T: Transport = Netlink> {
    conversation: Conversation<T>,
}

impl Ipvs<Netlink> {
    /// Opens a netlink socket and finds IPVS.
    ///
    /// # Errors
    /// [`Error::NotAvailable`] if the kernel has no IPVS loaded, [`Error::Permission`] if the caller may not use
    /// it, and other [`Error`]s if the conversation breaks.
    pub fn open() -> Result<Self, Error> {
        let transport = Netlink::open().map_err(|source| Error::Socket { doing: "opening", source })?;
        Self::with_transport(transport)
    }
}

impl<T: Transport> Ipvs<T> {
    /// Finds IPVS over a transport of one's own.
    ///
    /// # Errors
    /// As [`Ipvs::open`].
    pub fn with_transport(transport: T) -> Result<Self, Error> {
        let mut ipvs = Self { conversation: Conversation::begin(transport)? };
        // Resolving the family needs no privilege, everything else does: find out now and not halfway.
        ipvs.info()?;
        Ok(ipvs)
    }

    /// Carries out changes in the given order and returns what became of each, in the same order.
    ///
    /// All are sent before their answers are read (in batches that the receive buffer can hold the answers
    /// of), so a failed one does not keep the later ones from being tried.
    ///
    /// # Errors
    /// An [`Error`] if the conversation itself broke: then some of the changes may have been made. The
    /// connection stays usable, and [`Ipvs::table`] tells.
    pub fn apply(&mut self, requests: &[Request]) -> Result<Vec<Result<(), KernelError>>, Error> {
        let mut messages = requests.iter().map(Message::of_request);
        let answers = self.conversation.pipeline(&mut messages)?;
        let outcome = requests.iter().zip(answers).map(|(request, answer)| match answer {
            None => Ok(()),
            Some(refusal) => Err(KernelError {
                request: Box::new(request.clone()),
                errno: refusal.errno,
                extended: refusal.extended,
            }),
        });
        Ok(outcome.collect())
    }

    /// Reads all services with their destinations and counters.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke, or the kernel called every dump interrupted. [`Table`] says what changes
    /// of others can do to a dump that it does not call so.
    pub fn table(&mut self) -> Result<Table, Error> {
        let mut services = self.services()?;
        for entry in &mut services {
            entry.destinations = self.destinations(&entry.service.id)?;
        }
        Ok(Table { services })
    }

    /// Reads all services with their counters, but without their destinations, which are left empty: the kernel
    /// tells those of each service separately ([`Ipvs::destinations`]), and a large table need not be held at once.
    ///
    /// # Errors
    /// As [`Ipvs::table`].
    pub fn services(&mut self) -> Result<Vec<ServiceEntry>, Error> {
        let asked = Message::new(cmd::GET_SERVICE, Vec::new());
        self.dump("the list of services", &asked, service_of, |entry| entry.service.id)
    }

    /// Reads one service with its destinations and counters, `None` if there is none.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn service(&mut self, id: &ServiceId) -> Result<Option<ServiceEntry>, Error> {
        let attributes = vec![Attribute::Service(service::identity(id))];
        let answers = match self.ask("a service", cmd::GET_SERVICE, attributes, Mode::One, service_of) {
            Err(Error::Refused { errno: Errno::ESRCH, .. }) => return Ok(None),
            other => other?,
        };
        let mut entry = answers.into_iter().next().ok_or(Error::Unexpected("a service"))?;
        entry.destinations = self.destinations(id)?;
        Ok(Some(entry))
    }

    /// Reads the destinations of a service; none if there is no such service.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        let attributes = vec![Attribute::Service(service::identity(id))];
        let family = id.family();
        let read = |answer: &Answer<'_>| destination_of(answer, family);
        let asked = Message::new(cmd::GET_DEST, attributes);
        self.dump("the destinations of a service", &asked, read, |entry| entry.destination.id)
    }

    /// Reads the timeouts.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        let read = |answer: &Answer<'_>| Ok(answer.message()?.timeouts());
        let answers = self.ask("the timeouts", cmd::GET_CONFIG, Vec::new(), Mode::One, read)?;
        answers.into_iter().next().ok_or(Error::Unexpected("the timeouts"))
    }

    /// Reads version and table size.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn info(&mut self) -> Result<Info, Error> {
        let read = |answer: &Answer<'_>| answer.message()?.info();
        let answers = self.ask("version and table size", cmd::GET_INFO, Vec::new(), Mode::One, read)?;
        answers.into_iter().next().ok_or(Error::Unexpected("version and table size"))
    }

    /// Reads the sync daemons that run: none, one or both.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        self.ask("the sync daemons", cmd::GET_DAEMON, Vec::new(), Mode::Dump, |answer| {
            let nest = answer.nest(attr::DAEMON, "IPVS_CMD_ATTR_DAEMON", daemon::parse)?;
            daemon::daemon(&nest)
        })
    }

    /// Reads a list of entries, each once.
    ///
    /// The kernel finds the next piece of a list by counting, so that what others remove between two pieces can hide
    /// an entry that nobody touched, and does not say so. A list that came in pieces is therefore read until it names
    /// the same entries twice in a row; one that never stands still is taken as it was last.
    fn dump<A, I: Eq + Hash>(
        &mut self,
        question: &'static str,
        asked: &Message,
        read: impl Fn(&Answer<'_>) -> Result<A, WireError>,
        id: impl Fn(&A) -> I,
    ) -> Result<Vec<A>, Error> {
        let mut before: Option<HashSet<I>> = None;
        let mut attempt = 1;
        loop {
            let Answers { mut answers, at_one_moment } =
                self.conversation.ask(question, asked, Mode::Dump, &read)?;
            if at_one_moment {
                return Ok(answers);
            }
            let mut named = HashSet::with_capacity(answers.len());
            answers.retain(|entry| named.insert(id(entry)));
            if attempt == READINGS || before.as_ref() == Some(&named) {
                return Ok(answers);
            }
            before = Some(named);
            attempt += 1;
        }
    }

    fn ask<A>(
        &mut self,
        question: &'static str,
        command: u8,
        attributes: Vec<Attribute>,
        mode: Mode,
        read: impl Fn(&Answer<'_>) -> Result<A, WireError>,
    ) -> Result<Vec<A>, Error> {
        Ok(self.conversation.ask(question, &Message::new(command, attributes), mode, read)?.answers)
    }
}

fn service_of(answer: &Answer<'_>) -> Result<ServiceEntry, WireError> {
    let (service, stats) = answer.nest(attr::SERVICE, "IPVS_CMD_ATTR_SERVICE", service::read)?;
    Ok(ServiceEntry { service, stats, destinations: Vec::new() })
}

fn destination_of(answer: &Answer<'_>, family: Family) -> Result<DestinationEntry, WireError> {
    answer.nest(attr::DEST, "IPVS_CMD_ATTR_DEST", |nest| destination::read(nest, family))
}
