//! Checkers to what `check` of `lvs.cf` can say.

use std::net::IpAddr;
use std::time::Duration;

use checkspec::words::Line;
use checkspec::{Check, Transport};

use super::notes::Notes;
use super::timing::Timing;
use super::tree::Node;
use crate::model::Protocol;

/// How a real server is checked; `None`: not at all, it counts as up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe(pub(super) Option<Check>);

impl Probe {
    /// Whether it needs to know a port of the real server.
    pub(super) fn needs_port(&self) -> bool {
        match &self.0 {
            None | Some(Check::Ping(_)) => false,
            Some(check @ Check::Program(_)) => check.to_string().contains("%p"),
            Some(check) => check.port().is_none(),
        }
    }

    /// Whether it waits for something beside the connection.
    pub(super) fn waits_for_answers(&self) -> bool {
        match &self.0 {
            None => false,
            Some(Check::Exchange(exchange)) => !exchange.steps.is_empty(),
            Some(_) => true,
        }
    }

    /// Whether there is a connection to wait for.
    pub(super) fn connects(&self) -> bool {
        match &self.0 {
            None | Some(Check::Ping(_) | Check::Program(_)) => false,
            Some(Check::Exchange(exchange)) => exchange.transport != Transport::Udp,
            Some(Check::Dns(dns)) => dns.transport == checkspec::dns::Transport::Tcp,
            Some(_) => true,
        }
    }
}

/// A checker: how, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checker {
    pub(super) probe: Probe,
    pub(super) timing: Timing,
    /// How long a program may run, where that is said.
    pub(super) run_time: Option<Duration>,
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
    let mut reader = Reader { server, timing: Timing::default(), run_time: None, notes, rest: Vec::new() };
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
        "TCP_CHECK" => reader.connect(),
        "HTTP_GET" => reader.page("http", node),
        "SSL_GET" => reader.page("https", node),
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
    Some(Checker { probe, timing: reader.timing, run_time: reader.run_time, retries })
}

/// What takes the place of a check that there is not.
pub(super) fn fallback(protocol: Protocol) -> Probe {
    match protocol {
        Protocol::Udp => Probe(None),
        Protocol::Tcp | Protocol::Sctp => connection(protocol.name(), None),
    }
}

/// A connection over `transport`, to another port than the server's if one is given.
fn connection(transport: &str, port: Option<u16>) -> Probe {
    let mut line = Line::default();
    line.word(transport);
    with_port(&mut line, port);
    Probe(line.as_str().parse().ok())
}

fn with_port(line: &mut Line, port: Option<u16>) {
    if let Some(port) = port {
        line.plain("port", port);
    }
}

