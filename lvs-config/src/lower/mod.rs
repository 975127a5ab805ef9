//! The tree to a [`Config`]: meanings, ranges, defaults, and what must not be together.
//!
//! Every directive is read exactly once, through the row of the table in `keys.rs` that describes it. Whatever is wrong
//! is reported where it is, and reading goes on; a thing that could not be understood is left out of the result, which
//! nobody sees once there is an error.
//!
//! `read.rs`, `number.rs` and `address.rs` read values; `global.rs` and `routers.rs` read what stands outside the
//! blocks, `service.rs` and `server.rs` the blocks, `check.rs` and `pace.rs` how servers are checked, `scheduler.rs` the switches of a scheduler,
//! `limits.rs` how many connections a server takes, `tunnel.rs` how packets get to it, `sorry.rs` the server of last resort,
//! `policy.rs` what health leads to, `sysctl.rs` the settings of the kernel; `conflicts.rs` knows what has been seen
//! before, `networks.rs` whether floating addresses fit their interfaces.

mod address;
mod check;
mod conflicts;
mod global;
mod limits;
mod networks;
mod number;
mod pace;
mod policy;
mod read;
mod routers;
mod scheduler;
mod server;
mod service;
mod sorry;
mod sysctl;
mod tunnel;

use std::collections::HashMap;
use std::net::IpAddr;

use crate::diagnostic::{Problem, Report};
use crate::model::{Config, Protocol};
use crate::names::{Family, Names};
use crate::tree::Tree;

/// What the document means, if nothing in it is wrong. Everything that is found goes to `report`.
pub(crate) fn lower(document: Tree<'_>, names: &dyn Names, report: &mut Report) -> Option<Config> {
    let mut lowering = Lowering {
        text: document.text,
        names,
        report,
        hosts: HashMap::new(),
        services: HashMap::new(),
        seen: conflicts::Seen::default(),
        if_valid: Vec::new(),
    };
    let config = lowering.config(document.nodes);
    if lowering.report.has_errors() {
        return None;
    }
    for problem in lowering.if_valid {
        lowering.report.add(problem);
    }
    config
}

/// The state of one reading.
struct Lowering<'a> {
    text: &'a str,
    names: &'a dyn Names,
    report: &'a mut Report,
    /// Names that have been looked up: each is asked for once, and means one thing throughout.
    hosts: HashMap<(String, Family), Option<IpAddr>>,
    services: HashMap<(String, Protocol), Option<u16>>,
    seen: conflicts::Seen,
    /// Warnings that something is not there. Beside an error they would often be no more than its consequence.
    if_valid: Vec<Problem>,
}
