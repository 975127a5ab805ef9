//! What a benchmark found, as a table for people. Pure.

use super::{
    Benchmark, Findings,
    row::{Row, SECONDS, Samples},
};
use crate::story::text::{Line, Tone, WIDTH, wrap};

/// Columns at which the parts of a row begin.
const OURS: usize = 29;
const PEER: usize = 51;
const RATIO: usize = 74;
const TARGET: usize = 84;
const VERDICT: usize = 91;
/// Blanks before every line.
const INDENT: &str = "  ";
/// Room for the ratio, which is flush right.
const RATIO_WIDTH: usize = 7;

/// The whole table.
pub(crate) fn table(benchmark: &Benchmark, findings: &Findings) -> Vec<Line> {
    let plain = |text: &str| Line::new(Tone::Plain, format!("{INDENT}{text}"));
    let mut lines = vec![
        Line::default(),
        Line::new(Tone::Bold, format!("{INDENT}{}", benchmark.name))
            .then(Tone::Plain, format!(": {}", benchmark.about)),
    ];
    let method = wrap(&findings.method, WIDTH - INDENT.len());
    lines.extend(method.iter().map(|text| Line::new(Tone::Dim, format!("{INDENT}{text}"))));
    let mut peer_name = None;
    for row in &findings.rows {
        if peer_name != Some(&row.peer_name) {
            lines.extend([Line::default(), heading(&row.peer_name), rule()]);
            peer_name = Some(&row.peer_name);
        }
        lines.push(line(row));
    }
    lines.push(rule());
    lines.extend(findings.notes.iter().map(|note| plain(note)));
    lines.extend([Line::default(), verdict(&findings.rows), Line::default()]);
    lines
}

fn rule() -> Line {
    Line::new(Tone::Dim, "─".repeat(WIDTH))
}

fn heading(peer_name: &str) -> Line {
    Line::new(Tone::Bold, format!("{INDENT}What"))
        .up_to(OURS)
        .then(Tone::Bold, "ours")
        .up_to(PEER)
        .then(Tone::Bold, peer_name)
        .up_to(RATIO)
        .then(Tone::Bold, format!("{:>RATIO_WIDTH$}", "ratio"))
        .up_to(TARGET)
        .then(Tone::Bold, "target")
}

fn line(row: &Row) -> Line {
    let line = Line::new(Tone::Plain, format!("{INDENT}{}", row.what))
        .up_to(OURS)
        .then(Tone::Plain, samples(&row.ours, &row.unit))
        .up_to(PEER)
        .then(Tone::Plain, samples(&row.peer, &row.unit))
        .up_to(RATIO)
        .then(Tone::Plain, format!("{:>RATIO_WIDTH$}", ratio(row.ratio())));
    let (Some(target), Some(met)) = (row.target, row.met()) else { return line };
    let (tone, word) = if met { (Tone::Good, "met") } else { (Tone::Bad, "missed") };
    line.up_to(TARGET).then(Tone::Plain, format!("≥ {target}")).up_to(VERDICT).then(tone, word)
}

/// `19.2 ×`; rounded down, so that a target that is nearly reached does not look reached.
fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or("∞ ×".to_owned(), |ratio| format!("{:.1} ×", (ratio * 10.0).floor() / 10.0))
}

/// How many of the targets are met.
fn verdict(rows: &[Row]) -> Line {
    let verdicts: Vec<bool> = rows.iter().filter_map(Row::met).collect();
    let met = verdicts.iter().filter(|met| **met).count();
    let (tone, text) = match (met, verdicts.len()) {
        (_, 0) => (Tone::Plain, "There is no target to reach.".to_owned()),
        (met, all) if met == all => (Tone::Good, format!("All targets met: {all}.")),
        (met, all) => (Tone::Bad, format!("{} of {all} targets missed.", all - met)),
    };
    Line::new(tone, format!("{INDENT}{text}"))
}

