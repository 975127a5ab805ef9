//! The active router vanishes, is cut off, steps down or dies by halves; what the client, the wire and both routers
//! see of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Arp, Lab, Link, Signal, eventually, scenarios};
use lvs_ipc::status::{Peer, Role};

use crate::pair::{FLOATING, GRACE, Pair, SOON, Timers, config, programs_on};

scenarios! {
    backup_serves_within_limits_at_a_tenth_of_the_usual_timers: 60,
    backup_serves_within_limits_at_100_and_300_milliseconds: 60,
    a_router_whose_switches_were_silent_gives_way_when_they_speak_again: 60,
    a_cut_private_link_is_named_and_changes_nothing: 60,
    a_cut_public_path_is_named_and_changes_nothing: 60,
    a_monitored_link_that_is_cut_hands_the_service_over: 60,
    a_router_told_to_end_is_relieved_within_a_keepalive: 60,
    a_killed_pulse_leaves_nothing_behind: 60,
    orders_stay_with_their_router: 60,
    a_killed_lvs_is_restarted_without_the_client_noticing: 60,
    a_router_whose_lvs_refuses_its_file_hands_over: 60,
    a_router_whose_kernel_refuses_every_service_hands_over: 60,
    a_frozen_router_gives_way_when_it_wakes: 60,
    addresses_taken_away_are_put_back: 60,
    a_reload_moves_addresses_and_refuses_a_broken_file: 60,
    a_lone_router_serves_and_ends_cleanly: 60,
    a_dry_run_changes_nothing: 60,
    commands_run_when_the_role_changes: 60,
    the_connection_synchronisation_follows_the_role: 60,
    a_daemon_leaves_the_terminal_and_locks_others_out: 60,
}

/// The default of 6 s and 18 s that most files have, divided by ten.
const TENTH: Timers = Timers::millis(600, 1_800);
/// Below a second.
const FAST: Timers = Timers::millis(100, 300);
/// For scenarios in which no timer is measured.
const CALM: Timers = Timers::millis(300, 1_500);

fn backup_serves_within_limits_at_a_tenth_of_the_usual_timers(lab: &Lab) -> Result<()> {
    the_active_router_vanishes_and_returns(lab, TENTH)
}

fn backup_serves_within_limits_at_100_and_300_milliseconds(lab: &Lab) -> Result<()> {
    the_active_router_vanishes_and_returns(lab, FAST)
}

/// Both links of the active router are cut: addresses move and are announced. Then they return: it gives way, and the
/// client notices nothing.
fn the_active_router_vanishes_and_returns(lab: &Lab, timers: Timers) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, timers, "")?;
    let wires = [pair.cluster.capture("public")?, pair.cluster.capture("inside")?];
    let probe = pair.impatient_client()?;
    let links = [pair.router(1).link("eth0")?, pair.router(1).link("eth1")?];
    let cut = lab.now();
    Link::cut_together(&links)?;
    pair.ensure_outage_within(lab, probe, cut, timers.crash_limit())?;
    pair.wait_until_serving(2)?;
    pulses[1].wait_for_line("taking the service reason=\"no heartbeat on any path", SOON)?;
    for (wire, address) in wires.iter().zip(FLOATING) {
        for form in [Arp::is_request, Arp::is_reply] {
            wire.wait_for("gratuitous ARP of both forms", SOON, |frame| {
                frame.arp().filter(|arp| {
                    frame.at >= cut
                        && arp.is_gratuitous()
                        && form(arp)
                        && arp.sender_ip.to_string() == address
                })
            })?;
        }
    }

    // A router without any link knows that it serves nobody, and has nothing to give back when its links return.
    pulses[0].wait_for_line("giving the service back reason=\"none of this router's links is up\"", SOON)?;
    pair.wait_until_clean(1)?;
    let probe = pair.patient_client()?;
    let restored = lab.now();
    for link in &links {
        link.restore()?;
    }
    pair.wait_for_role(1, Role::Backup)?;
    pulses[0].wait_for_line("other router peer=active", SOON)?;
    pair.wait_for_role(1, Role::Backup)?;
    pair.wait_until_clean(1)?;
    pair.ensure_no_outage(lab, probe, restored)?;
    ensure!(pair.status(2)?.role.state == Role::Active, "router 2 still serves");
    Ok(())
}

