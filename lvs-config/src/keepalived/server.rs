//! `real_server` blocks.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::check::{self, Checked, Checker};
use super::group;
use super::notes::{Note, Notes};
use super::output::Output;
use super::source::Place;
use super::timing::Timing;
use super::tree::Node;
use super::values;
use crate::model::Protocol;
use crate::units::Weight;

/// A real server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) place: Place,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) weight: u32,
    /// Its own method, where it has one.
    pub(super) method: Option<Method>,
    pub(super) max_connections: Option<u32>,
    pub(super) min_connections: Option<u32>,
    pub(super) on_up: Option<String>,
    pub(super) on_down: Option<String>,
    pub(super) timing: Timing,
    pub(super) checker: Option<Checker>,
    pub(super) notes: Vec<Note>,
}

/// `network`, without the kind of tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Nat,
    Direct,
    Tunnel,
}

impl Way {
    /// The word of `lvs.cf`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Direct => "direct",
            Self::Tunnel => "tunnel",
        }
    }
}

/// How packets get to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) forwarding: Way,
    /// The directives that say which tunnel; none is the default one.
    pub(super) tunnel: Vec<(&'static str, String)>,
}

impl Method {
    /// What holds when nothing is given.
    pub(super) fn nat() -> Self {
        Self { forwarding: Way::Nat, tunnel: Vec::new() }
    }

    /// The method of an `lvs_method` line.
    pub(super) fn read(node: &Node, notes: &mut Notes) -> Option<Self> {
        let mut words = node.arguments().iter().map(String::as_str);
        let forwarding = match words.next().map(str::to_ascii_uppercase).as_deref() {
            Some("NAT") => Way::Nat,
            Some("DR") => Way::Direct,
            Some("TUN") => Way::Tunnel,
            _ => {
                notes.leave(node.place, &node.words, "neither NAT, DR nor TUN");
                return None;
            }
        };
        let mut tunnel = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "type" => match words.next() {
                    Some(kind @ ("ipip" | "gue" | "gre")) => tunnel.push(("tunnel_type", kind.to_owned())),
                    _ => notes.leave(node.place, &node.words, "the tunnel is neither ipip, gue nor gre"),
                },
                "port" => match words.next().and_then(|port| port.parse::<NonZeroU16>().ok()) {
                    Some(port) => tunnel.push(("tunnel_port", port.to_string())),
                    None => notes.leave(node.place, &node.words, "the port is not a number from 1 to 65535"),
                },
                "nocsum" => tunnel.push(("tunnel_checksum", "none".to_owned())),
                "csum" | "remcsum" => tunnel.push(("tunnel_checksum", word.to_owned())),
                _ => notes.leave(node.place, &node.words, "not understood to its end"),
            }
        }
        Some(Self { forwarding, tunnel })
    }
}

/// What a server needs to know of its virtual server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) protocol: Protocol,
    pub(super) port: u16,
    pub(super) virtual_host: Option<&'a str>,
}

impl Server {
    /// Reads `node`; `None` when it has no usable address, which is noted.
    pub(super) fn read(node: &Node, around: Around<'_>, notes: &mut Notes) -> Option<Self> {
        let before = notes.part().len();
        let port_text = node.words.get(2);
        let port = port_text.and_then(|text| text.parse::<u16>().ok());
        let Some(address) = node.argument().and_then(|text| text.parse().ok()) else {
            notes.leave(node.place, &node.words, "not an address");
            return None;
        };
        if port.is_none() && port_text.is_some() {
            notes.leave(
                node.place,
                &node.words,
                "the port is not a number; it gets that of the virtual server",
            );
        }
        let mut server = Self {
            place: node.place,
            address,
            port: port.filter(|port| *port > 0),
            weight: 1,
            method: None,
            max_connections: None,
            min_connections: None,
            on_up: None,
            on_down: None,
            timing: Timing::default(),
            checker: None,
            notes: Vec::new(),
        };
        let host = node.nodes.iter().find(|inner| inner.keyword() == "virtualhost").and_then(Node::argument);
        let checked = Checked {
            protocol: around.protocol,
            address,
            port: server.port.unwrap_or(around.port),
            virtual_host: host.or(around.virtual_host),
        };
        for inner in &node.nodes {
            server.line(inner, checked, notes);
        }
        if server.min_connections.is_some() && server.max_connections.is_none() {
            server.min_connections = None;
            notes.add(node.place, "lthreshold: without a uthreshold it has no effect");
        }
        server.notes = notes.part().split_off(before);
        Some(server)
    }

