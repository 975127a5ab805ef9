//! What the real servers of a virtual server amount to, beside what its quorum asks for. Pure counting; what follows is
//! decided elsewhere.

use lvs_config::model::Quorum;

/// The real servers of one virtual server, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Sum of the weights, as in the file and at least 1 each, of those that take connections.
    pub weight: u64,
    /// How many take connections.
    pub usable: usize,
    /// How many there are.
    pub all: usize,
    /// Whether the first check of one of them is waited for.
    pub awaited: bool,
}

impl Tally {
    /// Counts one more.
    pub(crate) fn count(&mut self, weight_in_file: u32, is_usable: bool, is_awaited: bool) {
        self.all += 1;
        self.awaited |= is_awaited;
        if is_usable {
            self.usable += 1;
            self.weight += u64::from(weight_in_file.max(1));
        }
    }

    /// Whether this is so little that the quorum is lost. Nobody is missed who is waited for.
    #[must_use]
    pub fn loses(&self, quorum: Quorum) -> bool {
        self.weight < lost_below(quorum) && !self.awaited
    }

    /// Whether this is enough to have the quorum back.
    #[must_use]
    pub fn gains(&self, quorum: Quorum) -> bool {
        self.weight >= gained_from(quorum)
    }
}

/// The quorum is lost when the weight is less than this.
#[must_use]
pub fn lost_below(quorum: Quorum) -> u64 {
    u64::from(quorum.weight.saturating_sub(quorum.hysteresis))
}

/// The quorum is back when the weight is this.
#[must_use]
pub fn gained_from(quorum: Quorum) -> u64 {
    u64::from(quorum.weight) + u64::from(quorum.hysteresis)
}
