//! Each scheduler of IPVS: whom it gives the next connection, on a real kernel, programmed by our own `ipvsadm`.
//!
//! A scheduler without chance is predicted to the letter: answers are written as one digit per connection
//! ([`service::Service`]), and the comment above says how they follow from the scheduler's rule. Three things are common to all
//! of them:
//!
//! - the kernel looks at the servers in the order of its list, which here is rs1, rs2, ... ([`service::Service::on`]);
//! - of equally good servers the first of the list wins;
//! - a server of weight 0, or one with as many connections as its upper threshold (`-x`), is passed over.
//!
//! The load of a server, where it counts, is its active connections, and a 256th for each inactive one (already closed).

mod connections;
mod hashing;
mod locality;
mod maglev;
mod modules;
mod ranking;
mod service;
mod turns;

use lab::Scenario;

/// All scenarios of the schedulers.
pub(crate) fn all() -> Vec<Scenario> {
    [
        connections::all(),
        hashing::all(),
        locality::all(),
        maglev::all(),
        modules::all(),
        ranking::all(),
        turns::all(),
    ]
    .concat()
}
