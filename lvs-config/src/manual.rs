//! The manual page lvs.cf(5), from the table of directives.

use std::fmt::Write as _;

use crate::keys::{Key, Section};
use crate::reference::{amount, usage};

const HEAD: &str = r#".\" Generated: cargo run -p lvs-config --example lvs_cf_reference man > docs/man/lvs.cf.5
.TH LVS.CF 5 2026-11-22 "lvs-router 0.1.0" "lvs-router"
.SH NAME
lvs.cf \- configuration of a pair of LVS routers
.SH SYNOPSIS
.I /etc/lvs\-router/lvs.cf
.br
.I /etc/sysconfig/ha/lvs.cf
.SH DESCRIPTION
The file is read by
.BR pulse (8)
and
.BR lvs (8),
and is the same on both routers.
.B lvs check \fIFILE\fR
tells everything that is wrong with a file.
.PP
.nf
# a comment
directive = value
virtual NAME {
    directive = value
    server NAME {
        directive = value
    }
}
.fi
.PP
A directive stands on a line of its own; the order is free, and the last one holds.
A word that begins with # starts a comment. A value that contains blanks needs quotes, " or ', between which nothing is
special. A brace opens on the line of its block's name.
.PP
Times are seconds, or numbers with one of the units ms, s, m and h:
.BR 200ms ", " 1.5s .
Numbers may be hexadecimal with a leading 0x and octal with a leading 0.
Addresses are IPv4 or IPv6. Floating ones may carry a prefix length and are followed by the device that they are put on:
.BR "192.0.2.1/24 eth0:1" .
.SH CHECKS
Without
.BR check ", " send ", " expect " and " send_program
a check connects, and at port 80 it asks for a page. Over UDP a real server must answer, so give a
.BR check ,
.B send
or
.BR send_program ;
otherwise every check fails.
.SH INCLUDED FILES
.B include = conf.d/*.cf
reads other files as if their lines stood in its place, outside of the blocks or in a virtual or failover block. A relative
path starts at the folder of the file with the directive. The wildcards *, ? and [abc] may be in the last part of the path
only; they do not match hidden files, and the files are read in the order of their names. A file without wildcards that
is not there is an error. Blocks begin and end in the same file.
.SH NAMES
Names of hosts are looked up when the file is read, within seconds. One that cannot be resolved keeps its last address, which
is in
.IR /var/lib/lvs\-router/names ;
one that never could is an error.
.PP
Everything is read again when
.BR pulse (8)
gets SIGHUP, which it passes on to
.BR lvs (8).
What did not change is left alone, and a file with an error changes nothing. The routers' own addresses,
.BR backup_active ,
.B heartbeat_port
and the connection synchronisation need a restart of
.BR pulse .
.B lvs diff \fIFILE\fR
tells beforehand what would be done.
"#;

const KINDS: &str = r#".SH KINDS OF CHECKS
.B check = \fIKIND NAME=VALUE ...\fR
stands on one line. A value that has blanks or quotes, or none at all, stands in double quotes; in it \er, \en, \et, \e\e and \e"
stand for the usual characters and \exHH for any byte. A backslash before anything else is kept.
.B nanny \-\-check
takes the same text.
.PP
.nf
check = tcp expect="220 " send=QUIT\er\en expect="221 "
check = udp send="\exff\exff status" contains="map #1"
.fi
"#;

const TAIL: &str = r#".SH FILES
Commented examples come with the documentation: lvs.cf.example, and the folder examples. What is an error and what a warning
is listed in lvs.cf.md there.
.SH SEE ALSO
.BR pulse (8),
.BR lvs (8),
.BR nanny (8)
"#;

/// The manual page as roff, which `docs/man/lvs.cf.5` holds.
pub fn reference_man() -> String {
    let mut text = HEAD.to_owned();
    for section in Section::ALL {
        let title = match section {
            Section::Global => "OUTSIDE OF ALL BLOCKS",
            Section::Service => "IN VIRTUAL AND FAILOVER BLOCKS",
            Section::Server => "IN SERVER BLOCKS",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".SH {title}");
        for key in Key::in_section(section) {
            let _ = writeln!(text, ".TP\n.B {}\n{}\n.br", roff(key.name), roff(key.help));
            let _ = write!(text, "Allowed: {}.", roff(&key.value.allowed()));
            if !key.default.is_empty() {
                let _ = write!(text, " Default: \\fB{}\\fR.", roff(key.default));
            }
            text.push('\n');
        }
    }
    text + KINDS + &kinds() + TAIL
}

/// What each kind of check does, with its options.
fn kinds() -> String {
    let mut text = String::new();
    for kind in checkspec::described() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, ".SS {}\n{}", roff(kind.name), roff(kind.about));
        for option in kind.options {
            let usage = roff(&format!("`{}`", usage(option)));
            let _ = writeln!(text, ".TP\n{usage}{}\n{}", roff(&amount(option)), roff(option.about));
        }
    }
    text
}

/// A line of Markdown as roff: code and strong text become bold.
fn roff(markdown: &str) -> String {
    let mut text = String::new();
    let mut is_bold = false;
    // At the beginning of a line these are requests to roff.
    if markdown.starts_with(['.', '\'']) {
        text.push_str("\\&");
    }
    for c in without_links(markdown).replace("**", "`").chars() {
        match c {
            '`' => {
                is_bold = !is_bold;
                text.push_str(if is_bold { "\\fB" } else { "\\fR" });
            }
            '\\' => text.push_str("\\e"),
            '-' => text.push_str("\\-"),
            '\'' => text.push_str("\\(aq"),
            c => text.push(c),
        }
    }
    text
}

/// The text with the words of each link to another section in its place, as that section's title stands in the page.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once("](#") {
        let (Some((head, words)), Some((_, tail))) = (before.rsplit_once('['), after.split_once(')')) else {
            break;
        };
        text.push_str(&format!("{head}{}", words.to_uppercase()));
        rest = tail;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::roff;

    #[test]
    fn markup_becomes_roff() {
        assert_eq!(roff("**Required.** The `a-b`."), "\\fBRequired.\\fR The \\fBa\\-b\\fR.");
        assert_eq!(roff(r"`\r` and '"), r"\fB\er\fR and \(aq");
        assert_eq!(roff(".TH"), "\\&.TH");
        assert_eq!(roff("See [Names](#names), `[ a ]`."), "See NAMES, \\fB[ a ]\\fR.");
    }
}
