//! A snapshot of the table to the text of a listing, byte for byte the original's.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::args::Columns;
use super::columns::{cut, fill, large, number_column};
use super::names::Names;
use super::order;
use crate::model::{
    DestinationEntry, Family, Forward, Granularity, Info, Protocol, Rates, Service, ServiceEntry,
    ServiceFlags, ServiceId, Stats, SyncDaemon, Timeouts, Tunnel, TunnelChecksum,
};
use crate::request::line::{Spelling, protocol_of, scheduler_flags_word};
use crate::text;

/// Addresses and ports by name where they have one.
#[derive(Clone, Copy)]
pub struct Named<'a>(pub &'a dyn Names);

impl Spelling for Named<'_> {
    fn endpoint(&self, into: &mut String, address: IpAddr, port: u16, protocol: Option<Protocol>) {
        let host = self.0.host(address);
        let service = protocol.and_then(|protocol| self.0.service(port, protocol));
        if host.is_none() && service.is_none() {
            return text::endpoint(into, address, port);
        }
        let host = host.unwrap_or_else(|| address.to_string());
        let service = service.unwrap_or_else(|| port.to_string());
        let _ = match address {
            IpAddr::V4(_) => write!(into, "{host}:{service}"),
            IpAddr::V6(_) => write!(into, "[{host}]:{service}"),
        };
    }
}

/// How the table is to be shown.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// What is shown of each entry.
    pub columns: Columns,
    /// Whether counters are shown in full.
    pub exact: bool,
    /// Whether it is sorted.
    pub sorted: bool,
    /// Names for addresses and ports.
    pub names: &'a dyn Names,
}

/// The line above a listing of the whole table.
#[must_use]
pub fn banner(info: &Info) -> String {
    format!("IP Virtual Server version {} (size={})\n", info.version_text(), info.table_size)
}

/// Appends a service and its destinations.
pub fn entry(text: &mut String, entry: &ServiceEntry, style: &Style<'_>) {
    service(text, entry, style);
    let of = &entry.destinations;
    for it in if style.sorted { order::destinations(of) } else { of.iter().collect() } {
        destination(text, it, &entry.service.id, style);
    }
}

/// The lines above the services.
#[must_use]
pub fn title(columns: Columns) -> String {
    let first = "Prot LocalAddress:Port";
    let second = "  -> RemoteAddress:Port";
    let counters = |names: [&str; 5]| {
        let [a, b, c, d, e] = names;
        format!("{first:<33} {a:>8} {b:>8} {c:>8} {d:>8} {e:>8}\n{second}\n")
    };
    match columns {
        Columns::Stats => counters(["Conns", "InPkts", "OutPkts", "InBytes", "OutBytes"]),
        Columns::Rate => counters(["CPS", "InPPS", "OutPPS", "InBPS", "OutBPS"]),
        Columns::Thresholds => {
            let names =
                format!("{:<10} {:<10} {:<10} {:<10}", "Uthreshold", "Lthreshold", "ActiveConn", "InActConn");
            format!("{first:<33} {names}\n{second}\n")
        }
        Columns::Persistence => {
            let names =
                format!("{:<9} {:<11} {:<10} {:<10}", "Weight", "PersistConn", "ActiveConn", "InActConn");
            format!("{first:<33} {names}\n{second}\n")
        }
        Columns::Tunnels => format!(
            "{first} Scheduler Flags\n{second}           Forward TunnelInfo    Weight ActiveConn InActConn\n"
        ),
        Columns::Usual => {
            format!("{first} Scheduler Flags\n{second}           Forward Weight ActiveConn InActConn\n")
        }
    }
}

/// Counters and rates in the order of their columns, or nothing if others are shown.
fn counters(stats: &Stats, columns: Columns) -> Option<[u64; 5]> {
    let Rates { cps, pps_in, pps_out, bps_in, bps_out } = stats.rates;
    match columns {
        Columns::Stats => {
            Some([stats.connections, stats.packets_in, stats.packets_out, stats.bytes_in, stats.bytes_out])
        }
        Columns::Rate => Some([cps, pps_in, pps_out, bps_in, bps_out]),
        _ => None,
    }
}

// Writing to a String cannot fail, so results of `write!` are dropped below.

fn service(text: &mut String, entry: &ServiceEntry, style: &Style<'_>) {
    let start = text.len();
    service_name(text, &entry.service.id, style.names);
    match counters(&entry.stats, style.columns) {
        Some(counters) => {
            fill(text, start, 33);
            for counter in counters {
                large(text, counter, style.exact);
            }
        }
        None => {
            let _ = write!(text, " {}", entry.service.scheduler);
            service_traits(text, &entry.service);
        }
    }
    text.push('\n');
}

fn service_name(text: &mut String, id: &ServiceId, names: &dyn Names) {
    let _ = match id {
        ServiceId::FwMark { mark, family: Family::V4 } => write!(text, "FWM  {mark}"),
        ServiceId::FwMark { mark, family: Family::V6 } => write!(text, "FWM  {mark} IPv6"),
        ServiceId::Address { protocol, address, port } => {
            let start = text.len();
            let _ = write!(text, "{protocol:<4} ");
            Named(names).endpoint(text, *address, *port, Some(*protocol));
            if address.is_ipv4() {
                cut(text, start, 33);
            }
            Ok(())
        }
    };
}

