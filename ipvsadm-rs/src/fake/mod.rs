//! A kernel in memory, for testing what programs IPVS without a kernel that has it and without privileges.
//!
//! It decodes real netlink bytes, keeps a table, and answers with the errno that Linux would: so codec, order
//! of requests and handling of refusals are all exercised. Answers come as the kernel's do: one datagram for
//! each acknowledgement, dumps in several datagrams. Faults can be injected.
//!
//! It schedules no connections: counters stay 0.
//!
//! ```
//! use ipvsadm::fake::FakeKernel;
//! use ipvsadm::{Ipvs, Request, Scheduler, Service, ServiceId};
//!
//! let kernel = FakeKernel::new();
//! let mut ipvs = Ipvs::with_transport(kernel.connect())?;
//! let web = Service::new(ServiceId::tcp("10.1.0.100:80".parse().unwrap()), Scheduler::RR);
//! ipvs.apply(&[Request::AddService(web.clone())])?;
//! assert_eq!(kernel.table().services[0].service, web);
//! # Ok::<(), ipvsadm::Error>(())
//! ```

mod answers;
mod state;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use crate::model::{Scheduler, SyncDaemon, Table, Timeouts};
use crate::request::Request;
use crate::transport::Transport;

use answers::Faults;
use state::State;

/// The kernel. Clones and connections share one table, as processes do.
#[derive(Debug, Clone, Default)]
pub struct FakeKernel {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: State,
    faults: Faults,
    log: Vec<Request>,
}

impl FakeKernel {
    /// A kernel with an empty table that knows [every scheduler](Scheduler::KNOWN).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection, to be used as `Ipvs::with_transport(kernel.connect())`.
    #[must_use]
    pub fn connect(&self) -> FakeTransport {
        FakeTransport {
            kernel: self.clone(),
            unread: VecDeque::new(),
            deaf: false,
            loss_unreported: false,
            capacity: 64,
        }
    }

    /// What the table holds.
    #[must_use]
    pub fn table(&self) -> Table {
        self.lock().state.table.clone()
    }

    /// Changes the table behind the back of whoever is connected.
    pub fn set_table(&self, table: Table) {
        self.lock().state.table = table;
    }

    /// The timeouts.
    #[must_use]
    pub fn timeouts(&self) -> Timeouts {
        self.lock().state.timeouts
    }

    /// The sync daemons that run.
    #[must_use]
    pub fn daemons(&self) -> Vec<SyncDaemon> {
        self.lock().state.daemons.clone()
    }

    /// Every change asked for so far, in order, refused ones included; forgotten once taken.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().log)
    }

    /// Restricts the schedulers whose modules can be loaded.
    pub fn set_schedulers(&self, schedulers: &[Scheduler]) {
        self.lock().state.schedulers = schedulers.to_vec();
    }

    /// Refuses the change that comes after `skip` others, with the kernel's own words if given.
    pub fn refuse(&self, skip: usize, errno: Errno, words: Option<&str>) {
        self.lock().faults.refusals.push((skip, errno, words.map(str::to_owned)));
    }

    /// Answers the next `count` dumps with `EBUSY`.
    pub fn refuse_dumps(&self, count: usize) {
        self.lock().faults.busy_dumps = count;
    }

    /// Marks the next `count` dumps as interrupted by a change.
    pub fn interrupt_dumps(&self, count: usize) {
        self.lock().faults.interrupted_dumps = count;
    }

    /// Takes the module out (`true`) or loads it: without it there is no family "IPVS".
    pub fn unload(&self, unloaded: bool) {
        self.lock().faults.unloaded = unloaded;
    }

    /// Refuses everything with `EPERM`, as to a process without CAP_NET_ADMIN.
    pub fn forbid(&self, forbidden: bool) {
        self.lock().faults.forbidden = forbidden;
    }

    /// Stops answering (`true`): requests are carried out, but their answers never come.
    pub fn hang(&self, hanging: bool) {
        self.lock().faults.hanging = hanging;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection to a [`FakeKernel`]: what would be a netlink socket.
#[derive(Debug)]
pub struct FakeTransport {
    kernel: FakeKernel,
    unread: VecDeque<Vec<u8>>,
    /// A datagram was lost and the socket takes no more until it is empty, as in Linux.
    deaf: bool,
    /// The loss is still to be reported.
    loss_unreported: bool,
    capacity: usize,
}

impl FakeTransport {
    /// Sets how many datagrams fit into the receive buffer; further ones are lost and reported as `ENOBUFS`.
    /// It does not change what [`Transport::answers_in_flight`] promises, so that loss can be provoked.
    #[must_use]
    pub fn with_capacity(mut self, datagrams: usize) -> Self {
        self.capacity = datagrams;
        self
    }
}

/// What the transport promises to hold.
const ANSWERS_IN_FLIGHT: usize = 64;

impl Transport for FakeTransport {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        let mut shared = self.kernel.lock();
        let Shared { state, faults, log } = &mut *shared;
        let answers = answers::to(datagram, state, faults, log);
        for answer in if faults.hanging { Vec::new() } else { answers } {
            // The kernel makes the pieces of a dump only as they are read, so those are never lost.
            let fits = self.unread.len() < self.capacity && !self.deaf;
            if fits || answer.is_dump {
                self.unread.push_back(answer.bytes);
            } else {
                self.loss_unreported |= !self.deaf;
                self.deaf = true;
            }
        }
        Ok(())
    }

    fn receive(&mut self, datagram: &mut Vec<u8>) -> io::Result<usize> {
        if std::mem::take(&mut self.loss_unreported) {
            return Err(io::Error::from_raw_os_error(Errno::ENOBUFS as i32));
        }
        *datagram = self.unread.pop_front().ok_or(io::ErrorKind::TimedOut)?;
        self.deaf &= !self.unread.is_empty();
        Ok(1)
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        self.unread.clear();
        self.deaf = false;
        Ok(())
    }

    fn answers_in_flight(&self) -> usize {
        ANSWERS_IN_FLIGHT
    }

    fn time_limit(&self) -> Duration {
        Duration::from_secs(1)
    }
}