/// The links stay up, so nothing but the other router's heartbeats can tell that this one was cut off.
fn a_router_whose_switches_were_silent_gives_way_when_they_speak_again(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let probe = pair.impatient_client()?;
    let links = [pair.router(1).link("eth0")?, pair.router(1).link("eth1")?];
    let silenced = lab.now();
    for link in &links {
        link.silence()?;
    }
    pair.ensure_outage_within(lab, probe, silenced, CALM.crash_limit() + GRACE)?;
    pair.wait_until_serving(2)?;
    ensure!(pair.status(1)?.role.state == Role::Active, "router 1 cannot know better");

    let probe = pair.impatient_client()?;
    let restored = lab.now();
    for link in &links {
        link.restore()?;
    }
    pulses[0].wait_for_line("giving the service back reason=\"the other router took over later", SOON)?;
    pulses[1].wait_for_line(
        "announcing the addresses again: the other router may have announced them too",
        SOON,
    )?;
    pair.wait_for_role(1, Role::Backup)?;
    pair.wait_until_clean(1)?;
    pair.ensure_outage_within(lab, probe, restored, CALM.keepalive + GRACE)?;
    ensure!(pair.status(2)?.role.state == Role::Active);
    Ok(())
}

fn a_cut_private_link_is_named_and_changes_nothing(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    // The inside network also carries the private heartbeats; the backup's end of it is cut, so that the service is not.
    let link = pair.router(2).link("eth1")?;
    let probe = pair.patient_client()?;
    let cut = lab.now();
    link.cut()?;
    for pulse in &pulses {
        pulse.wait_for_line("heartbeat path is dead path=private", SOON)?;
    }
    link.restore()?;
    for pulse in &pulses {
        pulse.wait_for_line("heartbeat path works again path=private", SOON)?;
    }
    nothing_has_changed(lab, &pair, probe, cut)
}

fn a_cut_public_path_is_named_and_changes_nothing(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let link = pair.router(2).link("eth0")?;
    let probe = pair.patient_client()?;
    let cut = lab.now();
    link.cut()?;
    for pulse in &pulses {
        pulse.wait_for_line("heartbeat path is dead path=public", SOON)?;
    }
    // The log comes first.
    eventually(SOON, "the status to name the dead path", || {
        let paths = pair.status(1).map_err(|error| format!("{error:#}"))?.paths;
        let heard: Vec<bool> = paths.iter().map(|path| path.heard.state).collect();
        if heard == [false, true] { Ok(()) } else { Err(format!("{paths:?}")) }
    })?;
    link.restore()?;
    for pulse in &pulses {
        pulse.wait_for_line("heartbeat path works again path=public", SOON)?;
    }
    nothing_has_changed(lab, &pair, probe, cut)
}

fn a_monitored_link_that_is_cut_hands_the_service_over(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "monitor_links = 1")?;
    let link = pair.router(1).link("eth0")?;
    link.cut()?;
    pulses[0].wait_for_line(
        "giving the service back reason=\"this router cannot serve: the link of eth0 is down",
        SOON,
    )?;
    pulses[1].wait_for_line("taking the service reason=\"the other router asked to be relieved", SOON)?;
    pair.wait_until_serving(2)?;
    pair.wait_until_clean(1)?;
    link.restore()?;
    pulses[0].wait_for_line("this router can serve again", SOON)?;
    ensure!(pair.status(2)?.role.state == Role::Active, "nobody preempts");
    Ok(())
}

fn nothing_has_changed(lab: &Lab, pair: &Pair, probe: lab::Probe, since: Duration) -> Result<()> {
    pair.ensure_no_outage(lab, probe, since)?;
    ensure!(pair.status(1)?.role.state == Role::Active && pair.status(2)?.role.state == Role::Backup);
    Ok(())
}

