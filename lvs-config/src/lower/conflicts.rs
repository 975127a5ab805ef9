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
use crate::token::Token;
use crate::units::{Device, FwMark};

/// What has been seen, and where first.
#[derive(Default)]
pub(super) struct Seen {
    services: HashMap<(IpAddr, u16, Protocol), Span>,
    marks: HashMap<(Family, u32), Span>,
    floating: HashMap<IpAddr, (Device, Span)>,
    labels: HashMap<String, (IpAddr, Span)>,
    /// Every floating address, once.
    pub(super) moving: Vec<Located<FloatingAddress>>,
    routers: HashMap<IpAddr, Span>,
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
    pub(super) fn told_apart(&mut self, mut named: Vec<Token>, what: &str) {
        let text = self.text;
        named.sort_unstable_by_key(|name| (name.text(text), name.span.start));
        for same in named.chunk_by(|one, other| one.text(text) == other.text(text)) {
            let [first, others @ ..] = same else { continue };
            for other in others {
                let message = format!("another active {what} is named `{}`", shown(other.text(text)));
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
        if let Some((first_device, first)) = self.seen.floating.get(ip) {
            if first_device.label() != device.label() {
                let message = format!("{ip} is put on {first_device}, not on {device}");
                let problem = Problem::warning(Code::Conflict, address.span, message);
                self.report.add(problem.note(*first, "first given"));
            }
            return;
        }
        self.seen.floating.insert(*ip, (device.clone(), address.span));
        self.seen.moving.push(address.clone());
        // IPv6 addresses have no labels, and without an alias the label is the interface's own name.
        if ip.is_ipv6() || device.label() == device.interface() {
            return;
        }
        if let Some((other, first)) = self.seen.labels.get(device.label()) {
            let message = format!("{device} already carries {other}");
            let problem = Problem::error(Code::Conflict, address.span, message).note(*first, "first given");
            self.report.add(problem.help("give each address an alias of its own"));
        } else {
            self.seen.labels.insert(device.label().to_owned(), (*ip, address.span));
        }
    }
}
