//! Editing a document: what it does to the bytes, and what it says when it refuses.

mod common;

use common::Table;
use insta::assert_snapshot;
use lvs_config::{Document, Edit, Policy, Scope};

const PAIR: &str = "\
# site A
serial_no = 4
primary = 192.0.2.2 # the old machine

# Heartbeats.
keepalive = 2
deadtime = 6

# The shop.
virtual web {
\tactive = 1
\taddress\t= 192.0.2.10 eth0:1
\tscheduler = 'wrr' # weights below

\t# in the cellar
\tserver one {
\t\taddress = 192.0.2.21
\t\tactive = 1
\t}
\tserver two {
\t\taddress = 192.0.2.22
\t\tactive = 1
\t}
}

virtual mail {
\tactive = 1
\taddress = 192.0.2.11 eth0:2
\tport = 25
\tserver one {
\t\taddress = 192.0.2.21
\t\tactive = 1
\t}
}
";

fn web() -> Scope {
    Scope::virtual_server("web")
}

fn mail() -> Scope {
    Scope::virtual_server("mail")
}

fn applied(text: &str, edits: &[Edit]) -> String {
    let mut document = Document::new("lvs.cf", text);
    document.apply(edits, Policy::NoNewErrors(&Table)).unwrap_or_else(|refused| panic!("{refused}"));
    String::from_utf8(document.as_bytes().to_owned()).expect("the edits are text")
}

/// What is said of refused edits, which change nothing.
fn refused(text: impl AsRef<[u8]>, edits: &[Edit]) -> String {
    let mut document = Document::new("lvs.cf", text.as_ref());
    let refused = document.apply(edits, Policy::NoNewErrors(&Table)).expect_err("these are refused");
    assert_eq!(document.as_bytes(), text.as_ref());
    refused.to_string()
}

/// The lines that differ, `-` before and `+` after, as a list of the whole lines would show them.
fn changes(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) =
        (before.split_inclusive('\n').collect(), after.split_inclusive('\n').collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let list =
        |sign: char, lines: &[&str]| lines.iter().map(|line| format!("{sign}{line:?}\n")).collect::<String>();
    list('-', &old[head..old.len() - tail]) + &list('+', &new[head..new.len() - tail])
}

fn edit(edit: Edit) -> String {
    changes(PAIR, &applied(PAIR, &[edit]))
}

#[test]
fn a_value_is_replaced_between_its_blanks_and_before_its_comment() {
    assert_eq!(
        edit(Edit::set(Scope::global(), "primary", ["192.0.2.4"])),
        "-\"primary = 192.0.2.2 # the old machine\\n\"\n+\"primary = 192.0.2.4 # the old machine\\n\"\n"
    );
    assert_eq!(
        edit(Edit::set(web(), "address", ["192.0.2.12", "eth1:7"])),
        "-\"\\taddress\\t= 192.0.2.10 eth0:1\\n\"\n+\"\\taddress\\t= 192.0.2.12 eth1:7\\n\"\n"
    );
}

#[test]
fn the_quotes_of_a_value_stay() {
    assert_eq!(
        edit(Edit::set(web(), "scheduler", ["rr"])),
        "-\"\\tscheduler = 'wrr' # weights below\\n\"\n+\"\\tscheduler = 'rr' # weights below\\n\"\n"
    );
}

