//! What the health of all real servers together makes of a virtual server: quorum, slow start, start policies, rise and
//! fall, hooks.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use lab::{Behaviour, Lab, Match, Program, at, eventually, scenarios, standard};
use regex::Regex;

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{OneRouter, SOON, counts, http, requests_since, web},
};

scenarios! {
    a_lost_quorum_lets_the_sorry_server_serve_alone: 60,
    a_server_that_is_back_gets_its_share_little_by_little: 60,
    without_a_word_in_the_file_weights_double_also_over_a_restart: 120,
    a_start_is_as_the_file_asks_for: 30,
    a_flapping_server_is_judged_by_checks_in_a_row: 60,
    hooks_are_run_with_what_happened_and_without_privileges: 60,
}

/// Where scenarios put their scripts.
const FOLDER: &str = "/etc/sysconfig/ha";
/// Time between two doublings of a weight.
const PACE: Duration = Duration::from_secs(20);

/// Two of three are too few, and only three are enough again; who is healthy keeps its connections meanwhile.
fn a_lost_quorum_lets_the_sorry_server_serve_alone(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 4)?;
    let service = virtual_server("web", 0)
        .checked_often()
        .set("quorum", 4)
        .set("quorum_hysteresis", 1)
        .set("sorry_server", "10.2.0.104")
        .weights(&[2, 2, 2]);
    let all = [("rs1", 2), ("rs2", 2), ("rs3", 2)];
    let lvs = world.serve(file([service]), &all)?;
    let mut held = (0..3).map(|_| world.hold(http())).collect::<Result<Vec<_>>>()?;
    held.retain(|connection| connection.server == "rs1");
    assert_eq!(held.len(), 1);

    world.server(2).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(web(), &[("rs1", 2), ("rs3", 2)])?;
    world.server(3).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(web(), &[("rs1", 0), ("rs4", 1)])?;
    lvs.wait_for_line("quorum lost vs=web weight=2 needed=5 reason=\"1 of 3 real servers", SOON)?;
    assert_eq!(held[0].ask()?, "rs1", "an open connection is cut");
    assert_eq!(world.ask_times(http(), 6)?, counts(&[("rs4", 6)]));
    let quorum =
        world.status()?.virtual_servers[0].quorum.clone().map(|quorum| (quorum.held.state, quorum.weight));
    assert_eq!(quorum, Some((false, 2)));

    world.server(2).behave(&Behaviour::Answer)?;
    world.wait_for_weights(web(), &[("rs1", 0), ("rs2", 0), ("rs4", 1)])?;
    assert_eq!(world.ask_times(http(), 3)?, counts(&[("rs4", 3)]));
    world.server(3).behave(&Behaviour::Answer)?;
    world.wait_for_weights(web(), &all)?;
    lvs.wait_for_line("quorum held vs=web weight=6 lost_below=3", SOON)?;
    assert_eq!(held[0].ask()?, "rs1", "an open connection is cut");
    assert_eq!(world.ask_times(http(), 6)?, counts(&[("rs1", 2), ("rs2", 2), ("rs3", 2)]));
    Ok(())
}

