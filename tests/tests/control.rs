//! What an operator changes while `lvs` runs: drains, overrides, reloads with an answer, plans; and that all of it
//! survives a killed `lvs`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Finished, Lab, Match, Program, at, eventually, scenarios, standard, suite_binary};
use lvs_ipc::control::Reply;

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, counts, http, requests_since, web},
};

scenarios! {
    a_drained_server_keeps_its_connections_and_goes_with_the_last: 60,
    a_drain_ends_at_its_deadline_or_is_undone: 40,
    a_drained_server_keeps_its_flows_of_datagrams: 40,
    a_drained_server_keeps_its_persistent_clients: 40,
    a_drain_sends_persistent_clients_elsewhere_by_default: 60,
    a_server_taken_out_of_the_file_is_drained: 40,
    a_server_taken_out_while_lvs_is_dead_is_drained_until_somebody_ends_it: 40,
    overrides_survive_a_killed_lvs: 40,
    a_reload_is_answered_when_it_is_in_force: 30,
    a_plan_is_what_a_reload_then_does: 30,
    only_root_may_change_what_lvs_does: 30,
}

/// Both servers of the service.
const BOTH: [(&str, i32); 2] = [("rs1", 1), ("rs2", 1)];

fn two_servers() -> Block {
    virtual_server("web", 0).weights(&[1, 1])
}

/// Runs `lvs` with these words.
fn lvs(world: &OneRouter, words: &str) -> Result<Finished> {
    world.router.program("lvs").args(words.split(' ')).run(SOON)
}

/// Runs `lvs ctl` and expects this answer.
fn ctl(world: &OneRouter, words: &str, answer: &str) -> Result<()> {
    let told = lvs(world, &format!("ctl {words}"))?.success()?.stdout;
    ensure!(told.trim_end() == answer, "ctl {words}: {told}");
    Ok(())
}

/// The number of a server named `rsN`.
fn number(name: &str) -> Result<u8> {
    name.trim_start_matches("rs").parse().with_context(|| format!("no real server: {name}"))
}

/// The other one of two servers.
fn other(name: &str) -> Result<String> {
    Ok(format!("rs{}", 3 - number(name)?))
}

/// Who answers so many new connections, when there is only one who may.
fn only(world: &OneRouter, name: &str) -> Result<()> {
    let answers = world.ask_times(http(), 6)?;
    ensure!(answers == counts(&[(name, 6)]), "{answers:?}");
    Ok(())
}

/// A connection that lasts is not cut off, nobody new comes, and when it has ended the row goes.
fn a_drained_server_keeps_its_connections_and_goes_with_the_last(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs_runs = world.serve(file([two_servers()]), &BOTH)?;
    let mut held = world.hold(http())?;
    let (drained, left) = (held.server.clone(), other(&held.server)?);
    let told = lvs(&world, &format!("ctl drain web/{drained} --reason disk"))?.success()?.stdout;
    ensure!(told.starts_with(&format!("web/{drained}: draining without a time limit; ")), "{told}");
    lvs_runs.wait_for_line(&format!("override in force vs=web rs={drained} .*reason=disk"), SOON)?;
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    only(&world, &left)?;
    assert_eq!(held.ask()?, drained);
    let line = format!("web/{drained}  draining, 1 connection left; by root (process ");
    eventually(SOON, "the list to tell how far it is", || {
        let listed = lvs(&world, "ctl list").map_err(|error| format!("{error:#}"))?.stdout;
        if listed.starts_with(&line) && listed.ends_with(" ago: disk\n") { Ok(()) } else { Err(listed) }
    })?;
    let probe = world.probe()?;

    // The kernel keeps a connection that was reset for ten seconds.
    held.reset()?;
    probe.wait_for_successes(10, SOON)?;
    lvs_runs.wait_for_line(
        &format!("drained vs=web rs={drained} reason=\"no connection is left\""),
        Duration::from_secs(40),
    )?;
    world.wait_for_weights(web(), &[(&left, 1)])?;
    ctl(&world, &format!("undrain web/{drained}"), &format!("web/{drained}: drain ended"))?;
    world.wait_for_weights(web(), &BOTH)?;
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    Ok(())
}

