//! Rounds: ours and the peer take turns, so that what disturbs the machine meanwhile disturbs both.

use std::time::Instant;

use anyhow::{Context as _, Result};

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The suite.
    Ours,
    /// What it is compared with.
    Peer,
}

impl Side {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Ours => Self::Peer,
            Self::Peer => Self::Ours,
        }
    }
}

/// Something of each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Both<T> {
    /// Of the suite.
    pub(crate) ours: T,
    /// Of what it is compared with.
    pub(crate) peer: T,
}

impl<T> Both<T> {
    /// That of one side.
    pub(crate) fn of(&self, side: Side) -> &T {
        match side {
            Side::Ours => &self.ours,
            Side::Peer => &self.peer,
        }
    }

    /// That of one side, to be changed.
    pub(crate) fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Ours => &mut self.ours,
            Side::Peer => &mut self.peer,
        }
    }
}

/// Does something as both sides in each of `rounds` rounds and returns what each round gave.
///
/// One round more, number 0, comes before them to warm up: memory, files and modules are fetched in it that later ones
/// find, and its result is thrown away. The sides take turns in being first. Each round is announced under the title.
///
/// # Errors
/// At the first failure; says in which round.
pub(crate) fn alternate<T>(
    title: &str,
    rounds: usize,
    mut once: impl FnMut(Side, usize) -> Result<T>,
) -> Result<Both<Vec<T>>> {
    let mut all = Both { ours: Vec::new(), peer: Vec::new() };
    let start = Instant::now();
    for round in 0..=rounds {
        println!("  {title}, {} ({:.1} s)", name(round, rounds), start.elapsed().as_secs_f64());
        let first = if round % 2 == 0 { Side::Ours } else { Side::Peer };
        for side in [first, first.other()] {
            let result = once(side, round).with_context(|| format!("{title}, {}", name(round, rounds)))?;
            if round > 0 {
                all.of_mut(side).push(result);
            }
        }
    }
    Ok(all)
}

fn name(round: usize, rounds: usize) -> String {
    if round == 0 { "warming up".to_owned() } else { format!("round {round} of {rounds}") }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_sides_take_turns_in_being_first_and_the_first_round_is_thrown_away() {
        let mut seen = Vec::new();
        let kept = alternate("sitting", 2, |side, round| {
            seen.push((side, round));
            Ok(round)
        });
        assert_eq!(kept.expect("rounds"), Both { ours: vec![1, 2], peer: vec![1, 2] });
        use Side::{Ours, Peer};
        assert_eq!(seen, [(Ours, 0), (Peer, 0), (Peer, 1), (Ours, 1), (Ours, 2), (Peer, 2)]);
    }

    #[test]
    fn a_failure_ends_the_rounds() {
        let mut done = 0;
        let failed = alternate("sitting", 5, |side, round| {
            done += 1;
            if (side, round) == (Side::Peer, 1) { bail!("it broke") } else { Ok(()) }
        });
        assert_eq!(format!("{:#}", failed.expect_err("failure")), "sitting, round 1 of 5: it broke");
        assert_eq!(done, 3);
    }
}
