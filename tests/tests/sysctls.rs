//! The kernel's settings: set as the forwarding methods need them, kept so, and set back.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Program, Signal, eventually, scenarios};

use crate::{
    cf::{Block, file, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, http, web},
};

scenarios! {
    settings_are_kept_while_serving_and_set_back_afterwards: 40,
    what_was_before_is_known_after_kill: 40,
    what_is_right_is_not_written: 30,
    a_read_only_proc_keeps_nothing_from_being_served: 30,
}

/// What a router by NAT needs: the value that it needs, and the one that the scenarios begin with.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("net.ipv4.ip_forward", "1", "0"),
    ("net.ipv4.conf.all.send_redirects", "0", "1"),
    ("net.ipv4.conf.eth1.send_redirects", "0", "1"),
];
/// How soon a change by somebody else is put right.
const REPAIR: Duration = Duration::from_secs(2);

fn one_service() -> Block {
    file([virtual_server("web", 0).checked_often().weights(&[1, 1])])
}

/// A world in which no setting is as a router by NAT needs it.
fn wrong_world(lab: &Lab) -> Result<OneRouter> {
    let world = OneRouter::nat(lab, 2)?;
    for (name, _, wrong) in SETTINGS {
        world.router.set_sysctl(name, wrong)?;
    }
    Ok(world)
}

fn wait_until_right(world: &OneRouter) -> Result<()> {
    eventually(SOON, "the settings to be right", || {
        for (name, right, _) in SETTINGS {
            let found = world.router.sysctl(name).map_err(|error| format!("{error:#}"))?;
            if found.trim() != right {
                return Err(format!("{name} is {found}"));
            }
        }
        Ok(())
    })
}

fn are_back(world: &OneRouter) -> Result<()> {
    for (name, _, wrong) in SETTINGS {
        assert_eq!(world.router.sysctl(name)?.trim(), wrong, "{name}");
    }
    ensure!(world.router.read_file("/run/lvs-router/lvs.sysctls").is_err(), "the list is left");
    Ok(())
}

fn stop(lvs: &Program) -> Result<()> {
    lvs.signal(Signal::SIGTERM)?;
    assert_eq!(lvs.wait_exit(SOON)?.code(), Some(0));
    Ok(())
}

