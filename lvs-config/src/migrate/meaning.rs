//! What a directive means, in an operator's words.

use crate::keys::{Directive, Key, Section};
use crate::tree::BlockKind;

/// What the header of a block means.
pub(super) fn block(kind: BlockKind, name: &str) -> String {
    match kind {
        BlockKind::Virtual => {
            format!("The virtual server `{name}`: one service, balanced over the servers below.")
        }
        BlockKind::Failover => format!("The failover service `{name}`, which the active router itself runs."),
        BlockKind::Server => format!("The real server `{name}` of this virtual server."),
    }
}

/// What `key` with `values` means in `section`.
pub(super) fn entry(section: Section, key: &Key, values: &[&str]) -> String {
    let text = values.join(" ");
    let on = matches!(values, [value] if crate::value::number(value).is_some_and(|n| n != 0));
    let plain = || key.help.replace("**", "");
    if values.is_empty() {
        return plain();
    }
    match (key.directive, section) {
        (Directive::Active, Section::Server) if on => "The server takes part.".to_owned(),
        (Directive::Active, Section::Server) => "The server is set aside: not checked, not used.".to_owned(),
        (Directive::Active, _) if on => "The block is served.".to_owned(),
        (Directive::Active, _) => "The block is set aside: it is read, and nothing comes of it.".to_owned(),
        (Directive::Address, Section::Server) => {
            format!("Requests are forwarded to, and checks made at, {text}.")
        }
        (Directive::Address, _) => match values {
            [address, device] => {
                format!("Clients connect to {address}; the active router has it on {device}.")
            }
            _ => plain(),
        },
        (Directive::Primary, _) => format!("The router that has the address {text} is the primary one."),
        (Directive::Backup, _) => match text.as_str() {
            "0.0.0.0" => "There is no second router.".to_owned(),
            _ => format!("The other router is {text}."),
        },
        (Directive::BackupActive, _) if on => {
            "The two routers exchange heartbeats and replace each other.".to_owned()
        }
        (Directive::BackupActive, _) => "No heartbeats: the primary serves alone.".to_owned(),
        (Directive::Keepalive, _) => format!("A heartbeat is sent every {}.", time(&text)),
        (Directive::Deadtime, _) => {
            format!("After {} without a heartbeat the other router counts as dead.", time(&text))
        }
        (Directive::HeartbeatPort, _) => format!("Heartbeats go from and to UDP port {text}."),
        (Directive::Timeout, _) => {
            format!("Each server is checked every {0}; a step of a check may take {0} as well.", time(&text))
        }
        (Directive::Reentry, _) => {
            format!("A server that has failed must answer well for {} before it is used again.", time(&text))
        }
        (Directive::Weight, _) => format!("Its share of the work is {text}."),
        (Directive::Network, _) => method(&text).map_or_else(plain, str::to_owned),
        (Directive::NatNmask | Directive::VipNmask, _) => {
            format!("The network of that address has the mask {text}.")
        }
        (Directive::Protocol, _) => format!("The service is one of {}.", text.to_uppercase()),
        (Directive::Port, Section::Server) => format!("Requests reach the server at its port {text}."),
        (Directive::Port, _) => format!("Clients connect to port {text}."),
        (Directive::Scheduler, _) => format!("The kernel chooses among the real servers by `{text}`."),
        (Directive::LoadMonitor, _) => match text.as_str() {
            "none" => "Weights are those of the file: no load is measured.".to_owned(),
            _ => format!("Weights follow the load of the servers, which `{text}` measures."),
        },
        (Directive::UseRegex, _) if on => "`expect` is a regular expression.".to_owned(),
        (Directive::UseRegex, _) => "`expect` is plain text.".to_owned(),
        (Directive::Syncdaemon, _) if on => "The routers tell each other their connections.".to_owned(),
        (Directive::Syncdaemon, _) => "Connections are not told to the other router.".to_owned(),
        (Directive::Persistent, _) => {
            format!("A client stays with its server until it has been silent for {}.", time(&text))
        }
        (Directive::QuiesceServer, _) if on => {
            "A failed server keeps its connections and gets no new ones.".to_owned()
        }
        (Directive::QuiesceServer, _) => "A failed server is removed with its connections.".to_owned(),
        (Directive::Check, _) => format!("Each check is this: `{text}`."),
        (Directive::SendProgram, _) => format!("Each check runs `{text}`."),
        (Directive::Send, _) => format!("Each check sends `{text}`."),
        (Directive::Expect, _) => format!("A server is up if its answer is as `{text}` says."),
        (Directive::SorryServer, _) => format!("While no server can serve, {text} does."),
        (Directive::Fwmark, _) if on => {
            format!(
                "The service is every packet that the firewall gave the mark {text}, whatever its address."
            )
        }
        (Directive::MonitorLinks, _) if on => "A router that loses one of its links gives way.".to_owned(),
        _ => plain(),
    }
}

/// What the forwarding method `word` does.
fn method(word: &str) -> Option<&'static str> {
    Some(match word {
        "nat" => "The router rewrites addresses in both directions; answers come back through it.",
        "direct" => {
            "Requests reach a real server unchanged, on its own network; it answers the client itself."
        }
        "tunnel" => "Requests reach a real server inside of other IP packets; it answers the client itself.",
        _ => return None,
    })
}

/// `text` as a time with its unit.
fn time(text: &str) -> String {
    match crate::value::number(text) {
        Some(1) => "1 second".to_owned(),
        Some(seconds) => format!("{seconds} seconds"),
        None => text.to_owned(),
    }
}
