//! cargo, run from inside the lab: in this workspace, for this target folder, in the profile of this executable.

use std::{env, ffi::OsString, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::paths;

/// A cargo command in the workspace, in the profile that we were built in.
pub(crate) fn cargo(args: &[&str]) -> Result<Command> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args).current_dir(paths::workspace_folder());
    let target = paths::target_folder()?;
    command.env("CARGO_TARGET_DIR", &target);
    if crate::program::programs_folder()?.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    Ok(command)
}

/// Builds all programs of the suite, in the profile that we were built in.
///
/// # Errors
/// When they do not build.
pub fn build_workspace() -> Result<()> {
    println!("building the workspace");
    let status = cargo(&["build", "--workspace"])?.status().context("start cargo")?;
    ensure!(status.success(), "the workspace does not build");
    Ok(())
}
