//! How what is not wanted leaves.

use ipvsadm::{Planner, Removal, Request, Table};

use crate::tables::{lines, table};

fn gently(actual: &Table, wanted: &Table) -> Vec<Request> {
    Planner::new().removal(Removal::QuiesceFirst).plan(actual, wanted.rows())
}

/// Sets the connections of the first destination of the first service.
fn connections(table: &mut Table, active: u32, inactive: u32) {
    let row = &mut table.services[0].destinations[0];
    (row.active_connections, row.inactive_connections) = (active, inactive);
}

#[test]
fn a_server_with_connections_is_quiesced_and_leaves_with_the_last_of_them() {
    let mut actual = table(&[(0, "1*5 2*1")]);
    let wanted = table(&[(0, "2*1 4*1")]);
    connections(&mut actual, 3, 0);
    let first = gently(&actual, &wanted);
    assert_eq!(
        lines(&first),
        ["-a -t 10.1.0.100:80 -r 10.2.0.14:80 -m -w 1", "-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0"]
    );
    actual.apply(&first);
    assert_eq!(gently(&actual, &wanted), []);
    connections(&mut actual, 0, 1);
    assert_eq!(gently(&actual, &wanted), []);
    // A client that is remembered has no connection that could break.
    connections(&mut actual, 0, 0);
    actual.services[0].destinations[0].persistent_connections = 1;
    assert_eq!(lines(&gently(&actual, &wanted)), ["-d -t 10.1.0.100:80 -r 10.2.0.11:80"]);
    // Only the plain difference tells whether all is done.
    assert_eq!(lines(&actual.diff(&wanted)), ["-d -t 10.1.0.100:80 -r 10.2.0.11:80"]);
}

#[test]
fn a_server_without_connections_is_quiesced_too_because_one_may_come_meanwhile() {
    let mut actual = table(&[(0, "1*1 2*1")]);
    let wanted = table(&[(0, "2*1")]);
    let first = gently(&actual, &wanted);
    assert_eq!(lines(&first), ["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0"]);
    actual.apply(&first);
    assert_eq!(lines(&gently(&actual, &wanted)), ["-d -t 10.1.0.100:80 -r 10.2.0.11:80"]);
}

#[test]
fn a_service_leaves_when_none_of_its_servers_has_a_connection() {
    let mut actual = table(&[(0, "1*1 2*0 4*2")]);
    connections(&mut actual, 1, 0);
    let first = gently(&actual, &Table::default());
    assert_eq!(
        lines(&first),
        ["-e -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0", "-e -t 10.1.0.100:80 -r 10.2.0.14:80 -m -w 0"]
    );
    actual.apply(&first);
    assert_eq!(gently(&actual, &Table::default()), []);
    connections(&mut actual, 0, 0);
    assert_eq!(lines(&gently(&actual, &Table::default())), ["-D -t 10.1.0.100:80"]);
    assert_eq!(lines(&gently(&table(&[(0, "")]), &Table::default())), ["-D -t 10.1.0.100:80"]);
}