#[test]
fn quotes_are_chosen_as_the_value_needs_them() {
    assert_eq!(
        edit(Edit::set(mail(), "send", [r#"say "hi" \r\n"#])),
        "+\"\\tsend = 'say \\\"hi\\\" \\\\r\\\\n'\\n\"\n"
    );
    assert_eq!(edit(Edit::set(mail(), "expect", ["it's"])), "+\"\\texpect = \\\"it's\\\"\\n\"\n");
}

#[test]
fn a_new_directive_stands_where_the_reference_has_it_and_looks_like_its_neighbour() {
    assert_snapshot!(edit(Edit::set(Scope::global(), "heartbeat_port", ["1050"])), @r#"+"heartbeat_port = 1050\n""#);
    let text = applied(PAIR, &[Edit::set(Scope::global(), "heartbeat_port", ["1050"])]);
    assert!(text.contains("# the old machine\nheartbeat_port = 1050\n"), "{text}");
    let text = applied(PAIR, &[Edit::set(web(), "port", ["8080"])]);
    assert!(text.contains("eth0:1\n\tport\t= 8080\n\tscheduler"), "{text}");
    let text = applied(PAIR, &[Edit::set(web().server("two"), "weight", ["3"])]);
    assert!(text.contains("22\n\t\tactive = 1\n\t\tweight = 3\n\t}\n}"), "{text}");
}

#[test]
fn columns_of_equals_signs_go_on() {
    let text = "primary        = 192.0.2.2\nheartbeat_port = 540\n";
    assert_eq!(
        changes(text, &applied(text, &[Edit::set(Scope::global(), "keepalive", ["1"])])),
        "+\"keepalive = 1\\n\"\n"
    );
    let text = "heartbeat_port = 540\nprimary        = 192.0.2.2\n";
    assert_eq!(
        changes(text, &applied(text, &[Edit::set(Scope::global(), "service", ["lvs"])])),
        "+\"service        = lvs\\n\"\n"
    );
}

#[test]
fn a_directive_goes_with_its_line_only() {
    assert_eq!(edit(Edit::unset(Scope::global(), "keepalive")), "-\"keepalive = 2\\n\"\n");
    assert_eq!(edit(Edit::unset(web(), "scheduler")), "-\"\\tscheduler = 'wrr' # weights below\\n\"\n");
    assert_eq!(edit(Edit::unset(web(), "port")), "");
}

#[test]
fn of_a_directive_given_twice_the_last_is_set_and_all_are_unset() {
    let text = "primary = 192.0.2.2\ndeadtime = 6\nkeepalive = 2\ndeadtime = 7\n";
    let set = applied(text, &[Edit::set(Scope::global(), "deadtime", ["8"])]);
    assert_eq!(changes(text, &set), "-\"deadtime = 7\\n\"\n+\"deadtime = 8\\n\"\n");
    assert_eq!(
        applied(text, &[Edit::unset(Scope::global(), "deadtime")]),
        "primary = 192.0.2.2\nkeepalive = 2\n"
    );
    let document = Document::new("lvs.cf", text);
    assert_eq!(document.get(&Scope::global(), "deadtime").unwrap().unwrap(), ["7"]);
}

#[test]
fn a_server_is_added_like_the_last_one() {
    let entries = vec![("address".to_owned(), vec!["192.0.2.23".to_owned()])];
    let text = applied(PAIR, &[Edit::Add { block: web().server("three"), entries }]);
    assert_eq!(
        changes(PAIR, &text),
        "+\"\\tserver three {\\n\"\n+\"\\t\\taddress = 192.0.2.23\\n\"\n+\"\\t}\\n\"\n"
    );
    assert!(text.contains("\t}\n\tserver three {"), "{text}");
}

#[test]
fn a_virtual_server_is_added_after_the_last_one_and_set_apart() {
    let entries = vec![("address".to_owned(), vec!["192.0.2.12".to_owned(), "eth0:3".to_owned()])];
    let text = applied(
        PAIR,
        &[
            Edit::Add { block: Scope::virtual_server("two words"), entries },
            Edit::Add { block: Scope::virtual_server("two words").server("one"), entries: Vec::new() },
        ],
    );
    assert_eq!(
        text.strip_prefix(PAIR).unwrap(),
        "\nvirtual \"two words\" {\n\taddress = 192.0.2.12 eth0:3\n\tserver one {\n\t}\n}\n"
    );
}

#[test]
fn a_block_goes_with_its_comment_and_the_blank_line_that_set_it_apart() {
    let text = applied(PAIR, &[Edit::Remove { block: web() }]);
    assert!(text.contains("deadtime = 6\n\nvirtual mail {"), "{text}");
    assert!(!text.contains("shop"), "{text}");
    let text = applied(PAIR, &[Edit::Remove { block: web().server("one") }]);
    assert!(text.contains("# weights below\n\n\tserver two {"), "{text}");
}

#[test]
fn the_comment_at_the_top_of_a_file_stays() {
    let text = "# site A\nvirtual a {\n}\n\nvirtual b {\n}\n";
    assert_eq!(
        applied(text, &[Edit::Remove { block: Scope::virtual_server("a") }]),
        "# site A\n\nvirtual b {\n}\n"
    );
}

#[test]
fn a_block_is_renamed_in_its_place() {
    assert_eq!(
        edit(Edit::Rename { block: web().server("two"), name: "three".to_owned() }),
        "-\"\\tserver two {\\n\"\n+\"\\tserver three {\\n\"\n"
    );
    assert_eq!(edit(Edit::Rename { block: web(), name: "web".to_owned() }), "");
}

#[test]
fn a_block_moves_with_its_comment() {
    let text = applied(PAIR, &[Edit::Move { block: mail(), before: Some(web()) }]);
    assert!(text.contains("deadtime = 6\n\nvirtual mail {"), "{text}");
    assert!(text.contains("\t}\n}\n\n# The shop.\nvirtual web {"), "{text}");
    assert_eq!(applied(&text, &[Edit::Move { block: mail(), before: None }]), PAIR);
    let text = applied(PAIR, &[Edit::Move { block: web().server("one"), before: None }]);
    assert!(text.contains("below\n\n\tserver two {\n\t\taddress = 192.0.2.22\n\t\tactive = 1\n\t}\n\t# in the cellar\n\tserver one {"), "{text}");
    assert_eq!(edit(Edit::Move { block: web(), before: Some(mail()) }), "");
}

#[test]
fn line_ends_and_a_missing_last_one_stay() {
    let text = "primary = 192.0.2.2\r\nvirtual a {\r\n}";
    let add = Edit::Add { block: Scope::virtual_server("b"), entries: Vec::new() };
    let both = applied(text, &[add]);
    assert_eq!(both, "primary = 192.0.2.2\r\nvirtual a {\r\n}\r\n\r\nvirtual b {\r\n}");
    assert_eq!(applied(&both, &[Edit::Remove { block: Scope::virtual_server("b") }]), text);
    assert_eq!(
        applied("primary = 192.0.2.2", &[Edit::set(Scope::global(), "keepalive", ["1"])]),
        "primary = 192.0.2.2\nkeepalive = 1"
    );
}

#[test]
fn a_line_that_holds_more_is_broken_up_as_far_as_needed() {
    let text = "primary = 192.0.2.2\nvirtual a {\n  address = 192.0.2.9 eth0\n  server s { address = 10.0.0.1 }\n}\n";
    let server = Scope::virtual_server("a").server("s");
    assert_eq!(
        changes(text, &applied(text, &[Edit::set(server.clone(), "weight", ["2"])])),
        "-\"  server s { address = 10.0.0.1 }\\n\"\n+\"  server s { address = 10.0.0.1\\n\"\n+\"    weight = 2\\n\"\n+\"  }\\n\"\n"
    );
    assert_eq!(
        changes(text, &applied(text, &[Edit::unset(server.clone(), "address")])),
        "-\"  server s { address = 10.0.0.1 }\\n\"\n+\"  server s { }\\n\"\n"
    );
    assert_eq!(
        changes(text, &applied(text, &[Edit::Remove { block: server }])),
        "-\"  server s { address = 10.0.0.1 }\\n\"\n"
    );
}

#[test]
fn bytes_that_are_not_text_stay_where_they_are() {
    let text = b"\xef\xbb\xbf# caf\xe9 \xff\xfe\nprimary = 192.0.2.2 # \xe4\nkeepalive = 2\n";
    let mut document = Document::new("lvs.cf", text);
    document.apply(&[Edit::set(Scope::global(), "keepalive", ["1"])], Policy::NoNewErrors(&Table)).unwrap();
    assert_eq!(
        document.as_bytes(),
        b"\xef\xbb\xbf# caf\xe9 \xff\xfe\nprimary = 192.0.2.2 # \xe4\nkeepalive = 1\n"
    );
}

#[test]
fn a_broken_file_is_repaired_step_by_step() {
    let text = "primary 192.0.2.2\nkeepalive = \"2\ndeadtime = soon\n";
    let text = applied(text, &[Edit::set(Scope::global(), "deadtime", ["6"])]);
    let text = applied(&text, &[Edit::set(Scope::global(), "primary", ["192.0.2.2"])]);
    let text = applied(&text, &[Edit::set(Scope::global(), "keepalive", ["2"])]);
    assert_eq!(text, "primary = 192.0.2.2\nkeepalive = 2\ndeadtime = 6\n");
}

#[test]
fn edits_that_are_valid_only_together_are_made_together() {
    let both =
        [Edit::set(Scope::global(), "keepalive", ["10"]), Edit::set(Scope::global(), "deadtime", ["30"])];
    applied(PAIR, &both);
    assert_eq!(
        refused(PAIR, &both[..1]),
        "lvs.cf:7:12: error: `deadtime` (6) is not longer than `keepalive` (10); allowed: more than `keepalive`; \
         three times it is usual"
    );
}

#[test]
fn what_the_parser_refuses_is_refused_in_its_words() {
    assert_eq!(
        refused(PAIR, &[Edit::set(Scope::global(), "deadtme", ["6"])]),
        "lvs.cf:8:1: error: unknown directive `deadtme`; did you mean `deadtime`?"
    );
    assert_eq!(
        refused(PAIR, &[Edit::set(mail(), "port", ["70000"])]),
        "lvs.cf:29:9: error: `port` cannot be `70000`; allowed: 1 to 65535, or the name of a service"
    );
    assert_eq!(
        refused(PAIR, &[Edit::unset(Scope::global(), "primary")]),
        "lvs.cf:1:1: error: `primary` is missing; write `primary = ADDRESS`, the public address of the primary router"
    );
}

#[test]
fn a_draft_may_be_invalid() {
    let mut document = Document::new("lvs.cf", PAIR);
    document.apply(&[Edit::unset(Scope::global(), "primary")], Policy::AllowErrors).unwrap();
    assert!(!String::from_utf8_lossy(document.as_bytes()).contains("primary"));
    assert_eq!(document.parse(&Table).config, None);
}

#[test]
fn a_block_that_is_not_there_is_told_with_those_that_are() {
    assert_eq!(
        refused(PAIR, &[Edit::unset(Scope::virtual_server("wbe"), "port")]),
        "lvs.cf:1:1: error: there is no `virtual wbe`; did you mean `web`?"
    );
    assert_eq!(
        refused(PAIR, &[Edit::Remove { block: web().server("seven") }]),
        "lvs.cf:10:1: error: there is no `server seven`; there are: `one`, `two`"
    );
    assert_eq!(
        refused(PAIR, &[Edit::Remove { block: Scope::failover("x") }]),
        "lvs.cf:1:1: error: there is no `failover x`; there is no `failover` block here"
    );
    assert_eq!(
        refused(PAIR, &[Edit::Remove { block: Scope::global() }]),
        "lvs.cf:1:1: error: what stands outside of all blocks is no block; name a block"
    );
}

#[test]
fn a_name_that_several_blocks_have_means_none_of_them() {
    let text = "virtual a {\n}\nvirtual a {\n}\n";
    let a = Scope::virtual_server("a");
    assert_eq!(
        refused(text, &[Edit::Remove { block: a.clone() }]),
        "lvs.cf:3:1: error: there are 2 blocks `virtual a`; say which one by its number (the first is at line 1)"
    );
    assert_eq!(
        refused(text, &[Edit::Remove { block: a.clone().nth(3) }]),
        "lvs.cf:1:1: error: there is no `virtual a` number 3; allowed: 1 to 2"
    );
    assert_eq!(
        Document::new("", text).blocks(&Scope::global()).unwrap(),
        [a.clone().nth(1), a.clone().nth(2)]
    );
    assert_eq!(
        applied(text, &[Edit::Rename { block: a.nth(2), name: "b".to_owned() }]),
        "virtual a {\n}\nvirtual b {\n}\n"
    );
}

#[test]
fn a_name_that_is_taken_is_not_given_again() {
    assert_eq!(
        refused(PAIR, &[Edit::Rename { block: web(), name: "mail".to_owned() }]),
        "lvs.cf:26:1: error: `virtual mail` is there already; choose another name"
    );
    assert_eq!(
        refused(PAIR, &[Edit::Add { block: web().server("two"), entries: Vec::new() }]),
        "lvs.cf:20:2: error: `server two` is there already; choose another name"
    );
}

#[test]
fn a_value_that_no_line_can_hold_is_refused() {
    let allowed = "allowed: text on one line, without NUL, with at most one kind of quotes if it has blanks";
    for value in ["a\nb", "a\0b", "a \"b\" 'c'"] {
        let shown = value.replace('\n', "\\n").replace('\0', "\\0");
        assert_eq!(
            refused(PAIR, &[Edit::set(mail(), "send", [value])]),
            format!("lvs.cf:26:1: error: `send` cannot be given `{shown}`; {allowed}")
        );
    }
    assert_eq!(
        refused(PAIR, &[Edit::set(mail(), "a b", ["1"])]),
        "lvs.cf:26:1: error: `a b` cannot be the name of a directive; allowed: letters, digits, `_`, `-` and `.`"
    );
    assert_eq!(
        refused(PAIR, &[Edit::Rename { block: web(), name: String::new() }]),
        format!("lvs.cf:10:1: error: a block cannot be named ``; {allowed}")
    );
}

#[test]
fn nothing_is_added_to_a_block_that_is_not_closed() {
    let text = "virtual a {\n active = 0\n server b {\n weight = 1\n";
    assert_eq!(
        refused(text, &[Edit::Add { block: Scope::virtual_server("c"), entries: Vec::new() }]),
        "lvs.cf:1:1: error: `virtual a` is not closed; add its `}` first"
    );
    assert_eq!(
        refused(text, &[Edit::Remove { block: Scope::virtual_server("a").server("b") }]),
        "lvs.cf:3:2: error: `server b` is not closed; add its `}` first"
    );
    let set = Edit::set(Scope::virtual_server("a").server("b"), "weight", ["2"]);
    assert_eq!(changes(text, &applied(text, &[set])), "-\" weight = 1\\n\"\n+\" weight = 2\\n\"\n");
}

#[test]
fn nothing_is_added_to_a_block_whose_brace_is_missing() {
    let text = "virtual a} active = 1\n}\nserver one {\n}\n";
    assert_eq!(
        refused(text, &[Edit::set(Scope::virtual_server("a}"), "port", ["80"])]),
        "lvs.cf:1:1: error: `{` is missing after `virtual`; add it first"
    );
}

#[test]
fn an_edit_that_would_change_something_else_is_refused() {
    // The word after the brace means nothing where it is, and would be a directive without the block.
    let text = "virtual a {\n} active = 1\nprimary = 192.0.2.2\n";
    assert_eq!(
        refused(text, &[Edit::Remove { block: Scope::virtual_server("a") }]),
        "lvs.cf:1:1: error: what stands here cannot be edited without changing something else; give each directive and \
         brace a line of its own, and mend what the parser reports"
    );
}

#[test]
fn blocks_move_only_among_their_siblings_and_by_whole_lines() {
    assert_eq!(
        refused(PAIR, &[Edit::Move { block: web().server("one"), before: Some(mail().server("one")) }]),
        "lvs.cf:30:2: error: a block can be moved only among the blocks around it; remove it here and add it there"
    );
    let text = "virtual a {\n} virtual b {\n}\n";
    assert_eq!(
        refused(text, &[Edit::Move { block: Scope::virtual_server("a"), before: None }]),
        "lvs.cf:1:1: error: `virtual a` shares a line with something else; give it lines of its own"
    );
}

#[test]
fn a_refused_edit_takes_those_before_it_back() {
    let edits =
        [Edit::set(Scope::global(), "keepalive", ["1"]), Edit::Remove { block: Scope::failover("x") }];
    refused(PAIR, &edits);
}

#[test]
fn a_file_too_large_to_be_read_is_not_edited() {
    let text = vec![b'\n'; lvs_config::MAX_FILE + 1];
    assert_eq!(
        refused(&text, &[Edit::set(Scope::global(), "keepalive", ["1"])]),
        "lvs.cf:1:1: error: the file is larger than 67108864 bytes and cannot be edited"
    );
}
