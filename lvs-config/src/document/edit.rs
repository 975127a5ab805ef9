//! What can be done to a document.

use super::scope::Scope;
use super::splice::Splice;
use super::{blocks, entries};
use crate::diagnostic::Problem;
use crate::tree::Tree;

/// One change of a document, made by [`super::Document::apply`].
///
/// Values are tokens of the file without their quotes, so `address = 192.0.2.1 eth0:1` has two; quotes are put where they
/// are needed, and kept where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Gives `directive` these values in `scope`. Where it is given, the values on its line are replaced; else a line is added,
    /// after the directive that comes before it in the reference.
    Set {
        /// Where.
        scope: Scope,
        /// Which.
        directive: String,
        /// Its values.
        values: Vec<String>,
    },
    /// Takes `directive` away from `scope`, wherever it is given there. Not given, nothing changes.
    Unset {
        /// Where.
        scope: Scope,
        /// Which.
        directive: String,
    },
    /// Adds a block after the last of its kind, with these directives.
    Add {
        /// The block; its last name must be new there.
        block: Scope,
        /// Directives and their values.
        entries: Vec<(String, Vec<String>)>,
    },
    /// Removes a block, with the comment lines directly above it.
    Remove {
        /// The block.
        block: Scope,
    },
    /// Renames a block.
    Rename {
        /// The block by its present name.
        block: Scope,
        /// Its new name, which must be new there.
        name: String,
    },
    /// Moves a block, with the comment lines directly above it, to another place among the blocks around it.
    Move {
        /// The block.
        block: Scope,
        /// The block before which it will stand, in the same place of the file; `None`: after the last one.
        before: Option<Scope>,
    },
}

impl Edit {
    /// [`Edit::Set`].
    pub fn set<V: Into<String>>(
        scope: Scope,
        directive: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self::Set { scope, directive: directive.into(), values }
    }

    /// [`Edit::Unset`].
    pub fn unset(scope: Scope, directive: impl Into<String>) -> Self {
        Self::Unset { scope, directive: directive.into() }
    }

    /// What it takes to make this change in `tree`; nothing when it is so already.
    pub(super) fn plan<'s>(&'s self, tree: &'s Tree<'_>) -> Result<Vec<Splice<'s>>, Problem> {
        match self {
            Self::Set { scope, directive, values } => entries::set(tree, scope, directive, values),
            Self::Unset { scope, directive } => entries::unset(tree, scope, directive),
            Self::Add { block, entries } => blocks::add(tree, block, entries),
            Self::Remove { block } => blocks::remove(tree, block),
            Self::Rename { block, name } => blocks::rename(tree, block, name),
            Self::Move { block, before } => blocks::shift(tree, block, before.as_ref()),
        }
    }
}
