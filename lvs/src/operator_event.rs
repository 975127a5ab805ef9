//! What is worth a log line about what an operator asked for: who, what and why, and what became of it.

use std::time::Duration;

use ipvsadm::DestinationId;
use lvs_ipc::status::Left;

use crate::orders::{Ended, Order};
use crate::status_view::in_two_units;

/// Something that an operator did or that followed from it. `target` is `VIRTUAL/SERVER` or `VIRTUAL`.
#[derive(Debug, Clone, PartialEq)]
pub enum OperatorEvent {
    /// An override is in force from now on.
    Ordered {
        /// What it is about.
        target: String,
        /// What, in words.
        what: String,
        /// Who and why.
        order: Order,
    },
    /// An override of an earlier run is in force again, be it of a moment ago or of months.
    Recalled {
        /// What it is about.
        target: String,
        /// What, in words.
        what: String,
        /// Who and why.
        order: Order,
        /// How long ago it was asked for.
        age: Duration,
    },
    /// So many more of them.
    MoreRecalled(usize),
    /// An override is no longer in force.
    Undone {
        /// What it was about.
        target: String,
        /// What, in words.
        what: &'static str,
        /// Who.
        by: String,
    },
    /// An override is forgotten because the file does not name its real, virtual or sorry server any more.
    Dropped {
        /// What it was about.
        target: String,
        /// What, in words.
        what: &'static str,
    },
    /// The server that an override is about has another address.
    Followed {
        /// What it is about.
        target: String,
        /// What, in words.
        what: &'static str,
        /// The address and port that it is about from now on.
        address: DestinationId,
    },
    /// The server that an override is about has another name, and another server has its name.
    Stayed {
        /// What it is about, by the name from now on.
        target: String,
        /// What, in words.
        what: &'static str,
        /// The name before.
        was: String,
        /// The address and port that it has been about and is.
        address: DestinationId,
    },
    /// The file does not name a real server any more, and it is drained.
    Leaving {
        /// The real server.
        target: String,
        /// How long at most.
        within: Duration,
    },
    /// The file names a real server again that was being drained.
    Returned(String),
    /// A drain ended; the real server is taken out of the table.
    Drained {
        /// The real server.
        target: String,
        /// How.
        ended: Ended,
        /// What it still has.
        left: Left,
    },
    /// Somebody asked for a reload.
    ReloadAsked(String),
    /// Somebody asked for a check at once.
    CheckAsked {
        /// Of what.
        target: String,
        /// Who.
        by: String,
    },
    /// What is to survive a restart could not be written; serving goes on.
    NotSaved(String),
    /// It could be written again.
    SavedAgain,
}

impl OperatorEvent {
    /// What changed in the serving, for people: of which virtual or real server, and what; nothing for what did not.
    #[must_use]
    pub fn change(&self) -> Option<(&str, String)> {
        match self {
            Self::Ordered { target, what, order } => {
                let reason = order.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                Some((target, format!("{what} by {}{reason}", order.by)))
            }
            Self::Undone { target, what, by } => Some((target, format!("{what} ended by {by}"))),
            Self::Leaving { target, .. } => Some((target, "no longer in the file: draining".into())),
            Self::Returned(target) => Some((target, "in the file again".into())),
            Self::Drained { target, ended, .. } => Some((target, format!("drained: {ended}"))),
            _ => None,
        }
    }

    /// Writes the line.
    pub fn log(&self) {
        let (vs, rs) = self.names();
        match self {
            Self::Ordered { what, order: Order { by, reason, .. }, .. } => {
                let reason = reason.as_deref().unwrap_or("none given");
                tracing::info!(vs, rs, %what, %by, %reason, "override in force");
            }
            Self::Recalled { what, order: Order { by, reason, .. }, age, .. } => {
                let (reason, ago) = (reason.as_deref().unwrap_or("none given"), in_two_units(*age));
                tracing::warn!(vs, rs, %what, %by, %reason, %ago, "override of an earlier run in force again");
            }
            Self::MoreRecalled(count) => {
                tracing::warn!(count, "more overrides of an earlier run in force again; see lvs ctl list");
            }
            Self::Undone { what, by, .. } => tracing::info!(vs, rs, what, %by, "override ended"),
            Self::Dropped { what, .. } => {
                tracing::warn!(vs, rs, what, "override forgotten: the file does not name this any more");
            }
            Self::Followed { what, address, .. } => {
                tracing::warn!(vs, rs, what, %address, "override in force for another address of the same name");
            }
            Self::Stayed { what, was, address, .. } => {
                tracing::warn!(vs, rs, what, %was, %address, "override in force for the same address with another name");
            }
            Self::Leaving { within, .. } => {
                tracing::info!(vs, rs, ?within, "no longer in the file: draining");
            }
            Self::Returned(_) => tracing::info!(vs, rs, "in the file again: no longer drained"),
            Self::Drained { ended: Ended::Empty, .. } => {
                tracing::info!(vs, rs, reason = %Ended::Empty, "drained");
            }
            Self::Drained { ended, left, .. } => {
                tracing::warn!(vs, rs, reason = %ended, %left, "drained: what is left is cut off");
            }
            Self::ReloadAsked(by) => tracing::info!(%by, "asked to read the file again"),
            Self::CheckAsked { by, .. } => tracing::info!(vs, rs, %by, "asked to check at once"),
            Self::NotSaved(reason) => {
                tracing::error!(%reason, "cannot save overrides and health; a restart would not know them");
            }
            Self::SavedAgain => tracing::info!("overrides and health are saved again"),
        }
    }

    /// The virtual server that it is about, and the real server of it; a name has a slash but rarely.
    fn names(&self) -> (Option<&str>, Option<&str>) {
        let target = match self {
            Self::Ordered { target, .. }
            | Self::Recalled { target, .. }
            | Self::Undone { target, .. }
            | Self::Dropped { target, .. }
            | Self::Followed { target, .. }
            | Self::Stayed { target, .. }
            | Self::Leaving { target, .. }
            | Self::Returned(target)
            | Self::CheckAsked { target, .. }
            | Self::Drained { target, .. } => target.as_str(),
            Self::MoreRecalled(_) | Self::ReloadAsked(_) | Self::NotSaved(_) | Self::SavedAgain => {
                return (None, None);
            }
        };
        target.split_once('/').map_or((Some(target), None), |(vs, rs)| (Some(vs), Some(rs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_a_virtual_server_or_one_of_its_real_servers() {
        let undone =
            |target: &str| OperatorEvent::Undone { target: target.into(), what: "sorry", by: "x".into() };
        assert_eq!(undone("web/rs1").names(), (Some("web"), Some("rs1")));
        assert_eq!(undone("web").names(), (Some("web"), None));
        assert_eq!(OperatorEvent::SavedAgain.names(), (None, None));
    }
}
