//! The hosts that somebody's own lvs.cf talks about.
//!
//! Routers `r1` (the file's primary) and `r2` (its backup), a real server `rs1`, `rs2`, ... for each address of a `server`
//! block in file order, `sorry1`, ... for sorry servers, and a `client` on the network of the first VIP. Each device
//! that carries floating addresses is a bridge: that of the first VIP is `public`, that of `nat_router` is `inside`, others are called
//! like their device. Addresses that the file leaves open (the client's, a router's in a network where it names none)
//! are taken from the top of the network. Pure: nothing is built here, and what the file does not say is not guessed.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Result, anyhow, bail};
use lvs_config::{
    Config, SystemNames,
    model::{FloatingAddress, Forwarding, RouterAddresses},
};

use crate::topology::{
    HostSpec,
    standard::{INSIDE, PUBLIC},
};

/// The bridge of a private link that has no floating address.
const PRIVATE: &str = "private";

/// The hosts for a file's text.
///
/// # Errors
/// When the file is wrong, or an address of it is in none of its networks.
pub(crate) fn hosts(text: &str) -> Result<Vec<HostSpec>> {
    let parsed = lvs_config::parse(text, &SystemNames);
    let problems = || parsed.diagnostics.iter().map(|d| format!("\n{d:?}")).collect::<String>();
    let config = parsed.config.as_ref().ok_or_else(|| anyhow!("the file is wrong:{}", problems()))?;
    Plan::new(config)?.hosts(config)
}

/// A network around a device.
struct Network {
    device: String,
    bridge: String,
    address: IpAddr,
    prefix: u8,
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        in_network(self.address, self.prefix, address)
    }
}

/// The networks of a file and the addresses taken in them.
struct Plan {
    networks: Vec<Network>,
    taken: BTreeSet<IpAddr>,
}

impl Plan {
    fn new(config: &Config) -> Result<Self> {
        let mut networks: Vec<Network> = Vec::new();
        let nat_router = config.nat_router.as_ref().filter(|_| config.network == Forwarding::Nat);
        let vips: Vec<&FloatingAddress> = config.active_virtual_servers().map(|v| &v.address).collect();
        for (floating, inside) in vips.iter().map(|vip| (*vip, false)).chain(nat_router.map(|n| (n, true))) {
            let device = floating.device.interface();
            let known = networks.iter().find(|n| n.device == device).map(|n| n.bridge.clone());
            if networks.iter().any(|n| n.device == device && n.contains(floating.address)) {
                continue;
            }
            let bridge = match known {
                Some(bridge) => bridge,
                None if networks.is_empty() => PUBLIC.to_owned(),
                None if inside => INSIDE.to_owned(),
                None => device.to_owned(),
            };
            networks.push(Network {
                device: device.to_owned(),
                bridge,
                address: floating.address,
                prefix: floating.prefix.unwrap_or_else(|| usual_prefix(floating.address)),
            });
        }
        if networks.is_empty() {
            bail!("the file has no active virtual server");
        }
        let routers = [Some(&config.primary), config.backup.as_ref()];
        let of_routers = routers.into_iter().flatten().flat_map(|r| [Some(r.public), r.private]).flatten();
        let servers = config.virtual_servers.iter().flat_map(|v| &v.servers).map(|s| s.address);
        let floating = config.floating_addresses().into_iter().map(|f| f.address);
        let sorry = config.virtual_servers.iter().filter_map(|v| v.sorry_server);
        let taken = of_routers.chain(servers).chain(floating).chain(sorry).collect();
        Ok(Self { networks, taken })
    }

    fn hosts(mut self, config: &Config) -> Result<Vec<HostSpec>> {
        let mut hosts = vec![self.router("r1", &config.primary)?];
        if let Some(backup) = &config.backup {
            hosts.push(self.router("r2", backup)?);
        }
        hosts.extend(self.servers(config)?);
        let (bridge, prefix) = (self.networks[0].bridge.clone(), self.networks[0].prefix);
        let address = self.free(0)?;
        hosts.push(HostSpec::new("client").interface("eth0", &bridge, [format!("{address}/{prefix}")]));
        Ok(hosts)
    }

