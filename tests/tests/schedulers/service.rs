//! A virtual service under one scheduler, its connections, and who got them.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::{Finished, Match, at, eventually, standard};

use crate::one_router::{Held, OneRouter, SOON};

/// The firewall mark of all that goes to [`elsewhere`].
const MARK: u32 = 7;

/// A virtual service by NAT of the standard real servers.
pub(crate) struct Service<'w> {
    world: &'w OneRouter,
    matches: Match,
    servers: u8,
    held: Vec<Held>,
}

/// Runs our own `ipvsadm` on the router.
pub(crate) fn ipvsadm(world: &OneRouter, line: &str) -> Result<Finished> {
    world.router.program("ipvsadm").args(line.split(' ')).run(SOON)
}

/// The same; it must succeed.
fn program(world: &OneRouter, line: &str) -> Result<()> {
    ipvsadm(world, line)?.success()?;
    Ok(())
}

impl<'w> Service<'w> {
    /// Port 80 of a VIP, from 0, with a real server of each weight, under a scheduler, perhaps with flags (`sh -b sh-port`).
    ///
    /// A new server goes to the head of the kernel's list, so the last one is added first. The scheduler is set
    /// when all are there, so that it starts at the beginning of that list and has no past.
    pub(crate) fn on(world: &'w OneRouter, vip: u8, scheduler: &str, weights: &[u16]) -> Result<Self> {
        Self::of(world, Match::Tcp(at(standard::vip(vip), 80)), scheduler, weights)
    }

    /// Datagrams to port 53 of the first VIP, each scheduled for itself: nothing is remembered of the one before.
    pub(crate) fn of_datagrams(world: &'w OneRouter, scheduler: &str, weights: &[u16]) -> Result<Self> {
        Self::of(world, Match::Udp(at(standard::vip(0), 53)), scheduler, weights)
    }

    /// All of the network of [`elsewhere`], joined by a mark, so that one service has many destination addresses.
    pub(crate) fn on_a_network(world: &'w OneRouter, scheduler: &str, weights: &[u16]) -> Result<Self> {
        world.client.ip(&["route add 10.9.0.0/24 via 10.1.0.11"])?;
        // The router takes packets to any address of the network as its own, where IPVS finds them.
        world.router.ip(&["route add local 10.9.0.0/24 dev lo"])?;
        let mark = format!(
            "filter add dev eth0 ingress protocol ip flower dst_ip 10.9.0.0/24 action skbedit mark {MARK}"
        );
        for rule in ["qdisc add dev eth0 ingress", &mark] {
            world.router.tool("tc").args(rule.split(' ')).run(SOON)?.success()?;
        }
        Self::of(world, Match::FwMark(MARK), scheduler, weights)
    }

    fn of(world: &'w OneRouter, matches: Match, scheduler: &str, weights: &[u16]) -> Result<Self> {
        let servers = u8::try_from(weights.len())?;
        let service = Self { world, matches, servers, held: Vec::new() };
        program(world, &format!("-A {} -s rr{}", service.option(), service.flag()))?;
        for (server, weight) in (1..=servers).zip(weights).rev() {
            service.add(server, &format!("-w {weight}"))?;
        }
        service.schedule(scheduler)?;
        Ok(service)
    }

    /// The option of `ipvsadm` that names it.
    fn option(&self) -> String {
        match self.matches {
            Match::Tcp(address) => format!("-t {address}"),
            Match::Udp(address) => format!("-u {address}"),
            Match::Sctp(address) => format!("--sctp-service {address}"),
            Match::FwMark(mark) => format!("-f {mark}"),
        }
    }

