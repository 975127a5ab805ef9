//! Where the other programs of a suite are, and who may write to the files that this one makes.

use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};

/// From now on nobody but the owner can write to files and folders that this process or a child of it makes, whatever
/// it inherited from who started it. Call it before anything is made.
pub fn protect_new_files() {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
}

/// The program `name`: beside the program that runs now if it is there, else in `/usr/sbin`.
#[must_use]
pub fn beside_this_one(name: &str) -> PathBuf {
    let this = std::env::current_exe().ok();
    let beside = this.as_deref().and_then(Path::parent).map(|folder| folder.join(name));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| Path::new("/usr/sbin").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_can_be_written_to_by_their_owner_only() {
        umask(Mode::empty());
        protect_new_files();
        let in_force = umask(Mode::S_IWGRP | Mode::S_IWOTH);
        assert_eq!(in_force.bits(), 0o022);
    }

    #[test]
    fn a_neighbour_is_found_and_a_stranger_expected_where_programs_are_installed() {
        let this = std::env::current_exe().unwrap();
        assert_eq!(beside_this_one(this.file_name().unwrap().to_str().unwrap()), this);
        assert_eq!(beside_this_one("no-such-program"), Path::new("/usr/sbin/no-such-program"));
    }
}
