//! Where things are: the target folder, the lab's folders in it, programs along `PATH`.

use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};

/// The folder that cargo builds into (it holds `debug/` or another profile's folder with this executable).
///
/// # Errors
/// When this executable is not where cargo puts it.
pub fn target_folder() -> Result<PathBuf> {
    let programs = crate::program::programs_folder()?;
    let target =
        programs.parent().ok_or_else(|| anyhow!("{} is not in a target folder", programs.display()))?;
    target.canonicalize().with_context(|| format!("target folder {}", target.display()))
}

/// The lab's own executable, whichever of its executables this is, also when cargo has replaced it meanwhile.
///
/// # Errors
/// When it is not built.
pub fn lab_executable() -> Result<PathBuf> {
    crate::program::suite_binary("lab")
}

/// The lab's own folder, `target/lab`, which this creates.
///
/// # Errors
/// When it cannot be created.
pub fn lab_folder() -> Result<PathBuf> {
    let folder = target_folder()?.join("lab");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// The folder of the workspace's `Cargo.toml`.
pub fn workspace_folder() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// Folders where system programs are, also when the caller's `PATH` (an ordinary user's) leaves some out.
const SYSTEM_FOLDERS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// `PATH` with the fetched tools' folder at its front and the system folders at its end.
pub(crate) fn search_path(tools: Option<&Path>) -> String {
    let mut folders: Vec<String> = tools.iter().map(|folder| folder.display().to_string()).collect();
    folders.extend(env::var("PATH").unwrap_or_default().split(':').map(str::to_owned));
    folders.extend(SYSTEM_FOLDERS.map(str::to_owned));
    let mut seen = Vec::new();
    for folder in folders {
        if !folder.is_empty() && !seen.contains(&folder) {
            seen.push(folder);
        }
    }
    seen.join(":")
}

/// The executable that `name` means: itself if it has a slash, else the first along `PATH` and the system folders.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name));
    }
    let is_program =
        |path: &PathBuf| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    search_path(None).split(':').map(|folder| Path::new(folder).join(name)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_is_found_and_nonsense_is_not() {
        assert!(find_in_path("sh").is_some());
        assert_eq!(find_in_path("no-such-program-anywhere"), None);
    }

    #[test]
    fn system_folders_are_searched_whatever_the_path_says() {
        let path = search_path(Some(Path::new("/tools")));
        assert!(path.starts_with("/tools:"), "{path}");
        assert!(path.split(':').any(|folder| folder == "/usr/sbin"), "{path}");
    }
}
