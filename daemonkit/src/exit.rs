//! Exit codes, the same for every program of the suite and named in each man page.

/// The program did what it was asked.
pub const OK: u8 = 0;
/// It tried and failed.
pub const FAILED: u8 = 1;
/// The command line cannot be understood.
pub const USAGE: u8 = 2;
/// A permission or capability is missing (`EX_NOPERM` of sysexits).
pub const NO_PERMISSION: u8 = 77;
/// The configuration cannot be used (`EX_CONFIG` of sysexits).
pub const CONFIG: u8 = 78;
/// It failed and would fail again: do not restart it.
pub const DO_NOT_RESTART: u8 = 125;
