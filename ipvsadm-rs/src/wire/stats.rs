//! Counters and rates, in the nest of 32-bit values that every kernel sends and the one of 64-bit values
//! that kernels since 4.1 send beside it.
//!
//! ```text
//! STATS or STATS64 { CONNS, INPKTS, OUTPKTS, INBYTES, OUTBYTES, CPS, INPPS, OUTPPS, INBPS, OUTBPS }
//! ```
//! A counter may be absent or of another length (it is 0) and an unknown one is passed over: figures must never be the reason
//! why a table cannot be read.

use netlink_packet_core::{Emitable, NlasIterator};

use super::WireError;
use super::consts::stats as number;
use super::value::{Value, counter_of, nla_by_value};
use crate::model::{Rates, Stats};

/// One counter on its way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counter {
    number: u16,
    value: u64,
    wide: bool,
}

impl Counter {
    fn number(self) -> u16 {
        self.number
    }

    fn value(&self) -> Value<'_> {
        if self.wide {
            return Value::inline(self.value.to_ne_bytes());
        }
        Value::inline(u32::try_from(self.value).unwrap_or(u32::MAX).to_ne_bytes())
    }
}

nla_by_value!(Counter);

/// Reads either nest.
///
/// # Errors
/// [`WireError`] if the nest is malformed.
pub fn parse(nest: &[u8]) -> Result<Stats, WireError> {
    let mut into = Stats::default();
    for nla in NlasIterator::new(nest) {
        let nla = nla?;
        if let Some(slot) = slot(&mut into, nla.kind()) {
            *slot = counter_of("IPVS_STATS_ATTR", nla.value()).unwrap_or(0);
        }
    }
    Ok(into)
}

/// Writes the nest of 64-bit values (`wide`), or of 32-bit values, where larger ones stop at the largest.
#[must_use]
pub fn emit(from: &Stats, wide: bool) -> Vec<u8> {
    let mut from = *from;
    let counters: Vec<Counter> = (number::CONNS..=number::OUTBPS)
        .filter_map(|number| {
            let value = *slot(&mut from, number)?;
            let wide = wide || matches!(number, number::INBYTES | number::OUTBYTES);
            Some(Counter { number, value, wide })
        })
        .collect();
    let mut bytes = vec![0; counters.as_slice().buffer_len()];
    counters.as_slice().emit(&mut bytes);
    bytes
}

/// Where a counter lives: the one table for both directions.
fn slot(stats: &mut Stats, number: u16) -> Option<&mut u64> {
    let Stats { connections, packets_in, packets_out, bytes_in, bytes_out, rates } = stats;
    let Rates { cps, pps_in, pps_out, bps_in, bps_out } = rates;
    Some(match number {
        number::CONNS => connections,
        number::INPKTS => packets_in,
        number::OUTPKTS => packets_out,
        number::INBYTES => bytes_in,
        number::OUTBYTES => bytes_out,
        number::CPS => cps,
        number::INPPS => pps_in,
        number::OUTPPS => pps_out,
        number::INBPS => bps_in,
        number::OUTBPS => bps_out,
        _ => return None,
    })
}
