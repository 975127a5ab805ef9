//! `server` blocks, and what they and their block must agree on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Lowering;
use super::read::{Found, Located};
use super::tunnel::through;
use crate::diagnostic::{Code, Problem};
use crate::keys::{Directive, Section};
use crate::model::{Forwarding, Limits, RealServer, SorryServer, Tunnel};
use crate::names::Family;
use crate::span::Span;
use crate::tree::{Block, Node, blocks};

/// What a server needs to know of its block.
pub(super) struct Around {
    pub(super) is_active: bool,
    pub(super) family: Option<Family>,
    pub(super) port: Option<u16>,
    pub(super) has_fwmark: bool,
    pub(super) forwarding: Option<Forwarding>,
    /// Where that is given, if it is.
    pub(super) network: Option<Span>,
    pub(super) tunnel: Option<Located<Tunnel>>,
    pub(super) limits: Option<Limits>,
}

impl Around {
    /// What the kernel knows a server by: only address translation changes ports, and a firewall mark has none.
    fn row(&self, address: IpAddr, port: u16, forwarding: Forwarding) -> Option<(IpAddr, u16)> {
        let port = match forwarding {
            Forwarding::Nat => port,
            Forwarding::Direct | Forwarding::Tunnel(_) if self.has_fwmark => 0,
            Forwarding::Direct | Forwarding::Tunnel(_) => self.port?,
        };
        Some((address, port))
    }
}

/// A server that is used, for what must not be there twice.
struct Used {
    /// Which one of its block it is.
    nth: usize,
    address: IpAddr,
    port: u16,
    forwarding: Forwarding,
    /// Where its address is given.
    span: Span,
}

impl Used {
    fn key(&self) -> (IpAddr, u16) {
        (self.address, self.port)
    }

    fn row(&self, around: &Around) -> Option<(IpAddr, u16)> {
        around.row(self.address, self.port, self.forwarding)
    }
}

impl<'a> Lowering<'a> {
    /// The servers of `block` that can be used.
    pub(super) fn servers(
        &mut self,
        block: &Block,
        around: &Around,
        sorry: Option<&Located<SorryServer>>,
    ) -> Vec<RealServer> {
        let mut servers = Vec::with_capacity(blocks(&block.nodes).count());
        let mut used: Vec<Used> = Vec::with_capacity(servers.capacity());
        let mut named = Vec::with_capacity(servers.capacity());
        for inner in blocks(&block.nodes) {
            let Some((server, span)) = self.server(inner, around) else { continue };
            if server.active && around.is_active {
                named.extend(self.name_of(inner));
                let RealServer { address, port, forwarding, .. } = server;
                used.push(Used { nth: used.len(), address, port, forwarding, span });
            }
            servers.push(server);
        }
        self.told_apart(named, "real server of this block");
        self.each_once(&mut used);
        self.rows_have_one_method(&used, around);
        if let Some(sorry) = sorry {
            self.sorry_is_another(sorry, &used, around);
        }
        servers
    }

    /// Reports servers of one address and port; leaves the first of them.
    fn each_once(&mut self, used: &mut Vec<Used>) {
        used.sort_unstable_by_key(|it| (it.key(), it.nth));
        for same in used.chunk_by(|one, other| one.key() == other.key()) {
            let [first, others @ ..] = same else { continue };
            for other in others {
                let problem = Problem::error(Code::Conflict, other.span, "this real server is given twice");
                self.report.add(problem.note(first.span, "first given"));
            }
        }
        used.dedup_by_key(|it| it.key());
    }

