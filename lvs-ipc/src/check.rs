//! What `lvs check --json` says about a file: one line of JSON.
//!
//! Fields are only ever added; readers ignore what they do not know. Lines and columns count from 1, columns and lengths
//! are numbers of characters.

use serde::{Deserialize, Serialize};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The file, as it was named.
    pub file: String,
    /// Whether it can be served: no problem is an error.
    pub good: bool,
    /// How many virtual servers it has; `None` when it cannot be served.
    pub virtual_servers: Option<usize>,
    /// How many real servers they have together; `None` when it cannot be served.
    pub real_servers: Option<usize>,
    /// Everything that is wrong or odd, in the order of the text: first of the file, then of those that it includes.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file in which it is.
    pub file: String,
    /// Where in it; `None` when it is about the file as a whole, such as one that cannot be read.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// Whether the file can be served in spite of it.
    pub severity: Severity,
    /// The kind of problem: a stable word such as `out-of-range`.
    pub code: String,
    /// What was found.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// A second place that explains it, such as the first of two definitions.
    pub note: Option<Note>,
}

/// A range of characters on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The first character.
    pub column: u32,
    /// The number of characters; 0 for a point.
    pub length: u32,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file cannot be served.
    Error,
    /// The file is served; something in it probably does not do what was meant.
    Warning,
}

/// A second place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The file in which it is.
    pub file: String,
    /// Where in it.
    #[serde(flatten)]
    pub place: Place,
    /// What is there.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CheckReport {
        let place = Place { line: 4, column: 8, length: 5 };
        let note = Note { file: "b.cf".into(), place, message: "first given".into() };
        let problem = Problem {
            file: "a.cf".into(),
            place: Some(place),
            severity: Severity::Warning,
            code: "conflict".into(),
            message: "said twice".into(),
            help: None,
            note: Some(note),
        };
        let whole = Problem { place: None, severity: Severity::Error, note: None, ..problem.clone() };
        CheckReport {
            file: "a.cf".into(),
            good: false,
            virtual_servers: None,
            real_servers: None,
            problems: vec![problem, whole],
        }
    }

    #[test]
    fn the_fields_are_those_that_are_documented() {
        let text = serde_json::to_string(&report()).unwrap();
        assert_eq!(
            text,
            r#"{"file":"a.cf","good":false,"virtual_servers":null,"real_servers":null,"problems":["#
                .to_owned()
                + r#"{"file":"a.cf","line":4,"column":8,"length":5,"severity":"warning","code":"conflict","#
                + r#""message":"said twice","help":null,"#
                + r#""note":{"file":"b.cf","line":4,"column":8,"length":5,"message":"first given"}},"#
                + r#"{"file":"a.cf","severity":"error","code":"conflict","message":"said twice","help":null,"#
                + r#""note":null}]}"#
        );
    }

    #[test]
    fn a_report_reads_back_and_unknown_fields_are_ignored() {
        let text = serde_json::to_string(&report()).unwrap();
        let newer = text.replacen('{', r#"{"new":1,"#, 1);
        assert_eq!(serde_json::from_str::<CheckReport>(&newer).unwrap(), report());
    }
}
