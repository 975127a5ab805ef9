//! What follows from what is seen: pure, facts in, findings out, the worst first.

use std::collections::BTreeSet;
use std::net::IpAddr;

use lvs_config::Config;
use lvs_config::model::{Forwarding, RealServer, VirtualServer};
use lvs_config::sysctl::Sysctls;

use super::facts::{Facts, Ipvs, Way};
use super::recipe::{method, overhead};
use super::{Finding, Severity};
use crate::sysctl::Facts as Surveyed;
use crate::sysctl::needs::Needs;
use crate::sysctl::plan::plan;

/// Least size of a packet that every IPv6 path must carry (RFC 8200 section 5).
const IPV6_LEAST_MTU: u32 = 1280;

/// Everything that is worth telling.
#[must_use]
pub fn findings(config: &Config, facts: &Facts) -> Vec<Finding> {
    let mut all = Vec::new();
    all.extend(ipvs(facts));
    all.extend(settings(config, facts));
    all.extend(heartbeats(config, facts));
    for device in devices(config) {
        all.extend(interface(&device, facts));
    }
    let mut vips = BTreeSet::new();
    for virtual_server in config.active_virtual_servers() {
        if vips.insert(virtual_server.address.address) {
            all.extend(vip(virtual_server, facts));
        }
        for server in virtual_server.active_servers() {
            all.extend(real_server(virtual_server, server, facts));
        }
    }
    // Of several virtual servers with one real server the same is told once.
    let mut told = BTreeSet::new();
    all.retain(|finding| told.insert((finding.code, finding.found.clone())));
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

fn finding(severity: Severity, code: &'static str, found: String, needed: &str) -> Finding {
    Finding { severity, code, found, needed: needed.to_owned(), commands: Vec::new() }
}

impl Finding {
    fn type_this(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }
}

fn ipvs(facts: &Facts) -> Option<Finding> {
    Some(match &facts.ipvs {
        Ipvs::Available => return None,
        Ipvs::Missing => finding(
            Severity::Error,
            "ipvs_missing",
            "this kernel has no IPVS, or its module is not loaded".into(),
            "the module ip_vs, without which nothing is balanced",
        )
        .type_this("modprobe ip_vs"),
        Ipvs::NotPermitted => finding(
            Severity::Warning,
            "ipvs_not_permitted",
            "IPVS may not be used by this user".into(),
            "the capability CAP_NET_ADMIN; start lvs doctor as root to see more",
        ),
        Ipvs::Failed(reason) => finding(
            Severity::Error,
            "ipvs_failed",
            format!("IPVS does not answer: {reason}"),
            "an answer, without which nothing is balanced",
        ),
    })
}

/// Settings of the kernel that are not as the virtual servers need them, and those that cost.
fn settings(config: &Config, facts: &Facts) -> Vec<Finding> {
    let needs = Needs::of(config);
    let towards = facts.ways.iter().filter_map(|(address, way)| {
        let route = way.route.as_ref().filter(|route| !route.local)?;
        needs.nat_ipv4.contains(address).then(|| (*address, route.interface.clone()))
    });
    let surveyed =
        Surveyed { interfaces: facts.interfaces.keys().cloned().collect(), towards: towards.collect() };
    let set_by_lvs = plan(&needs, &surveyed);
    let needed = plan(&Needs { chosen: Sysctls::default(), ..needs }, &surveyed);
    let wrong = needed.into_iter().filter(|setting| setting.only_if.is_empty()).filter_map(|setting| {
        let found = facts.setting(setting.name.as_str()).filter(|found| *found != setting.value)?;
        let by_lvs = set_by_lvs.iter().any(|it| it.name == setting.name && it.value == setting.value);
        let (severity, who) = match by_lvs {
            true => (Severity::Warning, "lvs sets it while it serves, if it may"),
            false => (Severity::Error, "the file says that lvs is not to set it"),
        };
        let code = match setting.name.as_str() {
            name if name.ends_with("forward") || name.ends_with("forwarding") => "forwarding_off",
            name if name.ends_with("send_redirects") => "redirects_on",
            _ => "setting_differs",
        };
        let needed = format!("{}: {}; {who}", setting.value, setting.reason);
        let found = format!("{} is {found}", setting.name);
        let command = format!("sysctl -w {}={}", setting.name, setting.value);
        Some(finding(severity, code, found, &needed).type_this(command))
    });
    let mut all: Vec<Finding> = wrong.collect();
    if facts.setting("net.ipv4.vs.conntrack") == Some(1) {
        all.push(finding(
            Severity::Note,
            "conntrack_on",
            "net.ipv4.vs.conntrack is 1".into(),
            "0 unless netfilter is to see the connections of IPVS: it costs time for each packet",
        ));
    }
    all
}

fn heartbeats(config: &Config, facts: &Facts) -> Option<Finding> {
    let port = config.heartbeat.port;
    let is_heard = facts.udp_ports.as_ref().is_none_or(|ports| ports.contains(&port));
    (config.backup_active && !is_heard).then(|| {
        finding(
            Severity::Note,
            "heartbeats_unheard",
            format!("nobody listens at UDP port {port}: pulse does not run here"),
            "pulse on both routers, and firewalls that let this port through between them",
        )
    })
}

/// Interfaces that the file names, with what for.
fn devices(config: &Config) -> Vec<(String, String)> {
    let vips = config.active_virtual_servers().map(|virtual_server| {
        let device = virtual_server.address.device.interface().to_owned();
        (device, format!("the VIP of {}", virtual_server.name))
    });
    let nat_router =
        config.nat_router.iter().map(|it| (it.device.interface().to_owned(), "nat_router".into()));
    let sync = config.sync_daemon.iter().map(|it| (it.interface.clone(), "syncd_iface".to_owned()));
    let mut all: Vec<(String, String)> = vips.chain(nat_router).chain(sync).collect();
    let mut seen = BTreeSet::new();
    all.retain(|(device, _)| seen.insert(device.clone()));
    all
}

fn interface((device, what_for): &(String, String), facts: &Facts) -> Option<Finding> {
    match facts.interfaces.get(device) {
        None => Some(finding(
            Severity::Error,
            "interface_missing",
            format!("there is no interface {device}"),
            &format!("the interface that the file gives for {what_for}"),
        )),
        Some(interface) if !interface.up => Some(
            finding(
                Severity::Error,
                "interface_down",
                format!("{device} is down"),
                &format!("an interface that is up for {what_for}"),
            )
            .type_this(format!("ip link set {device} up")),
        ),
        Some(_) => None,
    }
}

fn vip(virtual_server: &VirtualServer, facts: &Facts) -> Vec<Finding> {
    let vip = virtual_server.address.address;
    let device = virtual_server.address.device.interface();
    let mut all = Vec::new();
    if !facts.addresses.contains(&vip) {
        let needed = "on the active router pulse puts it there; on the other one all is well";
        all.push(finding(Severity::Note, "vip_absent", format!("{vip} is not on this router"), needed));
    }
    let strictness =
        ["all", device].map(|name| facts.setting(&format!("net.ipv4.conf.{name}.rp_filter")).unwrap_or(0));
    let is_strict = strictness.into_iter().max() == Some(1);
    if let Some(back) = facts.default_interface.as_deref()
        && vip.is_ipv4()
        && is_strict
        && back != device
    {
        let found = format!("rp_filter is strict on {device}, and the default route leads out of {back}");
        let needed = "2 (loose): packets of clients that come in by one interface and have their way back by the other \
                      are thrown away";
        let command = format!("sysctl -w net.ipv4.conf.{device}.rp_filter=2");
        all.push(finding(Severity::Warning, "rp_filter_strict", found, needed).type_this(command));
    }
    all
}

fn real_server(virtual_server: &VirtualServer, server: &RealServer, facts: &Facts) -> Vec<Finding> {
    let Some(Way { route, silent }) = facts.ways.get(&server.address) else { return Vec::new() };
    let (name, address) = (&server.name, server.address);
    let mut all = Vec::new();
    let Some(route) = route else {
        let found = format!("there is no route to {name} ({address})");
        return vec![finding(Severity::Error, "no_route", found, "a route to each real server")];
    };
    if route.local {
        return all;
    }
    if let Some(gateway) = route.gateway {
        let found = format!("the way to {name} ({address}), {}, is by {gateway}", method(server.forwarding));
        match server.forwarding {
            Forwarding::Direct => all.push(finding(
                Severity::Error,
                "direct_by_gateway",
                found,
                "a real server in a network of this router's own interfaces: the packet for the VIP would come back from \
                 the gateway; a tunnel reaches further",
            )),
            Forwarding::Nat => all.push(finding(
                Severity::Note,
                "nat_by_gateway",
                found,
                "a way back to the clients that leads through this router",
            )),
            Forwarding::Tunnel(_) => {}
        }
    }
    if *silent {
        let found = format!("{name} ({address}) does not answer on {}", route.interface);
        let needed = "a machine that answers there: the kernel asked for its hardware address in vain";
        all.push(finding(Severity::Warning, "no_neighbour", found, needed));
    }
    all.extend(room(virtual_server, server, &route.interface, facts));
    all
}

/// Whether full packets of clients fit into the tunnel.
fn room(virtual_server: &VirtualServer, server: &RealServer, out: &str, facts: &Facts) -> Option<Finding> {
    let Forwarding::Tunnel(tunnel) = server.forwarding else { return None };
    let outer = facts.interfaces.get(out)?.mtu;
    let around = overhead(tunnel, server.address.is_ipv4());
    let room = outer.saturating_sub(around);
    let inner = facts.interfaces.get(virtual_server.address.device.interface())?.mtu;
    let is_v6 = virtual_server.address.address.is_ipv6();
    let found = |needs: u32| {
        format!(
            "{out} carries {outer} bytes, the {} to {} needs {around} of them: {room} are left, {needs} are wanted",
            method(server.forwarding),
            server.name
        )
    };
    let larger = |needs: u32| format!("ip link set {out} mtu {} # where the network can", needs + around);
    if is_v6 && room < IPV6_LEAST_MTU {
        let needed = "room for 1280 bytes, below which IPv6 does not work";
        let finding = finding(Severity::Error, "mtu_too_small", found(IPV6_LEAST_MTU), needed);
        return Some(finding.type_this(larger(IPV6_LEAST_MTU)));
    }
    (room < inner).then(|| {
        let needed = "a larger MTU towards the real servers, or smaller segments: a client that sends full packets is told \
                      so by ICMP, and hangs where that is filtered";
        finding(Severity::Note, "mtu_small", found(inner), needed).type_this(larger(inner))
    })
}

/// The real servers to ask the kernel about.
#[must_use]
pub fn real_servers(config: &Config) -> BTreeSet<IpAddr> {
    let servers = config.active_virtual_servers().flat_map(VirtualServer::active_servers);
    servers.map(|server| server.address).collect()
}
