//! A document in a file: reading it, and saving it so that a reader sees the old file or the new one, whole.
//!
//! Saving counts `serial_no` up, once, and only when something else has changed. The new text goes to a file in the same
//! folder, `.NAME.new`, which gets the owner and mode of the old one, is written to the disk and takes its name; then the
//! folder is written to the disk. A symbolic link stays, and the file that it leads to is replaced. Another hard link
//! keeps the old text; access control lists and extended attributes are those of a new file.
//!
//! The file is compared with what was read and replaced under a lock (flock(2)) on the old file, so that of two programs
//! that save through this module neither loses what the other has written. Somebody who does not lock, such as an editor,
//! is noticed when he has written before the comparison, not in the instant after it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Document, Edit, Policy, Refused, Scope, entries};
use crate::diagnostic::{Code, Problem, shown};
use crate::token::Token;
use crate::tree::Tree;
use crate::{Decoded, load, value};

const SERIAL_NO: &str = "serial_no";

/// A file that is read, edited and saved.
#[derive(Debug)]
pub struct DocumentFile {
    /// Edited in memory; nothing is written before [`DocumentFile::save`].
    pub document: Document,
    /// What the file contained when it was last read or saved.
    on_disk: Vec<u8>,
}

/// What saving did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Nothing had changed, so nothing was written.
    Unchanged,
    /// The file was replaced.
    Written {
        /// The `serial_no` that it has now.
        serial_no: u64,
    },
}

/// Why a file was not read or saved.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Something cannot be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Not a regular file, or larger than what is read.
    #[error("{}: {reason}", path.display())]
    NotEditable {
        /// Which file.
        path: PathBuf,
        /// What it is, and what is allowed.
        reason: String,
    },
    /// Somebody else has changed the file; it is as he left it.
    #[error("{}: not saved: the file has been changed since it was read: {difference}; read it again", path.display())]
    Changed {
        /// Which file.
        path: PathBuf,
        /// What was read and what is there now.
        difference: String,
    },
    /// Another program is saving the file at this moment.
    #[error("{}: not saved: another program is saving this file; try again", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// `serial_no` cannot be counted up.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl DocumentFile {
    /// Reads `path`, which is the file that the routers read, not one that it includes: that has no `serial_no`.
    ///
    /// # Errors
    /// When it cannot be read, is not a regular file, or is larger than [`crate::MAX_FILE`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(|source| failed(&path, "read", source))?;
        is_regular(&path, &metadata)?;
        let text = load::read(&path).map_err(|source| failed(&path, "read", source))?;
        if text.len() > crate::MAX_FILE {
            let reason = format!("the file is larger than {} bytes", crate::MAX_FILE);
            return Err(FileError::NotEditable { path, reason });
        }
        Ok(Self { document: Document::in_file(path, text.clone()), on_disk: text })
    }

    /// Writes the document to its file, with `serial_no` counted up, if it has changed. On every error but the last possible
    /// one, that the folder cannot be written to the disk, the file is as it was.
    ///
    /// # Errors
    /// [`FileError`]: among others when the file has been changed meanwhile, when the owner cannot be kept, and when
    /// `serial_no` is no number.
    pub fn save(&mut self) -> Result<Saved, FileError> {
        if self.document.as_bytes() == self.on_disk {
            return Ok(Saved::Unchanged);
        }
        let mut counted = self.document.clone();
        let serial_no = count_up(&mut counted)?;
        let path = self.document.path();
        // Through links to the file itself, whose folder the new one has to be in.
        let target = fs::canonicalize(path).map_err(|source| failed(path, "find the file", source))?;
        let lock = lock(&target)?;
        self.is_as_read(&target)?;
        let old = lock.metadata().map_err(|source| failed(&target, "read the owner", source))?;
        replace(&target, &old, counted.as_bytes())?;
        self.on_disk = counted.as_bytes().to_owned();
        self.document = counted;
        sync_folder(&target)?;
        Ok(Saved::Written { serial_no })
    }

    fn is_as_read(&self, target: &Path) -> Result<(), FileError> {
        let now = load::read(target).map_err(|source| failed(target, "read", source))?;
        if now == self.on_disk {
            return Ok(());
        }
        let path = self.document.path().to_owned();
        Err(FileError::Changed { path, difference: difference(&self.on_disk, &now) })
    }
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> FileError {
    FileError::Io { path: path.to_owned(), action, source }
}

