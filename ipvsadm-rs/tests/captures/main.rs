//! The codec against bytes of a real kernel: what they mean, and that they are written back as they came.
//!
//! Captures are in the byte order of a little-endian machine.
#![allow(clippy::unwrap_used)] // helpers of tests
#![cfg(target_endian = "little")]

mod bytes;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use ipvsadm::wire::ack::{self, Body, Refusal};
use ipvsadm::wire::consts::cmd;
use ipvsadm::wire::{Message, daemon, destination, service};
use ipvsadm::{
    Destination, DestinationEntry, Errno, Family, Forward, Granularity, Info, Persistence, PersistenceEngine,
    Rates, Scheduler, Service, ServiceFlags, ServiceId, Stats, SyncDaemon, SyncRole, Timeouts, Tunnel,
    TunnelChecksum,
};
use netlink_packet_core::{Emitable, Nla};

fn written<T: Nla>(attributes: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; attributes.buffer_len()];
    attributes.emit(&mut bytes);
    bytes
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_service_with_traffic_is_read_with_its_64_bit_counters() {
    let attributes = service::parse(bytes::SERVICE_WITH_TRAFFIC).unwrap();
    let expected = Service {
        flags: ServiceFlags::SCHEDULER_1 | ServiceFlags::SCHEDULER_2,
        persistence: Some(Persistence {
            timeout: Duration::from_secs(360),
            granularity: Granularity::prefix(24),
            engine: None,
        }),
        ..Service::new(ServiceId::tcp(address("10.1.0.100:80")), Scheduler::SH)
    };
    let rates = Rates { cps: 2, pps_in: 12, pps_out: 11, bps_in: 787, bps_out: 950 };
    let stats =
        Stats { connections: 18, packets_in: 97, packets_out: 90, bytes_in: 6298, bytes_out: 7604, rates };
    assert_eq!(service::service(&attributes).unwrap(), (expected, stats));
    assert_eq!(written(&attributes), bytes::SERVICE_WITH_TRAFFIC);
}

#[test]
fn a_service_with_a_persistence_engine_is_read_and_written() {
    let attributes = service::parse(bytes::SERVICE_WITH_ENGINE).unwrap();
    let engine = PersistenceEngine::new("sip").unwrap();
    let expected = Service {
        flags: ServiceFlags::ONE_PACKET,
        persistence: Some(Persistence {
            timeout: Duration::from_secs(60),
            granularity: Granularity::prefix(32),
            engine: Some(engine),
        }),
        ..Service::new(ServiceId::udp(address("10.0.0.7:5060")), Scheduler::RR)
    };
    assert_eq!(service::service(&attributes).unwrap(), (expected, Stats::default()));
    assert_eq!(written(&attributes), bytes::SERVICE_WITH_ENGINE);
}

#[test]
fn an_ipv6_mark_has_its_granularity_as_a_number_in_host_order() {
    let attributes = service::parse(bytes::SERVICE_BY_MARK).unwrap();
    let id = ServiceId::FwMark { mark: NonZeroU32::new(7).unwrap(), family: Family::V6 };
    let persistence =
        Persistence { timeout: Duration::from_secs(30), granularity: Granularity::prefix(64), engine: None };
    let expected = Service { persistence: Some(persistence), ..Service::new(id, Scheduler::RR) };
    assert_eq!(service::service(&attributes).unwrap().0, expected);
    assert_eq!(written(&attributes), bytes::SERVICE_BY_MARK);
}

#[test]
fn a_destination_with_traffic_is_read_with_its_connections() {
    let attributes = destination::parse(bytes::DESTINATION_WITH_TRAFFIC).unwrap();
    let expected = DestinationEntry {
        destination: Destination {
            weight: 5,
            upper_threshold: 100,
            lower_threshold: 50,
            ..Destination::new(address("10.2.0.11:80").into(), Forward::Masquerade)
        },
        active_connections: 1,
        inactive_connections: 8,
        persistent_connections: 1,
        stats: Stats {
            connections: 9,
            packets_in: 46,
            packets_out: 43,
            bytes_in: 2982,
            bytes_out: 3604,
            rates: Rates { cps: 1, pps_in: 6, pps_out: 5, bps_in: 373, bps_out: 450 },
        },
    };
    assert_eq!(destination::entry(&attributes, Family::V4).unwrap(), expected);
    assert_eq!(written(&attributes), bytes::DESTINATION_WITH_TRAFFIC);
}

#[test]
fn tunnels_and_ipv6_destinations_are_read_and_written() {
    let read = |nest| {
        let attributes = destination::parse(nest).unwrap();
        assert_eq!(written(&attributes), nest);
        // The service's family must not matter when the destination names its own.
        destination::entry(&attributes, Family::V6).unwrap().destination
    };
    let tunnel = Tunnel::Gue { port: 6080.try_into().unwrap(), checksum: TunnelChecksum::Checksum };
    let gue = Destination::new(address("10.2.0.5:80").into(), Forward::Tunnel(tunnel));
    assert_eq!(read(bytes::DESTINATION_BY_GUE), gue);
    let direct = Destination::new(address("[2001:db8::9]:80").into(), Forward::DirectRoute);
    assert_eq!(read(bytes::DESTINATION_IPV6), direct);
}

