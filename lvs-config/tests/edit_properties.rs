//! What holds for edits of any file: they change what they mean, and no other byte.

mod common;

use std::collections::HashSet;
use std::{fmt, fs};

use checkspec::{Exchange, Step, Transport};
use common::{Table, files, meaning};
use lvs_config::{Config, Document, Edit, Policy, Scope, Severity, parse};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};

const DIRECTIVES: [&str; 11] = [
    "serial_no",
    "primary",
    "keepalive",
    "port",
    "active",
    "address",
    "weight",
    "send",
    "check",
    "scheduler",
    "no_such",
];

/// The files that are shipped, and those that show mistakes.
fn shipped() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        ["testdata/valid", "testdata/broken", "../docs/examples"].into_iter().flat_map(files).collect();
    paths.push(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../lvs.cf.example"));
    paths.iter().map(|path| fs::read(path).expect("a file of the repository")).collect()
}

/// A file as another editor or system would have left it.
fn restyled(text: &[u8], ending: &str, keeps_last_end: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(body) => out.extend([body, ending.as_bytes()].concat()),
            None => out.extend(line),
        }
    }
    if !keeps_last_end {
        let end = out.iter().rposition(|b| !b.is_ascii_whitespace()).map_or(0, |at| at + 1);
        out.truncate(end);
    }
    out
}

/// A file, shown as text where a case fails.
#[derive(Clone)]
struct Text(Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

fn any_file() -> impl Strategy<Value = Text> {
    (select(shipped()), select(&["\n", "\r\n", "\r"][..]), any::<bool>())
        .prop_map(|(text, ending, keeps)| Text(restyled(&text, ending, keeps)))
}

/// A valid file whose blocks can each be found by their names alone and are all in the model.
fn valid_file() -> impl Strategy<Value = Text> {
    any_file().prop_filter("valid, with unique names", |Text(bytes)| {
        let Some(config) = parse(bytes, &Table).config else { return false };
        let count = config.virtual_servers.iter().map(|it| 1 + it.servers.len()).sum::<usize>();
        let scopes = scopes(&Document::new("lvs.cf", bytes.clone()));
        let names: HashSet<String> = scopes.iter().map(|scope| format!("{scope:?}")).collect();
        scopes.len() == 1 + count + config.failover_services.len()
            && !names.iter().any(|it| it.contains("nth: Some"))
    })
}

fn damaged_file() -> impl Strategy<Value = Text> {
    let pieces: [&[u8]; 13] = [
        b"{",
        b"}",
        b"\"",
        b"'",
        b"#",
        b"\n",
        b"\r",
        b" = ",
        b"\xff\xfe",
        b"\0",
        b"server s {",
        b"virtual v {\n",
        b"} ",
    ];
    let damage = (any::<Index>(), 0..12_usize, select(pieces.map(<[u8]>::to_vec).to_vec()));
    (any_file(), vec(damage, 0..4)).prop_map(|(Text(mut bytes), damages)| {
        for (at, removed, inserted) in damages {
            let start = at.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, inserted);
        }
        Text(bytes)
    })
}

/// All that can be addressed in a document.
fn scopes(document: &Document) -> Vec<Scope> {
    let outer = document.blocks(&Scope::global()).expect("the whole file is there");
    let inner = outer.iter().flat_map(|scope| document.blocks(scope).expect("it has just been listed"));
    let inner: Vec<Scope> = inner.collect();
    [vec![Scope::global()], outer, inner].concat()
}

fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|b| matches!(b, b'\n' | b'\r')).filter(|line| !line.is_empty()).collect()
}

/// The lines that only the one and only the other has, in the middle of what they share.
fn changed<'b>(old: &'b [u8], new: &'b [u8]) -> (Vec<&'b [u8]>, Vec<&'b [u8]>) {
    let (old, new) = (lines(old), lines(new));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    (old[head..old.len() - tail].to_vec(), new[head..new.len() - tail].to_vec())
}