/// First with so much time that the share can be counted, then with so little that the end can be seen.
fn a_server_that_is_back_gets_its_share_little_by_little(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let service = |time: &str| {
        let service =
            virtual_server("web", 0).checked_often().set("scheduler", "wrr").set("slow_start", time);
        file([service.weights(&[32, 32])])
    };
    let both = [("rs1", 32), ("rs2", 32)];
    // A service that starts has its weights at once.
    let lvs = world.serve(service("10m"), &both)?;
    let fail = || -> Result<()> {
        world.server(2).behave(&Behaviour::Refuse)?;
        world.wait_for_weights(web(), &[("rs1", 32)])?;
        world.server(2).behave(&Behaviour::Answer)
    };
    fail()?;
    world.wait_for_weights(web(), &[("rs1", 32), ("rs2", 2)])?;
    assert_eq!(world.ask_times(http(), 34)?, counts(&[("rs1", 32), ("rs2", 2)]));
    let until = world.status()?.virtual_servers[0].real_servers[1].slow_start_until_ms;
    ensure!(until.is_some(), "the status does not tell of the slow start");

    // A reload lets the climb go on, by the time of the new file.
    world.write(service("1s"))?;
    lvs.signal(lab::Signal::SIGHUP)?;
    world.wait_for_weights(web(), &both)?;
    let mark = lab.journal().mark();
    fail()?;
    world.wait_for_weights(web(), &both)?;
    let weight = Regex::new("-[ae] -t 10.1.0.100:80 -r 10.2.0.102:80 -m -w ([0-9]+)$")?;
    let requests = requests_since(lab, &lvs, mark)?;
    let seen = requests.iter().filter_map(|line| weight.captures(line)?[1].parse().ok());
    let weights: Vec<u32> = seen.collect();
    // A busy machine may take two steps at once.
    ensure!(weights.first() == Some(&2) && weights.last() == Some(&32), "{weights:?}");
    ensure!(weights.len() > 2 && weights.len() <= 16 && weights.is_sorted(), "{weights:?}");
    Ok(())
}

/// Piranha's pace is real time here: 1, 2 and 4 of 40, with 20 seconds between them. The director is killed in between.
fn without_a_word_in_the_file_weights_double_also_over_a_restart(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let service = virtual_server("web", 0).checked_often().set("scheduler", "wrr").weights(&[40, 40]);
    let lvs = world.serve(file([service.clone()]), &[("rs1", 40), ("rs2", 40)])?;
    world.server(2).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(web(), &[("rs1", 40)])?;
    let mark = lab.journal().mark();
    world.server(2).behave(&Behaviour::Answer)?;
    let step = |lvs: &Program, request: &str| {
        lvs.wait_for_line_after(mark, &format!("{request} -t 10.1.0.100:80 -r 10.2.0.102:80 "), PACE * 2)
    };
    let began = step(&lvs, "-a")?.at;
    world.wait_for_weights(web(), &[("rs1", 40), ("rs2", 1)])?;
    assert_eq!(world.ask_times(http(), 41)?, counts(&[("rs1", 40), ("rs2", 1)]));
    let shown = world.router.program("lvs").args(["status", "web"]).run(SOON)?.success()?.stdout;
    ensure!(shown.contains("climbing, 1 of 40, full weight in "), "{shown}");

    let second = step(&lvs, "-e")?.at;
    ensure!(second.saturating_sub(began) > PACE * 9 / 10, "too soon: {began:?}, {second:?}");
    world.wait_for_weights(web(), &[("rs1", 40), ("rs2", 2)])?;
    let of_rs2 = "-t 10.1.0.100:80 -r 10.2.0.102:80 -m -w";
    let made = requests_since(lab, &lvs, mark)?;
    assert_eq!(made, [format!("-a {of_rs2} 1"), format!("-e {of_rs2} 2")]);
    lvs.kill9()?;
    let next = world.start_lvs(file([service.clone()]))?;
    next.wait_for_line("real server up vs=web rs=10.2.0.102:80", SOON)?;
    let third = step(&next, "-e")?.at;
    ensure!(third.saturating_sub(began) > PACE * 19 / 10, "too soon: {began:?}, {third:?}");
    world.wait_for_weights(web(), &[("rs1", 40), ("rs2", 4)])?;
    assert_eq!(requests_since(lab, &next, 0)?, [format!("-e {of_rs2} 4")]);
    let climb = &world.status()?.virtual_servers[0].real_servers[1];
    assert_eq!((climb.weight, climb.slow_start_weight), (Some(4), Some(40)));

    world.write(file([service.set("slow_start", "off")]))?;
    next.signal(lab::Signal::SIGHUP)?;
    world.wait_for_weights(web(), &[("rs1", 40), ("rs2", 40)])
}

