//! `ipvsadm diff`: what it says about a table and a file, and that what it says makes the one of the other.

use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use ipvsadm::fake::FakeKernel;

use super::{kernel, run, words, wrong};

/// A kernel with the table that rules make.
fn with(rules: &str) -> FakeKernel {
    let kernel = FakeKernel::new();
    assert_eq!(run(&kernel, "-R", rules), (0, String::new(), String::new()));
    kernel
}

fn saved(kernel: &FakeKernel) -> String {
    run(kernel, "-S -n", "").1
}

const BEFORE: &str = "\
-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1
-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1
-A -t 10.1.0.101:80 -s wlc
-A -f 7 -s nq
";
const AFTER: &str = "\
-A -t 10.1.0.100:80 -s wrr -p 60
-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 3
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1
-A -u 10.1.0.101:53 -s wlc -o
-a -u 10.1.0.101:53 -r 10.2.0.11:53 -m -w 1
-A -f 7 -s nq
";

#[test]
fn what_would_have_to_be_done_is_said_and_does_it() {
    let kernel = with(BEFORE);
    let (status, difference, errors) = run(&kernel, "diff -n -", AFTER);
    assert_eq!((status, errors.as_str()), (1, ""));
    assert_eq!(
        difference,
        "\
-E -t 10.1.0.100:80 -s wrr -p 60
-e -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 3
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1
-A -u 10.1.0.101:53 -s wlc -o
-a -u 10.1.0.101:53 -r 10.2.0.11:53 -m -w 1
-d -t 10.1.0.100:80 -r 10.2.0.11:80
-D -t 10.1.0.101:80
"
    );
    // Nothing has changed until that is restored.
    assert_eq!(saved(&kernel), BEFORE);
    assert_eq!(run(&kernel, "-R", &difference), (0, String::new(), String::new()));
    assert_eq!(saved(&kernel), AFTER);
    assert_eq!(run(&kernel, "diff -n -", AFTER), (0, String::new(), String::new()));
}

#[test]
fn a_table_does_not_differ_from_what_was_saved_of_it() {
    let kernel = kernel();
    assert_eq!(run(&kernel, "diff -", &saved(&kernel)), (0, String::new(), String::new()));
    assert_eq!(run(&kernel, "diff -n -", "").1, "-D -f 7 -6\n-D -u [2001:db8::1]:53\n-D -t 10.1.0.100:80\n");
}

#[test]
fn rules_count_in_their_order_and_comments_do_not() {
    let rules = "# all\n-A -t 10.9.0.1:80\n-C\nipvsadm -A -t 10.1.0.100:80\n-a -t 10.1.0.100:80 -r 10.2.0.1 -m # one\n\
                 -e -t 10.1.0.100:80 -r 10.2.0.1 -m -w 4\n-E -t 10.1.0.100:80 -s rr\n\
                 -a -t 10.1.0.100:80 -r 10.2.0.2 -m\n-d -t 10.1.0.100:80 -r 10.2.0.2\n-A -f 9\n-D -f 9\n";
    let expected = "-A -t 10.1.0.100:80 -s rr\n-a -t 10.1.0.100:80 -r 10.2.0.1:80 -m -w 4\n";
    assert_eq!(run(&FakeKernel::new(), "diff -n -", rules), (1, expected.to_owned(), String::new()));
}

#[test]
fn rules_that_make_no_table_are_refused_with_every_line_that_is_wrong() {
    let rules = "-A -t 10.1.0.100:80 -s rr\n-A -t 10.1.0.100:80\n-L -n\n--set 1 2 3\n-a -t 10.1.0.9:80 -r 10.2.0.1 -m\n\
                 -A -t 10.1.0.100:x\n-e -t 10.1.0.100:80 -r 10.2.0.1 -m\ndiff -\n-R\n";
    let (status, output, errors) = run(&with(BEFORE), "diff -", rules);
    assert_eq!((status, output.as_str()), (2, ""));
    let allowed = "a table is made by -A, -a, -E, -e, -D, -d and -C only";
    assert_eq!(
        errors,
        format!(
            "\
ipvsadm: standard input: line 2: -A -t 10.1.0.100:80 -s wlc: the service exists already (EEXIST); -E changes it
ipvsadm: standard input: line 3: `-L -n`: {allowed}
ipvsadm: standard input: line 4: `--set 1 2 3`: {allowed}
ipvsadm: standard input: line 5: -a -t 10.1.0.9:80 -r 10.2.0.1:80 -m -w 1: there is no such service (ESRCH)
ipvsadm: standard input: line 6: `-A -t 10.1.0.100:x`: -t `10.1.0.100:x`: `x` is neither a port from 0 to 65535 nor a known \
TCP service
ipvsadm: standard input: line 7: -e -t 10.1.0.100:80 -r 10.2.0.1:80 -m -w 1: the service has no such real server (ENOENT)
ipvsadm: standard input: line 8: `diff -`: {allowed}
ipvsadm: standard input: line 9: `-R`: {allowed}
"
        )
    );
}

