//! The kernel as the shell sees it: a table to read and requests to send, and a connection that is made anew after
//! it broke; and its settings.
//!
//! A module `ip_vs` that is taken out leaves a connection that is refused everything with ENOENT, which is also what a
//! missing scheduler looks like. So that is looked into, and told for what it is; so is a lost capability.

use ipvsadm::{Errno, Error, Ipvs, KernelError, Request, Table, Timeouts, Transport};

use crate::sysctl::files::SysctlFiles;
use crate::sysctl::{Answer, Order};

/// What the kernel has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// Its table.
    pub table: Table,
    /// How long it keeps idle connections.
    pub timeouts: Timeouts,
}

impl Reading {
    /// Does what the kernel does when it accepts these, in order.
    pub fn apply(&mut self, requests: &[Request]) {
        self.table.apply(requests);
        let set = requests.iter().filter_map(|request| match request {
            Request::SetTimeouts(timeouts) => Some(timeouts),
            _ => None,
        });
        for Timeouts { tcp, tcp_fin, udp } in set {
            let known = &mut self.timeouts;
            for (known, wanted) in
                [(&mut known.tcp, tcp), (&mut known.tcp_fin, tcp_fin), (&mut known.udp, udp)]
            {
                if !wanted.is_zero() {
                    *known = *wanted;
                }
            }
        }
    }
}

/// Who keeps the table.
pub trait Kernel {
    /// Reads what there is.
    ///
    /// # Errors
    /// Why not, in words.
    fn read(&mut self) -> Result<Reading, String>;

    /// Sends requests; one outcome each.
    ///
    /// # Errors
    /// Why the kernel could not be asked, in words; then any part may have been done.
    fn apply(&mut self, requests: &[Request]) -> Result<Vec<Result<(), KernelError>>, String>;

    /// Does what is asked about the settings. Who keeps only a table has none.
    fn sysctl(&mut self, order: Order) -> Answer {
        order.without_settings()
    }
}

/// One connection; a broken one stays broken.
impl<T: Transport> Kernel for Ipvs<T> {
    fn read(&mut self) -> Result<Reading, String> {
        let table = self.table().map_err(in_words)?;
        let timeouts = self.timeouts().map_err(in_words)?;
        Ok(Reading { table, timeouts })
    }

    fn apply(&mut self, requests: &[Request]) -> Result<Vec<Result<(), KernelError>>, String> {
        let outcomes = Self::apply(self, requests).map_err(in_words)?;
        let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
        if refused.into_iter().any(|error| error.errno == Errno::ENOENT) {
            // A kernel that has IPVS answers this.
            self.info().map_err(in_words)?;
        }
        Ok(outcomes)
    }
}

/// Why the kernel could not be asked. A question that is refused says something about all of them.
fn in_words(error: Error) -> String {
    match error {
        Error::Refused { errno: Errno::ENOENT, .. } => Error::NotAvailable.to_string(),
        Error::Refused { errno: Errno::EPERM, .. } => Error::Permission.to_string(),
        other => other.to_string(),
    }
}

/// The kernel of this machine.
#[derive(Debug)]
pub struct LinuxKernel {
    connection: Option<Ipvs>,
    settings: Option<SysctlFiles>,
}

impl LinuxKernel {
    /// Finds IPVS.
    ///
    /// # Errors
    /// As [`Ipvs::open`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self { connection: Some(Ipvs::open()?), settings: None })
    }

    /// The same with its settings.
    #[must_use]
    pub fn with_settings(self, files: SysctlFiles) -> Self {
        Self { settings: Some(files), ..self }
    }

    /// Asks `question` over a connection, a new one if the last broke.
    fn ask<A>(&mut self, question: impl FnOnce(&mut Ipvs) -> Result<A, String>) -> Result<A, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Ipvs::open().map_err(|error| error.to_string())?,
        };
        let answer = question(&mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }
}

impl Kernel for LinuxKernel {
    fn read(&mut self) -> Result<Reading, String> {
        self.ask(Kernel::read)
    }

    fn apply(&mut self, requests: &[Request]) -> Result<Vec<Result<(), KernelError>>, String> {
        self.ask(|connection| Kernel::apply(connection, requests))
    }

    fn sysctl(&mut self, order: Order) -> Answer {
        match &self.settings {
            Some(files) => files.carry_out(order),
            None => order.without_settings(),
        }
    }
}