fn is_regular(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    if metadata.is_file() {
        return Ok(());
    }
    let reason = "not a regular file; only those can be edited".to_owned();
    Err(FileError::NotEditable { path: path.to_owned(), reason })
}

/// Counts `serial_no` up and says what it is then.
fn count_up(document: &mut Document) -> Result<u64, Refused> {
    let next = document.look(next_serial_no)?;
    let edit = Edit::set(Scope::global(), SERIAL_NO, [next.to_string()]);
    // The edits before this one have been checked; a broken draft may be saved as well.
    document.apply(&[edit], Policy::AllowErrors)?;
    Ok(next)
}

fn next_serial_no(tree: &Tree<'_>) -> Result<u64, Problem> {
    let Some(entry) = entries::given(tree, &tree.nodes, SERIAL_NO).next_back() else { return Ok(1) };
    let values: Vec<Token> = entry.values(tree.text).collect();
    let present = match &*values {
        [one] => value::number(one.text(tree.text)).and_then(|number| u64::try_from(number).ok()),
        _ => None,
    };
    present.and_then(|number| number.checked_add(1)).ok_or_else(|| {
        let place = values.first().map_or(entry.name.span(), |first| first.span());
        let found: Vec<&str> = values.iter().map(|value| value.text(tree.text)).collect();
        let message = format!("`{SERIAL_NO}` cannot be counted up from `{}`", shown(&found.join(" ")));
        Problem::error(Code::OutOfRange, place, message).help(format!("allowed: 0 to {}", u64::MAX - 1))
    })
}

/// Locks `target`, which still has its name.
fn lock(target: &Path) -> Result<Flock<File>, FileError> {
    let file = File::open(target).map_err(|source| failed(target, "open", source))?;
    let busy = || FileError::Busy { path: target.to_owned() };
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => busy(),
        other => failed(target, "lock", other.into()),
    })?;
    let locked = lock.metadata().map_err(|source| failed(target, "read the owner", source))?;
    let named = fs::metadata(target).map_err(|source| failed(target, "read the owner", source))?;
    is_regular(target, &named)?;
    // Replaced between opening and locking: the lock would be on what is no longer the file.
    if (locked.dev(), locked.ino()) == (named.dev(), named.ino()) { Ok(lock) } else { Err(busy()) }
}

/// Puts a new file with these bytes in the place of `target`.
fn replace(target: &Path, old: &Metadata, bytes: &[u8]) -> Result<(), FileError> {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".new");
    let fresh = target.with_file_name(name);
    // One that is there was left by a program that was killed: whoever makes one holds the lock.
    match fs::remove_file(&fresh) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(failed(&fresh, "remove what is left of an earlier attempt", source));
        }
        _ => {}
    }
    let result = write_new(&fresh, old, bytes)
        .and_then(|()| fs::rename(&fresh, target).map_err(|source| failed(target, "replace", source)));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&fresh);
    }
    result
}

fn write_new(fresh: &Path, old: &Metadata, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(fresh)
        .map_err(|source| failed(fresh, "create", source))?;
    let new = file.metadata().map_err(|source| failed(fresh, "read the owner", source))?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(&file, Some(old.uid()), Some(old.gid()))
            .map_err(|source| failed(fresh, "give it the owner of the old file", source))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
        .map_err(|source| failed(fresh, "give it the mode of the old file", source))?;
    file.write_all(bytes).map_err(|source| failed(fresh, "write", source))?;
    file.sync_all().map_err(|source| failed(fresh, "write to the disk", source))
}

/// Makes the new name last.
fn sync_folder(target: &Path) -> Result<(), FileError> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| failed(folder, "write the folder of the new file to the disk", source))
}

/// What was read and what is there now, at the first line that differs.
fn difference(read: &[u8], now: &[u8]) -> String {
    let (read, now) = (Decoded::new(read).text, Decoded::new(now).text);
    let (mut read_lines, mut now_lines) = (read.split('\n'), now.split('\n'));
    let told = |line: Option<&str>| line.map_or("nothing".to_owned(), |line| format!("`{}`", shown(line)));
    let mut number = 1;
    loop {
        match (read_lines.next(), now_lines.next()) {
            // Only bytes that are shown alike differ.
            (None, None) => return "bytes that are not UTF-8 differ".to_owned(),
            (read, now) if read == now => number += 1,
            (read, now) => return format!("line {number} was {}, is {}", told(read), told(now)),
        }
    }
}
