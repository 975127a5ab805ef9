//! The help and version texts, made from the [table of options](super::options).

use std::fmt::Write as _;

use super::options::{COMMANDS, DAEMON, OPTIONS, Row, SERVICE, Value};

/// Column at which explanations begin.
const COLUMN: usize = 36;

/// The text of `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = version();
    text.push_str(
        "Usage:\n\
         \x20 ipvsadm -A|E SERVICE [-s scheduler] [-b flags] [-p [seconds]] [-M mask] [--pe engine] [-o]\n\
         \x20 ipvsadm -D SERVICE\n\
         \x20 ipvsadm -a|e SERVICE -r host[:port] [-g|i|m] [tunnel options] [-w n] [-x n] [-y n]\n\
         \x20 ipvsadm -d SERVICE -r host[:port]\n\
         \x20 ipvsadm -L|l [SERVICE] [list options]\n\
         \x20 ipvsadm -Z [SERVICE]\n\
         \x20 ipvsadm -C | -R | -S [-n] | -h | -v\n\
         \x20 ipvsadm diff [-n] file|-   (what would make the table the one of saved rules; exit status 1 if anything)\n\
         \x20 ipvsadm --set tcp tcpfin udp\n\
         \x20 ipvsadm --start-daemon master|backup [daemon options]\n\
         \x20 ipvsadm --stop-daemon master|backup\n",
    );
    let sections = [
        ("Commands", COMMANDS),
        ("SERVICE, one of", SERVICE),
        ("Options", OPTIONS),
        ("Daemon options", DAEMON),
    ];
    for (title, rows) in sections {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n{title}:");
        for row in rows {
            let words = words(row);
            let _ = writeln!(text, "  {words:<COLUMN$}{}", row.help);
        }
    }
    text
}

/// The text of `--version`.
#[must_use]
pub fn version() -> String {
    format!("ipvsadm {} (lvs-router; generic netlink)\n", env!("CARGO_PKG_VERSION"))
}

/// The names of a row and its value, such as `-w, --weight n`.
fn words(row: &Row) -> String {
    let mut words = String::new();
    for short in row.short {
        let _ = write!(words, "-{short}, ");
    }
    let _ = write!(words, "--{}", row.long);
    let _ = match row.value {
        Value::No => Ok(()),
        Value::Required(value) | Value::Three(value) => write!(words, " {value}"),
        Value::Optional(value) => write!(words, " [{value}]"),
    };
    words
}

#[cfg(test)]
mod tests {
    use super::super::options;
    use super::*;

    #[test]
    fn the_help_fits_a_wide_terminal_and_names_every_option() {
        let help = help();
        for row in options::all() {
            assert!(help.contains(&format!("--{}", row.long)));
        }
        for line in help.lines() {
            assert!(line.chars().count() <= 120, "{line}");
        }
        assert!(
            help.contains("\n  -w, --weight n                      capacity, 0 to 2147483647 (default 1)")
        );
    }
}
