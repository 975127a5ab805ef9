//! Benchmark `lvs`: the director and keepalived do the same with the same virtual servers.
//!
//! | what | begins | ends |
//! | --- | --- | --- |
//! | check of a file | start of the program | its end |
//! | start | start of the program | the last row of the file is in the kernel's table |
//! | memory | – | what the director holds by itself then, without monitors |
//! | reload that changes a weight | SIGHUP | the kernel's row has it |
//!
//! After a start and after a reload the whole table is compared with the file, by the kernel's own words. A reload of ours
//! must have sent one request and started no monitor; otherwise the benchmark fails. Each sample is taken in a network
//! namespace of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lvs_ipc::status::LvsStatus;
use nix::sys::signal::Signal;

use super::{
    Benchmark, Findings,
    peer::Peer,
    rounds::{Both, Side, alternate},
    row::{Row, SECONDS, Samples},
    size::Size,
    timed::{Executable, Job},
};
use crate::{
    Balancing, Host, HostSpec, Lab, Layout, Program, RealServer, balancing, balancing::kernel, eventually,
};

mod memory;
mod processor;

/// The benchmark.
pub(crate) const LVS: Benchmark = Benchmark {
    name: "lvs",
    about: "our director and keepalived check a file, start, and reload one change",
    limit: Duration::from_secs(1800),
    measure,
};

/// Rounds that count.
const ROUNDS: usize = 5;
/// How long a step may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What is started and reloaded.
const SIZE: Size = Size::new(1000, 10);
/// The installation whose file is checked: so many virtual servers, with so many real servers together.
const LARGEST: (usize, usize) = (2284, 37_298);
/// How many times faster than the peer a file is to be checked.
const CHECK_TARGET: f64 = 5.0;
/// Starts and reloads are to take no longer than the peer's.
const NO_SLOWER: f64 = 1.0;
/// The weight that a reload gives to the last real server.
const NEW_WEIGHT: u32 = 77;

/// The file, the process id and the output of either side, in each host.
const FILE: &str = "/run/bench.conf";
const PID_FILE: &str = "/run/bench.pid";
const OUTPUT: &str = "/run/bench-output";

fn measure(lab: &Lab) -> Result<Findings> {
    let keepalived = Peer::keepalived();
    let sides = Both { ours: Executable::ours("lvs")?, peer: keepalived.executable()? };
    let peer_name = keepalived.name(lab, &sides.peer)?;
    let row = |what: String, unit: &str, samples: Both<Vec<f64>>, target: Option<f64>| -> Result<Row> {
        let (ours, peer) = (Samples::new(samples.ours)?, Samples::new(samples.peer)?);
        Ok(Row { what, unit: unit.to_owned(), ours, peer, peer_name: peer_name.clone(), target })
    };

    let largest = Balancing::of(LARGEST.0, LARGEST.1, Layout::Spread);
    let checks = alternate("check", ROUNDS, |side, round| check(lab, &sides, side, round, &largest))?;

    let spread = Balancing::of(SIZE.services.into(), SIZE.all_servers(), Layout::Spread);
    let starts = alternate("start", ROUNDS, |side, round| start(lab, &sides, side, round, &spread))?;
    let (times, held) = split(starts);

    let shared = Balancing::of(SIZE.services.into(), SIZE.all_servers(), Layout::Shared);
    let reloads = alternate("reload", ROUNDS, |side, round| reload(lab, &sides, side, round, &shared))?;

    let rows = vec![
        row("check 37,298 servers".to_owned(), SECONDS, checks, Some(CHECK_TARGET))?,
        row(format!("start {SIZE}"), SECONDS, times, Some(NO_SLOWER))?,
        row(format!("memory at {SIZE}"), "MB", held, None)?,
        row(format!("reload 1 of {SIZE}"), SECONDS, reloads, Some(NO_SLOWER))?,
    ];
    let notes =
        vec!["In every reload ours sent one request to the kernel and started no monitor.".to_owned()];
    Ok(Findings { method: method(), rows, notes })
}

fn method() -> String {
    format!(
        "Median (least–most) of {ROUNDS} rounds after one to warm up, each in a new network namespace; 1,000 × 10 is a \
         thousand virtual servers with ten real servers each, all of which answer. Checked is a file of 2,284 virtual servers \
         with 37,298 real servers. A start ends when the last row is in the kernel; ours with `start = up`, as keepalived \
         does. Memory is the proportional set size of the director's own processes then. For the reload the thousand share ten \
         real servers; it ends when the kernel has the new weight. Each table was compared with the file."
    )
}

/// Seconds and megabytes, apart.
fn split(both: Both<Vec<(f64, f64)>>) -> (Both<Vec<f64>>, Both<Vec<f64>>) {
    let (ours, peer): (Vec<_>, Vec<_>) = (both.ours, both.peer);
    let (our_times, our_held) = ours.into_iter().unzip();
    let (peer_times, peer_held) = peer.into_iter().unzip();
    (Both { ours: our_times, peer: peer_times }, Both { ours: our_held, peer: peer_held })
}

/// How long a side takes to check a file that is good.
fn check(lab: &Lab, sides: &Both<Executable>, side: Side, round: usize, file: &Balancing) -> Result<f64> {
    let host = fresh_host(lab, "check", side, round)?;
    host.write_file(FILE, text(file, side))?;
    let args: &[&str] = match side {
        Side::Ours => &["check", FILE],
        Side::Peer => &["-t", "-f", FILE],
    };
    let job = Job { args, input: None, output: Path::new(OUTPUT), limit: LIMIT };
    Ok(sides.of(side).time(&host, &job)?.as_secs_f64())
}

