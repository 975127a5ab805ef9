//! Benchmark `ipvs`: our `ipvsadm` and the original do the same work on tables of three sizes.
//!
//! Each round fills two network namespaces, one by each side: a table that has been emptied once is slower to fill again.
//! In either both tools take turns in doing the rest. Output goes to a file in memory. That both did the work is
//! checked after every command: by the kernel's own words, and by comparing what the two print.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    Benchmark, Findings,
    peer::Peer,
    rounds::{Both, Side, alternate},
    row::{Row, SECONDS, Samples},
    size::Size,
    timed::{Executable, Job},
};
use crate::{Host, HostSpec, Lab};

mod check;
mod growth;
mod rules;

use check::{Check, same};

/// The benchmark.
pub(crate) const IPVS: Benchmark = Benchmark {
    name: "ipvs",
    about: "our ipvsadm and the original restore, show, change and clear tables of three sizes",
    limit: Duration::from_secs(1800),
    measure,
};

/// Rounds that count.
const ROUNDS: usize = 5;
/// How often both tools do on a table what can be repeated.
const TIMES: usize = 2;
/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(120);
/// The table sizes (services × real servers of each), from small to large.
const SIZES: [Size; 3] = [Size::new(100, 10), Size::new(1000, 10), Size::new(1000, 50)];
/// The size for which there are targets.
const TARGET_SIZE: Size = SIZES[1];

/// Files of each host.
const RULES: &str = "/run/bench-rules";
const OUTPUT: &str = "/run/bench-output";

/// What is measured.
struct Operation {
    name: &'static str,
    args: &'static [&'static str],
    /// Reads the rules from standard input.
    reads: bool,
    /// Only the side that fills the table does it, once; otherwise both do, [`TIMES`] times.
    once: bool,
    check: Check,
    /// The ratio to reach at [`TARGET_SIZE`].
    target: Option<f64>,
}

impl Operation {
    const fn new(name: &'static str, args: &'static [&'static str], check: Check) -> Self {
        Self { name, args, reads: false, once: false, check, target: None }
    }

    const fn reads_rules(self) -> Self {
        Self { reads: true, ..self }
    }

    const fn once(self) -> Self {
        Self { once: true, ..self }
    }

    const fn target(self, ratio: f64) -> Self {
        Self { target: Some(ratio), ..self }
    }
}

/// In the order in which they are done in each namespace.
const OPERATIONS: [Operation; 8] = [
    Operation::new("restore", &["-R"], Check::Filled).reads_rules().once().target(8.0),
    Operation::new("save", &["-S", "-n"], Check::Saved).target(3.0),
    Operation::new("list", &["-L", "-n"], Check::Listed).target(3.0),
    Operation::new("list --stats", &["-L", "-n", "--stats"], Check::Listed),
    Operation::new("list one", &["-L", "-n", "-t", rules::FIRST_SERVICE], Check::ListedOne),
    Operation::new("set a weight", rules::CHANGE, Check::Changed),
    Operation::new("zero", &["-Z"], Check::Filled),
    Operation::new("clear", &["-C"], Check::Cleared).once(),
];

/// How long each operation took, each time, in seconds.
type Times = [Vec<f64>; OPERATIONS.len()];

fn measure(lab: &Lab) -> Result<Findings> {
    let original = Peer::ipvsadm();
    let tools = Both { ours: Executable::ours("ipvsadm")?, peer: original.executable()? };
    let peer_name = original.name(lab, &tools.peer)?;
    let mut rows = Vec::new();
    for size in SIZES {
        let rules = rules::rules(size);
        let tables = alternate(&size.to_string(), ROUNDS, |side, round| {
            let host = fresh_host(lab, side, round)?;
            host.write_file(RULES, &rules)?;
            Table { host, size, rules: &rules, tools: &tools }.fill_use_and_clear(side)
        })?;
        let samples = |side: Side, operation: usize| {
            let all = tables.ours.iter().chain(&tables.peer);
            Samples::new(all.flat_map(|times| times.of(side)[operation].clone()).collect())
        };
        for (n, operation) in OPERATIONS.iter().enumerate() {
            rows.push(Row {
                what: format!("{} {size}", operation.name),
                unit: SECONDS.to_owned(),
                ours: samples(Side::Ours, n)?,
                peer: samples(Side::Peer, n)?,
                peer_name: peer_name.clone(),
                target: operation.target.filter(|_| size == TARGET_SIZE),
            });
        }
    }
    let mut notes = vec![by_the_fastest(&rows)];
    notes.extend(growth::lines(&rows, &SIZES, &OPERATIONS.map(|operation| operation.name)));
    Ok(Findings { method: method(), rows, notes })
}

fn method() -> String {
    format!(
        "Median (least–most) of {ROUNDS} rounds after one to warm up; 1,000 × 10 is a thousand services with ten real \
         servers each. The time is that of the whole program, its start included. Each side fills and clears a table in a \
         new network namespace in every round; on both tables both do the rest in turn, {TIMES} times. Both printed the same \
         bytes, and the kernel's table was right after every command."
    )
}

/// The targets' ratios again, from the least samples: a busy machine makes medians differ from them.
fn by_the_fastest(rows: &[Row]) -> String {
    let with_target = rows.iter().filter(|row| row.target.is_some());
    let ratios: Vec<String> =
        with_target.map(|row| format!("{} {:.1} ×", row.what, row.peer.least() / row.ours.least())).collect();
    format!("By the fastest instead of the median: {}", ratios.join(", "))
}

/// A network namespace in which IPVS has not been used.
fn fresh_host(lab: &Lab, side: Side, round: usize) -> Result<Host> {
    let name = match side {
        Side::Ours => format!("ours-{round}"),
        Side::Peer => format!("peer-{round}"),
    };
    lab.cluster().host(HostSpec::new(&name)).build()?.host(&name)
}

/// A table of one round, in a namespace of its own.
struct Table<'a> {
    host: Host,
    size: Size,
    rules: &'a str,
    tools: &'a Both<Executable>,
}

