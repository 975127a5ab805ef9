//! `lvs.cf`, from text to types.

pub mod model;
pub mod units;

pub use model::Config;
