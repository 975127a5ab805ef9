//! `check` in the file: each kind takes a server that fails it out, a changed one restarts its own monitors only, and
//! `lvs ctl check-now` brings a verdict at once.

use anyhow::{Context as _, Result, ensure};
use lab::{Behaviour, Lab, Match, at, scenarios, standard};

use crate::{
    cf::{Block, file, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, web},
    reload::Reloading,
};

scenarios! {
    a_server_that_fails_its_check_of_any_kind_leaves: 40,
    a_changed_check_restarts_only_its_own_monitors: 40,
    a_bad_check_changes_nothing_and_is_told_with_its_place: 30,
    a_check_that_is_asked_for_brings_its_verdict_at_once: 40,
}

/// Both servers of a service.
const BOTH: [(&str, i32); 2] = [("rs1", 1), ("rs2", 1)];

/// A virtual server of both, on the first VIP.
fn checked(name: &str, port: u16, check: &str) -> Block {
    virtual_server(name, 0).set("port", port).set("check", check).checked_often().weights(&[1, 1])
}

/// Answers of the wrong text fail what looks at answers, and nothing else.
fn a_server_that_fails_its_check_of_any_kind_leaves(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let services = [
        checked("web", 80, "http path=/ contains=rs   # a page of its own"),
        checked("secure", 443, r#"'program run="/bin/sh -c \"exit 0\""'"#),
        checked("names", 53, r#"udp send="who # are you?\n" expect=rs"#).set("protocol", "udp"),
        checked("line", 7070, "tcp send=hello\\n expect=rs"),
        virtual_server("port", 1).set("check", "tcp port=7070").checked_often().weights(&[1, 1]),
    ];
    let lvs = world.serve(file(services), &BOTH)?;
    let vip = |port| at(standard::vip(0), port);
    let looked_at = [Match::Tcp(vip(80)), Match::Udp(vip(53)), Match::Tcp(vip(7070))];
    let not_looked_at = [Match::Tcp(vip(443)), Match::Tcp(at(standard::vip(1), 80))];
    for service in looked_at.into_iter().chain(not_looked_at) {
        world.wait_for_weights(service, &BOTH)?;
    }
    world.server(2).behave(&Behaviour::Say("nobody".into()))?;
    for service in looked_at {
        world.wait_for_weights(service, &[("rs1", 1)])?;
    }
    for service in not_looked_at {
        world.wait_for_weights(service, &BOTH)?;
    }
    world.server(2).behave(&Behaviour::Answer)?;
    for service in looked_at {
        world.wait_for_weights(service, &BOTH)?;
    }
    ensure!(world.nannies(&lvs)?.len() == 10, "{:?}", world.nannies(&lvs)?);
    Ok(())
}

/// Two virtual servers, of which the second has this check.
fn two(check: &str) -> Block {
    let web = virtual_server("web", 0).set("check", "tcp").weights(&[1, 1]);
    file([web, virtual_server("shop", 1).set("check", check).weights(&[1, 1])])
}

fn a_changed_check_restarts_only_its_own_monitors(lab: &Lab) -> Result<()> {
    let mut story = Reloading::serve(lab, 2, two("tcp send=hello\\n expect=rs"), &BOTH)?;
    let shop = Match::Tcp(at(standard::vip(1), 80));
    story.world.wait_for_weights(shop, &BOTH)?;
    story.begin()?;
    let before = story.nannies()?;
    ensure!(before.len() == 4, "{before:?}");
    // Written otherwise, it is the same check.
    story.reload(two(r#"'tcp  send="hello\x0a" expect="rs"'"#), &[])?;
    assert_eq!(story.nannies()?, before);
    story.reload(two("tcp send=hello\\n contains=s"), &[])?;
    let after = story.nannies()?;
    assert!(before.keys().eq(after.keys()), "{before:?} {after:?}");
    for (name, pid) in &before {
        let is_web = name.starts_with("10.1.0.100:");
        assert_eq!(after.get(name) == Some(pid), is_web, "{name} in {after:?}");
    }
    Ok(())
}

fn a_bad_check_changes_nothing_and_is_told_with_its_place(lab: &Lab) -> Result<()> {
    let story = Reloading::serve(lab, 2, two("tcp"), &BOTH)?;
    let (nannies, rows) = (story.nannies()?, story.world.rows()?);
    let bad = two("tcp send=hello\\n exect=rs # wrong").to_string();
    let place = |(line, text): (usize, &str)| Some((line + 1, text.find("exect")? + 1));
    let (line, column) = bad.lines().enumerate().find_map(place).context("the word is in the file")?;
    story.world.write(&bad)?;
    story.hang_up(&format!("{CONFIG}:{line}:{column}: error: `tcp` has no option `exect`"))?;
    story.lvs.wait_for_line("the file cannot be used; nothing changed problems=1", SOON)?;
    assert_eq!(story.nannies()?, nannies);
    assert_eq!(story.world.rows()?, rows);
    Ok(())
}

/// Checks are so far apart, and the way back is so long, that only what is asked for can be what happens.
fn a_check_that_is_asked_for_brings_its_verdict_at_once(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let service = virtual_server("web", 0).set("check", "tcp").set("timeout", 600).set("reentry", 600);
    let _lvs = world.serve(file([service.weights(&[1, 1])]), &BOTH)?;
    let check_now = |target: &str, answer: &str| {
        let told =
            world.router.program("lvs").args(["ctl", "check-now", target]).run(SOON)?.success()?.stdout;
        ensure!(told.trim_end() == answer, "check-now {target}: {told}");
        Ok(())
    };
    world.server(2).behave(&Behaviour::Refuse)?;
    check_now("web/rs2", "web/rs2: checked now")?;
    world.wait_for_weights(web(), &[("rs1", 1)])?;
    world.server(2).behave(&Behaviour::Answer)?;
    check_now("web", "web/rs1: checked now\nweb/rs2: checked now")?;
    world.wait_for_weights(web(), &BOTH)
}
