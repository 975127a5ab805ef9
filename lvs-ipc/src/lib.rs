//! What the programs of the suite say to each other, in one place because both ends must agree.
//!
//! | module | said by | to |
//! | --- | --- | --- |
//! | [`counts`] | the kernel and `lvs`, inside the status | as [`status`] |
//! | [`report`] | `nanny`, on its standard output | `lvs`, or a person |
//! | [`ready`] | `lvs`, on its standard output | `pulse`, or a person |
//! | [`check`] | `lvs check --json` | any program |
//! | [`control`] | an operator, by `lvs ctl` and `lvs diff`, on the control socket of `lvs` | `lvs`, which answers |
//! | [`metrics`], in the format of [`exposition`] | `lvs` | Prometheus and its like |
//! | [`status`] | `pulse` and `lvs`, on their status sockets | `pulse status`, `lvs status`, any program |

pub mod check;
pub mod control;
pub mod counts;
pub mod exposition;
pub mod metrics;
pub mod ready;
pub mod report;
pub mod status;
