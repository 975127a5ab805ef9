//! Reading a file of configuration: the only input of this crate besides names.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::files::SystemFiles;
use crate::model::Config;
use crate::names::SystemNames;
use crate::{MAX_FILE, parse_with_files};

/// The file of this suite, which is read where there is one.
pub const OWN_FILE: &str = "/etc/lvs-router/lvs.cf";
/// The file of the original, which is read otherwise.
pub const ORIGINAL_FILE: &str = "/etc/sysconfig/ha/lvs.cf";

/// The file to read when none is named.
#[must_use]
pub fn default_file() -> PathBuf {
    let own = Path::new(OWN_FILE);
    if own.exists() { own } else { Path::new(ORIGINAL_FILE) }.to_owned()
}

/// A configuration that was read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What the file says.
    pub config: Config,
    /// What is odd in it without being wrong.
    pub warnings: Vec<Diagnostic>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is wrong: at least one of the diagnostics is an error. Displayed as their one-line forms.
    #[error("{}", lines(path, diagnostics))]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What is wrong or odd in it, in the order of the text.
        diagnostics: Vec<Diagnostic>,
    },
}

/// Reads and checks the file `path`. Names in it are resolved by the system.
///
/// # Errors
/// [`LoadError`], which names the file and, where it is wrong, every place.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text = read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let parsed = parse_with_files(&text, path, &SystemNames, &SystemFiles);
    match parsed.config {
        Some(config) => Ok(Loaded { config, warnings: parsed.diagnostics }),
        None => Err(LoadError::Invalid { path: path.to_owned(), diagnostics: parsed.diagnostics }),
    }
}

/// The bytes of the file; of one that is too large, enough for `parse` to see that.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // A guess only: what is no regular file has another length than it says.
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(MAX_FILE).min(MAX_FILE);
    let mut text = Vec::with_capacity(length + 1);
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}

pub(crate) fn lines(path: &Path, diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        let separator = if at == 0 { "" } else { "\n" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{}", diagnostic.one_line(path));
    }
    text
}
