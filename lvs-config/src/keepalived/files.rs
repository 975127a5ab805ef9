//! The files that an `include` of keepalived means: wildcards may be in any part of a path.

use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

use crate::files::Files;

/// As a shell matches names.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
/// Most paths that are looked at for one pattern.
const MOST: usize = 100_000;

/// The files that `pattern` means, sorted. A path without wildcards is meant whether it is there or not.
pub(super) fn matching(files: &dyn Files, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        let wanted = match component {
            Component::Normal(name) => name.to_str().filter(|name| name.contains(['*', '?', '['])),
            _ => None,
        };
        match wanted.and_then(|name| Pattern::new(name).ok()) {
            Some(pattern) => {
                found = found.iter().flat_map(|folder| within(files, folder, &pattern)).take(MOST).collect();
            }
            None => found.iter_mut().for_each(|path| path.push(component)),
        }
    }
    found.sort();
    found
}

/// What in `folder` has a name as `pattern` says.
fn within(files: &dyn Files, folder: &Path, pattern: &Pattern) -> Vec<PathBuf> {
    let names = files.names(folder).unwrap_or_default();
    let is_meant = |name: &std::ffi::OsString| pattern.matches_with(&name.to_string_lossy(), OPTIONS);
    names.into_iter().filter(is_meant).map(|name| folder.join(name)).collect()
}