struct Reader<'a, 'n> {
    server: Checked<'a>,
    timing: Timing,
    run_time: Option<Duration>,
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
                "connect_ip" => "checks go to the real server's address",
                "connect_port" => "the port is not a number from 1 to 65535, or this check has none",
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
            Probe(None) => "the server counts as up",
            _ => "only connects",
        };
        self.notes.add(node.place, format!("{}: {why}; {instead}", node.keyword()));
        probe
    }

    /// The port that is checked, if it is not the real server's.
    fn port(&mut self) -> Option<u16> {
        let at = self.rest.iter().position(|node| node.keyword() == "connect_port")?;
        let port = self.rest[at].argument().and_then(|text| text.parse().ok()).filter(|port| *port > 0)?;
        self.rest.remove(at);
        Some(port).filter(|port| *port != self.server.port)
    }

    /// The check that `line` is, in place of `node`.
    fn checked(&mut self, node: &Node, line: &Line) -> Probe {
        match line.as_str().parse() {
            Ok(check) => Probe(Some(check)),
            Err(error) => self.instead(node, &error.to_string()),
        }
    }

    fn connect(&mut self) -> Probe {
        let transport = if self.server.protocol == Protocol::Sctp { "sctp" } else { "tcp" };
        connection(transport, self.port())
    }

    fn page(&mut self, kind: &str, node: &Node) -> Probe {
        // All that is asked for is asked for by HTTP/1.1, and a delay between several pages is about none.
        for without_effect in ["http_protocol", "fast_recovery", "enable_sni"] {
            self.take(without_effect);
        }
        let host = self.take("virtualhost").and_then(Node::argument).or(self.server.virtual_host);
        let port = self.port();
        let url = self.take("url");
        self.further_urls();
        let Some(url) = url else { return self.instead(node, "no url is given") };
        let find = |keyword: &str| url.nodes.iter().find(|inner| inner.keyword() == keyword);
        let mut line = Line::default();
        line.word(kind);
        if let Some(path) = find("path").and_then(Node::argument) {
            line.bytes("path", path.as_bytes());
        }
        if let Some(host) = find("virtualhost").and_then(Node::argument).or(host) {
            line.bytes("host", host.as_bytes());
        }
        if let Some(status) = find("status_code").and_then(|node| self.statuses(node)) {
            line.plain("status", status);
        }
        if let Some(expression) = find("regex").and_then(|node| self.expression(node)) {
            line.regex("regex", &expression);
        }
        if kind == "https" {
            // As in keepalived, which looks at no certificate.
            line.plain("verify", "off");
        }
        with_port(&mut line, port);
        for other in &url.nodes {
            let why = match other.keyword() {
                "path" | "virtualhost" | "status_code" | "regex" => continue,
                "digest" => "an MD5 says little today; add `sha256` of the page to the check",
                "regex_no_match" => "a page that does not match cannot be asked for",
                _ => "a page is judged by its status and one expression",
            };
            self.notes.leave(other.place, &other.words, why);
        }
        self.checked(url, &line)
    }

    /// The codes of a `status_code` line.
    fn statuses(&mut self, node: &Node) -> Option<String> {
        let ranges = node.arguments().join(",");
        if format!("http status={ranges}").parse::<Check>().is_ok() {
            return Some(ranges);
        }
        self.notes.leave(node.place, &node.words, "no status codes from 100 to 599; it is 200-299");
        None
    }

    /// The expression of a `regex` line.
    fn expression(&mut self, node: &Node) -> Option<String> {
        let expression = node.argument().unwrap_or_default();
        match checkspec::Pattern::new(expression) {
            Ok(pattern) => Some(pattern.as_str().to_owned()),
            Err(reason) => {
                self.notes.leave(
                    node.place,
                    &node.words,
                    &format!("no expression that is known here: {reason}"),
                );
                None
            }
        }
    }

    fn further_urls(&mut self) {
        while let Some(url) = self.take("url") {
            let path = url.nodes.iter().find(|n| n.keyword() == "path").and_then(Node::argument);
            let message = format!("url {}: only the first page is asked for", path.unwrap_or_default());
            self.notes.add(url.place, message);
        }
    }

    fn smtp(&mut self, node: &Node) -> Probe {
        let mut line = Line::default();
        line.word("smtp");
        if let Some(name) = self.take("helo_name").and_then(Node::argument) {
            line.bytes("helo", name.as_bytes());
        }
        with_port(&mut line, self.port());
        self.checked(node, &line)
    }

    fn dns(&mut self, node: &Node) -> Probe {
        let mut line = Line::default();
        line.word("dns");
        let name = self.take("name").and_then(Node::argument).unwrap_or(".");
        line.bytes("name", name.as_bytes());
        let kind = self.take("type").and_then(Node::argument).unwrap_or("SOA");
        line.bytes("type", kind.to_ascii_uppercase().as_bytes());
        with_port(&mut line, self.port());
        self.checked(node, &line)
    }

    fn ping(&mut self, node: &Node) -> Probe {
        let mut line = Line::default();
        line.word("ping");
        self.checked(node, &line)
    }

    fn program(&mut self, node: &Node) -> Probe {
        for (keyword, why) in [
            ("misc_dynamic", "exit statuses from 2 on are failures here, and change no weight"),
            ("user", "check programs run without capabilities, as the user of lvs"),
        ] {
            if let Some(found) = self.take(keyword) {
                self.notes.leave(found.place, &found.words, why);
            }
        }
        if let Some(limit) = self.take("misc_timeout") {
            self.run_time = super::timing::limit(limit, self.notes);
        }
        let Some(path) = self.take("misc_path").and_then(Node::argument) else {
            return self.instead(node, "no misc_path is given");
        };
        // What names this server is the same for all of them once it is put in general terms.
        let (address, port) = (self.server.address.to_string(), self.server.port.to_string());
        let word = |word: &'_ str| match word {
            _ if word == address => "%h".to_owned(),
            _ if word == port => "%p".to_owned(),
            _ => word.replace('%', "%%"),
        };
        let words: Vec<String> = path.split(' ').map(word).collect();
        let mut line = Line::default();
        line.word("program");
        line.bytes("run", words.join(" ").as_bytes());
        self.checked(node, &line)
    }

    fn datagram(&mut self, node: &Node) -> Probe {
        let payload = self.take("payload").map(|n| bytes(n.arguments()));
        let reply = self.take("require_reply").map(|n| bytes(n.arguments()));
        let (Some(Some(payload)), None | Some(Some(_))) = (payload, &reply) else {
            return self.instead(node, "without a payload in hexadecimal there is nothing to tell by");
        };
        let mut line = Line::default();
        line.word("udp");
        line.bytes("send", &payload);
        match reply.flatten() {
            None => line.plain("silence", "up"),
            Some(reply) if reply.is_empty() => line.word("any"),
            Some(reply) => line.bytes("expect", &reply),
        }
        with_port(&mut line, self.port());
        self.checked(node, &line)
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