fn a_router_told_to_end_is_relieved_within_a_keepalive(lab: &Lab) -> Result<()> {
    let timers = Timers::millis(1_000, 6_000);
    let (pair, pulses) = Pair::serving(lab, timers, "")?;
    let probe = pair.impatient_client()?;
    let told = lab.now();
    pulses[0].signal(Signal::SIGTERM)?;
    pair.ensure_outage_within(lab, probe, told, timers.keepalive)?;
    ensure!(pulses[0].wait_exit(SOON)?.success(), "pulse ends with status 0");
    pair.wait_until_clean(1)?;
    ensure!(programs_on(pair.router(1))?.is_empty(), "no program is left");
    pulses[1].wait_for_line("taking the service reason=\"the other router asked to be relieved\"", SOON)?;
    Ok(())
}

fn a_killed_pulse_leaves_nothing_behind(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let probe = pair.impatient_client()?;
    let killed = lab.now();
    pulses[0].kill9()?;
    pair.ensure_outage_within(lab, probe, killed, CALM.crash_limit())?;
    pair.wait_until_serving(2)?;
    // lvs withdraws its services when pulse is gone; the addresses go when their lease ends.
    pair.wait_until_clean(1)?;
    ensure!(programs_on(pair.router(1))?.is_empty(), "no program is left");

    let returned = pair.start(1)?;
    returned.wait_for_line("other router peer=active", SOON)?;
    pair.wait_for_role(1, Role::Backup)?;
    ensure!(pair.status(2)?.role.state == Role::Active);
    Ok(())
}

