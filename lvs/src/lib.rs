//! The director: keeps the kernel's IPVS table equal to what `lvs.cf` and the health reports ask for, and one
//! monitor running per real server.
//!
//! What decides, top down; nothing of it meets the outside world:
//!
//! | module | decides |
//! | --- | --- |
//! | [`action`] | the protocol between decisions and the world; [`event`]: what is worth a log line |
//! | [`engine`] | what follows from a report, a reload, an end; the snapshot for the status |
//! | [`desired`] | the wanted table, from configuration and [`health`]; [`tally`]: what its servers amount to |
//! | [`hook`] | what a hook finds in its environment |
//! | [`plan`] | the requests from one table to another, in order |
//! | [`reconciler`] | when to read the table, what to send, what to try again |
//! | [`owned`] | which services are ours, and when to write that down; [`service_list`]: how |
//! | [`withdrawal`] | withdrawing what an earlier run left, and nothing else |
//! | [`sysctl`] | which settings of the kernel are needed, when to write them and when to set them back |
//! | [`supervisor`] | when a monitor is started, restarted, stopped, given up |
//! | [`nanny_args`] | a monitor's command line; [`feeds`]: which servers share one |
//! | [`scope`] | which services a change is about |
//! | [`orders`] | what an operator asked for; [`operator_event`]: what is worth a log line about it |
//! | [`identity`] | which row of the kernel is which server of the file |
//! | [`args`], [`dry_run`], [`selection`], [`status_view`] | what the command line means and how answers look; `screen`: how much of one fits a terminal |
//!
//! What carries out:
//!
//! | module | does |
//! | --- | --- |
//! | [`start`] | start-up in its order |
//! | [`shell`] | owns the engine; threads, children, status; `last_words`: the end of a child comes after its last line |
//! | [`telling`] | where the status is told; [`snapshots`] brings it there |
//! | [`withdraw`] | carries out a withdrawal |
//! | [`record`] | the file that lists our services |
//! | [`doctor`] | looks at this router and says what it and its real servers lack |
//! | [`routes`] | asks the kernel for its routes |
//! | [`kernel`] | the connection to IPVS |
//! | [`state`] | the file that keeps what is to survive a restart; `saver`: a thread that writes it |
//! | [`configuration`] | reads the file, `loader` on a thread; [`check`] tells what is wrong with it, also (`running_pulse`) what needs a restart |
//! | [`ask`], [`ctl`] | ask the director that runs |
//! | [`migrate`], [`convert_keepalived`] | read files of the original and of keepalived |

pub mod action;
pub mod args;
pub mod ask;
pub mod backoff;
pub mod check;
pub mod configuration;
pub mod convert_keepalived;
pub mod ctl;
pub mod desired;
mod difference;
pub mod doctor;
pub mod dry_run;
pub mod engine;
pub mod event;
pub mod feeds;
pub mod health;
pub mod hook;
pub mod identity;
pub mod kernel;
mod last_words;
mod loader;
pub mod migrate;
mod migration_args;
pub mod nanny_args;
pub mod operator_event;
pub mod orders;
pub mod owned;
pub mod plan;
pub mod reconciler;
pub mod record;
pub mod routes;
mod running_pulse;
mod saver;
pub mod scope;
mod screen;
pub mod selection;
pub mod service_list;
pub mod shell;
pub mod snapshots;
pub mod start;
pub mod state;
pub mod status_view;
pub mod supervisor;
pub mod sysctl;
pub mod tally;
pub mod telling;
pub mod withdraw;
pub mod withdrawal;
mod wording;
