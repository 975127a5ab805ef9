//! Which frames leave by which interface: what the caller asked for, fitted to the interfaces of this host.
//!
//! In: [`Entry`]s, defaults and a picture of the interfaces; out: one batch of frames per interface, and a reason for
//! every entry that cannot be announced. Pure: it neither looks at the host nor sends.
//!
//! An address is announced on the device of its own line, else on the default device, else on the interface that
//! holds it; at the MAC address of its own line, else the default one, else the interface's own.
//!
//! In a batch, every address is announced in its first form before any is in its second, so that with a thousand
//! addresses no host waits for the last one longer than it must.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;

use thiserror::Error;

use crate::announcement::{gratuitous_arp, unsolicited_advertisement};
use crate::frame::{Frame, Operation};
use crate::list::{Entry, Origin, Problem, strip_alias};
use crate::mac::Mac;

/// What this program needs to know of one network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name, at most 15 octets.
    pub name: String,
    /// Its Ethernet address; `None` for other kinds of link.
    pub mac: Option<Mac>,
    /// The addresses that it holds now.
    pub addresses: Vec<IpAddr>,
    /// Whether it forwards IPv6 packets.
    pub forwards_ipv6: bool,
}

/// The forms in which an IPv4 address is announced. Some equipment learns from the one only, some from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// An ARP reply that nobody asked for: what Piranha sent.
    Reply,
    /// An ARP request for the own address: the announcement of RFC 5227 section 2.3.
    Request,
    /// The reply first, then the request.
    Both,
}

impl Form {
    fn operations(self) -> &'static [Operation] {
        match self {
            Form::Reply => &[Operation::Reply],
            Form::Request => &[Operation::Request],
            Form::Both => &[Operation::Reply, Operation::Request],
        }
    }
}

/// What holds for every entry that does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// The interface of entries without one; `None` means the interface that holds the address.
    pub device: Option<String>,
    /// The MAC address of entries without one; `None` means the interface's own.
    pub mac: Option<Mac>,
    /// How IPv4 addresses are announced.
    pub form: Form,
}

/// The frames for one interface, in the order in which to send them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Name of the interface.
    pub device: String,
    /// One round's frames; never empty.
    pub frames: Vec<Frame>,
}

/// Why an entry cannot be announced.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// No interface has this name.
    #[error("no device `{device}` to announce {address} on; there is {present}")]
    NoDevice {
        /// The address.
        address: IpAddr,
        /// The name asked for.
        device: String,
        /// The Ethernet interfaces that exist.
        present: String,
    },
    /// The interface is not Ethernet, so nobody there asks for MAC addresses.
    #[error("device `{device}` is not Ethernet, {address} cannot be announced on it")]
    NotEthernet {
        /// The address.
        address: IpAddr,
        /// The interface.
        device: String,
    },
    /// No device was named and no interface holds the address.
    #[error("no Ethernet device holds {0}: name the device")]
    NotHeld(IpAddr),
    /// No device was named and several interfaces hold the address.
    #[error("{address} is on {first} and on {second}: name the device")]
    Ambiguous {
        /// The address.
        address: IpAddr,
        /// One interface.
        first: String,
        /// Another one.
        second: String,
    },
    /// The address is announced at another MAC address already, and neighbours can believe only one.
    #[error("{address} is already announced on {device} at {mac} ({origin})")]
    Contradiction {
        /// The address.
        address: IpAddr,
        /// The interface.
        device: String,
        /// The MAC address of the earlier entry.
        mac: Mac,
        /// The earlier entry.
        origin: Origin,
    },
}

/// Fits the entries to the interfaces. An address asked for twice is announced once.
#[must_use]
pub fn plan(
    entries: &[Entry],
    defaults: &Defaults,
    interfaces: &[Interface],
) -> (Vec<Batch>, Vec<Problem<PlanError>>) {
    let index = Index::new(interfaces);
    let mut wanted: Vec<Vec<(IpAddr, Mac)>> = vec![Vec::new(); interfaces.len()];
    let mut seen: HashMap<(usize, IpAddr), (Mac, Origin)> = HashMap::new();
    let mut problems = Vec::new();
    for entry in entries {
        let placed = index.place(entry, defaults).and_then(|(at, mac)| {
            match seen.entry((at, entry.address)) {
                Slot::Vacant(slot) => {
                    slot.insert((mac, entry.origin));
                    wanted[at].push((entry.address, mac));
                }
                Slot::Occupied(slot) if slot.get().0 == mac => {}
                Slot::Occupied(slot) => {
                    let (mac, origin) = *slot.get();
                    let device = interfaces[at].name.clone();
                    return Err(PlanError::Contradiction { address: entry.address, device, mac, origin });
                }
            }
            Ok(())
        });
        problems.extend(placed.err().map(|reason| Problem { origin: entry.origin, reason }));
    }
    let batches = interfaces.iter().zip(wanted).filter(|(_, wanted)| !wanted.is_empty());
    (batches.map(|(interface, wanted)| batch(interface, &wanted, defaults.form)).collect(), problems)
}

