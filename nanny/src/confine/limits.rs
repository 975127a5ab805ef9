//! The limits of what a monitor may use of the machine, and how they are set.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// Most open files. A monitor has its standard streams, the log, the signals, a few of `/proc` and a probe's socket or two.
const FILES: rlim_t = 64;
/// Most memory of its own, in bytes. It uses a hundredth of that; an answer that grows without end is stopped here at last.
const DATA: rlim_t = 64 << 20;

/// One limit, soft and hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    resource: Resource,
    /// As `/proc/self/limits` calls it.
    name: &'static str,
    most: rlim_t,
}

impl Limit {
    /// What is limited, as `/proc/self/limits` calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The most that can be had of it.
    #[must_use]
    pub fn most(&self) -> rlim_t {
        self.most
    }

    /// Sets it, or leaves one that is lower already.
    ///
    /// # Errors
    /// The kernel's.
    pub fn apply(&self) -> Result<(), Errno> {
        let (_, hard) = getrlimit(self.resource)?;
        let most = self.most.min(hard);
        setrlimit(self.resource, most, most)
    }
}

/// The limits of a monitor. A program gets those that never hurt one.
#[must_use]
pub fn limits(runs_programs: bool, writes_files: bool) -> Vec<Limit> {
    let limit = |resource, name, most| Limit { resource, name, most };
    let mut limits = vec![limit(Resource::RLIMIT_CORE, "Max core file size", 0)];
    if !runs_programs {
        limits.push(limit(Resource::RLIMIT_NOFILE, "Max open files", FILES));
        limits.push(limit(Resource::RLIMIT_NPROC, "Max processes", 0));
        limits.push(limit(Resource::RLIMIT_DATA, "Max data size", DATA));
        // Standard output or the log may be a file, when started by hand.
        if !writes_files {
            limits.push(limit(Resource::RLIMIT_FSIZE, "Max file size", 0));
        }
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(runs_programs: bool, writes_files: bool) -> Vec<(&'static str, rlim_t)> {
        limits(runs_programs, writes_files).iter().map(|limit| (limit.name(), limit.most())).collect()
    }

    #[test]
    fn programs_keep_what_they_may_need_and_files_can_be_written_where_they_are() {
        let core = ("Max core file size", 0);
        let (files, processes) = (("Max open files", 64), ("Max processes", 0));
        let data = ("Max data size", 67_108_864);
        assert_eq!(names(false, false), [core, files, processes, data, ("Max file size", 0)]);
        assert_eq!(names(false, true), [core, files, processes, data]);
        assert_eq!(names(true, false), [core]);
        assert_eq!(names(true, true), [core]);
    }
}
