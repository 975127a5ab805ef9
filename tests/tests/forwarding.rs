//! How requests travel from the router to a real server: each forwarding method with real traffic, set up by the
//! suite's own `ipvsadm`. Each scenario asserts what the client was answered, which client the real server saw, what
//! was on the wire, and that `ipvsadm -L --stats` counts exactly that.

mod datagrams;
mod direct;
mod marks;
pub(crate) mod mixed;
mod nat;
mod room;
mod sctp;
mod tunnel;
pub(crate) mod witness;
mod world;

use lab::Scenario;

/// All scenarios of the modules.
pub(crate) fn all() -> Vec<Scenario> {
    [
        datagrams::all(),
        direct::all(),
        marks::all(),
        mixed::all(),
        nat::all(),
        room::all(),
        sctp::all(),
        tunnel::all(),
    ]
    .concat()
}
