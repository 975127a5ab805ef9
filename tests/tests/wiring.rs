//! The lab itself: what every other scenario takes for granted.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{
    Behaviour, Failure, Forwarding, HostSpec, Impairment, Lab, Match, Signal, at, eventually, scenarios,
    standard,
};

scenarios! {
    requests_alternate_through_ipvs_nat: 30,
    a_cut_cable_takes_the_carrier_and_a_silent_one_does_not: 30,
    an_outage_is_measured_from_the_last_answer_to_the_next: 30,
    a_program_is_watched_signalled_and_reaped: 30,
    a_real_server_behaves_as_it_is_told: 30,
    both_address_families_and_udp_reach_a_real_server: 30,
    one_way_silence_and_delay_act_on_the_cable_alone: 30,
    hosts_of_any_name_stand_on_any_bridge: 30,
    direct_routing_reaches_a_server_that_holds_the_vip: 30,
}

const SOON: Duration = Duration::from_secs(10);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The whole way of a request: client, VIP, kernel table, two real servers, and back.
fn requests_alternate_through_ipvs_nat(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).real_servers(2).build()?;
    let r1 = cluster.router(1)?;
    r1.add_address("eth1", standard::NAT_ROUTER)?;
    r1.add_address("eth0", "10.1.0.100/24")?;
    let servers = [cluster.real_server(1)?.real_server(&[80])?, cluster.real_server(2)?.real_server(&[80])?];
    for args in [
        "-A -t 10.1.0.100:80 -s rr",
        "-a -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1",
        "-a -t 10.1.0.100:80 -r 10.2.0.102:80 -m -w 1",
    ] {
        r1.tool("ipvsadm").args(args.split(' ')).run(SOON)?.success()?;
    }

    let table = r1.ipvs_table()?;
    assert_eq!(table.len(), 1);
    assert_eq!(table[0].matches, Match::Tcp(at(standard::vip(0), 80)));
    assert_eq!(table[0].scheduler, "rr");
    let rs1 = table[0].destination(at(standard::real_server(1), 80)).expect("rs1 is in the table");
    assert_eq!((rs1.forwarding.clone(), rs1.weight), (Forwarding::Masq, 1));

    let probe = cluster.client()?.probe(at(standard::vip(0), 80)).start()?;
    probe.wait_for_successes(40, SOON)?;
    let report = probe.stop()?;
    assert_eq!(report.failures(), Vec::<&lab::Request>::new());
    let counts: Vec<usize> = report.servers().into_values().collect();
    ensure!(counts.len() == 2 && counts[0].abs_diff(counts[1]) <= 1, "not even: {report}");
    assert_eq!(servers[0].counts().client_requests + servers[1].counts().client_requests, report.total());
    Ok(())
}

/// The two ways a cable fails look different to the host and the same to everyone else.
fn a_cut_cable_takes_the_carrier_and_a_silent_one_does_not(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let (client, r1) = (cluster.client()?, cluster.router(1)?);
    let carrier = || r1.read_file("/sys/class/net/eth0/carrier").map(|text| text.trim() == "1");
    let router = standard::router_public(1);
    cluster.wait_until_reachable("client", router, SOON)?;
    let link = r1.link("eth0")?;
    let ping = || client.tool("ping").args(["-n", "-c1", "-W1", &router.to_string()]).run(SOON);

    link.cut()?;
    eventually(SOON, "carrier loss", || {
        if carrier().unwrap_or(true) { Err("carrier") } else { Ok(()) }.map_err(str::to_owned)
    })?;
    ensure!(!ping()?.status.success(), "a cut cable carried an answer");
    link.restore()?;
    cluster.wait_until_reachable("client", router, SOON)?;

    link.silence()?;
    ensure!(!ping()?.status.success(), "a silent cable carried an answer");
    ensure!(carrier()?, "a silent cable took the carrier");
    link.restore()?;
    cluster.wait_until_reachable("client", router, SOON)
}

/// What the numbers of all failover scenarios rest on.
fn an_outage_is_measured_from_the_last_answer_to_the_next(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let capture = cluster.capture(standard::PUBLIC)?;
    let server = cluster.router(1)?.real_server(&[80])?;
    let probe = cluster.client()?.probe(at(standard::router_public(1), 80)).start()?;
    probe.wait_for_successes(20, SOON)?;
    let down = lab.now();
    server.behave(&Behaviour::Refuse)?;
    probe.wait_for_failure(SOON)?;
    server.behave(&Behaviour::Answer)?;
    let up = lab.now();
    probe.wait_for_successes(20, SOON)?;
    let report = probe.stop()?;

    // A busy server breaks requests that it had not come to yet, so that there may be several short outages.
    let outage = report.longest_outage().expect("there was a failure");
    let gap = outage.gap().expect("service returned");
    ensure!(gap <= up - down + ms(500), "down for {:?}, measured {gap:?}", up - down);
    ensure!(report.failures().iter().all(|request| request.at <= up), "failed while serving: {report}");
    assert_eq!(report.servers().into_keys().collect::<Vec<_>>(), ["r1"]);

    let (_, arp) = capture.wait_for("ARP request for r1", SOON, |frame| {
        frame.arp().filter(|arp| arp.is_request() && arp.target_ip == standard::router_public(1))
    })?;
    assert_eq!(arp.sender_mac, cluster.client()?.link("eth0")?.mac());
    Ok(())
}