    fn router(&mut self, name: &str, addresses: &RouterAddresses) -> Result<HostSpec> {
        let mut host = HostSpec::new(name).forwarding();
        let mut own: Vec<IpAddr> =
            [Some(addresses.public), addresses.private].into_iter().flatten().collect();
        let devices: Vec<(String, String)> =
            self.networks.iter().map(|n| (n.device.clone(), n.bridge.clone())).collect();
        let mut done = BTreeSet::new();
        for (device, bridge) in devices {
            if !done.insert(device.clone()) {
                continue;
            }
            let mut here = Vec::new();
            for index in 0..self.networks.len() {
                let network = &self.networks[index];
                if network.device != device {
                    continue;
                }
                let prefix = network.prefix;
                let named = own.iter().position(|address| network.contains(*address));
                let address = match named {
                    Some(place) => own.remove(place),
                    None => self.free(index)?,
                };
                here.push(format!("{address}/{prefix}"));
            }
            host = host.interface(&device, &bridge, here);
        }
        for address in own {
            let number = (0..).find(|n| !done.contains(&format!("eth{n}"))).unwrap_or(0);
            let device = format!("eth{number}");
            host = host.interface(&device, PRIVATE, [format!("{address}/{}", usual_prefix(address))]);
            done.insert(device);
        }
        Ok(host)
    }

    fn servers(&self, config: &Config) -> Result<Vec<HostSpec>> {
        let mut hosts: Vec<(IpAddr, HostSpec)> = Vec::new();
        let (mut real, mut sorry) = (0, 0);
        let on_routers = |address: IpAddr| {
            let routers = [Some(&config.primary), config.backup.as_ref()];
            address.is_loopback()
                || routers.into_iter().flatten().any(|r| r.public == address || r.private == Some(address))
        };
        for service in config.active_virtual_servers() {
            let direct = service.forwarding == Forwarding::Direct;
            let servers = service.servers.iter().map(|s| (s.address, "rs"));
            for (address, kind) in servers.chain(service.sorry_server.map(|s| (s, "sorry"))) {
                if on_routers(address) {
                    continue;
                }
                let known = hosts.iter().position(|(a, _)| *a == address);
                let place = match known {
                    Some(place) => place,
                    None => {
                        let count = if kind == "rs" { &mut real } else { &mut sorry };
                        *count += 1;
                        hosts.push((address, self.server(&format!("{kind}{count}"), address, config)?));
                        hosts.len() - 1
                    }
                };
                if direct && let Some((_, host)) = hosts.get_mut(place) {
                    host.accept_directly(service.address.address);
                }
            }
        }
        Ok(hosts.into_iter().map(|(_, host)| host).collect())
    }

    fn server(&self, name: &str, address: IpAddr, config: &Config) -> Result<HostSpec> {
        let network = self.networks.iter().find(|network| network.contains(address));
        let network = network.ok_or_else(|| anyhow!("server {address} is in none of the file's networks"))?;
        let host =
            HostSpec::new(name).interface("eth0", &network.bridge, [format!("{address}/{}", network.prefix)]);
        let gateway = config.nat_router.as_ref().filter(|_| config.network == Forwarding::Nat);
        Ok(match gateway.filter(|gateway| network.contains(gateway.address)) {
            Some(gateway) => host.gateway(&gateway.address.to_string()),
            None => host,
        })
    }

    /// Takes the highest free address of a network.
    fn free(&mut self, index: usize) -> Result<IpAddr> {
        let Network { address, prefix, .. } = self.networks[index];
        let found = (1..=1000).filter_map(|n| from_top(address, prefix, n)).find(|a| !self.taken.contains(a));
        let found = found.ok_or_else(|| anyhow!("no free address in {address}/{prefix}"))?;
        self.taken.insert(found);
        Ok(found)
    }
}

