//! Floating addresses and the networks of the interfaces that are to carry them.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use lvs_config::model::Protocol;
use lvs_config::{Family, InterfaceAddress, Lookup, Names, Patience, Resolver, parse};

/// A machine whose interfaces have addresses, each as `eth0 192.0.2.1/24`. It knows no names.
struct Machine(&'static [&'static str]);

impl Machine {
    fn addresses(&self) -> Vec<InterfaceAddress> {
        let read = |line: &&str| {
            let (interface, rest) = line.split_once(' ')?;
            let (address, prefix) = rest.split_once('/')?;
            Some(InterfaceAddress {
                interface: interface.to_owned(),
                address: address.parse().ok()?,
                prefix: prefix.parse().ok()?,
            })
        };
        self.0.iter().map(|line| read(line).expect("an interface and its address")).collect()
    }
}

impl Names for Machine {
    fn host(&self, _: &str, _: Family) -> Option<IpAddr> {
        None
    }

    fn service(&self, _: &str, _: Protocol) -> Option<u16> {
        None
    }

    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        self.addresses()
    }
}

impl Lookup for Machine {
    fn addresses(&self, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        self.addresses()
    }
}

/// A file with a virtual server for each of `addresses`, the first one's in line 4.
fn file(addresses: &[&str]) -> String {
    let blocks = addresses.iter().enumerate().map(|(at, address)| {
        let server = if address.contains("::") { "2001:db8::99" } else { "10.9.0.1" };
        format!(
            "virtual v{at} {{\nactive = 1\naddress = {address}\nport = {}\nserver s {{\naddress = {server}\nactive = 1\n}}\n}}\n",
            8000 + at
        )
    });
    format!("primary = 192.0.2.2\n{}", blocks.collect::<String>())
}

/// What is odd in `text` on `machine`.
fn told(machine: &Machine, text: &str) -> Vec<String> {
    let parsed = parse(text, machine);
    parsed.diagnostics.iter().map(|one| one.one_line("lvs.cf".as_ref())).collect()
}

/// What is odd in a file with such addresses of virtual servers.
fn told_of(machine: &Machine, addresses: &[&str]) -> Vec<String> {
    told(machine, &file(addresses))
}

const NONE: [&str; 0] = [];

#[test]
fn a_vip_in_no_network_of_its_interface_is_told_with_the_networks() {
    let machine = Machine(&["eth0 192.0.2.2/24", "eth0 198.51.100.2/25", "eth1 10.1.0.1/16"]);
    assert_eq!(
        told_of(&machine, &["192.0.2.80 eth0", "10.1.0.100 eth0:1"]),
        [
            "lvs.cf:13:11: warning: 10.1.0.100 is in none of the networks of eth0 (192.0.2.0/24, 198.51.100.0/25); name \
          the interface that is in its network, or say which network it is in, as in 10.1.0.100/24"
        ]
    );
    assert_eq!(parse(file(&["10.1.0.100 eth0"]), &machine).diagnostics[0].code.name(), "other-network");
}

#[test]
fn a_vip_in_a_network_of_its_interface_is_as_it_should_be() {
    let machine =
        Machine(&["eth0 192.0.2.2/24", "eth1 10.1.0.1/16", "eth0 2001:db8::2/64", "eth0 fe80::2/64"]);
    for address in
        ["192.0.2.80 eth0", "192.0.2.80 eth0:1", "10.1.0.100 eth1:9", "2001:db8::80 eth0", "fe80::80 eth0"]
    {
        assert_eq!(told_of(&machine, &[address]), NONE, "{address}");
    }
}

#[test]
fn an_ipv6_vip_is_compared_with_networks_of_ipv6_that_are_routed() {
    let machine = Machine(&["eth0 192.0.2.2/24", "eth0 2001:db8:0:1::2/64", "eth0 fe80::2/64"]);
    assert_eq!(
        told_of(&machine, &["2001:db8::80 eth0"]),
        [
            "lvs.cf:4:11: warning: 2001:db8::80 is in none of the networks of eth0 (2001:db8:0:1::/64); name the interface \
          that is in its network, or say which network it is in, as in 2001:db8::80/64"
        ]
    );
}

#[test]
fn a_mask_of_its_own_says_the_network_for_it_and_its_neighbours() {
    let machine = Machine(&["eth0 192.0.2.2/24"]);
    for address in ["10.1.0.100/24 eth0", "10.1.0.100/32 eth0", "10.1.0.100 eth0\nvip_nmask = 255.255.255.0"]
    {
        assert_eq!(told_of(&machine, &[address]), NONE, "{address}");
    }
    assert_eq!(told_of(&machine, &["10.1.0.100/24 eth0", "10.1.0.101 eth0"]), NONE);
    assert_eq!(told_of(&machine, &["10.1.0.100/24 eth1", "10.1.0.101 eth0"]).len(), 1);
    assert_eq!(told_of(&machine, &["10.1.0.100/24 eth0", "10.1.1.101 eth0"]).len(), 1);
}

