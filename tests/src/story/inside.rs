//! The story inside the kernel: builds the stage, plays, and keeps telling how everything looks.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    EVENTS,
    event::{Event, Moment, Teller},
    plan::Plan,
    script::Script,
    stage::Stage,
};
use crate::{Lab, scenario::RESULTS};

/// How often the live view gets a new look.
const LOOK: Duration = Duration::from_millis(250);

/// Plays the story of a plan; what it tells goes to the results folder.
///
/// # Errors
/// When the story could not be played to its end.
pub(crate) fn inside(plan: &Path) -> Result<()> {
    let text = fs::read(plan).with_context(|| format!("read {}", plan.display()))?;
    let plan: Plan = serde_json::from_slice(&text).context("understand the plan")?;
    let results = PathBuf::from(env::var_os(RESULTS).context("no results folder is named")?);
    let teller = Teller::new(results.join(EVENTS));
    let lab = Lab::new();
    let outcome = perform(&lab, &plan, &teller);
    if let Err(error) = &outcome {
        fs::write(results.join("report"), format!("{error:#}\n\n{}", lab.report()))
            .context("write the report")?;
    }
    fs::write(results.join("journal"), lab.journal_text()).context("write the journal")?;
    lab.shut_down();
    outcome
}

fn perform(lab: &Lab, plan: &Plan, teller: &Teller) -> Result<()> {
    let stage = Stage::build(lab, plan).context("build the cluster")?;
    let hosts = 1 + plan.routers.len() + plan.machines.len();
    let text = format!("{hosts} hosts and {} networks are up; the real servers answer", plan.networks.len());
    teller.tell(&Event::Happened(Moment { at: lab.now(), text }));
    let (end, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (stage, teller) = (&stage, teller);
        scope.spawn(move || {
            let mut over = false;
            while !over {
                teller.tell(&Event::Look(stage.look()));
                over = ended.recv_timeout(LOOK) != Err(mpsc::RecvTimeoutError::Timeout);
            }
        });
        let played = Script::new(stage, teller).play();
        // Its receiver lives until the scope ends.
        let _ = end.send(());
        played
    })
}
