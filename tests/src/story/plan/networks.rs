//! Which networks the addresses of a file lie in, who is plugged into which, and the addresses that the file leaves
//! open.
//!
//! Each device of the file is a cable into a bridge of its own. A device's network is the one that its moving address
//! names by its mask; where that says too little (no mask, or one of all ones), the smallest that has all its addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};

use lvs_config::model::{Config, FloatingAddress, RouterAddresses};

use super::{Interface, RouterPlan};
use crate::story::network::{LONGEST, Network};

/// Longest prefix that is assumed where the file says nothing.
const ASSUMED: u8 = 24;
/// Shortest prefix that is assumed to be one network.
const WIDEST: u8 = 16;
/// Names of bridges.
const INSIDE: &str = "inside";
const PRIVATE: &str = "private";

/// The wires of a cluster.
pub(super) struct Wiring {
    pub(super) routers: Vec<RouterPlan>,
    pub(super) client: Vec<Interface>,
    pub(super) on_link: Vec<(Ipv4Addr, String)>,
    pub(super) floating: Vec<Ipv4Addr>,
    pub(super) gateway: Ipv4Addr,
    pub(super) inside: Network,
    pub(super) networks: Vec<(String, Network)>,
}

/// A device of the routers while its wires are drawn.
struct Device {
    name: String,
    bridge: String,
    network: Network,
    /// Addresses of the first and of the second router on it.
    own: [Vec<Ipv4Addr>; 2],
}

/// The client's interfaces, and the addresses that it reaches by one of them although they are in no network of its.
struct Client {
    interfaces: Vec<Interface>,
    on_link: Vec<(Ipv4Addr, String)>,
}

/// Draws the wires.
///
/// # Errors
/// Why there is no cluster in which the file makes sense.
pub(super) fn wire(config: &Config) -> Result<Wiring, String> {
    let nat = config.nat_router.as_ref().ok_or("there is no `nat_router`")?;
    let backup = config.backup.as_ref().ok_or("there is no `backup`")?;
    let publics = [v4(config.primary.public)?, v4(backup.public)?];
    let mut devices = vec![inside(config, nat)?];
    let inside = devices[0].network;
    for (name, vips) in vips_by_device(config)? {
        add_public(&mut devices, name, &vips, publics)?;
    }
    place(&mut devices, publics, "public")?;
    private_link(config, &config.primary, backup, &mut devices)?;
    reject_overlaps(&devices)?;
    let floating =
        config.floating_addresses().into_iter().map(|f| v4(f.address)).collect::<Result<Vec<_>, _>>()?;
    let mut taken = taken(config, &devices, &floating)?;
    for device in &mut devices {
        for own in device.own.iter_mut().filter(|own| own.is_empty()) {
            own.push(free(device.network, &mut taken)?);
        }
    }
    let client = client(config, &devices, nat, &mut taken)?;
    Ok(Wiring {
        routers: routers(&devices, publics),
        client: client.interfaces,
        on_link: client.on_link,
        gateway: v4(nat.address)?,
        floating,
        inside,
        networks: in_order(&devices),
    })
}

fn v4(address: IpAddr) -> Result<Ipv4Addr, String> {
    match address {
        IpAddr::V4(v4) => Ok(v4),
        IpAddr::V6(_) => Err(format!("{address} is an IPv6 address")),
    }
}

/// The network that a moving address names, if its mask says one.
fn named(address: &FloatingAddress) -> Result<Option<Network>, String> {
    let ip = v4(address.address)?;
    Ok(address.prefix.filter(|prefix| *prefix <= LONGEST).map(|prefix| Network::of(ip, prefix)))
}

/// The device of `nat_router`.
fn inside(config: &Config, nat: &FloatingAddress) -> Result<Device, String> {
    let mut servers = vec![v4(nat.address)?];
    for service in config.active_virtual_servers() {
        for address in
            service.active_servers().map(|s| s.address).chain(service.sorry_server.map(|s| s.address))
        {
            servers.push(v4(address)?);
        }
    }
    let network = match named(nat)? {
        Some(network) => network,
        None => Network::spanning(&servers, ASSUMED).ok_or("there is no real server")?,
    };
    let name = nat.device.interface().to_owned();
    Ok(Device { name, bridge: INSIDE.into(), network, own: Default::default() })
}

