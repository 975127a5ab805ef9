//! Checks one service on one real server, again and again, and says when it comes and goes.
//!
//! ```text
//!  args -> settings -> shell ----------------------------------------------------+
//!                        |  one thread, one poll(2): signals, probe, report pipe  |
//!                        v                                                        v
//!  probe (sockets, children) <-- StartProbe -- monitor (pure) -- Report --> standard output, log, row (IPVS)
//!      |  bytes, errors                           ^
//!      v                                          | verdict
//!  check (pure conversations, expect) ------------+
//! ```
//!
//! | module | decides |
//! | --- | --- |
//! | [`args`], [`settings`] | what was asked for, and whether it makes sense |
//! | [`check`] | what to say to the server and what its answer means |
//! | [`confine`] | what this process gives up before it listens to anybody |
//! | [`expect`], [`escape`] | whether bytes are as expected; how they are written down |
//! | [`health`], [`flapping`] | when verdicts make a server up or down, and keep it out for longer |
//! | [`monitor`], [`jitter`] | when to probe, measure, report, stop; [`lateness`]: whether that was in time |
//! | [`load`], [`advice`], [`weighing`] | what a load average or an agent's words mean; which weight follows |
//! | [`random`] | numbers that nobody can guess, for questions whose answers must be told from others |
//! | [`row`] | which changes bring the server's row in the IPVS table to where it should be |
//! | [`probe`], [`program`], [`measure`] | nothing: they carry bytes between the above and sockets or children |
//! | [`narrator`], [`once`] | what is told to whoever looks on |
//! | [`reporter`], [`table`], [`shell`] | nothing: they carry out what the monitor wants |

pub mod advice;
pub mod args;
pub mod check;
pub mod confine;
pub mod escape;
pub mod expect;
pub mod flapping;
pub mod health;
pub mod jitter;
pub mod lateness;
pub mod load;
pub mod measure;
pub mod monitor;
pub mod narrator;
pub mod once;
pub mod probe;
pub mod program;
pub mod random;
pub mod reporter;
pub mod row;
pub mod settings;
pub mod shell;
pub mod table;
pub mod weighing;
