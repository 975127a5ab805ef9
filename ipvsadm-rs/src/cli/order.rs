//! The original's order of listings, which is not a total one.
//!
//! It compares by differences of 32-bit numbers that may overflow: 192.168.0.1 sorts before 10.0.0.1, because
//! the addresses are more than half the address space apart. Three such addresses can each sort before the
//! next in a circle, so the outcome depends on the sorting algorithm: a merge sort that halves, as glibc's.
//! A standard sort must not be given such an order; hence this small one.

use std::net::IpAddr;

use crate::model::{DestinationEntry, Family, Protocol, ServiceEntry, ServiceId};

/// The services in listing order.
#[must_use]
pub fn services(entries: &[ServiceEntry]) -> Vec<&ServiceEntry> {
    sorted(entries.iter().collect(), &|a, b| compare_services(&a.service.id, &b.service.id))
}

/// The destinations in listing order.
#[must_use]
pub fn destinations(entries: &[DestinationEntry]) -> Vec<&DestinationEntry> {
    sorted(entries.iter().collect(), &|a, b| {
        let (a, b) = (a.destination.id, b.destination.id);
        first_difference(compare_addresses(a.address, b.address), i32::from(a.port) - i32::from(b.port))
    })
}

/// Merge sort; `compare` gives a number above zero if the first belongs after the second.
fn sorted<'a, T>(mut items: Vec<&'a T>, compare: &impl Fn(&T, &T) -> i32) -> Vec<&'a T> {
    let mut left = Vec::with_capacity(items.len() / 2);
    sort(&mut items, &mut left, compare);
    items
}

/// Sorts both halves, then moves the left one aside and fills up from whichever comes first.
fn sort<'a, T>(items: &mut [&'a T], left: &mut Vec<&'a T>, compare: &impl Fn(&T, &T) -> i32) {
    let middle = items.len() / 2;
    if middle == 0 {
        return;
    }
    let (first, second) = items.split_at_mut(middle);
    sort(first, left, compare);
    sort(second, left, compare);
    left.clear();
    left.extend_from_slice(first);
    let (mut place, mut from_left, mut from_right) = (0, 0, middle);
    // Once the left half is used up, the rest of the right one is where it belongs.
    while let Some(a) = left.get(from_left) {
        match items.get(from_right) {
            Some(b) if compare(a, b) > 0 => {
                items[place] = *b;
                from_right += 1;
            }
            _ => {
                items[place] = *a;
                from_left += 1;
            }
        }
        place += 1;
    }
}

fn compare_services(a: &ServiceId, b: &ServiceId) -> i32 {
    let (a, b) = (numbers(a), numbers(b));
    let family = i32::from(a.family) - i32::from(b.family);
    let identity = first_difference(difference(a.mark, b.mark), family);
    let protocol = i32::from(a.protocol) - i32::from(b.protocol);
    let address = match (a.address, b.address) {
        (Some(a), Some(b)) => compare_addresses(a, b),
        _ => 0,
    };
    let port = i32::from(a.port) - i32::from(b.port);
    first_difference(first_difference(identity, protocol), first_difference(address, port))
}

/// A service's identity as the original compares it.
struct Numbers {
    mark: u32,
    family: u8,
    protocol: u16,
    address: Option<IpAddr>,
    port: u16,
}

fn numbers(id: &ServiceId) -> Numbers {
    let family = match id.family() {
        Family::V4 => 2,
        Family::V6 => 10,
    };
    match id {
        ServiceId::FwMark { mark, .. } => {
            Numbers { mark: mark.get(), family, protocol: 0, address: None, port: 0 }
        }
        ServiceId::Address { protocol, address, port } => {
            let protocol = match protocol {
                Protocol::Tcp => 6,
                Protocol::Udp => 17,
                Protocol::Sctp => 132,
                Protocol::Other(protocol) => protocol.number(),
            };
            Numbers { mark: 0, family, protocol, address: Some(*address), port: *port }
        }
    }
}

/// The first address decides whether one word is compared or four.
fn compare_addresses(a: IpAddr, b: IpAddr) -> i32 {
    let (first, second) = (address_words(a), address_words(b));
    let count = if a.is_ipv6() { 4 } else { 1 };
    let mut differences = first.iter().zip(&second).take(count).map(|(a, b)| difference(*a, *b));
    differences.find(|it| *it != 0).unwrap_or(0)
}

fn address_words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [96, 64, 32, 0].map(|shift| u32::try_from(bits >> shift & u128::from(u32::MAX)).unwrap_or(0))
        }
    }
}

/// The difference of two unsigned numbers in a signed one, overflow included.
fn difference(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

fn first_difference(first: i32, second: i32) -> i32 {
    if first == 0 { second } else { first }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::num::NonZeroU32;

    use super::*;
    use crate::model::{Scheduler, Service, Stats};

    fn listed(ids: &[ServiceId]) -> Vec<String> {
        let entry = |id: &ServiceId| ServiceEntry {
            service: Service::new(*id, Scheduler::RR),
            stats: Stats::default(),
            destinations: Vec::new(),
        };
        let entries: Vec<ServiceEntry> = ids.iter().map(entry).collect();
        services(&entries).iter().map(|it| it.service.id.to_string()).collect()
    }

    #[test]
    fn services_are_listed_in_the_order_of_the_original() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mark = |family| ServiceId::FwMark { mark: NonZeroU32::new(7).unwrap(), family };
        let order = listed(&[
            mark(Family::V6),
            ServiceId::tcp(at("[2001:db8::1]:80")),
            mark(Family::V4),
            ServiceId::udp(at("10.0.0.1:53")),
            ServiceId::tcp(at("10.0.0.2:80")),
            ServiceId::tcp(at("10.0.0.1:443")),
            ServiceId::tcp(at("192.168.0.1:80")),
            ServiceId::tcp(at("10.0.0.1:80")),
        ]);
        assert_eq!(
            order,
            [
                "TCP 192.168.0.1:80",
                "TCP 10.0.0.1:80",
                "TCP 10.0.0.1:443",
                "TCP 10.0.0.2:80",
                "UDP 10.0.0.1:53",
                "TCP [2001:db8::1]:80",
                "FWM 7",
                "FWM 7 IPv6",
            ]
        );
    }

    #[test]
    fn addresses_that_sort_in_a_circle_do_no_harm() {
        let ids: Vec<ServiceId> = (0..60u32)
            .map(|it| std::net::Ipv4Addr::from_bits(it.wrapping_mul(0x5555_5555)))
            .map(|address| ServiceId::tcp((address, 80).into()))
            .collect();
        assert_eq!(listed(&ids).len(), 60);
    }
}