/// `812 ms (790–850)`: the median with three digits, the least and the most as finely.
fn samples(samples: &Samples, unit: &str) -> String {
    let median = samples.median();
    let (factor, unit) = match unit {
        SECONDS if median < 1.0 => (1e3, "ms"),
        unit => (1.0, unit),
    };
    let decimals = match median * factor {
        value if value.fract() == 0.0 && factor == 1.0 && unit != SECONDS => 0,
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let shown = |value: f64| format!("{:.decimals$}", value * factor);
    format!("{} {unit} ({}–{})", shown(median), shown(samples.least()), shown(samples.most()))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const NOTHING: Benchmark = Benchmark {
        name: "nothing",
        about: "doing nothing",
        limit: std::time::Duration::from_secs(1),
        measure: |_| bail!("nothing can be measured"),
    };

    fn row(what: &str, ours: &[f64], peer: &[f64], target: Option<f64>) -> Row {
        Row {
            what: what.to_owned(),
            unit: SECONDS.to_owned(),
            ours: Samples::new(ours.to_vec()).expect("samples"),
            peer: Samples::new(peer.to_vec()).expect("samples"),
            peer_name: "idler 1.0".to_owned(),
            target,
        }
    }

    fn shown(rows: Vec<Row>) -> Vec<String> {
        let findings =
            Findings { method: "By looking.".to_owned(), rows, notes: vec!["It was quiet.".to_owned()] };
        table(&NOTHING, &findings).iter().map(|line| line.show(false)).collect()
    }

    #[test]
    fn a_table_shows_median_spread_ratio_target_and_verdict() {
        let rows = vec![
            row("sit", &[0.0123, 0.0119, 0.0144], &[0.2, 0.21, 0.25], Some(8.0)),
            row("stand", &[0.9, 0.9, 0.9], &[1.8, 1.799, 1.81], Some(2.5)),
            row("lie", &[2.0], &[16.24], None),
        ];
        assert_eq!(
            shown(rows)[..9],
            [
                "",
                "  nothing: doing nothing",
                "  By looking.",
                "",
                "  What                       ours                  idler 1.0                ratio   target",
                &"─".repeat(WIDTH),
                "  sit                        12.3 ms (11.9–14.4)   210 ms (200–250)        17.0 ×   ≥ 8    met",
                "  stand                      900 ms (900–900)      1.80 s (1.80–1.81)       2.0 ×   ≥ 2.5  missed",
                "  lie                        2.00 s (2.00–2.00)    16.2 s (16.2–16.2)       8.1 ×",
            ]
        );
    }

    #[test]
    fn below_the_table_are_the_notes_and_the_verdict() {
        let missed = vec![row("sit", &[1.0], &[2.0], Some(3.0)), row("lie", &[1.0], &[2.0], Some(2.0))];
        assert_eq!(shown(missed)[9..], ["  It was quiet.", "", "  1 of 2 targets missed.", ""]);
        let met = vec![row("sit", &[1.0], &[2.0], Some(2.0)), row("lie", &[1.0], &[2.0], None)];
        assert_eq!(shown(met)[9..], ["  It was quiet.", "", "  All targets met: 1.", ""]);
        let neither = vec![row("sit", &[1.0], &[2.0], None), row("lie", &[1.0], &[2.0], None)];
        assert_eq!(shown(neither)[11], "  There is no target to reach.");
    }

    #[test]
    fn another_peer_begins_another_table() {
        let mut rows = vec![row("sit", &[1.0], &[2.0], None), row("lie", &[1.0], &[2.0], None)];
        rows[1].peer_name = "sloth 3".to_owned();
        let headings = shown(rows).into_iter().filter(|line| line.contains("What"));
        let peers: Vec<String> = headings.map(|line| line.chars().skip(PEER).take(9).collect()).collect();
        assert_eq!(peers, ["idler 1.0", "sloth 3  "]);
    }

    #[test]
    fn a_ratio_is_rounded_down() {
        assert_eq!(ratio(Some(7.99)), "7.9 ×");
        assert_eq!(ratio(None), "∞ ×");
    }

    #[test]
    fn other_units_are_shown_as_they_are() {
        let lost = Samples::new(vec![3.0, 12.0, 0.0]).expect("samples");
        assert_eq!(samples(&lost, "requests"), "3 requests (0–12)");
    }
}
