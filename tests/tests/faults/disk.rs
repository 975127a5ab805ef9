//! The disk of the state folder is full: the old files stay whole, nothing else suffers, and whoever asked is told.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Finished, Lab, Signal, scenarios};

use super::{BOTH, one_service};
use crate::{
    cf::{file, server, virtual_server},
    one_router::{OneRouter, SOON, web},
};

scenarios! {
    what_is_asked_for_on_a_full_disk_is_in_force_and_saved_when_there_is_room: 60,
    the_last_addresses_of_names_stay_whole_on_a_full_disk: 40,
}

const FOLDER: &str = "/var/lib/lvs-router";
const STATE: &str = "/var/lib/lvs-router/lvs.state";
const NAMES: &str = "/var/lib/lvs-router/names";
const BALLAST: &str = "/var/lib/lvs-router/ballast";
/// More than the time between two attempts to save.
const ATTEMPT: Duration = Duration::from_secs(20);
const FULL: &str = "No space left on device (os error 28)";

/// A world in which the state folder is a disk of its own, a small one.
fn small_disk(lab: &Lab) -> Result<OneRouter> {
    let world = OneRouter::nat(lab, 2)?;
    let tmpfs = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", FOLDER];
    world.router.tool("mount").args(tmpfs).run(SOON)?.success()?;
    Ok(world)
}

fn fill(world: &OneRouter) -> Result<()> {
    let filled = world.router.enter(|| fs::write(BALLAST, vec![0; 1 << 20]))?;
    ensure!(filled.is_err(), "the disk is larger than was asked for");
    Ok(())
}

fn make_room(world: &OneRouter) -> Result<()> {
    world.router.enter(|| fs::remove_file(BALLAST))?.context("make room")
}

fn ctl(world: &OneRouter, words: &str) -> Result<Finished> {
    world.router.program("lvs").arg("ctl").args(words.split(' ')).run(SOON)?.success()
}

fn what_is_asked_for_on_a_full_disk_is_in_force_and_saved_when_there_is_room(lab: &Lab) -> Result<()> {
    let world = small_disk(lab)?;
    let lvs = world.serve(one_service(), &BOTH)?;
    let probe = world.probe()?;
    assert_eq!(ctl(&world, "weight web/rs1 7")?.stderr, "");
    let saved = world.router.read_file(STATE)?;

    fill(&world)?;
    let told = ctl(&world, "weight web/rs2 5")?;
    assert_eq!(told.stdout, "web/rs2: weight 5 until it is reset\n");
    let why = format!("{STATE}: {FULL}");
    let warning = "lvs: warning: in force, but not saved, so a restart of lvs would not know it";
    assert_eq!(told.stderr, format!("{warning}: {why}\n"));
    lvs.wait_for_line("cannot save overrides and health; .*lvs.state: No space left on device", SOON)?;
    world.wait_for_weights(web(), &[("rs1", 7), ("rs2", 5)])?;
    let status = world.status()?.state_file.context("the status tells of the state file")?;
    assert_eq!((status.state, status.reason), (false, why));
    assert_eq!(world.router.read_file(STATE)?, saved);
    ensure!(world.router.read_file(format!("{STATE}.new")).is_err(), "half a file is left");

    let mark = lab.journal().mark();
    make_room(&world)?;
    lvs.wait_for_line_after(mark, "overrides and health are saved again", ATTEMPT)?;
    lvs.kill9()?;
    let _next = world.serve(one_service(), &[("rs1", 7), ("rs2", 5)])?;
    let listed = ctl(&world, "list")?.stdout;
    ensure!(listed.contains("web/rs1  weight 7; ") && listed.contains("web/rs2  weight 5; "), "{listed}");
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    Ok(())
}

/// A name that moves meanwhile is followed, which the file says when there is room again.
fn the_last_addresses_of_names_stay_whole_on_a_full_disk(lab: &Lab) -> Result<()> {
    let world = small_disk(lab)?;
    let moves_to = |n: u8| {
        let line = format!("127.0.0.1 localhost\n10.2.0.10{n} moving.test\n");
        world.router.write_file("/etc/hosts", line)
    };
    moves_to(1)?;
    let named = file([virtual_server("web", 0).with(server(1).set("address", "moving.test"))]);
    let lvs = world.serve(named, &[("rs1", 1)])?;
    let before = world.router.read_file(NAMES)?;
    ensure!(before.contains("10.2.0.101"), "{before}");

    fill(&world)?;
    moves_to(2)?;
    let mark = lab.journal().mark();
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(mark, "names: cannot write the last addresses of names: No space left", SOON)?;
    world.wait_for_weights(web(), &[("rs2", 1)])?;
    assert_eq!(world.router.read_file(NAMES)?, before);

    make_room(&world)?;
    let mark = lab.journal().mark();
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(mark, "configuration in force", SOON)?;
    let after = world.router.read_file(NAMES)?;
    ensure!(after.contains("10.2.0.102") && !after.contains("10.2.0.101"), "{after}");
    Ok(())
}
