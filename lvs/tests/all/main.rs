//! Tests of the director without processes or privileges: a kernel in memory, time in plain numbers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod check_now;
mod command_line;
mod control;
mod counting;
mod ctl_line;
mod desired;
mod doctor;
mod hooks;
mod keeping;
mod leaving;
mod leftovers;
mod life;
mod migration;
mod monitor_args;
mod plan;
mod plans;
mod policy;
mod policy_simulation;
mod program;
mod recall;
mod reload;
mod retiring;
mod sharing;
mod simulation;
mod spread;
mod status;
mod supervision;
mod sysctls;
mod trouble;
mod watching;
mod world;
