//! The kernel has more answers than the socket has room for, and drops some. A program that reads the answers to what it
//! has sent before it sends more never sees that; here somebody sends everything many times over.

use std::{cell::Cell, io, rc::Rc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use ipvsadm::{
    Destination, DestinationId, Error, Forward, Ipvs, Netlink, Request, Scheduler, Service, ServiceId,
    Transport,
};
use lab::{HostSpec, Lab, scenarios};

scenarios! {
    answers_that_the_kernel_drops_are_noticed_and_the_next_ones_are_not: 40,
}

/// Rows that are changed, and how often each change is sent: their answers are some megabytes.
const ROWS: u16 = 200;
const TIMES: u32 = 50;

/// The real thing, which sends the next datagram so many times more.
struct Flooding {
    netlink: Netlink,
    more: Rc<Cell<u32>>,
}

impl Transport for Flooding {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        (0..self.more.take()).try_for_each(|_| self.netlink.send(datagram))?;
        self.netlink.send(datagram)
    }

    fn receive(&mut self, messages: &mut Vec<u8>) -> io::Result<usize> {
        self.netlink.receive(messages)
    }

    fn discard_unread(&mut self) -> io::Result<()> {
        self.netlink.discard_unread()
    }

    fn answers_in_flight(&self) -> usize {
        self.netlink.answers_in_flight()
    }

    fn time_limit(&self) -> Duration {
        self.netlink.time_limit()
    }
}

fn answers_that_the_kernel_drops_are_noticed_and_the_next_ones_are_not(lab: &Lab) -> Result<()> {
    let host = lab.cluster().host(HostSpec::new("flooded")).build()?.host("flooded")?;
    host.enter(flood)?
}

fn flood() -> Result<()> {
    let more = Rc::new(Cell::new(0));
    let mut ipvs = Ipvs::with_transport(Flooding { netlink: Netlink::open()?, more: Rc::clone(&more) })?;
    let service = ServiceId::tcp("10.1.0.100:80".parse()?);
    let row = |port, weight| {
        let id = DestinationId::new([10, 9, 0, 1].into(), port);
        Destination { weight, ..Destination::new(id, Forward::Masquerade) }
    };
    let add = (1..=ROWS).map(|port| Request::AddDestination(service, row(port, 1)));
    let all: Vec<Request> =
        std::iter::once(Request::AddService(Service::new(service, Scheduler::RR))).chain(add).collect();
    ensure!(ipvs.apply(&all)?.iter().all(Result::is_ok), "the rows are refused");

    let edit: Vec<Request> = (1..=ROWS).map(|port| Request::EditDestination(service, row(port, 7))).collect();
    more.set(TIMES);
    let outcome = ipvs.apply(&edit);
    ensure!(matches!(outcome, Err(Error::Overrun)), "{outcome:?}");
    // The same socket takes answers again.
    let outcome = ipvs.apply(&edit)?;
    ensure!(outcome.len() == edit.len() && outcome.iter().all(Result::is_ok), "{outcome:?}");
    let table = ipvs.table()?;
    let entry = table.find(&service).context("the service")?;
    let changed = entry.destinations.iter().filter(|row| row.destination.weight == 7).count();
    assert_eq!(changed, usize::from(ROWS));
    Ok(())
}
