//! Which floating addresses have to be added, renewed or removed. Pure: it compares what is wanted with what the
//! interfaces have; [`crate::rtnetlink`] reads the one and carries out the other.
//!
//! An address counts as ours only on the interface that the file names, so a VIP that somebody keeps on `lo` is left
//! alone. Running the result twice changes nothing but the lease.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use lvs_config::model::FloatingAddress;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up and has a carrier.
    pub running: bool,
}

/// An address that an interface has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The interface's number.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
}

/// One thing to do, or that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What.
    pub kind: ChangeKind,
    /// The interface's number.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// The interface, or its alias, as the file names it.
    pub label: String,
}

/// What is done with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is put on the interface.
    Add,
    /// It is there; its lease begins anew.
    Renew,
    /// It is taken off the interface.
    Remove,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Renew => "renew",
            Self::Remove => "remove",
        })
    }
}

/// An address that cannot be held, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The address.
    pub address: IpAddr,
    /// The interface or alias of the file.
    pub label: String,
    /// Why.
    pub reason: String,
}

/// What makes every one of `wanted` present.
#[must_use]
pub fn hold(
    wanted: &[FloatingAddress],
    interfaces: &[Interface],
    present: &[Present],
) -> (Vec<Change>, Vec<Problem>) {
    let mut changes = Vec::new();
    let mut problems = Vec::new();
    for vip in wanted {
        let label = vip.device.label().to_owned();
        let Some(interface) = interfaces.iter().find(|i| i.name == vip.device.interface()) else {
            let reason = format!("this router has no interface {}", vip.device.interface());
            problems.push(Problem { address: vip.address, label, reason });
            continue;
        };
        let index = interface.index;
        let change =
            |kind, prefix| Change { kind, index, address: vip.address, prefix, label: label.clone() };
        let there = present.iter().find(|p| p.index == index && p.address == vip.address);
        match (there, vip.prefix) {
            (Some(there), Some(prefix)) if there.prefix != prefix => {
                changes.push(change(ChangeKind::Remove, there.prefix));
                changes.push(change(ChangeKind::Add, prefix));
            }
            (Some(there), _) => changes.push(change(ChangeKind::Renew, there.prefix)),
            (None, prefix) => {
                let prefix = prefix.unwrap_or_else(|| prefix_of_network(vip.address, index, present));
                changes.push(change(ChangeKind::Add, prefix));
            }
        }
    }
    (changes, problems)
}

/// What makes every one of `unwanted` absent.
#[must_use]
pub fn drop(unwanted: &[FloatingAddress], interfaces: &[Interface], present: &[Present]) -> Vec<Change> {
    let on_its_interface = |vip: &FloatingAddress, there: &&Present| {
        let interface = interfaces.iter().find(|i| i.index == there.index);
        there.address == vip.address && interface.is_some_and(|i| i.name == vip.device.interface())
    };
    let removals_of = |vip: &FloatingAddress| {
        let remove = |there: &Present| Change {
            kind: ChangeKind::Remove,
            index: there.index,
            address: there.address,
            prefix: there.prefix,
            label: vip.device.label().to_owned(),
        };
        present.iter().filter(|there| on_its_interface(vip, there)).map(remove).collect::<Vec<_>>()
    };
    unwanted.iter().flat_map(removals_of).collect()
}

/// The prefix length of an address for which the file gives none: that of the network which the interface is in
/// already, else what `ifconfig` would have taken.
fn prefix_of_network(address: IpAddr, index: u32, present: &[Present]) -> u8 {
    let neighbours =
        present.iter().filter(|p| p.index == index && same_network(p.address, address, p.prefix));
    let class_default = match address {
        IpAddr::V4(v4) => class_prefix(v4),
        IpAddr::V6(_) => 128,
    };
    neighbours
        .map(|p| p.prefix)
        .filter(|prefix| *prefix < 32 || address.is_ipv6())
        .max()
        .unwrap_or(class_default)
}

/// The network class of old (RFC 791 section 3.2), which `ifconfig` takes where no mask is given.
fn class_prefix(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        192..=223 => 24,
        224..=255 => 32,
    }
}

