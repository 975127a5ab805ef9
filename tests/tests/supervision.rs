//! Processes die, and somebody else changes the table: service goes on, and what is wrong is put right.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Behaviour, Lab, Signal, at, eventually, scenarios, standard};

use crate::{
    cf::{Block, file, virtual_server},
    one_router::{OneRouter, SOON, http, requests_since, web},
};

scenarios! {
    a_killed_nanny_is_replaced_and_nobody_notices: 30,
    a_killed_nanny_is_no_way_back_and_no_way_out: 40,
    a_killed_lvs_leaves_its_services_to_the_next: 30,
    a_killed_lvs_and_another_file_leave_no_old_service: 30,
    a_stopped_lvs_withdraws_its_own_services_only: 30,
    changes_behind_its_back_are_put_right: 30,
}

/// Both servers of the service.
const BOTH: [(&str, i32); 2] = [("rs1", 1), ("rs2", 1)];
/// How soon a change by somebody else is put right.
const REPAIR: Duration = Duration::from_secs(2);

fn one_service() -> Block {
    file([virtual_server("web", 0).checked_often().weights(&[1, 1])])
}

fn is_running(pid: i32) -> bool {
    // What has ended and was not waited for yet is there, as a zombie.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until none of these processes is left.
fn wait_until_gone(pids: impl IntoIterator<Item = i32>) -> Result<()> {
    let pids: BTreeSet<i32> = pids.into_iter().collect();
    eventually(SOON, "the monitors to end", || {
        let left: Vec<i32> = pids.iter().copied().filter(|pid| is_running(*pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
    })
}

/// The state of a real server is that of its last check until there is another check.
fn a_killed_nanny_is_replaced_and_nobody_notices(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs = world.serve(one_service(), &BOTH)?;
    let probe = world.probe()?;
    let mark = lab.journal().mark();
    let before = world.nannies(&lvs)?;
    assert_eq!(before.keys().collect::<Vec<_>>(), ["10.1.0.100:80 10.2.0.101", "10.1.0.100:80 10.2.0.102"]);
    let victim = before["10.1.0.100:80 10.2.0.101"];
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), Signal::SIGKILL)?;
    lvs.wait_for_line_after(mark, "monitor ended .*rs=10.2.0.101:80 .*reason=", SOON)?;
    let after = eventually(SOON, "another nanny", || {
        let now = world.nannies(&lvs).map_err(|error| format!("{error:#}"))?;
        if now.len() == 2 { Ok(now) } else { Err(format!("{now:?}")) }
    })?;
    ensure!(after["10.1.0.100:80 10.2.0.101"] != victim, "a killed process runs: {after:?}");
    assert_eq!(after["10.1.0.100:80 10.2.0.102"], before["10.1.0.100:80 10.2.0.102"]);
    probe.wait_for_successes(20, SOON)?;
    assert_eq!(requests_since(lab, &lvs, mark)?, Vec::<String>::new());

    // The new one does its work.
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    world.server(1).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(web(), &[("rs2", 1)])
}

/// The next nanny goes on from what was known: a failed server waits for its re-entry again, and one that is up is not
/// out with one bad check.
fn a_killed_nanny_is_no_way_back_and_no_way_out(lab: &Lab) -> Result<()> {
    let reentry = Duration::from_secs(5);
    let world = OneRouter::nat(lab, 2)?;
    let web = virtual_server("web", 0)
        .set("timeout", "1")
        .set("reentry", reentry.as_secs())
        .set("fall", 3)
        .weights(&[1, 1]);
    let lvs = world.serve(file([web]), &BOTH)?;
    let kill = |server: &str| -> Result<()> {
        let victim = world.nannies(&lvs)?[&format!("10.1.0.100:80 {server}")];
        Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), Signal::SIGKILL)?)
    };

    world.server(1).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(self::web(), &[("rs2", 1)])?;
    world.server(1).behave(&Behaviour::Answer)?;
    let killed = lab.now();
    kill("10.2.0.101")?;
    world.wait_for_weights(self::web(), &BOTH)?;
    let absent = lab.now() - killed;
    ensure!(absent >= reentry, "back after {absent:?}");

    // The first check of the next one is refused, and none after that.
    let mark = lab.journal().mark();
    kill("10.2.0.102")?;
    world.server(2).behave(&Behaviour::Refuse)?;
    lvs.wait_for_line_after(mark, "probe failed .*rs=10.2.0.102:80", SOON)?;
    world.server(2).behave(&Behaviour::Answer)?;
    lvs.wait_for_line_after(mark, "real server up .*rs=10.2.0.102:80", SOON)?;
    assert_eq!(requests_since(lab, &lvs, mark)?, Vec::<String>::new());
    world.wait_for_weights(self::web(), &BOTH)
}

