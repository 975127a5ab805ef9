//! The status as people read it: a table of all or some servers, or every detail of one. Pure.
//!
//! A line has at most 100 columns as long as names and reasons are short. Below a server stands what is not as usual.

mod detail;
mod look;
mod notes;
mod settings;

use std::fmt::Write as _;

use lvs_ipc::status::{Health, LvsStatus, RealServerStatus, Since, VirtualServerStatus};

pub use look::Colours;
pub(crate) use look::in_two_units;

use crate::wording::{counted, late_starts};
use look::{Tone, age, short};

/// Columns of a real server's row.
const COLUMNS: usize = 11;
/// Their titles.
const TITLES: [&str; COLUMNS] =
    ["SERVER", "ADDRESS", "WEIGHT", "STATE", "FOR", "ACTIVE", "INACT", "PERS", "CONN/S", "B/S IN", "B/S OUT"];
/// The first column of numbers, which stand to the right.
const NUMBERS: usize = 5;
/// Before what is said of a server below its row.
const INDENT: &str = "      ";

/// A word of a row.
type Cell = (Tone, String);

/// The table, or every detail of a real server if the status has just one and `one` is set. `now_ms` is the time in
/// milliseconds since the Unix epoch.
#[must_use]
pub fn render(status: &LvsStatus, now_ms: u64, one: bool, colours: Colours) -> String {
    if one
        && let [virtual_server] = &status.virtual_servers[..]
        && let [server] = &virtual_server.real_servers[..]
    {
        return detail::render(virtual_server, server, now_ms, colours);
    }
    let mut text = head(status, now_ms, colours);
    let rows: Vec<Vec<[Cell; COLUMNS]>> = status
        .virtual_servers
        .iter()
        .map(|v| v.real_servers.iter().map(|server| row(server, now_ms)).collect())
        .collect();
    let titles = TITLES.map(|title| (Tone::Title, title.to_owned()));
    let all = || rows.iter().flatten().chain([&titles]);
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|at| all().map(|row| row[at].1.chars().count()).max().unwrap_or(0));
    for (virtual_server, rows) in status.virtual_servers.iter().zip(&rows) {
        heading(&mut text, virtual_server, now_ms, colours);
        if !rows.is_empty() {
            line(&mut text, &titles, &widths, colours);
        }
        for (server, row) in virtual_server.real_servers.iter().zip(rows) {
            line(&mut text, row, &widths, colours);
            note_lines(&mut text, &notes::of_server(server, now_ms), INDENT, colours);
        }
    }
    text
}

// Writing to a String cannot fail.

fn head(status: &LvsStatus, now_ms: u64, colours: Colours) -> String {
    let LvsStatus { version, pid, config, serial_no, reloads, repairs, requests, monitors, .. } = status;
    let mut text = format!("lvs {version}, process {pid}, for {}\n", age(status.started_ms, now_ms));
    let verdict = |verdict: &Since<bool>| verdict_text(verdict, now_ms, colours);
    let _ = write!(text, "file      {config}, serial_no {serial_no}: {}", verdict(&status.reload));
    if reloads.good + reloads.refused > 0 {
        let (good, refused) = (counted(reloads.good, "reload"), reloads.refused);
        let _ = write!(text, "; {good}, {refused} refused");
    }
    let _ = write!(text, "\ntable     {}", verdict(&status.table));
    if requests.refused > 0 {
        let (refused, waiting) = (counted(requests.refused, "request"), requests.waiting);
        let _ = write!(text, "; {refused} refused, {waiting} waiting");
    }
    if let Some(last) = &repairs.last {
        let (ago, what) = (age(last.at_ms, now_ms), &last.what);
        let _ =
            write!(text, "\nrepaired  {}, the last {ago} ago: {what}", counted(repairs.count(), "change"));
    }
    let (starts, failures) = (counted(monitors.starts, "start"), counted(monitors.failures, "failure"));
    let late = late_starts(monitors.late_starts);
    let _ = write!(text, "\nmonitors  {} running, {starts}, {failures}{late}", monitors.running);
    for (tone, setting) in settings::lines(&status.sysctls) {
        let _ = write!(text, "\nsetting   {}", colours.paint(tone, &setting));
    }
    if let Some(saved) = status.state_file.as_ref().filter(|saved| !saved.state) {
        let _ = write!(text, "\nsaved     {}", verdict(saved));
    }
    if let Some(last) = &status.last_change {
        let _ = write!(text, "\nchanged   {} ago: {}", age(last.at_ms, now_ms), last.what);
    }
    text.push('\n');
    text
}

