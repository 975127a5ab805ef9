use lvs_config::SystemNames;

use super::*;

/// A file in which everything can be rehearsed, with more lines at its top level and in its virtual server.
fn file(top: &str, in_virtual: &str) -> String {
    format!(
        "primary = 192.0.2.2\nprimary_private = 172.16.0.1\nbackup = 192.0.2.3\nbackup_private = 172.16.0.2\n\
         backup_active = 1\nkeepalive = 1\ndeadtime = 3\nservice = lvs\nnetwork = nat\n\
         nat_router = 10.0.0.1 eth1:1\nnat_nmask = 255.255.255.0\n{top}\n\
         virtual web {{\n active = 1\n address = 192.0.2.10 eth0:1\n vip_nmask = 255.255.255.0\n port = 80\n\
         scheduler = wrr\n timeout = 1\n reentry = 2\n{in_virtual}\n\
         server one {{\n address = 10.0.0.11\n active = 1\n weight = 1\n }}\n\
         server two {{\n address = 10.0.0.12\n active = 1\n weight = 2\n }}\n}}\n"
    )
}

fn config(text: &str) -> Config {
    let parsed = lvs_config::parse(text, &SystemNames);
    parsed.config.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics))
}

fn plan_natively(text: &str, native: bool) -> Result<Plan, Vec<String>> {
    let config = config(text);
    let source = Source { file: "my.cf", text: text.as_bytes(), config: &config, names: Vec::new(), native };
    Plan::new(source, &|program| program == "/bin/there").map_err(|obstacles| obstacles.0)
}

fn plan(text: &str) -> Result<Plan, Vec<String>> {
    plan_natively(text, false)
}

fn shown(interfaces: &[Interface]) -> Vec<String> {
    let one = |i: &Interface| format!("{} {} {}", i.name, i.bridge, i.addresses.join(" "));
    interfaces.iter().map(one).collect()
}

fn refused(text: &str) -> Vec<String> {
    plan(text).expect_err("an obstacle")
}

#[test]
fn a_plain_file_becomes_three_networks() {
    let plan = plan(&file("", "sorry_server = 10.0.0.99")).expect("no obstacle");
    assert_eq!(
        shown(&plan.routers[0].interfaces),
        ["eth1 inside 10.0.0.254/24", "eth0 public 192.0.2.2/24", "eth2 private 172.16.0.1/30"]
    );
    assert_eq!(
        shown(&plan.routers[1].interfaces),
        ["eth1 inside 10.0.0.253/24", "eth0 public 192.0.2.3/24", "eth2 private 172.16.0.2/30"]
    );
    assert_eq!(shown(&plan.client), ["eth0 public 192.0.2.254/24"]);
    assert_eq!(plan.floating.iter().map(ToString::to_string).collect::<Vec<_>>(), ["192.0.2.10", "10.0.0.1"]);
    let machines: Vec<String> = plan.machines.iter().map(|m| format!("{} {}", m.name, m.cidr)).collect();
    assert_eq!(machines, ["one 10.0.0.11/24", "two 10.0.0.12/24", "sorry 10.0.0.99/24"]);
    assert_eq!((plan.services[0].spread, plan.services[0].sorry), (Spread::ByWeight, Some(2)));
    assert_eq!(plan.on_link, []);
}

#[test]
fn private_addresses_in_a_network_that_is_there_need_no_link_of_their_own() {
    let text = file("", "")
        .replace("172.16.0", "10.0.0")
        .replace("nat_router = 10.0.0.1 ", "nat_router = 10.0.0.254 ");
    let plan = plan(&text).expect("no obstacle");
    assert_eq!(shown(&plan.routers[0].interfaces), ["eth1 inside 10.0.0.1/24", "eth0 public 192.0.2.2/24"]);
}

