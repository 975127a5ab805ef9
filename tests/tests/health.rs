//! What becomes of a real server that fails: when it goes, how it comes back, and who serves meanwhile.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Behaviour, Lab, Match, at, eventually, scenarios, standard};

use crate::{
    cf::{INTERVAL, REENTRY, file, virtual_server},
    one_router::{OneRouter, SOON, http, requests_since, web},
};

scenarios! {
    a_failed_server_leaves_and_returns_after_reentry: 60,
    a_server_that_fails_its_first_check_never_enters: 30,
    patterns_and_programs_decide_as_well: 30,
    a_quiesced_server_keeps_its_connections: 30,
    the_sorry_server_serves_while_nobody_else_can: 30,
}

/// What a machine that is busy may add to a time.
const BUSY: Duration = Duration::from_millis(500);

/// Each way to fail: out within a check, nobody notices after that, back after re-entry and not before.
fn a_failed_server_leaves_and_returns_after_reentry(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let both = [("rs1", 1), ("rs2", 1)];
    world.serve(file([virtual_server("web", 0).checked_often().weights(&[1, 1])]), &both)?;
    let probe = world.probe()?;
    for failure in [
        Behaviour::Refuse,
        Behaviour::Hang,
        Behaviour::Reset,
        Behaviour::Close,
        Behaviour::Greet("220 mail".to_owned()),
    ] {
        let failed = lab.now();
        world.server(1).behave(&failure)?;
        world.wait_for_weights(web(), &[("rs2", 1)])?;
        let out = lab.now();
        // The next check, and in it a connection and an answer that each may take as long.
        ensure!(out - failed <= INTERVAL * 3 + BUSY, "{failure:?} was served for {:?}", out - failed);
        probe.wait_for_successes(20, SOON)?;

        let well = lab.now();
        let unnoticed = probe.report().since(out);
        ensure!(unnoticed.failures().is_empty(), "{failure:?} was noticed after {out:?}: {unnoticed}");
        assert_eq!(unnoticed.servers().into_keys().collect::<Vec<_>>(), ["rs2"], "{failure:?}");

        world.server(1).behave(&Behaviour::Answer)?;
        world.wait_for_weights(web(), &both)?;
        let absent = lab.now() - well;
        // Three good checks in a row, of which the first may come at once.
        ensure!(absent >= REENTRY - INTERVAL, "{failure:?}: back after {absent:?}");
        ensure!(absent <= REENTRY + INTERVAL * 3 + BUSY, "{failure:?}: only back after {absent:?}");
    }
    Ok(())
}

/// A server is used when it has shown that it works.
fn a_server_that_fails_its_first_check_never_enters(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    world.server(2).behave(&Behaviour::Refuse)?;
    let web = virtual_server("web", 0).checked_often().set("quiesce_server", 1).weights(&[1, 1]);
    let lvs = world.serve(file([web]), &[("rs1", 1)])?;
    let probe = world.probe()?;
    lvs.wait_for_line("real server down vs=web rs=10.2.0.102:80 from=unknown", SOON)?;
    probe.wait_for_successes(20, SOON)?;
    let requests = requests_since(lab, &lvs, 0)?;
    assert_eq!(requests, ["-A -t 10.1.0.100:80 -s rr", "-a -t 10.1.0.100:80 -r 10.2.0.101:80 -m -w 1"]);
    world.server(2).behave(&Behaviour::Answer)?;
    world.wait_for_weights(self::web(), &[("rs1", 1), ("rs2", 1)])?;
    probe.wait_for_successes(20, SOON)?;
    let report = probe.stop()?;
    ensure!(report.failures().is_empty() && report.servers().len() == 2, "{report}");
    Ok(())
}

