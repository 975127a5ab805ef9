//! What may be there once only: services, marks, floating addresses and the labels they are put on in the whole file,
//! names beside each other.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Lowering;
use super::read::Located;
use crate::diagnostic::{Code, Problem, shown};
use crate::model::{FloatingAddress, Protocol};
use crate::names::Family;
use crate::span::Span;
use crate::units::FwMark;

/// What has been seen, and where first.
#[derive(Default)]
pub(super) struct Seen {
    services: HashMap<(IpAddr, u16, Protocol), Span>,
    marks: HashMap<(Family, u32), Span>,
    /// Where in `moving` each address is, and the first one of each label.
    floating: HashMap<IpAddr, usize>,
    labels: HashMap<String, usize>,
    /// Every floating address, once.
    pub(super) moving: Vec<Located<FloatingAddress>>,
    routers: HashMap<IpAddr, Span>,
}

impl Seen {
    /// Makes room for so many virtual servers, so that nothing has to grow for them.
    pub(super) fn expect(&mut self, virtual_servers: usize) {
        self.services.reserve(virtual_servers);
        self.floating.reserve(virtual_servers);
        self.labels.reserve(virtual_servers);
        self.moving.reserve(virtual_servers);
    }
}

/// The name of a block.
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) span: Span,
}

impl Lowering<'_> {
    /// Notes a router's own address.
    pub(super) fn router_address(&mut self, address: &Located<IpAddr>) {
        self.seen.routers.entry(address.value).or_insert(address.span);
    }

    /// An active virtual server of an address and port.
    pub(super) fn unique_service(
        &mut self,
        address: &Located<FloatingAddress>,
        port: u16,
        protocol: Protocol,
    ) {
        let vip = address.value.address;
        if let Some(first) = self.seen.services.get(&(vip, port, protocol)) {
            let message =
                format!("another active virtual server has {vip}, port {port}, {}", protocol.name());
            self.report
                .add(Problem::error(Code::Conflict, address.span, message).note(*first, "first given"));
        } else {
            self.seen.services.insert((vip, port, protocol), address.span);
        }
    }

    /// An active virtual server of a firewall mark, given at `span`.
    pub(super) fn unique_mark(&mut self, mark: FwMark, span: Span, family: Family) {
        let key = (family, mark.value());
        if let Some(first) = self.seen.marks.get(&key) {
            let message = format!("another active virtual server has firewall mark {mark}");
            self.report.add(Problem::error(Code::Conflict, span, message).note(*first, "first given"));
        } else {
            self.seen.marks.insert(key, span);
        }
    }

    /// Warns of active blocks of one name beside each other: commands and logs name them, and could mean either.
    pub(super) fn told_apart(&mut self, mut named: Vec<Name<'_>>, what: &str) {
        // Shorter ones first: names that are numbered are in this order already.
        named.sort_unstable_by_key(|name| (name.text.len(), name.text, name.span.start));
        for same in named.chunk_by(|one, other| one.text == other.text) {
            let [first, others @ ..] = same else { continue };
            for other in others {
                let message = format!("another active {what} is named `{}`", shown(other.text));
                let problem =
                    Problem::warning(Code::Conflict, other.span, message).note(first.span, "first given");
                self.if_valid.push(problem.help("`lvs ctl` and the log tell them apart by their names only"));
            }
        }
    }

    /// An address that moves between the routers: not one of theirs, and with a label of its own.
    pub(super) fn floating_address(&mut self, what: &str, address: &Located<FloatingAddress>) {
        let FloatingAddress { address: ip, device, .. } = &address.value;
        if let Some(router) = self.seen.routers.get(ip) {
            let message = format!("{what} is the address of a router");
            self.report
                .add(Problem::error(Code::Conflict, address.span, message).note(*router, "the router's"));
            return;
        }
        if let Some(first) = self.seen.floating.get(ip).map(|at| &self.seen.moving[*at]) {
            let first_device = &first.value.device;
            if first_device.label() != device.label() {
                let message = format!("{ip} is put on {first_device}, not on {device}");
                let problem = Problem::warning(Code::Conflict, address.span, message);
                self.report.add(problem.note(first.span, "first given"));
            }
            return;
        }
        let at = self.seen.moving.len();
        self.seen.floating.insert(*ip, at);
        self.seen.moving.push(address.clone());
        // IPv6 addresses have no labels, and without an alias the label is the interface's own name.
        if ip.is_ipv6() || device.label() == device.interface() {
            return;
        }
        if let Some(first) = self.seen.labels.get(device.label()).map(|at| &self.seen.moving[*at]) {
            let message = format!("{device} already carries {}", first.value.address);
            let problem =
                Problem::error(Code::Conflict, address.span, message).note(first.span, "first given");
            self.report.add(problem.help("give each address an alias of its own"));
        } else {
            self.seen.labels.insert(device.label().to_owned(), at);
        }
    }
}
