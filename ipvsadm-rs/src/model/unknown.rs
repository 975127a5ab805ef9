//! What a newer kernel says of a service or a destination beyond what this library knows.

/// Attributes whose meaning is unknown, as they came.
///
/// They are part of [`crate::Service`] and [`crate::Destination`], so that a table that was read and is written
/// again, or a service that is changed, keeps what the kernel keeps there. What is made anew has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct UnknownAttributes(Box<[(u16, Box<[u8]>)]>);

impl UnknownAttributes {
    /// From numbers and bytes, in the kernel's order.
    #[must_use]
    pub fn new(attributes: Vec<(u16, Vec<u8>)>) -> Self {
        Self(attributes.into_iter().map(|(number, bytes)| (number, bytes.into_boxed_slice())).collect())
    }

    /// Whether there are none, as is the case where kernel and library are of one age.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of each (with the flag bits it came with) and its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &[u8])> {
        self.0.iter().map(|(number, bytes)| (*number, &**bytes))
    }
}
