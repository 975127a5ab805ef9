//! `lvs doctor`: facts in, findings and recipes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lvs::doctor::facts::{Facts, Ipvs, Way};
use lvs::doctor::findings::findings;
use lvs::doctor::recipe::recipes;
use lvs::doctor::render::render;
use lvs::doctor::{Finding, Report, Severity};
use lvs::routes::{Interface, Route};
use lvs_config::Config;

use crate::world::{assert_lines, config, virtual_server};

fn way(interface: &str, gateway: Option<[u8; 4]>) -> Way {
    let gateway = gateway.map(IpAddr::from);
    Way {
        route: Some(Route { interface: interface.into(), gateway, local: false, source: None }),
        silent: false,
    }
}

/// A router on which nothing is wrong: clients at eth0, real servers 10.2.0.11 and fd00:2::11 at eth1.
fn healthy() -> Facts {
    let interface = |mtu| Interface { mtu, up: true };
    let settings = [
        ("net.ipv4.ip_forward", 1),
        ("net.ipv6.conf.all.forwarding", 1),
        ("net.ipv4.conf.all.send_redirects", 0),
        ("net.ipv4.conf.eth1.send_redirects", 0),
        ("net.ipv4.conf.all.rp_filter", 0),
        ("net.ipv4.conf.eth0.rp_filter", 0),
        ("net.ipv4.vs.conntrack", 0),
    ];
    Facts {
        ipvs: Ipvs::Available,
        settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
        interfaces: [("eth0".to_owned(), interface(1500)), ("eth1".to_owned(), interface(1600))].into(),
        addresses: BTreeSet::from([[10, 1, 0, 100].into()]),
        ways: BTreeMap::from([
            ([10, 2, 0, 11].into(), way("eth1", None)),
            ("fd00:2::11".parse().unwrap(), way("eth1", None)),
        ]),
        default_interface: Some("eth0".into()),
        udp_ports: Some(BTreeSet::from([539])),
    }
}

fn web(method: &str) -> Config {
    config(&virtual_server("web", "10.1.0.100", &format!("network = {method}"), &["10.2.0.11"]))
}

fn short(all: &[Finding]) -> Vec<String> {
    all.iter().map(|it| format!("{:?} {}: {}", it.severity, it.code, it.found)).collect()
}

#[test]
fn where_nothing_is_wrong_nothing_is_told() {
    for method in ["nat", "direct", "tunnel"] {
        assert_lines(&short(&findings(&web(method), &healthy())), &[]);
    }
}

/// What is told when one thing is broken.
#[track_caller]
fn broken(config: &Config, how: impl FnOnce(&mut Facts), expected: &[&str]) -> Vec<Finding> {
    let mut facts = healthy();
    how(&mut facts);
    let all = findings(config, &facts);
    assert_lines(&short(&all), expected);
    all
}

fn set(facts: &mut Facts, name: &str, value: i64) {
    facts.settings.insert(name.to_owned(), value);
}

#[test]
fn a_kernel_without_ipvs_is_told_with_what_to_type() {
    let told = ["Error ipvs_missing: this kernel has no IPVS, or its module is not loaded"];
    let all = broken(&web("nat"), |facts| facts.ipvs = Ipvs::Missing, &told);
    assert_eq!(all[0].commands, ["modprobe ip_vs"]);
    let told = ["Warning ipvs_not_permitted: IPVS may not be used by this user"];
    broken(&web("nat"), |facts| facts.ipvs = Ipvs::NotPermitted, &told);
}

#[test]
fn forwarding_that_is_off_is_worse_when_lvs_may_not_turn_it_on() {
    let off = |facts: &mut Facts| set(facts, "net.ipv4.ip_forward", 0);
    let all = broken(&web("nat"), off, &["Warning forwarding_off: net.ipv4.ip_forward is 0"]);
    assert_eq!(all[0].commands, ["sysctl -w net.ipv4.ip_forward=1"]);
    let left = config(&format!(
        "sysctl = [ net.ipv4.ip_forward=leave ]\n{}",
        virtual_server("web", "10.1.0.100", "", &["10.2.0.11"])
    ));
    broken(&left, off, &["Error forwarding_off: net.ipv4.ip_forward is 0"]);
    broken(&web("direct"), off, &[]);
}

#[test]
fn redirects_towards_real_servers_by_nat_are_told() {
    let on = |facts: &mut Facts| set(facts, "net.ipv4.conf.eth1.send_redirects", 1);
    broken(&web("nat"), on, &["Warning redirects_on: net.ipv4.conf.eth1.send_redirects is 1"]);
    broken(&web("tunnel"), on, &[]);
}

