//! Numbers of a newer kernel that have no name here.

/// A number that a newer kernel uses and this library has no name for.
///
/// Only what a kernel said is one: what can be asked for by name cannot be written down as a number too, so that equal
/// things are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foreign<N>(N);

impl<N: Copy> Foreign<N> {
    /// For the codec, which knows all names.
    pub(crate) fn new(number: N) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> N {
        self.0
    }
}
