//! What settings were before `lvs` wrote them, as text: one line for each, in the order in which they were written.
//!
//! ```text
//! net.ipv4.ip_forward 0 1 net.ipv4.conf.eth2.forwarding=1
//! ```
//!
//! Name, value before, value written; then what the kernel changed by itself along with it and is to be set back too.

use std::fmt::Write as _;

use lvs_config::sysctl::SysctlName;

/// Longest text that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// One setting that `lvs` wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Which.
    pub name: SysctlName,
    /// Its value before.
    pub original: i64,
    /// The value that `lvs` gave it.
    pub written: i64,
    /// Others that the kernel changed along with it, and their values before.
    pub followers: Vec<(SysctlName, i64)>,
}

/// The text.
#[must_use]
pub fn render(all: &[Remembered]) -> String {
    let mut text = String::new();
    for Remembered { name, original, written, followers } in all {
        // Writing to a String cannot fail.
        let _ = write!(text, "{name} {original} {written}");
        for (name, original) in followers {
            let _ = write!(text, " {name}={original}");
        }
        text.push('\n');
    }
    text
}

/// What a text says, and the numbers of the lines that say nothing. Of two lines for one setting the first holds.
#[must_use]
pub fn parse(text: &[u8]) -> (Vec<Remembered>, Vec<usize>) {
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_BYTES)]);
    let mut all: Vec<Remembered> = Vec::new();
    let mut bad = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match one(line) {
            Some(remembered) if all.iter().all(|known| known.name != remembered.name) => all.push(remembered),
            _ => bad.push(number),
        }
    }
    (all, bad)
}

fn one(line: &str) -> Option<Remembered> {
    let mut words = line.split(' ');
    let name = SysctlName::parse(words.next()?).ok()?;
    let original = words.next()?.parse().ok()?;
    let written = words.next()?.parse().ok()?;
    let followers = words.map(|word| {
        let (name, original) = word.split_once('=')?;
        Some((SysctlName::parse(name).ok()?, original.parse().ok()?))
    });
    Some(Remembered { name, original, written, followers: followers.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_again() {
        let name = |text| SysctlName::parse(text).unwrap();
        let all = vec![
            Remembered {
                name: name("net.ipv4.ip_forward"),
                original: 0,
                written: 1,
                followers: vec![(name("net.ipv4.conf.eth0.7.forwarding"), 1)],
            },
            Remembered {
                name: name("net.ipv4.vs.est_nice"),
                original: -3,
                written: 0,
                followers: Vec::new(),
            },
        ];
        let text = render(&all);
        assert_eq!(
            text,
            "net.ipv4.ip_forward 0 1 net.ipv4.conf.eth0.7.forwarding=1\nnet.ipv4.vs.est_nice -3 0\n"
        );
        assert_eq!(parse(text.as_bytes()), (all, Vec::new()));
    }

    #[test]
    fn what_says_nothing_is_told_and_the_rest_is_taken() {
        let text =
            b"kernel.panic 0 1\nnet.ipv4.ip_forward 0 1\nnet.ipv4.ip_forward 1 0\nnet.ipv4.ip_forward\n\
                     net.ipv4.vs.conntrack 0 1 x\n\xff\n";
        let (all, bad) = parse(text);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].original, all[0].written), (0, 1));
        assert_eq!(bad, [1, 3, 4, 5, 6]);
    }
}
