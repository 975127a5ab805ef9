//! The reference of `lvs.cf` for people, from the table of directives.

use std::fmt::Write as _;

use checkspec::options::About;

use crate::keys::{Key, Section};

const HEAD: &str = "\
# lvs.cf

<!-- Generated: cargo run -p lvs-config --example lvs_cf_reference > docs/lvs.cf.md -->

The configuration of the router pair: `/etc/lvs-router/lvs.cf` or `/etc/sysconfig/ha/lvs.cf`, read by `pulse` and `lvs`, the
same on both routers. `lvs check FILE` tells everything that is wrong with a file. A commented example is
`lvs.cf.example`; others are in `docs/examples`.

## Form

```text
# a comment
directive = value
virtual NAME {
    directive = value
    server NAME {
        directive = value
    }
}
```

- A directive stands on a line of its own; the order is free. Given twice, the last one holds, with a warning.
- Lines end with LF, CRLF or CR. Blanks are space and tab; those around `=` and before `{` may be missing.
- `#` at the beginning of a word starts a comment.
- A value with blanks, or one that begins with `#`, needs quotes, `\"` or `'`. Nothing is special between quotes; a value in
  one kind of quotes may contain the other. A backslash is kept: `send` and `expect` give it a meaning.
- `{` stands on the line of its block's name. `}` may share a line. Blocks nest only as shown.
- Keywords are in lower case.

## Values

- **Numbers** may be written in decimal, in hexadecimal with `0x`, or in octal with a leading `0`.
- **Times** are whole numbers of seconds, or decimal numbers with a unit: `200ms`, `1.5s`, `2m`, `1h`. The finest is one
  millisecond. Where the kernel counts seconds, a fraction is an error.
