//! What tells how much a server can take: an agent on it, or a number in a JSON document. The words of `load_monitor` in
//! lvs.cf and of `--load` of `nanny`.
//!
//! ```text
//! agent port=5309
//! json port=9100 path=/health field=load.one means=load
//! ```
//!
//! The programs that old files name (`uptime`, `rup`, a path) are none of these: a text is read here only if its first word
//! is `agent` or `json`.

use std::fmt;
use std::str::FromStr;

use crate::error::{SpecError, allowed, printable};
use crate::options::{About, Options};
use crate::words::{Line, Word, split};

/// Options of `agent`.
const AGENT_OPTIONS: &[About] = &[
    About::once("port", "PORT", "", "**Required.** The port of the agent on the real server."),
    About::once("send", "TEXT", "nothing", "Sent to the agent after connecting."),
];

/// Options of `json`.
const JSON_OPTIONS: &[About] = &[
    About::once(
        "field",
        "NAME.NAME",
        "",
        "**Required.** Where in the document the number is: names, and numbers for places in lists, between dots.",
    ),
    About::once(
        "means",
        "percent|load",
        "`percent`",
        "`percent`: the part of its weight that the server gets, 0 to 100. `load`: a load average, from which the weight is \
         computed as from that of `uptime`.",
    ),
    About::once("path", "PATH", "`/`", "Path of the document, asked for with `GET`."),
    About::once("host", "NAME", "the real server's address and port", "The name in the `Host` field."),
    About::once("port", "PORT", "the real server's", "Port of the web server."),
];

/// A source of advice on a server's weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Load {
    /// A TCP port that answers with one line, as the agents that HAProxy asks.
    Agent {
        /// Its port.
        port: u16,
        /// What is sent first; empty for nothing.
        send: Vec<u8>,
    },
    /// A number in a JSON document.
    Json {
        /// Where it is: keys of objects and indexes of lists, at least one.
        field: Vec<String>,
        /// What it means.
        means: Meaning,
        /// Path of the document.
        path: String,
        /// The `Host` field, if it is not the server's address and port.
        host: Option<String>,
        /// Port of the web server in place of the real server's.
        port: Option<u16>,
    },
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The part of the configured weight, 0 to 100.
    Percent,
    /// A load average.
    Load,
}

impl Load {
    /// Whether a text is meant for [`Load::from_str`], and not the name of a program.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        matches!(text.split_ascii_whitespace().next(), Some("agent" | "json"))
    }

    /// What the manual says: each source with its options.
    #[must_use]
    pub fn described() -> [(&'static str, &'static [About]); 2] {
        [("agent", AGENT_OPTIONS), ("json", JSON_OPTIONS)]
    }
}

impl FromStr for Load {
    type Err = SpecError;

    /// Reads a source.
    ///
    /// # Errors
    /// [`SpecError`] for the first thing that is wrong, with its place in the text.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        let words = split(text)?;
        let names = || ["agent", "json"].into_iter();
        match words.split_first() {
            Some((first, rest)) if first.is_plain("agent") => {
                agent(&Options::new("agent", AGENT_OPTIONS, rest, text.len())?)
            }
            Some((first, rest)) if first.is_plain("json") => {
                json(&Options::new("json", JSON_OPTIONS, rest, text.len())?)
            }
            Some((first, _)) => {
                let message = format!("`{}` tells no load", printable(first.raw));
                Err(SpecError::new(first.place.clone(), message, allowed(names())))
            }
            None => Err(SpecError::new(0..text.len(), "the source of the load is missing", allowed(names()))),
        }
    }
}

fn agent(options: &Options<'_>) -> Result<Load, SpecError> {
    let port = options
        .port("port")?
        .ok_or_else(|| options.missing("port", "write port=PORT, where the agent listens"))?;
    let send = options.one("send").map(Word::some_bytes).transpose()?.unwrap_or_default();
    Ok(Load::Agent { port, send })
}

fn json(options: &Options<'_>) -> Result<Load, SpecError> {
    let field = options
        .one("field")
        .ok_or_else(|| options.missing("field", "write field=NAME, where the number is"))?;
    let names: Vec<String> = field.text()?.split('.').map(str::to_owned).collect();
    if names.iter().any(String::is_empty) {
        return Err(field.refuse("write names between dots, none of them empty"));
    }
    let path = options.one("path").map(Word::text).transpose()?.unwrap_or_else(|| "/".into());
    if let Some(word) = options.one("path").filter(|_| !path.starts_with('/') || path.contains(' ')) {
        return Err(word.refuse("write a path that begins with / and holds no blanks"));
    }
    let host = options.text("host")?;
    if let Some(word) = options.one("host").filter(|_| host.as_ref().is_some_and(|host| host.contains(' '))) {
        return Err(word.refuse("write a name without blanks"));
    }
    let means = options.choice("means", &[("percent", Meaning::Percent), ("load", Meaning::Load)])?;
    Ok(Load::Json {
        field: names,
        means: means.unwrap_or(Meaning::Percent),
        path,
        host,
        port: options.port("port")?,
    })
}

/// Writes the source so that it reads back as the same.
impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::default();
        match self {
            Self::Agent { port, send } => {
                line.word("agent");
                line.plain("port", port);
                if !send.is_empty() {
                    line.bytes("send", send);
                }
            }
            Self::Json { field, means, path, host, port } => {
                line.word("json");
                line.bytes("field", field.join(".").as_bytes());
                if *means == Meaning::Load {
                    line.plain("means", "load");
                }
                if path != "/" {
                    line.bytes("path", path.as_bytes());
                }
                if let Some(host) = host {
                    line.bytes("host", host.as_bytes());
                }
                if let Some(port) = port {
                    line.plain("port", port);
                }
            }
        }
        f.write_str(line.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<Load>().unwrap_err().to_string()
    }

    #[test]
    fn sources_read_and_write() {
        for text in [
            "agent port=5309",
            r"agent port=5309 send=state\n",
            "json field=cpu.idle",
            "json field=load.0 means=load path=/status?x=1 host=www.example.org port=9100",
        ] {
            assert_eq!(text.parse::<Load>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_two_words_are_not_programs() {
        assert!(Load::is_meant("agent port=1") && Load::is_meant(" json"));
        assert!(!Load::is_meant("/usr/local/bin/agent") && !Load::is_meant("uptime") && !Load::is_meant(""));
    }

    #[test]
    fn what_cannot_be_is_told() {
        assert_eq!(wrong("agent"), "`agent` needs `port`; write port=PORT, where the agent listens");
        assert_eq!(wrong("json"), "`json` needs `field`; write field=NAME, where the number is");
        assert_eq!(
            wrong("json field=a..b"),
            "`field` is `a..b`; write names between dots, none of them empty"
        );
        assert_eq!(
            wrong("json field=a path=x"),
            "`path` is `x`; write a path that begins with / and holds no blanks"
        );
        assert_eq!(wrong("json field=a means=idle"), "`means` is `idle`; allowed: percent, load");
        assert_eq!(wrong("uptime"), "`uptime` tells no load; allowed: agent, json");
    }
}
