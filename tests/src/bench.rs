//! `cargo lab bench`: the suite measured against its peers, in one run on one kernel.
//!
//! A benchmark is a name, a sentence, and a function that runs inside the lab and returns rows; it is listed in
//! `BENCHMARKS`. It takes its samples in several `rounds` in which ours and the peer take turns, and fails if
//! what they did is not what both should have done: a number without that is worth nothing.
//!
//! ```text
//!  builds the programs as packaged --> the lab kernel, per benchmark: measure(&Lab) --> findings.json
//!  the table on standard output, target/lab/bench/NAME.json <-- rows (pure) <--------------+
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::{
    Lab, cargo,
    kernel::{Console, Kernel, Outcome, Task},
    paths, results_folder,
    story::screen::Screen,
};

mod ipvs;
mod lvs;
mod peer;
mod rounds;
mod row;
mod size;
mod table;
mod timed;

use row::{Record, Row};

/// All benchmarks.
const BENCHMARKS: [Benchmark; 2] = [ipvs::IPVS, lvs::LVS];

/// In the results folder: what was found.
const FINDINGS: &str = "findings.json";
/// In the results folder: the state of everything when a benchmark failed.
const REPORT: &str = "report";
/// In the results folder: everything that was noted.
const JOURNAL: &str = "journal";
/// Memory of the guest in MiB.
const MEMORY_MIB: u32 = 2048;

/// One benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Benchmark {
    /// Its name on the command line and of its files.
    name: &'static str,
    /// What it does, in a few words.
    about: &'static str,
    /// Time that it may take, boot included, on a machine that is busy with other things.
    limit: Duration,
    /// Measures, inside the lab, with the programs as they are packaged.
    measure: fn(&Lab) -> Result<Findings>,
}

/// What a benchmark found.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Findings {
    /// How it was measured: rounds, what the shown numbers are, what was checked.
    method: String,
    /// What was measured.
    rows: Vec<Row>,
    /// Lines below the table.
    notes: Vec<String>,
}

/// What `cargo lab bench` was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Names of benchmarks; none means all.
    pub names: Vec<String>,
    /// Which kernel (`native`, `uml`).
    pub kernel: Option<String>,
}

impl Options {
    /// The benchmarks that are meant, each once, in the order of their list.
    ///
    /// # Errors
    /// When a name is unknown; lists those there are.
    pub fn benchmarks(&self) -> Result<Vec<Benchmark>> {
        for name in &self.names {
            find(name)?;
        }
        let wanted = |benchmark: &Benchmark| {
            self.names.is_empty() || self.names.iter().any(|name| name == benchmark.name)
        };
        Ok(BENCHMARKS.into_iter().filter(wanted).collect())
    }
}

/// The benchmarks for the usage, one a line.
pub fn list() -> String {
    BENCHMARKS.iter().map(|benchmark| format!("  {:22}{}\n", benchmark.name, benchmark.about)).collect()
}

fn find(name: &str) -> Result<Benchmark> {
    let found = BENCHMARKS.into_iter().find(|benchmark| benchmark.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        anyhow!("there is no benchmark `{name}`; there are: {}", names.join(", "))
    })
}

/// Runs benchmarks, each in a kernel of its own, and says whether all gave a result and met their targets.
///
/// # Errors
/// When none could be run: a name that is unknown, a build that fails, no kernel to run on.
pub fn run(options: &Options) -> Result<bool> {
    let benchmarks = options.benchmarks()?;
    let programs = cargo::build_packaged()?;
    let kernel = Kernel::choose(options.kernel.as_deref())?;
    let mut good = true;
    for benchmark in &benchmarks {
        match run_one(benchmark, &kernel, &programs) {
            Ok(met) => good &= met,
            Err(error) => {
                eprintln!("cargo lab bench: {}: {error:#}", benchmark.name);
                good = false;
            }
        }
    }
    Ok(good)
}

/// Runs one and says whether it met its targets.
fn run_one(benchmark: &Benchmark, kernel: &Kernel, programs: &Path) -> Result<bool> {
    let name = benchmark.name;
    let folder = paths::lab_folder()?.join("bench");
    let (results, record) = (folder.join(name), folder.join(format!("{name}.json")));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    // The figures of an earlier run must not pass for those of one that failed.
    if record.exists() {
        fs::remove_file(&record).with_context(|| format!("remove {}", record.display()))?;
    }
    println!("{name}: {}", benchmark.about);
    // The packaged build's own executable: beside it are the programs that are measured.
    let lab = programs.join("lab").display().to_string();
    let task = Task {
        command: vec![lab, "inside".into(), "bench".into(), name.to_owned()],
        env: Vec::new(),
        results: results.clone(),
        limit: benchmark.limit,
        console: Console::Shown,
        memory_mib: MEMORY_MIB,
    };
    match kernel.run(&task)? {
        Outcome::Exited(0) => {}
        // It has said why on the console.
        Outcome::Exited(_) => bail!("no result; how everything looked: {}", results.join(REPORT).display()),
        outcome => bail!("no result: {outcome}; its output: {}", results.join("console").display()),
    }
    let text = fs::read(results.join(FINDINGS)).context("read the findings")?;
    let findings: Findings = serde_json::from_slice(&text).context("understand the findings")?;
    let records: Vec<Record<'_>> = findings.rows.iter().map(Row::record).collect();
    fs::write(&record, serde_json::to_string_pretty(&records)? + "\n")
        .with_context(|| format!("write {}", record.display()))?;
    Screen::new().print(&table::table(benchmark, &findings));
    println!("  for programs: {}", record.display());
    Ok(findings.rows.iter().all(|row| row.met() != Some(false)))
}

/// Measures, inside the kernel; what was found goes to the results folder.
///
/// # Errors
/// When the benchmark fails; says why, and leaves a report in the results folder.
pub(crate) fn inside(name: &str) -> Result<()> {
    let benchmark = find(name)?;
    let results: PathBuf = results_folder().context("no results folder is named")?;
    let lab = Lab::new();
    let outcome = (benchmark.measure)(&lab).with_context(|| name.to_owned());
    if let Err(error) = &outcome {
        fs::write(results.join(REPORT), format!("{error:#}\n\n{}", lab.report()))
            .context("write the report")?;
    }
    fs::write(results.join(JOURNAL), lab.journal_text()).context("write the journal")?;
    lab.shut_down();
    fs::write(results.join(FINDINGS), serde_json::to_vec(&outcome?)?).context("write the findings")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Result<Vec<&'static str>> {
        let options = Options { names: words.iter().map(|word| (*word).to_owned()).collect(), kernel: None };
        Ok(options.benchmarks()?.iter().map(|benchmark| benchmark.name).collect())
    }

    #[test]
    fn no_name_means_all_benchmarks() {
        assert_eq!(names(&[]).expect("all").len(), BENCHMARKS.len());
    }

    #[test]
    fn a_benchmark_named_twice_runs_once() {
        assert_eq!(names(&["ipvs", "ipvs"]).expect("known"), ["ipvs"]);
    }

    #[test]
    fn an_unknown_benchmark_is_answered_with_those_there_are() {
        let failure = names(&["ipvs", "ipv"]).expect_err("unknown");
        assert_eq!(failure.to_string(), "there is no benchmark `ipv`; there are: ipvs, lvs");
    }

    #[test]
    fn the_usage_lists_every_benchmark_with_its_sentence() {
        assert_eq!(list().lines().count(), BENCHMARKS.len());
        assert!(list().starts_with("  ipvs                  "), "{}", list());
    }
}
