//! Source ports: each connection that the lab makes from a host has one of its own.
//!
//! A kernel that chooses the port of a connection may choose one that has a connection to another destination. That is
//! sound for the two ends, but not for a director between them that forwards by NAT: IPVS keeps the client's port, so
//! that of two connections from one port to two virtual addresses, both forwarded to the same port of a real server, the
//! second has addresses and ports that this server knows already. It answers the second SYN with an acknowledgement of
//! what it knows, the client resets that and repeats its SYN, and the director schedules it once more: whoever counts
//! connections, or turns, finds one too many. It happens once in hundreds of runs, and looks like a fault of whatever
//! is tested.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

/// The first port given out: those below are for servers.
const FIRST: u16 = 10_000;
/// One more than the last: from here on the kernel chooses by itself for programs (`net.ipv4.ip_local_port_range`), and
/// scenarios name ports.
const END: u16 = 32_768;

/// The source ports of a host, one after the other; the first again after the last.
#[derive(Debug)]
pub(crate) struct SourcePorts(AtomicU16);

impl Default for SourcePorts {
    fn default() -> Self {
        Self(AtomicU16::new(FIRST))
    }
}

impl SourcePorts {
    fn next(&self) -> u16 {
        let after = |port: u16| Some(if port + 1 < END { port + 1 } else { FIRST });
        let (Ok(port) | Err(port)) = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after);
        port
    }

    /// A TCP connection from the network that the calling thread is in, from an address; a port that is named stays.
    pub(crate) fn connect(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        within: Duration,
    ) -> io::Result<TcpStream> {
        let socket = self.bind(from, Type::STREAM)?;
        socket.connect_timeout(&to.into(), within)?;
        Ok(socket.into())
    }

    /// A UDP socket likewise.
    pub(crate) fn udp(&self, from: SocketAddr) -> io::Result<UdpSocket> {
        Ok(self.bind(from, Type::DGRAM)?.into())
    }

    /// A socket bound to an address, and to the next free port where none is named.
    fn bind(&self, from: SocketAddr, kind: Type) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(from), kind, None)?;
        if from.port() != 0 {
            socket.bind(&from.into())?;
            return Ok(socket);
        }
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in FIRST..END {
            match socket.bind(&SocketAddr::new(from.ip(), self.next()).into()) {
                Ok(()) => return Ok(socket),
                // A server's, or that of a connection which is closed but not yet forgotten.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused = error,
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }
}

/// Any address of the family of `to`, and any port.
pub(crate) fn anywhere(to: SocketAddr) -> SocketAddr {
    match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LOOPBACK: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

    #[test]
    fn the_first_port_follows_the_last() {
        let ports = SourcePorts(AtomicU16::new(END - 2));
        assert_eq!([ports.next(), ports.next(), ports.next()], [32_766, 32_767, 10_000]);
    }

    #[test]
    fn connections_to_two_destinations_have_two_ports() {
        let ports = SourcePorts::default();
        let servers = [(); 2].map(|()| TcpListener::bind(LOOPBACK).unwrap());
        let mut sources = Vec::new();
        for server in servers.iter().cycle().take(6) {
            let to = server.local_addr().unwrap();
            let connection = ports.connect(anywhere(to), to, Duration::from_secs(5)).unwrap();
            sources.push(connection.local_addr().unwrap().port());
        }
        assert!((FIRST..END).contains(&sources[0]), "{sources:?}");
        assert!(sources.is_sorted_by(|one, next| one < next), "{sources:?}");
    }

    #[test]
    fn a_taken_port_is_left_out_and_a_named_one_stays() {
        let ports = SourcePorts::default();
        let taken = ports.udp(LOOPBACK).unwrap().local_addr().unwrap();
        let keeper = ports.udp(taken).unwrap();
        assert_eq!(keeper.local_addr().unwrap(), taken);
        let again = SourcePorts(AtomicU16::new(taken.port()));
        let next = again.udp(LOOPBACK).unwrap().local_addr().unwrap();
        assert!(next.port() > taken.port(), "{next} after {taken}");
    }
}