fn a_killed_lvs_is_restarted_without_the_client_noticing(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let probe = pair.patient_client()?;
    let killed = lab.now();
    let lvs = child_named(pulses[0].pid(), "lvs")?;
    let nannies = lab::children(lvs)?;
    ensure!(nannies.len() == 2, "one nanny per real server: {nannies:?}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(lvs), Signal::SIGKILL)?;
    pulses[0].wait_for_line("lvs state=\"waiting to restart\" reason=\"killed by SIGKILL\"", SOON)?;
    eventually(SOON, "a new lvs with new nannies", || {
        let look = || -> Result<(i32, Vec<i32>)> {
            let lvs = child_named(pulses[0].pid(), "lvs")?;
            Ok((lvs, lab::children(lvs)?))
        };
        let (new, children) = look().map_err(|error| format!("{error:#}"))?;
        if new != lvs && children.len() == 2 {
            Ok(())
        } else {
            Err(format!("lvs {new}, nannies {children:?}"))
        }
    })?;
    eventually(SOON, "the nannies of the dead lvs to end", || {
        let left: Vec<_> = nannies.iter().filter(|pid| alive(**pid)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })?;
    pair.wait_until_serving(1)?;
    pair.ensure_no_outage(lab, probe, killed)?;
    ensure!(pair.status(2)?.role.state == Role::Backup, "no failover for a dead lvs");
    Ok(())
}

/// What was ordered on one router holds there alone, and is told when it is in force again.
fn orders_stay_with_their_router(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let weights = |n: usize, expected: usize| -> Result<()> {
        eventually(SOON, &format!("router {n} to have {expected} real servers"), || {
            let table = pair.router(n).ipvs_table().map_err(|error| format!("{error:#}"))?;
            let rows: Vec<usize> = table.iter().map(|service| service.destinations.len()).collect();
            if rows == [expected] { Ok(()) } else { Err(format!("{rows:?}")) }
        })
    };
    let words = ["ctl", "disable", "web/one", "--reason", "disk"];
    pair.router(1).program("lvs").args(words).run(SOON)?.success()?;
    weights(1, 1)?;
    pulses[0].signal(Signal::SIGTERM)?;
    ensure!(pulses[0].wait_exit(SOON)?.success(), "pulse ends with status 0");
    // The other router has heard nothing of it.
    pair.wait_until_serving(2)?;
    let returned = pair.start(1)?;
    pair.wait_for_role(1, Role::Backup)?;
    pulses[1].signal(Signal::SIGTERM)?;
    returned.wait_for_line("in force again vs=web rs=one what=disable by=\"root .*reason=disk ago=", SOON)?;
    pair.wait_for_role(1, Role::Active)?;
    weights(1, 1)
}

fn alive(pid: i32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

/// The child of `pid` that runs the program `name`.
fn child_named(pid: i32, name: &str) -> Result<i32> {
    let is = |child: &i32| {
        std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let found = lab::children(pid)?.into_iter().find(is);
    found.ok_or_else(|| anyhow::anyhow!("process {pid} has no child {name}"))
}

fn a_router_whose_lvs_refuses_its_file_hands_over(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    pair.router(1).write_file(crate::pair::CONFIG, "nonsense\n")?;
    let lvs = child_named(pulses[0].pid(), "lvs")?;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(lvs), Signal::SIGKILL)?;
    pulses[0].wait_for_line("this router cannot serve reason=\"lvs exited with status 78\"", SOON)?;
    pulses[0].wait_for_line("giving the service back reason=\"this router cannot serve", SOON)?;
    pair.wait_until_serving(2)?;
    pair.wait_until_clean(1)
}

fn a_router_whose_kernel_refuses_every_service_hands_over(lab: &Lab) -> Result<()> {
    let pair = Pair::new(lab, CALM, "")?;
    // The lab's kernel has no such scheduler.
    let refused = config(CALM, "").replace("scheduler = rr", "scheduler = twos");
    pair.router(1).write_file(crate::pair::CONFIG, refused)?;
    let pulses = [pair.start(1)?, pair.start(2)?];
    pulses[0].wait_for_line("taking the service", SOON)?;
    pulses[0].wait_for_line("this router cannot serve reason=\"lvs is not ready after 10s\"", SOON * 2)?;
    pulses[1].wait_for_line("taking the service reason=\"the other router", SOON)?;
    pair.wait_until_serving(2)?;
    pair.wait_until_clean(1)
}

fn a_frozen_router_gives_way_when_it_wakes(lab: &Lab) -> Result<()> {
    // Long enough for the addresses' lease of whole seconds to end before the other router takes over.
    let timers = Timers::millis(500, 3_000);
    let (pair, pulses) = Pair::serving(lab, timers, "")?;
    let probe = pair.impatient_client()?;
    let frozen = lab.now();
    pulses[0].signal(Signal::SIGSTOP)?;
    let both = eventually(SOON, "router 2 to take the address", || {
        let has = |n: usize| pair.router(n).has_address(FLOATING[0]).map_err(|error| format!("{error:#}"));
        let (first, second) = (has(1)?, has(2)?);
        if second { Ok(first) } else { Err(format!("router 1 has it: {first}")) }
    })?;
    ensure!(!both, "the frozen router's address had gone before the other router took it");
    pair.ensure_outage_within(lab, probe, frozen, timers.crash_limit())?;
    let probe = pair.patient_client()?;
    let woken = lab.now();
    pulses[0].signal(Signal::SIGCONT)?;
    pulses[0].wait_for_line("giving the service back", SOON)?;
    pair.wait_until_clean(1)?;
    pair.ensure_no_outage(lab, probe, woken)
}

fn addresses_taken_away_are_put_back(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let wire = pair.cluster.capture("public")?;
    pair.router(1).remove_address("eth0", "10.1.0.100/24")?;
    let removed = lab.now();
    pulses[0].wait_for_line("addresses had been taken away behind our back", SOON)?;
    ensure!(lab.now() - removed <= Duration::from_secs(2), "it took {:?}", lab.now() - removed);
    ensure!(pair.router(1).has_address(FLOATING[0])?);
    wire.wait_for("its announcement", SOON, |frame| {
        frame.arp().filter(|arp| {
            frame.at >= removed && arp.is_gratuitous() && arp.sender_ip.to_string() == FLOATING[0]
        })
    })?;
    // The other way round: a router that does not serve may not have one.
    pair.router(2).add_address("eth0", "10.1.0.100/24")?;
    pulses[1].wait_for_line("address removed address=10.1.0.100/24", SOON)?;
    Ok(())
}

fn a_reload_moves_addresses_and_refuses_a_broken_file(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "")?;
    let router = pair.router(1);
    let moved =
        config(CALM, "").replace("10.1.0.100", "10.1.0.120").replace("serial_no = 1", "serial_no = 2");
    router.write_file(crate::pair::CONFIG, &moved)?;
    pulses[0].signal(Signal::SIGHUP)?;
    pulses[0].wait_for_line("configuration read again serial_no=2", SOON)?;
    pulses[0].wait_for_line("address added address=10.1.0.120/24", SOON)?;
    ensure!(router.has_address("10.1.0.120")? && !router.has_address("10.1.0.100")?);
    eventually(SOON, "the service to move too", || {
        let table = router.ipvs_table().map_err(|error| format!("{error:#}"))?;
        let names: Vec<_> = table.iter().map(|service| service.matches.to_string()).collect();
        if names == ["TCP 10.1.0.120:80"] { Ok(()) } else { Err(format!("{names:?}")) }
    })?;

    let said = pulses[0].lines();
    ensure!(!said.iter().any(|line| line.text.contains("taken away behind our back")), "a move is no loss");

    router.write_file(crate::pair::CONFIG, moved.replace("deadtime = ", "deadtme = "))?;
    pulses[0].signal(Signal::SIGHUP)?;
    pulses[0].wait_for_line("configuration refused problem=.*lvs.cf:8:1: error: .*deadtime", SOON)?;
    ensure!(router.has_address("10.1.0.120")?);
    ensure!(pair.status(1)?.serial_no == 2);

    router.write_file(crate::pair::CONFIG, moved.replace("primary = 10.1.0.11", "primary = 10.1.0.13"))?;
    let checked = router.program("lvs").args(["check", crate::pair::CONFIG]).run(SOON)?.success()?;
    let restart = "warning: primary, primary_private: 10.1.0.13, 10.2.0.11 instead of 10.1.0.11, 10.2.0.11 takes effect \
                   only when pulse is restarted";
    ensure!(checked.stderr.contains(restart), "{}", checked.stderr);
    pulses[0].signal(Signal::SIGHUP)?;
    pulses[0].wait_for_line("lvs.cf: primary, primary_private change only with a restart", SOON)?;
    let reload = pair.status(1)?.reload;
    ensure!(!reload.state && reload.reason.contains("change only with a restart"), "{reload:?}");
    ensure!(pair.status(1)?.role.state == Role::Active);
    Ok(())
}

fn a_lone_router_serves_and_ends_cleanly(lab: &Lab) -> Result<()> {
    let pair = Pair::new(lab, CALM, "")?;
    let alone = config(CALM, "").replace("backup_active = 1", "backup_active = 0");
    for router in &pair.routers {
        router.write_file(crate::pair::CONFIG, &alone)?;
    }
    let refused = pair.router(2).program("pulse").args(["-n"]).run(SOON)?;
    ensure!(refused.status.code() == Some(78), "{refused:?}");
    ensure!(refused.stderr.contains("backup_active = 0"), "{}", refused.stderr);

    let pulse = pair.start(1)?;
    pair.wait_until_serving(1)?;
    pulse.wait_for_line("taking the service reason=\"the file names no other router\"", SOON)?;
    pulse.signal(Signal::SIGTERM)?;
    ensure!(pulse.wait_exit(SOON)?.success());
    pair.wait_until_clean(1)
}

fn a_dry_run_changes_nothing(lab: &Lab) -> Result<()> {
    let pair = Pair::new(lab, CALM, "active_cmd = \"/usr/bin/touch /run/it-ran\"")?;
    let before = pair.router(1).addresses()?;
    let wire = pair.cluster.capture("public")?;
    let plan = pair.router(1).program("pulse").args(["-t", "--forceactive"]).run(SOON)?.success()?;
    for part in ["this is the primary router", "add 10.1.0.100 (/24) to eth0 as eth0:1", "touch /run/it-ran"]
    {
        ensure!(plan.stdout.contains(part), "{part} is not in\n{}", plan.stdout);
    }
    ensure!(pair.router(1).addresses()? == before);
    ensure!(pair.router(1).ipvs_table()?.is_empty() && programs_on(pair.router(1))?.is_empty());
    ensure!(pair.router(1).read_file("/run/it-ran").is_err());
    ensure!(wire.udp_to(539).is_empty() && wire.arps().iter().all(|(_, arp)| !arp.is_gratuitous()));
    Ok(())
}

fn commands_run_when_the_role_changes(lab: &Lab) -> Result<()> {
    let commands = "active_cmd = \"/bin/echo now active\"\ninactive_cmd = \"/bin/echo now inactive\"";
    let (pair, pulses) = Pair::serving(lab, CALM, commands)?;
    for pulse in &pulses {
        pulse.wait_for_line("command wrote command=inactive_cmd output=\"now inactive\"", SOON)?;
    }
    let active = "command wrote command=active_cmd output=\"now active\"";
    pulses[0].wait_for_line(active, SOON)?;
    let mark = lab.journal().mark();
    pulses[0].signal(Signal::SIGTERM)?;
    pulses[1].wait_for_line_after(mark, active, SOON)?;
    pair.wait_for_role(2, Role::Active)?;
    Ok(())
}

fn the_connection_synchronisation_follows_the_role(lab: &Lab) -> Result<()> {
    let (pair, pulses) = Pair::serving(lab, CALM, "syncdaemon = 1\nsyncd_iface = eth1\nsyncd_id = 7")?;
    let daemons = |n: usize, wanted: &str| {
        eventually(SOON, &format!("router {n} to be sync {wanted}"), || {
            let shown = pair.router(n).program("ipvsadm").args(["-L", "--daemon"]).run(SOON);
            let text = shown.and_then(lab::Finished::success).map_err(|error| format!("{error:#}"))?.stdout;
            if text.starts_with(wanted) && text.lines().count() == 1 { Ok(()) } else { Err(text) }
        })
    };
    daemons(1, "master sync daemon (mcast=eth1, syncid=7")?;
    daemons(2, "backup sync daemon (mcast=eth1, syncid=7")?;
    pulses[0].signal(Signal::SIGTERM)?;
    daemons(2, "master sync daemon (mcast=eth1, syncid=7")?;
    daemons(1, "backup sync daemon (mcast=eth1, syncid=7")
}

fn a_daemon_leaves_the_terminal_and_locks_others_out(lab: &Lab) -> Result<()> {
    let pair = Pair::new(lab, CALM, "")?;
    let router = pair.router(1);
    router.program("pulse").run(SOON)?.success()?;
    pair.wait_until_serving(1)?;
    let status = pair.status(1)?;
    ensure!(status.peer.as_ref().is_some_and(|peer| peer.state == Peer::Dead), "{:?}", status.peer);
    ensure!(router.read_file("/run/lvs-router/pulse.pid")?.trim() == status.pid.to_string());
    let second = router.program("pulse").args(["-n"]).run(SOON)?;
    ensure!(second.status.code() == Some(1), "{second:?}");
    let mut said = second.stderr;
    said.make_ascii_lowercase();
    ensure!(said.contains(&format!("already running as process {}", status.pid)), "{said}");
    let shown = router.program("pulse").args(["status"]).run(SOON)?.success()?.stdout;
    ensure!(shown.contains("role      active"), "{shown}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(status.pid)?), Signal::SIGTERM)?;
    pair.wait_until_clean(1)?;
    eventually(SOON, "the daemon to end", || match programs_on(router) {
        Ok(left) if left.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    })
}
