//! The world of these scenarios: a router that the suite's own `ipvsadm` programs, its wires, and what both count.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::{Capture, Cluster, Destination, Frame, Host, Match, Packet, at, eventually, standard};

use super::witness::{Answer, Transport, Witness, converse};
use crate::one_router::SOON;

/// Which version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// The VIPs as `ip address add` takes them. The router must not speak to a real server from an address that the real
/// server holds too: it would be answered by nobody, not even as to where its neighbours are. IPv4 prefers the address
/// that was there first, IPv6 any that is not deprecated.
pub(crate) const VIPS: [&str; 2] = ["10.1.0.100/24", "fd00:1::100/64 nodad preferred_lft 0"];

pub(crate) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Family {
    fn address(self, net: u8, host: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(10, net, 0, host).into(),
            // Written in the same digits: fd00:2::101 beside 10.2.0.101.
            Self::V6 => {
                let digits = u16::from_str_radix(&host.to_string(), 16).unwrap_or(0);
                Ipv6Addr::new(0xfd00, net.into(), 0, 0, 0, 0, 0, digits).into()
            }
        }
    }

    /// The virtual address.
    pub(crate) fn vip(self) -> IpAddr {
        self.address(1, 100)
    }

    /// The client's address.
    pub(crate) fn client(self) -> IpAddr {
        self.address(1, 2)
    }

    /// Another address, for the client to be somebody else.
    pub(crate) fn other_client(self) -> IpAddr {
        self.address(1, 3)
    }

    /// The inside address of real server `n`.
    pub(crate) fn server(self, n: u8) -> IpAddr {
        self.address(2, 100 + n)
    }

    /// The address of real server `n` on public, where direct routing reaches it.
    pub(crate) fn neighbour(self, n: u8) -> IpAddr {
        self.address(1, 200 + n)
    }

    /// The router's own inside address.
    pub(crate) fn router(self) -> IpAddr {
        self.address(2, 11)
    }
}

/// Patience for the kernel's counters: it sums them up every two seconds, and when it has just begun takes its time to
/// spread that work.
const SUMMED_UP: Duration = Duration::from_secs(30);

/// The world.
pub(crate) struct World {
    pub(crate) client: Host,
    pub(crate) router: Host,
    /// What is on the wire between client and router.
    pub(crate) public: Capture,
    /// What is on the wire between router and real servers.
    pub(crate) inside: Capture,
    cluster: Cluster,
    witnesses: Vec<Witness>,
}

impl World {
    /// Any cluster with one standard router, which gets the first VIP of each family.
    pub(crate) fn on(cluster: Cluster) -> Result<Self> {
        let router = cluster.router(1)?;
        router.ip(&VIPS.map(|vip| format!("address add {vip} dev eth0")))?;
        for host in cluster.hosts() {
            // As a cable has it: one segment a frame.
            let lines =
                host.links().iter().map(|link| format!("link set {} gso_max_segs 1", link.interface()));
            host.ip(&lines.collect::<Vec<_>>())?;
        }
        Ok(Self {
            client: cluster.client()?,
            router,
            public: cluster.capture(standard::PUBLIC)?,
            inside: cluster.capture(standard::INSIDE)?,
            cluster,
            witnesses: Vec::new(),
        })
    }

    /// Real server `n`, from 1.
    pub(crate) fn server(&self, n: u8) -> Result<Host> {
        self.cluster.real_server(n)
    }

    /// A host by name.
    pub(crate) fn host(&self, name: &str) -> Result<Host> {
        self.cluster.host(name)
    }

    /// Starts a server that tells what it sees.
    pub(crate) fn witness(&mut self, host: &Host, transport: Transport, at: SocketAddr) -> Result<()> {
        self.witnesses.push(Witness::start(host, transport, at)?);
        Ok(())
    }

    // The router.

    /// Runs our `ipvsadm` with each line.
    pub(crate) fn rules(&self, lines: &[impl AsRef<str>]) -> Result<()> {
        lines.iter().try_for_each(|line| self.ipvsadm(line.as_ref()).map(drop))
    }

    /// What our `ipvsadm` prints.
    pub(crate) fn ipvsadm(&self, line: &str) -> Result<String> {
        let ended = self.router.program("ipvsadm").args(line.split(' ')).run(SOON)?;
        Ok(ended.success().with_context(|| format!("ipvsadm {line}"))?.stdout)
    }

    /// Waits until the router can reach an address.
    pub(crate) fn wait_until_reachable(&self, address: IpAddr) -> Result<()> {
        self.cluster.wait_until_reachable(self.router.name(), address, SOON)
    }

    /// A row of a service, as the kernel lists it.
    pub(crate) fn row(&self, service: Match, row: SocketAddr) -> Result<Destination> {
        let table = self.router.ipvs_table()?;
        let listed = table.iter().find(|listed| listed.matches == service);
        let found = listed.and_then(|listed| listed.destination(row));
        found.cloned().with_context(|| format!("no row {row} of {service} in {table:?}"))
    }

