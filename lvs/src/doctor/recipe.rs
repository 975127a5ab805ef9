//! What real servers need for each virtual server: the very commands. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lvs_config::Config;
use lvs_config::model::{Forwarding, Tunnel, TunnelChecksum, VirtualServer};

use super::Recipe;

/// Longest path that is assumed when the interface to a real server is not known, in bytes.
const USUAL_MTU: u32 = 1500;
/// TCP and IP headers inside a packet, IPv4 and IPv6.
const SEGMENT_HEADERS: [u32; 2] = [40, 60];
/// What to see to with NAT.
const BACK_BY_ROUTER: &str = "answers must come back through the active router: it is the way to the clients; this cannot \
                              be seen from here";
/// What to see to with direct routing and tunnels.
const BACK_PAST_ROUTER: &str =
    "its way to the clients must not be this router, which would throw its answers away";

/// What was told to a real server already, and would fail if it were typed again.
type Told = BTreeSet<(IpAddr, String)>;

/// One recipe for each virtual server and method of its real servers. `source` tells the router's own address towards a
/// real server, if it is known.
#[must_use]
pub fn recipes(config: &Config, source: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<Recipe> {
    let mut all = Vec::new();
    let mut told = Told::new();
    for virtual_server in config.active_virtual_servers() {
        let mut methods: Vec<(Forwarding, bool)> = Vec::new();
        for server in virtual_server.active_servers() {
            let method = (server.forwarding, server.address.is_ipv4());
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        for (forwarding, outer_v4) in methods {
            let servers: Vec<IpAddr> = virtual_server
                .active_servers()
                .filter(|server| server.forwarding == forwarding && server.address.is_ipv4() == outer_v4)
                .map(|server| server.address)
                .collect();
            all.push(recipe(config, virtual_server, forwarding, &servers, &source, &mut told));
        }
    }
    all
}

fn recipe(
    config: &Config,
    virtual_server: &VirtualServer,
    forwarding: Forwarding,
    servers: &[IpAddr],
    source: &impl Fn(IpAddr) -> Option<IpAddr>,
    told: &mut Told,
) -> Recipe {
    let vip = virtual_server.address.address;
    let (notes, commands) = match forwarding {
        Forwarding::Nat => (vec![BACK_BY_ROUTER.to_owned()], vec![way_back(config, servers)]),
        Forwarding::Direct => (vec![BACK_PAST_ROUTER.to_owned()], hold_vip(vip)),
        Forwarding::Tunnel(tunnel) => {
            let mut commands = hold_vip(vip);
            for server in servers {
                let router = source(*server).map_or_else(|| "ROUTER".into(), |address| address.to_string());
                let mut end = tunnel_end(vip, *server, &router, tunnel);
                end.retain(|command| told.insert((*server, command.clone())));
                let above = if end.is_empty() { " the end of the tunnel is told above" } else { "" };
                commands.push(format!("# on {server}:{above}"));
                commands.extend(end);
            }
            (vec![BACK_PAST_ROUTER.to_owned(), segments(vip, servers, tunnel)], commands)
        }
    };
    let servers = servers.iter().map(ToString::to_string).collect();
    Recipe {
        virtual_server: virtual_server.name.clone(),
        method: method(forwarding),
        servers,
        notes,
        commands,
    }
}

/// The route by which real servers by NAT answer.
fn way_back(config: &Config, servers: &[IpAddr]) -> String {
    let gateway = config.nat_router.as_ref().map(|router| router.address);
    match gateway.filter(|it| it.is_ipv4() == servers.first().is_some_and(IpAddr::is_ipv4)) {
        Some(gateway) => format!("ip route replace default via {gateway}"),
        None => {
            "ip route replace default via ROUTER # the address that moves with the active router".to_owned()
        }
    }
}

/// How large packets are to be that fit into the tunnel.
fn segments(vip: IpAddr, servers: &[IpAddr], tunnel: Tunnel) -> String {
    let outer_v4 = servers.first().is_some_and(IpAddr::is_ipv4);
    let room = USUAL_MTU - overhead(tunnel, outer_v4);
    let segment = room - SEGMENT_HEADERS[usize::from(vip.is_ipv6())];
    format!(
        "a packet of {room} bytes fits into one of {USUAL_MTU}: where ICMP is filtered, have it ask for segments of \
         {segment} bytes (ip route replace default via GATEWAY advmss {segment})"
    )
}

/// The VIP on an interface that tells nobody.
fn hold_vip(vip: IpAddr) -> Vec<String> {
    match vip {
        IpAddr::V4(_) => vec![
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2".into(),
            format!("ip address replace {vip}/32 dev lo"),
        ],
        IpAddr::V6(_) => vec![format!("ip address replace {vip}/128 dev lo nodad")],
    }
}

/// The interface that takes packets out of the tunnel on `server`. One of each kind serves all virtual servers.
fn tunnel_end(vip: IpAddr, server: IpAddr, router: &str, tunnel: Tunnel) -> Vec<String> {
    let kind = match (tunnel, server, vip) {
        (Tunnel::Gre { checksum: false }, IpAddr::V4(_), _) => "gre",
        (Tunnel::Gre { checksum: true }, IpAddr::V4(_), _) => "gre csum",
        (Tunnel::Gre { checksum: false }, IpAddr::V6(_), _) => "ip6gre",
        (Tunnel::Gre { checksum: true }, IpAddr::V6(_), _) => "ip6gre csum",
        (_, IpAddr::V4(_), IpAddr::V4(_)) => "ipip",
        (_, IpAddr::V4(_), IpAddr::V6(_)) => "sit",
        (_, IpAddr::V6(_), _) => "ip6tnl mode any",
    };
    let (kind, more) = kind.split_once(' ').unwrap_or((kind, ""));
    let mut commands = Vec::new();
    if let Tunnel::Gue { port, .. } = tunnel {
        let family = if server.is_ipv4() { "" } else { "-6 " };
        commands.push(format!("ip {family}fou add port {port} gue"));
    }
    let interface = format!("lvs-{kind}");
    let link = format!("ip link add {interface} type {kind} local {server} remote {router} {more}");
    commands.push(link.trim_end().to_owned());
    commands.push(format!("ip link set {interface} up"));
    if vip.is_ipv4() {
        commands
            .push(format!("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{interface}.rp_filter=0"));
    }
    commands
}

/// Bytes that a tunnel puts around a packet.
#[must_use]
pub fn overhead(tunnel: Tunnel, outer_v4: bool) -> u32 {
    let ip = if outer_v4 { 20 } else { 40 };
    ip + match tunnel {
        Tunnel::Ipip => 0,
        // UDP and the GUE header; remote checksum offload adds a field of its own.
        Tunnel::Gue { checksum: TunnelChecksum::Remote, .. } => 8 + 4 + 8,
        Tunnel::Gue { .. } => 8 + 4,
        Tunnel::Gre { checksum: false } => 4,
        Tunnel::Gre { checksum: true } => 8,
    }
}

/// A method in words.
#[must_use]
pub fn method(forwarding: Forwarding) -> String {
    match forwarding {
        Forwarding::Nat => "nat".into(),
        Forwarding::Direct => "direct routing".into(),
        Forwarding::Tunnel(Tunnel::Ipip) => "tunnel (IP in IP)".into(),
        Forwarding::Tunnel(Tunnel::Gue { port, .. }) => format!("tunnel (GUE, port {port})"),
        Forwarding::Tunnel(Tunnel::Gre { .. }) => "tunnel (GRE)".into(),
    }
}