/// The kernel goes on by itself; a new `lvs` takes over what it finds, without touching it.
fn a_killed_lvs_leaves_its_services_to_the_next(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let file = file([virtual_server("web", 0).checked_often().weights(&[1, 2])]);
    let weights = [("rs1", 1), ("rs2", 2)];
    let lvs = world.serve(&file, &weights)?;
    let probe = world.probe()?;
    let mut held = world.hold(http())?;
    let nannies = world.nannies(&lvs)?;
    lvs.kill9()?;
    wait_until_gone(nannies.into_values())?;
    world.wait_for_weights(web(), &weights)?;
    probe.wait_for_successes(20, SOON)?;

    let next = world.start_lvs(&file)?;
    next.wait_for_line("adopted what is in the kernel already services=1 servers=2", SOON)?;
    next.wait_for_line("real server up vs=web rs=10.2.0.101:80", SOON)?;
    next.wait_for_line("real server up vs=web rs=10.2.0.102:80", SOON)?;
    probe.wait_for_successes(20, SOON)?;
    assert_eq!(requests_since(lab, &next, 0)?, Vec::<String>::new());
    world.wait_for_weights(web(), &weights)?;
    held.ask()?;
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    world.server(1).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(web(), &[("rs2", 2)])
}

/// What a killed `lvs` left is known by the list that it wrote, and only that is withdrawn: by the next one with another
/// file, and by one that is asked for nothing else.
fn a_killed_lvs_and_another_file_leave_no_old_service(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.ipvsadm("-A -t 10.1.0.100:443 -s sh -p 77")?;
    world.ipvsadm("-a -t 10.1.0.100:443 -r 10.2.0.101:443 -m -w 7")?;
    let services = || -> Result<BTreeSet<String>> {
        let lines = world.ipvsadm("-S -n")?;
        Ok(lines.lines().filter(|line| line.starts_with("-A")).map(|line| line.trim().to_owned()).collect())
    };
    let with_foreign =
        |own: &str| BTreeSet::from(["-A -t 10.1.0.100:443 -s sh -p 77".to_owned(), own.to_owned()]);
    let lvs = world.serve(one_service(), &BOTH)?;
    assert_eq!(services()?, with_foreign("-A -t 10.1.0.100:80 -s rr"));
    let list = || world.router.read_file("/run/lvs-router/lvs.services");
    assert_eq!(list()?, "-t 10.1.0.100:80\n");
    lvs.kill9()?;
    assert_eq!(services()?, with_foreign("-A -t 10.1.0.100:80 -s rr"));

    let next = world.start_lvs(file([virtual_server("mail", 0).set("protocol", "udp").weights(&[1, 1])]))?;
    next.wait_for_line("withdrawing what an earlier run left in the kernel services=1", SOON)?;
    assert_eq!(services()?, with_foreign("-A -u 10.1.0.100:80 -s rr"));
    assert_eq!(list()?, "-u 10.1.0.100:80\n");
    next.kill9()?;

    let withdraw = ["--nodaemon", "--withdraw"];
    let ended = world.router.program("lvs").args(withdraw).run(SOON)?.success()?;
    assert_eq!(ended.stdout, "");
    let foreign = "-A -t 10.1.0.100:443 -s sh -p 77\n-a -t 10.1.0.100:443 -r 10.2.0.101:443 -m -w 7";
    let left = world.ipvsadm("-S -n")?;
    assert_eq!(left.lines().map(str::trim).collect::<Vec<_>>(), foreign.lines().collect::<Vec<_>>());
    ensure!(list().is_err(), "the list is left");
    world.router.program("lvs").args(withdraw).run(SOON)?.success()?;
    Ok(())
}