/// Programs: lines as they come, signals, exit status, children, an own `/run`.
fn a_program_is_watched_signalled_and_reaped(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(2).build()?;
    let (r1, r2) = (cluster.router(1)?, cluster.router(2)?);
    r1.write_file("/run/lvs-router/mine", "r1")?;
    ensure!(r2.read_file("/run/lvs-router/mine").is_err(), "r2 sees the /run of r1");

    let script = "trap 'kill $!; echo bye; exit 3' TERM; sleep 100 & echo ready; wait";
    let program = r1.tool("sh").args(["-c", script]).label("sitter").start()?;
    program.wait_for_line("^ready$", SOON)?;
    assert_eq!(program.children()?.len(), 1);
    program.signal(Signal::SIGTERM)?;
    program.wait_for_line("^bye$", SOON)?;
    assert_eq!(program.wait_exit(SOON)?.code(), Some(3));
    let failure = program.wait_for_line("never", SOON).expect_err("it has ended");
    ensure!(failure.to_string().contains("r1/sitter"), "{failure}");
    Ok(())
}

/// Each behaviour as a client sees it, and back to normal after each.
fn a_real_server_behaves_as_it_is_told(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let server = cluster.router(1)?.real_server(&[80])?;
    let client = cluster.client()?;
    let target = at(standard::router_public(1), 80);
    let outcome = || -> Result<Result<String, Failure>> {
        let probe = client.probe(target).every(ms(150)).timeout(ms(600)).start()?;
        eventually(SOON, "a request", || probe.report().requests.first().cloned().ok_or_else(String::new))?;
        Ok(probe.stop()?.requests.swap_remove(0).outcome)
    };
    let bad = |status: &str| Err(Failure::BadAnswer(format!("HTTP/1.1 {status}")));
    for (behaviour, expected) in [
        (Behaviour::Say("rs9".to_owned()), Ok("rs9".to_owned())),
        (Behaviour::Status("503 Busy".to_owned()), bad("503 Busy")),
        (Behaviour::Hang, Err(Failure::Timeout)),
        (Behaviour::Slow(ms(3000)), Err(Failure::Timeout)),
        (Behaviour::Slow(ms(20)), Ok("r1".to_owned())),
        (Behaviour::Close, Err(Failure::Broken)),
        (Behaviour::Reset, Err(Failure::Broken)),
        (Behaviour::Refuse, Err(Failure::Refused)),
    ] {
        server.behave(&behaviour)?;
        assert_eq!(outcome()?, expected, "{behaviour:?}");
        server.behave(&Behaviour::Answer)?;
        assert_eq!(outcome()?, Ok("r1".to_owned()), "after {behaviour:?}");
    }
    assert_eq!(server.counts().checks, 0);
    Ok(())
}

/// IPv4 and IPv6, a connection each, one connection for all, and datagrams.
fn both_address_families_and_udp_reach_a_real_server(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).build()?;
    let server = cluster.router(1)?.real_server(&[80])?;
    let client = cluster.client()?;
    let router6 = "fd00:1::11".parse()?;
    let router = standard::router_public(1);
    let before = server.counts();
    for probe in [
        client.probe(at(router, 80)),
        client.probe(at(router6, 80)),
        client.probe(at(router, 80)).one_connection(),
        client.probe(at(router6, 80)).one_connection(),
        client.probe(at(router, 80)).udp(),
        client.probe(at(router6, 80)).udp(),
    ] {
        let probe = probe.start()?;
        probe.wait_for_successes(10, SOON)?;
        let report = probe.stop()?;
        assert_eq!(report.failures(), Vec::<&lab::Request>::new());
        assert_eq!(report.servers().into_keys().collect::<Vec<_>>(), ["r1"]);
    }
    ensure!(server.counts().client_requests >= before.client_requests + 60, "{:?}", server.counts());

    // The heartbeat player: a datagram from a chosen port, seen on the wire and received.
    let capture = cluster.capture(standard::PUBLIC)?;
    let (sender, receiver) = (client.udp("10.1.0.2:539")?, cluster.router(1)?.udp("0.0.0.0:540")?);
    sender.send_to(&[0xca, 0xfe], at(router, 540))?;
    let mut buffer = [0; 16];
    let (length, from) = receiver.recv_from(&mut buffer)?;
    assert_eq!((&buffer[..length], from), (&[0xca, 0xfe][..], at(standard::CLIENT, 539)));
    let (_, seen) =
        capture.wait_for("the datagram", SOON, |frame| frame.udp().filter(|udp| udp.to.port() == 540))?;
    assert_eq!(seen.payload, [0xca, 0xfe]);
    Ok(())
}

