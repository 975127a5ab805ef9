//! Tests of the director without processes or privileges: a kernel in memory, time in plain numbers.

mod command_line;
mod desired;
mod life;
mod monitor_args;
mod plan;
mod program;
mod reload;
mod supervision;
mod trouble;
mod world;
