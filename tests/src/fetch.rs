//! The lab kernel and the tools that the machine lacks, in a cache under `target/lab`.
//!
//! The kernel is Debian's package `user-mode-linux` from the suite `unstable`, with the C library of that suite, as
//! older machines' own is too old for it. Tools come from the machine's own release. Nothing is installed. A folder
//! of the cache is complete or not there: it is prepared under another name, stamped and then renamed.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::{
    apt::{self, Apt, Archive},
    paths,
};

/// The suite with a kernel that runs on recent processors (6.13 or later is needed).
const KERNEL_SUITE: &str = "unstable";
/// The packages of the kernel.
const KERNEL_PACKAGES: [&str; 2] = ["user-mode-linux", "libc6"];
/// Programs that the lab needs, and the package of each.
const TOOLS: [(&str, &str); 10] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bridge", "iproute2"),
    ("ping", "iputils-ping"),
    ("patchelf", "patchelf"),
    ("ipvsadm", "ipvsadm"),
    ("nft", "nftables"),
    ("keepalived", "keepalived"),
    ("dnsmasq", "dnsmasq-base"),
    ("smtpd", "opensmtpd"),
];
/// The file that says that a folder of the cache is complete.
const STAMP: &str = "stamp.json";
/// The folder of the scripts that run fetched tools, inside that of the tools.
const WRAPPERS: &str = "wrappers";
/// Environment: where the dynamic linker looks for libraries first.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// The lab kernel, ready to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabKernel {
    /// Its release (`7.2.7`).
    pub version: String,
    /// The executable.
    pub linux: PathBuf,
    /// Its module tree.
    pub modules: PathBuf,
    /// A folder of tools that the machine lacks, if any.
    pub tools: Option<PathBuf>,
}

/// What a complete folder of the cache was made of, and where: paths are part of what was made.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    folder: PathBuf,
    packages: BTreeMap<String, String>,
}

/// The lab kernel, from the cache or freshly fetched.
///
/// # Errors
/// When it cannot be fetched or prepared; says what to do where there is something.
pub fn lab_kernel() -> Result<LabKernel> {
    ensure!(
        env::consts::ARCH == "x86_64",
        "User Mode Linux exists for x86-64 only, this is {}: use a kernel with IPVS and root",
        env::consts::ARCH
    );
    let tools = tools()?;
    let lab = paths::lab_folder()?;
    let _lock = lock(&lab)?;
    let folder = lab.join("kernel");
    if !is_complete(&folder) {
        prepare_kernel(&lab, &folder, tools.as_deref())?;
    }
    let (version, modules) = module_tree(&folder)?;
    Ok(LabKernel { version, linux: folder.join("linux"), modules, tools })
}

/// One process at a time fills the cache.
fn lock(lab: &Path) -> Result<Flock<fs::File>> {
    let file =
        fs::File::create(lab.join("fetch.lock")).with_context(|| format!("write in {}", lab.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| anyhow!("lock {}: {error}", lab.display()))
}

fn is_complete(folder: &Path) -> bool {
    read_stamp(folder).is_some_and(|stamp| stamp.folder == folder)
}

fn read_stamp(folder: &Path) -> Option<Stamp> {
    serde_json::from_slice(&fs::read(folder.join(STAMP)).ok()?).ok()
}

/// Fills a new folder with `fill`, stamps it, and puts it where the old one was.
fn replace(folder: &Path, fill: impl FnOnce(&Path) -> Result<BTreeMap<String, String>>) -> Result<()> {
    let fresh = folder.with_extension("new");
    for old in [&fresh, &folder.to_owned()] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("remove {}", old.display()))?;
        }
    }
    fs::create_dir_all(&fresh).with_context(|| format!("create {}", fresh.display()))?;
    let packages = fill(&fresh)?;
    let stamp = Stamp { folder: folder.to_owned(), packages };
    fs::write(fresh.join(STAMP), serde_json::to_vec_pretty(&stamp)?)?;
    fs::rename(&fresh, folder).with_context(|| format!("rename to {}", folder.display()))
}