#[test]
fn of_many_wrong_lines_the_first_are_shown_and_the_others_counted() {
    let (status, _, errors) = run(&FakeKernel::new(), "diff -", &"\u{0}\u{1}\n".repeat(1000));
    assert_eq!((status, errors.lines().count()), (2, 21));
    assert_eq!(errors.lines().last().unwrap(), "ipvsadm: standard input: and 980 more lines are wrong");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let path: PathBuf = std::env::temp_dir().join(format!("no-such-rules-{}", std::process::id()));
    let line = format!("diff {}", path.display());
    let (status, output, errors) = run(&FakeKernel::new(), &line, "");
    assert_eq!((status, output.as_str()), (2, ""));
    assert_eq!(
        errors,
        format!("ipvsadm: cannot read {}: No such file or directory (os error 2)\n", path.display())
    );
}

#[test]
fn a_file_is_read_by_its_name() {
    let path = std::env::temp_dir().join(format!("rules-{}", std::process::id()));
    std::fs::write(&path, "-A -f 7\n-A -f 7\n").unwrap();
    let refused = run(&FakeKernel::new(), &format!("diff {}", path.display()), "");
    std::fs::write(&path, AFTER).unwrap();
    let same = run(&with(AFTER), &format!("diff --numeric {}", path.display()), "");
    std::fs::remove_file(&path).unwrap();
    let complaint = "line 2: -A -f 7 -s wlc: the service exists already (EEXIST); -E changes it";
    assert_eq!(refused, (2, String::new(), format!("ipvsadm: {}: {complaint}\n", path.display())));
    assert_eq!(same, (0, String::new(), String::new()));
}

#[test]
fn a_kernel_that_cannot_be_read_is_an_error_and_no_difference() {
    let kernel = FakeKernel::new();
    kernel.refuse_dumps(1000);
    let (status, output, errors) = run(&kernel, "diff -", "");
    assert_eq!((status, output.as_str()), (2, ""), "{errors}");
    assert!(errors.starts_with("ipvsadm: "), "{errors}");
}

#[test]
fn a_wrong_command_line_is_explained() {
    let cases = [
        ("diff", "diff needs a file of rules, as -S writes them, or - for standard input"),
        ("diff -n", "diff needs a file of rules, as -S writes them, or - for standard input"),
        ("diff one two", "unexpected word `two`: diff takes one file and -n"),
        ("diff -A one", "unexpected word `-A`: diff takes one file and -n"),
        ("diff --json one", "unexpected word `--json`: diff takes one file and -n"),
        ("diff --numeric=1 one", "diff: unexpected argument for option '--numeric': \"1\""),
    ];
    for (line, message) in cases {
        assert_eq!(wrong(line), (message.to_owned(), 2), "{line}");
    }
    let (status, _, errors) = run(&FakeKernel::new(), "-R", "diff -\n");
    assert_eq!(status, 255);
    assert_eq!(
        errors,
        "ipvsadm: line 1: `diff -`: diff cannot be one of the rules that -R reads; what comes after it was not read\n"
    );
}

#[test]
fn help_needs_neither_file_nor_kernel() {
    let program = env!("CARGO_BIN_EXE_ipvsadm");
    let help = Process::new(program).args(words("diff --help")).stdin(Stdio::null()).output().unwrap();
    assert!(help.status.success());
    assert!(String::from_utf8(help.stdout).unwrap().contains("ipvsadm diff [-n] file|-"));
}
