//! The cluster: hosts, bridges and the cables between them, built in one expression.
//!
//! The standard cluster (each line a bridge):
//!
//! ```text
//! public  10.1.0.0/24  fd00:1::/64   client .2 ::2   r1 .11 ::11   r2 .12 ::12        VIPs: .100 and up
//! inside  10.2.0.0/24  fd00:2::/64                   r1 .11 ::11   r2 .12 ::12        rs1 .101, rs2 .102, ...
//! ```
//!
//! Routers have `eth0` on public and `eth1` on inside; everyone else has `eth0`. Real servers route by way of
//! 10.2.0.1 and fd00:2::1, the floating inside address that the active router holds (`nat_router`); no router has
//! it at the start. Any other network is described with [`HostSpec`]. Nothing here knows about IPVS.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, ensure};

use crate::{
    capture::Capture,
    host::Host,
    ip,
    journal::Journal,
    lab::Lab,
    link::Link,
    namespace::{self, Namespaces},
};

/// Folders of which every host has its own, so that two routers can use the suite's default paths.
/// (`/run` is private too.)
pub(crate) const PRIVATE_FOLDERS: [&str; 3] = ["/etc/sysconfig/ha", "/etc/lvs-router", "/var/lib/lvs-router"];

/// Longest interface name: `IFNAMSIZ` of `linux/if.h` less the final NUL.
const LONGEST_INTERFACE_NAME: usize = 15;

/// Settings of every host: answers may come back by another way than requests went.
const SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.conf.all.rp_filter", "0"), ("net.ipv4.conf.default.rp_filter", "0")];

/// Settings of a router in addition.
const ROUTER_SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.ip_forward", "1"), ("net.ipv6.conf.all.forwarding", "1")];

/// Settings of a real server that holds a VIP without telling the network (direct routing) in addition.
const DIRECT_SYSCTLS: [(&str, &str); 2] =
    [("net.ipv4.conf.all.arp_ignore", "1"), ("net.ipv4.conf.all.arp_announce", "2")];

/// Names and addresses of the standard cluster.
pub mod standard {
    use super::{IpAddr, Ipv4Addr, Ipv6Addr};

    /// The bridge between client and routers.
    pub const PUBLIC: &str = "public";
    /// The bridge between routers and real servers.
    pub const INSIDE: &str = "inside";
    /// The real servers' default gateway, with prefix length: the floating inside address.
    pub const NAT_ROUTER: &str = "10.2.0.1/24";
    /// The same for IPv6.
    pub const NAT_ROUTER6: &str = "fd00:2::1/64";

    /// The `n`th virtual address on public, from 0: 10.1.0.100 and up (`n` up to 155).
    pub fn vip(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 1, 0, 100u8.saturating_add(n)).into()
    }

    /// The `n`th IPv6 virtual address on public, from 0: fd00:1::100 and up.
    pub fn vip6(n: u8) -> IpAddr {
        Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x100 + u16::from(n)).into()
    }

    /// The inside address of real server `n`, from 1: 10.2.0.101 and up.
    pub fn real_server(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 2, 0, 100u8.saturating_add(n)).into()
    }

    /// The public address of router `n`, from 1: 10.1.0.11 and up.
    pub fn router_public(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 1, 0, 10u8.saturating_add(n)).into()
    }

    /// The inside address of router `n`, from 1: 10.2.0.11 and up.
    pub fn router_inside(n: u8) -> IpAddr {
        Ipv4Addr::new(10, 2, 0, 10u8.saturating_add(n)).into()
    }

    /// The client's public address.
    pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));
}

/// One interface of a host to be built.
#[derive(Debug, Clone)]
pub struct InterfaceSpec {
    name: String,
    bridge: String,
    addresses: Vec<String>,
}

/// A host to be built: name, interfaces, routes, settings.
#[derive(Debug, Clone)]
pub struct HostSpec {
    name: String,
    interfaces: Vec<InterfaceSpec>,
    gateways: Vec<String>,
    sysctls: Vec<(String, String)>,
    accepts: Vec<IpAddr>,
}

