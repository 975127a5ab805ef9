//! `lvs doctor`: what is wrong or missing on this router for a configuration, and what its real servers need.
//!
//! [`facts`] is what is seen, [`findings`] what follows from it (pure), [`recipe`] the commands for real servers (pure),
//! [`render`] how it is shown (pure); [`collect`] looks. Nothing here changes anything.

pub mod collect;
pub mod facts;
pub mod findings;
pub mod recipe;
pub mod render;

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use crate::configuration;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Something will not work for some.
    Warning,
    /// Something does not work.
    Error,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs; the same kind of finding always has the same.
    pub code: &'static str,
    /// What was found.
    pub found: String,
    /// What is needed, and why.
    pub needed: String,
    /// What to type, if that helps.
    pub commands: Vec<String>,
}

/// What a kind of real server needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipe {
    /// The virtual server.
    pub virtual_server: String,
    /// How its packets get there, in words.
    pub method: String,
    /// The real servers that this is for, by address.
    pub servers: Vec<String>,
    /// What to see to, in words.
    pub notes: Vec<String>,
    /// What to type on each of them.
    pub commands: Vec<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was found here, the worst first.
    pub findings: Vec<Finding>,
    /// What real servers need.
    pub real_servers: Vec<Recipe>,
}

impl Report {
    /// Whether something is worse than a note.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity > Severity::Note)
    }
}

/// Looks at this router for the file `path`; the text, and whether something is worse than a note.
///
/// # Errors
/// When the file cannot be used or the kernel not be asked.
pub fn examine(path: &Path, json: bool) -> anyhow::Result<(String, bool)> {
    let config = configuration::load(path)?.config;
    let facts = collect::collect(&config)?;
    let source = |address| facts.ways.get(&address)?.route.as_ref()?.source;
    let report = Report {
        findings: findings::findings(&config, &facts),
        real_servers: recipe::recipes(&config, source),
    };
    let text = match json {
        true => serde_json::to_string(&report).context("cannot write JSON")? + "\n",
        false => render::render(&report),
    };
    Ok((text, report.is_bad()))
}
