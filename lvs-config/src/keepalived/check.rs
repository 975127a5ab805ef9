//! Checkers to what `nanny` can do: connect, send and expect, or run a program.

use std::net::IpAddr;

use super::notes::Notes;
use super::timing::Timing;
use super::tree::Node;
use super::{pattern, values};
use crate::model::Protocol;

/// How a real server is checked, as `lvs.cf` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Probe {
    /// By connecting.
    Connect,
    /// Not at all: it counts as up.
    Never,
    /// By what it answers. Texts as `nanny` reads them, backslashes included.
    Answer { send: Option<String>, expect: Option<String>, use_regex: bool },
    /// By a program's exit status.
    Program(String),
}

/// A checker: how, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checker {
    pub(super) probe: Probe,
    pub(super) timing: Timing,
    /// Retries when none are given.
    pub(super) retries: u32,
}

/// What a checker needs to know of its server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked<'a> {
    pub(super) protocol: Protocol,
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) virtual_host: Option<&'a str>,
}

/// The checker of `node`; `None` when it is not one.
pub(super) fn read(node: &Node, server: Checked<'_>, notes: &mut Notes) -> Option<Checker> {
    let mut reader = Reader { server, timing: Timing::default(), notes, rest: Vec::new() };
    let retries = match node.keyword() {
        "DNS_CHECK" => 3,
        "MISC_CHECK" => 0,
        _ => 1,
    };
    for inner in &node.nodes {
        if !reader.timing.take(inner, reader.notes) {
            reader.rest.push(inner);
        }
    }
    let probe = match node.keyword() {
        "TCP_CHECK" => reader.connect(node),
        "HTTP_GET" => reader.http(node),
        "SSL_GET" => reader.tls(node),
        "SMTP_CHECK" => reader.smtp(node),
        "DNS_CHECK" => reader.dns(node),
        "MISC_CHECK" => reader.program(node),
        "UDP_CHECK" => reader.datagram(node),
        "PING_CHECK" => reader.ping(node),
        "BFD_CHECK" | "FILE_CHECK" => {
            reader.rest.clear();
            reader.instead(node, "there is no such check")
        }
        _ => return None,
    };
    reader.leave_rest();
    Some(Checker { probe, timing: reader.timing, retries })
}

/// What takes the place of a check that there is not.
pub(super) fn fallback(protocol: Protocol) -> Probe {
    match protocol {
        Protocol::Udp => Probe::Never,
        Protocol::Tcp | Protocol::Sctp => Probe::Connect,
    }
}

struct Reader<'a, 'n> {
    server: Checked<'a>,
    timing: Timing,
    notes: &'n mut Notes,
    /// What of the block has not been understood yet.
    rest: Vec<&'a Node>,
}