/// The prefix that networks usually have.
fn usual_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 24 } else { 64 }
}

fn in_network(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    let shifted =
        |bits: u128, width: u8| bits.checked_shr(u32::from(width.saturating_sub(prefix))).unwrap_or(0);
    match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            shifted(u128::from(a.to_bits()), 32) == shifted(u128::from(b.to_bits()), 32)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => shifted(a.to_bits(), 128) == shifted(b.to_bits(), 128),
        _ => false,
    }
}

/// The `n`th address below the highest of a network (IPv4: its broadcast address), if it is in the network.
fn from_top(network: IpAddr, prefix: u8, n: u32) -> Option<IpAddr> {
    let found: IpAddr = match network {
        IpAddr::V4(a) => {
            let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits((a.to_bits() | hosts).checked_sub(n)?).into()
        }
        IpAddr::V6(a) => {
            let hosts = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits((a.to_bits() | hosts).checked_sub(u128::from(n))?).into()
        }
    };
    in_network(network, prefix, found).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAT: &str = "\
primary = 192.168.26.201
primary_private = 10.11.12.251
backup = 192.168.26.202
backup_private = 10.11.12.252
backup_active = 1
service = lvs
network = nat
nat_router = 10.11.12.254 eth1:1
nat_nmask = 255.255.255.0
virtual http {
    active = 1
    address = 192.168.26.10 eth0:1
    vip_nmask = 255.255.255.0
    port = 80
    sorry_server = 10.11.12.99
    server a {
        address = 10.11.12.1
        active = 1
    }
    server b {
        address = 10.11.12.2
        active = 1
    }
}
";

    #[test]
    fn a_nat_file_becomes_two_bridges_with_everyone_on_them() {
        let hosts = hosts(NAT).expect("a good file");
        let shown: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "r1: eth0 on public 192.168.26.201/24; eth1 on inside 10.11.12.251/24",
                "r2: eth0 on public 192.168.26.202/24; eth1 on inside 10.11.12.252/24",
                "rs1: eth0 on inside 10.11.12.1/24; gateway 10.11.12.254",
                "rs2: eth0 on inside 10.11.12.2/24; gateway 10.11.12.254",
                "sorry1: eth0 on inside 10.11.12.99/24; gateway 10.11.12.254",
                "client: eth0 on public 192.168.26.254/24",
            ]
        );
    }

    #[test]
    fn direct_servers_stand_beside_the_client_and_accept_the_vip() {
        let text = NAT.replace("network = nat", "network = direct").replace("10.11.12.", "192.168.26.");
        let text = text
            .replace("primary_private = 192.168.26.251", "")
            .replace("backup_private = 192.168.26.252", "");
        let hosts = hosts(&text).expect("a good file");
        let shown: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        assert_eq!(shown[0], "r1: eth0 on public 192.168.26.201/24");
        assert_eq!(shown[2], "rs1: eth0 on public 192.168.26.1/24; lo accepts 192.168.26.10");
    }

    #[test]
    fn a_server_outside_all_networks_is_refused() {
        let failure = hosts(&NAT.replace("address = 10.11.12.2\n", "address = 172.16.0.2\n"))
            .map(|_| ())
            .expect_err("no such network");
        assert_eq!(failure.to_string(), "server 172.16.0.2 is in none of the file's networks");
    }

    #[test]
    fn networks_of_any_prefix_contain_their_addresses() {
        let within = |network: &str, prefix, address: &str| {
            in_network(network.parse().expect("address"), prefix, address.parse().expect("address"))
        };
        assert!(within("10.0.0.1", 0, "192.168.0.1"));
        assert!(within("10.0.0.1", 32, "10.0.0.1") && !within("10.0.0.1", 32, "10.0.0.2"));
        assert!(within("fd00::1", 64, "fd00::2:3") && !within("fd00::1", 64, "fd00:0:0:1::1"));
        assert!(!within("10.0.0.1", 0, "fd00::1"));
    }
}
