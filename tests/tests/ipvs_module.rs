//! The modules of IPVS, taken out of the running kernel and put back.

use anyhow::Result;
use lab::Host;

use crate::one_router::SOON;

/// Takes out what is not in use first. Whoever puts services back all the time is outrun sooner or later.
const TAKE_OUT: &str = "
unload() { for it in $(cut -d' ' -f1 /proc/modules | grep ^ip_vs_); do rmmod $it 2>/dev/null; done; rmmod ip_vs; }
for attempt in 1 2 3 4 5 6 7 8 9; do ipvsadm -C; unload && exit; done; exit 1";
/// Who loads modules when the kernel wants one.
const LOADER: &str = "kernel.modprobe";
/// One that cannot, and writes down what it was asked for. The kernel calls it outside of all hosts.
const UNABLE: &str = "/tmp/unable-loader";
const ASKED: &str = "/tmp/unable-loader.asked";

/// Whether it is the lab's own kernel. No modules are taken out of another one.
pub(crate) fn is_of_the_lab(host: &Host) -> Result<bool> {
    Ok(host.read_file("/proc/cpuinfo")?.contains("User Mode Linux"))
}

/// Empties the table and takes the modules out. The kernel does not load them by itself until [`put_back`].
pub(crate) fn take_out(host: &Host) -> Result<()> {
    // It would as soon as somebody asks for the family.
    host.write_file(UNABLE, format!("#!/bin/sh\necho \"$*\" >>{ASKED}\nexit 1\n"))?;
    host.tool("chmod").args(["755", UNABLE]).run(SOON)?.success()?;
    host.set_sysctl(LOADER, UNABLE)?;
    host.tool("sh").args(["-c", TAKE_OUT]).run(SOON)?.success()?;
    Ok(())
}

/// How often the kernel has wanted IPVS in vain since.
pub(crate) fn wanted_in_vain(host: &Host) -> usize {
    // Before the first time there is no list.
    let asked = host.read_file(ASKED).unwrap_or_default();
    asked.lines().filter(|line| line.ends_with("-family-IPVS")).count()
}

/// Lets the kernel load modules again; it does for whoever asks next.
pub(crate) fn put_back(host: &Host) -> Result<()> {
    host.set_sysctl(LOADER, "/sbin/modprobe")
}
