//! The command line of User Mode Linux: a Linux kernel as an ordinary process.

use std::{path::Path, process::Command};

use anyhow::{Result, ensure};
use nix::sys::statvfs::statvfs;

use crate::fetch::LabKernel;

/// The process that boots `lab` as first process of a guest with what `spec` says.
///
/// `runtime` is a folder for the kernel's own control socket.
pub(crate) fn command(
    kernel: &LabKernel,
    lab: &Path,
    spec: &Path,
    runtime: &Path,
    memory_mib: u32,
) -> Result<Command> {
    for path in [lab, spec, runtime] {
        let plain = path.to_str().is_some_and(|text| !text.contains(|c: char| c.is_whitespace() || c == ','));
        ensure!(
            plain,
            "{} has a blank or comma in it, which a kernel's command line cannot carry",
            path.display()
        );
    }
    let mut command = Command::new(&kernel.linux);
    command.arg(format!("mem={memory_mib}M"));
    // System calls of guest processes are caught by seccomp filters, which is several times faster than ptrace.
    command.arg("seccomp=on");
    command.args(["rootfstype=hostfs", "rootflags=/", "ro"]);
    command.arg(format!("init={}", lab.display()));
    // Terminal 0 is the command's, on our standard input and output; the kernel's own messages go to standard error.
    command.args(["con=null", "con0=fd:0,fd:1", "con1=null,fd:2", "console=tty1", "quiet", "umid=guest"]);
    // It has no disk; without this it complains about a missing one. Shared (`s`), or else it locks the host's
    // /dev/null, and every other guest of the machine dies of that.
    command.arg("ubd0rs=/dev/null");
    command.arg(format!("uml_dir={}/", runtime.display()));
    command.args(["--", "first-process"]).arg(spec);
    // The guest's memory is a file: in memory where there is room, else beside the results.
    for variable in ["TMPDIR", "TMP", "TEMP"] {
        command.env_remove(variable);
    }
    if !has_room(Path::new("/dev/shm"), memory_mib) {
        command.env("TMPDIR", runtime);
    }
    Ok(command)
}

/// Whether a file system can hold a file of this size.
fn has_room(folder: &Path, mib: u32) -> bool {
    statvfs(folder).is_ok_and(|fs| fs.blocks_available() * fs.fragment_size() >= u64::from(mib) << 20)
}