impl fmt::Display for HostSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interfaces =
            self.interfaces.iter().map(|i| format!("{} on {} {}", i.name, i.bridge, i.addresses.join(" ")));
        let gateways = self.gateways.iter().map(|gateway| format!("gateway {gateway}"));
        let accepts = self.accepts.iter().map(|vip| format!("lo accepts {vip}"));
        let parts: Vec<String> = interfaces.chain(gateways).chain(accepts).collect();
        write!(f, "{}: {}", self.name, parts.join("; "))
    }
}

impl HostSpec {
    /// A host without interfaces.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            interfaces: Vec::new(),
            gateways: Vec::new(),
            sysctls: Vec::new(),
            accepts: Vec::new(),
        }
    }

    /// Adds an interface on a bridge (which comes into being by being named), with addresses like `10.1.0.2/24`.
    #[must_use]
    pub fn interface<A: Into<String>>(
        mut self,
        name: &str,
        bridge: &str,
        addresses: impl IntoIterator<Item = A>,
    ) -> Self {
        let addresses = addresses.into_iter().map(Into::into).collect();
        self.interfaces.push(InterfaceSpec { name: name.to_owned(), bridge: bridge.to_owned(), addresses });
        self
    }

    /// Adds a default route by way of an address (one per family).
    #[must_use]
    pub fn gateway(mut self, address: &str) -> Self {
        self.gateways.push(address.to_owned());
        self
    }

    /// Sets a kernel setting before the interfaces get their addresses.
    #[must_use]
    pub fn sysctl(mut self, key: &str, value: &str) -> Self {
        self.sysctls.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Lets it accept packets for a VIP that it does not own on the network: on `lo`, without answering ARP.
    pub fn accept_directly(&mut self, vip: IpAddr) {
        if self.accepts.is_empty() {
            for (key, value) in DIRECT_SYSCTLS {
                self.sysctls.push((key.to_owned(), value.to_owned()));
            }
        }
        if !self.accepts.contains(&vip) {
            self.accepts.push(vip);
        }
    }

    /// Lets it forward packets.
    #[must_use]
    pub fn forwarding(self) -> Self {
        ROUTER_SYSCTLS.iter().fold(self, |host, (key, value)| host.sysctl(key, value))
    }
}

/// What to build; made by [`Lab::cluster`].
#[must_use = "a cluster comes into being with `build`"]
pub struct ClusterBuilder<'lab> {
    lab: &'lab Lab,
    routers: u8,
    real_servers: u8,
    direct: bool,
    hosts: Vec<HostSpec>,
}

impl<'lab> ClusterBuilder<'lab> {
    pub(crate) fn new(lab: &'lab Lab) -> Self {
        Self { lab, routers: 0, real_servers: 0, direct: false, hosts: Vec::new() }
    }

    /// Standard routers `r1`, `r2`, ..., and with them the standard client.
    pub fn routers(mut self, count: u8) -> Self {
        self.routers = count;
        self
    }

    /// Standard real servers `rs1`, `rs2`, ...
    pub fn real_servers(mut self, count: u8) -> Self {
        self.real_servers = count;
        self
    }

    /// Gives the standard real servers a second interface `eth1` on public (10.1.0.201 and up) and the first VIP of each
    /// family on `lo`, as direct routing needs; they do not answer ARP for it.
    pub fn direct_routing(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Any other host.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.hosts.push(host);
        self
    }

    /// Builds it: when this returns, all interfaces are up and have their addresses.
    ///
    /// # Errors
    /// When a name is too long or used twice, or the kernel refuses something; with the command.
    pub fn build(self) -> Result<Cluster> {
        let lab = self.lab;
        let hosts = self.specs();
        let mut names = BTreeSet::new();
        for host in &hosts {
            ensure!(names.insert(host.name.as_str()), "two hosts are called {}", host.name);
            for interface in &host.interfaces {
                for name in [&interface.name, &interface.bridge] {
                    ensure!(
                        (1..=LONGEST_INTERFACE_NAME).contains(&name.len()),
                        "interface name {name:?} of {} must have 1 to {LONGEST_INTERFACE_NAME} characters",
                        host.name
                    );
                }
            }
        }
        let cluster = Cluster(Arc::new(build(&hosts, lab.journal())?));
        lab.adopt(cluster.clone());
        Ok(cluster)
    }