    /// A client's connections as our `ipvsadm` lists them: protocol, client, VIP, row.
    pub(crate) fn connections(&self, client: SocketAddr) -> Result<Vec<String>> {
        let listing = self.ipvsadm("-L -n -c")?;
        let own = client.to_string();
        let mut found = Vec::new();
        // Two lines of headings.
        for line in listing.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [protocol, _, _, client, vip, row] = words[..] else { anyhow::bail!("line {line:?}") };
            found.extend((client == own).then(|| format!("{protocol} {client} {vip} {row}")));
        }
        Ok(found)
    }

    // The client.

    /// One exchange with so many octets either way. The server must have seen the client's own address and port.
    pub(crate) fn ask(&self, transport: Transport, to: SocketAddr, octets: usize) -> Result<Answer> {
        let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
        self.ask_from(family.client(), transport, to, octets)
    }

    /// The same from any of the client's addresses.
    pub(crate) fn ask_from(
        &self,
        client: IpAddr,
        transport: Transport,
        to: SocketAddr,
        octets: usize,
    ) -> Result<Answer> {
        let (own, answer) = converse(&self.client, transport, at(client, 0), to, octets)?;
        assert_eq!(answer.client, own, "the real server saw another client");
        Ok(answer)
    }

    // The wires.

    /// What the router sent to real servers on a wire of what a client sent to a VIP, tunnels included, once that is every
    /// packet.
    pub(crate) fn forwarded(
        &self,
        wire: &Capture,
        vip: SocketAddr,
        client: SocketAddr,
    ) -> Result<Vec<(Frame, Packet)>> {
        eventually(SOON, "every packet of the client's to be forwarded", || {
            let found = wire.pick(|frame| {
                let packet = frame.packet().filter(|_| self.is_from_router(frame))?;
                let inner = packet.inside().map_or_else(|| packet.clone(), |(_, inner)| inner);
                (inner.ends()?.0 == client).then(|| (frame.clone(), packet))
            });
            let sent = self.carried(vip, client).incoming.packets;
            let found: Vec<_> = found.into_iter().map(|(_, frame_and_packet)| frame_and_packet).collect();
            let complete = sent > 0 && sent == found.len() as u64;
            if complete { Ok(found) } else { Err(format!("{sent} sent, {} forwarded", found.len())) }
        })
    }

    fn is_from_router(&self, frame: &Frame) -> bool {
        self.router.links().iter().any(|link| frame.source() == Some(link.mac()))
    }

    fn is_to_router(&self, frame: &Frame) -> bool {
        self.router.links().iter().any(|link| frame.destination() == Some(link.mac()))
    }

    /// What the router and a client have told each other at the VIP.
    fn carried(&self, vip: SocketAddr, client: SocketAddr) -> Counted {
        let seen = self.public.pick(|frame| Some((frame.clone(), frame.packet()?)));
        let mut counted = Counted { connections: 1, ..Counted::default() };
        for (_, (frame, packet)) in seen {
            if packet.ends() == Some((client, vip)) && self.is_to_router(&frame) {
                counted.incoming += Traffic::of(&packet);
            } else if packet.ends() == Some((vip, client)) && self.is_from_router(&frame) {
                counted.outgoing += Traffic::of(&packet);
            }
        }
        counted
    }

    /// Waits until our listing counts for each row exactly what the wire carried for its clients, and nothing for any
    /// other row. It takes seconds, so it comes last.
    pub(crate) fn counters_agree(&self, served: &[Served]) -> Result<()> {
        eventually(SUMMED_UP, "the counters to be those of the wire", || {
            let mut wire = BTreeMap::new();
            for Served { vip, row, client } in served {
                *wire.entry((*vip, *row)).or_default() += self.carried(*vip, *client);
            }
            let listed = self.counters().map_err(|error| format!("{error:#}"))?;
            if listed == wire { Ok(()) } else { Err(format!("listed {listed:#?}\nwire {wire:#?}")) }
        })
    }

    /// What our listing counts, by VIP and row; rows that served nobody are left out.
    fn counters(&self) -> Result<BTreeMap<(SocketAddr, SocketAddr), Counted>> {
        let listing = self.ipvsadm("-L -n --stats --exact")?;
        let mut rows = BTreeMap::new();
        let mut service = None;
        // Three lines of headings.
        for line in listing.lines().skip(3) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (&words[..], service) {
                (["->", row, columns @ ..], Some(vip)) => {
                    let counted = Counted::read(columns).with_context(|| line.to_owned())?;
                    rows.insert((vip, row.parse()?), counted);
                }
                ([_, vip, ..], _) => service = Some(vip.parse().with_context(|| line.to_owned())?),
                _ => anyhow::bail!("line {line:?} of\n{listing}"),
            }
        }
        rows.retain(|_, counted| *counted != Counted::default());
        Ok(rows)
    }
}

/// A client that was served on a connection of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served {
    /// The virtual service.
    pub(crate) vip: SocketAddr,
    /// The row of the table.
    pub(crate) row: SocketAddr,
    /// The client's address and port.
    pub(crate) client: SocketAddr,
}

/// Packets and their octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Traffic {
    packets: u64,
    octets: u64,
}

impl Traffic {
    fn of(packet: &Packet) -> Self {
        Self { packets: 1, octets: packet.length as u64 }
    }
}

impl std::ops::AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.octets += other.octets;
    }
}

/// What is counted for a real server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counted {
    connections: u64,
    incoming: Traffic,
    outgoing: Traffic,
}

impl Counted {
    /// Reads the columns of `--stats`.
    fn read(columns: &[&str]) -> Result<Self> {
        let numbers: Vec<u64> = columns.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        let [connections, packets_in, packets_out, octets_in, octets_out] = numbers[..] else {
            anyhow::bail!("{} columns", numbers.len())
        };
        Ok(Self {
            connections,
            incoming: Traffic { packets: packets_in, octets: octets_in },
            outgoing: Traffic { packets: packets_out, octets: octets_out },
        })
    }
}

impl std::ops::AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.incoming += other.incoming;
        self.outgoing += other.outgoing;
    }
}
