//! Ten thousand real servers: a start, a reload and a restart cost what they must, and no more.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use lab::{Balancing, Lab, Layout, Program, Signal, eventually, scenarios, wait_for_weight};

use super::crowd::{Crowd, LONG};

scenarios! {
    ten_thousand_servers_are_served_reloaded_and_adopted: 90,
}

/// Real servers of each virtual server. All have the same, so as many monitors check them all.
const EACH: usize = 10;
/// Most memory that the director may ever have held, in kilobytes, and how much more of it a reload like one before may
/// take. One that loses its old file, or what it has read, takes as much again.
const MOST_MEMORY: u32 = 128 << 10;
const MOST_GROWTH: u32 = 2 << 10;
/// Reloads, of which the first ones fill what is used again later.
const RELOADS: u32 = 6;
const FILLING: usize = 3;

/// The most memory that a process has held so far, in kilobytes.
fn peak_memory(lvs: &Program) -> Result<u32> {
    let text = fs::read_to_string(format!("/proc/{}/status", lvs.pid()))?;
    let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a line VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}

fn monitors(lvs: &Program) -> Result<Vec<i32>> {
    eventually(LONG, "a monitor for each real server", || {
        let found = lvs.children().map_err(|error| format!("{error:#}"))?;
        if found.len() == EACH { Ok(found) } else { Err(format!("{} monitors", found.len())) }
    })
}

fn ten_thousand_servers_are_served_reloaded_and_adopted(lab: &Lab) -> Result<()> {
    let crowd = Crowd::new(lab)?;
    let mut file = Balancing::of(1000, 1000 * EACH, Layout::Shared);
    let from = lab.now();
    let lvs = crowd.serve(&file)?;
    lab.note(format!("the table was complete after {:?}", lab.now() - from));
    let checks = monitors(&lvs)?;

    let (mut before, mut held) = (crowd.status()?, Vec::new());
    for weight in 100..100 + RELOADS {
        file = file.with_last_weight(weight);
        crowd.write(&file)?;
        lvs.signal(Signal::SIGHUP)?;
        let last = file.last();
        wait_for_weight(&crowd.host, last.service, last.server, weight, LONG)?;
        let after = crowd.status()?;
        let requests = after.requests.sent - before.requests.sent;
        let starts = after.monitors.starts - before.monitors.starts;
        assert_eq!((after.reloads.good - before.reloads.good, requests, starts), (1, 1, 0));
        before = after;
        held.push(peak_memory(&lvs)?);
    }
    assert_eq!(lvs.children()?, checks);
    crowd.wait_until_equal(&file)?;
    lab.note(format!("kilobytes after each reload: {held:?}"));
    let (usual, most) = (held[FILLING - 1], held[held.len() - 1]);
    ensure!(most <= MOST_MEMORY && most - usual <= MOST_GROWTH, "{held:?} kB");

    lvs.kill9()?;
    let next = crowd.serve(&file)?;
    next.wait_for_line("adopted what is in the kernel already services=1000 servers=10000", LONG)?;
    monitors(&next)?;
    eventually(LONG, "the first result of every check", || {
        let status = crowd.status().map_err(|error| format!("{error:#}"))?;
        let servers = status.virtual_servers.iter().flat_map(|service| &service.real_servers);
        match servers.filter(|server| server.health.reason == "not checked yet").count() {
            0 => Ok(()),
            count => Err(format!("{count} are not checked yet")),
        }
    })?;
    assert_eq!(crowd.status()?.requests.sent, 0);
    crowd.wait_until_equal(&file)
}