/// How long a side takes from its start to a full table, and how much memory its director holds then.
fn start(
    lab: &Lab,
    sides: &Both<Executable>,
    side: Side,
    round: usize,
    file: &Balancing,
) -> Result<(f64, f64)> {
    let host = fresh_host(lab, "start", side, round)?;
    let _answers = answering(&host)?;
    host.write_file(FILE, text(file, side))?;
    let begin = Instant::now();
    let director = serve(&host, sides, side)?;
    let last = file.last();
    let took =
        kernel::wait_for_weight(&host, last.service, last.server, last.weight, LIMIT)?.duration_since(begin);
    let held = memory::proportional_megabytes(&processes(&director, side)?)?;
    kernel::wait_until_equal(&host, file)?;
    director.stop();
    Ok((took.as_secs_f64(), held))
}

/// How long a side takes from the signal until the kernel has a weight that was changed in its file.
fn reload(lab: &Lab, sides: &Both<Executable>, side: Side, round: usize, file: &Balancing) -> Result<f64> {
    let host = fresh_host(lab, "reload", side, round)?;
    let _answers = answering(&host)?;
    host.write_file(FILE, text(file, side))?;
    let director = serve(&host, sides, side)?;
    let last = file.last();
    kernel::wait_for_weight(&host, last.service, last.server, last.weight, LIMIT)?;
    let monitors = settle(&director, side)?;

    let changed = file.clone().with_last_weight(NEW_WEIGHT);
    host.write_file(FILE, text(&changed, side))?;
    let before = counts(&host, side)?;
    let begin = Instant::now();
    director.signal(Signal::SIGHUP)?;
    let took =
        kernel::wait_for_weight(&host, last.service, last.server, NEW_WEIGHT, LIMIT)?.duration_since(begin);
    kernel::wait_until_equal(&host, &changed)?;
    if let Some(before) = before {
        // A status may be a tenth of a second old.
        eventually(LIMIT, "one request and no other monitor", || {
            let after = counts(&host, side).map_err(|error| format!("{error:#}"))?;
            let done = after.map(|after| {
                let starts = after.monitors.starts - before.monitors.starts;
                (after.reloads.good - before.reloads.good, after.requests.sent - before.requests.sent, starts)
            });
            if done == Some((1, 1, 0)) { Ok(()) } else { Err(format!("reloads, requests, starts: {done:?}")) }
        })?;
        ensure!(director.children()? == monitors, "a reload that changes a weight has replaced a monitor");
    }
    director.stop();
    Ok(took.as_secs_f64())
}

/// Starts a side's director in the foreground.
fn serve(host: &Host, sides: &Both<Executable>, side: Side) -> Result<Program> {
    let launch = sides.of(side).launch(host);
    match side {
        Side::Ours => launch.args(["--nodaemon", "-c", FILE]).start(),
        // Only the part that balances, without log lines, which nobody would read.
        Side::Peer => {
            launch.args(["-n", "-C", "-f", FILE, "-p", PID_FILE, "-c", "/run/bench-checkers.pid"]).start()
        }
    }
}

/// Waits until a director has nothing more to do after its start; the ids of its monitors.
fn settle(director: &Program, side: Side) -> Result<Vec<i32>> {
    match side {
        Side::Ours => {
            director.wait_for_line("^ready$", LIMIT)?;
            eventually(LIMIT, "a monitor for each real server", || {
                let count = director.children().map_err(|error| format!("{error:#}"))?.len();
                if count == usize::from(SIZE.servers) { Ok(()) } else { Err(format!("{count} monitors")) }
            })?;
        }
        // While it starts it loses the signal.
        Side::Peer => processor::wait_until_calm(&processes(director, side)?, LIMIT)?,
    }
    director.children()
}

/// The director's own processes. Ours is one; its children are monitors, which check. The peer's parent has one child,
/// which does everything.
fn processes(director: &Program, side: Side) -> Result<Vec<i32>> {
    let mut processes = vec![director.pid()];
    if side == Side::Peer {
        processes.extend(director.children()?);
    }
    Ok(processes)
}

/// What our director says of itself; nothing of the peer.
fn counts(host: &Host, side: Side) -> Result<Option<LvsStatus>> {
    if side == Side::Peer {
        return Ok(None);
    }
    // To a file: a line of this length is not for the journal.
    let job = Job { args: &["status", "--json"], input: None, output: Path::new(OUTPUT), limit: LIMIT };
    Executable::ours("lvs")?.time(host, &job)?;
    serde_json::from_str(&host.read_file(OUTPUT)?).map(Some).context("understand the status")
}

fn text(file: &Balancing, side: Side) -> String {
    match side {
        Side::Ours => file.lvs_cf(),
        Side::Peer => file.keepalived_conf(),
    }
}

/// A network namespace in which IPVS has not been used.
fn fresh_host(lab: &Lab, what: &str, side: Side, round: usize) -> Result<Host> {
    let side = match side {
        Side::Ours => "ours",
        Side::Peer => "peer",
    };
    let name = format!("{what}-{side}-{round}");
    lab.cluster().host(HostSpec::new(&name)).build()?.host(&name)
}

/// Lets every real server of the files answer: their network is the host's own.
fn answering(host: &Host) -> Result<RealServer> {
    host.ip(&["link set lo up", &format!("route add local {} dev lo", balancing::REAL_SERVERS)])?;
    host.real_server(&[balancing::PORT]).context("answer for the real servers")
}