fn edited(bytes: &[u8], edits: &[Edit]) -> Result<Vec<u8>, TestCaseError> {
    let mut document = Document::new("lvs.cf", bytes);
    let done = document.apply(edits, Policy::NoNewErrors(&Table));
    done.map_err(|refused| TestCaseError::fail(refused.to_string()))?;
    Ok(document.as_bytes().to_owned())
}

/// Whether a block ends on a line that has more than its brace.
fn shares_lines(bytes: &[u8]) -> bool {
    lines(bytes).iter().any(|line| line.contains(&b'}') && line.trim_ascii() != b"}")
}

fn config(bytes: &[u8]) -> Config {
    meaning(parse(bytes, &Table).config.expect("it is valid"))
}

fn entry(directive: &str, value: &str) -> (String, Vec<String>) {
    (directive.to_owned(), value.split(' ').map(str::to_owned).collect())
}

/// Any edit of anything that `scopes` lists, most of them senseless.
fn edit_of(scopes: &[Scope], (kind, one, other, directive, value): (u8, Index, Index, &str, &str)) -> Edit {
    let scope = one.get(scopes).clone();
    let values: Vec<String> = value.split('|').map(str::to_owned).collect();
    match kind {
        0 => Edit::set(scope, directive, values),
        1 => Edit::unset(scope, directive),
        2 => Edit::Add { block: scope.server(value), entries: vec![(directive.to_owned(), values)] },
        3 => Edit::Add { block: Scope::virtual_server(value), entries: vec![(directive.to_owned(), values)] },
        4 => Edit::Remove { block: scope },
        5 => Edit::Rename { block: scope, name: value.to_owned() },
        6 => Edit::Move { block: scope, before: None },
        _ => Edit::Move { block: scope, before: Some(other.get(scopes).clone()) },
    }
}

