//! What any small Linux daemon needs and nothing that knows of load balancing.
//!
//! | module | gives |
//! | --- | --- |
//! | [`answering`] | one answer each for the clients of a listening socket, whatever they do |
//! | [`clock`] | [`clock::Mono`], the only clock that decisions see |
//! | [`control_socket`] | one line in and one line out for whoever may |
//! | [`duration`] | times on command lines: `2`, `200ms`, `1.5s` |
//! | [`exit`] | the exit codes that every program shares |
//! | `fake_manager` | a service manager for tests; with the feature `fake` |
//! | [`http`] | the part of HTTP that a page of metrics needs |
//! | [`log`] | one line per event to a terminal, the journal or syslog |
//! | [`notify`] | readiness, status and watchdog for the service manager |
//! | [`signals`] | signals as messages on a channel |
//! | [`children`] | child processes by token, reaped without blocking, tied to this process's life |
//! | [`lines`] | one thread that reads the lines of all children |
//! | [`pidfile`] | a pid file that is also a lock |
//! | [`privilege`] | dropping capabilities, and proving it |
//! | [`program`] | where the suite's other programs are, and who may write to new files |
//! | [`rtnetlink`] | questions to the kernel about interfaces, addresses and routes |
//! | [`status_socket`] | one snapshot for whoever connects |
//! | [`timestamp`] | a wall-clock time as people read it |

pub mod answering;
pub mod children;
pub mod clock;
pub mod control_socket;
pub mod duration;
pub mod exit;
#[cfg(any(test, feature = "fake"))]
pub mod fake_manager;
pub mod http;
pub mod lines;
pub mod log;
pub mod notify;
pub mod pidfile;
pub mod privilege;
pub mod program;
pub mod rtnetlink;
pub mod signals;
pub mod status_socket;
pub mod timestamp;