/// Interfaces by name, and Ethernet interfaces by the addresses that they hold; values index the list.
struct Index<'a> {
    interfaces: &'a [Interface],
    by_name: HashMap<&'a str, usize>,
    by_address: HashMap<IpAddr, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(interfaces: &'a [Interface]) -> Self {
        let by_name = interfaces.iter().enumerate().map(|(at, one)| (one.name.as_str(), at)).collect();
        let mut by_address: HashMap<IpAddr, Vec<usize>> = HashMap::new();
        for (at, interface) in interfaces.iter().enumerate().filter(|(_, one)| one.mac.is_some()) {
            for &address in &interface.addresses {
                by_address.entry(address).or_default().push(at);
            }
        }
        Index { interfaces, by_name, by_address }
    }

    /// The interface and the MAC address for an entry.
    fn place(&self, entry: &Entry, defaults: &Defaults) -> Result<(usize, Mac), PlanError> {
        let at = match entry.device.as_deref().or(defaults.device.as_deref()) {
            Some(device) => self.named(strip_alias(device), entry.address)?,
            None => self.holder(entry.address)?,
        };
        let interface = &self.interfaces[at];
        let own = interface.mac.ok_or_else(|| PlanError::NotEthernet {
            address: entry.address,
            device: interface.name.clone(),
        })?;
        Ok((at, entry.mac.or(defaults.mac).unwrap_or(own)))
    }

    fn named(&self, device: &str, address: IpAddr) -> Result<usize, PlanError> {
        self.by_name.get(device).copied().ok_or_else(|| PlanError::NoDevice {
            address,
            device: device.to_owned(),
            present: self.ethernet_names(),
        })
    }

    fn holder(&self, address: IpAddr) -> Result<usize, PlanError> {
        let name = |at: &usize| self.interfaces[*at].name.clone();
        match self.by_address.get(&address).map_or(&[][..], Vec::as_slice) {
            [] => Err(PlanError::NotHeld(address)),
            [at] => Ok(*at),
            [first, second, ..] => {
                Err(PlanError::Ambiguous { address, first: name(first), second: name(second) })
            }
        }
    }

    fn ethernet_names(&self) -> String {
        let names: Vec<&str> =
            self.interfaces.iter().filter(|one| one.mac.is_some()).map(|one| one.name.as_str()).collect();
        if names.is_empty() { "no Ethernet device at all".to_owned() } else { names.join(", ") }
    }
}

