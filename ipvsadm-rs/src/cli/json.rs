//! Listings as JSON, for programs: one line with one object, of a shape that stays.
//!
//! What is asked for decides which object: the table, the connections, the timeouts or the sync daemons. Unlike the
//! listings for people the table's is always complete (settings, counters, rates and numbers of connections) and
//! never rounds or resolves: numbers are exact, addresses are numeric. A field is never left out; where it has no
//! meaning it is `null`. The manual page describes the fields.
//!
//! Pure: a snapshot comes in, text goes out.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use serde::Serialize;

use super::connections::{self, Connection};
use super::order;
use crate::model::{
    DestinationEntry, Family, Forward, Info, PersistenceEngine, Protocol, ServiceEntry, ServiceFlags,
    ServiceId, Stats, SyncDaemon, Table, Timeouts, Tunnel, TunnelChecksum,
};
use crate::request::line::set_scheduler_flags;

/// Number of the schema, in every object. Fields may be added under the same number; it grows when a field goes
/// away or changes its meaning.
pub const SCHEMA: u32 = 1;

/// The object, its number first.
#[derive(Serialize)]
struct Document<T> {
    schema: u32,
    #[serde(flatten)]
    content: T,
}

fn text(content: impl Serialize) -> io::Result<String> {
    let mut text = serde_json::to_string(&Document { schema: SCHEMA, content })?;
    text.push('\n');
    Ok(text)
}

/// The table, or those of its services that were asked for.
///
/// # Errors
/// None that these types can cause; it is the writer's to report them.
pub fn table(info: &Info, table: &Table, sorted: bool) -> io::Result<String> {
    #[derive(Serialize)]
    struct Content<'a> {
        ipvs: IpvsObject,
        services: Vec<ServiceObject<'a>>,
    }
    let ipvs = IpvsObject { version: info.version_text(), connection_buckets: info.table_size };
    let services = if sorted { order::services(&table.services) } else { table.services.iter().collect() };
    text(Content { ipvs, services: services.into_iter().map(|it| service(it, sorted)).collect() })
}

/// The connections, from the content of the kernel's table.
///
/// # Errors
/// As [`table`].
pub fn connections(table: &str) -> io::Result<String> {
    #[derive(Serialize)]
    struct Content<'a> {
        connections: Vec<ConnectionObject<'a>>,
    }
    text(Content { connections: connections::all(table).map(|it| connection(&it)).collect() })
}

/// The timeouts.
///
/// # Errors
/// As [`table`].
pub fn timeouts(timeouts: &Timeouts) -> io::Result<String> {
    #[derive(Serialize)]
    struct Content {
        timeouts: TimeoutsObject,
    }
    let Timeouts { tcp, tcp_fin, udp } = timeouts;
    let timeouts = TimeoutsObject { tcp: tcp.as_secs(), tcp_fin: tcp_fin.as_secs(), udp: udp.as_secs() };
    text(Content { timeouts })
}

/// The sync daemons that run.
///
/// # Errors
/// As [`table`].
pub fn daemons(daemons: &[SyncDaemon]) -> io::Result<String> {
    #[derive(Serialize)]
    struct Content<'a> {
        daemons: Vec<DaemonObject<'a>>,
    }
    text(Content { daemons: daemons.iter().map(daemon).collect() })
}

#[derive(Serialize)]
struct IpvsObject {
    version: String,
    connection_buckets: u32,
}

#[derive(Serialize)]
struct TimeoutsObject {
    tcp: u64,
    tcp_fin: u64,
    udp: u64,
}

#[derive(Serialize)]
struct ServiceObject<'a> {
    protocol: Option<String>,
    address: Option<IpAddr>,
    port: Option<u16>,
    fwmark: Option<u32>,
    family: &'static str,
    scheduler: &'a str,
    scheduler_flags: Vec<&'static str>,
    one_packet: bool,
    flags: u32,
    persistence: Option<PersistenceObject<'a>>,
    stats: StatsObject,
    rates: StatsObject,
    destinations: Vec<DestinationObject>,
}

#[derive(Serialize)]
struct PersistenceObject<'a> {
    timeout: u64,
    prefix_length: Option<u8>,
    mask: Option<Ipv4Addr>,
    engine: Option<&'a str>,
}

/// Totals, or the same per second.
#[derive(Serialize)]
struct StatsObject {
    connections: u64,
    packets_in: u64,
    packets_out: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Serialize)]
struct DestinationObject {
    address: IpAddr,
    port: u16,
    family: &'static str,
    forwarding: &'static str,
    tunnel: Option<TunnelObject>,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    active_connections: u32,
    inactive_connections: u32,
    persistent_connections: u32,
    stats: StatsObject,
    rates: StatsObject,
}

#[derive(Serialize)]
struct TunnelObject {
    #[serde(rename = "type")]
    kind: &'static str,
    port: Option<u16>,
    checksum: &'static str,
}

#[derive(Serialize)]
struct ConnectionObject<'a> {
    protocol: String,
    state: &'a str,
    expires: u32,
    client: EndpointObject,
    service: EndpointObject,
    destination: EndpointObject,
    engine: Option<&'a str>,
    engine_data: Option<&'a str>,
}