/// A router that can hear but not speak, one that can speak but not hear, and a slow line.
fn one_way_silence_and_delay_act_on_the_cable_alone(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(2).build()?;
    let (r1, r2) = (cluster.router(1)?, cluster.router(2)?);
    let (at_r1, at_r2) = (r1.udp("0.0.0.0:539")?, r2.udp("0.0.0.0:539")?);
    at_r1.set_read_timeout(Some(ms(600)))?;
    at_r2.set_read_timeout(Some(ms(600)))?;
    // Neighbours must know each other before one of them falls silent.
    cluster.wait_until_reachable("r1", standard::router_public(2), SOON)?;
    let mut buffer = [0; 16];
    let mut heard = || -> Result<(bool, bool)> {
        at_r1.send_to(b"1", at(standard::router_public(2), 539))?;
        at_r2.send_to(b"2", at(standard::router_public(1), 539))?;
        Ok((at_r1.recv(&mut buffer).is_ok(), at_r2.recv(&mut buffer).is_ok()))
    };
    let link = r1.link("eth0")?;
    assert_eq!(heard()?, (true, true));
    link.silence_sending()?;
    assert_eq!(heard()?, (true, false));
    link.restore()?;
    link.silence_receiving()?;
    assert_eq!(heard()?, (false, true));
    link.restore()?;
    assert_eq!(heard()?, (true, true));

    link.impair(Impairment { delay: ms(80), ..Impairment::default() })?;
    let sent = lab.now();
    at_r2.send_to(b"2", at(standard::router_public(1), 539))?;
    at_r1.recv(&mut buffer)?;
    ensure!(lab.now() - sent >= ms(80), "not delayed");
    Ok(())
}

/// What a cluster from somebody's own lvs.cf needs: odd names, several addresses, routes.
fn hosts_of_any_name_stand_on_any_bridge(lab: &Lab) -> Result<()> {
    let cluster = lab
        .cluster()
        .host(
            HostSpec::new("gateway.example")
                .interface("bond0.10", "dmz", ["192.168.26.201/24", "192.168.26.202/32"])
                .interface("eth7", "office", ["172.16.0.1/12"])
                .forwarding(),
        )
        .host(HostSpec::new("web").interface("eth0", "dmz", ["192.168.26.9/24"]).gateway("192.168.26.201"))
        .host(HostSpec::new("pc").interface("eth0", "office", ["172.16.0.9/12"]).gateway("172.16.0.1"))
        .build()?;
    cluster.wait_until_reachable("pc", "192.168.26.9".parse()?, SOON)?;
    let gateway = cluster.host("gateway.example")?;
    ensure!(gateway.has_address("192.168.26.202")?, "{:?}", gateway.addresses()?);
    gateway.remove_address("bond0.10", "192.168.26.202/32")?;
    ensure!(!gateway.has_address("192.168.26.202")?, "{:?}", gateway.addresses()?);
    assert_eq!(gateway.sysctl("net.ipv4.ip_forward")?, "1");
    let failure = cluster.host("gatway").expect_err("no such host").to_string();
    assert_eq!(failure, "no host gatway among [gateway.example, web, pc]");
    Ok(())
}

/// The answer does not come back through the router.
fn direct_routing_reaches_a_server_that_holds_the_vip(lab: &Lab) -> Result<()> {
    let cluster = lab.cluster().routers(1).real_servers(1).direct_routing().build()?;
    let r1 = cluster.router(1)?;
    r1.add_address("eth0", "10.1.0.100/24")?;
    let _server = cluster.real_server(1)?.real_server(&[80])?;
    for args in ["-A -t 10.1.0.100:80 -s wlc", "-a -t 10.1.0.100:80 -r 10.1.0.201:80 -g"] {
        r1.tool("ipvsadm").args(args.split(' ')).run(SOON)?.success()?;
    }
    let probe = cluster.client()?.probe(at(standard::vip(0), 80)).start()?;
    probe.wait_for_successes(10, SOON)?;
    let report = probe.stop()?;
    assert_eq!(report.servers().into_keys().collect::<Vec<_>>(), ["rs1"]);
    assert_eq!(r1.ipvs_table()?[0].destinations[0].forwarding, Forwarding::Route);
    Ok(())
}
