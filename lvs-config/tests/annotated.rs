//! How diagnostics look on a terminal.

mod common;

use common::Table;
use insta::assert_snapshot;
use lvs_config::parse;

fn annotated(text: &str) -> String {
    let all: Vec<String> =
        parse(text, &Table).diagnostics.iter().map(|d| d.annotated("lvs.cf".as_ref(), false)).collect();
    all.join("\n\n")
}

#[test]
fn a_misspelt_directive_is_underlined_with_a_suggestion() {
    assert_snapshot!(annotated("primary = 192.0.2.2\ndeadtme = 6\n"), @r"
    error[unknown-directive]: unknown directive `deadtme`
     --> lvs.cf:2:1
      |
    2 | deadtme = 6
      | ^^^^^^^
      |
      = help: did you mean `deadtime`?
    ");
}

#[test]
fn a_value_out_of_range_is_underlined_with_what_is_allowed() {
    assert_snapshot!(annotated("primary = 192.0.2.2\nvirtual web {\n\taddress = 192.0.2.10 eth0:1\n\tport = 70000 # high\n}\n"), @r"
    error[out-of-range]: `port` cannot be `70000`
     --> lvs.cf:4:9
      |
    4 |     port = 70000 # high
      |            ^^^^^
      |
      = help: allowed: 1 to 65535, or the name of a service
    ");
}

#[test]
fn a_duplicate_shows_the_first_definition() {
    let block = "virtual web {\n    active = 1\n    address = 192.0.2.10 eth0:1\n    server one {\n        active = 1\n        address = 10.0.0.1\n    }\n}\n";
    assert_snapshot!(annotated(&format!("primary = 192.0.2.2\n{block}{block}")), @r"
    error[conflict]: another active virtual server has 192.0.2.10, port 80, tcp
      --> lvs.cf:12:15
       |
    12 |     address = 192.0.2.10 eth0:1
       |               ^^^^^^^^^^
       |
    note: first given
      --> lvs.cf:4:15
       |
     4 |     address = 192.0.2.10 eth0:1
       |               ^^^^^^^^^^
    ");
}

#[test]
fn wide_characters_and_missing_ends_do_not_confuse_it() {
    assert_snapshot!(annotated("primary = 192.0.2.2\nactive_cmd = \"/bin/grüße ünïcödé\" über"), @r#"
    error[value-count]: `active_cmd` takes one value; `über` is too much
     --> lvs.cf:2:35
      |
    2 | active_cmd = "/bin/grüße ünïcödé" über
      |                                   ^^^^
      |
      = help: allowed: a command; a value with blanks needs quotes
    "#);
}

#[test]
fn what_is_missing_is_shown_at_the_start() {
    assert_snapshot!(annotated(""), @r"
    error[missing]: `primary` is missing
     --> lvs.cf:1:1
      |
    1 |
      | ^
      |
      = help: write `primary = ADDRESS`, the public address of the primary router
    ");
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let parsed = parse("primary = 192.0.2.2\ndeadtme = 6\n", &Table);
    let path = "lvs.cf".as_ref();
    assert!(!parsed.diagnostics[0].annotated(path, false).contains('\u{1b}'));
    assert!(parsed.diagnostics[0].annotated(path, true).contains('\u{1b}'));
}
