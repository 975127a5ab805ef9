//! `include`: where the lines of other files stand, what is said about them, and what is refused.

mod common;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use common::{Table, files, meaning};
use lvs_config::{Code, Files, Parsed, Severity, parse, parse_with_files};

/// Files that are nowhere but here.
#[derive(Default)]
struct Library(BTreeMap<PathBuf, Vec<u8>>);

impl Library {
    fn with(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.0.insert(path.into(), text.as_ref().to_owned());
        self
    }

    /// `text` as the file `/etc/lvs.cf`.
    fn read(&self, text: &str) -> Parsed {
        parse_with_files(text, Path::new("/etc/lvs.cf"), &Table, self)
    }

    fn told(&self, text: &str) -> Vec<String> {
        let parsed = self.read(text);
        parsed.diagnostics.iter().map(|d| d.one_line("/etc/lvs.cf".as_ref())).collect()
    }
}

impl Files for Library {
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let inside = self.0.keys().filter(|path| path.parent() == Some(folder));
        let names: Vec<OsString> = inside.filter_map(|path| path.file_name()).map(Into::into).rev().collect();
        if names.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

const ROUTERS: &str = "primary = 192.0.2.2\n";

/// An active virtual server with these lines.
fn virtual_server(name: &str, last: u8, lines: &str) -> String {
    format!("virtual {name} {{\nactive = 1\naddress = 192.0.2.{last} eth0:{last}\n{lines}\n}}\n")
}

fn server(last: u8) -> String {
    format!("server s{last} {{\naddress = 10.0.0.{last}\nactive = 1\n}}\n")
}

fn names(parsed: &Parsed) -> Vec<&str> {
    let config = parsed.config.as_ref().unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    config.virtual_servers.iter().map(|v| v.name.as_str()).collect()
}

#[test]
fn blocks_of_other_files_stand_where_they_are_included_in_the_order_of_names() {
    let library = Library::default()
        .with("/etc/conf.d/20.cf", virtual_server("c", 12, &server(1)))
        .with("/etc/conf.d/10.cf", virtual_server("b", 11, &server(1)))
        .with("/etc/conf.d/.10.cf.swp", "nonsense")
        .with("/etc/conf.d/.30.cf", "nonsense")
        .with("/etc/conf.d/30.cf~", "nonsense")
        .with("/srv/last.cf", virtual_server("e", 14, &server(1)));
    let parsed = library.read(&format!(
        "{}include = conf.d/*.cf\n{}{ROUTERS}include = \"/srv/last.cf\" # at the end",
        virtual_server("a", 10, &server(1)),
        virtual_server("d", 13, &server(1)),
    ));
    assert_eq!(names(&parsed), ["a", "b", "c", "d", "e"]);
    assert_eq!(parsed.diagnostics, []);
}

#[test]
fn a_virtual_block_takes_its_servers_and_directives_from_other_files() {
    let library = Library::default()
        .with("/etc/pool/1.cf", server(1))
        .with("/etc/pool/2.cf", server(2) + &server(3))
        .with("/etc/common.cf", "port = 8080\nscheduler = rr");
    let lines = format!("{}include = pool/?.cf\n{}include = common.cf", server(9), server(8));
    let text = format!("{ROUTERS}{}{}", virtual_server("a", 10, &lines), virtual_server("b", 11, &lines));
    let parsed = library.read(&text);
    assert_eq!(names(&parsed), ["a", "b"]);
    for virtual_server in parsed.config.unwrap().virtual_servers {
        let servers: Vec<&str> = virtual_server.servers.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(servers, ["s9", "s1", "s2", "s3", "s8"]);
        assert_eq!(virtual_server.port, 8080);
    }
    assert_eq!(parsed.diagnostics, []);
}

#[test]
fn a_file_in_pieces_means_what_it_means_whole() {
    let mut moved = 0;
    for path in files("testdata/valid") {
        let text = std::fs::read_to_string(&path).unwrap().replace('\r', "\n");
        let mut library = Library::default();
        let mut first = String::new();
        let mut block = None;
        // Blocks of these files begin and end at the left.
        for line in text.lines() {
            if line.ends_with('{') && !line.starts_with([' ', '\t', '#']) {
                block = Some(String::new());
            }
            match &mut block {
                Some(lines) => lines.push_str(&format!("{line}\n")),
                None => first.push_str(&format!("{line}\n")),
            }
            if line.starts_with('}')
                && let Some(lines) = block.take()
            {
                first.push_str(&format!("include = {moved}.cf\n"));
                library = library.with(&format!("/etc/{moved}.cf"), lines);
                moved += 1;
            }
        }
        let whole = parse(&text, &Table);
        let pieces = library.read(&first);
        assert_eq!(pieces.config.map(meaning), whole.config.map(meaning), "{}", path.display());
        assert_eq!(pieces.diagnostics.len(), whole.diagnostics.len(), "{}", path.display());
    }
    assert!(moved > 10, "only {moved} blocks");
}

#[test]
fn relative_paths_start_at_the_folder_of_the_file_that_includes() {
    let library = Library::default()
        .with("/etc/a/a.cf", "include = b/b.cf\n")
        .with("/etc/a/b/b.cf", "include = ../c.cf")
        .with("/etc/a/b/../c.cf", virtual_server("deep", 10, &server(1)));
    assert_eq!(names(&library.read(&format!("{ROUTERS}include = a/a.cf"))), ["deep"]);
}

#[test]
fn what_is_wrong_in_an_included_file_names_it_with_its_own_lines() {
    let library = Library::default()
        .with("/etc/x.cf", "\n\n  deadtme = 6\n")
        .with("/etc/y.cf", virtual_server("b", 10, &server(1)));
    let text = format!("{ROUTERS}{}include = x.cf\ninclude = y.cf\n", virtual_server("a", 10, &server(1)));
    let parsed = library.read(&text);
    let told: Vec<String> = parsed.diagnostics.iter().map(|d| d.one_line("lvs.cf".as_ref())).collect();
    assert_eq!(
        told,
        [
            "/etc/x.cf:3:3: error: unknown directive `deadtme`; did you mean `deadtime`?",
            "/etc/y.cf:3:11: error: another active virtual server has 192.0.2.10, port 80, tcp (first given at lvs.cf:4)",
        ]
    );
    assert_eq!(
        parsed.diagnostics[1].annotated("lvs.cf".as_ref(), false),
        "error[conflict]: another active virtual server has 192.0.2.10, port 80, tcp
 --> /etc/y.cf:3:11
  |
3 | address = 192.0.2.10 eth0:10
  |           ^^^^^^^^^^
  |
note: first given
 --> lvs.cf:4:11
  |
4 | address = 192.0.2.10 eth0:10
  |           ^^^^^^^^^^"
    );
    assert_eq!(parsed.diagnostics[0].place.file.as_deref(), Some(Path::new("/etc/x.cf")));
    assert_eq!(parsed.diagnostics[1].note.as_ref().unwrap().place.file, None);
}

#[test]
fn a_directive_of_another_file_is_as_good_as_one_of_this() {
    let library = Library::default().with("/etc/local.cf", "deadtime = 9\nprimary = 192.0.2.3");
    assert_eq!(
        library.told(&format!("deadtime = 8\n{ROUTERS}include = local.cf\ndeadtime = 10"))[1..],
        [
            "/etc/lvs.cf:4:1: warning: `deadtime` is given twice; this one holds (first given at /etc/local.cf:1)",
            "/etc/local.cf:1:1: warning: `deadtime` is given twice; this one holds (first given at /etc/lvs.cf:1)",
            "/etc/local.cf:2:1: warning: `primary` is given twice; this one holds (first given at /etc/lvs.cf:2)",
        ]
    );
}

#[test]
fn of_two_servers_alike_the_one_that_is_read_first_is_the_first() {
    let here = |lines: &str| {
        format!("include = more.cf\nserver again {{\naddress = 10.0.0.1\nactive = 1\n{lines}}}\n")
    };
    let library = Library::default()
        .with("/etc/more.cf", server(1) + "server s2 {\n address = 10.0.0.2\nport = 81\nactive = 1\n}\n");
    let text = |lines| format!("{ROUTERS}{}", virtual_server("a", 10, &here(lines)));
    assert_eq!(
        library.told(&text("")),
        ["/etc/lvs.cf:7:11: error: this real server is given twice (first given at /etc/more.cf:2)"]
    );
    // Given twice is told; that they are reached in two ways would be the same mistake told twice.
    assert_eq!(
        library.told(&text("network = direct\n")),
        ["/etc/lvs.cf:7:11: error: this real server is given twice (first given at /etc/more.cf:2)"]
    );
    let told = library.told(&text("port = 81\nnetwork = direct\n"));
    assert_eq!(
        told.first().map(String::as_str),
        Some(
            "/etc/lvs.cf:7:11: error: the kernel knows this real server and another one as 10.0.0.1:80, and can reach \
             that in one way only; with `direct` and `tunnel` packets keep the virtual server's port (the other one at \
             /etc/more.cf:2)"
        )
    );
}

#[test]
fn what_is_wrong_with_a_file_that_is_included_twice_is_told_once() {
    let library = Library::default().with("/etc/common.cf", "port = 0\nschedular = rr\n");
    let servers = server(1) + "include = common.cf";
    let text = format!("{ROUTERS}{}{}", virtual_server("a", 10, &servers), virtual_server("b", 11, &servers));
    let told = library.told(&text);
    assert_eq!(told.len(), 2, "{told:#?}");
}

#[test]
fn files_that_cannot_be_included_are_told_with_the_reason() {
    let library = Library::default().with("/etc/conf.d/a", "");
    for (value, message) in [
        ("gone.cf", "`/etc/gone.cf` cannot be read: entity not found"),
        ("gone.d/*.cf", "`/etc/gone.d/` cannot be read: entity not found"),
        ("conf.d/", "`include` cannot be `conf.d/`: it is no name of a file; HELP"),
        ("..", "`include` cannot be `..`: it is no name of a file; HELP"),
        ("\"\"", "`include` cannot be ``: it is no name of a file; HELP"),
        ("*/a", "`include` cannot be `*/a`: there are wildcards in the name of a folder; HELP"),
        ("conf.d/[a", "`include` cannot be `conf.d/[a`: invalid range pattern; HELP"),
        ("conf.d/a b", "`include` takes one value; `b` is too much; HELP"),
        ("", "`include` takes one value, found none; HELP"),
    ] {
        let told = library.told(&format!("{ROUTERS}include = {value}\n"));
        let help = "allowed: the path of a file, in whose name there may be wildcards";
        assert_eq!(told.len(), 1, "{told:#?}");
        assert_eq!(told[0].split_once("error: ").unwrap().1, message.replace("HELP", help));
    }
}

#[test]
fn wildcards_that_match_nothing_are_a_warning() {
    let library = Library::default().with("/etc/conf.d/a.cf~", "");
    let parsed =
        library.read(&format!("{ROUTERS}{}include = conf.d/*.cf\n", virtual_server("a", 10, &server(1))));
    let [warning] = parsed.diagnostics.as_slice() else { panic!("{:#?}", parsed.diagnostics) };
    assert_eq!((warning.severity, warning.code), (Severity::Warning, Code::NoEffect));
    assert_eq!(warning.message, "no file is named `/etc/conf.d/*.cf`");
    assert!(parsed.config.is_some());
}

#[test]
fn a_circle_is_an_error_that_names_it() {
    let library =
        Library::default().with("/etc/a.cf", "include = b.cf\n").with("/etc/b.cf", "\ninclude = a.cf\n");
    assert_eq!(
        library.told(&format!("{ROUTERS}include = a.cf\n")),
        ["/etc/b.cf:2:11: error: `/etc/a.cf` is not included: it includes itself: \
          /etc/lvs.cf -> /etc/a.cf -> /etc/b.cf -> /etc/a.cf"]
    );
    assert_eq!(
        library.told(&format!("{ROUTERS}include = lvs.cf\n")),
        [
            "/etc/lvs.cf:2:11: error: `/etc/lvs.cf` is not included: it includes itself: /etc/lvs.cf -> /etc/lvs.cf"
        ]
    );
}

#[test]
fn a_circle_under_ever_new_names_ends_as_well() {
    let mut library = Library::default();
    for depth in 0..20 {
        let path = format!("/etc/{}a.cf", "d/../".repeat(depth));
        library = library.with(&path, "include = d/../a.cf\n");
    }
    let told = library.told(&format!("{ROUTERS}include = a.cf\n"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(
        told[0]
            .contains("is not included: more than 8 files include each other: /etc/lvs.cf -> /etc/a.cf -> ")
    );
}

#[test]
fn files_that_multiply_end_at_a_limit_that_is_told_once() {
    // Each of eight levels includes the next one ten times.
    let mut library = Library::default();
    for level in 0..8 {
        library =
            library.with(&format!("/etc/{level}.cf"), format!("include = {}.cf\n", level + 1).repeat(10));
    }
    let told = library.told(&format!("{ROUTERS}include = 0.cf\n"));
    let limits: Vec<_> = told.iter().filter(|line| line.contains("have been included before it")).collect();
    assert_eq!(limits.len(), 1, "{told:#?}");
    assert!(limits[0].ends_with("10000 files have been included before it"), "{limits:?}");
}

#[test]
fn files_together_are_limited() {
    let large = format!("#{}\n", "x".repeat(62_000)).repeat(600);
    let library = Library::default().with("/etc/large.cf", &large).with("/etc/more.cf", "");
    let told = library.told(&format!("{ROUTERS}include = large.cf\ninclude = large.cf\ninclude = more.cf\n"));
    assert_eq!(
        told,
        [
            "/etc/lvs.cf:3:11: error: `/etc/large.cf` is not included: the files together are larger than 67108864 bytes"
        ]
    );
}

#[test]
fn blocks_begin_and_end_in_the_same_file() {
    let library = Library::default()
        .with("/etc/open.cf", "virtual a {\nactive = 0\n")
        .with("/etc/close.cf", "}\n")
        .with("/etc/block.cf", "virtual a {\n}\n")
        .with("/etc/server.cf", "server a {\n}\n");
    let errors = |text: &str| {
        let parsed = library.read(&format!("{ROUTERS}{text}"));
        let errors = parsed.diagnostics.into_iter().filter(|d| d.severity == Severity::Error);
        errors.map(|d| d.one_line("lvs.cf".as_ref())).collect::<Vec<_>>()
    };
    assert_eq!(
        errors("include = open.cf\n"),
        ["/etc/open.cf:1:1: error: `virtual a` is not closed; `}` is missing before the end of the file"]
    );
    assert_eq!(
        errors("virtual a {\nactive = 0\ninclude = close.cf\n}"),
        ["/etc/close.cf:1:1: error: `}` without a block to close"]
    );
    assert_eq!(
        errors("virtual a {\nactive = 0\ninclude = block.cf\n}"),
        [
            "/etc/block.cf:1:1: error: `virtual` inside of a `virtual` block; this file is included inside of the block"
        ]
    );
    assert_eq!(
        errors("include = server.cf\n"),
        ["/etc/server.cf:1:1: error: `server` outside of a `virtual` block"]
    );
    assert_eq!(
        errors("virtual a {\nactive = 0\nserver b {\naddress = 10.0.0.1\ninclude = server.cf\n}\n}"),
        ["lvs.cf:6:1: error: `include` cannot be used in a `server` block; it belongs outside of all blocks"]
    );
}

#[test]
fn a_text_by_itself_includes_nothing() {
    let parsed = parse(format!("{ROUTERS}include = a.cf\ninclude = *.cf\n"), &Table);
    let told: Vec<&str> = parsed.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "`a.cf` cannot be read: this text is read without the files that it includes",
            "`` cannot be read: this text is read without the files that it includes",
        ]
    );
}