- **Addresses** are IPv4 or IPv6. Where the name of a host is allowed see [Names](#names).
- **Floating addresses** are followed by a device and may carry a prefix length: `address = 192.0.2.1/24 eth0:1`,
  `address = 2001:db8::1/64 eth0`. For IPv4 the device is usually an alias, which becomes the label of the address, and
  each address has its own. On an interface without alias the address is added, without a label, to those it has.
- **Masks** are dotted (`255.255.255.0`) or prefix lengths (`24`); IPv6 takes prefix lengths.

Below, an empty default means that the directive is not set.
";

const CHECKS: &str = "
## Checks

What makes a real server healthy follows from what its virtual server gives; nanny(8) has the details.

| given | healthy is a server that |
| --- | --- |
| `check` | does what it says, see [Kinds of checks](#kinds-of-checks); whatever else of this table is given |
| nothing | accepts a connection; with `port = 80`, which is the default, also answers `GET / HTTP/1.0` with something that begins with `HTTP` |
| `send` | accepts a connection, and `send` |
| `expect`, with `send` or without | answers so: from the beginning on, or anywhere with `use_regex`; with anything for `*` |
| `protocol = udp` and `send` | answers, and as `expect` says if it is given. Silence is a failure, so without `send` every check fails: give one, or a program |
| `send_program` | lets it end with status 0 within `timeout`; with `expect`, its output is that |
| `client_monitor` | is one for that program, which keeps its row in the table itself |

The first check decides alone. After that, `fall` failures in a row take a server out, and it comes back when it has answered
well for `reentry` and `rise` times. Virtual servers that want the same of the same server share a check.
";

const KINDS: &str = "
## Kinds of checks

`check = KIND NAME=VALUE …` stands on one line. A value that has blanks or quotes, or none at all, stands in double quotes;
in it `\\r`, `\\n`, `\\t`, `\\\\` and `\\\"` stand for the usual characters and `\\xHH` for any byte. A backslash before anything
else is kept, so that regular expressions can have theirs. `nanny --check` takes the same text, which is the way to try
one: `nanny -h 10.0.0.11 -r 25 -n -v --check 'tcp expect=\"220 \"'`.

```text
virtual mail {
    check = tcp expect=\"220 \" send=QUIT\\r\\n expect=\"221 \"    # a comment
}
virtual game {
    check = 'udp send=\"\\xff\\xff status\" contains=\"map #1\"'
}
```

Quotes of this file around all of it are possible and not needed. Examples are in `docs/examples/checks.cf`.
";

const TAIL: &str = "
## Included files

`include = FILE` puts what is in another file in the place of the directive: outside of the blocks, directives and blocks;
in a `virtual` block, directives of the block and `server` blocks, which is where programs like to write. `serial_no`, the
routers and all that is written by hand stay in the first file. An example is `docs/examples/include.cf`.

- A relative path starts at the folder of the file in which the directive stands.
- The last part of the path may contain the wildcards `*`, `?` and `[abc]`. The files are read in the order of their names,
  as the C locale has it. Hidden files (`.web.cf.swp`) are matched only by a pattern that begins with a point.
- A file without wildcards that is not there, and a folder that is not there, are errors. Wildcards that match nothing are a
  warning.
- `include` may be given any number of times, also of the same file. As everywhere, of a directive that is given twice the
  last one holds, with a warning.
- A block begins and ends in the same file.
- Included files may include others, at most 8 within each other and not in a circle; 10,000 files and 64 MiB together
  are the limit. Only regular files are read. What cannot be read is an error, so a reload then changes nothing.
- Messages name the included file with the line in it. The other files are read when the first one is: a change in one of
  them needs a reload like a change in the first. On the other router they must be the same as well.

## Names

Where the name of a host is allowed, it is looked up when the file is read, all names side by side: a start or reload waits
at most one second for names whose last address is known, and five while there are others. `lvs` goes on serving meanwhile.

- A name that cannot be resolved keeps the address that it had last, with a warning. Last addresses are kept in
  `/var/lib/lvs-router/names`, so a restart and a takeover need no name server. `pulse` on the backup router keeps its own.
- A name that was never resolved is an error: there is nothing that it could stand for, and leaving a server out silently
  would be worse. At a reload nothing changes then; a new router needs its name server once, or an address.
- `lvs` looks names up again every half minute. A real server whose name has another address is replaced as by a reload, of
  the file as it was read last. `pulse` only remembers; a VIP or a router whose name moves takes effect at the next reload.
- Of several addresses the one in use is kept for as long as it is among them.

## What must not be

These are errors, found by `lvs check` and at every start and reload:

- `deadtime` that is not longer than `keepalive`; the same address for both routers, or addresses of two families;
- `primary_private` without `backup_private`, where there is a backup;
- a VIP or `nat_router` that is the address of a router;
- two addresses on one alias (`eth0:1`), `nat_router` included;
- an included file that is not there or includes itself;
- two active virtual servers with the same address, port and protocol, or with the same firewall mark;
- two active real servers of a virtual server with the same address and port, or one that equals the sorry server;
- a real server or sorry server of another family than the VIP, unless it is reached through a tunnel;
- real servers of a virtual server that the kernel cannot tell apart, reached in different ways: only `nat` changes ports;
- a sorry server with another port than the virtual server, unless it is reached by `nat`;
- `tunnel_port` without `tunnel_type = gue`; a `tunnel_checksum` that the type has not;
- `one_packet` with anything but UDP or a `fwmark`; a switch of `sh` or `mh` with another scheduler;
- `min_connections` greater than `max_connections`; `quorum_hysteresis` that is not less than `quorum`;
- a `check` of no kind that there is, or with options that it has not; an `expect` that is no regular expression with
  `use_regex`;
- an active block without an address; a failover service without `start_cmd` and `stop_cmd`.

What is odd without being wrong is a warning, which stops nothing:

- a directive given twice, or without effect where it stands; a number that is read as octal;
- `deadtime` less than twice `keepalive`;
- a virtual server without active real servers, or with nothing but weights of 0; a `quorum` that all of them together do not
  reach;
- a port of a real server that only checks use, as with `direct` and `tunnel`;
- one VIP on two devices; active blocks of one name beside each other;
- an `expect` longer than what is read of an answer; a check over UDP that sends nothing;
- NAT without `nat_router` where there is a backup router;
- a VIP or `nat_router` without a mask that is in none of the networks which its interface has on this machine.

Of the machine, the check asks names and the addresses of interfaces only; `lvs doctor` looks at interfaces, routes and
settings. A program that is missing, a regular expression that is too large, and a scheduler whose kernel module is missing
show themselves in the log and in `lvs status` once they are in use.

## When a change takes effect

| a change of | takes effect |
| --- | --- |
| virtual servers, real servers, checks, hooks, `metrics`, `sysctl`, connection timeouts | at a reload; what is as before is left alone |
| floating addresses, `keepalive`, `deadtime`, `monitor_links`, `active_cmd`, `inactive_cmd` | at a reload of `pulse` |
| `primary`, `primary_private`, `backup`, `backup_private`, `backup_active`, `heartbeat_port`, `syncdaemon`, `syncd_iface`, `syncd_id` | at a restart of `pulse`, which refuses a reload with such a change as a whole and says so in the log and in `pulse status` |
| an included file, the address behind a name | as the directive it stands for; real servers are followed without a reload, see [Names](#names) |

A reload is SIGHUP to `pulse`, which reads the file and passes the signal on to `lvs`. SIGHUP to `lvs`, and `lvs ctl reload`,
concern `lvs` alone: a VIP that is new or moved is in the kernel's table then, but not yet on an interface. `lvs diff FILE`
tells beforehand what `lvs` would do. A file with an error changes nothing. `lvs check FILE` warns of what needs a restart
of `pulse` where one runs that reads this file.

## Differences from Piranha

Files of Piranha are read as they are; [compatibility.md](compatibility.md#lvscf) has every difference with its reason, and
`lvs migrate FILE` tells those that a file depends on.
";

/// The reference as Markdown, which `docs/lvs.cf.md` holds.
pub fn reference_markdown() -> String {
    let mut text = HEAD.to_owned();
    for section in Section::ALL {
        let title = match section {
            Section::Global => "Outside of all blocks",
            Section::Service => "`virtual NAME {` and `failover NAME {`",
            Section::Server => "`server NAME {`, in `virtual`",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## {title}\n\n| directive | value | default | meaning |\n| --- | --- | --- | --- |\n"
        );
        for key in Key::in_section(section) {
            let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
            let value = key.value.allowed();
            let _ = writeln!(text, "| `{}` | {value} | {default} | {} |", key.name, key.help);
        }
    }
    text + CHECKS + KINDS + &kinds() + TAIL
}

/// What each kind of check does, with its options.
fn kinds() -> String {
    let mut text = String::new();
    for kind in checkspec::described() {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n### `{}`\n\n{}\n\n", kind.name, kind.about);
        for option in kind.options {
            let _ = writeln!(text, "- `{}`{}: {}", usage(option), amount(option), option.about);
        }
    }
    text
}

/// How an option of a check is written.
pub(crate) fn usage(option: &About) -> String {
    if option.value.is_empty() { option.name.to_owned() } else { format!("{}={}", option.name, option.value) }
}

/// How often an option of a check may be given, and what it is when it is not.
pub(crate) fn amount(option: &About) -> String {
    match option.default {
        _ if option.repeated => " (any number of times)".to_owned(),
        "" => String::new(),
        default => format!(" (default: {default})"),
    }
}
