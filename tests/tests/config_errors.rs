//! Files that cannot be used: each is refused with all that is wrong with it, and disturbs nobody who serves.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Lab, Signal, scenarios};

use crate::{
    cf::{file, virtual_server},
    one_router::{CONFIG, OneRouter, SOON, http, requests_since},
};

scenarios! {
    each_broken_file_is_refused_with_its_diagnostics: 60,
    no_broken_file_disturbs_a_running_lvs: 60,
}

/// `EX_CONFIG` of `sysexits.h`.
const EX_CONFIG: i32 = 78;

/// A file and what must be said about it, each line beginning with the file's name.
struct Broken {
    name: String,
    path: PathBuf,
    diagnostics: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvs-config/testdata/broken")
}

fn broken_files() -> Result<Vec<Broken>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder()).context("the broken files of lvs-config")? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "cf") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let diagnostics = fs::read_to_string(path.with_extension("expected"))?;
        found.push(Broken { name, path, diagnostics });
    }
    ensure!(found.len() >= 20, "only {} broken files", found.len());
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What `--check` says in either program.
fn each_broken_file_is_refused_with_its_diagnostics(lab: &Lab) -> Result<()> {
    let router = lab.cluster().routers(1).build()?.router(1)?;
    for Broken { name, diagnostics, .. } in broken_files()? {
        for program in ["lvs", "pulse"] {
            let checked = router.program(program).args(["--check", &name]).folder(folder()).run(SOON)?;
            assert_eq!(checked.stderr, diagnostics, "{program} --check {name}");
            assert_eq!(checked.status.code(), Some(EX_CONFIG), "{program} --check {name}");
        }
    }
    Ok(())
}

/// One after the other, as an administrator who tries hard.
fn no_broken_file_disturbs_a_running_lvs(lab: &Lab) -> Result<()> {
    let world = OneRouter::nat(lab, 2)?;
    let good = file([virtual_server("web", 0).weights(&[1, 1])]);
    let lvs = world.serve(good, &[("rs1", 1), ("rs2", 1)])?;
    world.ask(http())?;
    let (nannies, rows, served) = (world.nannies(&lvs)?, world.rows()?, lab.journal().mark());
    for Broken { name, path, diagnostics } in broken_files()? {
        world.router.write_file(CONFIG, fs::read(&path)?)?;
        let mark = lab.journal().mark();
        lvs.signal(Signal::SIGHUP)?;
        // What is odd beside the errors is told with them.
        let problems = diagnostics.lines().count();
        let end = format!("the file cannot be used; nothing changed problems={problems}");
        lvs.wait_for_line_after(mark, &end, SOON).with_context(|| name.clone())?;
        let expected = diagnostics.replace(&format!("{name}:"), &format!("{CONFIG}:"));
        let (entries, _) = lab.journal().all();
        for line in expected.lines() {
            let logged = entries[mark..]
                .iter()
                .any(|entry| *entry.source == *lvs.name() && entry.text.ends_with(line));
            ensure!(logged, "{name}: the log does not say {line}");
        }
        assert_eq!(world.nannies(&lvs)?, nannies, "{name}");
    }
    assert_eq!(world.rows()?, rows);
    assert_eq!(requests_since(lab, &lvs, served)?, Vec::<String>::new());
    ensure!(!world.status()?.reload.state, "the status says that the last file is good");
    Ok(())
}