#[test]
fn nothing_is_said_where_there_is_nothing_to_compare_with() {
    let cases: [(&[&str], &str); 5] = [
        // Another machine's file.
        (&["ens3 192.0.2.2/24"], "10.1.0.100 eth0"),
        // No network of the family.
        (&["eth0 2001:db8::2/64"], "10.1.0.100 eth0"),
        (&["eth0 192.0.2.2/24", "eth0 fe80::2/64"], "2001:db8::80 eth0"),
        // Hosts only, as on links that are routed.
        (&["eth0 192.0.2.2/32"], "10.1.0.100 eth0"),
        (&["lo 127.0.0.1/8"], "10.1.0.100 lo"),
    ];
    for (addresses, vip) in cases {
        assert_eq!(told_of(&Machine(addresses), &[vip]), NONE, "{vip} with {addresses:?}");
    }
}

#[test]
fn addresses_that_are_put_on_the_interface_already_do_not_vouch_for_themselves() {
    let machine = Machine(&["eth0 192.0.2.2/24", "eth0 10.1.0.100/8", "eth0 10.1.0.101/8"]);
    let told = told_of(&machine, &["10.1.0.100 eth0:1", "10.1.0.101 eth0:2"]);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().all(|line| line.contains("networks of eth0 (192.0.2.0/24)")), "{told:#?}");
}

#[test]
fn a_vip_of_several_virtual_servers_is_told_once_and_an_inactive_one_not() {
    let machine = Machine(&["eth0 192.0.2.2/24"]);
    let told = |text: &str| told(&machine, text);
    let twice = file(&["10.1.0.100 eth0", "10.1.0.100 eth0"]);
    let lines = told(&twice);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("lvs.cf:4:11: "), "{lines:#?}");
    let inactive = twice.replacen("active = 1\naddress = 10.1", "active = 0\naddress = 10.1", 2);
    assert_eq!(told(&inactive), ["lvs.cf:1:1: warning: no `virtual` block is active: nothing is served"]);
}

#[test]
fn a_nat_router_is_told_where_something_is_translated() {
    let machine = Machine(&["eth0 192.0.2.2/24", "eth1 10.9.0.3/24"]);
    let file = |network: &str, nat: &str| {
        format!("network = {network}\nnat_router = {nat}\n{}", file(&["192.0.2.80 eth0"]))
    };
    assert_eq!(told(&machine, &file("nat", "10.9.0.254 eth1:1")), NONE);
    assert_eq!(told(&machine, &file("nat", "10.8.0.254 eth1:1\nnat_nmask = 24")), NONE);
    assert_eq!(told(&machine, &file("direct", "10.8.0.254 eth1:1")), NONE);
    assert_eq!(
        told(&machine, &file("nat", "10.8.0.254 eth1:1")),
        [
            "lvs.cf:2:14: warning: 10.8.0.254 is in none of the networks of eth1 (10.9.0.0/24); name the interface that is \
          in its network, or say which network it is in, as in 10.8.0.254/24"
        ]
    );
}

#[test]
fn of_many_networks_the_first_are_named() {
    let machine = Machine(&[
        "eth0 10.5.0.1/24",
        "eth0 10.4.0.1/24",
        "eth0 10.3.0.1/24",
        "eth0 10.2.0.1/24",
        "eth0 10.2.0.2/24",
        "eth0 10.1.0.1/24",
    ]);
    let told = told_of(&machine, &["192.0.2.80 eth0"]);
    let named = "networks of eth0 (10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24, 10.4.0.0/24, …);";
    assert!(told[0].contains(named), "{told:#?}");
}

#[test]
fn beside_an_error_it_is_left_out() {
    let machine = Machine(&["eth0 192.0.2.2/24"]);
    let told = told(&machine, &file(&["10.1.0.100 eth0"]).replace("port = 8000", "port = 0"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains(": error: "), "{told:#?}");
}

#[test]
fn a_start_and_a_reload_compare_with_the_interfaces_of_this_machine() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("networks.cf");
    fs::write(&path, file(&["10.1.0.100 eth0"])).expect("a file for tests");
    let warnings = |machine: Machine| {
        let mut resolver = Resolver::consulting(Arc::new(machine), "/nonexistent/names".as_ref());
        resolver.load(&path, Patience::BRIEF).expect("a good file").warnings.len()
    };
    assert_eq!(warnings(Machine(&["eth0 192.0.2.2/24"])), 1);
    assert_eq!(warnings(Machine(&["eth0 10.1.0.2/24"])), 0);
    assert_eq!(warnings(Machine(&[])), 0);
}
