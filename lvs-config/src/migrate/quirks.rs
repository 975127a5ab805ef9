//! Where the original had a way of its own with what a file says, and what becomes of it.

use super::Change;
use crate::keys::{Directive, Key, Section, Value};
use crate::token::{self, CHECK, Kind, Oddities};
use crate::tree::{Block, BlockKind, Node, Tree};
use crate::value::{self, Literal};
use crate::{Decoded, MAX_FILE};

/// What a directive needs to know of those beside it and around it.
pub(super) struct Around<'t> {
    given: Vec<(&'t str, Vec<&'t str>)>,
    /// Directives outside of all blocks.
    global: Vec<(&'t str, Vec<&'t str>)>,
    /// Whether a virtual server asks for the load by `uptime`, and whether one has a monitor of its own.
    uses_uptime: bool,
    has_monitor: bool,
    is_failover: bool,
}

impl<'t> Around<'t> {
    /// The directives among `nodes`, in `outer` if that is a block.
    pub(super) fn new(tree: &'t Tree<'t>, nodes: &[Node], outer: Option<&Self>) -> Self {
        let given = entries(tree, nodes);
        let Some(outer) = outer else {
            let blocks = nodes.iter().filter_map(|node| match node {
                Node::Block(block) => Some(entries(tree, &block.nodes)),
                Node::Entry(_) => None,
            });
            let blocks: Vec<_> = blocks.flatten().collect();
            let is = |name: &str, wanted: fn(&str) -> bool| {
                blocks.iter().any(|(n, values)| *n == name && matches!(values.as_slice(), [v] if wanted(v)))
            };
            let uses_uptime = is("load_monitor", |value| value == "uptime");
            let has_monitor = is("client_monitor", |_| true);
            let is_failover = value_of(&given, "service") == Some("fos");
            return Self { global: given.clone(), given, uses_uptime, has_monitor, is_failover };
        };
        Self { given, global: outer.global.clone(), ..*outer }
    }

    fn value(&self, name: &str) -> Option<&'t str> {
        value_of(&self.given, name)
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|(known, _)| *known == name)
    }
}

fn value_of<'t>(given: &[(&'t str, Vec<&'t str>)], name: &str) -> Option<&'t str> {
    let (_, values) = given.iter().rfind(|(known, _)| *known == name)?;
    values.first().copied()
}

fn entries<'t>(tree: &'t Tree<'t>, nodes: &[Node]) -> Vec<(&'t str, Vec<&'t str>)> {
    let of = |node: &Node| match node {
        Node::Entry(entry) => {
            let values = entry.values(tree.text).map(|value| value.text(tree.text)).collect();
            Some((entry.name.text(tree.text), values))
        }
        Node::Block(_) => None,
    };
    nodes.iter().filter_map(of).collect()
}

type Verdict = (Vec<String>, Option<Change>);

fn removed(why: impl Into<String>) -> Verdict {
    (vec![why.into()], Some(Change::Removed))
}

fn becomes(why: impl Into<String>, value: impl Into<String>) -> Verdict {
    (vec![why.into()], Some(Change::Becomes(value.into())))
}

fn told(why: impl Into<String>) -> Verdict {
    (vec![why.into()], None)
}

/// What is to be said of `key` with `values`, and what becomes of it.
pub(super) fn of_entry(section: Section, key: &Key, values: &[&str], around: &Around<'_>) -> Verdict {
    let text = values.first().copied().unwrap_or_default();
    if let Some(verdict) = without_effect(key, text, around) {
        return verdict;
    }
    if let Some(verdict) = out_of_range(section, key, text, values.len()) {
        return verdict;
    }
    if let Some(verdict) = odd_spelling(key, values) {
        return verdict;
    }
    match special(section, key, text, around) {
        Some(why) => told(why),
        None => (Vec::new(), None),
    }
}

