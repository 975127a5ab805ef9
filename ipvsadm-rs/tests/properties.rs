//! Properties of the codec and the fake kernel: what is written is read back as the same, and no bytes make
//! either of them panic.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use ipvsadm::fake::FakeKernel;
use ipvsadm::wire::ack::{self, Body};
use ipvsadm::wire::{Message, daemon, destination, service, stats};
use ipvsadm::{
    Destination, DestinationId, Family, Forward, Granularity, Persistence, PersistenceEngine, Protocol,
    Rates, Request, Scheduler, Service, ServiceFlags, ServiceId, Stats, SyncDaemon, SyncRole, Timeouts,
    Transport, Tunnel, TunnelChecksum, UnknownAttributes,
};
use proptest::prelude::*;

const FAMILY: u16 = 0x1e;

fn service_id() -> impl Strategy<Value = ServiceId> {
    let protocol = prop_oneof![
        Just(Protocol::Tcp),
        Just(Protocol::Udp),
        Just(Protocol::Sctp),
        // Other numbers than those of the three above.
        (200u16..).prop_map(service::protocol_of_number)
    ];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    prop_oneof![
        (protocol, any::<IpAddr>(), any::<u16>()).prop_map(|(protocol, address, port)| ServiceId::Address {
            protocol,
            address,
            port
        }),
        (any::<NonZeroU32>(), family).prop_map(|(mark, family)| ServiceId::FwMark { mark, family }),
    ]
}

prop_compose! {
    fn any_service()(
        id in service_id(),
        scheduler in "[!\"$-~][!-~]{0,14}",
        flags in any::<u32>(),
        seconds in prop::option::of(any::<u32>()),
        length in any::<prop::sample::Index>(),
        mask in prop::option::of(any::<Ipv4Addr>()),
        engine in prop::option::of("[!\"$-~][!-~]{0,14}"),
        // Numbers above those of today's kernels.
        unknown in unknown_attributes(13),
    ) -> Service {
        let lengths = usize::from(id.family().bits()) + 1;
        let prefix = Granularity::prefix(u8::try_from(length.index(lengths)).unwrap());
        let mask = mask.filter(|_| id.family() == Family::V4).map(Granularity::mask);
        Service {
            id,
            scheduler: Scheduler::new(&scheduler).unwrap(),
            flags: ServiceFlags::from_bits(flags),
            persistence: seconds.map(|seconds| Persistence {
                timeout: Duration::from_secs(seconds.into()),
                granularity: mask.unwrap_or(prefix),
                engine: engine.map(|name| PersistenceEngine::new(&name).unwrap()),
            }),
            unknown,
        }
    }
}

fn forward() -> impl Strategy<Value = Forward> {
    let checksum =
        prop::sample::select(vec![TunnelChecksum::None, TunnelChecksum::Checksum, TunnelChecksum::Remote]);
    prop_oneof![
        Just(Forward::Masquerade),
        Just(Forward::Local),
        Just(Forward::DirectRoute),
        Just(Forward::Bypass),
        Just(Forward::Tunnel(Tunnel::Ipip)),
        (any::<NonZeroU16>(), checksum)
            .prop_map(|(port, checksum)| Forward::Tunnel(Tunnel::Gue { port, checksum })),
        any::<bool>().prop_map(|checksum| Forward::Tunnel(Tunnel::Gre { checksum })),
        (5..=7u32).prop_map(|method| destination::forward_of_numbers(method, (0, 0, 0))),
        // A type, or switches, of a newer kernel.
        (3u8.., any::<u16>(), any::<u16>()).prop_map(|(kind, port, flags)| other_tunnel(kind, port, flags)),
        // What the known ones cannot have: a port of 0, a checksum of GRE left to the other end.
        Just(other_tunnel(1, 0, 1)),
        any::<u16>().prop_map(|port| other_tunnel(2, port, 2)),
        (0..=2u8, any::<u16>(), 4u16..).prop_map(|(kind, port, flags)| other_tunnel(kind, port, flags)),
    ]
}

fn other_tunnel(kind: u8, port: u16, flags: u16) -> Forward {
    destination::forward_of_numbers(2, (kind, port, flags))
}

/// Attributes with numbers from `first` on, some of them marked as nests.
fn unknown_attributes(first: u16) -> impl Strategy<Value = UnknownAttributes> {
    let number =
        (first..200, any::<bool>()).prop_map(|(number, nest)| if nest { number | 0x8000 } else { number });
    let attribute = (number, prop::collection::vec(any::<u8>(), 0..9));
    prop::collection::vec(attribute, 0..3).prop_map(UnknownAttributes::new)
}

prop_compose! {
    fn any_destination()(
        address in any::<IpAddr>(),
        port in any::<u16>(),
        forward in forward(),
        (weight, upper_threshold, lower_threshold) in any::<(u32, u32, u32)>(),
        unknown in unknown_attributes(16),
    ) -> Destination {
        let id = DestinationId::new(address, port);
        Destination { id, forward, weight, upper_threshold, lower_threshold, unknown }
    }
}

