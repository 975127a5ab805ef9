//! Whether what the kernel holds is what is wanted, in the kernel's eyes, and what to ask for if not.
//!
//! Every field is named, so that a new one cannot be forgotten here.

use crate::model::{Destination, Family, Forward, Granularity, Persistence, Service, UnknownAttributes};

/// The service to ask for so that `actual` becomes `wanted`; `None` if it is so.
pub(super) fn service_change(actual: &Service, wanted: &Service) -> Option<Service> {
    let Service { id, scheduler, flags, persistence, unknown } = wanted;
    let as_kept = |persistence| as_kept(persistence, id.family());
    let same = *scheduler == actual.scheduler
        && *flags == actual.flags
        && persistence.map(as_kept) == actual.persistence.map(as_kept)
        && is_kept(unknown, &actual.unknown);
    (!same).then(|| Service { unknown: kept(unknown, &actual.unknown), ..wanted.clone() })
}

/// The destination to ask for so that `actual` becomes `wanted`; `None` if it is so.
pub(super) fn destination_change(actual: &Destination, wanted: &Destination) -> Option<Destination> {
    let Destination { id: _, forward, weight, upper_threshold, lower_threshold, unknown } = wanted;
    let same = (*forward == actual.forward || actual.forward == Forward::Local)
        && *weight == actual.weight
        && *upper_threshold == actual.upper_threshold
        && *lower_threshold == actual.lower_threshold
        && is_kept(unknown, &actual.unknown);
    (!same).then(|| Destination { unknown: kept(unknown, &actual.unknown), ..wanted.clone() })
}

/// What of persistence reaches the kernel: seconds in 32 bits, and in IPv4 no prefix longer than an address.
fn as_kept(persistence: Persistence, family: Family) -> impl PartialEq {
    let Persistence { timeout, granularity, engine } = persistence;
    let granularity = match family {
        Family::V4 => Granularity::mask(granularity.to_mask()),
        Family::V6 => granularity,
    };
    (timeout.as_secs().min(u32::MAX.into()), granularity, engine)
}

fn is_kept(wanted: &UnknownAttributes, actual: &UnknownAttributes) -> bool {
    wanted.is_empty() || wanted == actual
}

fn kept(wanted: &UnknownAttributes, actual: &UnknownAttributes) -> UnknownAttributes {
    if wanted.is_empty() { actual.clone() } else { wanted.clone() }
}
