//! The lab: the suite's own programs on real packets in a real kernel with IPVS.
//!
//! # Writing a scenario
//!
//! A scenario is a function `fn story(lab: &Lab) -> Result<()>` in a module under `tests/tests/`, listed there
//! with its time limit by [`scenarios!`]; the module is listed in `tests/tests/scenarios.rs`. `cargo lab test NAME`
//! boots a kernel for it and runs it inside. It arranges a world, does something to it, and asserts what the client
//! of the VIP, the kernel's table and the wire saw:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use anyhow::Result;
//! use lab::{Behaviour, Forwarding, Lab, at, eventually, standard};
//!
//! /// A dead real server gets no requests once its check has failed.
//! fn dead_server_leaves_the_table(lab: &Lab) -> Result<()> {
//!     let cluster = lab.cluster().routers(1).real_servers(2).build()?;
//!     let r1 = cluster.router(1)?;
//!     r1.add_address("eth1", standard::NAT_ROUTER)?;
//!     r1.add_address("eth0", "10.1.0.100/24")?;
//!     let servers = [cluster.real_server(1)?.real_server(&[80])?, cluster.real_server(2)?.real_server(&[80])?];
//!
//!     r1.write_file("/etc/sysconfig/ha/lvs.cf", "...")?;
//!     let lvs = r1.program("lvs").args(["--nodaemon"]).start()?;
//!     lvs.wait_for_line("ready", Duration::from_secs(5))?;
//!
//!     let probe = cluster.client()?.probe(at(standard::vip(0), 80)).start()?;
//!     probe.wait_for_successes(10, Duration::from_secs(5))?;
//!     servers[0].behave(&Behaviour::Refuse)?;
//!     eventually(Duration::from_secs(5), "rs1 to leave the table", || {
//!         let table = r1.ipvs_table().map_err(|e| e.to_string())?;
//!         let left: Vec<_> = table[0].destinations.iter().filter(|d| d.weight > 0).collect();
//!         if left.len() == 1 { Ok(()) } else { Err(format!("{left:?}")) }
//!     })?;
//!     let from = lab.now();
//!     probe.wait_for_successes(10, Duration::from_secs(5))?;
//!     assert_eq!(probe.stop()?.since(from).servers().keys().copied().collect::<Vec<_>>(), ["rs2"]);
//!     Ok(())
//! }
//! ```
//!
//! # What there is
//!
//! - [`Lab::cluster`] builds the standard cluster (addresses: [`topology`]) or any other from [`HostSpec`]s. That of
//!   an lvs.cf is the demo's ([`story`]).
//! - [`Host`]: [`program`](Host::program) (a binary of the suite) and [`tool`](Host::tool) (any other) start
//!   programs; addresses, settings, files, sockets ([`udp`](Host::udp), [`connect`](Host::connect)), the kernel's
//!   [`ipvs_table`](Host::ipvs_table), [`link`](Host::link)s.
//! - [`Link`]: `cut`, `silence`, `silence_sending`, `silence_receiving`, `impair`, `restore`.
//! - [`Program`]: `wait_for_line` (a regular expression), `signal`, `kill9`, `wait_exit`, `lines`, `children`.
//! - [`RealServer`]: scripted by [`Behaviour`], with [`Counts`]. [`Probe`]: the client, with its [`ProbeReport`].
//! - [`Capture`]: frames on a bridge ([`Cluster::capture`]) or an interface ([`Host::capture`]), down to the [`Packet`] in
//!   a [`Tunnel`].
//! - [`eventually()`]: waiting for anything else; never sleep. Times are times since the lab started ([`Lab::now`]).
//!
//! Programs run until the lab ends, so that a failure report shows them alive; everything else ends when dropped.
//! The report of a failure (topology, addresses, tables, last lines, journal) is printed and, with the whole journal,
//! kept under `target/lab/logs/`.
//!
//! # How it runs
//!
//! [`kernel`] chooses the running kernel or User Mode Linux ([`fetch`] gets it), `guest` is the first process
//! inside, [`suite`] is `cargo lab test`, [`story`] is `cargo lab demo`, [`mod@bench`] is `cargo lab bench`.

use std::ffi::OsString;

mod apt;
mod balancing;
pub mod bench;
mod capture;
mod cargo;
mod eventually;
pub mod fetch;
mod frame;
mod guest;
mod guests;
mod host;
mod ip;
mod ipvs_table;
mod journal;
pub mod kernel;
mod lab;
mod link;
mod modules;
mod namespace;
mod packet;
pub mod paths;
mod pcap;
mod probe;
mod program;
mod progress;
mod realserver;
mod scenario;
pub mod shell;
mod source_ports;
mod stalls;
pub mod story;
pub mod suite;
pub mod topology;
mod uml;

pub use balancing::{Balancing, Layout, REAL_SERVERS, Row, kernel::wait_for_weight};
pub use capture::Capture;
pub use cargo::build_workspace;
pub use eventually::eventually;
pub use frame::{Arp, Frame, Mac, NeighbourAdvertisement, Udp};
pub use guests::kill_guests_when_interrupted;
pub use host::Host;
pub use ip::Address;
pub use ipvs_table::{Destination, Forwarding, Match, Service};
pub use journal::{Entry, Journal};
pub use lab::Lab;
pub use link::{Impairment, Link};
pub use nix::sys::signal::Signal;
pub use packet::{GUE_PORT, Packet, TooBig, Tunnel};
pub use probe::{Failure, Outage, Probe, ProbeBuilder, Report as ProbeReport, Request};
pub use program::{Finished, Launch, Program, children, programs_folder, suite_binary};
pub use realserver::{Behaviour, Counts, RealServer, Recital};
pub use scenario::{Scenario, results_folder, run_if_asked};
pub use stalls::Stalls;
pub use topology::{Cluster, ClusterBuilder, HostSpec, at, standard};

/// The hidden commands that this executable is started with inside a kernel; returns if `args` are none of them.
///
/// # Errors
/// When the command cannot do its work.
pub fn run_inside(args: &[OsString]) -> anyhow::Result<()> {
    match args {
        // The kernel may add words of its own.
        [command, spec, ..] if command == "first-process" => guest::first_process(spec.as_ref()),
        [command, spec] if command == "become-native" => {
            guest::become_native(spec.as_ref()).map(|never| match never {})
        }
        [command, what] if command == "inside" && what == "shell" => shell::inside(),
        [command, what, name] if command == "inside" && what == "bench" => {
            bench::inside(&name.to_string_lossy())
        }
        [command, what, plan] if command == "inside" && what == "demo" => {
            story::inside::inside(plan.as_ref())
        }
        _ => Ok(()),
    }
}
