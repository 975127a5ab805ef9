//! Bytes on the wire, explained octet by octet, and round trips.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};

use super::{ALL_NODES, Advertisement, Arp, Body, Frame, FrameError, Operation};
use crate::mac::Mac;

const ROUTER: Mac = Mac([0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a]);
const VIP: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 100);
const VIP6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x64);

fn arp(operation: Operation, target_mac: Mac) -> Frame {
    Frame {
        destination: Mac::BROADCAST,
        source: ROUTER,
        body: Body::Arp(Arp { operation, sender_mac: ROUTER, sender_ip: VIP, target_mac, target_ip: VIP }),
    }
}

fn advertisement() -> Frame {
    Frame {
        destination: Mac::IPV6_ALL_NODES,
        source: ROUTER,
        body: Body::Advertisement(Advertisement {
            source_ip: VIP6,
            destination_ip: ALL_NODES,
            router: true,
            solicited: false,
            override_cache: true,
            target: VIP6,
            target_mac: Some(ROUTER),
        }),
    }
}

#[rustfmt::skip]
const REPLY_BYTES: [u8; 60] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,             // Ethernet destination
    0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a,             // Ethernet source
    0x08, 0x06,                                     // ARP
    0x00, 0x01, 0x08, 0x00, 0x06, 0x04,             // Ethernet, IPv4, their lengths
    0x00, 0x02,                                     // reply
    0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a, 10, 1, 0, 100, // sender
    0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a, 10, 1, 0, 100, // target: the sender again
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[rustfmt::skip]
const ADVERTISEMENT_BYTES: [u8; 86] = [
    0x33, 0x33, 0x00, 0x00, 0x00, 0x01,             // Ethernet destination: all nodes
    0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a,             // Ethernet source
    0x86, 0xdd,                                     // IPv6
    0x60, 0x00, 0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, // version 6, 32 octets of ICMPv6, hop limit 255
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64, // from the address itself
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01,       // to all nodes
    0x88, 0x00, 0x3c, 0x45,                         // type 136, code 0, checksum
    0xa0, 0x00, 0x00, 0x00,                         // router and override
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x64, // target
    0x02, 0x01, 0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a, // target link-layer address, 8 octets
];

/// RFC 1071 over the pseudo-header and the message, written apart from the code under test.
fn rfc1071(frame: &[u8]) -> u16 {
    let (addresses, message) = (&frame[22..54], &frame[54..]);
    let pseudo = [addresses, &[0, 0, 0, 32, 0, 0, 0, 58], message].concat();
    let sum: u32 = pseudo.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap()
}

#[test]
fn reply_form_is_the_original_frame() {
    let frame = arp(Operation::Reply, ROUTER);
    assert_eq!(frame.emit(), REPLY_BYTES);
    assert_eq!(Frame::parse(&REPLY_BYTES), Ok(frame));
}

#[test]
fn request_form_differs_in_operation_and_target_mac() {
    let mut expected = REPLY_BYTES;
    expected[21] = 1;
    expected[32..38].fill(0);
    let frame = arp(Operation::Request, Mac::ZERO);
    assert_eq!(frame.emit(), expected);
    assert_eq!(Frame::parse(&expected), Ok(frame));
}

#[test]
fn advertisement_goes_to_all_nodes_with_a_right_checksum() {
    assert_eq!(rfc1071(&ADVERTISEMENT_BYTES), 0xffff);
    assert_eq!(advertisement().emit(), ADVERTISEMENT_BYTES);
    assert_eq!(Frame::parse(&ADVERTISEMENT_BYTES), Ok(advertisement()));
}

#[test]
fn unpadded_arp_is_read_like_a_padded_one() {
    assert_eq!(Frame::parse(&REPLY_BYTES[..42]), Ok(arp(Operation::Reply, ROUTER)));
}

#[test]
fn every_truncation_is_an_error() {
    for length in 0..42 {
        assert!(matches!(Frame::parse(&REPLY_BYTES[..length]), Err(FrameError::Short { .. })), "{length}");
    }
    for length in 0..86 {
        assert!(
            matches!(Frame::parse(&ADVERTISEMENT_BYTES[..length]), Err(FrameError::Short { .. })),
            "{length}"
        );
    }
}

