//! What `lvs status` and the metrics say is what the kernel counted, and no reader can keep the director from its work.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Signal, at, eventually, scenarios, standard};
use lvs_ipc::counts::{Repairs, Traffic};

use crate::{
    cf::{Block, file, virtual_server},
    one_router::{OneRouter, SOON, http, web},
};

scenarios! {
    status_and_metrics_are_what_the_kernel_counted: 40,
    the_port_of_metrics_opens_moves_and_closes_with_the_file: 40,
    no_reader_of_metrics_keeps_the_director_from_its_work: 40,
}

/// Where metrics are collected.
fn collector() -> SocketAddr {
    port(9646)
}

/// A port of the router's first address.
fn port(number: u16) -> SocketAddr {
    at(standard::router_public(1), number)
}

/// Two real servers behind the first virtual server.
fn two_servers() -> Block {
    file([virtual_server("web", 0).weights(&[1, 1])])
}

/// The same, and where metrics are collected.
fn told() -> Block {
    two_servers().set("metrics", collector())
}

/// One HTTP request from the client: the whole answer.
fn fetch(world: &OneRouter, from: SocketAddr, request: &[u8]) -> Result<String> {
    let mut stream = world.client.connect(from, SOON)?;
    // A server may answer before it has heard all.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the answer")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The metrics over HTTP.
fn metrics(world: &OneRouter, from: SocketAddr) -> Result<String> {
    let answer = fetch(world, from, b"GET /metrics HTTP/1.1\r\nHost: lvs\r\n\r\n")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
    ensure!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    Ok(body.to_owned())
}

/// The value of the first sample that begins like this.
fn sample(text: &str, start: &str) -> Option<u64> {
    text.lines().find(|line| line.starts_with(start))?.rsplit(' ').next()?.parse().ok()
}

/// Connections, packets and octets of the service and its rows in the words of the C program, in the order in which it
/// lists them.
fn kernel_counts(counters: &str) -> Vec<Vec<u64>> {
    let rows = counters.lines().filter(|line| line.starts_with("TCP ") || line.starts_with("  -> 10."));
    rows.map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect()).collect()
}

fn told_counts(traffic: Option<Traffic>) -> Vec<u64> {
    let traffic = traffic.unwrap_or_default();
    let Traffic { connections, packets_in, packets_out, bytes_in, bytes_out, .. } = traffic;
    vec![connections, packets_in, packets_out, bytes_in, bytes_out]
}

/// Waits until the status tells of one service and two real servers put back, and of nothing else.
fn wait_for_repairs(world: &OneRouter) -> Result<()> {
    let wanted = Repairs { services_added: 1, servers_added: 2, ..Repairs::default() };
    eventually(SOON, "the repairs to be told", || {
        let repairs = world.status().map_err(|error| format!("{error:#}"))?.repairs;
        if repairs.by_kind() == wanted.by_kind() { Ok(()) } else { Err(format!("{repairs:?}")) }
    })
}

fn status_and_metrics_are_what_the_kernel_counted(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let _lvs = world.serve(told(), &[("rs1", 1), ("rs2", 1)])?;
    world.ask_times(http(), 30)?;
    let rates = eventually(SOON, "a rate of connections", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        let traffic = status.virtual_servers[0].traffic.ok_or("no traffic")?;
        if traffic.per_second.connections > 0 { Ok(traffic.per_second) } else { Err(format!("{traffic:?}")) }
    })?;
    ensure!(rates.packets_in > 0 && rates.bytes_out > 0, "{rates:?}");
    let counted = kernel_counts(&world.counters()?);
    eventually(SOON, "the status to have the kernel's numbers", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        let web = &status.virtual_servers[0];
        let mut told = vec![told_counts(web.traffic)];
        told.extend(web.real_servers.iter().map(|server| told_counts(server.traffic)));
        told[1..].sort();
        let mut wanted = counted.clone();
        wanted[1..].sort();
        if told == wanted { Ok(()) } else { Err(format!("{told:?}, the kernel has {wanted:?}")) }
    })?;
    ensure!(counted[0][0] == 30, "the kernel counted {counted:?}");
    let text = metrics(&world, collector())?;
    for (name, value) in [
        ("connections", counted[0][0]),
        ("incoming_packets", counted[0][1]),
        ("outgoing_packets", counted[0][2]),
        ("incoming_bytes", counted[0][3]),
        ("outgoing_bytes", counted[0][4]),
    ] {
        let told = sample(&text, &format!("lvs_virtual_server_{name}_total{{"));
        ensure!(told == Some(value), "{name}: {told:?} instead of {value}");
    }
    ensure!(sample(&text, "lvs_table_repairs_total{kind=\"service_added\"}") == Some(0));

    world.ipvsadm("-C")?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 1)])?;
    wait_for_repairs(&world)?;
    let text = metrics(&world, collector())?;
    ensure!(sample(&text, "lvs_table_repairs_total{kind=\"service_added\"}") == Some(1));
    ensure!(sample(&text, "lvs_table_repairs_total{kind=\"server_added\"}") == Some(2));
    let printed = world.router.program("lvs").args(["status", "--metrics"]).run(SOON)?.success()?.stdout;
    ensure!(sample(&printed, "lvs_table_repairs_total{kind=\"server_added\"}") == Some(2), "{printed}");
    Ok(())
}

