//! What the audience sees: lines made from snapshots and measurements. Pure.

use std::time::Duration;

use super::{
    event::{Condition, Look, Measurement, Moment, RouterLook, ServerLook, ServiceLook},
    text::{Line, Tone, WIDTH, wrap},
};

/// Most rows of real servers in the live view; further ones are counted.
const MOST_SERVERS: usize = 14;
/// Columns of the longest bar.
const LONGEST_BAR: usize = 34;
/// Where the columns of the live view are.
const NAME: usize = 4;
const WEIGHT: usize = 22;
const BAR: usize = 34;
const RATE: usize = BAR + LONGEST_BAR + 1;
const TOTAL: usize = RATE + 9;
/// Columns of the time before each moment.
const CLOCK: usize = 10;
/// Longest widths of the table's first columns.
const STEP: usize = 24;
const EXPECTED: usize = 48;

/// Seconds for people: two digits after the point below ten.
pub(crate) fn seconds(time: Duration) -> String {
    let number = time.as_secs_f64();
    if number < 9.995 { format!("{number:.2} s") } else { format!("{number:.1} s") }
}

/// A limit for people: as few digits as it has.
pub(crate) fn limit(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// A heading of a step.
pub(crate) fn heading(number: usize, step: &str) -> Vec<Line> {
    vec![Line::default(), Line::new(Tone::Bold, format!("{number}. {step}"))]
}

/// Something that happened.
pub(crate) fn moment(moment: &Moment) -> Vec<Line> {
    let clock = format!("{:>7.2} s ", moment.at.as_secs_f64());
    let lines = wrap(&moment.text, WIDTH - CLOCK);
    let line = |(n, text): (usize, String)| {
        let first = if n == 0 { clock.clone() } else { String::new() };
        Line::new(Tone::Dim, first).up_to(CLOCK).then(Tone::Plain, text)
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// A measurement right after it was made.
pub(crate) fn verdict(measurement: &Measurement) -> Vec<Line> {
    let (mark, tone) = mark(measurement.held);
    let words = format!("{}: {}", measurement.expected, measurement.measured);
    let lines = wrap(&words, WIDTH - CLOCK - 2);
    let line = |(n, text): (usize, String)| {
        let first = if n == 0 { mark } else { "" };
        Line::default().up_to(CLOCK - 2).then(tone, first).up_to(CLOCK).then(Tone::Plain, text)
    };
    lines.into_iter().enumerate().map(line).collect()
}

fn mark(held: bool) -> (&'static str, Tone) {
    if held { ("✓", Tone::Good) } else { ("✗", Tone::Bad) }
}

/// The live view.
pub(crate) fn live(look: &Look) -> Vec<Line> {
    let mut lines = vec![rule(&format!(" {:.1} s ", look.at.as_secs_f64()))];
    lines.extend(look.routers.iter().map(router));
    let busiest = look.services.iter().flat_map(|s| s.servers.iter().map(|server| server.recent)).max();
    let mut room = MOST_SERVERS;
    let mut left_out = 0;
    for service in &look.services {
        if room == 0 {
            left_out += service.servers.len();
            continue;
        }
        lines.push(heading_of(service));
        let shown = service.servers.len().min(room);
        lines.extend(service.servers[..shown].iter().map(|s| server(s, busiest.unwrap_or(0))));
        room -= shown;
        left_out += service.servers.len() - shown;
    }
    if left_out > 0 {
        lines.push(Line::new(Tone::Dim, format!("    and {left_out} more real servers")));
    }
    lines
}

fn rule(label: &str) -> Line {
    let rest = WIDTH.saturating_sub(label.chars().count() + 2);
    Line::new(Tone::Dim, format!("──{label}{}", "─".repeat(rest)))
}

fn router(router: &RouterLook) -> Line {
    let (word, tone) = match router.condition {
        Condition::Off => ("off", Tone::Dim),
        Condition::Active => ("ACTIVE", Tone::Good),
        Condition::Changing => ("changing", Tone::Middling),
        Condition::Backup => ("backup", Tone::Plain),
    };
    let line = Line::new(Tone::Bold, format!("  {}", router.name)).up_to(6).then(tone, word).up_to(16);
    let line = if router.cut { line.then(Tone::Bad, "cables cut  ") } else { line };
    let line = match router.holds.as_slice() {
        [] => line,
        holds => line.then(Tone::Plain, format!("holds {}  ", holds.join(" "))),
    };
    line.then(Tone::Dim, router.peer.clone())
}

fn heading_of(service: &ServiceLook) -> Line {
    let line = Line::new(Tone::Bold, format!("  {} ", service.name)).then(Tone::Dim, service.place.clone());
    match service.failed {
        0 => line,
        failed => line.up_to(BAR).then(Tone::Bad, format!("{failed} requests failed in this step")),
    }
}

fn server(server: &ServerLook, busiest: usize) -> Line {
    let (weight, tone) = match server.weight {
        None if server.sorry => ("stands by".to_owned(), Tone::Dim),
        None => ("not in table".to_owned(), Tone::Bad),
        Some(0) => ("weight 0".to_owned(), Tone::Middling),
        Some(weight) => (format!("weight {weight}"), Tone::Dim),
    };
    let bar =
        (server.recent * LONGEST_BAR).checked_div(busiest).unwrap_or(0).max(usize::from(server.recent > 0));
    let name: String = server.name.chars().take(WEIGHT - NAME - 1).collect();
    Line::default()
        .up_to(NAME)
        .then(Tone::Plain, name)
        .up_to(WEIGHT)
        .then(tone, weight)
        .up_to(BAR)
        .then(Tone::Good, "█".repeat(bar))
        .up_to(RATE)
        .then(Tone::Dim, format!("{:>4}/s", server.recent))
        .up_to(TOTAL)
        .then(Tone::Plain, format!("{:>6}", server.total))
}

/// Who answered how often, in one line for each virtual server.
pub(crate) fn tally(look: &Look) -> Vec<String> {
    let of = |service: &ServiceLook| {
        let servers: Vec<String> =
            service.servers.iter().map(|s| format!("{} {}", s.name, s.total)).collect();
        format!("{} answered by {}; {} failed", service.name, servers.join(", "), service.failed)
    };
    look.services.iter().map(of).collect()
}

/// The table at the end.
pub(crate) fn table(measurements: &[Measurement]) -> Vec<Line> {
    let widest = |of: &dyn Fn(&Measurement) -> &str, most: usize| {
        let widths = measurements.iter().map(|m| of(m).chars().count());
        widths.max().unwrap_or(0).min(most)
    };
    let (step, expected) = (widest(&|m| &m.step, STEP), widest(&|m| &m.expected, EXPECTED));
    let measured = 2 + step + 2 + expected + 2;
    let last = WIDTH - 8;
    let head = Line::new(Tone::Bold, "  Step").up_to(2 + step + 2).then(Tone::Bold, "Expected");
    let mut lines = vec![head.up_to(measured).then(Tone::Bold, "Measured"), rule("")];
    let mut previous = "";
    for one in measurements {
        let name = if one.step == previous { "" } else { one.step.as_str() };
        previous = &one.step;
        let texts = [
            wrap(name, step),
            wrap(&one.expected, expected),
            wrap(&one.measured, last.saturating_sub(measured + 1)),
        ];
        let height = texts.iter().map(Vec::len).max().unwrap_or(0);
        for row in 0..height {
            let [name, limit, found] =
                texts.each_ref().map(|column| column.get(row).cloned().unwrap_or_default());
            let line = Line::default().up_to(2).then(Tone::Plain, name).up_to(2 + step + 2);
            let line = line.then(Tone::Plain, limit).up_to(measured).then(Tone::Plain, found).up_to(last);
            let (word, tone) = if one.held { ("held", Tone::Good) } else { ("NOT HELD", Tone::Bad) };
            lines.push(if row == 0 { line.then(tone, word) } else { line });
        }
    }
    lines.push(rule(""));
    lines
}

/// The last line.
pub(crate) fn summary(measurements: &[Measurement]) -> Line {
    let broken = measurements.iter().filter(|m| !m.held).count();
    match (broken, measurements.len()) {
        (0, 1) => Line::new(Tone::Good, "  The expectation held."),
        (0, _) => Line::new(Tone::Good, format!("  All {} expectations held.", measurements.len())),
        (n, _) => Line::new(Tone::Bad, format!("  {n} of {} expectations did not hold.", measurements.len())),
    }
}

#[cfg(test)]
mod tests;
