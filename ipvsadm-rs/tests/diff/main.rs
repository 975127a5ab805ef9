//! Differences of tables, carried out request by request on a kernel in memory.
#![allow(clippy::unwrap_used)] // helpers of tests

mod order;
mod properties;
mod removal;
mod sameness;
mod tables;