/// The deadline takes the row with what is left on it; before it all can be as it was.
fn a_drain_ends_at_its_deadline_or_is_undone(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs_runs = world.serve(file([two_servers()]), &BOTH)?;
    let mut held = world.hold(http())?;
    let (drained, left) = (held.server.clone(), other(&held.server)?);
    lvs(&world, &format!("ctl drain web/{drained} --deadline 1h"))?.success()?;
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    ctl(&world, &format!("undrain web/{drained}"), &format!("web/{drained}: drain ended"))?;
    world.wait_for_weights(web(), &BOTH)?;
    assert_eq!(held.ask()?, drained);

    let asked = lab.now();
    // By its address, as well.
    lvs(&world, &format!("ctl drain web/10.2.0.10{}:80 --deadline 2s", number(&drained)?))?.success()?;
    world.wait_for_weights(web(), &[(&left, 1)])?;
    let took = lab.now() - asked;
    ensure!((1.9..6.0).contains(&took.as_secs_f64()), "a drain of 2 s took {took:?}");
    let line = format!("what is left is cut off vs=web rs={drained} reason=\"its time is over\"");
    lvs_runs.wait_for_line(&line, SOON)?;
    only(&world, &left)
}

fn names(vip: u8) -> Block {
    virtual_server("names", vip)
        .set("protocol", "udp")
        .set("port", 53)
        .set("send", "hello")
        .set("expect", "rs")
        .weights(&[1, 1])
}

/// One datagram on a socket of the client's, and who answered.
fn ask_by_datagram(socket: &std::net::UdpSocket, to: SocketAddr) -> Result<String> {
    socket.send_to(b"hello", to)?;
    let mut answer = [0; 64];
    let length = socket.recv(&mut answer).context("answer to a datagram")?;
    Ok(String::from_utf8_lossy(&answer[..length]).trim_end().to_owned())
}

/// A flow is what comes from one port. It ends when it pauses for as long as the kernel remembers it.
fn a_drained_server_keeps_its_flows_of_datagrams(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let to = at(standard::vip(0), 53);
    // Only a flow of its own socket has one and the same port.
    world.start_lvs(file([names(0)]).set("udp_timeout", 3))?;
    world.wait_for_weights(Match::Udp(to), &BOTH)?;
    let socket = world.client.udp("10.1.0.2:4000")?;
    let flow = ask_by_datagram(&socket, to)?;
    let left = other(&flow)?;
    let told = lvs(&world, &format!("ctl drain names/{flow}"))?.success()?.stdout;
    ensure!(told.contains("a UDP client that never pauses stays there until the time is over"), "{told}");
    world.wait_for_weights(Match::Udp(to), &[(&flow, 0), (&left, 1)])?;
    for port in 4001..4005 {
        let fresh = world.client.udp(&format!("10.1.0.2:{port}"))?;
        assert_eq!(ask_by_datagram(&fresh, to)?, left);
        assert_eq!(ask_by_datagram(&socket, to)?, flow);
    }
    world.wait_for_weights(Match::Udp(to), &[(&left, 1)])?;
    assert_eq!(ask_by_datagram(&socket, to)?, left);
    Ok(())
}

/// A client that the kernel remembers comes back to the server that is drained, another one does not.
fn a_drained_server_keeps_its_persistent_clients(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.client.add_address("eth0", "10.1.0.3/24")?;
    world.client.add_address("eth0", "10.1.0.4/24")?;
    world.router.set_sysctl("net.ipv4.vs.expire_quiescent_template", "0")?;
    let persistent = two_servers().set("persistent", 60);
    world.serve(file([persistent]).set("sysctl", "leave"), &BOTH)?;
    let ask_from = |address: &str| -> Result<String> {
        let from = format!("{address}:0").parse()?;
        Ok(world.hold_from(from, http())?.server)
    };
    let drained = ask_from("10.1.0.3")?;
    let left = other(&drained)?;
    let told = lvs(&world, &format!("ctl drain web/{drained}"))?.success()?.stdout;
    ensure!(told.contains("its clients are sent there again until they have been away for 1m"), "{told}");
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    for _ in 0..4 {
        assert_eq!(ask_from("10.1.0.3")?, drained);
        assert_eq!(ask_from("10.1.0.4")?, left);
    }
    eventually(SOON, "the list to tell of the client", || {
        let listed = lvs(&world, "ctl list").map_err(|error| format!("{error:#}"))?.stdout;
        if listed.contains(" and 1 remembered client left") { Ok(()) } else { Err(listed) }
    })?;
    // The kernel can be told to forget them.
    world.router.set_sysctl("net.ipv4.vs.expire_quiescent_template", "1")?;
    assert_eq!(ask_from("10.1.0.3")?, left);
    Ok(())
}

