//! The command line of `ipvsadm`: the original's grammar and output over this library.
//!
//! ```text
//! words --options, args--> Command --run--> client calls --render, rules, json--> text
//! ```
//! Everything but [`run`] and [`names::System`] is pure: it sees neither kernel nor files.

pub mod address;
mod advice;
pub mod args;
mod columns;
pub mod complete;
pub mod connections;
pub mod diff;
mod given;
pub mod help;
pub mod json;
mod meaning;
pub mod names;
pub mod options;
pub mod order;
pub mod render;
pub mod rules;
pub mod run;
mod show;
mod suggest;
mod values;

/// A message for a terminal: control characters of whoever wrote the rules are shown and not obeyed.
#[must_use]
pub fn printable(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for letter in message.chars() {
        match letter {
            '\n' => text.push('\n'),
            other if other.is_control() => text.extend(other.escape_debug()),
            other => text.push(other),
        }
    }
    text
}

/// Exit statuses, as the original has them.
pub mod exit {
    /// Done.
    pub const SUCCESS: u8 = 0;
    /// What was to be listed is not there, could not be read, or could not be written.
    pub const NOT_LISTED: u8 = 1;
    /// The table is not the one that it was compared with.
    pub const DIFFERENT: u8 = 1;
    /// The command line is wrong, or IPVS is out of reach; of `diff`, whatever went wrong.
    pub const USAGE: u8 = 2;
    /// The kernel refused a change, or an option is unknown.
    pub const REFUSED: u8 = 255;
}
