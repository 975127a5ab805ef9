//! Floating addresses that are in no network of the interface that is to carry them: nobody there would ask for them.
//!
//! Nothing is said where there is nothing to compare with: no such interface on this machine (the file may be another
//! one's), none of its addresses in a network of that family, or an address with a mask of its own, which is in the
//! network that the mask says.

use std::net::IpAddr;

use super::Lowering;
use super::read::Located;
use crate::diagnostic::{Code, Problem};
use crate::interfaces::{InterfaceAddress, Network};
use crate::model::FloatingAddress;

/// Most networks of an interface that a message names.
const MAX_NAMED: usize = 4;

impl Lowering<'_> {
    /// Warns of floating addresses that are in no network of their interface.
    pub(super) fn in_networks(&mut self) {
        let mut floating = std::mem::take(&mut self.seen.moving);
        floating.sort_by_key(|one| one.span.start);
        if floating.iter().all(|one| one.value.prefix.is_some()) {
            return;
        }
        let addresses = self.names.interface_addresses();
        self.if_valid.extend(outside(&addresses, &floating));
    }
}

/// A warning for each address of `floating` that is outside of the networks that its interface has by `addresses`.
fn outside(addresses: &[InterfaceAddress], floating: &[Located<FloatingAddress>]) -> Vec<Problem> {
    // Where they are put already, floating addresses must not vouch for themselves.
    let fixed: Vec<&InterfaceAddress> =
        addresses.iter().filter(|one| floating.iter().all(|f| f.value.address != one.address)).collect();
    let mut problems = Vec::new();
    for Located { value, span } in floating {
        if value.prefix.is_some() || value.address.is_unspecified() || value.address.is_loopback() {
            continue;
        }
        let networks = networks(&fixed, value);
        if networks.is_empty()
            || networks.iter().any(|network| network.contains(value.address))
            || is_beside_another(value, floating)
        {
            continue;
        }
        let interface = value.device.interface();
        let message =
            format!("{} is in none of the networks of {interface} ({})", value.address, list(&networks));
        let usual = if value.address.is_ipv4() { 24 } else { 64 };
        let help = format!(
            "name the interface that is in its network, or say which network it is in, as in {}/{usual}",
            value.address
        );
        problems.push(Problem::warning(Code::OtherNetwork, *span, message).help(help));
    }
    problems
}

/// The networks of the interface of `wanted`, of its family and scope.
fn networks(fixed: &[&InterfaceAddress], wanted: &FloatingAddress) -> Vec<Network> {
    let is_link_local = |address: IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mut networks: Vec<Network> = fixed
        .iter()
        .filter(|one| one.interface == wanted.device.interface() && !one.address.is_loopback())
        .filter(|one| one.address.is_ipv4() == wanted.address.is_ipv4())
        .filter(|one| is_link_local(one.address) == is_link_local(wanted.address))
        .map(|one| Network::of(one.address, one.prefix))
        .filter(|network| !network.is_host())
        .collect();
    networks.sort();
    networks.dedup();
    networks
}

/// Whether another floating address brings the network of `wanted` to its interface.
fn is_beside_another(wanted: &FloatingAddress, floating: &[Located<FloatingAddress>]) -> bool {
    floating.iter().map(|one| &one.value).any(|other| {
        let is_there = other.device.interface() == wanted.device.interface();
        let network = other.prefix.map(|prefix| Network::of(other.address, prefix));
        is_there && network.is_some_and(|network| network.contains(wanted.address))
    })
}

fn list(networks: &[Network]) -> String {
    let mut named: Vec<String> = networks.iter().take(MAX_NAMED).map(Network::to_string).collect();
    if networks.len() > MAX_NAMED {
        named.push("…".to_owned());
    }
    named.join(", ")
}
