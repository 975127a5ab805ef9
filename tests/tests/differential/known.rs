//! The known differences: what the generator leaves out, and what shows that each is still there.

use std::net::Ipv4Addr;

use super::{
    vocabulary::{Takes, row},
    words::{Item, Line},
};

/// One difference.
pub(super) struct Difference {
    /// Words of its row in `docs/compatibility.md`.
    pub(super) document: &'static str,
    /// Whether a command meets it.
    pub(super) applies: fn(&[Item]) -> bool,
    /// Commands that prepare the tables.
    pub(super) before: &'static [&'static str],
    /// The command that shows it; words are parted by single blanks, a `~` is a blank in a word.
    pub(super) line: &'static str,
    /// Standard input of the command.
    pub(super) input: &'static str,
    /// Where it shows.
    pub(super) look: Look,
    /// What is there with the original.
    pub(super) original: &'static str,
    /// What is there with ours.
    pub(super) ours: &'static str,
}

/// Where a difference shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// In the exit status.
    Status,
    /// In the standard output.
    Output,
    /// In the table, as the original saves it.
    Table,
}

const SERVICES: [&str; 4] = ["tcp-service", "udp-service", "sctp-service", "fwmark-service"];

/// The difference that a command meets, if any.
pub(super) fn applying(line: &Line) -> Option<&'static Difference> {
    KNOWN.iter().find(|difference| (difference.applies)(&line.items))
}

fn place(items: &[Item], name: &str) -> Option<usize> {
    items.iter().position(|it| it.name() == Some(name))
}

fn value<'a>(items: &'a [Item], name: &str) -> Option<&'a str> {
    items.iter().find_map(|it| it.value_of(name))
}

/// Whether an option comes before the one that names the service.
fn is_early(items: &[Item], name: &str) -> bool {
    let service = items.iter().position(|it| it.name().is_some_and(|name| SERVICES.contains(&name)));
    service.is_some_and(|service| place(items, name).is_some_and(|option| option < service))
}

fn never(_: &[Item]) -> bool {
    false
}

fn server_comes_early(items: &[Item]) -> bool {
    is_early(items, "real-server")
}

fn family_comes_early(items: &[Item]) -> bool {
    is_early(items, "ipv6")
}

/// Before it is known that it is one of IPv6.
fn mask_comes_early(items: &[Item]) -> bool {
    let before_family = match (place(items, "netmask"), place(items, "ipv6")) {
        (Some(mask), Some(six)) => mask < six,
        _ => false,
    };
    before_family || is_ipv6(items) && is_early(items, "netmask")
}

fn is_ipv6(items: &[Item]) -> bool {
    let service = SERVICES.iter().find_map(|name| value(items, name)).unwrap_or_default();
    place(items, "ipv6").is_some() || service.matches(':').count() > 1
}

/// What the original reads as a number or as another notation of an address: not words, and not four numbers.
fn mask_is_unusual(items: &[Item]) -> bool {
    let six = is_ipv6(items);
    value(items, "netmask").is_some_and(|mask| {
        let usual = match six {
            true => mask.parse::<u8>().is_ok(),
            false => mask.parse::<Ipv4Addr>().is_ok(),
        };
        !usual && mask.starts_with(|first: char| first.is_ascii_digit())
            || !six && mask.parse::<u32>().is_ok()
    })
}

/// `[10.0.0.1]:80`.
fn brackets_around_ipv4(items: &[Item]) -> bool {
    let values = SERVICES.iter().chain(&["real-server"]).filter_map(|name| value(items, name));
    let inner = values.filter_map(|value| value.strip_prefix('[')?.split(']').next());
    inner.filter(|inner| inner.parse::<Ipv4Addr>().is_ok()).count() > 0
}

/// A value that is wrong, and an option that does not exist, lacks its value or has one too many.
fn two_mistakes(items: &[Item]) -> bool {
    let is_odd = |it: &Item| match it {
        Item::Option(name, Some(value)) => {
            // A port by name is wrong with another protocol.
            let names_port = value.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_err());
            row(name).odd.contains(&value.as_str()) || names_port
        }
        Item::Plain(_) | Item::Option(_, None) => false,
    };
    let is_unknown = |it: &Item| match it {
        Item::Option(name, value) => match row(name).takes {
            Takes::Nothing => value.is_some(),
            Takes::Value => value.is_none(),
            Takes::Perhaps => false,
        },
        Item::Plain(word) => word.starts_with('-'),
    };
    items.iter().any(is_odd) && items.iter().any(is_unknown)
}

