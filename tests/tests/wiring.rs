//! The lab itself: what every other scenario takes for granted.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Behaviour, Forwarding, Lab, Match, Signal, at, eventually, scenarios, standard};

scenarios! {
    requests_alternate_through_ipvs_nat: 30,
    a_cut_cable_takes_the_carrier_and_a_silent_one_does_not: 30,
    an_outage_is_measured_from_the_last_answer_to_the_next: 30,
    a_program_is_watched_signalled_and_reaped: 30,
}

const SOON: Duration = Duration::from_secs(5);

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

    let outages = report.outages();
    assert_eq!(outages.len(), 1, "{report}");
    let gap = outages[0].gap().expect("service returned");
    ensure!(gap <= up - down + ms(100), "down for {:?}, measured {gap:?}", up - down);
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
