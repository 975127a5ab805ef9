//! The reference of `lvs.cf` for people, from the table of directives.

use std::fmt::Write as _;

use crate::keys::{Key, Section};

const HEAD: &str = "\
# lvs.cf

<!-- Generated: cargo run -p lvs-config --example lvs_cf_reference > docs/lvs.cf.md -->

The configuration of the router pair: read by `pulse` and `lvs`, normally `/etc/sysconfig/ha/lvs.cf`, and the same on both
routers. `lvs --check FILE` tells everything that is wrong with a file.

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
- **Addresses** are IPv4 or IPv6. Where the name of a host is allowed it is looked up once, when the file is read.
- **Floating addresses** are followed by a device with an alias of its own, and may carry a prefix length:
  `address = 192.0.2.1/24 eth0:1`, `address = 2001:db8::1/64 eth0`.
- **Masks** are dotted (`255.255.255.0`) or prefix lengths (`24`); IPv6 takes prefix lengths.

Below, an empty default means that the directive is not set.
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
    text
}
