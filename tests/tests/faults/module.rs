//! The module of IPVS is taken out of the kernel under a director that serves.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Lab, Program, eventually, scenarios};

use super::{BOTH, one_service};
use crate::{
    ipvs_module,
    one_router::{OneRouter, SOON, http, web},
};

scenarios! {
    a_module_that_is_taken_out_is_loaded_again_with_all_its_services: 40,
    a_module_that_nobody_can_load_is_told_once_and_used_when_it_is_back: 40,
}

/// How soon all is as it was when it can be.
const RETURN: Duration = Duration::from_secs(4);

/// A director that served, and then its kernel lost the module.
struct Taken {
    world: OneRouter,
    lvs: Program,
    nannies: BTreeMap<String, i32>,
    /// Where in the journal that was.
    mark: usize,
}

fn taken_out(lab: &Lab) -> Result<Option<Taken>> {
    let world = OneRouter::nat(lab, 2)?;
    if !ipvs_module::is_of_the_lab(&world.router)? {
        lab.note("modules are not taken out of a kernel that is not the lab's own");
        return Ok(None);
    }
    let lvs = world.serve(one_service(), &BOTH)?;
    let nannies = world.nannies(&lvs)?;
    let mark = lab.journal().mark();
    ipvs_module::take_out(&world.router)?;
    Ok(Some(Taken { world, lvs, nannies, mark }))
}

/// As whoever asks for IPVS has it loaded: the netlink family has another number then.
fn a_module_that_is_taken_out_is_loaded_again_with_all_its_services(lab: &Lab) -> Result<()> {
    let Some(Taken { world, lvs, nannies, mark }) = taken_out(lab)? else { return Ok(()) };
    let out = lab.now();
    ipvs_module::put_back(&world.router)?;
    world.wait_for_weights(web(), &BOTH)?;
    let took = lab.now() - out;
    ensure!(took <= RETURN, "the services were back only after {took:?}");
    lab.note(format!("the services were back after {took:?}"));
    lvs.wait_for_line_after(mark, "real server missing", SOON)?;
    world.ask(http())?;
    assert_eq!(world.nannies(&lvs)?, nannies);
    Ok(())
}

fn a_module_that_nobody_can_load_is_told_once_and_used_when_it_is_back(lab: &Lab) -> Result<()> {
    let Some(Taken { world, lvs, nannies, mark }) = taken_out(lab)? else { return Ok(()) };
    let why = "the module ip_vs is not loaded";
    lvs.wait_for_line_after(mark, &format!("cannot reach IPVS; the table stays as it is .*{why}"), SOON)?;
    let status = world.status()?.table;
    ensure!(!status.state && status.reason.contains(why), "{status:?}");
    eventually(SOON, "some attempts in vain", || match ipvs_module::wanted_in_vain(&world.router) {
        few @ 0..4 => Err(few.to_string()),
        _ => Ok(()),
    })?;
    let (entries, _) = lab.journal().all();
    let told = entries.iter().skip(mark).filter(|entry| entry.text.contains("cannot reach IPVS")).count();
    assert_eq!(told, 1);
    assert_eq!(world.nannies(&lvs)?, nannies);

    let back = lab.now();
    ipvs_module::put_back(&world.router)?;
    lvs.wait_for_line_after(mark, "IPVS can be reached again", SOON)?;
    world.wait_for_weights(web(), &BOTH)?;
    let took = lab.now() - back;
    ensure!(took <= RETURN, "the services were back only after {took:?}");
    lab.note(format!("the services were back after {took:?}"));
    ensure!(world.status()?.table.state, "{:?}", world.status()?.table);
    world.ask(http())?;
    Ok(())
}