/// Directives that never had an effect, or have none here.
fn without_effect(key: &Key, text: &str, around: &Around<'_>) -> Option<Verdict> {
    let why = match key.directive {
        Directive::Heartbeat => "Piranha never looked at it: `backup_active` alone decides about heartbeats.",
        Directive::DebugLevel => "Piranha ignored it. To log more, start the programs with -v.",
        Directive::Sync => "Piranha ignored it: files were never copied to the other router.",
        Directive::Master | Directive::Dirs => "Piranha ignored it.",
        Directive::HardShutdown => {
            "Piranha meant 1 to stop the whole router when a monitor died, and did so with 0 as well. Here a monitor that \
             dies is started again, and its server keeps its state meanwhile."
        }
        Directive::ReservationConflictAction | Directive::PrimaryShared | Directive::BackupShared => {
            "It is about shared SCSI disks of failover services, which lvs does not run."
        }
        Directive::Ipvsadm if !around.has_monitor => {
            "Piranha ran this program for each change. Here lvs speaks to the kernel itself."
        }
        Directive::RshCommand if !around.uses_uptime => {
            "Only `load_monitor = uptime` uses it, and no virtual server has that."
        }
        Directive::LoadMonitor if text == "none" => "It is the same as not to give it.",
        Directive::BackupPrivate if !around.is_given("primary_private") => {
            "Piranha put `backup` in its place where `primary_private` is not given; it has no effect here either."
        }
        Directive::BackupActive if text == "1" && is_none(around.value("backup")) => {
            "Without a `backup` Piranha took it back; there is nobody to exchange heartbeats with."
        }
        Directive::Send | Directive::Expect | Directive::UseRegex | Directive::SendProgram
            if around.is_given(CHECK) && !around.is_given("client_monitor") =>
        {
            "The `check` takes its place."
        }
        Directive::Send if around.is_given("send_program") => "The `send_program` takes its place.",
        Directive::UseRegex if !around.is_given("expect") => "There is no `expect` that it could be about.",
        Directive::Pmask if is_zero(around.value("persistent")) => {
            "There is no `persistent` that it could be about."
        }
        Directive::NatNmask if !around.is_given("nat_router") => {
            "There is no `nat_router` that it could be about."
        }
        Directive::StartCmd | Directive::StopCmd if !around.is_failover => {
            "It is for failover services; Piranha ignored it for virtual servers."
        }
        _ => return None,
    };
    // What belongs to failover services stays with them.
    let is_theirs = matches!(
        key.directive,
        Directive::ReservationConflictAction | Directive::PrimaryShared | Directive::BackupShared
    );
    (!(is_theirs && around.is_failover)).then(|| removed(why))
}

fn is_none(backup: Option<&str>) -> bool {
    backup.is_none_or(|backup| backup == "0.0.0.0")
}

fn is_zero(time: Option<&str>) -> bool {
    time.is_none_or(|time| value::number(time) == Some(0))
}

/// Values that Piranha took and made something else of.
fn out_of_range(section: Section, key: &Key, text: &str, count: usize) -> Option<Verdict> {
    if count != 1 {
        return None;
    }
    let number = value::number(text);
    match (key.directive, number) {
        (Directive::SyncdId, Some(n)) if !(0..256).contains(&n) => {
            let used = n & 0xff;
            Some(becomes(
                format!("Piranha passed on its last eight bits, which are {used}."),
                used.to_string(),
            ))
        }
        (Directive::Timeout, Some(0)) if section == Section::Service => {
            Some(becomes("A monitor of Piranha divided by it and crashed; 10 is the default.", "10"))
        }
        (Directive::Reentry, Some(0)) => {
            Some(becomes("Piranha took 0 for the default, 180, and so it is here.", "180"))
        }
        (Directive::Pmask, _)
            if value::mask(text, 32).is_err() && !text.parse::<u8>().is_ok_and(|n| n <= 128) =>
        {
            Some(removed("Piranha ignored a mask that it could not read, and compared whole addresses."))
        }
        (_, Some(n)) if matches!(key.value, Value::Switch) && !(0..=1).contains(&n) => None,
        _ => None,
    }
}

/// Numbers and addresses in forms of C that are easily misread.
fn odd_spelling(key: &Key, values: &[&str]) -> Option<Verdict> {
    let [text, rest @ ..] = values else { return None };
    let is_number = matches!(
        key.value,
        Value::Number(..) | Value::Switch | Value::NonZero | Value::Time(..) | Value::WholeTime(..)
    ) || matches!(key.value, Value::Port | Value::ServerPort);
    if is_number && rest.is_empty() {
        let read = value::number(text).filter(|read| read.to_string() != *text)?;
        let form = match text {
            _ if text.is_empty() => "Empty text",
            _ if value::is_octal(text) => "A number with a leading 0 is octal: it",
            _ => "It",
        };
        return Some(becomes(format!("{form} is read as {read}, as in Piranha."), read.to_string()));
    }
    if !matches!(key.value, Value::Host | Value::Floating) {
        return None;
    }
    let Literal::Odd(address) = value::literal(text) else { return None };
    let mut words = vec![address.to_string()];
    words.extend(rest.iter().map(|word| (*word).to_owned()));
    Some(becomes(format!("The address is read as {address}, as in Piranha."), words.join(" ")))
}