    /// What it needs besides its scheduler.
    fn flag(&self) -> &'static str {
        if matches!(self.matches, Match::Udp(_)) { " --ops" } else { "" }
    }

    fn address(&self, server: u8) -> SocketAddr {
        // A mark joins all ports; a packet keeps its own.
        let port = self.vip().map_or(0, |vip| vip.port());
        at(standard::real_server(server), port)
    }

    // What it is told.

    /// Another scheduler for the same servers with the same connections.
    pub(crate) fn schedule(&self, scheduler: &str) -> Result<()> {
        program(self.world, &format!("-E {} -s {scheduler}{}", self.option(), self.flag()))
    }

    /// Adds a real server with options such as `-w 2`.
    pub(crate) fn add(&self, server: u8, options: &str) -> Result<()> {
        program(self.world, &format!("-a {} -r {} -m {options}", self.option(), self.address(server)))
    }

    /// Changes a real server.
    pub(crate) fn edit(&self, server: u8, options: &str) -> Result<()> {
        program(self.world, &format!("-e {} -r {} -m {options}", self.option(), self.address(server)))
    }

    /// Takes a real server out.
    pub(crate) fn delete(&self, server: u8) -> Result<()> {
        program(self.world, &format!("-d {} -r {}", self.option(), self.address(server)))
    }

    // Who gets connections.

    fn vip(&self) -> Result<SocketAddr> {
        match self.matches {
            Match::Tcp(address) | Match::Udp(address) | Match::Sctp(address) => Ok(address),
            Match::FwMark(_) => Err(anyhow!("{} has many addresses", self.matches)),
        }
    }

    /// Who answers so many requests, each on a connection of its own that is over before the next.
    pub(crate) fn ask(&self, count: usize) -> Result<String> {
        let vip = self.vip()?;
        (0..count).map(|_| digit(&self.world.hold(vip)?.server)).collect()
    }

    /// The same, and each is counted as closed before the next: the end of a connection is not counted in the moment when
    /// the client closes it.
    pub(crate) fn ask_counted(&self, count: usize) -> Result<String> {
        (0..count)
            .map(|_| self.ask(1).and_then(|server| self.wait_until_counted().map(|()| server)))
            .collect()
    }

    /// Who answers a request from each of these addresses (and ports; 0: any).
    pub(crate) fn ask_from(&self, sources: &[SocketAddr]) -> Result<String> {
        let vip = self.vip()?;
        sources.iter().map(|from| digit(&self.world.hold_from(*from, vip)?.server)).collect()
    }

    /// Who answers a datagram from each of these addresses and ports.
    pub(crate) fn ask_by_datagram(&self, sources: &[SocketAddr]) -> Result<String> {
        let vip = self.vip()?;
        let ask = |from: &SocketAddr| -> Result<char> {
            let socket = self.world.client.udp(&from.to_string())?;
            socket.send_to(b"hello", vip)?;
            let mut answer = [0; 64];
            let length = socket.recv(&mut answer).with_context(|| format!("answer to {from}"))?;
            digit(String::from_utf8_lossy(&answer[..length]).trim_end())
        };
        sources.iter().map(ask).collect()
    }

    /// Who gets so many connections that stay open.
    pub(crate) fn hold(&mut self, count: usize) -> Result<String> {
        let vip = self.vip()?;
        (0..count).map(|_| self.keep(self.world.hold(vip)?)).collect()
    }

    /// Who gets connections from each of these addresses to one, all of which stay open.
    pub(crate) fn hold_between(&mut self, sources: &[SocketAddr], to: SocketAddr) -> Result<String> {
        sources.iter().map(|from| self.keep(self.world.hold_from(*from, to)?)).collect()
    }

    fn keep(&mut self, held: Held) -> Result<char> {
        let server = digit(&held.server)?;
        self.held.push(held);
        Ok(server)
    }

    /// Closes all open connections of a server.
    pub(crate) fn release(&mut self, server: u8) -> Result<()> {
        self.held.retain(|held| held.server != format!("rs{server}"));
        self.wait_until_counted()
    }

    /// Waits until the kernel counts just those connections as active that are held open.
    pub(crate) fn wait_until_counted(&self) -> Result<()> {
        let open = |server: u8| self.held.iter().filter(|held| held.server == format!("rs{server}")).count();
        let expected: Vec<usize> = (1..=self.servers).map(open).collect();
        eventually(SOON, &format!("active connections {expected:?}"), || {
            let counted = self.counted().map_err(|error| format!("{error:#}"))?;
            let active: Vec<usize> = counted.iter().map(|(active, _)| *active).collect();
            if active == expected { Ok(()) } else { Err(format!("{counted:?}")) }
        })
    }

    /// Active and inactive connections of each server, as the kernel counts them.
    pub(crate) fn counted(&self) -> Result<Vec<(usize, usize)>> {
        let service = self.world.service(self.matches)?;
        let row = |server| service.destination(self.address(server)).context("a server is missing");
        let counts = |server| row(server).map(|row| (row.active as usize, row.inactive as usize));
        (1..=self.servers).map(counts).collect()
    }

    /// Whether the client at this address (and port; 0: any) is refused there, because the scheduler has no server for it.
    pub(crate) fn refuses(&self, from: SocketAddr, to: SocketAddr) -> Result<bool> {
        let refused = match self.world.hold_from(from, to) {
            Ok(_) => return Ok(false),
            Err(error) => error,
        };
        let reason = refused.downcast_ref::<io::Error>().map(io::Error::kind);
        ensure!(reason == Some(io::ErrorKind::ConnectionRefused), "not refused: {refused:#}");
        Ok(true)
    }
}

/// The number of the server that answered so.
fn digit(answer: &str) -> Result<char> {
    let number = answer.strip_prefix("rs").and_then(|number| number.parse().ok());
    number.with_context(|| format!("{answer} is no standard real server"))
}

/// So many addresses of the client's, 10.3.0.1 and up, each with any port.
pub(crate) fn clients(world: &OneRouter, count: u32) -> Result<Vec<SocketAddr>> {
    world.client.ip(&["route replace local 10.3.0.0/16 dev lo"])?;
    world.router.ip(&["route replace 10.3.0.0/16 via 10.1.0.2"])?;
    Ok((0..count).map(|n| at(IpAddr::V4(Ipv4Addr::from_bits(0x0a03_0001 + n)), 0)).collect())
}

/// Address `n` of the network of [`Service::on_a_network`], port 80.
pub(crate) fn elsewhere(n: u8) -> SocketAddr {
    at(Ipv4Addr::new(10, 9, 0, n).into(), 80)
}
