//! `cargo lab demo`: an lvs.cf rehearsed before an audience.
//!
//! ```text
//!  lvs.cf -> plan (pure) --+                                 +-- the lab kernel ----------------------------+
//!                          +--> results folder: plan.json -->|  stage: cluster with pulse, lvs, nanny       |
//!  screen <-- view (pure) <-- results folder: events <-------|  script: the steps and what each expects     |
//!                                                            +----------------------------------------------+
//! ```
//!
//! | module | decides |
//! | --- | --- |
//! | `plan`, `network`, `answer` | whether a file can be rehearsed, in which cluster, what its servers must answer |
//! | `script`, `spread` | what happens, what is expected, whether it held |
//! | `stage`, `inside`, `event`, `screen` | nothing: they build, ask, carry, print |
//! | `playbill`, `view`, `text` | how it is told: lines from data |

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::IsTerminal as _,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use lvs_config::{Config, Family, Names, Parsed, Severity, SystemNames, model::Protocol};

use crate::{
    cargo,
    kernel::{Console, Kernel, Outcome, Task},
    paths,
    scenario::RESULTS,
};

mod answer;
mod event;
pub(crate) mod inside;
mod network;
mod plan;
mod playbill;
pub(crate) mod screen;
mod script;
mod spread;
mod stage;
pub(crate) mod text;
mod view;

use event::{Event, Listener, Look, Measurement};
use plan::{Obstacles, Plan, Source};
use screen::Screen;

/// Exit status when every expectation held.
const HELD: u8 = 0;
/// Exit status when one did not, or the story could not be played.
const FAILED: u8 = 1;
/// Exit status when the file cannot be used (`EX_CONFIG` of sysexits).
const CONFIG: u8 = 78;

/// In the results folder: what happens, one event per line.
const EVENTS: &str = "events";
/// How often the events are looked at.
const GLANCE: Duration = Duration::from_millis(50);
/// Time for the boot and for whatever takes longer than it should.
const SLACK: Duration = Duration::from_secs(180);
/// Memory of the guest in MiB.
const MEMORY_MIB: u32 = 1024;
/// Virtual servers whose counts are told where there is no live view.
const MOST_TALLIES: usize = 4;

/// What `cargo lab demo` was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The lvs.cf, if not the example.
    pub config: Option<PathBuf>,
    /// Which kernel (`native`, `uml`).
    pub kernel: Option<String>,
}

/// Tells the story and returns the exit status: 0 if every expectation held, 1 if not, 78 if the file cannot be used.
///
/// # Errors
/// When there is no kernel to play on, or the workspace does not build.
pub fn run(options: &Options) -> Result<u8> {
    let example = paths::workspace_folder().join("lvs.cf.example");
    let path = options.config.clone().unwrap_or(example);
    let Some(file) = read(&path) else { return Ok(CONFIG) };
    // Whether commands would run on this very machine matters only when there are some, so it is asked first
    // what can be told without a kernel.
    let mut plan = match file.plan(false) {
        Ok(plan) => plan,
        Err(obstacles) => return Ok(refuse(&obstacles)),
    };
    let mut screen = Screen::new();
    screen.print(&playbill::playbill(&plan));
    screen.print(&[text::Line::default()]);
    cargo::build_workspace()?;
    let kernel = Kernel::choose(options.kernel.as_deref())?;
    if matches!(kernel, Kernel::Native { .. }) {
        plan = match file.plan(true) {
            Ok(plan) => plan,
            Err(obstacles) => return Ok(refuse(&obstacles)),
        };
    }
    play(&plan, &kernel, screen)
}

/// A file that has been read and understood.
struct Understood {
    shown: String,
    text: Vec<u8>,
    config: Config,
    names: Vec<(String, String)>,
}

impl Understood {
    fn plan(&self, native: bool) -> Result<Plan, Obstacles> {
        let source = Source {
            file: &self.shown,
            text: &self.text,
            config: &self.config,
            names: self.names.clone(),
            native,
        };
        Plan::new(source, &|program| paths::find_in_path(program).is_some_and(|path| path.is_file()))
    }
}

/// Reads a file; says what is wrong with it.
fn read(path: &Path) -> Option<Understood> {
    let folder = paths::workspace_folder();
    let shown = path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("cargo lab demo: {shown}: {error}");
            return None;
        }
    };
    let names = Recorder::default();
    let Parsed { config, diagnostics } = lvs_config::parse(&text, &names);
    let terminal = std::io::stderr().is_terminal();
    for diagnostic in &diagnostics {
        let shown = Path::new(&shown);
        if terminal {
            eprintln!("{}\n", diagnostic.annotated(shown, true));
        } else {
            eprintln!("{}", diagnostic.one_line(shown));
        }
    }
    let Some(config) = config else {
        let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
        let what = if errors == 1 { "error" } else { "errors" };
        eprintln!("cargo lab demo: {shown} has {errors} {what}, so no router would start with it");
        return None;
    };
    let names = names.0.into_inner().into_iter().map(|(name, address)| (name, address.to_string())).collect();
    Some(Understood { shown, text, config, names })
}