impl Table<'_> {
    /// Does every operation: `owner` alone what is done once, both in turn what is not.
    fn fill_use_and_clear(&self, owner: Side) -> Result<Both<Times>> {
        let mut times = Both { ours: Times::default(), peer: Times::default() };
        for (n, operation) in OPERATIONS.iter().enumerate() {
            let turns = if operation.once { vec![owner] } else { [owner, owner.other()].repeat(TIMES) };
            let mut before = None;
            for side in turns {
                let by = || format!("{} by {}", operation.name, self.tools.of(side).path.display());
                let (took, output) = self.perform(operation, side).with_context(by)?;
                times.of_mut(side)[n].push(took.as_secs_f64());
                if let Some(before) = before.replace(output.clone()) {
                    same(&before, &output).context("the two tools print different texts").with_context(by)?;
                }
            }
        }
        Ok(times)
    }

    /// Does one operation, checks what came of it, and returns how long it took and what it printed.
    fn perform(&self, operation: &Operation, side: Side) -> Result<(Duration, String)> {
        let job = Job {
            args: operation.args,
            input: operation.reads.then_some(Path::new(RULES)),
            output: Path::new(OUTPUT),
            limit: LIMIT,
        };
        let took = self.tools.of(side).time(&self.host, &job)?;
        let output = self.host.read_file(OUTPUT)?;
        operation.check.check(&self.host, self.size, self.rules, &output)?;
        Ok((took, output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratios_of_the_fastest_are_told_for_rows_with_a_target() {
        let row = |what: &str, target| Row {
            what: what.to_owned(),
            unit: SECONDS.to_owned(),
            ours: Samples::new(vec![9.0, 0.5, 8.0]).expect("samples"),
            peer: Samples::new(vec![2.0, 1.75, 8.0]).expect("samples"),
            peer_name: "ipvsadm 1.31".to_owned(),
            target,
        };
        let rows = [row("restore", Some(8.0)), row("zero", None), row("save", Some(3.0))];
        assert_eq!(by_the_fastest(&rows), "By the fastest instead of the median: restore 3.5 ×, save 3.5 ×");
    }

    #[test]
    fn there_are_targets_for_restoring_saving_and_listing() {
        let targets: Vec<_> = OPERATIONS.iter().filter_map(|o| Some((o.name, o.target?))).collect();
        assert_eq!(targets, [("restore", 8.0), ("save", 3.0), ("list", 3.0)]);
        assert_eq!(TARGET_SIZE.to_string(), "1,000 × 10");
    }
}
