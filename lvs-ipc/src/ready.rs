//! How `lvs` says that its first plan is in the kernel, as far as the kernel accepts it and with at least one service of
//! it: one line on standard output.
//!
//! `pulse` claims to be running only after it; by hand it tells that start-up is over.

/// The line, without its newline, that `lvs` writes once.
pub const READY: &str = "ready";