    /// Reports servers that the kernel cannot tell from an earlier one which is reached in another way.
    fn rows_have_one_method(&mut self, used: &[Used], around: &Around) {
        if used.iter().all(|it| it.forwarding == used[0].forwarding) {
            return;
        }
        let mut rows: Vec<_> = used.iter().filter_map(|it| Some((it.row(around)?, it))).collect();
        rows.sort_unstable_by_key(|(row, it)| (*row, it.nth));
        for same in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let [(row, first), others @ ..] = same else { continue };
            for (_, other) in others.iter().filter(|(_, other)| other.forwarding != first.forwarding) {
                let message = format!(
                    "the kernel knows this real server and another one as {}, and can reach that in one way only",
                    SocketAddr::new(row.0, row.1)
                );
                let problem =
                    Problem::error(Code::Conflict, other.span, message).note(first.span, "the other one");
                self.report
                    .add(problem.help("with `direct` and `tunnel` packets keep the virtual server's port"));
            }
        }
    }

    /// Reports a sorry server that the kernel cannot tell from a real server.
    fn sorry_is_another(&mut self, sorry: &Located<SorryServer>, used: &[Used], around: &Around) {
        let SorryServer { address, port, forwarding } = sorry.value;
        let Some(row) = around.row(address, port, forwarding) else { return };
        let same = used.iter().filter(|it| it.row(around) == Some(row));
        if let Some(first) = same.min_by_key(|it| it.nth) {
            let problem =
                Problem::error(Code::Conflict, sorry.span, "the sorry server is one of the real servers");
            self.report.add(problem.note(first.span, "given as a real server"));
        }
    }

    fn server(&mut self, block: &Block, around: &Around) -> Option<(RealServer, Span)> {
        let found = self.entries(Section::Server, &block.nodes);
        let active = self.switch(&found, Directive::Active);
        let address = self.host(&found, Directive::Address, around.family.unwrap_or(Family::V4));
        let address = self.usable_address(block, &found, active, address, |a| *a);
        let weight = self.weight(&found);
        let limits = self.limits(&found, around.limits);
        let forwarding = self.server_forwarding(&found, around);
        let hooks = self.hooks(&found);
        let port = self.server_port(&found, around.has_fwmark);
        if let Some(address) = &address {
            self.family_rule(around.family, forwarding, address, "real server");
        }
        if let (Some(port), Some(wanted), false) = (&port, around.port, around.has_fwmark)
            && let Some(method @ (Forwarding::Direct | Forwarding::Tunnel(_))) = forwarding
            && port.value != wanted
        {
            let message = format!("packets keep port {wanted} with `network = {}`", method.name());
            let problem = Problem::warning(Code::NoEffect, port.span, message);
            self.report.add(problem.help(format!("only checks use port {}", port.value)));
        }
        // Given and wrong: reported. Not given: the virtual server's.
        let port = if found.is_given(Directive::Port) { port?.value } else { around.port? };
        let address = address?;
        let server = RealServer {
            name: self.block_name(block)?,
            line: block.keyword.line,
            active: active?,
            address: address.value,
            port,
            weight: weight?,
            limits: limits?,
            forwarding: forwarding?,
            hooks,
        };
        Some((server, address.span))
    }

    /// How packets get to a server: by its own method and tunnel, or those of its block.
    fn server_forwarding(&mut self, found: &Found<'_>, around: &Around) -> Option<Forwarding> {
        let method = self.choice::<Forwarding>(found, Directive::Network);
        let method = if found.is_given(Directive::Network) { method } else { around.forwarding };
        let tunnel = self.tunnel(found, around.tunnel.clone());
        let network = found.span(Directive::Network).or(around.network);
        self.useless_tunnel(found, method, network);
        through(method?, tunnel.map(|tunnel| tunnel.value))
    }

    /// The kernel forwards between families through tunnels only.
    pub(super) fn family_rule(
        &mut self,
        family: Option<Family>,
        forwarding: Option<Forwarding>,
        server: &Located<IpAddr>,
        what: &str,
    ) {
        let (Some(family), Some(forwarding)) = (family, forwarding) else { return };
        let is_none = server.value == IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let is_tunnelled = matches!(forwarding, Forwarding::Tunnel(_));
        if !is_tunnelled && family != Family::of(server.value) && !is_none {
            let message = format!("the {what} and the VIP are of different families");
            let problem = Problem::error(Code::Conflict, server.span, message);
            self.report.add(problem.help("allowed with `network = tunnel` only"));
        }
    }

    /// The original gave a server the port that its block had at that line; here it is the block's, wherever it stands.
    pub(super) fn default_port_order(&mut self, block: &Block, found: &Found<'_>) {
        let Some(port) = found.span(Directive::Port) else { return };
        // Piranha read no other files.
        if found.is_given(Directive::Include) {
            return;
        }
        let has_no_port = |server: &&Block| {
            let is_port =
                |node: &Node| matches!(node, Node::Entry(entry) if entry.name.text(self.text) == "port");
            server.keyword.start < port.start && !server.nodes.iter().any(is_port)
        };
        if let Some(server) = blocks(&block.nodes).find(has_no_port).map(|server| server.keyword) {
            let message = "this `port` is also that of the servers before it which have none";
            let problem = Problem::warning(Code::Conflict, port, message).note(server, "first such server");
            self.report
                .add(problem.help("Piranha gave them the port known at their line; put `port` before them"));
        }
    }
}
