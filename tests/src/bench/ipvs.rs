//! Benchmark `ipvs`: our `ipvsadm` and the original do the same work on tables of three sizes.
//!
//! Each round gives each side a network namespace of its own, filled and emptied by that side: a table that has been
//! emptied once is slower to fill again. Output goes to a file in memory. That both did the work is checked after
//! every command; in the round that warms up both tools must also print the same bytes about the table of either.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use regex::Regex;

use super::{
    Benchmark, Findings,
    rounds::{Both, Side, alternate},
    row::{Row, SECONDS, Samples},
    timed::{Executable, Job},
};
use crate::{Host, HostSpec, Lab, fetch, paths, program::suite_binary};

mod check;
mod growth;
mod rules;

use check::{Check, same};
use rules::Size;

/// The benchmark.
pub(crate) const IPVS: Benchmark = Benchmark {
    name: "ipvs",
    about: "our ipvsadm and the original restore, show, change and clear tables of three sizes",
    limit: Duration::from_secs(1800),
    measure,
};

/// Rounds that count.
const ROUNDS: usize = 5;
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
    check: Check,
    /// The ratio to reach at [`TARGET_SIZE`].
    target: Option<f64>,
}

impl Operation {
    const fn new(name: &'static str, args: &'static [&'static str], check: Check) -> Self {
        Self { name, args, reads: false, check, target: None }
    }

    const fn reads_rules(self) -> Self {
        Self { reads: true, ..self }
    }

    const fn target(self, ratio: f64) -> Self {
        Self { target: Some(ratio), ..self }
    }
}

/// In the order in which they are done in each namespace.
const OPERATIONS: [Operation; 8] = [
    Operation::new("restore", &["-R"], Check::Filled).reads_rules().target(8.0),
    Operation::new("save", &["-S", "-n"], Check::Saved).target(3.0),
    Operation::new("list", &["-L", "-n"], Check::Listed).target(3.0),
    Operation::new("list --stats", &["-L", "-n", "--stats"], Check::Listed),
    Operation::new("list one", &["-L", "-n", "-t", rules::FIRST_SERVICE], Check::ListedOne),
    Operation::new("set a weight", rules::CHANGE, Check::Changed),
    Operation::new("zero", &["-Z"], Check::Filled),
    Operation::new("clear", &["-C"], Check::Cleared),
];

/// How long each operation took.
type Times = [Duration; OPERATIONS.len()];

fn measure(lab: &Lab) -> Result<Findings> {
    let tools = Both { ours: ours()?, peer: original()? };
    let peer_name = name_of(lab, &tools.peer)?;
    let mut rows = Vec::new();
    for size in SIZES {
        let rules = rules::rules(size);
        let all = alternate(&size.to_string(), ROUNDS, |side, round| {
            let host = fresh_host(lab, side, round)?;
            host.write_file(RULES, &rules)?;
            let mut times = Times::default();
            for (took, operation) in times.iter_mut().zip(&OPERATIONS) {
                *took = perform(operation, &host, &tools, side, (size, &rules), round == 0)
                    .with_context(|| operation.name)?;
            }
            Ok(times)
        })?;
        for (n, operation) in OPERATIONS.iter().enumerate() {
            let samples =
                |times: &[Times]| Samples::new(times.iter().map(|times| times[n].as_secs_f64()).collect());
            rows.push(Row {
                what: format!("{} {size}", operation.name),
                unit: SECONDS.to_owned(),
                ours: samples(&all.ours)?,
                peer: samples(&all.peer)?,
                peer_name: peer_name.clone(),
                target: operation.target.filter(|_| size == TARGET_SIZE),
            });
        }
    }
    Ok(Findings { method: method(), notes: growth::lines(&rows, &SIZES, &OPERATIONS.map(|o| o.name)), rows })
}

fn method() -> String {
    format!(
        "Medians (and the least and the most) of {ROUNDS} rounds after one to warm up; 1,000 × 10 is a thousand services \
         with ten real servers each. The time is that of the whole program, its start included. The two take turns; each \
         works in a network namespace of its own, a new one in each round. Both printed the same bytes, and the kernel's \
         table was right after every command."
    )
}

/// A network namespace in which IPVS has not been used.
fn fresh_host(lab: &Lab, side: Side, round: usize) -> Result<Host> {
    let name = match side {
        Side::Ours => format!("ours-{round}"),
        Side::Peer => format!("peer-{round}"),
    };
    lab.cluster().host(HostSpec::new(&name)).build()?.host(&name)
}

/// Does one operation as one side and checks what came of it; `compare` also has the other tool show the same table.
fn perform(
    operation: &Operation,
    host: &Host,
    tools: &Both<Executable>,
    side: Side,
    (size, rules): (Size, &str),
    compare: bool,
) -> Result<Duration> {
    let job = Job {
        args: operation.args,
        input: operation.reads.then_some(Path::new(RULES)),
        output: Path::new(OUTPUT),
        limit: LIMIT,
    };
    let took = tools.of(side).time(host, &job)?;
    let output = host.read_file(OUTPUT)?;
    operation.check.check(host, size, rules, &output)?;
    if compare && operation.check.is_of_output() {
        tools.of(side.other()).time(host, &job)?;
        same(&output, &host.read_file(OUTPUT)?).context("the two tools print different texts")?;
    }
    Ok(took)
}

fn ours() -> Result<Executable> {
    Ok(Executable { path: suite_binary("ipvsadm")?, env: Vec::new() })
}

/// The original. One that the lab has fetched is started by a script, which must not be measured with it.
fn original() -> Result<Executable> {
    let path = paths::find_in_path("ipvsadm").ok_or_else(|| anyhow!("the original ipvsadm is missing"))?;
    let (path, env) = match fetch::behind_wrapper(&path) {
        Some((path, libraries)) => (path, vec![libraries]),
        None => (path, Vec::new()),
    };
    Ok(Executable { path, env })
}

/// Name and version, as the original says itself.
fn name_of(lab: &Lab, original: &Executable) -> Result<String> {
    let host = lab.cluster().host(HostSpec::new("version")).build()?.host("version")?;
    let job = Job { args: &["--version"], input: None, output: Path::new(OUTPUT), limit: LIMIT };
    original.time(&host, &job)?;
    let said = host.read_file(OUTPUT)?;
    version(&said).ok_or_else(|| anyhow!("{} is not the original: {said}", original.path.display()))
}

/// `ipvsadm 1.31` from `ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)`.
fn version(said: &str) -> Option<String> {
    let pattern = Regex::new(r"^(ipvsadm) v([0-9.]+) .*compiled with").ok()?;
    let found = pattern.captures(said)?;
    Some(format!("{} {}", &found[1], &found[2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_which_the_original_says() {
        let said = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";
        assert_eq!(version(said).as_deref(), Some("ipvsadm 1.31"));
        assert_eq!(version("ipvsadm 0.1.0\n"), None);
    }

    #[test]
    fn there_are_targets_for_restoring_saving_and_listing() {
        let targets: Vec<_> = OPERATIONS.iter().filter_map(|o| Some((o.name, o.target?))).collect();
        assert_eq!(targets, [("restore", 8.0), ("save", 3.0), ("list", 3.0)]);
        assert_eq!(TARGET_SIZE.to_string(), "1,000 × 10");
    }
}