/// The VIPs of each device, in file order.
fn vips_by_device(config: &Config) -> Result<Vec<(&str, Vec<&FloatingAddress>)>, String> {
    let mut found: Vec<(&str, Vec<&FloatingAddress>)> = Vec::new();
    for address in config.active_virtual_servers().map(|service| &service.address) {
        let name = address.device.interface();
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, vips)) => vips.push(address),
            None => found.push((name, vec![address])),
        }
    }
    if found.is_empty() { Err("no `virtual` block is active".into()) } else { Ok(found) }
}

/// Adds the device of some VIPs.
fn add_public(
    devices: &mut Vec<Device>,
    name: &str,
    vips: &[&FloatingAddress],
    publics: [Ipv4Addr; 2],
) -> Result<(), String> {
    if let Some(known) = devices.iter().find(|device| device.name == name) {
        return Err(format!(
            "virtual servers are on {name}, the device of `nat_router` ({}): clients there would hear from the real \
             servers directly, past the router; the demo needs two devices",
            known.network
        ));
    }
    let mut named_networks = Vec::new();
    for vip in vips {
        named_networks.extend(named(vip)?);
    }
    let has_routers = |network: &&Network| publics.iter().all(|public| network.has_host(*public));
    let addresses = vips.iter().map(|vip| v4(vip.address)).collect::<Result<Vec<_>, _>>()?;
    let with_routers = || {
        let together = [addresses.as_slice(), &publics].concat();
        Network::spanning(&together, ASSUMED).filter(|network| network.prefix() >= WIDEST)
    };
    let is_first = devices.len() == 1;
    let network = named_networks
        .iter()
        .find(has_routers)
        .copied()
        .or_else(|| with_routers().filter(|_| is_first && named_networks.is_empty()))
        .or_else(|| Network::spanning(&publics, ASSUMED).filter(|_| is_first))
        .or_else(|| named_networks.first().copied())
        .or_else(|| Network::spanning(&addresses, ASSUMED))
        .ok_or_else(|| format!("{name} has no address"))?;
    let bridge = if is_first { "public".to_owned() } else { format!("public{}", devices.len()) };
    devices.push(Device { name: name.to_owned(), bridge, network, own: Default::default() });
    Ok(())
}

/// Gives the routers' addresses to the device whose network has them, if there is one.
fn try_place(devices: &mut [Device], addresses: [Ipv4Addr; 2]) -> bool {
    let fits = |device: &&mut Device| addresses.iter().all(|address| device.network.has_host(*address));
    let Some(device) = devices.iter_mut().rev().find(fits) else { return false };
    for (own, address) in device.own.iter_mut().zip(addresses) {
        if !own.contains(&address) {
            own.push(address);
        }
    }
    true
}

fn place(devices: &mut [Device], addresses: [Ipv4Addr; 2], what: &str) -> Result<(), String> {
    if try_place(devices, addresses) {
        return Ok(());
    }
    let networks: Vec<String> = devices.iter().map(|d| format!("{} on {}", d.network, d.name)).collect();
    Err(format!(
        "the routers' {what} addresses {} and {} are in none of the networks that the moving addresses have: {}",
        addresses[0],
        addresses[1],
        networks.join(", ")
    ))
}

/// The private addresses: on a device that is there already, or on a link of their own.
fn private_link(
    config: &Config,
    primary: &RouterAddresses,
    backup: &RouterAddresses,
    devices: &mut Vec<Device>,
) -> Result<(), String> {
    let (Some(first), Some(second)) = (primary.private, backup.private) else { return Ok(()) };
    let addresses = [v4(first)?, v4(second)?];
    if try_place(devices, addresses) {
        return Ok(());
    }
    let network = Network::spanning(&addresses, LONGEST).ok_or("there is no private network")?;
    let unused = |name: &String| devices.iter().all(|device| device.name != *name);
    // The file names a device of its own only for the kernel's connection synchronisation, which belongs there.
    let sync = config.sync_daemon.as_ref().map(|sync| sync.interface.clone());
    let name = sync.into_iter().chain((0..).map(|n| format!("eth{n}"))).find(unused);
    let name = name.ok_or("there is no name for the private device")?;
    devices.push(Device {
        name,
        bridge: PRIVATE.into(),
        network,
        own: addresses.map(|address| vec![address]),
    });
    Ok(())
}