/// A real server that takes connections and never answers is not judged for a second.
fn a_start_is_as_the_file_asks_for(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.server(1).behave(&Behaviour::Hang)?;
    let service = |name: &str, vip: u8, port: u16| {
        virtual_server(name, vip)
            .set("port", port)
            .set("start", name)
            .set("timeout", 1)
            .set("reentry", 1)
            .set("send", r#""hello\n""#)
            .set("expect", "rs")
            .set("sorry_server", "10.2.0.102")
            .weights(&[1])
    };
    let services = [service("up", 0, 80), service("down", 1, 80), service("probe", 0, 443)];
    let lvs = world.start_lvs(file(services))?;
    let of = |vip: u8, port: u16| Match::Tcp(at(standard::vip(vip), port));
    for service in [of(0, 80), of(1, 80), of(0, 443)] {
        world.wait_for_weights(service, &[("rs2", 1)])?;
    }
    let requests = requests_since(lab, &lvs, 0)?;
    let of_service = |service: &str| -> Vec<&str> {
        requests.iter().map(String::as_str).filter(|line| line.contains(service)).collect()
    };
    assert_eq!(
        of_service("10.1.0.100:80"),
        [
            "-A -t 10.1.0.100:80 -s rr",
            "-a -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1",
            "-a -t 10.1.0.100:80 -r 10.2.0.102:80 -m -w 1",
            "-d -t 10.1.0.100:80 -r 10.2.0.101:80",
        ]
    );
    assert_eq!(
        of_service("10.1.0.101:80"),
        ["-A -t 10.1.0.101:80 -s rr", "-a -t 10.1.0.101:80 -r 10.2.0.102:80 -m -w 1"]
    );
    let ready = lvs.wait_for_line("^ready$", SOON)?;
    let called = lvs.wait_for_line("-a -t 10.1.0.100:443 -r 10.2.0.102:443", SOON)?;
    ensure!(called.at > ready.at, "the sorry server was called before the first check");
    world.server(1).behave(&Behaviour::Answer)?;
    for service in [of(0, 80), of(1, 80), of(0, 443)] {
        world.wait_for_weights(service, &[("rs1", 1)])?;
    }
    Ok(())
}

/// Each check takes the next outcome from a list and tells its number.
fn a_flapping_server_is_judged_by_checks_in_a_row(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    // Good, then as often bad as not, but never three times in a row; then three times; then good every other time, and
    // at last twice in a row.
    let outcomes = "gbbgbgbbgbbbgbgbgg";
    let path = |name: &str| format!("{FOLDER}/{name}");
    world.router.write_file(path("outcomes"), outcomes)?;
    world.router.write_file(path("count"), "0\n")?;
    // Programs that check run as a user of their own.
    world.router.tool("chmod").args(["666", path("count").as_str()]).run(SOON)?.success()?;
    let script = format!(
        "cd {FOLDER}\nread n < count; n=$((n + 1)); echo $n > count\n\
         case $(cut -c $n outcomes) in b) echo no $n;; *) echo OK;; esac\n"
    );
    world.router.write_file(path("check"), script)?;
    let service = virtual_server("web", 0)
        .set("timeout", "200ms")
        .set("reentry", "200ms")
        .set("rise", 2)
        .set("fall", 3)
        .set("send_program", format_args!("\"/bin/sh {FOLDER}/check\""))
        .set("expect", "OK")
        .with(server(1));
    let lvs = world.serve(file([service]), &[("rs1", 1)])?;
    let mark = lab.journal().mark();
    lvs.wait_for_line("real server down vs=web .*no 12", SOON)?;
    lvs.wait_for_line_after(mark, "real server up vs=web .*from=down", SOON)?;
    let count: usize = world.router.read_file(path("count"))?.trim().parse()?;
    ensure!(count >= outcomes.len(), "up again after check {count}");
    let lines = lvs.lines();
    let changes: Vec<&str> = lines
        .iter()
        .map(|entry| entry.text.as_str())
        .filter(|text| text.contains("real server ") && text.contains("vs=web"))
        .collect();
    assert_eq!(changes.len(), 3, "{changes:#?}");
    Ok(())
}

/// A file in which everything has a hook.
fn with_hooks(hook: &str) -> Block {
    let command = |what: &str| format!("\"/bin/sh {FOLDER}/{what}\"");
    let rs1 = server(1).set("on_up", command(hook)).set("on_down", command(hook));
    let service = virtual_server("web", 0).checked_often().set("on_up", command(hook));
    file([service.set("on_down", command("hang")).with(rs1)])
}

/// What the hooks wrote: one block per run.
fn runs(world: &OneRouter) -> Vec<BTreeMap<String, String>> {
    let text = world.router.read_file(format!("{FOLDER}/runs")).unwrap_or_default();
    let pairs = |block: &str| -> BTreeMap<String, String> {
        let pairs = block.lines().filter_map(|line| line.split_once(['=', ':']));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    };
    text.split_terminator("end\n").map(pairs).collect()
}

/// Waits for a run because of `event`.
fn wait_for_run(world: &OneRouter, event: &str) -> Result<BTreeMap<String, String>> {
    eventually(SOON, &format!("a hook for {event}"), || {
        let runs = runs(world);
        let found = runs.iter().find(|run| run.get("LVS_EVENT").is_some_and(|known| known == event));
        found.cloned().ok_or_else(|| format!("{runs:?}"))
    })
}

/// A script that writes down what it finds, says something and fails; and one that hangs, which holds nobody up.
fn hooks_are_run_with_what_happened_and_without_privileges(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let script = format!(
        "{{ env | grep ^LVS_; grep -E '^(CapPrm|NoNewPrivs)' /proc/self/status; echo end; }} > {FOLDER}/runs.$$\n\
         cat {FOLDER}/runs.$$ >> {FOLDER}/runs\necho told >&2\nexit 3\n"
    );
    world.router.write_file(format!("{FOLDER}/hook"), script)?;
    world.router.write_file(format!("{FOLDER}/hang"), "echo hanging\nexec sleep 1000\n")?;
    let lvs = world.serve(with_hooks("hook"), &[("rs1", 1)])?;
    let up = wait_for_run(&world, "server_up")?;
    for (name, value) in [
        ("LVS_STATE", "up"),
        ("LVS_VIRTUAL_SERVER", "web"),
        ("LVS_SERVICE", "TCP 10.1.0.100:80"),
        ("LVS_REAL_SERVER", "rs1"),
        ("LVS_ADDRESS", "10.2.0.101:80"),
        ("CapPrm", "0000000000000000"),
        ("NoNewPrivs", "1"),
    ] {
        assert_eq!(up.get(name).map(String::as_str), Some(value), "{name} in {up:?}");
    }
    let virtual_up = wait_for_run(&world, "virtual_up")?;
    assert_eq!(virtual_up.get("LVS_ADDRESS").map(String::as_str), Some("10.1.0.100:80"));
    assert_eq!(virtual_up.get("LVS_REAL_SERVER"), None);
    lvs.wait_for_line("hook subject=\"10.2.0.101:80 of TCP 10.1.0.100:80\" line=told", SOON)?;
    lvs.wait_for_line("hook failed subject=.*exit=\"exited with status 3\"", SOON)?;

    world.server(1).behave(&Behaviour::Refuse)?;
    let down = wait_for_run(&world, "server_down")?;
    assert_eq!(down.get("LVS_REASON").map(String::as_str), Some("connection refused"));
    lvs.wait_for_line("line=hanging", SOON)?;
    // One hook hangs, and all goes on: other hooks, checks, and the end.
    let mark = lab.journal().mark();
    world.server(1).behave(&Behaviour::Answer)?;
    world.wait_for_weights(web(), &[("rs1", 1)])?;
    lvs.wait_for_line_after(mark, "hook failed", SOON)?;
    stop(&lvs)
}

fn stop(lvs: &Program) -> Result<()> {
    lvs.signal(lab::Signal::SIGTERM)?;
    let status = lvs.wait_exit(SOON)?;
    ensure!(status.success(), "{status}");
    Ok(())
}