/// What Piranha did with good values that is not as it looks.
fn special(section: Section, key: &Key, text: &str, around: &Around<'_>) -> Option<String> {
    let why = match key.directive {
        Directive::Service if text == "fos" => {
            "pulse and lvs refuse to run failover services; a cluster manager does that today."
        }
        Directive::Weight if value::number(text) == Some(0) => {
            "Piranha made 1 of it. Here it is 0: no new connections."
        }
        Directive::Expect if around.is_given("send_program") => {
            "A program's whole output must be this. Piranha took a program that failed, hung or was missing for success; \
             here it must also end with status 0, within `timeout`."
        }
        Directive::Expect if text == "*" => {
            "Piranha took even an immediate end of the connection for an answer; here at least one byte must come."
        }
        Directive::Expect if has_unknown_escape(text) => {
            "A backslash before this letter hung a monitor of Piranha; here it is kept as it stands."
        }
        Directive::Send if has_unknown_escape(text) => {
            "A backslash before this letter hung a monitor of Piranha; here it is kept as it stands."
        }
        Directive::UseRegex if text != "0" => {
            "Piranha looked at the first 254 bytes of the answer; here at up to 16384. There are no back references."
        }
        Directive::SendProgram if !around.is_given("expect") => {
            "Without `expect` Piranha took the server for down, whatever the program said; here its status decides."
        }
        Directive::SendProgram => {
            "The command is split at blanks; a word that is %h or %p becomes address or port. It runs without \
             capabilities, and as `monitor_user`, which is not root unless the file says so."
        }
        Directive::LoadMonitor if text == "uptime" => {
            "The load is asked for with `rsh_command`, for example ssh, as `COMMAND ADDRESS uptime`; a command that hangs is \
             killed here, where it froze the monitor of Piranha. It runs as `monitor_user`: \
             say root, if the keys to log in with are root's."
        }
        Directive::LoadMonitor => "The weight moves between the one given and ten times that, as in Piranha.",
        Directive::QuiesceServer if text != "0" => {
            "Piranha left the entry behind when a monitor ended while its server was down; here nothing stays."
        }
        Directive::SorryServer => {
            "Piranha forgot it after a reload, and never used it for a virtual server without any active server; here it \
             works in both cases."
        }
        Directive::Fwmark if value::number(text) != Some(0) => {
            "With `network = nat` packets to any of the marked ports go to the server's one port."
        }
        Directive::MonitorLinks if text != "0" => {
            "Piranha gave up at once whatever the other router could do; here after `deadtime`, if that one is fit."
        }
        Directive::ClientMonitor => {
            "A monitor other than nanny gets the options of old, and keeps its rows of the kernel's table itself."
        }
        Directive::RshCommand => "It is the command of `load_monitor = uptime` only.",
        Directive::ActiveCmd | Directive::InactiveCmd => {
            "It is split at blanks, not run by a shell, and not waited for."
        }
        Directive::Address if section == Section::Service && !around.is_given("vip_nmask") => {
            "There is no `vip_nmask`: Piranha took the mask of the address's class, /8 for 10.x; here it is that of the \
             network which the interface is in."
        }
        Directive::Address | Directive::Primary | Directive::Backup if is_name(text) => {
            "The name is looked up when the file is read."
        }
        Directive::Deadtime => {
            let time = |text: &str| value::time(text).ok();
            let keepalive = value_of(&around.global, "keepalive").unwrap_or("2");
            if time(text) <= time(keepalive) {
                "It is not longer than `keepalive`: Piranha took over again and again. Give it three times as much."
            } else {
                return None;
            }
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn is_name(text: &str) -> bool {
    matches!(value::literal(text), Literal::NameLike)
}

/// Whether a backslash stands before something that `nanny` does not translate.
fn has_unknown_escape(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c == '\\' && !characters.next().is_some_and(|next| "rnt\\'\"".contains(next)) {
            return text.len() > 1;
        }
    }
    false
}

/// What is to be said of `block`.
pub(super) fn of_block(tree: &Tree<'_>, block: &Block, around: &Around<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let inner = entries(tree, &block.nodes);
    let is_given = |name: &str| inner.iter().any(|(known, _)| *known == name);
    if block.close.is_none() {
        found.push("Its `}` is missing. Piranha took the end of the file for it.".to_owned());
    }
    if !is_given("active") {
        found.push("There is no `active`, and the default is 0: it is set aside.".to_owned());
    }
    if block.kind == BlockKind::Virtual {
        let probes = [CHECK, "send", "expect", "send_program"].iter().any(|name| is_given(name));
        let port = value_of(&inner, "port").and_then(value::number).unwrap_or(80);
        if !probes && port == 80 {
            let why = "Nothing says how to check: on port 80 that is `GET / HTTP/1.0`, and an answer that begins with HTTP.";
            found.push(why.to_owned());
        } else if !probes {
            found.push("Nothing says how to check: a server is up if it takes a connection.".to_owned());
        }
        let is_udp = value_of(&inner, "protocol") == Some("udp");
        if is_udp && !is_given(CHECK) && !is_given("expect") && !is_given("send_program") {
            let why = "UDP without `expect`: an answer crashed the monitor of Piranha; here any answer will do, and silence is \
                       down.";
            found.push(why.to_owned());
        }
    }
    if around.is_failover && block.kind == BlockKind::Virtual {
        found.push("With `service = fos` it is not served.".to_owned());
    }
    found
}

/// The port that the server at `at` among `nodes` had in Piranha, where it has none of its own and that is not the one of
/// its virtual server: the one known at its line.
pub(super) fn early_port<'t>(tree: &'t Tree<'t>, nodes: &[Node], at: usize) -> Option<&'t str> {
    let Some(Node::Block(server)) = nodes.get(at) else { return None };
    let is_server = server.kind == BlockKind::Server && !server.nodes.iter().any(|node| is_port(tree, node));
    let port = |nodes: &[Node]| {
        let last = nodes.iter().rfind(|node| is_port(tree, node))?;
        let Node::Entry(entry) = last else { return None };
        entry.values(tree.text).next().map(|value| value.text(tree.text))
    };
    if !is_server || !nodes.iter().skip(at).any(|node| is_port(tree, node)) {
        return None;
    }
    let known = port(nodes.get(..at).unwrap_or_default()).unwrap_or("80");
    (port(nodes) != Some(known)).then_some(known)
}

fn is_port(tree: &Tree<'_>, node: &Node) -> bool {
    is_entry(tree, node, "port")
}

fn is_entry(tree: &Tree<'_>, node: &Node, name: &str) -> bool {
    matches!(node, Node::Entry(entry) if entry.name.text(tree.text) == name)
}

/// What is to be said of the layout of the file as a whole.
pub(super) fn of_layout(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if bytes.len() > MAX_FILE {
        return found;
    }
    let has_lf = bytes.contains(&b'\n');
    if bytes.windows(2).any(|pair| pair == b"\r\n") {
        found.push(
            "Lines end with CR and LF: of such a file Piranha read the first line and silently nothing else. The cleaned \
             file has LF."
                .to_owned(),
        );
    } else if bytes.contains(&b'\r') && has_lf {
        found.push(
            "A CR stands among the line ends, at which Piranha lost count. The cleaned file has LF."
                .to_owned(),
        );
    }
    let decoded = Decoded::new(bytes);
    if let Some(line) = refused_layout(&decoded.text, decoded.oddities) {
        found.push(format!(
            "Piranha refused this file at line {line} already: it wanted blanks around `=` and before `{{`, and neither a \
             comment behind a value nor two things on a line."
        ));
    }
    found
}

/// The first line whose layout the original did not take.
fn refused_layout(text: &str, oddities: Oddities) -> Option<u32> {
    let tokens = token::all(text, oddities);
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).filter(|next| next.span().line == token.span().line);
        let glued = next.is_some_and(|next| next.span().start == token.span().end);
        let is_mark = |kind: Kind| matches!(kind, Kind::Equals | Kind::Open);
        let is_second = token.kind == Kind::Close
            && at
                .checked_sub(1)
                .and_then(|b| tokens.get(b))
                .is_some_and(|b| b.span().line == token.span().line);
        let goes_on = token.kind == Kind::Open && next.is_some();
        let commented =
            next.is_none() && has_comment(text, token.span().end as usize) && token.kind != Kind::Close;
        if (glued && (is_mark(token.kind) || next.is_some_and(|n| is_mark(n.kind))))
            || is_second
            || goes_on
            || commented
        {
            return Some(token.span().line);
        }
    }
    None
}

fn has_comment(text: &str, from: usize) -> bool {
    text.get(from..).is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with('#'))
}
