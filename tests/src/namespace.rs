//! Namespaces: a network stack and a set of mounts of one's own, held open by two descriptors.
//!
//! Belonging to a namespace is a property of a thread, so everything that happens "in a host" happens on a
//! thread made for it; a socket stays in the namespace it was created in, wherever it is used later, and a
//! child process inherits the namespaces of the thread that started it. When the last descriptor, process and
//! socket are gone the kernel takes the namespace down together with its interfaces: there is nothing to
//! delete and no name that could clash.

use std::{
    fs::{self, File},
    io::Write as _,
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    panic,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
    unistd::{chroot, fchdir},
};

/// A network and a mount namespace.
pub(crate) struct Namespaces {
    net: File,
    mount: File,
    /// The root folder inside; entering alone would lead to the machine's root, also from within a chroot.
    root: File,
}

impl Namespaces {
    /// Makes both namespaces, with an empty `/run`, `/sys` of this network, and an empty folder of its own at
    /// each of `private`.
    pub(crate) fn create(private: &[&Path]) -> Result<Self> {
        on_thread(|| -> Result<Self> {
            unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)
                .context("cannot make a network and a mount namespace")?;
            make_mounts_private()?;
            mount_fresh("tmpfs", Path::new("/run"))?;
            mount_fresh("sysfs", Path::new("/sys"))?;
            let mut covered = Vec::new();
            for folder in private {
                private_folder(folder, &mut covered)?;
            }
            Ok(Self {
                net: File::open("/proc/thread-self/ns/net")?,
                mount: File::open("/proc/thread-self/ns/mnt")?,
                root: File::open("/")?,
            })
        })?
    }

    /// Moves the calling thread, which must have been made for it, into the namespaces for good.
    pub(crate) fn join(&self) -> Result<()> {
        // A mount namespace can only be entered by a thread with a current folder of its own.
        unshare(CloneFlags::CLONE_FS).context("unshare the thread's current folder")?;
        setns(&self.mount, CloneFlags::CLONE_NEWNS).context("enter the mount namespace")?;
        setns(&self.net, CloneFlags::CLONE_NEWNET).context("enter the network namespace")?;
        fchdir(&self.root).context("go to the root folder")?;
        chroot(".").context("make it the root folder")
    }

    /// Runs `work` inside, on a thread made for it, and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        on_thread(|| self.join().map(|()| work()))?
    }

    /// The same for work that may fail. The failure is raised anew here, so that its backtrace leads to the caller.
    pub(crate) fn try_run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.run(work)?.map_err(|error| anyhow!("{error:#}"))
    }

    /// What identifies the network namespace among all, as `/proc/PID/ns/net` shows it.
    pub(crate) fn net_id(&self) -> Result<u64> {
        Ok(self.net.metadata()?.ino())
    }

    /// A path that means the network namespace to other processes while this one lives.
    pub(crate) fn net_path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.net.as_raw_fd())
    }

    /// `nsenter` options with which another process can come in while this one lives.
    pub(crate) fn nsenter_options(&self) -> Vec<String> {
        let mount = format!("--mount=/proc/{}/fd/{}", std::process::id(), self.mount.as_raw_fd());
        vec![format!("--net={}", self.net_path()), mount]
    }

    /// All processes inside.
    pub(crate) fn processes(&self) -> Result<Vec<i32>> {
        let id = self.net_id()?;
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            // A process that ended meanwhile is not inside.
            if fs::metadata(entry.path().join("ns/net")).is_ok_and(|net| net.ino() == id) {
                found.push(pid);
            }
        }
        Ok(found)
    }
}

/// Runs `work` on a thread of its own; a panic there goes on here.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().spawn_scoped(scope, work).context("cannot start a thread")?;
        match worker.join() {
            Ok(result) => Ok(result),
            Err(panic) => panic::resume_unwind(panic),
        }
    })
}

/// Cuts the mounts of this namespace off from those it was copied from.
pub(crate) fn make_mounts_private() -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("make all mounts private")
}

/// Mounts a new file system of `kind` on `folder`.
pub(crate) fn mount_fresh(kind: &str, folder: &Path) -> Result<()> {
    mount(Some(kind), folder, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mount {kind} on {}", folder.display()))
}

/// Puts an empty folder of this mount namespace at `folder`, also where the machine has none: then its nearest
/// existing parent is covered by an overlay, once, so that nothing is ever created on the machine itself.
fn private_folder(folder: &Path, covered: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        let parent = folder.ancestors().skip(1).find(|a| a.is_dir()).ok_or_else(|| anyhow!("no parent"))?;
        if !covered.iter().any(|above| parent.starts_with(above)) {
            ensure!(parent != Path::new("/"), "{} has no existing parent folder", folder.display());
            overlay(parent)?;
            covered.push(parent.to_owned());
        }
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    }
    mount_fresh("tmpfs", folder)
}

/// Makes `folder` writable for this mount namespace alone; what is written lives in its `/run`.
fn overlay(folder: &Path) -> Result<()> {
    let name = folder.display().to_string().replace('/', "-");
    let layers = PathBuf::from(format!("/run/.lab{name}"));
    let (upper, work) = (layers.join("upper"), layers.join("work"));
    fs::create_dir_all(&upper)?;
    fs::create_dir_all(&work)?;
    let options =
        format!("lowerdir={},upperdir={},workdir={}", folder.display(), upper.display(), work.display());
    mount(Some("overlay"), folder, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("mount an overlay on {}", folder.display()))
}

/// Writes a kernel setting (`net.ipv4.ip_forward`) of the calling thread's network namespace.
pub(crate) fn write_sysctl(key: &str, value: &str) -> Result<()> {
    let path = sysctl_path(key);
    // Without `create`: a misspelt key must not become a file.
    let write = || fs::OpenOptions::new().write(true).open(&path)?.write_all(value.as_bytes());
    write().with_context(|| format!("set sysctl {key} = {value} ({})", path.display()))
}

/// Reads a kernel setting of the calling thread's network namespace.
pub(crate) fn read_sysctl(key: &str) -> Result<String> {
    let path = sysctl_path(key);
    let text =
        fs::read_to_string(&path).with_context(|| format!("read sysctl {key} ({})", path.display()))?;
    Ok(text.trim_end().to_owned())
}

/// Keys are written with dots, or with slashes where a part contains a dot, as sysctl(8) has it.
fn sysctl_path(key: &str) -> PathBuf {
    let tail = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    Path::new("/proc/sys").join(tail)
}