fn prepare_kernel(lab: &Path, folder: &Path, tools: Option<&Path>) -> Result<()> {
    let archive = apt::machines_archive()?;
    let apt = Apt::new(&lab.join("apt-kernel"), &archive, KERNEL_SUITE)?;
    apt.update("lab kernel: package lists")?;
    replace(folder, |fresh| {
        apt.download(&KERNEL_PACKAGES.map(str::to_owned), fresh, "lab kernel: packages")?;
        let files = apt::package_files(fresh)?;
        let versions = unpack_all(&files, &KERNEL_PACKAGES, fresh)?;
        fs::rename(fresh.join("usr/bin/linux.uml"), fresh.join("linux"))
            .context("kernel in user-mode-linux")?;
        // Paths of the final place: the folder is renamed to it.
        let libraries = folder.join("usr/lib").join(apt::multiarch());
        set_interpreter(&fresh.join("linux"), &libraries, tools)?;
        module_tree(fresh)?;
        Ok(versions)
    })
}

/// Unpacks the package files and removes them.
fn unpack_all(
    files: &BTreeMap<String, (PathBuf, String)>,
    wanted: &[&str],
    into: &Path,
) -> Result<BTreeMap<String, String>> {
    for name in wanted {
        ensure!(files.contains_key(*name), "apt-get left no file of package {name}");
    }
    let mut versions = BTreeMap::new();
    for (name, (file, version)) in files {
        apt::unpack(file, into)?;
        fs::remove_file(file)?;
        versions.insert(name.clone(), version.clone());
    }
    Ok(versions)
}

