//! What goes wrong around a director: files in the making, signals by the hundred, folders and capabilities that are
//! missing, a full disk, a kernel without its module. It says what is wrong, and goes on with what it has.

mod crowd;
pub(crate) mod disk;
pub(crate) mod midway;
pub(crate) mod module;
pub(crate) mod overrun;
pub(crate) mod size;
pub(crate) mod storm;

use anyhow::{Result, ensure};
use lab::{Lab, Program, Signal, scenarios};

use crate::{
    cf::{Block, file, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, requests_since, web},
};

scenarios! {
    a_file_in_the_making_is_refused_and_its_end_is_read: 30,
    a_hundred_hangups_in_a_second_are_a_few_readings_of_which_the_last_counts: 30,
    a_director_that_cannot_write_its_run_directory_says_so_at_once: 20,
    a_director_without_its_capability_says_what_to_do: 20,
}

/// Both servers of the service.
const BOTH: [(&str, i32); 2] = [("rs1", 1), ("rs2", 1)];

fn one_service() -> Block {
    file([virtual_server("web", 0).checked_often().weights(&[1, 1])])
}

fn hang_up(lab: &Lab, lvs: &Program, answer: &str) -> Result<()> {
    let mark = lab.journal().mark();
    lvs.signal(Signal::SIGHUP)?;
    lvs.wait_for_line_after(mark, answer, SOON)?;
    Ok(())
}

/// A writer that truncates and takes its time.
fn a_file_in_the_making_is_refused_and_its_end_is_read(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs = world.serve(one_service(), &BOTH)?;
    let (nannies, mark) = (world.nannies(&lvs)?, lab.journal().mark());
    let next = file([virtual_server("web", 0).checked_often().weights(&[1, 5])]).to_string();
    for length in [0, next.len() / 3, next.len() - 4] {
        world.write(&next[..length])?;
        hang_up(lab, &lvs, "the file cannot be used; nothing changed")?;
    }
    assert_eq!(requests_since(lab, &lvs, mark)?, Vec::<String>::new());
    assert_eq!(world.nannies(&lvs)?, nannies);
    world.write(&next)?;
    hang_up(lab, &lvs, "configuration in force")?;
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 5)])
}

/// The file changes all the time.
fn a_hundred_hangups_in_a_second_are_a_few_readings_of_which_the_last_counts(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let lvs = world.serve(one_service(), &BOTH)?;
    let probe = world.probe()?;
    let nannies = world.nannies(&lvs)?;
    let (mark, from) = (lab.journal().mark(), lab.now());
    for weight in 1..=100 {
        world.write(file([virtual_server("web", 0).checked_often().weights(&[1, weight])]))?;
        lvs.signal(Signal::SIGHUP)?;
    }
    world.wait_for_weights(web(), &[("rs1", 1), ("rs2", 100)])?;
    let took = lab.now() - from;
    let (entries, _) = lab.journal().all();
    let readings =
        entries.iter().skip(mark).filter(|entry| entry.text.contains("configuration in force")).count();
    let most = usize::try_from(took.as_millis() / 200)? + 2;
    ensure!((1..=most).contains(&readings), "{readings} readings in {took:?}");
    lab.note(format!("100 signals in {took:?}: {readings} readings"));
    assert_eq!(world.nannies(&lvs)?, nannies);
    let report = probe.stop()?;
    ensure!(report.failures().is_empty(), "{report}");
    Ok(())
}

/// Before it touches anything.
fn a_director_that_cannot_write_its_run_directory_says_so_at_once(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    world.write(one_service())?;
    // Nobody can write there, not even root.
    let arguments = ["--nodaemon", "-c", CONFIG, "--run-dir", "/proc/nowhere"];
    let ended = world.router.program("lvs").args(arguments).run(SOON)?;
    ensure!(!ended.status.success(), "{ended:?}");
    ensure!(ended.stderr.contains("/proc/nowhere/lvs.pid"), "{ended:?}");
    ensure!(world.ipvsadm("-S -n")?.is_empty(), "it touched the table");
    Ok(())
}

/// Root, but without what it takes.
fn a_director_without_its_capability_says_what_to_do(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 1)?;
    world.write(one_service())?;
    let lvs = lab::suite_binary("lvs")?;
    let arguments = ["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"];
    let setpriv = world.router.tool("setpriv").args(arguments).arg(lvs);
    let ended = setpriv.args(["--nodaemon", "-c", CONFIG]).run(SOON)?;
    assert_eq!(ended.status.code(), Some(77), "{ended:?}");
    ensure!(ended.stderr.contains("CAP_NET_ADMIN"), "{ended:?}");
    Ok(())
}