    /// The standard hosts that were asked for, then the others.
    fn specs(self) -> Vec<HostSpec> {
        let mut hosts = Vec::new();
        if self.routers > 0 {
            hosts.push(HostSpec::new("client").interface(
                "eth0",
                standard::PUBLIC,
                ["10.1.0.2/24", "fd00:1::2/64"],
            ));
        }
        for n in 1..=self.routers {
            let at = |net: u8| [format!("10.{net}.0.{}/24", 10 + n), format!("fd00:{net}::{}/64", 10 + n)];
            let router = HostSpec::new(format!("r{n}"))
                .interface("eth0", standard::PUBLIC, at(1))
                .interface("eth1", standard::INSIDE, at(2))
                .forwarding();
            hosts.push(router);
        }
        for n in 1..=self.real_servers {
            let at = |net: u8, base: u8| {
                let last = base.saturating_add(n);
                [format!("10.{net}.0.{last}/24"), format!("fd00:{net}::{last}/64")]
            };
            let mut server = HostSpec::new(format!("rs{n}"))
                .interface("eth0", standard::INSIDE, at(2, 100))
                .gateway("10.2.0.1")
                .gateway("fd00:2::1");
            if self.direct {
                server = server.interface("eth1", standard::PUBLIC, at(1, 200));
                server.accept_directly(standard::vip(0));
                server.accept_directly(standard::vip6(0));
            }
            hosts.push(server);
        }
        hosts.extend(self.hosts);
        hosts
    }
}

/// A running cluster; clones are handles of the same one. It ends with its lab.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    lan: Arc<Namespaces>,
    bridges: Vec<String>,
    hosts: Vec<Host>,
    journal: Arc<Journal>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.hosts).finish()
    }
}

impl Cluster {
    /// A host by name.
    ///
    /// # Errors
    /// When there is none; lists those there are.
    pub fn host(&self, name: &str) -> Result<Host> {
        let found = self.0.hosts.iter().find(|host| host.name() == name);
        found.cloned().ok_or_else(|| anyhow!("no host {name} among {:?}", self.0.hosts))
    }

    /// The standard client.
    ///
    /// # Errors
    /// When the cluster has none.
    pub fn client(&self) -> Result<Host> {
        self.host("client")
    }

    /// Standard router `n`, from 1.
    ///
    /// # Errors
    /// When the cluster has fewer.
    pub fn router(&self, n: u8) -> Result<Host> {
        self.host(&format!("r{n}"))
    }

    /// Standard real server `n`, from 1.
    ///
    /// # Errors
    /// When the cluster has fewer.
    pub fn real_server(&self, n: u8) -> Result<Host> {
        self.host(&format!("rs{n}"))
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.0.hosts
    }

    /// All bridges.
    pub fn bridges(&self) -> &[String] {
        &self.0.bridges
    }

    /// Captures every frame on a bridge, from now on.
    ///
    /// # Errors
    /// When there is no such bridge.
    pub fn capture(&self, bridge: &str) -> Result<Capture> {
        ensure!(self.0.bridges.iter().any(|b| b == bridge), "no bridge {bridge} among {:?}", self.0.bridges);
        // A bridge shows frames between two of its ports to a listener only when promiscuous.
        self.0.lan.try_run(|| ip::batch("ip", &[format!("link set {bridge} promisc on")]))?;
        Capture::start(&self.0.lan, bridge, &self.0.journal)
    }

    /// Waits until a host can be reached by ICMP from another.
    ///
    /// # Errors
    /// When it cannot within the time.
    pub fn wait_until_reachable(&self, from: &str, to: IpAddr, within: Duration) -> Result<()> {
        let from = self.host(from)?;
        crate::eventually(within, &format!("an answer to ping {to} from {}", from.name()), || {
            let ping = from.tool("ping").args(["-n", "-c1", "-W1", &to.to_string()]).run(within);
            match ping {
                Ok(done) if done.status.success() => Ok(()),
                Ok(done) => Err(done.stdout + &done.stderr),
                Err(error) => Err(format!("{error:#}")),
            }
        })
    }