/// The system's names, remembered.
#[derive(Default)]
struct Recorder(RefCell<BTreeMap<String, IpAddr>>);

impl Names for Recorder {
    fn host(&self, name: &str, wanted: Family) -> Option<IpAddr> {
        let address = SystemNames.host(name, wanted)?;
        self.0.borrow_mut().insert(name.to_owned(), address);
        Some(address)
    }

    fn service(&self, name: &str, protocol: Protocol) -> Option<u16> {
        SystemNames.service(name, protocol)
    }
}

fn refuse(obstacles: &Obstacles) -> u8 {
    for obstacle in &obstacles.0 {
        eprintln!("{obstacle}");
    }
    eprintln!("cargo lab demo: this file cannot be rehearsed here");
    CONFIG
}

/// Boots, plays, shows, sums up.
fn play(plan: &Plan, kernel: &Kernel, screen: Screen) -> Result<u8> {
    let lab = paths::lab_folder()?;
    let (results, plan_file) = (lab.join("demo"), lab.join("demo-plan.json"));
    fs::write(&plan_file, serde_json::to_vec(plan)?)
        .with_context(|| format!("write {}", plan_file.display()))?;
    let program = paths::lab_executable()?.display().to_string();
    let task = Task {
        command: vec![program, "inside".into(), "demo".into(), plan_file.display().to_string()],
        env: vec![(RESULTS.to_owned(), results.display().to_string())],
        results: results.clone(),
        limit: plan.estimate() * 3 + SLACK,
        console: Console::Kept,
        memory_mib: MEMORY_MIB,
    };
    let mut audience = Audience { screen, steps: 0, measurements: Vec::new(), look: None };
    let mut listener = Listener::new(&results.join(EVENTS))?;
    let (done, ended) = mpsc::channel();
    let outcome = thread::scope(|scope| {
        scope.spawn(|| done.send(kernel.run(&task)));
        loop {
            let outcome = ended.recv_timeout(GLANCE);
            audience.see(listener.events());
            match outcome {
                Ok(outcome) => return outcome,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(anyhow!("the lab kernel was lost")),
            }
        }
    })?;
    audience.see(listener.events());
    Ok(audience.sum_up(&outcome, &results))
}

/// Shows events as they come and remembers what was measured.
struct Audience {
    screen: Screen,
    steps: usize,
    measurements: Vec<Measurement>,
    look: Option<Look>,
}

impl Audience {
    fn see(&mut self, events: Vec<Event>) {
        let Some(_) = events.first() else { return };
        for event in events {
            match event {
                Event::Step(step) => {
                    self.tally();
                    self.steps += 1;
                    self.screen.print(&view::heading(self.steps, &step));
                }
                Event::Happened(moment) => self.screen.print(&view::moment(&moment)),
                Event::Measured(measurement) => {
                    self.screen.print(&view::verdict(&measurement));
                    self.measurements.push(measurement);
                }
                Event::Look(look) => self.look = Some(look),
            }
        }
        if let Some(look) = &self.look {
            self.screen.redraw(&view::live(look));
        }
    }

    /// Without a live view: who answered how often in the step that ends.
    fn tally(&mut self) {
        let Some(look) = self.look.as_ref().filter(|_| !self.screen.is_live() && self.steps > 0) else {
            return;
        };
        for text in view::tally(look).into_iter().take(MOST_TALLIES) {
            self.screen.print(&view::moment(&event::Moment { at: look.at, text }));
        }
    }

    fn sum_up(mut self, outcome: &Outcome, results: &Path) -> u8 {
        let mut lines = vec![text::Line::default()];
        if !self.measurements.is_empty() {
            lines.extend(view::table(&self.measurements));
            lines.push(view::summary(&self.measurements));
        }
        self.screen.print(&lines);
        let finished = *outcome == Outcome::Exited(0);
        let held = !self.measurements.is_empty() && self.measurements.iter().all(|m| m.held);
        if finished && held {
            self.screen.print(&[text::Line::new(
                text::Tone::Dim,
                "  Rehearse your own file: cargo lab demo --config FILE    Play in a cluster: cargo lab shell",
            )]);
            return HELD;
        }
        if !finished && self.measurements.iter().all(|m| m.held) {
            eprintln!("cargo lab demo: the story broke off: {}", broke_off(outcome, results));
        }
        eprintln!("the whole journal, and a report if it broke off: {}", results.display());
        FAILED
    }
}

fn broke_off(outcome: &Outcome, results: &Path) -> String {
    let report = fs::read_to_string(results.join("report")).unwrap_or_default();
    report.lines().next().map_or_else(|| outcome.to_string(), str::to_owned)
}
