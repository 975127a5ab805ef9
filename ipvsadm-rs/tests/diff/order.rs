//! The order of requests, in examples.

use crate::tables::{lines, table};

#[test]
fn new_servers_come_first_then_quiet_ones_then_removals() {
    let before = table(&[(0, "1*1 2*1")]);
    let wanted = table(&[(0, "2*0 4*1")]);
    assert_eq!(
        lines(&before.diff(&wanted)),
        [
            "-a -t 10.1.0.100:80 -r 10.2.0.14:80 -m -w 1",
            "-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 0",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
        ]
    );
}

#[test]
fn a_service_that_moves_serves_at_its_new_place_before_it_leaves_the_old_one() {
    let before = table(&[(0, "1*1 2*2")]);
    let wanted = table(&[(1, "1*1 2*2")]);
    assert_eq!(
        lines(&before.diff(&wanted)),
        [
            "-A -t 10.1.0.101:80 -s wlc",
            "-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m -w 1",
            "-a -t 10.1.0.101:80 -r 10.2.0.12:80 -m -w 2",
            "-D -t 10.1.0.100:80",
        ]
    );
}

#[test]
fn a_server_that_moves_is_in_the_new_service_before_it_leaves_the_old_one() {
    // The service that gains it comes later in the table.
    let before = table(&[(0, "1*1 2*1"), (1, "4*1")]);
    let wanted = table(&[(0, "2*1"), (1, "1*1 4*1")]);
    assert_eq!(
        lines(&before.diff(&wanted)),
        ["-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m -w 1", "-d -t 10.1.0.100:80 -r 10.2.0.11:80"]
    );
}

#[test]
fn a_new_service_gets_first_who_serves() {
    assert_eq!(
        lines(&table(&[]).diff(&table(&[(0, "1*0 2*1"), (2, "")]))),
        [
            "-A -t 10.1.0.100:80 -s wlc",
            "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1",
            "-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 0",
            "-A -u 10.1.0.100:80 -s wlc",
        ]
    );
}

#[test]
fn a_thing_that_is_there_twice_is_changed_once() {
    let before = table(&[(0, "1*1 1*2"), (1, ""), (1, "2*1")]);
    let wanted = table(&[(0, "2*1 2*5"), (0, "4*1")]);
    assert_eq!(
        lines(&before.diff(&wanted)),
        [
            "-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1",
            "-d -t 10.1.0.100:80 -r 10.2.0.11:80",
            "-D -t 10.1.0.101:80",
        ]
    );
}
