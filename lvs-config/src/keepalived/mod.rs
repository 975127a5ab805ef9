//! The load balancing of a `keepalived.conf` as an `lvs.cf`, and what of it could not be carried.
//!
//! The way of a file: includes, definitions, conditions and sequences become plain lines that know where they come from
//! (`source.rs`, `expand.rs`), lines become words (`words.rs`), words become nested blocks (`tree.rs`). Of those, the
//! virtual servers are understood (`service.rs`, `server.rs`, `check.rs`, `group.rs`), and as much of the routers as
//! `lvs.cf` has a place for (`routers.rs`). What came out is written as an `lvs.cf` (`output.rs`).
//!
//! Nothing that stands in the source is dropped silently: what has no equivalent is a comment `# not carried: …` at its
//! place in the result, and a [`Left`]. What `lvs.cf` needs and the source does not say is left blank in the result, so
//! that the check of the result names it, and is a [`Blank`].
//!
//! There is no I/O except through [`Files`].

mod check;
mod expand;
mod files;
mod group;
mod notes;
mod output;
mod routers;
mod server;
mod service;
mod source;
mod timing;
mod tree;
mod values;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use crate::files::Files;
use notes::Notes;
use output::Output;
use routers::Routers;
use source::Origins;

/// Most virtual servers that the groups and ranges of a file may become.
const MAX_SERVICES: usize = 65_536;

/// What became of a `keepalived.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The `lvs.cf`.
    pub text: String,
    /// What could not be carried, in the order of the source.
    pub left: Vec<Left>,
    /// What must be filled in before the result can be used, in its order.
    pub blanks: Vec<Blank>,
}

/// Something in the source that has no equivalent, or whose equivalent is not quite the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The file that it stands in.
    pub file: PathBuf,
    /// Its line, counted from 1.
    pub line: u32,
    /// What it is, and why.
    pub message: String,
}

/// A value that the source does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blank {
    /// Line of the result, counted from 1.
    pub line: u32,
    /// What has to be written there.
    pub message: String,
}

/// Converts the file `path`, which `files` holds. Lines that begin with `@id` count when `id` is `config_id`.
///
/// # Errors
/// When the file cannot be read. An included file that cannot be read is a [`Left`].
pub fn convert(path: &Path, files: &dyn Files, config_id: &str) -> io::Result<Conversion> {
    let mut origins = Origins::default();
    let mut notes = Notes::default();
    let lines = source::read(path, files, config_id, &mut origins, &mut notes)?;
    let nodes = tree::read(lines, &mut notes);
    let mut routers = Routers::read(&nodes, &mut notes);
    let services = service::all(&nodes, &mut notes);
    routers.fit(&services, &mut notes);
    let mut output = Output::new(&origins);
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    routers.write(&name, &mut output);
    for service in &services {
        service.write(&routers, &mut output);
    }
    let (text, blanks) = output.finish();
    Ok(Conversion { text, left: notes.finish(&origins), blanks })
}
