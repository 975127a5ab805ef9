//! Reads interfaces and addresses from the kernel and changes addresses: the only file that does.
//!
//! Addresses are added with a finite lifetime, a lease: the kernel itself takes them away when this process stops
//! renewing it, be it dead or frozen. The kernel counts whole seconds. What is to be added, renewed or removed is
//! decided in [`crate::vip`].

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use daemonkit::rtnetlink::{self, Batch};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NetlinkPayload};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::vip::{Change, ChangeKind, Interface, Present};

/// Requests sent before their answers are read, so that the answers fit into the socket's buffer.
const BATCH: usize = 64;

/// A connection to the kernel's routing tables.
#[derive(Debug)]
pub struct Rtnetlink(rtnetlink::Rtnetlink);

impl Rtnetlink {
    /// Opens a connection, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn open() -> io::Result<Self> {
        rtnetlink::Rtnetlink::open().map(Self)
    }

    /// All interfaces.
    ///
    /// # Errors
    /// Those of the conversation with the kernel.
    pub fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        let answers = self.0.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answers.into_iter().filter_map(interface).collect())
    }

    /// All addresses of all interfaces.
    ///
    /// # Errors
    /// Those of the conversation with the kernel.
    pub fn addresses(&mut self) -> io::Result<Vec<Present>> {
        let answers = self.0.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
        Ok(answers.into_iter().filter_map(present).collect())
    }

    /// Carries out `changes` in order and says how each went. What is already as it should be is a success.
    ///
    /// # Errors
    /// When the conversation itself broke; some of the changes may have been made then.
    pub fn apply(&mut self, changes: &[Change], lease: Option<Duration>) -> io::Result<Vec<io::Result<()>>> {
        let mut results = Vec::with_capacity(changes.len());
        for batch in changes.chunks(BATCH) {
            let mut requests = Batch::default();
            for change in batch {
                let (message, flags) = request(change, lease);
                self.0.append(&mut requests, message, flags | NLM_F_ACK);
            }
            let mut acknowledged: Vec<Option<io::Result<()>>> = batch.iter().map(|_| None).collect();
            self.0.send(&requests, |index, payload| {
                if let (NetlinkPayload::Error(answer), Some(slot)) = (payload, acknowledged.get_mut(index)) {
                    *slot = Some(answer.code.map_or(Ok(()), |_| Err(answer.to_io())));
                }
                Ok(acknowledged.iter().all(Option::is_some))
            })?;
            results.extend(batch.iter().zip(acknowledged).map(|(change, answer)| settle(change, answer)));
        }
        Ok(results)
    }
}

/// A change that was asked for and its answer: what was already so is no failure.
fn settle(change: &Change, answer: Option<io::Result<()>>) -> io::Result<()> {
    let answer = answer.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
    let gone = nix::errno::Errno::EADDRNOTAVAIL as i32;
    match answer {
        Err(error) if change.kind == ChangeKind::Remove && error.raw_os_error() == Some(gone) => Ok(()),
        other => other,
    }
}

fn request(change: &Change, lease: Option<Duration>) -> (RouteNetlinkMessage, u16) {
    let mut message = AddressMessage::default();
    message.header.family = if change.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = change.prefix;
    message.header.index = change.index;
    message.header.scope = AddressScope::Universe;
    message.attributes =
        vec![AddressAttribute::Local(change.address), AddressAttribute::Address(change.address)];
    if change.kind == ChangeKind::Remove {
        return (RouteNetlinkMessage::DelAddress(message), 0);
    }
    match change.address {
        IpAddr::V4(address) => {
            message.attributes.push(AddressAttribute::Label(change.label.clone()));
            if change.prefix < 31 {
                let host_bits = u32::MAX >> change.prefix;
                message.attributes.push(AddressAttribute::Broadcast((u32::from(address) | host_bits).into()));
            }
        }
        // Duplicate address detection would keep the address silent for a second; the other router gave it up.
        IpAddr::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    if let Some(lease) = lease {
        let seconds = u32::try_from(lease.as_secs()).unwrap_or(u32::MAX).max(1);
        let mut lifetime = CacheInfo::default();
        lifetime.ifa_valid = seconds;
        // A deprecated IPv6 address receives but is not chosen for what this router itself sends.
        lifetime.ifa_preferred = if change.address.is_ipv6() { 0 } else { seconds };
        message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    }
    (RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
}

fn interface(answer: RouteNetlinkMessage) -> Option<Interface> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    let name = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })?;
    let running = link.header.flags.contains(LinkFlags::Up | LinkFlags::Running);
    Some(Interface { index: link.header.index, name, running })
}

fn present(answer: RouteNetlinkMessage) -> Option<Present> {
    let RouteNetlinkMessage::NewAddress(message) = answer else { return None };
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // On a point-to-point link "address" is the far end; "local" is ours wherever it is given.
    let local = find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    Some(Present { index: message.header.index, address, prefix: message.header.prefix_len })
}
