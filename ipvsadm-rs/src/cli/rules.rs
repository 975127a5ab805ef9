//! Rules as `--save` writes and `--restore` reads them: one command line without the program's name each.

use std::ffi::OsString;

use super::args::{self, ArgsError, Command};
use super::names::Names;
use super::order;
use super::render::Named;
use crate::model::ServiceEntry;
use crate::request::line::{push_destination, push_service};

/// Appends the lines that make a service anew, its destinations sorted as in a listing.
pub fn save(text: &mut String, entry: &ServiceEntry, names: &dyn Names) {
    let spelling = Named(names);
    push_service(text, "-A ", &entry.service, &spelling);
    text.push('\n');
    for it in order::destinations(&entry.destinations) {
        push_destination(text, "-a ", &entry.service.id, &it.destination, &spelling);
        text.push('\n');
    }
}

/// Reads one line. `None` if there is nothing on it.
///
/// Words are separated by blanks and tabs, quotes have no meaning; a word that begins with `#` begins a comment; a
/// leading `ipvsadm`, also with a path and however often, is passed over.
///
/// # Errors
/// As [`args::parse`].
pub fn read(line: &str, names: &dyn Names) -> Result<Option<Command>, ArgsError> {
    let words = line.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty());
    let mut words = words.take_while(|word| !word.starts_with('#')).peekable();
    while words.next_if(|word| *word == "ipvsadm" || word.ends_with("/ipvsadm")).is_some() {}
    if words.peek().is_none() {
        return Ok(None);
    }
    args::parse(words.map(OsString::from), names).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::names::Numeric;
    use super::*;
    use crate::model::{Scheduler, Service, ServiceId};
    use crate::request::Request;

    #[test]
    fn a_line_may_be_empty_or_have_a_comment_and_the_programs_name() {
        let service = Service::new(ServiceId::tcp("10.5.0.1:80".parse().unwrap()), Scheduler::RR);
        let add = Ok(Some(Command::Change(Request::AddService(service))));
        for line in [
            "-A -t 10.5.0.1:80 -s rr",
            "  ipvsadm -A -t 10.5.0.1:80\t-s rr  # web",
            "/sbin/ipvsadm -A -t 10.5.0.1:80 -s rr\r",
            "ipvsadm ipvsadm -A -t 10.5.0.1:80 -s rr",
        ] {
            assert_eq!(read(line, &Numeric), add, "{line}");
        }
        assert!(
            read("-A -t 10.5.0.1:80\u{b}-s rr", &Numeric).is_err(),
            "no other white space separates words"
        );
        for line in ["", "   ", "# -A -t 10.5.0.1:80", "ipvsadm"] {
            assert_eq!(read(line, &Numeric), Ok(None), "{line}");
        }
    }
}
