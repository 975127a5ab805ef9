//! Scenarios: named stories with a time limit, and what runs one inside the lab.
//!
//! The executable of the scenarios asks [`run_if_asked`] first. Inside the lab it is told by the environment which
//! scenario to run; it runs that one, writes journal and report into the results folder, and says so by its exit
//! status. Outside it only lists them.

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    process,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::{journal::locked, lab::Lab};

/// Environment: the name of the scenario to run, or `--list`.
pub(crate) const ASKED: &str = "LVS_LAB_SCENARIO";
/// Environment: the folder for what comes back from inside a kernel.
pub(crate) const RESULTS: &str = "LVS_LAB_RESULTS";
/// Part of the path of every scenario's file.
const SCENARIOS: &str = "tests/tests/";
/// Exit status of a scenario that failed.
const FAILED: i32 = 1;
/// Exit status of a scenario that reached its time limit.
pub(crate) const TIME_LIMIT: i32 = 124;

/// One scenario.
#[derive(Clone)]
pub struct Scenario {
    /// Module and function, `balancing::requests_alternate`.
    pub name: String,
    /// Time it may take inside the lab, without the boot.
    pub limit: Duration,
    /// The story.
    pub story: fn(&Lab) -> Result<()>,
}

impl Scenario {
    /// Names a scenario after its module (as `module_path!()` gives it, with the crate) and function.
    pub fn new(module: &str, function: &str, limit: Duration, story: fn(&Lab) -> Result<()>) -> Self {
        let module = module.split_once("::").map_or("", |(_, rest)| rest);
        Self { name: format!("{module}::{function}"), limit, story }
    }
}

/// Lists a module's scenarios with their time limits in seconds: `scenarios! { requests_alternate: 20, ... }`
/// defines `pub(crate) fn all() -> Vec<Scenario>`.
#[macro_export]
macro_rules! scenarios {
    ($($story:ident : $seconds:literal),* $(,)?) => {
        /// This module's scenarios.
        pub(crate) fn all() -> Vec<$crate::Scenario> {
            vec![$($crate::Scenario::new(
                module_path!(),
                stringify!($story),
                std::time::Duration::from_secs($seconds),
                $story,
            )),*]
        }
    };
}

/// A scenario as the list for `cargo lab test` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) limit_seconds: u64,
}

/// Runs the scenario that the environment asks for and ends the process; returns if it asks for none.
pub fn run_if_asked(all: &[Scenario]) {
    let Ok(asked) = env::var(ASKED) else { return };
    if asked == "--list" {
        for scenario in all {
            let listed = Listed { name: scenario.name.clone(), limit_seconds: scenario.limit.as_secs() };
            if let Ok(line) = serde_json::to_string(&listed) {
                println!("{line}");
            }
        }
        process::exit(0);
    }
    let Some(scenario) = all.iter().find(|s| s.name == asked) else {
        eprintln!("no scenario {asked}");
        process::exit(2);
    };
    process::exit(run(scenario));
}

/// Runs a scenario under its time limit and returns the exit status.
fn run(scenario: &Scenario) -> i32 {
    let lab = Arc::new(Lab::new());
    let over = Arc::new((Mutex::new(false), Condvar::new()));
    {
        let (lab, over, limit) = (Arc::clone(&lab), Arc::clone(&over), scenario.limit);
        let guard = thread::Builder::new().name("time limit".to_owned()).spawn(move || {
            let (flag, changed) = &*over;
            let (ended, _) = changed
                .wait_timeout_while(locked(flag), limit, |ended| !*ended)
                .unwrap_or_else(PoisonError::into_inner);
            if !*ended {
                drop(ended);
                fail(&lab, &format!("did not end within its time limit of {limit:?}"));
                process::exit(TIME_LIMIT);
            }
        });
        if let Err(error) = guard {
            eprintln!("no thread for the time limit: {error}");
            return FAILED;
        }
    }
    let told = Arc::new(Mutex::new(None));
    let hook = Arc::clone(&told);
    panic::set_hook(Box::new(move |info| *locked(&hook) = Some(info.to_string())));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (scenario.story)(&lab)));
    *locked(&over.0) = true;
    over.1.notify_all();
    let code = match outcome {
        Ok(Ok(())) => {
            write_result("journal", &lab.journal_text());
            0
        }
        Ok(Err(error)) => {
            fail(&lab, &format!("{error:#}{}", places(&error)));
            FAILED
        }
        Err(_) => {
            let message = locked(&told).take().unwrap_or_else(|| "panicked".to_owned());
            fail(&lab, &message);
            FAILED
        }
    };
    lab.shut_down();
    code
}

/// Where in the scenarios an error came from: the lines of its backtrace that are theirs.
fn places(error: &anyhow::Error) -> String {
    let trace = error.backtrace().to_string();
    let place = |line: &str| {
        let place = line.trim().strip_prefix("at ")?;
        let is_story = place.contains(SCENARIOS) && !place.contains("/scenarios.rs");
        is_story.then(|| format!("\n  at {place}"))
    };
    trace.lines().filter_map(place).collect()
}

/// Writes down why a scenario failed and how the world looked at that moment.
fn fail(lab: &Lab, why: &str) {
    let report = format!("{why}\n\n{}", lab.report());
    if !write_result("report", &report) {
        eprintln!("{report}");
    }
    write_result("journal", &lab.journal_text());
}

/// The folder through which files come back from inside a kernel; nothing outside.
pub fn results_folder() -> Option<PathBuf> {
    env::var_os(RESULTS).map(PathBuf::from)
}

/// Writes a file into the results folder, if there is one.
fn write_result(name: &str, text: &str) -> bool {
    results_folder().is_some_and(|folder| fs::write(folder.join(name), text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    mod stories {
        use crate::Lab;

        fn nothing_happens(_lab: &Lab) -> anyhow::Result<()> {
            Ok(())
        }

        scenarios! { nothing_happens: 7 }
    }

    #[test]
    fn a_scenario_is_named_after_its_module_and_function() {
        let all = stories::all();
        assert_eq!(all[0].name, "scenario::tests::stories::nothing_happens");
        assert_eq!(all[0].limit, Duration::from_secs(7));
    }
}
