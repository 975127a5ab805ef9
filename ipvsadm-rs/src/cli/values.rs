//! Single values of options: numbers, masks, flags, addresses; each with what is allowed when it is wrong.

use std::net::IpAddr;

use super::address::{self, Endpoint};
use super::args::{ArgsError, Parsed};
use super::names::Names;
use super::options::Key;
use crate::model::{Family, Granularity, Protocol, Scheduler, ServiceFlags};
use crate::request::line::scheduler_flag_names;

/// Longest timeout that the original takes, in seconds: 31 days.
pub(super) const LONGEST_TIMEOUT: u32 = 31 * 86_400;

pub(super) fn endpoint(key: Key, text: &str, protocol: Protocol, names: &dyn Names) -> Parsed<Endpoint> {
    address::parse(text, protocol, names)
        .map_err(|message| ArgsError::wrong(format!("{} `{text}`: {message}", key.word())))
}

/// Like the original takes blanks and a sign before the digits.
pub(super) fn number(name: &str, text: &str, least: u32, most: u32) -> Parsed<u32> {
    let number = text.trim_ascii_start().parse::<i64>().ok().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
        ArgsError::wrong(format!("{name} `{text}`: a whole number from {least} to {most} is needed"))
    })
}

/// A mask, or a prefix length, which the original has for IPv6 only.
pub(super) fn netmask(text: &str, family: Family) -> Parsed<Granularity> {
    let length = text.parse::<u8>().ok();
    match (family, length) {
        (Family::V4, Some(length @ 0..=32)) | (Family::V6, Some(length @ 1..=128)) => {
            Ok(Granularity::prefix(length))
        }
        (Family::V6, _) => {
            Err(ArgsError::wrong(format!("-M `{text}`: for IPv6 a prefix length from 1 to 128 is needed")))
        }
        (Family::V4, _) => text.parse().map(Granularity::mask).map_err(|_| {
            ArgsError::wrong(format!(
                "-M `{text}`: a mask, such as 255.255.255.0, or a prefix length from 0 to 32 is needed"
            ))
        }),
    }
}

pub(super) fn scheduler_flags(words: &str, scheduler: Scheduler) -> Parsed<ServiceFlags> {
    let bits = [ServiceFlags::SCHEDULER_1, ServiceFlags::SCHEDULER_2, ServiceFlags::SCHEDULER_3];
    let own = scheduler_flag_names(scheduler.as_str());
    let plain = scheduler_flag_names("");
    let mut flags = ServiceFlags::NONE;
    for word in words.split(',').filter(|word| !word.is_empty()) {
        let place = own.iter().position(|name| *name == word).or(plain.iter().position(|name| *name == word));
        match place.and_then(|place| bits.get(place)) {
            Some(bit) => flags |= *bit,
            None => {
                let known = own.join(", ");
                return Err(ArgsError::wrong(format!("-b `{word}`: the flags of {scheduler} are {known}")));
            }
        }
    }
    Ok(flags)
}

pub(super) fn group(text: &str) -> Parsed<IpAddr> {
    text.parse().ok().filter(IpAddr::is_multicast).ok_or_else(|| {
        ArgsError::wrong(format!("--mcast-group `{text}`: an IPv4 or IPv6 multicast address is needed"))
    })
}