fn verdict_text(verdict: &Since<bool>, now_ms: u64, colours: Colours) -> String {
    let word =
        if verdict.state { colours.paint(Tone::Good, "good") } else { colours.paint(Tone::Bad, "NOT GOOD") };
    let reason = verdict.reason.replace('\n', "\n          ");
    format!("{word} for {}: {reason}", age(verdict.since_ms, now_ms))
}

fn heading(text: &mut String, virtual_server: &VirtualServerStatus, now_ms: u64, colours: Colours) {
    let VirtualServerStatus { name, service, scheduler, forwarding, sorry, real_servers, .. } =
        virtual_server;
    let up = real_servers.iter().filter(|server| server.weight.is_some_and(|weight| weight > 0)).count();
    let name = colours.paint(Tone::Title, name);
    let _ = write!(text, "\n{name}: {service} {scheduler} {forwarding}, ");
    let serving = format!("{up} of {} serving", real_servers.len());
    let tone = match up {
        0 => Tone::Bad,
        _ if up < real_servers.len() => Tone::Odd,
        _ => Tone::Good,
    };
    text.push_str(&colours.paint(tone, &serving));
    if *sorry {
        let _ = write!(text, ", {}", colours.paint(Tone::Bad, "the sorry server serves"));
    }
    text.push('\n');
    if let Some(traffic) = virtual_server.traffic {
        let now = traffic.per_second;
        let all = [traffic.packets_in, traffic.packets_out, traffic.bytes_in, traffic.bytes_out];
        passed(text, "total", traffic.connections, all);
        let rates = [now.packets_in, now.packets_out, now.bytes_in, now.bytes_out];
        passed(text, "per s", now.connections, rates);
    }
    note_lines(text, &notes::of_virtual_server(virtual_server, now_ms), "  ", colours);
}

fn passed(text: &mut String, when: &str, connections: u64, packets_and_bytes: [u64; 4]) {
    let connections = short(connections);
    let [packets_in, packets_out, bytes_in, bytes_out] = packets_and_bytes.map(short);
    let _ = writeln!(
        text,
        "  {when}  {connections} connections, packets {packets_in} in {packets_out} out, bytes {bytes_in} in {bytes_out} out"
    );
}

fn row(server: &RealServerStatus, now_ms: u64) -> [Cell; COLUMNS] {
    let plain = |text: String| (Tone::Plain, text);
    let state = match server.health.state {
        Health::Up => Tone::Good,
        Health::Down => Tone::Bad,
        Health::Unknown => Tone::Odd,
    };
    let connections = |which: fn(&lvs_ipc::status::Left) -> u32| {
        plain(server.connections.as_ref().map_or("-".into(), |now| short(which(now).into())))
    };
    let rate = |which: fn(&lvs_ipc::counts::Rates) -> u64| {
        plain(server.traffic.as_ref().map_or("-".into(), |traffic| short(which(&traffic.per_second))))
    };
    [
        plain(server.name.clone()),
        plain(server.address.clone()),
        weight(server),
        (state, server.health.state.to_string()),
        plain(age(server.health.since_ms, now_ms)),
        connections(|now| now.active),
        connections(|now| now.inactive),
        connections(|now| now.persistent),
        rate(|now| now.connections),
        rate(|now| now.bytes_in),
        rate(|now| now.bytes_out),
    ]
}

/// The weight in the kernel, and behind it the wanted one if that is another.
fn weight(server: &RealServerStatus) -> Cell {
    let word = |weight: Option<u32>| weight.map_or("-".to_owned(), |weight| weight.to_string());
    let RealServerStatus { weight, weight_wanted, .. } = server;
    if weight == weight_wanted {
        (Tone::Plain, word(*weight))
    } else {
        (Tone::Bad, format!("{}/{}", word(*weight), word(*weight_wanted)))
    }
}

fn line(text: &mut String, row: &[Cell; COLUMNS], widths: &[usize; COLUMNS], colours: Colours) {
    let mut line = String::from(" ");
    for (at, ((tone, word), width)) in row.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width - word.chars().count());
        let word = colours.paint(*tone, word);
        let _ = match at {
            0..NUMBERS => write!(line, " {word}{padding}"),
            _ => write!(line, " {padding}{word}"),
        };
        if at + 1 < COLUMNS {
            line.push(' ');
        }
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn note_lines(text: &mut String, notes: &[notes::Note], indent: &str, colours: Colours) {
    for (tone, note) in notes {
        let _ = writeln!(text, "{indent}{}", colours.paint(*tone, note));
    }
}
