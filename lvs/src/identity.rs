//! Who is who: how the file's virtual and real servers are named in the kernel's table, and how a real server is
//! told apart from all others.
//!
//! Pure translation of identities; weights, health and order are decided elsewhere.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;

use ipvsadm::{DestinationId, Family, Forward, Protocol, ServiceId, Tunnel, TunnelChecksum};
use lvs_config::model::{self, Forwarding, RealServer, SorryServer, VirtualServer};

/// A real server of a virtual server. `server` is what is checked, so it carries the file's port; under which port
/// the kernel knows it says [`destination_id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey {
    /// The virtual server.
    pub service: ServiceId,
    /// Address and port of the real server as in the file.
    pub server: DestinationId,
}

impl ServerKey {
    /// The key of `server` in the block `virtual_server`.
    #[must_use]
    pub fn of(virtual_server: &VirtualServer, server: &RealServer) -> Self {
        Self { service: service_id(virtual_server), server: DestinationId::new(server.address, server.port) }
    }
}

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.server, self.service)
    }
}

/// What the kernel knows a virtual server by. A firewall mark takes the place of address and port; its family is
/// that of the VIP.
#[must_use]
pub fn service_id(virtual_server: &VirtualServer) -> ServiceId {
    let address = virtual_server.address.address;
    match virtual_server.fwmark.and_then(|mark| NonZeroU32::new(mark.value())) {
        Some(mark) => ServiceId::FwMark { mark, family: Family::of(address) },
        None => {
            let protocol = match virtual_server.protocol {
                model::Protocol::Tcp => Protocol::Tcp,
                model::Protocol::Udp => Protocol::Udp,
                model::Protocol::Sctp => Protocol::Sctp,
            };
            ServiceId::Address { protocol, address, port: virtual_server.port }
        }
    }
}

/// What the kernel knows `server` of `virtual_server` by.
///
/// Only address translation can change a port: for direct routing and tunnelling the kernel wants the service's
/// port, which for a firewall mark is 0, "the client's". Under address translation a firewall mark keeps the
/// file's port, and 0 keeps the client's.
#[must_use]
pub fn destination_id(virtual_server: &VirtualServer, server: &RealServer) -> DestinationId {
    id_by(virtual_server, server.forwarding, server.address, server.port)
}

/// What the kernel knows the sorry server of `virtual_server` by; as [`destination_id`].
#[must_use]
pub fn sorry_id(virtual_server: &VirtualServer, sorry: &SorryServer) -> DestinationId {
    id_by(virtual_server, sorry.forwarding, sorry.address, sorry.port)
}

fn id_by(virtual_server: &VirtualServer, by: Forwarding, address: IpAddr, port: u16) -> DestinationId {
    let port = match by {
        Forwarding::Nat => port,
        Forwarding::Direct | Forwarding::Tunnel(_) => service_id(virtual_server).port(),
    };
    DestinationId::new(address, port)
}

/// The kernel's name of a forwarding method.
#[must_use]
pub fn forward(forwarding: Forwarding) -> Forward {
    match forwarding {
        Forwarding::Nat => Forward::Masquerade,
        Forwarding::Direct => Forward::DirectRoute,
        Forwarding::Tunnel(tunnel) => Forward::Tunnel(match tunnel {
            model::Tunnel::Ipip => Tunnel::Ipip,
            model::Tunnel::Gue { port, checksum } => {
                Tunnel::Gue { port, checksum: tunnel_checksum(checksum) }
            }
            model::Tunnel::Gre { checksum } => Tunnel::Gre { checksum },
        }),
    }
}

fn tunnel_checksum(checksum: model::TunnelChecksum) -> TunnelChecksum {
    match checksum {
        model::TunnelChecksum::None => TunnelChecksum::None,
        model::TunnelChecksum::Checksum => TunnelChecksum::Checksum,
        model::TunnelChecksum::Remote => TunnelChecksum::Remote,
    }
}
