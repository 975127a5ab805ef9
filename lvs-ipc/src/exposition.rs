//! The text format in which Prometheus collects metrics (version 0.0.4): how it is written, not what is told.

use std::fmt::{self, Write as _};

/// Media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until whoever counts starts again.
    Counter,
    /// It goes up and down.
    Gauge,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        })
    }
}

/// A metric that is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, which never changes its meaning.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

/// A number as the format writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A time of so many milliseconds, told in seconds.
    Millis(u64),
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Count(yes.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Millis(millis) => write!(f, "{}.{:03}", millis / 1000, millis % 1000),
        }
    }
}

/// Labels with their values in braces, or nothing without labels. A value may be any text.
#[must_use]
pub fn labels(names: &[&str], values: &[&str]) -> String {
    let mut text = String::new();
    for (name, value) in names.iter().zip(values) {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

/// Writes one metric: its description and its samples, each with its [`labels`]. Without samples nothing is written.
pub fn write<L: AsRef<str>>(
    text: &mut String,
    metric: &Metric,
    samples: impl IntoIterator<Item = (L, Value)>,
) {
    let Metric { name, kind, help, .. } = metric;
    let mut described = false;
    for (labels, value) in samples {
        // Writing to a String cannot fail.
        if !described {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            described = true;
        }
        let _ = writeln!(text, "{name}{} {value}", labels.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRIC: Metric =
        Metric { name: "a_total", kind: Kind::Counter, labels: &["x", "y"], help: "What is counted." };

    #[test]
    fn a_metric_is_described_once_before_its_samples() {
        let mut text = String::new();
        let samples = [(labels(METRIC.labels, &["1", "two"]), Value::Count(7)), (String::new(), true.into())];
        write(&mut text, &METRIC, samples);
        assert_eq!(
            text,
            "# HELP a_total What is counted.\n# TYPE a_total counter\na_total{x=\"1\",y=\"two\"} 7\na_total 1\n"
        );
        write(&mut text, &METRIC, Vec::<(String, Value)>::new());
        assert_eq!(text.lines().count(), 4, "no description of nothing");
    }

    #[test]
    fn any_text_can_be_the_value_of_a_label() {
        assert_eq!(labels(&["x"], &["a\\b\"c\nd{}=,é"]), r#"{x="a\\b\"c\nd{}=,é"}"#);
        assert_eq!(labels(&[], &[]), "");
    }

    #[test]
    fn times_are_told_in_seconds() {
        assert_eq!(Value::Millis(1_700_000_000_007).to_string(), "1700000000.007");
        assert_eq!(Value::Millis(5).to_string(), "0.005");
    }
}