/// Makes the kernel use the C library that was fetched with it.
fn set_interpreter(linux: &Path, libraries: &Path, tools: Option<&Path>) -> Result<()> {
    let patchelf = tools.map(|folder| folder.join("patchelf")).filter(|path| path.is_file());
    let patchelf = patchelf.or_else(|| paths::find_in_path("patchelf"));
    let patchelf = patchelf.ok_or_else(|| anyhow!("patchelf is missing: apt-get install patchelf"))?;
    let output = Command::new(patchelf)
        .arg("--set-interpreter")
        .arg(libraries.join("ld-linux-x86-64.so.2"))
        .arg("--set-rpath")
        .arg(libraries)
        .arg(linux)
        .output()
        .context("start patchelf")?;
    ensure!(output.status.success(), "patchelf: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Version and folder of the only module tree.
fn module_tree(kernel: &Path) -> Result<(String, PathBuf)> {
    let trees = kernel.join("usr/lib/uml/modules");
    let entries = fs::read_dir(&trees).with_context(|| format!("list {}", trees.display()))?;
    let found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    match found.as_slice() {
        [tree] => {
            let name = tree.file_name().map(|name| name.to_string_lossy().into_owned());
            Ok((name.unwrap_or_default(), tree.clone()))
        }
        _ => bail!("{} should hold one module tree, it holds {}", trees.display(), found.len()),
    }
}

/// A folder of the tools that the machine lacks, fetched where needed; nothing if it lacks none.
///
/// # Errors
/// When they cannot be fetched; says what to install instead.
pub fn tools() -> Result<Option<PathBuf>> {
    let missing: Vec<(&str, &str)> =
        TOOLS.into_iter().filter(|(program, _)| paths::find_in_path(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let lab = paths::lab_folder()?;
    let _lock = lock(&lab)?;
    let folder = lab.join("tools");
    let has_all = || missing.iter().all(|(program, _)| folder.join(WRAPPERS).join(program).is_file());
    if !(is_complete(&folder) && has_all()) {
        let fetched =
            apt::machines_archive().and_then(|archive| fetch_tools(&lab, &folder, &archive, &missing));
        fetched.with_context(|| {
            let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
            packages.dedup();
            format!(
                "tools are missing and could not be fetched; as root: apt-get install {}",
                packages.join(" ")
            )
        })?;
    }
    Ok(Some(folder.join(WRAPPERS)))
}

fn fetch_tools(lab: &Path, folder: &Path, archive: &Archive, missing: &[(&str, &str)]) -> Result<()> {
    let apt = Apt::new(&lab.join("apt-tools"), archive, &archive.suites)?;
    apt.update("tools: package lists")?;
    let mut packages = Vec::new();
    for (_, package) in missing {
        for needed in apt.missing_for(package)? {
            if !packages.contains(&needed) {
                packages.push(needed);
            }
        }
    }
    replace(folder, |fresh| {
        apt.download(&packages, fresh, "tools: packages")?;
        let files = apt::package_files(fresh)?;
        let versions = unpack_all(&files, &[], fresh)?;
        fs::create_dir_all(fresh.join(WRAPPERS))?;
        for (program, package) in missing {
            write_wrapper(fresh, folder, program).with_context(|| format!("package {package}"))?;
        }
        Ok(versions)
    })
}

/// A script in [`WRAPPERS`] that runs a fetched program with the libraries fetched with it.
fn write_wrapper(fresh: &Path, folder: &Path, program: &str) -> Result<()> {
    let root = fresh.canonicalize()?;
    // A link to an absolute path leads out of the folder, to what the machine does not have.
    let is_here = |place: &&str| {
        fresh
            .join(place)
            .join(program)
            .canonicalize()
            .is_ok_and(|path| path.starts_with(&root) && path.is_file())
    };
    let place = ["usr/sbin", "usr/bin", "sbin", "bin"].into_iter().find(is_here);
    let place = place.ok_or_else(|| anyhow!("there is no {program} in it"))?;
    let at = folder.display();
    let architecture = apt::multiarch();
    let script = format!(
        "#!/bin/sh\n{LIBRARIES}={at}/usr/lib/{architecture}:{at}/lib/{architecture}${{{LIBRARIES}:+:${LIBRARIES}}}\n\
         export {LIBRARIES}\nexec {at}/{place}/{program} \"$@\"\n"
    );
    let path = fresh.join(WRAPPERS).join(program);
    fs::write(&path, script)?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
}

/// The program that a wrapper runs, and the environment variable by which that finds its libraries; nothing if `path` is
/// not a wrapper. For who wants to start it without the script.
pub(crate) fn behind_wrapper(path: &Path) -> Option<(PathBuf, (String, String))> {
    let script =
        fs::read_to_string(path).ok().filter(|_| path.parent().is_some_and(|f| f.ends_with(WRAPPERS)))?;
    let program = script.lines().find_map(|line| line.strip_prefix("exec ")?.strip_suffix(" \"$@\""))?;
    let libraries = script.lines().find_map(|line| line.strip_prefix(LIBRARIES)?.strip_prefix('='))?;
    let libraries = libraries.split("${").next().unwrap_or(libraries);
    Some((PathBuf::from(program), (LIBRARIES.to_owned(), libraries.to_owned())))
}

/// Removes nothing, fetches what is missing, and says what there is.
///
/// # Errors
/// As [`lab_kernel`].
pub fn run() -> Result<()> {
    let kernel = lab_kernel()?;
    println!("lab kernel: User Mode Linux {} in {}", kernel.version, kernel.linux.display());
    match kernel.tools {
        Some(folder) => println!("tools that this machine lacks: {}", folder.display()),
        None => println!("tools: all on this machine"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("lab-fetch-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("scratch folder");
        folder
    }

    #[test]
    fn a_folder_is_complete_only_when_filling_it_succeeded() {
        let base = scratch("complete");
        let folder = base.join("kernel");
        let failed = replace(&folder, |fresh| {
            fs::write(fresh.join("linux"), "half")?;
            bail!("interrupted")
        });
        assert!(failed.is_err() && !is_complete(&folder));
        replace(&folder, |fresh| Ok(fs::write(fresh.join("linux"), "whole").map(|()| BTreeMap::new())?))
            .expect("filled");
        assert!(is_complete(&folder));
        assert_eq!(fs::read_to_string(folder.join("linux")).ok().as_deref(), Some("whole"));
        fs::remove_dir_all(base).expect("clean up");
    }

    #[test]
    fn the_program_behind_a_wrapper_is_found_with_its_libraries() {
        let base = scratch("wrapper");
        let program = base.join("usr/sbin/ipvsadm");
        for folder in ["usr/sbin", WRAPPERS] {
            fs::create_dir_all(base.join(folder)).expect("folder");
        }
        fs::write(&program, "").expect("program");
        write_wrapper(&base, Path::new("/lab/tools"), "ipvsadm").expect("wrapper");
        let (path, (variable, libraries)) =
            behind_wrapper(&base.join(WRAPPERS).join("ipvsadm")).expect("found");
        assert_eq!(path, Path::new("/lab/tools/usr/sbin/ipvsadm"));
        let architecture = apt::multiarch();
        let wanted = format!("/lab/tools/usr/lib/{architecture}:/lab/tools/lib/{architecture}");
        assert_eq!((variable.as_str(), libraries), ("LD_LIBRARY_PATH", wanted));
        assert_eq!(behind_wrapper(&program), None);
        fs::remove_dir_all(base).expect("clean up");
    }

    #[test]
    fn a_cache_that_was_moved_is_not_complete() {
        let base = scratch("moved");
        replace(&base.join("kernel"), |_| Ok(BTreeMap::new())).expect("filled");
        fs::rename(base.join("kernel"), base.join("elsewhere")).expect("moved");
        assert!(!is_complete(&base.join("elsewhere")));
        fs::remove_dir_all(base).expect("clean up");
    }
}