/// A place that is taken costs the metrics and nothing else, until it is free.
fn the_port_of_metrics_opens_moves_and_closes_with_the_file(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs = world.serve(two_servers(), &[("rs1", 1), ("rs2", 1)])?;
    let reload = |file: Block, answer: &str| {
        let mark = lab.journal().mark();
        world.write(file)?;
        lvs.signal(Signal::SIGHUP)?;
        lvs.wait_for_line_after(mark, answer, SOON)
    };
    let served = |number| -> Result<()> {
        let told = sample(&metrics(&world, port(number))?, "lvs_table_as_wanted");
        ensure!(told == Some(1), "{told:?}");
        Ok(())
    };
    let nobody_at = |number: u16| {
        eventually(SOON, &format!("port {number} to be closed"), || {
            match world.client.connect(port(number), SOON) {
                Ok(_) => Err("somebody listens".to_owned()),
                Err(error) if format!("{error:#}").contains("refused") => Ok(()),
                Err(error) => Err(format!("{error:#}")),
            }
        })
    };
    nobody_at(9646)?;
    reload(told(), "metrics are served address=10.1.0.11:9646")?;
    served(9646)?;
    reload(two_servers().set("metrics", port(9647)), "metrics are served address=10.1.0.11:9647")?;
    served(9647)?;
    nobody_at(9646)?;
    // The same port elsewhere is free at once.
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 9647));
    reload(two_servers().set("metrics", everywhere), "metrics are served address=0.0.0.0:9647")?;
    served(9647)?;

    let taken = world.router.enter(|| TcpListener::bind(port(9648)))??;
    let mark = lab.journal().mark();
    reload(
        two_servers().set("metrics", port(9648)),
        "metrics: cannot listen address=10.1.0.11:9648 .*in use",
    )?;
    nobody_at(9647)?;
    world.ask(http())?;
    drop(taken);
    lvs.wait_for_line_after(mark, "metrics are served address=10.1.0.11:9648", SOON)?;
    served(9648)?;

    reload(two_servers(), "configuration in force")?;
    nobody_at(9648)?;
    reload(told(), "metrics are served address=10.1.0.11:9646")?;
    served(9646)?;
    let failures = lvs.lines().iter().filter(|line| line.text.contains("cannot listen")).count();
    ensure!(failures == 1, "{failures} attempts to listen failed");
    Ok(())
}

fn no_reader_of_metrics_keeps_the_director_from_its_work(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let _lvs = world.serve(told(), &[("rs1", 1), ("rs2", 1)])?;
    // None of these reads a byte; half of them ask.
    let mut crowd = Vec::new();
    for n in 0..200 {
        let mut stream = world.client.connect(collector(), SOON)?;
        if n % 2 == 0 {
            // Those that came first have been sent away to make room.
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n");
        }
        crowd.push(stream);
    }
    let mut long = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    long.resize(1024 * 1024, b'a');
    ensure!(fetch(&world, collector(), &long)?.starts_with("HTTP/1.1 431 "));
    ensure!(fetch(&world, collector(), &[0xff; 4096])?.starts_with("HTTP/1.1 400 "));
    ensure!(fetch(&world, collector(), b"GET / HTTP/1.1\r\n\r\n")?.starts_with("HTTP/1.1 404 "));
    ensure!(fetch(&world, collector(), b"POST /metrics HTTP/1.1\r\n\r\n")?.starts_with("HTTP/1.1 405 "));
    ensure!(sample(&metrics(&world, collector())?, "lvs_table_as_wanted") == Some(1));
    world.ipvsadm("-C")?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 1)])?;
    wait_for_repairs(&world)?;
    drop(crowd);
    Ok(())
}