fn reject_overlaps(devices: &[Device]) -> Result<(), String> {
    for (n, one) in devices.iter().enumerate() {
        if let Some(other) = devices[..n].iter().find(|other| other.network.overlaps(one.network)) {
            return Err(format!(
                "{} on {} and {} on {} overlap: a router could not tell which device leads where",
                other.network, other.name, one.network, one.name
            ));
        }
    }
    Ok(())
}

/// Every address that somebody has.
fn taken(config: &Config, devices: &[Device], floating: &[Ipv4Addr]) -> Result<BTreeSet<Ipv4Addr>, String> {
    let mut taken: BTreeSet<Ipv4Addr> = floating.iter().copied().collect();
    taken.extend(devices.iter().flat_map(|device| device.own.iter().flatten().copied()));
    for service in &config.virtual_servers {
        for address in service
            .servers
            .iter()
            .map(|s| s.address)
            .chain(service.sorry_server.map(|s| s.address))
            .filter(IpAddr::is_ipv4)
        {
            taken.insert(v4(address)?);
        }
    }
    Ok(taken)
}

fn free(network: Network, taken: &mut BTreeSet<Ipv4Addr>) -> Result<Ipv4Addr, String> {
    network
        .take_free(taken)
        .ok_or_else(|| format!("{network} has no free address left for the demo's client and routers"))
}

/// The client: an interface in the network of every device with VIPs, and the VIPs that lie outside of it.
fn client(
    config: &Config,
    devices: &[Device],
    nat: &FloatingAddress,
    taken: &mut BTreeSet<Ipv4Addr>,
) -> Result<Client, String> {
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut names: BTreeMap<&str, String> = BTreeMap::new();
    let mut on_link = Vec::new();
    for address in config.active_virtual_servers().map(|service| &service.address) {
        let device = devices.iter().find(|device| device.name == address.device.interface());
        let Some(device) = device.filter(|device| device.name != nat.device.interface()) else { continue };
        if !names.contains_key(device.name.as_str()) {
            let name = format!("eth{}", interfaces.len());
            let own = device.network.cidr(free(device.network, taken)?);
            interfaces.push(Interface {
                name: name.clone(),
                bridge: device.bridge.clone(),
                addresses: vec![own],
            });
            names.insert(&device.name, name);
        }
        let vip = v4(address.address)?;
        let known = on_link.iter().any(|(other, _)| *other == vip);
        if let Some(name) =
            names.get(device.name.as_str()).filter(|_| !device.network.has_host(vip) && !known)
        {
            on_link.push((vip, name.clone()));
        }
    }
    Ok(Client { interfaces, on_link })
}

fn routers(devices: &[Device], publics: [Ipv4Addr; 2]) -> Vec<RouterPlan> {
    let router = |(n, public): (usize, Ipv4Addr)| {
        let interface = |device: &Device| Interface {
            name: device.name.clone(),
            bridge: device.bridge.clone(),
            addresses: device.own[n].iter().map(|address| device.network.cidr(*address)).collect(),
        };
        RouterPlan {
            name: format!("r{}", n + 1),
            called: if n == 0 { "primary" } else { "backup" }.into(),
            public,
            interfaces: devices.iter().map(interface).collect(),
        }
    };
    publics.into_iter().enumerate().map(router).collect()
}

/// Bridges and networks as one meets them on the way from a client.
fn in_order(devices: &[Device]) -> Vec<(String, Network)> {
    let mut found: Vec<(String, Network)> = devices.iter().map(|d| (d.bridge.clone(), d.network)).collect();
    found.sort_by_key(|(bridge, _)| match bridge.as_str() {
        PRIVATE => 2,
        INSIDE => 1,
        _ => 0,
    });
    found
}
