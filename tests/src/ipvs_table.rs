//! The kernel's IPVS table as `/proc/net/ip_vs` shows it.
//!
//! Deliberately independent of the suite's own netlink code: a scenario that asserts on this table believes the
//! kernel, not us. The layout is that of `ip_vs_info_seq_show` in the kernel's `ip_vs_ctl.c`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};

/// What a virtual service matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Match {
    /// TCP to an address and port.
    Tcp(SocketAddr),
    /// UDP to an address and port.
    Udp(SocketAddr),
    /// SCTP to an address and port.
    Sctp(SocketAddr),
    /// Packets that carry a firewall mark.
    FwMark(u32),
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(to) => write!(f, "TCP {to}"),
            Self::Udp(to) => write!(f, "UDP {to}"),
            Self::Sctp(to) => write!(f, "SCTP {to}"),
            Self::FwMark(mark) => write!(f, "FWM {mark}"),
        }
    }
}

/// One virtual service with its destinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it matches.
    pub matches: Match,
    /// The scheduler's name (`wlc`).
    pub scheduler: String,
    /// Persistence timeout, where the service is persistent.
    pub persistent: Option<Duration>,
    /// The raw persistence netmask as the kernel prints it (IPv4 mask, or IPv6 prefix length).
    pub netmask: u32,
    /// One-packet scheduling.
    pub one_packet: bool,
    /// The real servers, in the kernel's order (the last added first).
    pub destinations: Vec<Destination>,
}

impl Service {
    /// The destination at an address and port.
    pub fn destination(&self, at: SocketAddr) -> Option<&Destination> {
        self.destinations.iter().find(|d| d.address == at)
    }
}

/// How packets reach a real server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarding {
    /// NAT.
    Masq,
    /// IP-in-IP tunnel.
    Tunnel,
    /// Direct routing.
    Route,
    /// The router itself.
    Local,
    /// A word that this list does not know.
    Other(String),
}

/// One real server of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its address and port.
    pub address: SocketAddr,
    /// How packets reach it.
    pub forwarding: Forwarding,
    /// Its weight; 0 gets no new connections.
    pub weight: i32,
    /// Established connections.
    pub active: u32,
    /// Connections being closed, or UDP.
    pub inactive: u32,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.matches, self.scheduler)?;
        if self.one_packet {
            write!(f, " ops")?;
        }
        if let Some(timeout) = self.persistent {
            write!(f, " persistent {timeout:?}")?;
        }
        for d in &self.destinations {
            write!(
                f,
                "\n  -> {} {:?} weight {} active {} inactive {}",
                d.address, d.forwarding, d.weight, d.active, d.inactive
            )?;
        }
        Ok(())
    }
}

/// Parses the text of `/proc/net/ip_vs` of a kernel with ticks of this length.
pub(crate) fn parse(text: &str, tick: Duration) -> Result<Vec<Service>> {
    let mut services: Vec<Service> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["IP", ..] | ["Prot", ..] | ["->", "RemoteAddress:Port", ..] => {}
            ["->", rest @ ..] => {
                let service =
                    services.last_mut().ok_or_else(|| anyhow!("destination before any service: {line}"))?;
                service.destinations.push(destination(rest).with_context(|| line.to_owned())?);
            }
            [protocol, at, scheduler, flags @ ..] => {
                services
                    .push(service(protocol, at, scheduler, flags, tick).with_context(|| line.to_owned())?);
            }
            _ => bail!("line of /proc/net/ip_vs not understood: {line}"),
        }
    }
    Ok(services)
}

fn service(protocol: &str, at: &str, scheduler: &str, flags: &[&str], tick: Duration) -> Result<Service> {
    let matches = match protocol {
        "TCP" => Match::Tcp(socket_address(at)?),
        "UDP" => Match::Udp(socket_address(at)?),
        "SCTP" => Match::Sctp(socket_address(at)?),
        "FWM" => Match::FwMark(u32::from_str_radix(at, 16)?),
        other => bail!("protocol {other}"),
    };
    let mut service = Service {
        matches,
        scheduler: scheduler.to_owned(),
        persistent: None,
        netmask: 0,
        one_packet: flags.contains(&"ops"),
        destinations: Vec::new(),
    };
    if let Some(place) = flags.iter().position(|word| *word == "persistent") {
        let [ticks, mask] = flags.get(place + 1..place + 3).unwrap_or_default() else {
            bail!("persistent without its two numbers");
        };
        service.persistent = Some(tick * ticks.parse::<u32>()?);
        service.netmask = u32::from_str_radix(mask, 16)?;
    }
    Ok(service)
}

fn destination(words: &[&str]) -> Result<Destination> {
    let [at, forwarding, weight, active, inactive] = words else { bail!("five columns expected") };
    Ok(Destination {
        address: socket_address(at)?,
        forwarding: match *forwarding {
            "Masq" => Forwarding::Masq,
            "Tunnel" => Forwarding::Tunnel,
            "Route" => Forwarding::Route,
            "Local" => Forwarding::Local,
            other => Forwarding::Other(other.to_owned()),
        },
        weight: weight.parse()?,
        active: active.parse()?,
        inactive: inactive.parse()?,
    })
}

/// `0A010064:0050` or `[fd00:0001::0064]:0050`, all in hexadecimal.
fn socket_address(text: &str) -> Result<SocketAddr> {
    let (host, port) = text.rsplit_once(':').ok_or_else(|| anyhow!("no port in {text}"))?;
    let host: IpAddr = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>()?.into(),
        None => Ipv4Addr::from(u32::from_str_radix(host, 16)?).into(),
    };
    Ok(SocketAddr::new(host, u16::from_str_radix(port, 16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of a kernel with HZ=100.
    const TICK: Duration = Duration::from_millis(10);

    /// `cat /proc/net/ip_vs` of Linux 7.2.
    const TEXT: &str = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A010064:0050 rr persistent 30000 FFFFFF00
  -> 0A02000C:0050      Masq    1      2          3         
  -> 0A02000B:0050      Masq    0      0          0         
UDP  0A010064:0035 wlc ops 
FWM  00000007 sh persistent 6000 FFFFFFFF
TCP  [fd00:0001:0000:0000:0000:0000:0000:0064]:0050 wrr 
  -> [fd00:0002:0000:0000:0000:0000:0000:0011]:0050      Route   5      0          0         
";

    #[test]
    fn a_table_becomes_rows() {
        let table = parse(TEXT, TICK).expect("the kernel's own text");
        let shown: Vec<String> = table.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "TCP 10.1.0.100:80 rr persistent 300s\n  -> 10.2.0.12:80 Masq weight 1 active 2 inactive 3\n  \
                 -> 10.2.0.11:80 Masq weight 0 active 0 inactive 0",
                "UDP 10.1.0.100:53 wlc ops",
                "FWM 7 sh persistent 60s",
                "TCP [fd00:1::64]:80 wrr\n  -> [fd00:2::11]:80 Route weight 5 active 0 inactive 0",
            ]
        );
        assert_eq!(table[0].netmask, 0xffff_ff00);
        assert!(table[1].one_packet);
    }

    #[test]
    fn a_broken_line_is_named() {
        let failure = parse("TCP  0A010064 rr\n", TICK).expect_err("no port");
        assert_eq!(format!("{failure:#}"), "TCP  0A010064 rr: no port in 0A010064");
    }
}
