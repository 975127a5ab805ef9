//! The programs that the suite is measured against, as they are installed or as the lab has fetched them.

use std::time::Duration;

use anyhow::{Result, anyhow};
use regex::Regex;

use super::timed::Executable;
use crate::{HostSpec, Lab, fetch, paths};

/// How long a program may take to say its version.
const LIMIT: Duration = Duration::from_secs(30);

/// A program of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    program: &'static str,
    /// How the program says who it is: its version is the first group.
    version: &'static str,
}

impl Peer {
    /// The original `ipvsadm`.
    pub(crate) const fn ipvsadm() -> Self {
        Self { program: "ipvsadm", version: r"^ipvsadm v([0-9.]+) .*compiled with" }
    }

    /// `keepalived`.
    pub(crate) const fn keepalived() -> Self {
        Self { program: "keepalived", version: r"^Keepalived v([0-9.]+) " }
    }

    /// The file to start. One that the lab has fetched is started by a script, which must not be measured with it.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn executable(self) -> Result<Executable> {
        let path = paths::find_in_path(self.program).ok_or_else(|| anyhow!("{} is missing", self.program))?;
        let (path, env) = match fetch::behind_wrapper(&path) {
            Some((path, libraries)) => (path, vec![libraries]),
            None => (path, Vec::new()),
        };
        Ok(Executable { path, env })
    }

    /// Name and version, as it says itself.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn name(self, lab: &Lab, executable: &Executable) -> Result<String> {
        let host = lab.cluster().host(HostSpec::new("version")).build()?.host("version")?;
        let told = executable.launch(&host).arg("--version").run(LIMIT)?.success()?;
        // keepalived tells it as if it were an error.
        let said = told.stdout + &told.stderr;
        let name = self.name_from(&said);
        name.ok_or_else(|| {
            anyhow!("{} is not the {} that is meant: {said}", executable.path.display(), self.program)
        })
    }

    /// `ipvsadm 1.31` from `ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)`.
    fn name_from(self, said: &str) -> Option<String> {
        let found = Regex::new(self.version).ok()?.captures(said)?;
        Some(format!("{} {}", self.program, &found[1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_which_the_program_says() {
        let said = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";
        assert_eq!(Peer::ipvsadm().name_from(said).as_deref(), Some("ipvsadm 1.31"));
        assert_eq!(Peer::ipvsadm().name_from("ipvsadm 0.1.0\n"), None);
        let said = "Keepalived v2.2.7 (01/16,2022)\n\nCopyright(C) 2001-2022\n";
        assert_eq!(Peer::keepalived().name_from(said).as_deref(), Some("keepalived 2.2.7"));
        assert_eq!(Peer::keepalived().name_from(""), None);
    }
}
