//! How often each command and option was used, accepted and refused.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Result, ensure};

use super::{
    generate::Wanted,
    vocabulary::{COMMANDS, OPTIONS},
    words::Line,
};

/// The counts of a scenario.
#[derive(Debug, Default)]
pub(super) struct Cover {
    total: usize,
    used: BTreeMap<&'static str, [usize; 2]>,
}

impl Cover {
    /// Counts a command.
    pub(super) fn count(&mut self, line: &Line, accepted: bool) {
        self.total += 1;
        let mut names: Vec<&'static str> = line.items.iter().filter_map(super::words::Item::name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            self.used.entry(name).or_default()[usize::from(!accepted)] += 1;
        }
    }

    /// What has not been used yet in one of the two ways.
    pub(super) fn missing(&self) -> Vec<Wanted> {
        let names = COMMANDS.iter().chain(OPTIONS).map(|row| row.long);
        names
            .flat_map(|name| {
                let [accepted, refused] = self.used.get(name).copied().unwrap_or_default();
                let missing = [(accepted, true), (refused, false)];
                missing
                    .into_iter()
                    .filter(|(count, _)| *count == 0)
                    .map(move |(_, accepted)| Wanted { name, accepted })
            })
            .collect()
    }

    /// Commands in all.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// The counts, one line.
    pub(super) fn summary(&self) -> String {
        let mut text = format!("{} commands; accepted/refused:", self.total);
        for (name, [accepted, refused]) in &self.used {
            // Writing to a String cannot fail.
            let _ = write!(text, " {name} {accepted}/{refused}");
        }
        text
    }

    /// Fails unless everything was used in both ways, in so many commands.
    pub(super) fn check(&self, least: usize) -> Result<()> {
        ensure!(self.total >= least, "only {} commands of {least}", self.total);
        let missing = self.missing();
        ensure!(missing.is_empty(), "never used: {missing:?}\n{}", self.summary());
        Ok(())
    }
}
