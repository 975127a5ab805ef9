//! The table that the kernel should hold: configuration and health in, services and destinations out.
//!
//! The only translator between the file's vocabulary and the kernel's. How to get there from what is, is
//! [`ipvsadm::diff`]'s business.

use std::collections::{BTreeSet, HashMap};

use ipvsadm::{
    Destination, DestinationId, Family, Granularity, Persistence, Scheduler, Service, ServiceFlags, ServiceId,
};
use lvs_config::model::{self, Config, Limits, VirtualServer};

use crate::health::Standing;
use crate::identity::{ServerKey, destination_id, forward, service_id, sorry_id};
use crate::tally::Tally;

/// Weight of a sorry server, which is always alone.
const SORRY_WEIGHT: u32 = 1;

/// All that the file asks of the kernel, in file order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The services, each identity once.
    pub services: Vec<WantedService>,
}

/// One service as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedService {
    /// The service.
    pub service: Service,
    /// Its destinations, each identity once.
    pub destinations: Vec<Destination>,
    /// Rows that a foreign monitor program adds and removes by itself: never touched.
    pub left_alone: BTreeSet<DestinationId>,
    /// Whether the last of [`WantedService::destinations`] is the sorry server.
    pub sorry: bool,
}

/// Computes the table for the active virtual servers of `config`. `standing` tells each real server's; it is asked
/// for active servers of active virtual servers only.
///
/// A sorry server is wanted exactly when the real servers that can take a connection are too few for the quorum, which by
/// default means none, and nobody is awaited. It then serves alone.
#[must_use]
pub fn wanted(config: &Config, standing: impl Fn(&ServerKey) -> Standing) -> Wanted {
    let mut seen: BTreeSet<ServiceId> = BTreeSet::new();
    let services = config
        .active_virtual_servers()
        .filter(|virtual_server| seen.insert(service_id(virtual_server)))
        .map(|virtual_server| wanted_service(virtual_server, &standing))
        .collect();
    Wanted { services }
}

/// Computes one service of the table, as [`wanted`] does.
#[must_use]
pub fn wanted_service(
    virtual_server: &VirtualServer,
    standing: impl Fn(&ServerKey) -> Standing,
) -> WantedService {
    let (mut wanted, tally) = real_servers(virtual_server, standing);
    if tally.loses(virtual_server.quorum) {
        wanted.call_sorry_server(virtual_server);
    }
    wanted
}

/// Computes one service with its real servers alone, and counts them.
#[must_use]
pub fn real_servers(
    virtual_server: &VirtualServer,
    standing: impl Fn(&ServerKey) -> Standing,
) -> (WantedService, Tally) {
    let mut wanted = WantedService {
        service: service(virtual_server),
        destinations: Vec::new(),
        left_alone: BTreeSet::new(),
        sorry: false,
    };
    let mut tally = Tally::default();
    let mut places = HashMap::new();
    for server in virtual_server.active_servers() {
        let id = destination_id(virtual_server, server);
        let standing = standing(&ServerKey::of(virtual_server, server));
        let weight = match standing {
            Standing::Out | Standing::Awaited => None,
            Standing::Kept(weight) => Some(weight),
            Standing::Draining => Some(0),
            Standing::Serving(reported) => Some(reported.map_or(server.weight.value(), u32::from)),
            Standing::Failed => virtual_server.quiesce.then_some(0),
        };
        let is_usable = weight.is_some_and(|weight| weight > 0);
        tally.count(server.weight.value(), is_usable, standing == Standing::Awaited);
        if virtual_server.check.client_monitor.is_some() {
            wanted.left_alone.insert(id);
        } else if let Some(weight) = weight {
            let Limits { max: upper_threshold, min: lower_threshold } = server.limits;
            let known = Destination::new(id, forward(server.forwarding));
            wanted.put(Destination { weight, upper_threshold, lower_threshold, ..known }, &mut places);
        }
    }
    (wanted, tally)
}

impl WantedService {
    /// Lets the sorry server serve alone, if there is one. Real servers that take connections get no new ones but keep
    /// those that they have: weight 0.
    pub fn call_sorry_server(&mut self, virtual_server: &VirtualServer) {
        let Some(sorry) = &virtual_server.sorry_server else { return };
        let row = Destination::new(sorry_id(virtual_server, sorry), forward(sorry.forwarding));
        self.destinations.retain(|real_server| real_server.id != row.id);
        self.destinations.iter_mut().for_each(|real_server| real_server.weight = 0);
        self.destinations.push(Destination { weight: SORRY_WEIGHT, ..row });
        self.sorry = true;
    }

    /// Adds a destination; `places` says which are where. Two servers of the file that the kernel cannot tell apart
    /// (one address checked on two ports under direct routing) share a row, which has the greater weight.
    fn put(&mut self, destination: Destination, places: &mut HashMap<DestinationId, usize>) {
        let place = *places.entry(destination.id).or_insert(self.destinations.len());
        match self.destinations.get_mut(place) {
            Some(known) => known.weight = known.weight.max(destination.weight),
            None => self.destinations.push(destination),
        }
    }
}

fn service(virtual_server: &VirtualServer) -> Service {
    let id = service_id(virtual_server);
    let persistence = virtual_server.persistence.map(|persistence| Persistence {
        timeout: persistence.timeout,
        granularity: Granularity::prefix(persistence.granularity.min(Family::bits(id.family()))),
        engine: None,
    });
    let flags = flags(virtual_server);
    Service { persistence, flags, ..Service::new(id, scheduler(virtual_server.scheduler)) }
}

fn flags(virtual_server: &VirtualServer) -> ServiceFlags {
    let model::SchedulerFlags { first, second, third } = virtual_server.scheduler_flags;
    [
        (virtual_server.one_packet, ServiceFlags::ONE_PACKET),
        (first, ServiceFlags::SCHEDULER_1),
        (second, ServiceFlags::SCHEDULER_2),
        (third, ServiceFlags::SCHEDULER_3),
    ]
    .into_iter()
    .filter(|(is_on, _)| *is_on)
    .fold(ServiceFlags::NONE, |all, (_, flag)| all | flag)
}

/// The kernel's name of a scheduler.
#[must_use]
pub fn scheduler(scheduler: model::Scheduler) -> Scheduler {
    match scheduler {
        model::Scheduler::Rr => Scheduler::RR,
        model::Scheduler::Wrr => Scheduler::WRR,
        model::Scheduler::Lc => Scheduler::LC,
        model::Scheduler::Wlc => Scheduler::WLC,
        model::Scheduler::Lblc => Scheduler::LBLC,
        model::Scheduler::Lblcr => Scheduler::LBLCR,
        model::Scheduler::Dh => Scheduler::DH,
        model::Scheduler::Sh => Scheduler::SH,
        model::Scheduler::Sed => Scheduler::SED,
        model::Scheduler::Nq => Scheduler::NQ,
        model::Scheduler::Fo => Scheduler::FO,
        model::Scheduler::Ovf => Scheduler::OVF,
        model::Scheduler::Mh => Scheduler::MH,
        model::Scheduler::Twos => Scheduler::TWOS,
    }
}
