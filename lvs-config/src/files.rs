//! The files that a configuration includes. Like names, they are the world outside, so they are passed in.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// Finds and reads the files that a configuration includes.
pub trait Files {
    /// The names in `folder`, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// When there is no such folder or it cannot be read.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// The bytes of the file `path`; of one that is longer than `limit`, at least one byte more than that.
    ///
    /// # Errors
    /// When there is no such file or it cannot be read.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;
}

/// The file system. Only regular files are read, so that reading ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        // Opening a device may do something, and opening a pipe may wait; what is opened may be another thing than what
        // was looked at, so neither question is asked once only.
        is_regular(&fs::metadata(path)?)?;
        let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        is_regular(&file.metadata()?)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn is_regular(metadata: &fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let message = if kind.is_dir() { "it is a folder, not a file" } else { "it is not a regular file" };
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// A world without files.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn names(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Err(not_followed())
    }

    fn read(&self, _: &Path, _: usize) -> io::Result<Vec<u8>> {
        Err(not_followed())
    }
}

fn not_followed() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this text is read without the files that it includes")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use nix::sys::stat::Mode;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lvs-config-{test}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_pipe_a_device_and_a_folder_are_refused_without_waiting() {
        let folder = Folder::new("odd");
        let pipe = folder.0.join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        for (path, told) in [
            (pipe.as_path(), "it is not a regular file"),
            (Path::new("/dev/zero"), "it is not a regular file"),
            (&folder.0, "it is a folder, not a file"),
        ] {
            assert_eq!(SystemFiles.read(path, 10).unwrap_err().to_string(), told, "{}", path.display());
        }
        let gone = SystemFiles.read(&folder.0.join("gone"), 10).unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn of_a_long_file_no_more_is_read_than_shows_that_it_is_long() {
        let folder = Folder::new("long");
        let path = folder.0.join("a");
        fs::write(&path, "12345").unwrap();
        assert_eq!(SystemFiles.read(&path, 5).unwrap(), b"12345");
        assert_eq!(SystemFiles.read(&path, 3).unwrap(), b"1234");
        assert_eq!(SystemFiles.names(&folder.0).unwrap(), ["a"]);
        assert!(SystemFiles.names(Path::new("")).unwrap().contains(&"Cargo.toml".into()));
    }
}