/// What the file does not name belongs to others, whenever they added it.
fn a_stopped_lvs_withdraws_its_own_services_only(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.ipvsadm("-A -t 10.1.0.100:443 -s sh -p 77")?;
    world.ipvsadm("-a -t 10.1.0.100:443 -r 10.2.0.101:443 -m -w 7")?;
    world.ipvsadm("-A -f 5 -s wlc")?;
    let foreign = || world.ipvsadm("-S -n");
    let before = foreign()?;
    let lvs = world.serve(one_service(), &BOTH)?;
    ensure!(foreign()?.lines().count() == before.lines().count() + 3, "{}", foreign()?);
    world.ask(at(standard::vip(0), 443))?;
    let nannies = world.nannies(&lvs)?;
    assert_eq!(nannies.len(), 2);
    lvs.signal(Signal::SIGTERM)?;
    assert_eq!(lvs.wait_exit(SOON)?.code(), Some(0));
    assert_eq!(foreign()?, before);
    let left: Vec<i32> = nannies.into_values().filter(|pid| is_running(*pid)).collect();
    ensure!(left.is_empty(), "{left:?} run");
    for leftover in ["lvs.sock", "lvs.pid", "lvs.services"] {
        let path = format!("/run/lvs-router/{leftover}");
        ensure!(world.router.read_file(&path).is_err(), "{path} is left");
    }
    Ok(())
}

/// An administrator's slips, undone within two seconds, told as what was found, and counted; what is not ours stays.
fn changes_behind_its_back_are_put_right(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let foreign = ["-A -t 10.1.0.100:443 -s sh -p 77", "-a -t 10.1.0.100:443 -r 10.2.0.101:443 -m -w 7"];
    let add_foreign = || foreign.iter().try_for_each(|line| world.ipvsadm(line).map(drop));
    add_foreign()?;
    let lvs = world.serve(one_service().set("tcp_timeout", "60"), &BOTH)?;
    let web_80 = "-t 10.1.0.100:80";
    let rs1 = format!("{web_80} -r 10.2.0.101:80");
    let mut slips = Vec::new();
    for (slip, found) in [
        ("-C".to_owned(), vec!["web: service missing", "web rs1: real server missing"]),
        (format!("-D {web_80}"), vec!["web: service missing", "web rs2: real server missing"]),
        (format!("-d {rs1}"), vec!["web rs1: real server missing"]),
        (format!("-e {rs1} -m -w 7"), vec!["web rs1: weight 7 instead of 1"]),
        (format!("-E {web_80} -s wlc"), vec!["web: scheduler wlc instead of rr"]),
        (
            format!("-a {web_80} -r 10.2.0.109:80 -m -w 5"),
            vec!["web 10.2.0.109:80: real server that should not be there, with weight 5"],
        ),
        // The others are nobody's.
        ("--set 600 90 0".to_owned(), vec!["IPVS: tcp_timeout 600 s instead of 60 s"]),
    ] {
        let mark = lab.journal().mark();
        let slipped = lab.now();
        world.ipvsadm(&slip)?;
        for found in &found {
            let line = format!("repairing a change by somebody else what=\"{found}\" repair=");
            lvs.wait_for_line_after(mark, &line, SOON).with_context(|| slip.clone())?;
        }
        world.wait_for_weights(web(), &BOTH)?;
        eventually(SOON, "the scheduler of the file", || {
            let rules = world.ipvsadm("-S -n").map_err(|error| format!("{error:#}"))?;
            if rules.contains("-A -t 10.1.0.100:80 -s rr") { Ok(()) } else { Err(rules) }
        })?;
        eventually(SOON, "the timeout of the file", || {
            let timeouts = world.ipvsadm("-L --timeout").map_err(|error| format!("{error:#}"))?;
            if timeouts.contains(": 60 ") { Ok(()) } else { Err(timeouts) }
        })?;
        let took = lab.now() - slipped;
        ensure!(took <= REPAIR, "{slip} was put right only after {took:?}");
        slips.push(format!("{slip}: {} ms", took.as_millis()));
        // What `-C` took of others is theirs to put back.
        if slip == "-C" {
            add_foreign()?;
        }
        let rules = world.ipvsadm("-S -n")?;
        ensure!(foreign.iter().all(|line| rules.contains(line)), "{slip}: {rules}");
    }
    lab.note(format!("put right after {}", slips.join(", ")));
    let repairs = world.status()?.repairs;
    let counted =
        (repairs.services_added, repairs.services_edited, repairs.servers_added, repairs.servers_edited);
    assert_eq!((counted, repairs.servers_deleted, repairs.timeouts_set), ((2, 1, 5, 1), 1, 1));
    ensure!(world.ipvsadm("-L --timeout")?.contains(": 60 90 300"), "{}", world.ipvsadm("-L --timeout")?);
    ensure!(world.status()?.table.reason.starts_with("as wanted, but somebody else keeps changing"));
    world.ask(http())?;
    Ok(())
}