#[test]
fn other_frames_are_named_for_what_they_are() {
    let change = |bytes: &[u8], offset: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[offset] = value;
        Frame::parse(&bytes).unwrap_err()
    };
    assert_eq!(change(&REPLY_BYTES, 13, 0x00), FrameError::EtherType(0x0800));
    assert_eq!(change(&REPLY_BYTES, 15, 6), FrameError::NotIpv4OverEthernet);
    assert_eq!(change(&REPLY_BYTES, 18, 8), FrameError::NotIpv4OverEthernet);
    assert_eq!(change(&ADVERTISEMENT_BYTES, 14, 0x40), FrameError::NotAdvertisement);
    assert_eq!(change(&ADVERTISEMENT_BYTES, 20, 17), FrameError::NotAdvertisement);
    assert_eq!(change(&ADVERTISEMENT_BYTES, 54, 135), FrameError::NotAdvertisement);
    assert_eq!(change(&ADVERTISEMENT_BYTES, 21, 64), FrameError::HopLimit(64));
    assert_eq!(
        change(&ADVERTISEMENT_BYTES, 85, 0x0b),
        FrameError::Checksum { found: 0x3c45, computed: 0x3c44 }
    );
}

#[test]
fn text_reads_like_a_capture() {
    assert_eq!(
        arp(Operation::Reply, ROUTER).to_string(),
        "00:16:3e:00:00:0a > ff:ff:ff:ff:ff:ff ARP reply 10.1.0.100 is-at 00:16:3e:00:00:0a"
    );
    assert_eq!(
        arp(Operation::Request, Mac::ZERO).to_string(),
        "00:16:3e:00:00:0a > ff:ff:ff:ff:ff:ff ARP request who-has 10.1.0.100 tell 10.1.0.100"
    );
    assert_eq!(
        advertisement().to_string(),
        "00:16:3e:00:00:0a > 33:33:00:00:00:01 \
         neighbour advertisement 2001:db8::64 is-at 00:16:3e:00:00:0a router override"
    );
}

fn any_mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

fn any_body() -> impl Strategy<Value = Body> {
    let arp = (any::<u16>(), any_mac(), any::<Ipv4Addr>(), any_mac(), any::<Ipv4Addr>()).prop_map(
        |(operation, sender_mac, sender_ip, target_mac, target_ip)| {
            Body::Arp(Arp { operation: operation.into(), sender_mac, sender_ip, target_mac, target_ip })
        },
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let mac = prop_oneof![Just(None), any_mac().prop_map(Some)];
    let advertisement = (any::<Ipv6Addr>(), any::<Ipv6Addr>(), flags, any::<Ipv6Addr>(), mac).prop_map(
        |(source_ip, destination_ip, (router, solicited, override_cache), target, target_mac)| {
            Body::Advertisement(Advertisement {
                source_ip,
                destination_ip,
                router,
                solicited,
                override_cache,
                target,
                target_mac,
            })
        },
    );
    prop_oneof![arp, advertisement]
}

proptest! {
    #[test]
    fn every_frame_round_trips(destination in any_mac(), source in any_mac(), body in any_body()) {
        let frame = Frame { destination, source, body };
        prop_assert_eq!(Frame::parse(&frame.emit()), Ok(frame));
    }

    #[test]
    fn whatever_parses_survives_writing_and_reading(
        noise in proptest::collection::vec(any::<u8>(), 0..120),
        template in prop_oneof![Just(&REPLY_BYTES[..]), Just(&ADVERTISEMENT_BYTES[..])],
        offset in 0_usize..86,
    ) {
        let mut bytes = template.to_vec();
        for (byte, noise) in bytes.iter_mut().skip(offset).zip(noise.iter().take(2)) {
            *byte = *noise;
        }
        for bytes in [&bytes, &noise] {
            if let Ok(frame) = Frame::parse(bytes) {
                prop_assert_eq!(Frame::parse(&frame.emit()), Ok(frame));
            }
        }
    }
}