#[test]
fn a_strict_reverse_path_filter_is_told_where_the_way_back_is_another() {
    let strict = |facts: &mut Facts| {
        set(facts, "net.ipv4.conf.all.rp_filter", 1);
        facts.default_interface = Some("eth2".into());
    };
    let told =
        ["Warning rp_filter_strict: rp_filter is strict on eth0, and the default route leads out of eth2"];
    broken(&web("direct"), strict, &told);
    broken(&web("direct"), |facts| set(facts, "net.ipv4.conf.all.rp_filter", 1), &[]);
    let loose = |facts: &mut Facts| {
        strict(facts);
        set(facts, "net.ipv4.conf.eth0.rp_filter", 2);
    };
    broken(&web("direct"), loose, &[]);
}

#[test]
fn an_interface_that_is_missing_or_down_is_told() {
    let gone = |facts: &mut Facts| facts.interfaces.retain(|name, _| name != "eth0");
    broken(&web("nat"), gone, &["Error interface_missing: there is no interface eth0"]);
    let down = |facts: &mut Facts| facts.interfaces.get_mut("eth0").unwrap().up = false;
    broken(&web("nat"), down, &["Error interface_down: eth0 is down"]);
}

#[test]
fn a_real_server_out_of_reach_is_told_as_its_method_has_it() {
    let address = IpAddr::from([10, 2, 0, 11]);
    let no_route = |facts: &mut Facts| facts.ways.get_mut(&address).unwrap().route = None;
    broken(&web("nat"), no_route, &["Error no_route: there is no route to s10.2.0.11 (10.2.0.11)"]);
    let far = |facts: &mut Facts| facts.ways.extend([(address, way("eth1", Some([10, 2, 0, 254])))]);
    let told = "by_gateway: the way to s10.2.0.11 (10.2.0.11)";
    broken(&web("direct"), far, &[&format!("Error direct_{told}, direct routing, is by 10.2.0.254")]);
    broken(&web("nat"), far, &[&format!("Note nat_{told}, nat, is by 10.2.0.254")]);
    broken(&web("tunnel"), far, &[]);
    let silent = |facts: &mut Facts| facts.ways.get_mut(&address).unwrap().silent = true;
    let told = ["Warning no_neighbour: s10.2.0.11 (10.2.0.11) does not answer on eth1"];
    broken(&web("direct"), silent, &told);
}

#[test]
fn a_tunnel_without_room_is_told_with_the_octets_of_its_kind() {
    let small = |mtu| move |facts: &mut Facts| facts.interfaces.get_mut("eth1").unwrap().mtu = mtu;
    for (kind, around) in [
        ("", 20),
        ("tunnel_type = gre", 24),
        ("tunnel_type = gre;tunnel_checksum = csum", 28),
        ("tunnel_type = gue", 32),
    ] {
        let tunnel =
            config(&virtual_server("web", "10.1.0.100", &format!("network = tunnel;{kind}"), &["10.2.0.11"]));
        broken(&tunnel, small(1500 + around), &[]);
        let all = findings(&tunnel, &{
            let mut facts = healthy();
            small(1500 + around - 1)(&mut facts);
            facts
        });
        assert_eq!(all[0].code, "mtu_small");
        assert!(all[0].found.contains(&format!("needs {around} of them: 1499 are left")), "{}", all[0].found);
        assert_eq!(all[0].severity, Severity::Note);
    }
    let v6 = config(&virtual_server("web", "2001:db8::1", "network = tunnel", &["fd00:2::11"]));
    let mut facts = healthy();
    facts.addresses.insert("2001:db8::1".parse().unwrap());
    small(1300)(&mut facts);
    let all = findings(&v6, &facts);
    assert_eq!((all[0].severity, all[0].code), (Severity::Error, "mtu_too_small"));
    assert!(all[0].found.contains("needs 40 of them: 1260 are left, 1280 are wanted"), "{}", all[0].found);
}

#[test]
fn what_is_worth_knowing_is_a_note() {
    let told = ["Note vip_absent: 10.1.0.100 is not on this router"];
    broken(&web("nat"), |facts| facts.addresses.clear(), &told);
    let told = ["Note conntrack_on: net.ipv4.vs.conntrack is 1"];
    broken(&web("nat"), |facts| set(facts, "net.ipv4.vs.conntrack", 1), &told);
    let pair = config(&format!(
        "backup = 198.51.100.2\nbackup_active = 1\n{}",
        virtual_server("web", "10.1.0.100", "network = direct", &["10.2.0.11"])
    ));
    let told = ["Note heartbeats_unheard: nobody listens at UDP port 539: pulse does not run here"];
    broken(&pair, |facts| facts.udp_ports = Some(BTreeSet::new()), &told);
    broken(&web("nat"), |facts| facts.udp_ports = Some(BTreeSet::new()), &[]);
}

