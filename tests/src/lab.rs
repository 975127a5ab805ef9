//! A lab: the clusters of one scenario, their journal, and the report when something went wrong.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    host::Host,
    journal::{Journal, locked},
    topology::{Cluster, ClusterBuilder},
};

/// Lines of each program shown in a report.
const TAIL: usize = 25;
/// Lines of the journal shown in a report; the whole is in the log file.
const JOURNAL_TAIL: usize = 60;

/// The world of one scenario. Everything in it is stopped when it is dropped.
pub struct Lab {
    journal: Arc<Journal>,
    clusters: Mutex<Vec<Cluster>>,
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Lab {
    /// An empty lab; its time starts now.
    pub fn new() -> Self {
        Self { journal: Journal::new(), clusters: Mutex::default() }
    }

    /// Starts the description of a cluster.
    pub fn cluster(&self) -> ClusterBuilder<'_> {
        ClusterBuilder::new(self)
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Time since the lab started.
    pub fn now(&self) -> Duration {
        self.journal.now()
    }

    /// Notes something in the journal.
    pub fn note(&self, text: impl Into<String>) {
        self.journal.note(&Arc::from("lab"), text);
    }

    pub(crate) fn adopt(&self, cluster: Cluster) {
        locked(&self.clusters).push(cluster);
    }

    /// The state of everything: hosts with addresses, links, IPVS tables and programs' last lines, and the end of
    /// the journal.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for cluster in locked(&self.clusters).iter() {
            let _ = writeln!(text, "cluster with bridges {}", cluster.bridges().join(", "));
            for host in cluster.hosts() {
                describe(host, &mut text);
            }
        }
        let (entries, dropped) = self.journal.all();
        let from = entries.len().saturating_sub(JOURNAL_TAIL);
        let _ = writeln!(text, "journal, last {} of {} lines", entries.len() - from, entries.len() + dropped);
        for entry in &entries[from..] {
            let _ = writeln!(text, "{entry}");
        }
        text
    }

    /// The whole journal as text.
    pub fn journal_text(&self) -> String {
        let (entries, dropped) = self.journal.all();
        let mut text = entries.iter().fold(String::new(), |text, entry| text + &entry.to_string() + "\n");
        if dropped > 0 {
            let _ = writeln!(text, "({dropped} more lines were not kept)");
        }
        text
    }
}

impl Lab {
    /// Ends everything that still runs in it, at once.
    pub fn shut_down(&self) {
        for cluster in locked(&self.clusters).iter().rev() {
            cluster.shut_down();
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shut_down();
    }
}

fn describe(host: &Host, text: &mut String) {
    let _ = writeln!(text, "host {}", host.name());
    for link in host.links() {
        let _ = writeln!(text, "  link {} on {} ({})", link.interface(), link.bridge(), link.mac_text());
    }
    match host.addresses() {
        Ok(rows) => rows.iter().for_each(|row| {
            let _ = writeln!(text, "  address {row}");
        }),
        Err(error) => {
            let _ = writeln!(text, "  addresses: {error:#}");
        }
    }
    match host.ipvs_table() {
        Ok(services) => services.iter().for_each(|service| {
            let _ = writeln!(text, "  ipvs {}", service.to_string().replace('\n', "\n  "));
        }),
        Err(error) => {
            let _ = writeln!(text, "  ipvs: {error:#}");
        }
    }
    for program in host.programs() {
        // A program that did its work has nothing to tell.
        let shown = if program.exit().is_some_and(|exit| exit.success()) { 0 } else { TAIL };
        let lines = program.lines();
        let state = program.exit().map_or("running".to_owned(), |exit| exit.to_string());
        let _ = writeln!(text, "  program {program:?}: {state}, {} lines", lines.len());
        for line in &lines[lines.len().saturating_sub(shown)..] {
            let _ = writeln!(text, "    {line}");
        }
    }
}