fn same_network(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let bits = |address| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    };
    let ((one, one_is_v4), (other, other_is_v4)) = (bits(one), bits(other));
    let differing = one ^ other;
    one_is_v4 == other_is_v4 && (prefix == 0 || differing.leading_zeros() >= u32::from(prefix))
}

#[cfg(test)]
mod tests {
    use lvs_config::units::Device;

    use super::*;

    fn vip(address: &str, prefix: Option<u8>, device: &str) -> FloatingAddress {
        FloatingAddress { address: address.parse().unwrap(), prefix, device: Device::new(device).unwrap() }
    }

    fn interfaces() -> Vec<Interface> {
        [(1, "lo"), (2, "eth0"), (3, "eth1")]
            .map(|(index, name)| Interface { index, name: name.into(), running: true })
            .to_vec()
    }

    fn present(index: u32, address: &str, prefix: u8) -> Present {
        Present { index, address: address.parse().unwrap(), prefix }
    }

    fn change(kind: ChangeKind, index: u32, address: &str, prefix: u8, label: &str) -> Change {
        Change { kind, index, address: address.parse().unwrap(), prefix, label: label.into() }
    }

    #[test]
    fn a_missing_address_is_added_and_a_present_one_renewed() {
        let wanted = [vip("192.0.2.80", Some(32), "eth0:1"), vip("10.0.0.1", Some(24), "eth1:1")];
        let here = [present(2, "192.0.2.80", 32), present(1, "10.0.0.1", 24)];
        let (changes, problems) = hold(&wanted, &interfaces(), &here);
        assert_eq!(
            changes,
            [
                change(ChangeKind::Renew, 2, "192.0.2.80", 32, "eth0:1"),
                change(ChangeKind::Add, 3, "10.0.0.1", 24, "eth1:1"),
            ]
        );
        assert_eq!(problems, []);
    }

    #[test]
    fn an_address_without_mask_takes_that_of_its_network_else_its_class() {
        let here = [present(2, "192.0.2.11", 25), present(2, "192.0.2.12", 32), present(3, "192.0.2.13", 16)];
        let prefix = |address, device| hold(&[vip(address, None, device)], &interfaces(), &here).0[0].prefix;
        assert_eq!(prefix("192.0.2.80", "eth0:1"), 25);
        assert_eq!(prefix("192.0.2.200", "eth0:1"), 24, "outside the /25");
        assert_eq!(prefix("10.1.2.3", "eth0"), 8);
        assert_eq!(prefix("172.16.0.1", "eth0"), 16);
        assert_eq!(prefix("2001:db8::80", "eth0"), 128);
    }

    #[test]
    fn a_changed_mask_replaces_the_address() {
        let wanted = [vip("192.0.2.80", Some(24), "eth0:1")];
        let (changes, _) = hold(&wanted, &interfaces(), &[present(2, "192.0.2.80", 32)]);
        assert_eq!(
            changes,
            [
                change(ChangeKind::Remove, 2, "192.0.2.80", 32, "eth0:1"),
                change(ChangeKind::Add, 2, "192.0.2.80", 24, "eth0:1"),
            ]
        );
    }

    #[test]
    fn a_missing_interface_costs_only_its_own_addresses() {
        let wanted = [vip("192.0.2.80", Some(32), "eth9:1"), vip("192.0.2.81", Some(32), "eth0:1")];
        let (changes, problems) = hold(&wanted, &interfaces(), &[]);
        assert_eq!(changes, [change(ChangeKind::Add, 2, "192.0.2.81", 32, "eth0:1")]);
        assert_eq!(problems[0].reason, "this router has no interface eth9");
    }

    #[test]
    fn only_addresses_on_their_own_interface_are_dropped() {
        let unwanted = [vip("192.0.2.80", None, "eth0:1"), vip("192.0.2.81", None, "eth0:2")];
        let here = [present(1, "192.0.2.80", 32), present(2, "192.0.2.80", 24), present(2, "192.0.2.11", 24)];
        assert_eq!(
            drop(&unwanted, &interfaces(), &here),
            [change(ChangeKind::Remove, 2, "192.0.2.80", 24, "eth0:1")]
        );
    }
}