#[derive(Serialize)]
struct EndpointObject {
    address: IpAddr,
    port: u16,
}

#[derive(Serialize)]
struct DaemonObject<'a> {
    role: String,
    interface: &'a str,
    sync_id: u8,
    max_length: Option<u16>,
    group: Option<IpAddr>,
    port: Option<u16>,
    ttl: Option<u8>,
}

fn service(entry: &ServiceEntry, sorted: bool) -> ServiceObject<'_> {
    let service = &entry.service;
    let (protocol, address, port, fwmark) = match service.id {
        ServiceId::Address { protocol, address, port } => {
            (Some(protocol_word(protocol)), Some(address), Some(port), None)
        }
        ServiceId::FwMark { mark, .. } => (None, None, None, Some(mark.get())),
    };
    let persistence = service.persistence.as_ref().map(|it| PersistenceObject {
        timeout: it.timeout.as_secs(),
        prefix_length: it.granularity.prefix_length(),
        mask: (service.id.family() == Family::V4).then(|| it.granularity.to_mask()),
        engine: it.engine.as_ref().map(PersistenceEngine::as_str),
    });
    let of = &entry.destinations;
    let destinations = if sorted { order::destinations(of) } else { of.iter().collect() };
    ServiceObject {
        protocol,
        address,
        port,
        fwmark,
        family: family_word(service.id.family()),
        scheduler: service.scheduler.as_str(),
        scheduler_flags: set_scheduler_flags(service).collect(),
        one_packet: service.flags.contains(ServiceFlags::ONE_PACKET),
        flags: service.flags.bits(),
        persistence,
        stats: stats(&entry.stats),
        rates: rates(&entry.stats),
        destinations: destinations.into_iter().map(destination).collect(),
    }
}

fn destination(entry: &DestinationEntry) -> DestinationObject {
    let destination = &entry.destination;
    let (forwarding, tunnel) = match destination.forward {
        Forward::Masquerade => ("masquerade", None),
        Forward::Local => ("local", None),
        Forward::Tunnel(it) => ("tunnel", Some(tunnel(it))),
        Forward::DirectRoute => ("direct_route", None),
        Forward::Bypass => ("bypass", None),
        Forward::Other(_) => ("unknown", None),
    };
    DestinationObject {
        address: destination.id.address,
        port: destination.id.port,
        family: family_word(Family::of(destination.id.address)),
        forwarding,
        tunnel,
        weight: destination.weight,
        upper_threshold: destination.upper_threshold,
        lower_threshold: destination.lower_threshold,
        active_connections: entry.active_connections,
        inactive_connections: entry.inactive_connections,
        persistent_connections: entry.persistent_connections,
        stats: stats(&entry.stats),
        rates: rates(&entry.stats),
    }
}

fn tunnel(tunnel: Tunnel) -> TunnelObject {
    let word = |checksum| match checksum {
        TunnelChecksum::None => "none",
        TunnelChecksum::Checksum => "checksum",
        TunnelChecksum::Remote => "remote",
    };
    match tunnel {
        Tunnel::Ipip => TunnelObject { kind: "ipip", port: None, checksum: "none" },
        Tunnel::Gue { port, checksum } => {
            TunnelObject { kind: "gue", port: Some(port.get()), checksum: word(checksum) }
        }
        Tunnel::Gre { checksum } => {
            TunnelObject { kind: "gre", port: None, checksum: if checksum { "checksum" } else { "none" } }
        }
        Tunnel::Other { port, .. } => TunnelObject { kind: "unknown", port: Some(port), checksum: "unknown" },
    }
}

fn stats(stats: &Stats) -> StatsObject {
    StatsObject {
        connections: stats.connections,
        packets_in: stats.packets_in,
        packets_out: stats.packets_out,
        bytes_in: stats.bytes_in,
        bytes_out: stats.bytes_out,
    }
}

fn rates(stats: &Stats) -> StatsObject {
    let rates = &stats.rates;
    StatsObject {
        connections: rates.cps,
        packets_in: rates.pps_in,
        packets_out: rates.pps_out,
        bytes_in: rates.bps_in,
        bytes_out: rates.bps_out,
    }
}

fn connection<'a>(connection: &Connection<'a>) -> ConnectionObject<'a> {
    let endpoint = |(address, port)| EndpointObject { address, port };
    ConnectionObject {
        protocol: connection.protocol.to_ascii_lowercase(),
        state: connection.state,
        expires: connection.seconds,
        client: endpoint(connection.client),
        service: endpoint(connection.service),
        destination: endpoint(connection.destination),
        engine: connection.engine.map(|(name, _)| name),
        engine_data: connection.engine.map(|(_, data)| data),
    }
}

fn daemon(daemon: &SyncDaemon) -> DaemonObject<'_> {
    DaemonObject {
        role: daemon.role.to_string(),
        interface: &daemon.interface,
        sync_id: daemon.sync_id,
        max_length: daemon.max_len,
        group: daemon.group,
        port: daemon.port,
        ttl: daemon.ttl,
    }
}

fn protocol_word(protocol: Protocol) -> String {
    match protocol {
        Protocol::Other(protocol) => protocol.number().to_string(),
        known => known.to_string().to_ascii_lowercase(),
    }
}

fn family_word(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}
