//! The tables of the benchmark `ipvs`, as rules that `ipvsadm -R` reads. Pure.

use std::fmt::Write as _;

use super::super::size::Size;

/// The first service of every table.
pub(crate) const FIRST_SERVICE: &str = "10.1.0.1:80";
/// Its first real server.
pub(crate) const FIRST_SERVER: &str = "10.9.0.1:80";
/// A weight that no rule gives.
pub(crate) const NEW_WEIGHT: i32 = 777;
/// Arguments that give it to the first real server.
pub(crate) const CHANGE: &[&str] = &["-e", "-t", FIRST_SERVICE, "-r", FIRST_SERVER, "-m", "-w", "777"];

/// The rules: TCP services under `wlc` whose real servers are reached by NAT and have different weights. A real server
/// has several services, as real ones do.
pub(crate) fn rules(size: Size) -> String {
    let mut text = String::new();
    for n in 0..size.services {
        let service = format!("10.1.{}.{}:80", n / 250, n % 250 + 1);
        // Writing to a string does not fail.
        let _ = writeln!(text, "-A -t {service} -s wlc");
        for server in 0..size.servers {
            let at = format!("10.9.{server}.{}:80", n % 200 + 1);
            let _ = writeln!(text, "-a -t {service} -r {at} -m -w {}", server + 1);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_is_one_rule_for_each_service_and_real_server_and_none_twice() {
        let size = Size::new(1000, 50);
        let rules = rules(size);
        let lines: BTreeSet<&str> = rules.lines().collect();
        assert_eq!((lines.len(), rules.lines().count(), size.rows()), (51_000, 51_000, 51_000));
    }

    #[test]
    fn rules_are_written_as_ipvsadm_saves_them() {
        assert_eq!(
            rules(Size::new(1, 2)),
            "-A -t 10.1.0.1:80 -s wlc\n\
             -a -t 10.1.0.1:80 -r 10.9.0.1:80 -m -w 1\n\
             -a -t 10.1.0.1:80 -r 10.9.1.1:80 -m -w 2\n"
        );
    }

    #[test]
    fn the_changed_row_is_in_every_table_with_another_weight() {
        let rule = format!("-a -t {FIRST_SERVICE} -r {FIRST_SERVER} -m -w 1\n");
        assert!(rules(Size::new(1, 1)).ends_with(&rule));
        assert_eq!(CHANGE.last().map(|word| (*word).to_owned()), Some(NEW_WEIGHT.to_string()));
        assert!(!rules(Size::new(1, 50)).contains(&format!("-w {NEW_WEIGHT}\n")));
    }
}
