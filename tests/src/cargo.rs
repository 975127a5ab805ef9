//! cargo, run from inside the lab: in this workspace, for this target folder, in the profile of this executable or in
//! that of packages.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::paths;

/// The folder of programs in cargo's default profile, which has another name.
const DEBUG: &str = "debug";
/// The profile that packages are built in; its folder has the same name.
const PACKAGED: &str = "packaged";

/// Lets a command work in the workspace, for our target folder.
fn at_home(mut command: Command) -> Result<Command> {
    command.current_dir(paths::workspace_folder()).env("CARGO_TARGET_DIR", paths::target_folder()?);
    Ok(command)
}

/// A cargo command in the workspace, in the default profile.
fn bare(args: &[&str]) -> Result<Command> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(args);
    at_home(command)
}

/// A cargo command in the workspace, in the profile that we were built in.
pub(crate) fn cargo(args: &[&str]) -> Result<Command> {
    let mut command = bare(args)?;
    let folder = crate::program::programs_folder()?;
    let profile = folder.file_name().filter(|name| *name != DEBUG);
    command.args(profile.iter().flat_map(|name| [OsStr::new("--profile"), name]));
    Ok(command)
}

/// Builds all programs of the suite, in the profile that we were built in.
///
/// # Errors
/// When they do not build.
pub fn build_workspace() -> Result<()> {
    println!("building the workspace");
    succeed(cargo(&["build", "--workspace"])?, "the workspace does not build")
}

/// Builds all programs of the suite by the script that packages are built with, and the lab beside them; returns their
/// folder.
///
/// # Errors
/// When they do not build.
pub(crate) fn build_packaged() -> Result<PathBuf> {
    println!("building the programs as they are packaged (packaging/build)");
    let mut script = Command::new("packaging/build");
    script.stdout(Stdio::null());
    succeed(at_home(script)?, "the programs do not build")?;
    succeed(bare(&["build", "--profile", PACKAGED, "--package", "lab"])?, "the lab does not build")?;
    Ok(paths::target_folder()?.join(PACKAGED))
}

fn succeed(mut command: Command, otherwise: &'static str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("start {program}"))?;
    ensure!(status.success(), otherwise);
    Ok(())
}
