//! All scenarios of the lab. `cargo lab test` runs them, each in a kernel of its own; `cargo test` only names them.

mod announce;
mod balancing;
mod cf;
mod checks;
mod config_errors;
mod confinement;
mod control;
mod convert;
mod diff;
mod differential;
mod doctor;
mod extensions;
mod failover;
mod faults;
mod forwarding;
mod health;
mod ipvs_module;
mod names;
mod one_router;
mod originals;
mod pair;
mod policy;
mod reload;
mod reload_under_load;
mod schedulers;
mod services;
mod sharing;
mod status;
mod supervision;
mod sysctls;
mod tool;
mod wiring;

use std::process::ExitCode;

use lab::Scenario;
use libtest_mimic::{Arguments, Trial};

/// Every module's scenarios.
fn all() -> Vec<Scenario> {
    [
        announce::all(),
        balancing::all(),
        checks::all(),
        config_errors::all(),
        confinement::all(),
        control::all(),
        convert::all(),
        diff::all(),
        differential::all(),
        doctor::all(),
        extensions::all(),
        failover::all(),
        faults::all(),
        faults::disk::all(),
        faults::midway::all(),
        faults::module::all(),
        faults::overrun::all(),
        faults::size::all(),
        faults::storm::all(),
        forwarding::all(),
        health::all(),
        names::all(),
        originals::all(),
        policy::all(),
        reload::all(),
        reload_under_load::all(),
        schedulers::all(),
        services::all(),
        sharing::all(),
        status::all(),
        supervision::all(),
        sysctls::all(),
        tool::all(),
        wiring::all(),
    ]
    .concat()
}

fn main() -> ExitCode {
    let all = all();
    lab::run_if_asked(&all);
    println!("{} scenarios are left to `cargo lab test`, which runs them on a kernel with IPVS", all.len());
    let trials =
        all.into_iter().map(|scenario| Trial::test(scenario.name, || Ok(())).with_ignored_flag(true));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
