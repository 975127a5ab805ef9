//! What a frame has to say so that neighbours believe it: gratuitous ARP, unsolicited neighbour advertisement, and the
//! one frame of Piranha's `send_arp`. Pure; the octets are the business of [`frame`](crate::frame).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::frame::{ALL_NODES, Advertisement, Arp, Body, Frame, Operation};
use crate::mac::Mac;

/// A gratuitous ARP packet to everybody: sender and target are the announced address (RFC 5944 section 4.6). The
/// reply form repeats the MAC address as target; the request form leaves the target unknown (RFC 5227 section 2.3).
#[must_use]
pub fn gratuitous_arp(operation: Operation, address: Ipv4Addr, mac: Mac) -> Frame {
    let target_mac = if operation == Operation::Request { Mac::ZERO } else { mac };
    let arp = Arp { operation, sender_mac: mac, sender_ip: address, target_mac, target_ip: address };
    Frame { destination: Mac::BROADCAST, source: mac, body: Body::Arp(arp) }
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861 section 7.2.6), with the override flag so that
/// neighbours replace what they have cached.
///
/// It comes from the announced address itself, which need not be usable for sockets yet. `router` must be true when
/// the sender forwards: hosts drop a default router that says it is none (RFC 4861 section 7.2.5).
#[must_use]
pub fn unsolicited_advertisement(address: Ipv6Addr, mac: Mac, router: bool) -> Frame {
    let advertisement = Advertisement {
        source_ip: address,
        destination_ip: ALL_NODES,
        router,
        solicited: false,
        override_cache: true,
        target: address,
        target_mac: Some(mac),
    };
    Frame { destination: Mac::IPV6_ALL_NODES, source: mac, body: Body::Advertisement(advertisement) }
}

/// The frame that Piranha's `send_arp` sent for `SRC_IP SRC_MAC TARG_IP TARG_MAC`: a gratuitous reply from `mac`
/// about `address` to the station `destination`. It ignored `TARG_IP`.
#[must_use]
pub fn original_reply(address: Ipv4Addr, mac: Mac, destination: Mac) -> Frame {
    Frame { destination, ..gratuitous_arp(Operation::Reply, address, mac) }
}

#[cfg(test)]
mod tests {
    use super::{gratuitous_arp, original_reply, unsolicited_advertisement};
    use crate::frame::Operation;
    use crate::mac::Mac;

    const MAC: Mac = Mac([0x00, 0x16, 0x3e, 0x00, 0x00, 0x0a]);

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn piranhas_frame_is_a_reply_that_repeats_the_sender_as_target() {
        let frame = original_reply([10, 1, 0, 100].into(), MAC, Mac([0x02, 0, 0, 0, 0, 0x05]));
        let ethernet = "020000000005".to_owned() + "00163e00000a" + "0806";
        let arp = "0001080006040002".to_owned() + "00163e00000a0a010064" + "00163e00000a0a010064";
        assert_eq!(hex(&frame.emit()), ethernet + &arp + &"00".repeat(18));
    }

    #[test]
    fn the_request_form_asks_everybody_and_leaves_the_target_mac_open() {
        let frame = gratuitous_arp(Operation::Request, [10, 1, 0, 100].into(), MAC);
        let ethernet = "ffffffffffff".to_owned() + "00163e00000a" + "0806";
        let arp = "0001080006040001".to_owned() + "00163e00000a0a010064" + "0000000000000a010064";
        assert_eq!(hex(&frame.emit()), ethernet + &arp + &"00".repeat(18));
    }

    #[test]
    fn a_host_does_not_claim_to_be_a_router() {
        let frame = |router| unsolicited_advertisement("2001:db8::100".parse().unwrap(), MAC, router).emit();
        assert_eq!(frame(false)[58], 0x20, "override alone");
        assert_eq!(frame(true)[58], 0xa0, "router and override");
    }
}