fn any_edit() -> impl Strategy<Value = (u8, Index, Index, &'static str, &'static str)> {
    let values = [
        "1",
        "0",
        "192.0.2.9",
        "192.0.2.9|eth0:9",
        "",
        "a b",
        "a\"b",
        "'",
        "#",
        "}",
        "{",
        "x\ny",
        "é\u{0}",
        "=",
    ];
    (0..8_u8, any::<Index>(), any::<Index>(), select(&DIRECTIVES[..]), select(values.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_read_is_written(Text(bytes) in prop_oneof![damaged_file(), vec(any::<u8>(), 0..300).prop_map(Text)]) {
        let mut document = Document::new("lvs.cf", bytes.clone());
        prop_assert_eq!(document.as_bytes(), &bytes);
        if parse(&bytes, &Table).config.is_none() {
            // Setting what a line says that is cut short would mend it.
            return Ok(());
        }
        for scope in scopes(&document) {
            for directive in DIRECTIVES {
                let Some(values) = document.get(&scope, directive).unwrap() else { continue };
                document.apply(&[Edit::set(scope.clone(), directive, values)], Policy::AllowErrors).unwrap();
            }
        }
        prop_assert_eq!(document.as_bytes(), bytes);
    }

    #[test]
    fn an_edit_of_a_damaged_file_is_refused_or_adds_no_error(Text(bytes) in damaged_file(), choices in vec(any_edit(), 1..4)) {
        let mut document = Document::new("lvs.cf", bytes.clone());
        let count = |bytes: &[u8]| {
            parse(bytes, &Table).diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
        };
        for choice in choices {
            let before = document.as_bytes().to_owned();
            let edit = edit_of(&scopes(&document), choice);
            match document.apply(std::slice::from_ref(&edit), Policy::NoNewErrors(&Table)) {
                Ok(()) => prop_assert!(count(document.as_bytes()) <= count(&before), "{:?}", edit),
                Err(refused) => {
                    prop_assert_eq!(document.as_bytes(), before);
                    prop_assert!(!refused.diagnostics.is_empty());
                }
            }
            if let Edit::Set { scope, directive, values } = &edit
                && document.apply(std::slice::from_ref(&edit), Policy::AllowErrors).is_ok()
            {
                prop_assert_eq!(document.get(scope, directive).unwrap(), Some(values.clone()));
                let once = document.as_bytes().to_owned();
                document.apply(std::slice::from_ref(&edit), Policy::AllowErrors).unwrap();
                prop_assert_eq!(document.as_bytes(), once, "twice is once");
            }
        }
    }

    #[test]
    fn setting_a_weight_changes_that_weight_and_one_line(Text(bytes) in valid_file(), at in any::<Index>(), weight in 0..=9999_u32) {
        let old = config(&bytes);
        let all: Vec<(usize, usize)> = old.virtual_servers.iter().enumerate()
            .flat_map(|(v, virtual_server)| (0..virtual_server.servers.len()).map(move |s| (v, s)))
            .collect();
        if all.is_empty() {
            return Ok(());
        }
        let (v, s) = *at.get(&all);
        let virtual_server = &old.virtual_servers[v];
        let scope = Scope::virtual_server(&virtual_server.name).server(&virtual_server.servers[s].name);
        let new = edited(&bytes, &[Edit::set(scope, "weight", [weight.to_string()])])?;
        let mut expected = old.clone();
        expected.virtual_servers[v].servers[s].weight = lvs_config::units::Weight::new(weight).unwrap();
        prop_assert_eq!(config(&new), expected);
        let (gone, come) = changed(&bytes, &new);
        prop_assert!(gone.len() <= 1 && (come.len() <= 1 || gone[0].contains(&b'}')), "{:?} {:?}", gone, come);
    }

    #[test]
    fn setting_what_is_sent_changes_that_text(Text(bytes) in valid_file(), at in any::<Index>(), send in "[ -~]{1,30}") {
        let old = config(&bytes);
        if old.virtual_servers.is_empty() || send.contains('"') && send.contains('\'') {
            return Ok(());
        }
        let v = at.index(old.virtual_servers.len());
        let scope = Scope::virtual_server(&old.virtual_servers[v].name);
        let new = edited(&bytes, &[Edit::set(scope, "send", [send.clone()])])?;
        let mut expected = old.clone();
        let check = &mut expected.virtual_servers[v].check;
        // Beside a `check` it has no effect.
        check.send = Some(send).filter(|_| check.spec.is_none());
        prop_assert_eq!(config(&new), expected);
        let (gone, come) = changed(&bytes, &new);
        prop_assert!(gone.len() <= 1 && come.len() <= 1, "{:?} {:?}", gone, come);
    }

    #[test]
    fn setting_a_check_changes_that_line(
        Text(bytes) in valid_file(),
        at in any::<Index>(),
        sent in vec("[ -~]{1,12}", 1..3),
        blanks in "[ \t]{1,2}",
    ) {
        let old = config(&bytes);
        if old.virtual_servers.is_empty() {
            return Ok(());
        }
        let steps = sent.into_iter().map(|text| Step::Send(text.into_bytes())).collect();
        let exchange = Exchange { transport: Transport::Tcp, port: None, steps, silence_is_up: false };
        let check = checkspec::Check::Exchange(exchange);
        let v = at.index(old.virtual_servers.len());
        let scope = Scope::virtual_server(&old.virtual_servers[v].name);
        let text = check.to_string().replacen(' ', &blanks, 1);
        let new = edited(&bytes, &[Edit::set(scope, "check", [text])])?;
        let mut expected = old.clone();
        let of = &mut expected.virtual_servers[v].check;
        if of.client_monitor.is_none() {
            of.spec = Some(check);
            (of.send, of.expect, of.send_program, of.use_regex) = (None, None, None, false);
        }
        prop_assert_eq!(config(&new), expected);
        let (gone, come) = changed(&bytes, &new);
        prop_assert!(gone.len() <= 1 && come.len() <= 1, "{:?} {:?}", gone, come);
    }

    #[test]
    fn what_is_added_and_removed_leaves_no_trace(Text(bytes) in valid_file(), at in any::<Index>(), blanks in 0..3_usize) {
        let bytes = [bytes, b"\n".repeat(blanks)].concat();
        let document = Document::new("lvs.cf", bytes.clone());
        let outer = document.blocks(&Scope::global()).unwrap();
        let mut blocks = vec![(Scope::virtual_server("added"), vec![entry("address", "192.0.2.77 eth9:7")])];
        if !outer.is_empty() {
            blocks.push((at.get(&outer).clone().server("added"), vec![entry("weight", "5")]));
        }
        for (block, entries) in blocks {
            let with = edited(&bytes, &[Edit::Add { block: block.clone(), entries }])?;
            let without = edited(&with, &[Edit::Remove { block }])?;
            prop_assert_eq!(config(&without), config(&bytes));
            // A line that has to be broken up stays so.
            if !shares_lines(&bytes) {
                prop_assert_eq!(changed(&bytes, &with).0.len(), 0);
                prop_assert_eq!(String::from_utf8_lossy(&without), String::from_utf8_lossy(&bytes));
            }
        }
        let with = edited(&bytes, &[Edit::set(Scope::global(), "syncd_id", ["7"])])?;
        if document.get(&Scope::global(), "syncd_id").unwrap().is_none() {
            prop_assert_eq!(edited(&with, &[Edit::unset(Scope::global(), "syncd_id")])?, bytes);
        }
    }

    #[test]
    fn a_block_renamed_twice_is_as_it_was(Text(bytes) in valid_file(), at in any::<Index>(), name in "[a-z ]{1,9}") {
        let document = Document::new("lvs.cf", bytes.clone());
        let blocks = document.blocks(&Scope::global()).unwrap();
        // A name that another block has is refused.
        if blocks.is_empty() || blocks.iter().any(|block| block.name() == Some(&name)) {
            return Ok(());
        }
        let v = at.index(blocks.len());
        let renamed = edited(&bytes, &[Edit::Rename { block: blocks[v].clone(), name: name.clone() }])?;
        let block = Document::new("lvs.cf", renamed.clone()).blocks(&Scope::global()).unwrap()[v].clone();
        prop_assert_eq!(block.name(), Some(name.as_str()));
        let back = Edit::Rename { block, name: blocks[v].name().unwrap().to_owned() };
        let again = edited(&renamed, &[back])?;
        // Quotes that the new name needs may stay.
        let bare = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['"', '\''], "");
        prop_assert_eq!(bare(&again), bare(&bytes));
        prop_assert_eq!(config(&again), config(&bytes));
    }

    #[test]
    fn moving_a_block_reorders_the_model_and_no_line_is_lost(
        Text(bytes) in valid_file(), at in any::<Index>(), to in prop_oneof![Just(None), any::<Index>().prop_map(Some)],
    ) {
        let document = Document::new("lvs.cf", bytes.clone());
        let mut order = document.blocks(&Scope::global()).unwrap();
        if order.is_empty() {
            return Ok(());
        }
        let block = at.get(&order).clone();
        let before = to.map(|to| to.get(&order).clone());
        let Ok(new) = edited(&bytes, &[Edit::Move { block: block.clone(), before: before.clone() }]) else {
            // Blocks that share a line with another are not moved.
            prop_assert!(shares_lines(&bytes));
            return Ok(());
        };
        if before.as_ref() != Some(&block) {
            order.retain(|other| *other != block);
            let to = before.and_then(|before| order.iter().position(|other| *other == before));
            order.insert(to.unwrap_or(order.len()), block);
        }
        prop_assert_eq!(Document::new("lvs.cf", new.clone()).blocks(&Scope::global()).unwrap(), order.clone());
        let (mut old, mut new_lines) = (lines(&bytes), lines(&new));
        old.sort_unstable();
        new_lines.sort_unstable();
        prop_assert_eq!(old, new_lines);
        let mut expected = config(&bytes);
        let place = |name: &str| order.iter().position(|scope| scope.name() == Some(name));
        expected.virtual_servers.sort_by_key(|it| place(&it.name));
        expected.failover_services.sort_by_key(|it| place(&it.name));
        prop_assert_eq!(config(&new), expected);
    }
}
