//! Which way the kernel would send a packet: asks rtnetlink, with all its rules and tables. Decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;

use daemonkit::rtnetlink::Rtnetlink;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

/// Questions about routes, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Routes {
    kernel: Rtnetlink,
    interfaces: HashMap<u32, (String, Interface)>,
}

/// One interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Whether it is up.
    pub up: bool,
}

/// The way to an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The interface that it begins with.
    pub interface: String,
    /// The next router, `None` when the address is in a network of that interface.
    pub gateway: Option<IpAddr>,
    /// Whether the address is this machine's own.
    pub local: bool,
    /// The address that this machine's own packets on this way come from.
    pub source: Option<IpAddr>,
}

impl Routes {
    /// Opens a connection and reads the interfaces.
    ///
    /// # Errors
    /// Those of the conversation with the kernel.
    pub fn open() -> io::Result<Self> {
        let mut kernel = Rtnetlink::open()?;
        let links = kernel.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        let interfaces = links.into_iter().filter_map(|answer| {
            let RouteNetlinkMessage::NewLink(link) = answer else { return None };
            let mut name = None;
            let mut interface = Interface { mtu: 0, up: link.header.flags.contains(LinkFlags::Up) };
            for attribute in link.attributes {
                match attribute {
                    LinkAttribute::IfName(text) => name = Some(text),
                    LinkAttribute::Mtu(mtu) => interface.mtu = mtu,
                    _ => {}
                }
            }
            Some((link.header.index, (name?, interface)))
        });
        let interfaces = interfaces.collect();
        Ok(Self { kernel, interfaces })
    }

    /// The interfaces by name.
    #[must_use]
    pub fn interfaces(&self) -> BTreeMap<String, Interface> {
        self.interfaces.values().cloned().collect()
    }

    /// The addresses of this machine.
    ///
    /// # Errors
    /// Those of the conversation with the kernel.
    pub fn addresses(&mut self) -> io::Result<BTreeSet<IpAddr>> {
        let answers = self.kernel.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        let attributes = answers.into_iter().flat_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => message.attributes,
            _ => Vec::new(),
        });
        let addresses = attributes.filter_map(|attribute| match attribute {
            AddressAttribute::Address(address) | AddressAttribute::Local(address) => Some(address),
            _ => None,
        });
        Ok(addresses.collect())
    }

    /// The way to `address`; `None` when there is none.
    ///
    /// # Errors
    /// Those of the conversation with the kernel.
    pub fn to(&mut self, address: IpAddr) -> io::Result<Option<Route>> {
        let mut message = RouteMessage::default();
        let (family, bits, destination) = match address {
            IpAddr::V4(address) => (AddressFamily::Inet, 32, RouteAddress::Inet(address)),
            IpAddr::V6(address) => (AddressFamily::Inet6, 128, RouteAddress::Inet6(address)),
        };
        message.header.address_family = family;
        message.header.destination_prefix_length = bits;
        message.attributes = vec![RouteAttribute::Destination(destination)];
        match self.kernel.ask(RouteNetlinkMessage::GetRoute(message)) {
            Ok(RouteNetlinkMessage::NewRoute(route)) => Ok(self.understand(route)),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(error) if is_no_way(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn understand(&self, route: RouteMessage) -> Option<Route> {
        let mut interface = None;
        let mut gateway = None;
        let mut source = None;
        for attribute in route.attributes {
            match attribute {
                RouteAttribute::Oif(index) => {
                    interface = self.interfaces.get(&index).map(|(name, _)| name.clone());
                }
                RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(address.into()),
                RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(address.into()),
                RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(address.into()),
                RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => source = Some(address.into()),
                _ => {}
            }
        }
        let local = route.header.kind == RouteType::Local;
        matches!(route.header.kind, RouteType::Unicast | RouteType::Local)
            .then_some(())
            .and(interface)
            .map(|interface| Route { interface, gateway, local, source })
    }
}

/// Whether the kernel says that there is no way: unreachable, prohibited, or thrown away on purpose.
fn is_no_way(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EACCES | Errno::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_an_own_address_is_local() {
        let route = Routes::open().unwrap().to([127, 0, 0, 1].into()).unwrap();
        let source = Some([127, 0, 0, 1].into());
        let own = Route { interface: "lo".into(), gateway: None, local: true, source };
        assert_eq!(route, Some(own));
    }
}
