//! Numbers that nobody on the network can guess.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A number that does not follow from those before it.
///
/// The standard library keys its hash tables with numbers of the kernel's generator so that nobody can foresee a hash: the
/// hash of nothing is all that is needed here. It takes a system call for the first number of a thread only.
#[must_use]
pub fn number() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_in_all_their_bits() {
        let numbers: Vec<u64> = (0..64).map(|_| number()).collect();
        assert_eq!(numbers.iter().fold(0, |all, number| all | number), u64::MAX);
        assert_eq!(numbers.iter().fold(u64::MAX, |all, number| all & number), 0);
    }
}