/// The other kinds of checks, each with an answer that is nearly right.
fn patterns_and_programs_decide_as_well(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    let pattern = virtual_server("pattern", 0)
        .checked_often()
        .set("send", r#""HELLO\n""#)
        .set("expect", r#""^rs[0-9]+[[:space:]]*$""#)
        .set("use_regex", 1)
        .weights(&[1]);
    let program = virtual_server("program", 1)
        .checked_often()
        .set("send_program", r#""/bin/sh /etc/sysconfig/ha/check %h %p""#)
        .set("expect", "OK")
        .weights(&[1]);
    let by_program = Match::Tcp(at(standard::vip(1), 80));
    let told = |word: &str| world.router.write_file("/etc/sysconfig/ha/10.2.0.101-80", word);
    world.router.write_file("/etc/sysconfig/ha/check", "cat /etc/sysconfig/ha/$1-$2\n")?;
    told("OK\n")?;
    world.serve(file([pattern, program]), &[("rs1", 1)])?;
    world.wait_for_weights(by_program, &[("rs1", 1)])?;

    world.server(1).behave(&Behaviour::Say("rs1 out of order".to_owned()))?;
    world.wait_for_weights(web(), &[])?;
    world.wait_for_weights(by_program, &[("rs1", 1)])?;
    world.server(1).behave(&Behaviour::Answer)?;
    world.wait_for_weights(web(), &[("rs1", 1)])?;

    told("NOT OK\n")?;
    world.wait_for_weights(by_program, &[])?;
    world.wait_for_weights(web(), &[("rs1", 1)])?;
    told("OK\n")?;
    world.wait_for_weights(by_program, &[("rs1", 1)])
}

/// Weight 0: nobody new, and whoever is there may stay.
fn a_quiesced_server_keeps_its_connections(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let both = [("rs1", 1), ("rs2", 1)];
    let web = virtual_server("web", 0)
        .checked_often()
        .set("quiesce_server", 1)
        .set("send", r#""hello\n""#)
        .set("expect", "rs")
        .weights(&[1, 1]);
    world.serve(file([web]), &both)?;
    let mut held = vec![world.hold(http())?, world.hold(http())?];
    held.retain(|connection| connection.server == "rs1");
    assert_eq!(held.len(), 1);

    world.server(1).behave(&Behaviour::Say("still here".to_owned()))?;
    world.wait_for_weights(self::web(), &[("rs1", 0), ("rs2", 1)])?;
    assert_eq!(held[0].ask()?, "still here");
    for _ in 0..10 {
        assert_eq!(world.ask(http())?, "rs2");
    }
    let service = world.service(self::web())?;
    let row = service.destination(at(standard::real_server(1), 80)).map(|row| row.active);
    assert_eq!(row, Some(1), "{service}");

    world.server(1).behave(&Behaviour::Answer)?;
    world.wait_for_weights(self::web(), &both)?;
    assert_eq!(held[0].ask()?, "rs1");
    Ok(())
}

/// Somebody answers, whatever happens.
fn the_sorry_server_serves_while_nobody_else_can(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 3)?;
    let web = virtual_server("web", 0).checked_often().set("sorry_server", "10.2.0.103").weights(&[1, 1]);
    let lvs = world.serve(file([web]), &[("rs1", 1), ("rs2", 1)])?;
    let probe = world.probe()?;
    world.server(1).behave(&Behaviour::Refuse)?;
    world.server(2).behave(&Behaviour::Refuse)?;
    world.wait_for_weights(self::web(), &[("rs3", 1)])?;
    let sorry = lab.now();
    eventually(SOON, "the status to tell of the sorry server", || {
        let status = world.status().map_err(|error| format!("{error:#}"))?;
        if status.virtual_servers[0].sorry { Ok(()) } else { Err(format!("{:?}", status.virtual_servers)) }
    })?;
    probe.wait_for_successes(20, SOON)?;
    let meanwhile = probe.report().since(sorry);
    assert_eq!(meanwhile.servers().into_keys().collect::<Vec<_>>(), ["rs3"]);

    let mark = lab.journal().mark();
    world.server(1).behave(&Behaviour::Answer)?;
    world.wait_for_weights(self::web(), &[("rs1", 1)])?;
    let back = lab.now();
    probe.wait_for_successes(20, SOON)?;
    let report = probe.stop()?;
    ensure!(report.since(sorry).failures().is_empty(), "{}", report.since(sorry));
    assert_eq!(report.since(back).servers().into_keys().collect::<Vec<_>>(), ["rs1"]);
    let requests = requests_since(lab, &lvs, mark)?;
    let order = ["-a -t 10.1.0.100:80 -r 10.2.0.101:80", "-d -t 10.1.0.100:80 -r 10.2.0.103:80"];
    ensure!(
        requests.len() == 2 && requests.iter().zip(order).all(|(request, start)| request.starts_with(start)),
        "{requests:?}"
    );
    Ok(())
}
