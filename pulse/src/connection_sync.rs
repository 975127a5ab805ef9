//! The kernel's connection synchronisation follows the role: the router that serves sends its connections, the other
//! one receives them (`syncdaemon`, `syncd_iface`, `syncd_id`).
//!
//! The kernel may take its time, so this runs on a thread of its own and nothing waits for it. A failure is logged and
//! costs only that a later failover breaks open connections.

use std::io;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};
use ipvsadm::{Ipvs, Request, SyncDaemon, SyncRole};

/// The thread that follows the role.
#[derive(Debug)]
pub struct ConnectionSync {
    roles: Sender<bool>,
    thread: JoinHandle<()>,
}

impl ConnectionSync {
    /// Starts the thread for the daemon that the file names.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(daemon: lvs_config::model::SyncDaemon) -> io::Result<Self> {
        let (roles, wanted) = unbounded();
        let thread = thread::Builder::new().name("sync".into()).spawn(move || follow(&daemon, &wanted))?;
        Ok(Self { roles, thread })
    }

    /// From now on this router sends connections (`true`) or receives them (`false`).
    pub fn set_serving(&self, serving: bool) {
        // The thread ends only after this end of the channel.
        let _ = self.roles.send(serving);
    }

    /// Waits until what was asked for is done; the kernel's answers are waited for only so long.
    pub fn finish(self) {
        drop(self.roles);
        let _ = self.thread.join();
    }
}

fn follow(daemon: &lvs_config::model::SyncDaemon, wanted: &Receiver<bool>) {
    while let Ok(serving) = wanted.recv() {
        // Only the latest role counts.
        let serving = wanted.try_iter().last().unwrap_or(serving);
        let role = if serving { SyncRole::Master } else { SyncRole::Backup };
        match switch(daemon, role) {
            Ok(()) => tracing::info!(
                interface = %daemon.interface, id = daemon.id, serving, "connection synchronisation switched"
            ),
            Err(error) => tracing::warn!(
                interface = %daemon.interface, id = daemon.id, serving, %error,
                "connection synchronisation could not be switched"
            ),
        }
    }
}

fn switch(daemon: &lvs_config::model::SyncDaemon, role: SyncRole) -> anyhow::Result<()> {
    let mut kernel = Ipvs::open()?;
    let running = kernel.daemons()?;
    let wanted = SyncDaemon::new(role, &daemon.interface, daemon.id);
    let right =
        |d: &SyncDaemon| d.role == role && d.interface == wanted.interface && d.sync_id == wanted.sync_id;
    let mut requests: Vec<Request> =
        running.iter().filter(|d| !right(d)).map(|d| Request::StopDaemon(d.role)).collect();
    if !running.iter().any(right) {
        requests.push(Request::StartDaemon(wanted));
    }
    for result in kernel.apply(&requests)? {
        result?;
    }
    Ok(())
}
