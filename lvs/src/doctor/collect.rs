//! Looks at this router: the kernel's IPVS, settings, interfaces, addresses, routes and neighbours. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context as _;
use ipvsadm::{Error, Ipvs as Connection};
use lvs_config::Config;
use lvs_config::sysctl::SysctlName;

use super::facts::{Facts, Ipvs, Way};
use super::findings::real_servers;
use crate::routes::Routes;
use crate::sysctl::files::{PROC_SYS, SysctlFiles};
use crate::sysctl::{Answer, Order};

/// An address outside, whose route is the default one (RFC 5737).
const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// Settings that are the same for all configurations.
const SETTINGS: [&str; 6] = [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.all.send_redirects",
    "net.ipv4.vs.conntrack",
    "net.ipv4.vs.expire_nodest_conn",
    "net.ipv4.vs.expire_quiescent_template",
];

/// Looks at what matters for `config`.
///
/// # Errors
/// When the kernel cannot be asked about its interfaces and routes.
pub fn collect(config: &Config) -> anyhow::Result<Facts> {
    let ipvs = match Connection::open() {
        Ok(_) => Ipvs::Available,
        Err(Error::NotAvailable) => Ipvs::Missing,
        Err(Error::Permission) => Ipvs::NotPermitted,
        Err(error) => Ipvs::Failed(error.to_string()),
    };
    let mut routes = Routes::open().context("cannot ask the kernel about its interfaces")?;
    let addresses = routes.addresses().context("cannot ask the kernel about its addresses")?;
    let interfaces = routes.interfaces();
    let silent = silent_neighbours();
    let mut ways = BTreeMap::new();
    for address in real_servers(config) {
        let route = routes.to(address).with_context(|| format!("cannot ask for the way to {address}"))?;
        ways.insert(address, Way { route, silent: silent.contains(&address) });
    }
    let outside = routes.to(OUTSIDE).context("cannot ask for the default route")?;
    let default_interface = outside.filter(|route| route.gateway.is_some()).map(|route| route.interface);
    let settings = settings(interfaces.keys());
    let udp_ports = udp_ports();
    Ok(Facts { ipvs, settings, interfaces, addresses, ways, default_interface, udp_ports })
}

fn settings<'i>(interfaces: impl Iterator<Item = &'i String>) -> BTreeMap<String, i64> {
    let of_interfaces = interfaces
        .map(String::as_str)
        .chain(["all"])
        .flat_map(|name| ["rp_filter", "send_redirects"].map(|key| format!("net.ipv4.conf.{name}.{key}")));
    let names = SETTINGS.iter().map(|name| (*name).to_owned()).chain(of_interfaces);
    let names = names.filter_map(|name| SysctlName::parse(&name).ok()).collect();
    // Nothing is written, so it does not matter where what was before would be remembered.
    let files = SysctlFiles::new(PROC_SYS.as_ref(), Path::new("/nonexistent"));
    let Answer::Read(values) = files.carry_out(Order::Read(names)) else { return BTreeMap::new() };
    values.into_iter().filter_map(|(name, value)| Some((name.to_string(), value.ok()?))).collect()
}

/// IPv4 neighbours whose hardware address was asked for in vain: proc(5), flags 0x0 of `/proc/net/arp`.
fn silent_neighbours() -> BTreeSet<IpAddr> {
    let text = fs::read_to_string("/proc/net/arp").unwrap_or_default();
    let silent = text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, _, "0x0", ..] = words[..] else { return None };
        address.parse().ok()
    });
    silent.collect()
}

/// UDP ports that are bound: proc(5), the second column of `/proc/net/udp`.
fn udp_ports() -> Option<BTreeSet<u16>> {
    let text = ["/proc/net/udp", "/proc/net/udp6"].map(fs::read_to_string);
    let [v4, v6] = text;
    let text = v4.ok()? + &v6.unwrap_or_default();
    let ports = text.lines().filter_map(|line| {
        let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    });
    Some(ports.collect())
}
