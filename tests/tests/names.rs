//! Names of real servers: they are followed, and kept when nobody knows them any more.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Lab, Signal, scenarios};

use crate::{
    cf::{Block, file, server, virtual_server},
    one_router::{OneRouter, SOON, http, web},
};

scenarios! {
    a_name_is_followed_to_another_address_and_kept_when_it_is_gone: 120,
}

/// What `lvs` takes to see that a name has changed: it looks every half minute.
const A_LOOK: Duration = Duration::from_secs(60);
const HOSTS: &str = "/etc/hosts";

fn named() -> Block {
    file([virtual_server("web", 0).with(server(1).set("address", "moving.test"))])
}

/// Without a name server, `/etc/hosts` alone knows the name.
fn a_name_is_followed_to_another_address_and_kept_when_it_is_gone(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.router.write_file(HOSTS, "127.0.0.1 localhost\n10.2.0.101 moving.test\n")?;
    let lvs = world.serve(named(), &[("rs1", 1)])?;
    assert_eq!(world.ask(http())?, "rs1");

    let mark = lab.journal().mark();
    world.router.write_file(HOSTS, "127.0.0.1 localhost\n10.2.0.102 moving.test\n")?;
    let told = "moving.test has another address: 10.2.0.102, before 10.2.0.101";
    lvs.wait_for_line_after(mark, told, A_LOOK)?;
    world.wait_for_weights(web(), &[("rs2", 1)])?;
    assert_eq!(world.ask(http())?, "rs2");

    let mark = lab.journal().mark();
    world.router.write_file(HOSTS, "127.0.0.1 localhost\n")?;
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(
        mark,
        "moving.test cannot be resolved and keeps its last address, 10.2.0.102",
        SOON,
    )?;
    lvs.wait_for_line_after(mark, "configuration in force .*monitors_changed=0", SOON)?;
    assert_eq!(world.ask(http())?, "rs2");

    // The address outlives the director, and a check of the file agrees with it.
    lvs.stop();
    let checked =
        world.router.program("lvs").args(["check", crate::one_router::CONFIG]).run(SOON)?.success()?;
    let told = "warning: `moving.test` cannot be resolved; its last address is used, 10.2.0.102";
    ensure!(checked.stderr.contains(told), "{}", checked.stderr);
    let lvs = world.serve(named(), &[("rs2", 1)])?;
    assert_eq!(world.ask(http())?, "rs2");

    // A machine under maintenance does not come back because its name moves.
    world.router.program("lvs").args(["ctl", "disable", "web/rs1"]).run(SOON)?.success()?;
    world.wait_for_weights(web(), &[])?;
    world.router.write_file(HOSTS, "127.0.0.1 localhost\n10.2.0.101 moving.test\n")?;
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line(
        "another address of the same name vs=web rs=rs1 what=disable address=10.2.0.101:80",
        SOON,
    )?;
    lvs.wait_for_line("real server up vs=web rs=10.2.0.101:80", SOON)?;
    world.wait_for_weights(web(), &[])?;
    world.router.program("lvs").args(["ctl", "enable", "web/rs1"]).run(SOON)?.success()?;
    world.wait_for_weights(web(), &[("rs1", 1)])
}
