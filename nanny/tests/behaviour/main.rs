//! The real program against scripted servers on the loopback interface: every report line, exit status and bound.
//!
//! Servers are threads of the test. Waits are for a report, a connection or an end, and bounded by [`support::PATIENCE`];
//! where a server pauses, the pause is its behaviour.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod agents;
mod authority;
mod command_line;
mod datagrams;
mod dialogues;
mod echoes;
mod looking_on;
mod mail_servers;
mod name_servers;
mod process;
mod programs;
mod streams;
mod support;
mod tls;
mod web;