#[test]
fn daemons_are_read_with_the_defaults_that_the_kernel_filled_in() {
    let read = |nest| {
        let attributes = daemon::parse(nest).unwrap();
        assert_eq!(written(&attributes), nest);
        daemon::daemon(&attributes).unwrap()
    };
    let master = SyncDaemon {
        max_len: Some(1472),
        group: Some("224.0.0.81".parse().unwrap()),
        port: Some(8848),
        ttl: Some(1),
        ..SyncDaemon::new(SyncRole::Master, "eth0", 5)
    };
    assert_eq!(read(bytes::DAEMON_MASTER), master);
    let backup = SyncDaemon {
        max_len: Some(1024),
        group: Some("ff02::99".parse().unwrap()),
        port: Some(999),
        ttl: Some(3),
        ..SyncDaemon::new(SyncRole::Backup, "eth0", 6)
    };
    assert_eq!(read(bytes::DAEMON_BACKUP), backup);
}

#[test]
fn timeouts_and_info_are_read() {
    let seconds = Duration::from_secs;
    let timeouts = Message::parse(cmd::SET_CONFIG, bytes::TIMEOUTS).unwrap().timeouts();
    assert_eq!(timeouts, Timeouts { tcp: seconds(100), tcp_fin: seconds(120), udp: seconds(50) });
    let info = Message::parse(cmd::SET_INFO, bytes::INFO).unwrap().info().unwrap();
    assert_eq!(info, Info { version: 0x01_02_01, table_size: 256 });
    assert_eq!(info.version_text(), "1.2.1");
}

#[test]
fn acknowledgements_and_ends_of_dumps_are_read() {
    let body = |datagram| {
        let mut all = ack::split(datagram).map(|it| ack::parse(&it.unwrap(), 0x1e).unwrap());
        let first = all.next().unwrap();
        assert!(all.next().is_none());
        (first.sequence, first.body)
    };
    assert_eq!(body(bytes::ACKNOWLEDGED), (8, Body::Ack(None)));
    let refusal = Refusal { errno: Errno::ESRCH, extended: None };
    assert_eq!(body(bytes::REFUSED), (10, Body::Ack(Some(refusal))));
    assert_eq!(body(bytes::DONE), (5, Body::Done(None)));
}

#[test]
fn a_reply_without_family_counters_and_tunnel_is_read_as_older_kernels_send_it() {
    // The same destination as a kernel before 3.18 would send it: no ADDR_FAMILY, STATS64 or TUN_*.
    let old: Vec<_> = destination::parse(bytes::DESTINATION_WITH_TRAFFIC)
        .unwrap()
        .into_iter()
        .filter(|it| ![11, 12, 13, 14, 15].contains(&it.kind()))
        .collect();
    let entry = destination::entry(&old, Family::V4).unwrap();
    assert_eq!(entry.destination.id, address("10.2.0.11:80").into());
    assert_eq!(entry.stats.bytes_in, 2982);
}

#[test]
fn attributes_of_a_newer_kernel_are_kept_and_sent_back() {
    let mut newer = bytes::SERVICE_BY_MARK.to_vec();
    newer.extend([0x06, 0x00, 0x63, 0x00, 0xab, 0xcd, 0x00, 0x00]);
    let attributes = service::parse(&newer).unwrap();
    assert_eq!(attributes.last(), Some(&service::ServiceAttribute::Other(0x63, vec![0xab, 0xcd])));
    assert_eq!(written(&attributes), newer);
    let (read, _) = service::service(&attributes).unwrap();
    let (without, _) = service::read(bytes::SERVICE_BY_MARK).unwrap();
    assert_eq!(read.unknown.iter().collect::<Vec<_>>(), [(0x63, &[0xab, 0xcd][..])]);
    assert_eq!(Service { unknown: without.unknown.clone(), ..read.clone() }, without);
    assert_eq!(service::attributes(&read).last(), attributes.last());

    // A nest stays marked as one.
    let mut newer = bytes::DESTINATION_WITH_TRAFFIC.to_vec();
    newer.extend([0x08, 0x00, 0x63, 0x80, 0x04, 0x00, 0x01, 0x00]);
    let read = destination::read(&newer, Family::V4).unwrap().destination;
    assert_eq!(read.unknown.iter().collect::<Vec<_>>(), [(0x8063, &[0x04, 0x00, 0x01, 0x00][..])]);
    let bytes = written(&destination::attributes(&read));
    assert_eq!(bytes[bytes.len() - 8..], newer[newer.len() - 8..]);
}

#[test]
fn what_is_missing_or_malformed_is_named() {
    let error = |nest: &[u8]| match service::parse(nest) {
        Ok(attributes) => service::service(&attributes).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(error(&[]), "IPVS_SVC_ATTR_AF is missing");
    assert_eq!(error(&bytes::SERVICE_BY_MARK[..16]), "IPVS_SVC_ATTR_SCHED_NAME is missing");
    assert_eq!(error(&[0x05, 0x00, 0x01, 0x00, 0x02, 0, 0, 0]), "IPVS_SVC_ATTR_AF has 1 bytes");
    assert_eq!(error(&[0x06, 0x00, 0x01, 0x00, 0x07, 0, 0, 0]), "IPVS_SVC_ATTR_AF has the value 7");
    assert!(error(&bytes::SERVICE_BY_MARK[..18]).starts_with("malformed message: "));
}
