//! `pulse`: heartbeats between two routers, who of them serves, and making it so.
//!
//! ```text
//!  signals ──┐                                    ┌─> heartbeats on every path
//!  heartbeat │                                    ├─> addresses (rtnetlink)
//!  threads ──┼─> channel ─> owner thread (shell) ─┼─> lvs, send_arp, active_cmd, inactive_cmd
//!  children's│              election, takeover    ├─> connection synchronisation (a thread of its own)
//!  lines ────┘                                    └─> status socket
//! ```
//!
//! | module | decides or does |
//! | --- | --- |
//! | [`args`] | words to a command |
//! | [`router`] | which of the two routers this is, and the paths to the other |
//! | [`election`] | who serves; pure |
//! | [`takeover`] | in which order the service is taken and given back; pure |
//! | [`vip`] | which addresses are missing or left over; pure |
//! | [`fitness`] | whether this router could serve; pure |
//! | [`heartbeat`] | datagrams, paths, sockets |
//! | [`addresses`], [`rtnetlink`] | read and change addresses |
//! | [`programs`] | `lvs`, `send_arp`, the administrator's commands |
//! | [`connection_sync`] | the kernel's connection synchronisation |
//! | [`reading`] | the file and the names in it |
//! | [`shell`] | carries out what was decided |
//! | [`status`] | what is logged of changes, and what `pulse status` shows |
//! | [`dry_run`] | what `pulse --test-start` prints |

pub mod addresses;
pub mod args;
pub mod connection_sync;
pub mod dry_run;
pub mod election;
pub mod fitness;
pub mod heartbeat;
pub mod programs;
pub mod reading;
pub mod router;
pub mod rtnetlink;
pub mod shell;
pub mod status;
pub mod takeover;
pub mod vip;

#[cfg(test)]
mod simulation;