/// Scheduler flags, persistence and one-packet scheduling.
fn service_traits(text: &mut String, service: &Service) {
    if let Some(flags) = scheduler_flags_word(service) {
        let _ = write!(text, " ({flags})");
    }
    if let Some(persistence) = &service.persistence {
        let family = service.id.family();
        let _ = write!(text, " persistent {}", persistence.timeout.as_secs());
        if persistence.granularity != Granularity::single_client(family) {
            let _ = write!(text, " mask {}", persistence.granularity.word(family));
        }
        if let Some(engine) = &persistence.engine {
            let _ = write!(text, " pe {engine}");
        }
    }
    if service.flags.contains(ServiceFlags::ONE_PACKET) {
        text.push_str(" ops");
    }
}

fn destination(text: &mut String, entry: &DestinationEntry, service: &ServiceId, style: &Style<'_>) {
    let destination = &entry.destination;
    let id = destination.id;
    text.push_str("  -> ");
    let start = text.len();
    Named(style.names).endpoint(text, id.address, id.port, protocol_of(service));
    if id.address.is_ipv4() {
        cut(text, start, 28);
    }
    fill(text, start, 28);
    let (active, inactive) = (entry.active_connections, entry.inactive_connections);
    let weight = destination.weight;
    let forward = forward_name(&destination.forward);
    match (style.columns, counters(&entry.stats, style.columns)) {
        (_, Some(counters)) => {
            for (index, counter) in counters.into_iter().enumerate() {
                // The original rounds the first three rates of services only.
                let exact = style.exact || (style.columns == Columns::Rate && index < 3);
                large(text, counter, exact);
            }
        }
        (Columns::Thresholds, _) => {
            let (upper, lower) = (destination.upper_threshold, destination.lower_threshold);
            let _ = write!(text, " {upper:<10} {lower:<10} {active:<10} {inactive:<10}");
        }
        (Columns::Persistence, _) => {
            let templates = entry.persistent_connections;
            let _ = write!(text, " {weight:<9} {templates:<11} {active:<10} {inactive:<10}");
        }
        (Columns::Tunnels, _) => {
            let tunnel = tunnel_name(&destination.forward);
            let _ = write!(text, " {forward:<7} {tunnel:<13} {weight:<6} {active:<10} {inactive:<10}");
        }
        _ => {
            text.push(' ');
            let start = text.len();
            text.push_str(forward);
            fill(text, start, 7);
            for (number, width) in [(weight, 6), (active, 10), (inactive, 10)] {
                text.push(' ');
                number_column(text, number, width);
            }
        }
    }
    text.push('\n');
}

fn forward_name(forward: &Forward) -> &'static str {
    match forward {
        Forward::Masquerade => "Masq",
        Forward::Local => "Local",
        Forward::Tunnel(_) => "Tunnel",
        Forward::DirectRoute => "Route",
        Forward::Bypass => "Bypass",
        Forward::Other(_) => "Unknown",
    }
}

fn tunnel_name(forward: &Forward) -> String {
    let checksum = |checksum: &TunnelChecksum| match checksum {
        TunnelChecksum::None => "-c",
        TunnelChecksum::Checksum => "+c",
        TunnelChecksum::Remote => "r+c",
    };
    match forward {
        Forward::Tunnel(Tunnel::Ipip) => "ipip".to_owned(),
        Forward::Tunnel(Tunnel::Gue { port, checksum: it }) => format!("gue:{port}:{}", checksum(it)),
        Forward::Tunnel(Tunnel::Gre { checksum: false }) => "gre:-c".to_owned(),
        Forward::Tunnel(Tunnel::Gre { checksum: true }) => "gre:+c".to_owned(),
        Forward::Tunnel(Tunnel::Other { kind, .. }) => format!("type {kind}"),
        _ => "n/a".to_owned(),
    }
}

/// The listing of the timeouts.
#[must_use]
pub fn timeouts(timeouts: &Timeouts) -> String {
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    format!("Timeout (tcp tcpfin udp): {} {} {}\n", tcp.as_secs(), tcp_fin.as_secs(), udp.as_secs())
}

/// The listing of the sync daemons.
#[must_use]
pub fn daemons(daemons: &[SyncDaemon]) -> String {
    let mut text = String::new();
    for SyncDaemon { role, interface, sync_id, max_len, group, port, ttl } in daemons {
        let _ = write!(text, "{role} sync daemon (mcast={interface}, syncid={sync_id}");
        let max_len = max_len.map(u32::from).filter(|it| *it != 0);
        let _ = max_len.map_or(Ok(()), |it| write!(text, ", maxlen={it}"));
        let _ = group.map_or(Ok(()), |it| write!(text, ", group={it}"));
        let _ = port.filter(|it| *it != 0).map_or(Ok(()), |it| write!(text, ", port={it}"));
        let _ = ttl.filter(|it| *it != 0).map_or(Ok(()), |it| write!(text, ", ttl={it}"));
        text.push_str(")\n");
    }
    text
}
