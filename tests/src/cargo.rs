//! cargo, run from inside the lab: in this workspace, for this target folder, in the profile of this executable or in
//! that of packages.

use std::{env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::paths;

/// The profile that packages are built in; its folder has the same name.
const RELEASE: &str = "release";

/// A cargo command in the workspace.
fn bare(args: &[&str]) -> Result<Command> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command
        .args(args)
        .current_dir(paths::workspace_folder())
        .env("CARGO_TARGET_DIR", paths::target_folder()?);
    Ok(command)
}

/// A cargo command in the workspace, in the profile that we were built in.
pub(crate) fn cargo(args: &[&str]) -> Result<Command> {
    let mut command = bare(args)?;
    if crate::program::programs_folder()?.file_name().is_some_and(|name| name == RELEASE) {
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

/// Builds all programs of the suite as they are packaged, and returns their folder.
///
/// # Errors
/// When they do not build.
pub(crate) fn build_release() -> Result<PathBuf> {
    println!("building the programs as they are packaged (--release)");
    let status = bare(&["build", "--workspace", "--release"])?.status().context("start cargo")?;
    ensure!(status.success(), "the programs do not build");
    Ok(paths::target_folder()?.join(RELEASE))
}