#[test]
fn a_vip_outside_of_the_routers_network_is_reached_directly() {
    let text = file("", "").replace(
        "192.0.2.10 eth0:1\n vip_nmask = 255.255.255.0",
        "198.51.100.7 eth0:1\n vip_nmask = 255.255.255.255",
    );
    let plan = plan(&text).expect("no obstacle");
    assert_eq!(shown(&plan.client), ["eth0 public 192.0.2.254/24"]);
    assert_eq!(plan.on_link, [("198.51.100.7".parse().expect("an address"), "eth0".to_owned())]);
}

#[test]
fn every_obstacle_is_told_at_once_with_its_line() {
    let text =
        file("", "fwmark = 5\n send_program = \"/bin/gone %h\"").replace("network = nat", "network = direct");
    let found = refused(&text);
    assert_eq!(
        found,
        [
            "my.cf: `network = direct`: the demo rehearses `network = nat` only",
            "my.cf:13: virtual web: it forwards by `direct`; the demo rehearses `nat` only",
            "my.cf:13: virtual web: `fwmark = 5` needs firewall rules on the routers that mark packets, which an lvs.cf \
             does not have",
            "my.cf:13: virtual web: `send_program` needs /bin/gone, which is not on this machine",
        ]
    );
}

#[test]
fn what_cannot_be_reached_or_answered_is_told_with_its_line() {
    let far = refused(&file("", "").replace("10.0.0.12", "10.9.0.12"));
    assert_eq!(
        far,
        [
            "my.cf:27: virtual web: two: 10.9.0.12 is not in 10.0.0.0/24, the network of `nat_router`: the demo does \
          not know the way between"
        ]
    );
    let mute = refused(&file("", "send = \"x\"\n expect = \"^OK$\"\n use_regex = 1"));
    assert_eq!(mute.len(), 2, "{mute:?}");
    assert!(mute[0].starts_with("my.cf: virtual web: one:80: no answer was found"), "{mute:?}");
}

#[test]
fn addresses_that_make_no_sense_together_are_told() {
    let one_device = refused(&file("", "").replace("eth0:1", "eth1:2"));
    assert!(one_device[0].contains("the demo needs two devices"), "{one_device:?}");
    let no_partner = refused(&file("", "").replace("backup_active = 1", "backup_active = 0"));
    assert_eq!(
        no_partner,
        ["my.cf: `backup_active = 0`: without heartbeats no router takes over for the other"]
    );
}

#[test]
fn commands_of_the_file_are_kept_from_the_machine_itself() {
    let text = file("active_cmd = \"/bin/there now\"", "");
    let found = plan_natively(&text, true).expect_err("an obstacle");
    assert_eq!(
        found,
        [
            "my.cf: it names a command (active_cmd = /bin/there now), which on the running kernel would act on this \
          very machine; rehearse it with --kernel uml"
        ]
    );
    let notes = plan(&text).expect("no obstacle").notes;
    assert_eq!(
        notes,
        ["`active_cmd = /bin/there now` runs inside the lab, on its copy of this machine's files"]
    );
}

#[test]
fn the_example_can_be_rehearsed() {
    let text = include_str!("../../../../lvs.cf.example");
    let plan = plan(text).expect("no obstacle");
    let services: Vec<String> =
        plan.services.iter().map(|s| format!("{} {:?}", s.place(), s.spread)).collect();
    assert_eq!(services, ["192.0.2.10:80 ByWeight", "192.0.2.11:7000 Even"]);
    let machines: Vec<&str> = plan.machines.iter().map(|machine| machine.name.as_str()).collect();
    assert_eq!(machines, ["web1", "web2", "web3", "sorry"]);
    assert_eq!(plan.machines[0].ports.len(), 2, "web1 also serves orders");
    assert_eq!(plan.victim(&[0, 1, 2]), Some(0));
}

#[test]
fn the_last_server_of_a_service_is_not_killed() {
    let text = file("", "").replace("address = 10.0.0.12\n active = 1", "address = 10.0.0.12\n active = 0");
    let plan = plan(&text).expect("no obstacle");
    assert_eq!(plan.victim(&[0]), None);
}