/// As `lvs` sets the kernel by itself, a client that it remembers goes elsewhere at once, and is not waited for.
fn a_drain_sends_persistent_clients_elsewhere_by_default(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.router.set_sysctl("net.ipv4.vs.expire_quiescent_template", "0")?;
    let lvs_runs = world.serve(file([two_servers().set("persistent", 600)]), &BOTH)?;
    eventually(SOON, "the setting of the kernel", || {
        let value = world.router.sysctl("net.ipv4.vs.expire_quiescent_template");
        if matches!(&value, Ok(value) if value == "1") { Ok(()) } else { Err(format!("{value:?}")) }
    })?;
    let mut held = world.hold(http())?;
    let (drained, left) = (held.server.clone(), other(&held.server)?);
    let told = lvs(&world, &format!("ctl drain web/{drained}"))?.success()?.stdout;
    let words =
        "its clients are sent to other real servers from now on (net.ipv4.vs.expire_quiescent_template = 1)";
    ensure!(told.contains(words) && !told.contains("remembered"), "{told}");
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    assert_eq!(world.hold(http())?.server, left);
    assert_eq!(held.ask()?, drained);
    // The kernel remembers the client for ten minutes, and the connection for ten seconds.
    held.reset()?;
    lvs_runs.wait_for_line(
        &format!("drained vs=web rs={drained} reason=\"no connection is left\""),
        Duration::from_secs(40),
    )?;
    world.wait_for_weights(web(), &[(&left, 1)])
}

/// With `drain` in the file, taking a server out of it cuts nobody off.
fn a_server_taken_out_of_the_file_is_drained(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let draining = |servers: &[u8]| {
        file([servers
            .iter()
            .fold(virtual_server("web", 0).set("drain", "1m"), |block, n| block.with(server(*n)))])
    };
    let lvs_runs = world.serve(draining(&[1, 2]), &BOTH)?;
    let mut held = world.hold(http())?;
    let (drained, left) = (held.server.clone(), other(&held.server)?);
    world.write(draining(&[number(&left)?]))?;
    ctl(&world, "reload", &format!("{CONFIG} is in force: 1 virtual server, 1 real server"))?;
    lvs_runs.wait_for_line(&format!("no longer in the file: draining vs=web rs={drained}"), SOON)?;
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    only(&world, &left)?;
    assert_eq!(held.ask()?, drained);
    let leaving = world.status()?.virtual_servers.remove(0).leaving;
    assert_eq!(leaving.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), [drained.as_str()]);

    // A drain outlives the lvs that began it.
    lvs_runs.kill9()?;
    let next = world.start_lvs(draining(&[number(&left)?]))?;
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    assert_eq!(held.ask()?, drained);
    held.reset()?;
    let line = format!("drained vs=web rs={drained} reason=\"no connection is left\"");
    next.wait_for_line(&line, Duration::from_secs(40))?;
    world.wait_for_weights(web(), &[(&left, 1)])
}

/// Also where nobody looked when it happened. What it has left can be cut off, and nothing else be asked of it.
fn a_server_taken_out_while_lvs_is_dead_is_drained_until_somebody_ends_it(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let draining = |servers: &[u8]| {
        let block = virtual_server("web", 0).set("drain", "10m");
        file([servers.iter().fold(block, |block, n| block.with(server(*n)))])
    };
    let lvs_runs = world.serve(draining(&[1, 2]), &BOTH)?;
    let mut held = world.hold(http())?;
    let (drained, left) = (held.server.clone(), other(&held.server)?);
    let address = format!("10.2.0.10{}:80", number(&drained)?);
    lvs_runs.kill9()?;
    let next = world.start_lvs(draining(&[number(&left)?]))?;
    next.wait_for_line(&format!("no longer in the file: draining vs=web rs={address}"), SOON)?;
    world.wait_for_weights(web(), &[(&drained, 0), (&left, 1)])?;
    assert_eq!(held.ask()?, drained);
    only(&world, &left)?;
    let refused = lvs(&world, &format!("ctl undrain web/{address}"))?;
    assert_eq!(refused.status.code(), Some(1));
    ensure!(
        refused.stderr.contains(&format!("web/{address} is leaving because the file no longer names it")),
        "{}",
        refused.stderr
    );
    let told = lvs(&world, &format!("ctl disable web/{address}"))?.success()?.stdout;
    ensure!(
        told.starts_with(&format!("web/{address}: out of the table; the file no longer names it; ")),
        "{told}"
    );
    world.wait_for_weights(web(), &[(&left, 1)])
}

