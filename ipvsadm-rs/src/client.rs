//! Asking the kernel: changes in batches, and questions.
//!
//! What is asked and how it is answered is decided here; sequence numbers and waiting are the business of
//! [`crate::conversation`], the bytes that of [`crate::wire`].

use std::collections::HashSet;
use std::hash::Hash;

use nix::errno::Errno;

use crate::conversation::{Conversation, Mode};
use crate::error::{Error, KernelError};
use crate::model::{DestinationEntry, Family, Info, ServiceEntry, ServiceId, SyncDaemon, Table, Timeouts};
use crate::request::Request;
use crate::transport::{Netlink, Transport};
use crate::wire::consts::cmd;
use crate::wire::{Attribute, Message, WireError, daemon, destination, service};

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
    /// An [`Error`] if the conversation broke or the table never stood still for long enough.
    pub fn table(&mut self) -> Result<Table, Error> {
        let listed = self.ask("the list of services", cmd::GET_SERVICE, Vec::new(), Mode::Dump)?;
        let services: Vec<_> = listed.iter().map(service_of).collect::<Result<_, _>>()?;
        let mut services = first_of_each(services, |entry| entry.service.id);
        for entry in &mut services {
            entry.destinations = self.destinations(&entry.service.id)?;
        }
        Ok(Table { services })
    }

    /// Reads one service with its destinations and counters, `None` if there is none.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn service(&mut self, id: &ServiceId) -> Result<Option<ServiceEntry>, Error> {
        let attributes = vec![Attribute::Service(service::identity(id))];
        let answers = match self.ask("a service", cmd::GET_SERVICE, attributes, Mode::One) {
            Err(Error::Refused { errno: Errno::ESRCH, .. }) => return Ok(None),
            other => other?,
        };
        let mut entry = service_of(answers.first().ok_or(Error::Unexpected("a service"))?)?;
        entry.destinations = self.destinations(id)?;
        Ok(Some(entry))
    }

    /// Reads the destinations of a service; none if there is no such service.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn destinations(&mut self, id: &ServiceId) -> Result<Vec<DestinationEntry>, Error> {
        let attributes = vec![Attribute::Service(service::identity(id))];
        let answers = self.ask("the destinations of a service", cmd::GET_DEST, attributes, Mode::Dump)?;
        let family = id.family();
        let entries: Vec<_> =
            answers.iter().map(|answer| destination_of(answer, family)).collect::<Result<_, _>>()?;
        Ok(first_of_each(entries, |entry| entry.destination.id))
    }

    /// Reads the timeouts.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn timeouts(&mut self) -> Result<Timeouts, Error> {
        let answers = self.ask("the timeouts", cmd::GET_CONFIG, Vec::new(), Mode::One)?;
        answers.first().map(Message::timeouts).ok_or(Error::Unexpected("the timeouts"))
    }

    /// Reads version and table size.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn info(&mut self) -> Result<Info, Error> {
        let answers = self.ask("version and table size", cmd::GET_INFO, Vec::new(), Mode::One)?;
        Ok(answers.first().ok_or(Error::Unexpected("version and table size"))?.info()?)
    }

    /// Reads the sync daemons that run: none, one or both.
    ///
    /// # Errors
    /// An [`Error`] if the conversation broke.
    pub fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Error> {
        let answers = self.ask("the sync daemons", cmd::GET_DAEMON, Vec::new(), Mode::Dump)?;
        answers
            .iter()
            .map(|answer| {
                let nest = answer.daemon().ok_or(WireError::Missing("IPVS_CMD_ATTR_DAEMON"))?;
                Ok(daemon::daemon(nest)?)
            })
            .collect()
    }

    fn ask(
        &mut self,
        question: &'static str,
        command: u8,
        attributes: Vec<Attribute>,
        mode: Mode,
    ) -> Result<Vec<Message>, Error> {
        self.conversation.ask(question, &Message::new(command, attributes), mode)
    }
}

/// Leaves out what is there twice, as a dump may give it that overlaps with changes.
fn first_of_each<E, I: Eq + Hash>(mut entries: Vec<E>, id: impl Fn(&E) -> I) -> Vec<E> {
    let mut seen = HashSet::with_capacity(entries.len());
    entries.retain(|entry| seen.insert(id(entry)));
    entries
}

fn service_of(answer: &Message) -> Result<ServiceEntry, WireError> {
    let nest = answer.service().ok_or(WireError::Missing("IPVS_CMD_ATTR_SERVICE"))?;
    let (service, stats) = service::service(nest)?;
    Ok(ServiceEntry { service, stats, destinations: Vec::new() })
}

fn destination_of(answer: &Message, family: Family) -> Result<DestinationEntry, WireError> {
    let nest = answer.destination().ok_or(WireError::Missing("IPVS_CMD_ATTR_DEST"))?;
    destination::entry(nest, family)
}