    pub(crate) fn shut_down(&self) {
        for host in self.0.hosts.iter().rev() {
            host.shut_down();
        }
    }
}

/// A socket address from an address and a port, for readable scenarios.
pub fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// The `ip` line that adds an address; IPv6 addresses are usable at once.
pub(crate) fn add_address_line(interface: &str, address: &str) -> String {
    let nodad = if address.contains(':') { " nodad" } else { "" };
    format!("address add {address} dev {interface}{nodad}")
}

fn build(specs: &[HostSpec], journal: &Arc<Journal>) -> Result<Inner> {
    let lan = Arc::new(Namespaces::create(&[]).context("namespace of the bridges")?);
    let bridges: BTreeSet<&String> =
        specs.iter().flat_map(|h| h.interfaces.iter().map(|i| &i.bridge)).collect();
    let mut lan_lines = Vec::new();
    for bridge in &bridges {
        // A dumb switch: forwards at once, no spanning tree, no snooping.
        lan_lines.push(format!("link add {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"));
        lan_lines.push(format!("link set {bridge} up"));
    }
    let mut hosts = Vec::new();
    let mut ports: u16 = 0;
    for spec in specs {
        let private: Vec<&Path> = PRIVATE_FOLDERS.iter().map(Path::new).collect();
        let inside = Namespaces::create(&private).with_context(|| format!("namespaces of {}", spec.name))?;
        let mut links = Vec::new();
        for interface in &spec.interfaces {
            ports += 1;
            let link = link(spec, interface, ports, &lan, journal);
            lan_lines.push(format!(
                "link add {} type veth peer name {} address {} netns {}",
                link.port,
                link.interface,
                link.mac_text(),
                inside.net_path(),
            ));
            lan_lines.push(format!("link set {} master {} up", link.port, link.bridge));
            links.push(link);
        }
        hosts.push(Host::new(&spec.name, inside, links, journal));
    }
    lan.try_run(|| ip::batch("ip", &lan_lines))?;
    for (spec, host) in specs.iter().zip(&hosts) {
        host.try_enter(|| configure(spec)).with_context(|| format!("configure host {}", spec.name))?;
    }
    let bridges = bridges.into_iter().cloned().collect();
    Ok(Inner { lan, bridges, hosts, journal: Arc::clone(journal) })
}

fn link(
    host: &HostSpec,
    interface: &InterfaceSpec,
    number: u16,
    lan: &Arc<Namespaces>,
    journal: &Arc<Journal>,
) -> Link {
    let named = format!("{}-{}", host.name, interface.name);
    let port = if named.len() <= LONGEST_INTERFACE_NAME { named } else { format!("port{number}") };
    let [high, low] = number.to_be_bytes();
    Link {
        host: Arc::from(host.name.as_str()),
        interface: interface.name.clone(),
        port,
        bridge: interface.bridge.clone(),
        // Locally administered (bit 1 of the first byte) and told apart by the last two.
        mac: [0x02, 0, 0, 0, high, low],
        lan: Arc::clone(lan),
        journal: Arc::clone(journal),
    }
}

/// Inside the host: settings, interfaces, addresses, routes.
fn configure(spec: &HostSpec) -> Result<()> {
    for (key, value) in SYSCTLS {
        namespace::write_sysctl(key, value)?;
    }
    for (key, value) in &spec.sysctls {
        namespace::write_sysctl(key, value)?;
    }
    let mut lines = vec!["link set lo up".to_owned()];
    for interface in &spec.interfaces {
        lines.push(format!("link set {} up", interface.name));
        lines.extend(interface.addresses.iter().map(|address| add_address_line(&interface.name, address)));
    }
    lines.extend(spec.accepts.iter().map(|vip| {
        let prefix = if vip.is_ipv4() { 32 } else { 128 };
        add_address_line("lo", &format!("{vip}/{prefix}"))
    }));
    lines.extend(spec.gateways.iter().map(|gateway| format!("route add default via {gateway}")));
    ip::batch("ip", &lines)
}