fn engine_without_persistence(items: &[Item]) -> bool {
    value(items, "pe").is_some_and(|engine| !engine.is_empty()) && place(items, "persistent").is_none()
}

fn mark_is_large(items: &[Item]) -> bool {
    let mark = value(items, "fwmark-service").and_then(|mark| mark.parse::<i64>().ok());
    mark.is_some_and(|mark| mark > i64::from(i32::MAX) && mark <= i64::from(u32::MAX))
}

fn third_flag_of_a_hash(items: &[Item]) -> bool {
    matches!(value(items, "scheduler"), Some("sh" | "mh"))
        && value(items, "sched-flags").is_some_and(|flags| flags.contains("flag-3"))
}

fn only_commas(items: &[Item]) -> bool {
    value(items, "sched-flags").is_some_and(|flags| !flags.is_empty() && flags.chars().all(|it| it == ','))
}

/// All of them.
pub(super) const KNOWN: &[Difference] = &[
    Difference {
        document: "`-S` forgets thresholds",
        // Compared all the same: without what the original forgets.
        applies: never,
        before: &["-A -t 10.0.0.1:80 -s rr", "-a -t 10.0.0.1:80 -r 10.2.0.1 -x 9 -y 3"],
        line: "-S -n",
        input: "",
        look: Look::Output,
        original: "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.2.0.1:80 -g -w 1\n",
        ours: "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.2.0.1:80 -g -w 1 -x 9 -y 3\n",
    },
    Difference {
        document: "`-S` and `-L` hide `flag-3` of `sh` and `mh`",
        applies: third_flag_of_a_hash,
        before: &["-A -t 10.0.0.1:80 -s sh -b sh-port,flag-3"],
        line: "-S -n",
        input: "",
        look: Look::Output,
        original: "-A -t 10.0.0.1:80 -s sh -b sh-port\n",
        ours: "-A -t 10.0.0.1:80 -s sh -b sh-port,flag-3\n",
    },
    Difference {
        document: "firewall marks above 2147483647 are shown as negative numbers",
        applies: mark_is_large,
        before: &["-A -f 2147483648 -s rr"],
        line: "-S -n",
        input: "",
        look: Look::Output,
        original: "-A -f -2147483648 -s rr\n",
        ours: "-A -f 2147483648 -s rr\n",
    },
    Difference {
        document: "`-S` without `-n` cuts names after 59 letters",
        // Nothing else uses that address.
        applies: never,
        before: &["-A -t 10.0.0.7:80 -s rr"],
        line: "-S",
        input: "",
        look: Look::Output,
        original: "-A -t a-name-that-is-longer-than-anybody-had-thought.of.example.c -s rr\n",
        ours: "-A -t a-name-that-is-longer-than-anybody-had-thought.of.example.com:http -s rr\n",
    },
    Difference {
        document: "`-r` before `-t` loses the port",
        applies: server_comes_early,
        before: &["-A -t 10.0.0.1:80 -s rr"],
        line: "-a -r 10.2.0.1 -m -t 10.0.0.1:80",
        input: "",
        look: Look::Table,
        original: "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.2.0.1:0 -m -w 1\n",
        ours: "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.2.0.1:80 -m -w 1\n",
    },
    Difference {
        document: "`-M` before an address of IPv6 or `-6` the mask",
        applies: mask_comes_early,
        before: &[],
        line: "-A -M 64 -t [2001:db8::1]:80 -p 9",
        input: "",
        look: Look::Table,
        original: "-A -t [2001:db8::1]:80 -s wlc -p 9\n",
        ours: "-A -t [2001:db8::1]:80 -s wlc -p 9 -M 64\n",
    },
    Difference {
        document: "`-M` before an address of IPv6 or `-6` the mask",
        applies: never,
        before: &[],
        line: "-A -f 6 -M 64 -6 -p 9",
        input: "",
        look: Look::Table,
        original: "-A -f 6 -6 -s wlc -p 9\n",
        ours: "-A -f 6 -6 -s wlc -p 9 -M 64\n",
    },
    Difference {
        document: "`-6` before `-f` is refused",
        applies: family_comes_early,
        before: &[],
        line: "-A -6 -f 1",
        input: "",
        look: Look::Status,
        original: "2",
        ours: "0",
    },
    Difference {
        document: "`-M 24` means the mask 0.0.0.24",
        applies: mask_is_unusual,
        before: &[],
        line: "-A -t 10.0.0.1:80 -p 9 -M 24",
        input: "",
        look: Look::Table,
        original: "-A -t 10.0.0.1:80 -s wlc -p 9 -M 0.0.0.24\n",
        ours: "-A -t 10.0.0.1:80 -s wlc -p 9 -M 255.255.255.0\n",
    },
    Difference {
        document: "`-M 255.255`",
        applies: mask_is_unusual,
        before: &[],
        line: "-A -t 10.0.0.1:80 -p 9 -M 255.255",
        input: "",
        look: Look::Table,
        original: "-A -t 10.0.0.1:80 -s wlc -p 9 -M 255.0.0.255\n",
        ours: "",
    },
    Difference {
        document: "`-M 64x`",
        applies: mask_is_unusual,
        before: &[],
        line: "-A -t [2001:db8::1]:80 -p 9 -M 64x",
        input: "",
        look: Look::Table,
        original: "-A -t [2001:db8::1]:80 -s wlc -p 9 -M 64\n",
        ours: "",
    },
    Difference {
        document: "a blank ends an address or a mask",
        // The generator writes none.
        applies: never,
        before: &[],
        line: "-A -t 10.0.0.1~:80",
        input: "",
        look: Look::Status,
        original: "0",
        ours: "2",
    },
    Difference {
        document: "`[10.0.0.1]:80` is 10.0.0.1 with port 0",
        applies: brackets_around_ipv4,
        before: &[],
        line: "-A -t [10.0.0.1]:80 -p 9",
        input: "",
        look: Look::Table,
        original: "-A -t 10.0.0.1:0 -s wlc -p 9\n",
        ours: "",
    },
    Difference {
        document: "of two mistakes in a command the first decides",
        applies: two_mistakes,
        before: &[],
        line: "--stop-daemon x --syncid",
        input: "",
        look: Look::Status,
        original: "2",
        ours: "255",
    },
    Difference {
        document: "`--pe` without `-p` is accepted without effect",
        applies: engine_without_persistence,
        before: &[],
        line: "-A -t 10.0.0.1:80 --pe sip",
        input: "",
        look: Look::Status,
        original: "0",
        ours: "2",
    },
    Difference {
        document: "`-b ,` crashes it",
        applies: only_commas,
        before: &[],
        line: "-A -t 10.0.0.1:80 -b ,",
        input: "",
        look: Look::Status,
        original: "139",
        ours: "0",
    },
    Difference {
        document: "`-R` stops at a comment",
        // The generator writes no comments.
        applies: never,
        before: &[],
        line: "-R",
        input: "-A -t 10.0.0.1:80 # web\n-A -t 10.0.0.2:80\n",
        look: Look::Table,
        original: "",
        ours: "-A -t 10.0.0.1:80 -s wlc\n-A -t 10.0.0.2:80 -s wlc\n",
    },
    Difference {
        document: "the word `ipvsadm` disappears from every rule",
        applies: never,
        before: &[],
        line: "-R",
        input: "-A ipvsadm -t 10.0.0.1:80\n",
        look: Look::Table,
        original: "-A -t 10.0.0.1:80 -s wlc\n",
        ours: "",
    },
    Difference {
        document: "`/sbin/ipvsadm` at the beginning of a rule",
        applies: never,
        before: &[],
        line: "-R",
        input: "/sbin/ipvsadm -A -t 10.0.0.1:80\n",
        look: Look::Table,
        original: "",
        ours: "-A -t 10.0.0.1:80 -s wlc\n",
    },
];