    fn line(&mut self, node: &Node, checked: Checked<'_>, notes: &mut Notes) {
        if self.timing.take(node, notes) {
            return;
        }
        match node.keyword() {
            "weight" => match number(node).filter(|weight| *weight <= Weight::MAX) {
                Some(weight) => self.weight = weight,
                None => notes.leave(node.place, &node.words, "a weight is 0 to 65535"),
            },
            "lvs_method" | "lb_kind" => self.method = Method::read(node, notes).or(self.method.take()),
            "uthreshold" => self.max_connections = threshold(node, notes),
            "lthreshold" => self.min_connections = threshold(node, notes),
            "notify_up" => self.on_up = hook(node, notes),
            "notify_down" => self.on_down = hook(node, notes),
            "virtualhost" => {}
            "smtp_alert" => {
                notes.leave(node.place, &node.words, "no mail is sent; use `on_up` and `on_down`");
            }
            "snmp_name" => notes.leave(node.place, &node.words, "there is no SNMP"),
            _ => match check::read(node, checked, notes) {
                Some(_) if self.checker.is_some() => {
                    notes.add(
                        node.place,
                        format!("{}: only the first check of a server is made", node.keyword()),
                    );
                }
                Some(checker) => self.checker = Some(checker),
                None => notes.leave(node.place, &node.words, "not known in a real_server"),
            },
        }
    }

    /// Settings of its check, where given, else its own, else those of the virtual server.
    pub(super) fn timing(&self, service: Timing) -> Timing {
        let checker = self.checker.as_ref().map(|checker| checker.timing).unwrap_or_default();
        checker.or(self.timing).or(service)
    }

    pub(super) fn write(&self, name: &str, service: &Method, output: &mut Output<'_>) {
        output.open(&format!("server {}", crate::write::quoted(name)));
        output.notes(&self.notes);
        output.entry("active", 1);
        output.entry("address", self.address);
        if let Some(port) = self.port {
            output.entry("port", port);
        }
        output.entry("weight", self.weight);
        if let Some(method) = self.method.as_ref().filter(|method| *method != service) {
            if method.forwarding != service.forwarding {
                output.entry("network", method.forwarding.name());
            }
            // A tunnel of the virtual server is not the default one for its servers.
            if method.tunnel.is_empty() && method.forwarding == Way::Tunnel && !service.tunnel.is_empty() {
                output.entry("tunnel_type", "ipip");
            }
            for (directive, value) in &method.tunnel {
                output.entry(directive, value);
            }
        }
        output.optional("max_connections", self.max_connections);
        output.optional("min_connections", self.min_connections);
        output.optional("on_up", self.on_up.as_deref());
        output.optional("on_down", self.on_down.as_deref());
        output.close();
    }
}

/// The port of `node`, for a server whose virtual server has none of its own.
pub(super) fn port_of(node: &Node) -> Option<u16> {
    node.words.get(2).and_then(|text| group::port(text))
}

fn number(node: &Node) -> Option<u32> {
    node.argument()?.parse().ok()
}

fn threshold(node: &Node, notes: &mut Notes) -> Option<u32> {
    let count = number(node).filter(|count| i32::try_from(*count).is_ok());
    if count.is_none() {
        notes.leave(node.place, &node.words, "a limit is 0 to 2147483647");
    }
    count
}

/// A command that is run on a change, as a token.
pub(super) fn hook(node: &Node, notes: &mut Notes) -> Option<String> {
    let command = values::command(node.argument().unwrap_or_default());
    if command.is_none() {
        notes.leave(node.place, &node.words, "an argument with blanks or quotes cannot be written");
    }
    if node.words.len() > 2 {
        notes.leave(node.place, &node.words, "commands run as the user of lvs");
    }
    command
}
