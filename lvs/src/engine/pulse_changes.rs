//! What another file changes for `pulse`, which reads it as well: a line each, for a plan. What `pulse` then does is its own
//! decision; here is only said what it reads and when that takes effect.

use std::net::IpAddr;

use lvs_config::Config;
use lvs_config::model::FloatingAddress;

use super::overrides::in_words;
use super::quiet_changes::{changes, command};

/// The lines for `new` after `old`.
pub(super) fn pulse_changes(old: &Config, new: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    let restart = old.restarts_pulse(new);
    if !restart.is_empty() {
        let names = restart.join(", ");
        lines.push(format!(
            "pulse: {names} changed: a pulse that runs refuses the whole file, and tells lvs nothing, until it is restarted"
        ));
    }
    if new.active_virtual_servers().next().is_none() && old.active_virtual_servers().next().is_some() {
        lines.push("pulse: no active virtual server: pulse refuses the file".to_owned());
    }
    changes(&of(old), &of(new), |change| lines.push(format!("pulse: {change}")));
    lines.extend(addresses(&old.floating_addresses(), &new.floating_addresses()));
    lines
}

fn of(config: &Config) -> [(&'static str, String); 5] {
    [
        ("keepalive", in_words(config.heartbeat.keepalive)),
        ("deadtime", in_words(config.heartbeat.deadtime)),
        ("monitor_links", u8::from(config.monitor_links).to_string()),
        ("active_cmd", command(config.active_cmd.as_ref())),
        ("inactive_cmd", command(config.inactive_cmd.as_ref())),
    ]
}

fn addresses(old: &[&FloatingAddress], new: &[&FloatingAddress]) -> Vec<String> {
    let find = |all: &[&FloatingAddress], address: IpAddr| {
        all.iter().find(|found| found.address == address).copied().cloned()
    };
    let gone = old.iter().filter(|known| find(new, known.address).is_none());
    let mut lines: Vec<String> = gone
        .map(|known| {
            format!("pulse: floating address {} removed from {}", known.address, known.device.label())
        })
        .collect();
    for wanted in new {
        let (address, label) = (wanted.address, wanted.device.label());
        match find(old, address) {
            None => lines.push(format!("pulse: floating address {address} added on {label}")),
            Some(known) => {
                let moved = known.device.interface() != wanted.device.interface();
                // An address that stays on its interface keeps its label and, unless another one is given, its mask.
                let when = if moved { "" } else { ", the next time that it is added" };
                if known.device != wanted.device {
                    let before = known.device.label();
                    lines.push(format!(
                        "pulse: floating address {address} on {label} instead of {before}{when}"
                    ));
                }
                if known.prefix != wanted.prefix {
                    let when = if wanted.prefix.is_some() { ": removed and added again" } else { when };
                    let (prefix, before) = (mask(wanted), mask(&known));
                    lines.push(format!(
                        "pulse: floating address {address} with {prefix} instead of {before}{when}"
                    ));
                }
            }
        }
    }
    lines
}

fn mask(address: &FloatingAddress) -> String {
    address.prefix.map_or_else(|| "the mask of its network".to_owned(), |prefix| format!("/{prefix}"))
}
