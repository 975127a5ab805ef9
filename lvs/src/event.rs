//! What is worth a log line: one per transition, with its reason; a steady state says nothing.
//!
//! Every line about a virtual server has its name as `vs`, and one about a real server has that as `rs`, so that one search
//! finds all that befell it.

use std::time::Duration;

use daemonkit::children::Exit;
use ipvsadm::Request;
use lvs_ipc::status::Health;

use crate::identity::ServerKey;
use crate::operator_event::OperatorEvent;
use crate::sysctl::event::SysctlEvent;

/// A transition. `vs` is the name of the virtual server in the file.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A real server's health changed.
    Health {
        /// Virtual server.
        vs: String,
        /// Real server.
        key: ServerKey,
        /// Health before.
        from: Health,
        /// Health now.
        to: Health,
        /// What the monitor said.
        reason: String,
        /// How long the deciding probe took.
        took: Duration,
    },
    /// A monitor gave a real server a weight.
    Weight {
        /// Virtual server.
        vs: String,
        /// Real server.
        key: ServerKey,
        /// The weight.
        to: u16,
        /// What the monitor said.
        reason: String,
    },
    /// A virtual server has enough real servers again, or too few.
    Quorum {
        /// Virtual server.
        vs: String,
        /// Whether it has enough.
        held: bool,
        /// Weight of the real servers that take connections.
        weight: u64,
        /// Held: lost when the weight is less. Lost: held again when the weight is this.
        needed: u64,
        /// What was counted.
        reason: String,
    },
    /// A hook wrote something.
    HookSaid {
        /// Who it was run for.
        subject: String,
        /// The line.
        line: String,
    },
    /// A hook ended.
    HookEnded {
        /// Who it was run for.
        subject: String,
        /// Whether it was run because that came up.
        up: bool,
        /// How it ended.
        exit: Exit,
        /// How long it ran.
        took: Duration,
        /// Whether it was killed because it ran too long.
        killed: bool,
        /// How many of its lines are not in the log.
        lines_not_logged: usize,
    },
    /// A hook could not be started.
    HookNotStarted {
        /// Who it was to be run for.
        subject: String,
        /// Why.
        reason: String,
    },
    /// Rows of our services that were in the table at start and stay.
    Adopted {
        /// How many services.
        services: usize,
        /// How many real servers keep their row until their first check.
        servers: usize,
    },
    /// Services that an earlier run left and nobody wants any more; they are withdrawn.
    Leftovers(usize),
    /// The list of our services could not be written; serving goes on.
    NotRecorded(String),
    /// The list of our services could be written again.
    RecordedAgain,
    /// The table is not as we left it; this puts it right.
    Drift {
        /// The repair.
        request: Request,
        /// What was found, of whom, and what is wanted, in words; `None` for one of many that are only counted.
        what: Option<String>,
    },
    /// Further repairs that were not told one by one.
    MoreDrift {
        /// How many.
        count: usize,
        /// The last one in words.
        last: String,
    },
    /// The kernel refused a request; it is tried again.
    Refused {
        /// The request and the kernel's reason.
        error: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// Further requests that the kernel refused at the same time; they are tried again.
    MoreRefused(usize),
    /// A request that was refused before has been accepted, or is not needed any more.
    NoLongerRefused(Request),
    /// Further requests that are no longer refused.
    MoreNoLongerRefused(usize),
    /// The kernel could not be asked.
    KernelUnreachable {
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The kernel answers again.
    KernelBack,
    /// A monitor was started.
    MonitorStarted {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
    },
    /// A monitor ended by itself; the server keeps its state meanwhile.
    MonitorEnded {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
        /// How.
        exit: Exit,
        /// When it is started again.
        restart_in: Duration,
    },
    /// A monitor could not be started.
    MonitorNotStarted {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
        /// Why.
        reason: String,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A monitor ended saying that it would end again; it stays down until the file is read again.
    MonitorGivenUp {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
        /// How it ended.
        exit: Exit,
    },
    /// A monitor closed its output but did not end, so it is replaced.
    MonitorMute {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
    },
    /// A monitor has something to say about itself, which nobody has said before.
    MonitorNotice {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
        /// What.
        reason: String,
    },
    /// A monitor wrote something that is no report.
    NoReport {
        /// Virtual server.
        vs: String,
        /// Its real server.
        key: ServerKey,
        /// What is wrong with the line.
        reason: String,
    },
    /// A new configuration is in force.
    Reloaded {
        /// Active virtual servers.
        virtual_servers: usize,
        /// Active real servers.
        real_servers: usize,
        /// Monitors that were started, stopped or replaced.
        monitors_changed: usize,
    },
    /// Names of the file in force have other addresses now.
    Renamed {
        /// Monitors that were started, stopped or replaced.
        monitors_changed: usize,
    },
    /// Real servers that the file does not name any more serve until one that it names can.
    Retiring {
        /// Virtual server.
        vs: String,
        /// How many.
        servers: usize,
    },
    /// They served as long as is waited for first checks, and go.
    RetiredUnchecked {
        /// Virtual server.
        vs: String,
        /// How many.
        servers: usize,
    },
    /// The file cannot be used; nothing changed. One line per problem.
    ReloadRefused(Vec<String>),
    /// About what an operator asked for.
    Operator(OperatorEvent),
    /// The services are being withdrawn.
    Stopping {
        /// How many.
        services: usize,
    },
    /// About the kernel's settings.
    Sysctl(SysctlEvent),
    /// The time to stop in order is over.
    StopTimedOut {
        /// What was not finished.
        left: String,
    },
}

impl Event {
    /// Writes the line.
    pub fn log(&self) {
        match self {
            Self::Health { vs, key, from, to, reason, took } => {
                let took_ms = took.as_millis();
                if *to == Health::Down {
                    tracing::warn!(%vs, rs = %key.server, %from, %to, %reason, took_ms, "real server down");
                } else {
                    tracing::info!(%vs, rs = %key.server, %from, %to, %reason, took_ms, "real server up");
                }
            }
            Self::Weight { vs, key, to, reason } => {
                tracing::info!(%vs, rs = %key.server, %to, %reason, "weight changed");
            }
            Self::Quorum { vs, held: true, weight, needed, reason } => {
                tracing::info!(%vs, weight, lost_below = needed, %reason, "quorum held");
            }
            Self::Quorum { vs, held: false, weight, needed, reason } => {
                tracing::warn!(%vs, weight, needed, %reason, "quorum lost");
            }
            Self::Reloaded { virtual_servers, real_servers, monitors_changed } => {
                tracing::info!(virtual_servers, real_servers, monitors_changed, "configuration in force");
            }
            Self::Renamed { monitors_changed } => {
                tracing::info!(monitors_changed, "names of the file have other addresses now");
            }
            Self::Retiring { vs, servers } => {
                tracing::info!(%vs, servers, "the old real servers serve until a new one has passed its check");
            }
            Self::RetiredUnchecked { vs, servers } => {
                tracing::warn!(%vs, servers, "the old real servers go; no new one has been checked in time");
            }
            Self::ReloadRefused(lines) => {
                for line in lines {
                    tracing::error!("{line}");
                }
                tracing::error!(problems = lines.len(), "the file cannot be used; nothing changed");
            }
            Self::Operator(event) => event.log(),
            Self::Stopping { services } => tracing::info!(services, "stopping: withdrawing our services"),
            Self::Sysctl(event) => event.log(),
            Self::StopTimedOut { left } => tracing::error!(%left, "could not stop in order"),
            _ if self.is_about_kernel() => self.log_kernel(),
            Self::HookSaid { .. } | Self::HookEnded { .. } | Self::HookNotStarted { .. } => self.log_hook(),
            _ => self.log_monitor(),
        }
    }

    fn is_about_kernel(&self) -> bool {
        matches!(
            self,
            Self::Adopted { .. }
                | Self::Leftovers(_)
                | Self::NotRecorded(_)
                | Self::RecordedAgain
                | Self::Drift { .. }
                | Self::MoreDrift { .. }
                | Self::Refused { .. }
                | Self::MoreRefused(_)
                | Self::NoLongerRefused(_)
                | Self::MoreNoLongerRefused(_)
                | Self::KernelUnreachable { .. }
                | Self::KernelBack
        )
    }

    fn log_kernel(&self) {
        match self {
            Self::Adopted { services, servers } => {
                tracing::info!(services, servers, "adopted what is in the kernel already");
            }
            Self::Leftovers(services) => {
                tracing::info!(services, "withdrawing what an earlier run left in the kernel");
            }
            Self::NotRecorded(reason) => {
                tracing::error!(%reason, "cannot write the list of our services; the next run may not know them");
            }
            Self::RecordedAgain => tracing::info!("the list of our services is written again"),
            Self::Drift { request, what: Some(what) } => {
                tracing::warn!(%what, repair = %request, "repairing a change by somebody else");
            }
            Self::MoreDrift { count, last } => {
                tracing::warn!(count, %last, "more repairs of changes by somebody else");
            }
            Self::Refused { error, retry_in } => {
                tracing::error!(%error, ?retry_in, "the kernel refused a request");
            }
            Self::MoreRefused(count) => tracing::error!(count, "the kernel refused more requests"),
            Self::NoLongerRefused(request) => tracing::info!(%request, "no longer refused by the kernel"),
            Self::MoreNoLongerRefused(count) => {
                tracing::info!(count, "more requests are no longer refused by the kernel");
            }
            Self::KernelUnreachable { reason, retry_in } => {
                tracing::error!(%reason, ?retry_in, "cannot reach IPVS; the table stays as it is");
            }
            Self::KernelBack => tracing::info!("IPVS can be reached again"),
            _ => {}
        }
    }

    fn log_hook(&self) {
        match self {
            Self::HookSaid { subject, line } => tracing::info!(%subject, %line, "hook"),
            Self::HookEnded { subject, up, exit, took, killed, lines_not_logged } => {
                let (state, took_ms) = (if *up { Health::Up } else { Health::Down }, took.as_millis());
                if *killed {
                    tracing::warn!(%subject, %state, %exit, took_ms, lines_not_logged, "hook ran too long");
                } else if *exit == Exit::Status(0) {
                    tracing::info!(%subject, %state, took_ms, lines_not_logged, "hook done");
                } else {
                    tracing::warn!(%subject, %state, %exit, took_ms, lines_not_logged, "hook failed");
                }
            }
            Self::HookNotStarted { subject, reason } => {
                tracing::error!(%subject, %reason, "cannot start hook");
            }
            _ => {}
        }
    }

    fn log_monitor(&self) {
        match self {
            Self::MonitorStarted { vs, key } => {
                tracing::debug!(%vs, rs = %key.server, "monitor started");
            }
            Self::MonitorEnded { vs, key, exit, restart_in } => {
                tracing::warn!(%vs, rs = %key.server, reason = %exit, ?restart_in, "monitor ended");
            }
            Self::MonitorNotStarted { vs, key, reason, retry_in } => {
                tracing::error!(%vs, rs = %key.server, %reason, ?retry_in, "cannot start monitor");
            }
            Self::MonitorGivenUp { vs, key, exit } => {
                tracing::error!(%vs, rs = %key.server, reason = %exit, "monitor given up; reload to try again");
            }
            Self::MonitorMute { vs, key } => {
                tracing::warn!(%vs, rs = %key.server, "monitor closed its output; replacing it");
            }
            Self::MonitorNotice { vs, key, reason } => {
                tracing::warn!(%vs, rs = %key.server, %reason, "a monitor's notice; the same of others is not logged");
            }
            Self::NoReport { vs, key, reason } => {
                tracing::debug!(%vs, rs = %key.server, %reason, "monitor said something else");
            }
            _ => {}
        }
    }
}