/// Nothing goes through before, everything with `lvs`; slips of an administrator last for less than two seconds.
fn settings_are_kept_while_serving_and_set_back_afterwards(lab: &Lab) -> Result<()> {
    let world = wrong_world(lab)?;
    world.router.set_sysctl("net.ipv4.vs.conntrack", "0")?;
    let with_conntrack = one_service().set("sysctl", "[ net.ipv4.vs.conntrack=1 ]");
    let lvs = world.serve(&with_conntrack, &[("rs1", 1), ("rs2", 1)])?;
    lvs.wait_for_line("setting the kernel name=net.ipv4.ip_forward found=0 wanted=1 reason=", SOON)?;
    wait_until_right(&world)?;
    world.ask(http())?;
    for (name, right, wrong) in SETTINGS {
        let mark = lab.journal().mark();
        let slipped = lab.now();
        world.router.set_sysctl(name, wrong)?;
        let line = format!(
            "repairing a setting changed by somebody else name={name} found={wrong} wanted={right} times=1 reason="
        );
        lvs.wait_for_line_after(mark, &line, SOON).with_context(|| name)?;
        wait_until_right(&world)?;
        let took = lab.now() - slipped;
        ensure!(took <= REPAIR, "{name} was put right only after {took:?}");
    }
    let status = eventually(SOON, "the repairs in the status", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        let repairs: Vec<u64> = status.sysctls.iter().map(|it| it.repairs).collect();
        if repairs == [1, 1, 1, 0] { Ok(status) } else { Err(format!("{repairs:?}")) }
    })?;
    let forward = &status.sysctls[0];
    assert_eq!((forward.name.as_str(), forward.wanted, forward.found), ("net.ipv4.ip_forward", 1, Some(1)));
    assert_eq!((forward.before, &forward.problem), (Some(0), &None));
    assert_eq!(world.router.sysctl("net.ipv4.vs.conntrack")?.trim(), "1");

    // A reload that names it no more sets it back.
    world.write(one_service())?;
    let mark = lab.journal().mark();
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(mark, "setting the kernel back name=net.ipv4.vs.conntrack .*original=0", SOON)?;
    eventually(SOON, "conntrack to be off", || match world.router.sysctl("net.ipv4.vs.conntrack") {
        Ok(value) if value.trim() == "0" => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    stop(&lvs)?;
    are_back(&world)
}

/// By the next run, and by one that only withdraws.
fn what_was_before_is_known_after_kill(lab: &Lab) -> Result<()> {
    let world = wrong_world(lab)?;
    let weights = [("rs1", 1), ("rs2", 1)];
    let lvs = world.serve(one_service(), &weights)?;
    wait_until_right(&world)?;
    lvs.kill9()?;
    let next = world.serve(one_service(), &weights)?;
    wait_until_right(&world)?;
    stop(&next)?;
    are_back(&world)?;

    let lvs = world.serve(one_service(), &weights)?;
    wait_until_right(&world)?;
    lvs.kill9()?;
    world.router.program("lvs").args(["--nodaemon", "--withdraw"]).run(SOON)?.success()?;
    are_back(&world)
}

/// Nothing is written, nothing remembered, nothing set back.
fn what_is_right_is_not_written(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    for (name, right, _) in SETTINGS {
        world.router.set_sysctl(name, right)?;
    }
    let lvs = world.serve(one_service(), &[("rs1", 1), ("rs2", 1)])?;
    let status = eventually(SOON, "the settings in the status", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        if status.sysctls.len() == 3 && status.sysctls.iter().all(|it| it.found == Some(it.wanted)) {
            Ok(status)
        } else {
            Err(format!("{:?}", status.sysctls))
        }
    })?;
    ensure!(status.sysctls.iter().all(|it| it.before.is_none() && it.repairs == 0), "{:?}", status.sysctls);
    ensure!(world.router.read_file("/run/lvs-router/lvs.sysctls").is_err(), "something is remembered");
    stop(&lvs)?;
    for (name, right, _) in SETTINGS {
        assert_eq!(world.router.sysctl(name)?.trim(), right, "{name}");
    }
    let told: Vec<String> = lvs.lines().into_iter().map(|entry| entry.text).collect();
    let about_settings = told.iter().filter(|line| line.contains("net.ipv4."));
    assert_eq!(about_settings.collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

/// As in most containers.
fn a_read_only_proc_keeps_nothing_from_being_served(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.router.set_sysctl("net.ipv4.ip_forward", "1")?;
    world.router.set_sysctl("net.ipv4.conf.all.send_redirects", "1")?;
    world.write(one_service())?;
    let binary = lab::suite_binary("lvs")?;
    let script = format!(
        "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && \
         exec {} --nodaemon -v -c {}",
        binary.display(),
        CONFIG
    );
    let container = world.router.tool("unshare").args(["--mount", "sh", "-c", &script]).label("lvs");
    let lvs = container.start()?;
    lvs.wait_for_line("^ready$", SOON)?;
    let refused = "cannot set the kernel name=net.ipv4.conf.all.send_redirects wanted=0 \
                   problem=\"Read-only file system \\(os error 30\\)\" .*\
                   by_hand=\"sysctl -w net.ipv4.conf.all.send_redirects=0\"";
    lvs.wait_for_line(refused, SOON)?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 1)])?;
    world.ask(http())?;
    let send_redirects = "net.ipv4.conf.all.send_redirects";
    let status = eventually(SOON, "the problem in the status", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        let found = status.sysctls.iter().find(|it| it.name == send_redirects);
        match found.and_then(|it| it.problem.clone()) {
            Some(problem) if problem == "Read-only file system (os error 30)" => Ok(status),
            other => Err(format!("{other:?}")),
        }
    })?;
    let forward = &status.sysctls[0];
    assert_eq!(
        (forward.name.as_str(), forward.found, &forward.problem),
        ("net.ipv4.ip_forward", Some(1), &None)
    );

    // Done by hand, outside.
    world.router.set_sysctl(send_redirects, "0")?;
    lvs.wait_for_line("the kernel is set right now name=net.ipv4.conf.all.send_redirects", SOON)?;
    stop(&lvs)?;
    assert_eq!(world.router.sysctl(send_redirects)?.trim(), "0");
    let told = lvs.lines();
    let refusals = told.iter().filter(|it| it.text.contains("cannot set the kernel name=net.ipv4.conf.all"));
    assert_eq!(refusals.count(), 1);
    Ok(())
}