impl<'a> Reader<'a, '_> {
    /// Takes the first line with `keyword`.
    fn take(&mut self, keyword: &str) -> Option<&'a Node> {
        let at = self.rest.iter().position(|node| node.keyword() == keyword)?;
        Some(self.rest.remove(at))
    }

    fn leave_rest(&mut self) {
        for node in std::mem::take(&mut self.rest) {
            let why = match node.keyword() {
                "connect_port" | "connect_ip" => "checks go to the real server's address and port",
                "bindto" | "bind_if" | "bind_port" | "fwmark" => "checks leave as the router's routes say",
                _ => "this check has no such setting",
            };
            self.notes.leave(node.place, &node.words, why);
        }
    }

    /// The probe in place of `node`, which cannot be carried.
    fn instead(&mut self, node: &Node, why: &str) -> Probe {
        let probe = fallback(self.server.protocol);
        let instead = match probe {
            Probe::Never => "the server counts as up",
            _ => "only connects",
        };
        self.notes.add(node.place, format!("{}: {why}; {instead}", node.keyword()));
        probe
    }

    /// Whether the service is spoken to over TCP.
    fn is_tcp(&self) -> bool {
        self.server.protocol == Protocol::Tcp
    }

    fn connect(&mut self, node: &Node) -> Probe {
        match self.server.protocol {
            Protocol::Udp => self.instead(node, "a UDP server is checked over UDP"),
            Protocol::Tcp | Protocol::Sctp => Probe::Connect,
        }
    }

    fn http(&mut self, node: &Node) -> Probe {
        let minor = match self.take("http_protocol").and_then(Node::argument) {
            Some("1.1") => 1,
            _ => 0,
        };
        let host = self.take("virtualhost").and_then(Node::argument).or(self.server.virtual_host);
        let url = self.take("url");
        self.further_urls();
        // Only a delay between several pages.
        self.take("fast_recovery");
        let Some(url) = url else { return self.instead(node, "no url is given") };
        if !self.is_tcp() {
            return self.instead(node, "the virtual server is not TCP");
        }
        self.page(url, host, minor)
    }

    fn further_urls(&mut self) {
        while let Some(url) = self.take("url") {
            let path = url.nodes.iter().find(|n| n.keyword() == "path").and_then(Node::argument);
            let message = format!("url {}: only the first page is asked for", path.unwrap_or_default());
            self.notes.add(url.place, message);
        }
    }

    fn page(&mut self, url: &'a Node, host: Option<&str>, minor: u8) -> Probe {
        let mut path = "/";
        let mut host = host;
        let mut expect = pattern::status([pattern::DEFAULT]);
        for node in &url.nodes {
            match (node.keyword(), node.argument()) {
                ("path", Some(text)) => path = text,
                ("virtualhost", Some(text)) => host = Some(text),
                ("status_code", Some(_)) => {
                    let found = pattern::status(node.arguments().iter().map(String::as_str));
                    if found.is_none() {
                        self.notes.leave(node.place, &node.words, "no status code from 100 to 999");
                    }
                    expect = found.or(expect);
                }
                ("digest", _) => {
                    self.notes.leave(node.place, &node.words, "the page is not compared, only its status");
                }
                _ => self.notes.leave(node.place, &node.words, "only the status of the page is looked at"),
            }
        }
        let mut send = format!("GET {} HTTP/1.{minor}\\r\\n", escaped(path));
        if let Some(host) = host {
            send.push_str(&format!("Host: {}\\r\\n", escaped(host)));
        }
        if minor == 1 {
            send.push_str("Connection: close\\r\\n");
        }
        send.push_str("\\r\\n");
        if values::token(&send).is_none() {
            return self.instead(url, "the request cannot be written");
        }
        Probe::Answer { send: Some(send), expect, use_regex: true }
    }

    fn tls(&mut self, node: &Node) -> Probe {
        self.rest.clear();
        self.instead(node, "checks do not speak TLS")
    }

    fn smtp(&mut self, node: &Node) -> Probe {
        if !self.is_tcp() {
            return self.instead(node, "the virtual server is not TCP");
        }
        self.take("helo_name");
        self.notes.add(node.place, "SMTP_CHECK: the greeting must be 220; HELO is not sent");
        Probe::Answer { send: None, expect: Some("220".to_owned()), use_regex: false }
    }

    fn dns(&mut self, node: &Node) -> Probe {
        self.notes.add(node.place, "DNS_CHECK: /usr/bin/host is run for each check");
        let kind = self.take("type").and_then(Node::argument).unwrap_or("SOA");
        let name = self.take("name").and_then(Node::argument).unwrap_or(".");
        let is_plain =
            |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let (kind, name) = if is_plain(kind) && is_plain(name) { (kind, name) } else { ("SOA", ".") };
        let port = if self.server.port == 53 { "" } else { "-p %p " };
        Probe::Program(format!("/usr/bin/host {port}-W 5 -t {kind} {name} %h"))
    }

    fn ping(&mut self, node: &Node) -> Probe {
        self.notes.add(node.place, "PING_CHECK: /bin/ping is run for each check");
        Probe::Program("/bin/ping -n -q -c 1 -W 5 %h".to_owned())
    }

    fn program(&mut self, node: &Node) -> Probe {
        for (keyword, why) in [
            ("misc_timeout", "a program is killed after the interval between checks"),
            ("misc_dynamic", "exit statuses from 2 on are failures here, and change no weight"),
            ("user", "check programs run without capabilities, as the user of lvs"),
        ] {
            if let Some(found) = self.take(keyword) {
                self.notes.leave(found.place, &found.words, why);
            }
        }
        let Some(path) = self.take("misc_path").and_then(Node::argument) else {
            return self.instead(node, "no misc_path is given");
        };
        // What names this server is the same for all of them once it is put in general terms.
        let (address, port) = (self.server.address.to_string(), self.server.port.to_string());
        let word = |word: &'_ str| match word {
            _ if word == address => "%h".to_owned(),
            _ if word == port => "%p".to_owned(),
            _ => word.to_owned(),
        };
        let words: Vec<String> = path.split_whitespace().map(word).collect();
        let command = words.join(" ");
        match values::command(&command) {
            Some(_) => Probe::Program(command),
            None => self.instead(node, "an argument with blanks or quotes cannot be written"),
        }
    }

    fn datagram(&mut self, node: &Node) -> Probe {
        let payload = self.take("payload").map(|n| bytes(n.arguments()));
        let reply = self.take("require_reply").map(|n| bytes(n.arguments()));
        if self.server.protocol != Protocol::Udp {
            return self.instead(node, "a server is checked over the protocol of its service");
        }
        let (Some(payload), Some(reply)) = (payload, reply) else {
            return self.instead(node, "without a payload and a reply there is nothing to tell by");
        };
        let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| printable(&bytes));
        let (send, expect) = (text(payload), text(reply));
        match (send, expect) {
            (Some(send), Some(expect))
                if values::token(&send).is_some() && values::token(&expect).is_some() =>
            {
                let expect = if expect.is_empty() { "*".to_owned() } else { expect };
                Probe::Answer { send: Some(send), expect: Some(expect), use_regex: false }
            }
            _ => self.instead(node, "`send` and `expect` are text"),
        }
    }
}

/// Hexadecimal digits to bytes; `None` when there is something else among them.
fn bytes(words: &[String]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for word in words {
        let digits: Vec<u32> = word.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        for pair in digits.chunks(2) {
            let value = pair.iter().fold(0, |value, digit| value * 16 + digit);
            out.push(u8::try_from(value).ok()?);
        }
    }
    Some(out)
}

/// `bytes` as `nanny` reads them back, when they are text.
fn printable(bytes: &[u8]) -> Option<String> {
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'\r' => out.push_str("\\r"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\\' => out.push_str("\\\\"),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => return None,
        }
    }
    Some(out)
}

/// `text` with its backslashes doubled, which `nanny` takes for one.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
}