fn commands(method: &str, vip: &str, server: &str) -> Vec<String> {
    let config = config(&virtual_server("web", vip, method, &[server]));
    let source: IpAddr =
        if server.contains(':') { "fd00:2::1".parse().unwrap() } else { [10, 2, 0, 1].into() };
    recipes(&config, |_| Some(source)).remove(0).commands
}

#[test]
fn real_servers_for_direct_routing_hold_the_vip_and_keep_quiet() {
    assert_lines(
        &commands("network = direct", "10.1.0.100", "10.2.0.11"),
        &[
            "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
            "ip address replace 10.1.0.100/32 dev lo",
        ],
    );
    assert_lines(
        &commands("network = direct", "2001:db8::1", "fd00:2::11"),
        &["ip address replace 2001:db8::1/128 dev lo nodad"],
    );
}

#[test]
fn real_servers_for_tunnels_have_the_end_of_their_kind() {
    let end = |method: &str, vip, server| {
        let all = commands(&format!("network = tunnel;{method}"), vip, server);
        let links: Vec<String> =
            all.into_iter().filter(|line| line.contains("type") || line.contains("fou")).collect();
        links.join("; ")
    };
    let v4 = ("10.1.0.100", "10.2.0.11");
    assert_eq!(end("", v4.0, v4.1), "ip link add lvs-ipip type ipip local 10.2.0.11 remote 10.2.0.1");
    assert_eq!(
        end("tunnel_type = gue;tunnel_port = 7777", v4.0, v4.1),
        "ip fou add port 7777 gue; ip link add lvs-ipip type ipip local 10.2.0.11 remote 10.2.0.1"
    );
    assert_eq!(
        end("tunnel_type = gre;tunnel_checksum = csum", v4.0, v4.1),
        "ip link add lvs-gre type gre local 10.2.0.11 remote 10.2.0.1 csum"
    );
    assert_eq!(
        end("", "2001:db8::1", "10.2.0.11"),
        "ip link add lvs-sit type sit local 10.2.0.11 remote 10.2.0.1"
    );
    assert_eq!(
        end("", "2001:db8::1", "fd00:2::11"),
        "ip link add lvs-ip6tnl type ip6tnl local fd00:2::11 remote fd00:2::1 mode any"
    );
}

#[test]
fn the_end_of_a_tunnel_is_told_once() {
    let tunnel = |name: &str, vip: &str, more: &str| {
        virtual_server(name, vip, &format!("network = tunnel\n{more}"), &["10.2.0.11"])
    };
    let all = tunnel("a", "10.1.0.100", "")
        + &tunnel("b", "10.1.0.101", "")
        + &tunnel("c", "10.1.0.102", "tunnel_type = gue");
    let told = recipes(&config(&all), |_| Some([10, 2, 0, 1].into()));
    let ends: Vec<&[String]> = told.iter().map(|recipe| &recipe.commands[2..]).collect();
    assert_lines(
        ends[0],
        &[
            "# on 10.2.0.11:",
            "ip link add lvs-ipip type ipip local 10.2.0.11 remote 10.2.0.1",
            "ip link set lvs-ipip up",
            "sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lvs-ipip.rp_filter=0",
        ],
    );
    assert_lines(ends[1], &["# on 10.2.0.11: the end of the tunnel is told above"]);
    assert_lines(ends[2], &["# on 10.2.0.11:", "ip fou add port 6080 gue"]);
}

#[test]
fn a_report_is_read_by_people_and_programs() {
    let config = web("direct");
    let mut facts = healthy();
    facts.ipvs = Ipvs::Missing;
    let report = Report { findings: findings(&config, &facts), real_servers: recipes(&config, |_| None) };
    assert_eq!(
        render(&report),
        "This router
  ERROR: this kernel has no IPVS, or its module is not loaded [ipvs_missing]
      needed: the module ip_vs, without which nothing is balanced
      # modprobe ip_vs

Real servers of web by direct routing: 10.2.0.11
  its way to the clients must not be this router, which would throw its answers away
      sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
      ip address replace 10.1.0.100/32 dev lo
"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["findings"][0]["code"], "ipvs_missing");
    assert_eq!(json["real_servers"][0]["servers"][0], "10.2.0.11");
}