prop_compose! {
    fn any_daemon()(
        role in prop::sample::select(vec![SyncRole::Master, SyncRole::Backup]),
        interface in "[a-z0-9.]{1,15}",
        sync_id in any::<u8>(),
        max_len in any::<Option<u16>>(),
        group in any::<Option<IpAddr>>(),
        port in any::<Option<u16>>(),
        ttl in any::<Option<u8>>(),
    ) -> SyncDaemon {
        SyncDaemon { role, interface, sync_id, max_len, group, port, ttl }
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let seconds = || any::<u32>().prop_map(|it| Duration::from_secs(it.into()));
    prop_oneof![
        any_service().prop_map(Request::AddService),
        any_service().prop_map(Request::EditService),
        service_id().prop_map(Request::DeleteService),
        (service_id(), any_destination()).prop_map(|(id, it)| Request::AddDestination(id, it)),
        (service_id(), any_destination()).prop_map(|(id, it)| Request::EditDestination(id, it)),
        (service_id(), any_destination()).prop_map(|(id, it)| Request::DeleteDestination(id, it.id)),
        Just(Request::Flush),
        prop::option::of(service_id()).prop_map(Request::Zero),
        (seconds(), seconds(), seconds()).prop_map(|(tcp, tcp_fin, udp)| Request::SetTimeouts(Timeouts {
            tcp,
            tcp_fin,
            udp
        })),
        any_daemon().prop_map(Request::StartDaemon),
        any_daemon().prop_map(|it| Request::StopDaemon(it.role)),
    ]
}

prop_compose! {
    fn any_stats()(it in any::<[u64; 10]>()) -> Stats {
        let rates = Rates { cps: it[5], pps_in: it[6], pps_out: it[7], bps_in: it[8], bps_out: it[9] };
        Stats { connections: it[0], packets_in: it[1], packets_out: it[2], bytes_in: it[3], bytes_out: it[4], rates }
    }
}

/// Reads the one message that a datagram holds.
fn read(datagram: &[u8]) -> Message {
    let mut messages = ack::split(datagram);
    let message = messages.next().unwrap().unwrap();
    assert!(messages.next().is_none());
    match ack::parse(&message, FAMILY).unwrap().body {
        Body::Answer(answer) => answer.message().unwrap(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn every_request_is_read_back_as_itself(request in any_request()) {
        let mut datagram = Vec::new();
        Message::of_request(&request).write(FAMILY, 0, 1, &mut datagram);
        prop_assert_eq!(read(&datagram).to_request().unwrap(), Some(request));
    }

    #[test]
    fn counters_of_64_bits_are_read_back_as_themselves(counters in any_stats()) {
        prop_assert_eq!(stats::parse(&stats::emit(&counters, true)).unwrap(), counters);
    }

    #[test]
    fn messages_that_can_be_read_are_written_and_read_as_the_same(
        command in 0u8..20,
        attributes in prop::collection::vec((0u16..20, prop::collection::vec(any::<u8>(), 0..24)), 0..6),
        nest in prop::option::of(1u16..4),
    ) {
        let mut bytes = Vec::new();
        for (number, value) in &attributes {
            bytes.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            bytes.extend(number.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if let Some(number) = nest {
            let mut outer = u16::try_from(bytes.len() + 4).unwrap().to_ne_bytes().to_vec();
            outer.extend(number.to_ne_bytes());
            outer.extend(bytes);
            bytes = outer;
        }
        if let Ok(message) = Message::parse(command, &bytes) {
            let mut datagram = Vec::new();
            message.write(FAMILY, 0, 1, &mut datagram);
            prop_assert_eq!(read(&datagram), message);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), command in any::<u8>()) {
        for message in ack::split(&bytes).map_while(Result::ok) {
            let _ = ack::parse(&message, message.message_type());
        }
        if let Ok(message) = Message::parse(command, &bytes) {
            let _ = (message.to_request(), message.info(), message.timeouts());
        }
        if let Ok(attributes) = service::parse(&bytes) {
            let _ = service::service(&attributes);
        }
        if let Ok(attributes) = destination::parse(&bytes) {
            let _ = destination::entry(&attributes, Family::V6);
        }
        if let Ok(attributes) = daemon::parse(&bytes) {
            let _ = daemon::daemon(&attributes);
        }
        let _ = stats::parse(&bytes);
    }

    #[test]
    fn a_request_cut_off_anywhere_makes_neither_reader_nor_fake_kernel_panic(
        request in any_request(),
        cut in any::<prop::sample::Index>(),
        flip in any::<(prop::sample::Index, u8)>(),
    ) {
        let mut datagram = Vec::new();
        Message::of_request(&request).write(FAMILY, 5, 1, &mut datagram);
        let (index, bits) = flip;
        let index = index.index(datagram.len());
        datagram[index] ^= bits;
        datagram.truncate(cut.index(datagram.len()) + 1);
        let mut connection = FakeKernel::new().connect();
        connection.send(&datagram).unwrap();
        for message in ack::split(&datagram).map_while(Result::ok) {
            let _ = ack::parse(&message, FAMILY);
        }
    }
}
