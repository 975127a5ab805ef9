//! Whether a tool did what it was measured doing: comparisons with the rules, and of the two tools with each other.
//!
//! What the kernel holds is read from `/proc`, not from either tool.

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    super::size::Size,
    rules::{FIRST_SERVER, FIRST_SERVICE, NEW_WEIGHT},
};
use crate::{Host, Match};

/// Lines above the first service in a listing of all: the version, and the names of the columns of services and servers.
const HEADING: usize = 3;
/// Lines above the service in a listing of one, which does not tell the version.
const HEADING_OF_ONE: usize = 2;

/// What must hold after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// The kernel has all services and real servers.
    Filled,
    /// The output has the rules' lines, in whatever order.
    Saved,
    /// The output has a line for each service and real server.
    Listed,
    /// The output has a line for one service and each of its real servers.
    ListedOne,
    /// The first real server has its new weight.
    Changed,
    /// The kernel has nothing.
    Cleared,
}

impl Check {
    /// Checks the host's table and what the tool has printed.
    pub(crate) fn check(self, host: &Host, size: Size, rules: &str, output: &str) -> Result<()> {
        match self {
            Self::Filled => holds(host, usize::from(size.services), size.all_servers()),
            Self::Saved => {
                same(&sorted(rules), &sorted(output)).context("the saved rules are not the restored")
            }
            Self::Listed => has_lines(output, HEADING + size.rows()),
            Self::ListedOne => has_lines(output, HEADING_OF_ONE + 1 + usize::from(size.servers)),
            Self::Changed => has_new_weight(host),
            Self::Cleared => holds(host, 0, 0),
        }
    }
}

fn holds(host: &Host, services: usize, servers: usize) -> Result<()> {
    let table = host.ipvs_table()?;
    let found = (table.len(), table.iter().map(|service| service.destinations.len()).sum::<usize>());
    ensure!(
        found == (services, servers),
        "the kernel has {} services and {} real servers, not {services} and {servers}",
        found.0,
        found.1
    );
    Ok(())
}

fn has_new_weight(host: &Host) -> Result<()> {
    let (service, server) = (Match::Tcp(FIRST_SERVICE.parse()?), FIRST_SERVER.parse()?);
    let table = host.ipvs_table()?;
    let found = table.iter().find(|row| row.matches == service).and_then(|row| row.destination(server));
    let weight = found.map(|destination| destination.weight);
    ensure!(weight == Some(NEW_WEIGHT), "{FIRST_SERVER} has weight {weight:?}, not {NEW_WEIGHT}");
    Ok(())
}

fn has_lines(output: &str, wanted: usize) -> Result<()> {
    let found = output.lines().count();
    ensure!(found == wanted, "it printed {found} lines, not {wanted}");
    Ok(())
}

fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Whether two texts are the same, byte for byte; shows the first lines that differ.
pub(crate) fn same(one: &str, other: &str) -> Result<()> {
    if one == other {
        return Ok(());
    }
    let (mut left, mut right) = (one.split('\n'), other.split('\n'));
    for number in 1.. {
        let lines = (left.next(), right.next());
        if lines.0 != lines.1 || lines == (None, None) {
            let shown = |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("{line:?}"));
            bail!("line {number} is {} in one and {} in the other", shown(lines.0), shown(lines.1));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_that_differ_are_shown() {
        let failure = |one, other| same(one, other).expect_err("they differ").to_string();
        assert_eq!(failure("a\nb\n", "a\nc\n"), r#"line 2 is "b" in one and "c" in the other"#);
        assert_eq!(failure("a\nb", "a"), r#"line 2 is "b" in one and the end in the other"#);
        assert_eq!(failure("a\n", "a"), r#"line 2 is "" in one and the end in the other"#);
        assert!(same("a\nb\n", "a\nb\n").is_ok());
    }

    #[test]
    fn the_order_of_lines_does_not_matter_but_their_number_does() {
        assert!(same(&sorted("b\na\n"), &sorted("a\nb\n")).is_ok());
        assert!(same(&sorted("b\na\na\n"), &sorted("a\nb\n")).is_err());
    }

    #[test]
    fn a_listing_that_lacks_a_line_is_found() {
        assert!(has_lines("1\n2\n3\n", 3).is_ok());
        assert_eq!(has_lines("1\n2\n", 3).expect_err("short").to_string(), "it printed 2 lines, not 3");
    }
}