/// Who asked for what, when and why, and that it holds; also that nobody notices the death.
fn overrides_survive_a_killed_lvs(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let three = file([virtual_server("web", 0).weights(&[1, 1, 1])]);
    let first = world.serve(&three, &[("rs1", 1), ("rs2", 1), ("rs3", 1)])?;
    ctl(&world, "weight web/rs1 7 --reason bigger", "web/rs1: weight 7 until it is reset")?;
    let told = lvs(&world, "ctl disable web/rs2")?.success()?.stdout;
    ensure!(told.starts_with("web/rs2: out of the table until it is enabled"), "{told}");
    let overridden = [("rs1", 7), ("rs3", 1)];
    world.wait_for_weights(web(), &overridden)?;
    let saved = || world.router.read_file("/var/lib/lvs-router/lvs.state");
    eventually(SOON, "the state file", || match saved() {
        Ok(text) if text.contains("rs1") && text.contains("rs2") => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let probe = world.probe()?;
    first.kill9()?;
    let next = world.start_lvs(&three)?;
    for server in ["101", "102", "103"] {
        next.wait_for_line(&format!("real server up vs=web rs=10.2.0.{server}:80"), SOON)?;
    }
    assert_eq!(requests_since(lab, &next, 0)?, Vec::<String>::new());
    next.wait_for_line(
        "in force again vs=web rs=rs1 what=\"weight 7\" by=\"root .*reason=bigger ago=",
        SOON,
    )?;
    next.wait_for_line(
        "in force again vs=web rs=rs2 what=disable by=\"root .*reason=\"none given\" ago=",
        SOON,
    )?;
    world.wait_for_weights(web(), &overridden)?;
    let listed = lvs(&world, "ctl list")?.success()?.stdout;
    let lines: Vec<&str> = listed.lines().collect();
    ensure!(lines.len() == 2 && lines[0].starts_with("web/rs1  weight 7; by root (process "), "{listed}");
    ensure!(
        lines[0].ends_with(" ago: bigger") && lines[1].starts_with("web/rs2  disabled; by root"),
        "{listed}"
    );
    ctl(&world, "reset web", "web/rs1: weight ended\nweb/rs2: disable ended")?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 1), ("rs3", 1)])?;
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");

    // A state file that makes no sense is kept and told about, and nothing else happens.
    next.kill9()?;
    world.router.write_file("/var/lib/lvs-router/lvs.state", "{\"version\":9}")?;
    let last = world.start_lvs(&three)?;
    last.wait_for_line(
        "lvs.state: it is of version 9, .*kept as /var/lib/lvs-router/lvs.state.broken",
        SOON,
    )?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 1), ("rs3", 1)])?;
    assert_eq!(world.router.read_file("/var/lib/lvs-router/lvs.state.broken")?, "{\"version\":9}");
    Ok(())
}

/// Whoever waits for the answer knows what became of the file.
fn a_reload_is_answered_when_it_is_in_force(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let good = file([two_servers()]);
    world.serve(&good, &BOTH)?;
    world.write(file([virtual_server("web", 0).weights(&[3, 1])]))?;
    ctl(&world, "reload", &format!("{CONFIG} is in force: 1 virtual server, 2 real servers"))?;
    world.wait_for_weights(web(), &[("rs1", 3), ("rs2", 1)])?;

    world.write(format!("colour = blue\nsize = 3\n{good}"))?;
    let refused = lvs(&world, "ctl reload")?;
    assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(78), ""));
    let lines: Vec<&str> = refused.stderr.lines().collect();
    ensure!(lines.len() == 2, "{}", refused.stderr);
    ensure!(
        lines[0].starts_with(&format!("{CONFIG}:1:1: error: unknown directive `colour`")),
        "{}",
        refused.stderr
    );
    world.wait_for_weights(web(), &[("rs1", 3), ("rs2", 1)])?;

    let misspelt = lvs(&world, "ctl drain wbe/rs1")?;
    assert_eq!(misspelt.status.code(), Some(1));
    assert_eq!(misspelt.stderr, "lvs: there is no active virtual server wbe; did you mean web?\n");
    Ok(())
}