/// One round's frames for an interface: first forms of all addresses, then second forms.
fn batch(interface: &Interface, wanted: &[(IpAddr, Mac)], form: Form) -> Batch {
    let mut frames = Vec::with_capacity(wanted.len() * form.operations().len());
    for (pass, &operation) in form.operations().iter().enumerate() {
        for &(address, mac) in wanted {
            match address {
                IpAddr::V4(address) => frames.push(gratuitous_arp(operation, address, mac)),
                IpAddr::V6(address) if pass == 0 => {
                    frames.push(unsolicited_advertisement(address, mac, interface.forwards_ipv6));
                }
                IpAddr::V6(_) => {}
            }
        }
    }
    Batch { device: interface.name.clone(), frames }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Batch, Defaults, Form, Interface, plan};
    use crate::list::{self, Entry};
    use crate::mac::Mac;

    const MAC0: Mac = Mac([0x00, 0x16, 0x3e, 0, 0, 0]);
    const MAC1: Mac = Mac([0x00, 0x16, 0x3e, 0, 0, 1]);

    fn interface(name: &str, mac: Option<Mac>, addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
        Interface { name: name.into(), mac, addresses, forwards_ipv6: name == "eth1" }
    }

    fn host() -> Vec<Interface> {
        vec![
            interface("lo", None, &["127.0.0.1", "10.9.0.9"]),
            interface("eth0", Some(MAC0), &["10.1.0.10", "10.1.0.100", "10.3.0.1"]),
            interface("eth1", Some(MAC1), &["10.2.0.1", "2001:db8::64", "10.3.0.1"]),
        ]
    }

    fn entries(list: &str) -> Vec<Entry> {
        let (entries, problems) = list::parse(list);
        assert_eq!(problems, []);
        entries
    }

    fn defaults(form: Form) -> Defaults {
        Defaults { device: None, mac: None, form }
    }

    fn told(batches: &[Batch]) -> Vec<String> {
        batches
            .iter()
            .flat_map(|batch| batch.frames.iter().map(move |frame| format!("{}: {frame}", batch.device)))
            .collect()
    }

    fn complaints(list: &str, defaults: &Defaults) -> Vec<String> {
        plan(&entries(list), defaults, &host()).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_go_out_by_the_interface_that_holds_them_in_both_forms() {
        let list = "10.1.0.100\n2001:db8::64\n10.2.0.1\n10.1.0.100\n";
        let (batches, problems) = plan(&entries(list), &defaults(Form::Both), &host());
        assert_eq!(problems, []);
        assert_eq!(
            told(&batches),
            [
                "eth0: 00:16:3e:00:00:00 > ff:ff:ff:ff:ff:ff ARP reply 10.1.0.100 is-at 00:16:3e:00:00:00",
                "eth0: 00:16:3e:00:00:00 > ff:ff:ff:ff:ff:ff ARP request who-has 10.1.0.100 tell 10.1.0.100",
                "eth1: 00:16:3e:00:00:01 > 33:33:00:00:00:01 neighbour advertisement 2001:db8::64 \
                 is-at 00:16:3e:00:00:01 router override",
                "eth1: 00:16:3e:00:00:01 > ff:ff:ff:ff:ff:ff ARP reply 10.2.0.1 is-at 00:16:3e:00:00:01",
                "eth1: 00:16:3e:00:00:01 > ff:ff:ff:ff:ff:ff ARP request who-has 10.2.0.1 tell 10.2.0.1",
            ]
        );
    }

    #[test]
    fn the_line_wins_over_the_default_and_the_default_over_the_holder() {
        let defaults = Defaults { device: Some("eth1:7".into()), mac: Some(MAC0), form: Form::Reply };
        let list = "10.1.0.100\n10.1.0.101 eth0 00:16:3e:00:00:05\n2001:db8::65 eth0:2\n";
        let (batches, problems) = plan(&entries(list), &defaults, &host());
        assert_eq!(problems, []);
        assert_eq!(
            told(&batches),
            [
                "eth0: 00:16:3e:00:00:05 > ff:ff:ff:ff:ff:ff ARP reply 10.1.0.101 is-at 00:16:3e:00:00:05",
                "eth0: 00:16:3e:00:00:00 > 33:33:00:00:00:01 neighbour advertisement 2001:db8::65 \
                 is-at 00:16:3e:00:00:00 override",
                "eth1: 00:16:3e:00:00:00 > ff:ff:ff:ff:ff:ff ARP reply 10.1.0.100 is-at 00:16:3e:00:00:00",
            ]
        );
    }

    #[test]
    fn what_cannot_be_announced_is_reported_and_the_rest_goes_out() {
        let list = "10.1.0.100 eth7\n10.1.0.101\n10.9.0.9\n10.3.0.1\n10.1.0.102 lo\n10.2.0.1\n\
                    10.2.0.1 eth1 00:16:3e:00:00:05\n";
        assert_eq!(
            complaints(list, &defaults(Form::Both)),
            [
                "line 1: no device `eth7` to announce 10.1.0.100 on; there is eth0, eth1",
                "line 2: no Ethernet device holds 10.1.0.101: name the device",
                "line 3: no Ethernet device holds 10.9.0.9: name the device",
                "line 4: 10.3.0.1 is on eth0 and on eth1: name the device",
                "line 5: device `lo` is not Ethernet, 10.1.0.102 cannot be announced on it",
                "line 7: 10.2.0.1 is already announced on eth1 at 00:16:3e:00:00:01 (line 6)",
            ]
        );
        assert_eq!(told(&plan(&entries(list), &defaults(Form::Request), &host()).0).len(), 1);
    }
}