/// What was foretold, and nothing else, reaches the kernel.
fn a_plan_is_what_a_reload_then_does(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let lvs_runs = world.serve(file([two_servers()]), &BOTH)?;
    let other_file = file([
        virtual_server("web", 0).set("scheduler", "wrr").with(server(2).set("weight", 5)).with(server(3)),
        virtual_server("shop", 1).with(server(2)),
    ]);
    let path = "/etc/sysconfig/ha/next.cf";
    world.router.write_file(path, other_file.to_string())?;
    assert_eq!(lvs(&world, &format!("diff {CONFIG}"))?.success()?.stdout, "nothing to do\n");
    let mark = lab.journal().mark();
    let plan = lvs(&world, &format!("diff {path}"))?.success()?.stdout;
    for words in [
        "web: scheduler wrr instead of rr",
        "web: rs2 10.2.0.102:80 weight 5 instead of 1",
        "web: rs1 10.2.0.101:80 removed",
        "shop: new service TCP 10.1.0.101:80, scheduler rr",
        "web: rs3 10.2.0.103:80 added with weight 1 when its first check passes",
        "monitors stopped: web/rs1",
    ] {
        ensure!(plan.lines().any(|line| line == words), "{words:?} is not in:\n{plan}");
    }
    let told: Vec<&str> = plan.lines().filter_map(|line| line.strip_prefix("ipvsadm ")).collect();
    ensure!(told.len() >= 4, "{plan}");
    assert_eq!(requests_since(lab, &lvs_runs, mark)?, Vec::<String>::new());

    world.write(&other_file)?;
    lvs(&world, "ctl reload")?.success()?;
    world.wait_for_weights(web(), &[("rs2", 5), ("rs3", 1)])?;
    let done = requests_since(lab, &lvs_runs, mark)?;
    assert_eq!(done[..told.len()], told, "{done:?}");
    // What was to come with the first checks came after it.
    let later = ["-a -t 10.1.0.100:80 -r 10.2.0.103:80 -m -w 1"];
    ensure!(done[told.len()..].iter().any(|request| later.contains(&request.as_str())), "{done:?}");

    // Without a director it is told what starting one would do.
    end(&lvs_runs)?;
    let alone = lvs(&world, &format!("diff {path}"))?.success()?.stdout;
    ensure!(
        alone.starts_with("# no lvs is running: nobody listens at /run/lvs-router/lvs-control.sock"),
        "{alone}"
    );
    ensure!(alone.contains("\nipvsadm -A -t 10.1.0.100:80 -s wrr\n"), "{alone}");
    let alone = lvs(&world, &format!("diff --json {path}"))?.success()?.stdout;
    let Reply::Plan(plan) = serde_json::from_str(&alone)? else { bail!("{alone}") };
    ensure!(plan.of_start && plan.requests.contains(&"-A -t 10.1.0.100:80 -s wrr".to_owned()), "{alone}");
    Ok(())
}

fn end(lvs_runs: &Program) -> Result<()> {
    lvs_runs.signal(lab::Signal::SIGTERM)?;
    assert_eq!(lvs_runs.wait_exit(SOON)?.code(), Some(0));
    Ok(())
}

/// Anybody else is told so, and changes nothing.
fn only_root_may_change_what_lvs_does(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.serve(file([two_servers()]), &BOTH)?;
    let program = suite_binary("lvs")?;
    let as_nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let refused = world
        .router
        .tool("setpriv")
        .args(as_nobody)
        .arg(&program)
        .args(["ctl", "disable", "web/rs1"])
        .run(SOON)?;
    assert_eq!(refused.status.code(), Some(77), "{}", refused.stderr);
    let socket = "/run/lvs-router/lvs-control.sock";
    let why =
        "only root, or the user that runs lvs, may change what it does: Permission denied (os error 13)";
    assert_eq!(refused.stderr, format!("lvs: {socket}: {why}\n"));
    world.wait_for_weights(web(), &BOTH)
}
