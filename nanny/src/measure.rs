//! Who is asked for a server's load, and what the answer means. The asking itself is a probe like any other.

use std::net::SocketAddr;
use std::time::Duration;

use checkspec::Load;
use checkspec::load::Meaning;
use serde_json::Value;

use crate::advice::{self, Advice};
use crate::check::{Check, Http, Kind, Limits, LineCheck, ProgramCheck, program};
use crate::escape::quote;
use crate::load;
use crate::monitor::LOAD_PERIOD;
use crate::weighing::Measured;

/// Where the load is told.
#[derive(Debug)]
pub struct Source {
    /// How it is asked for.
    pub check: Check,
    /// Whom, if not a program.
    pub target: SocketAddr,
    /// What the answer is.
    pub answer: Answer,
}

/// What an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The output of `uptime` or one of its relatives.
    Uptime,
    /// The line of an agent.
    Agent,
    /// A JSON document with a number.
    Document {
        /// Where the number is: keys of objects, indexes of lists.
        field: Vec<String>,
        /// What it means.
        means: Meaning,
    },
}

impl Source {
    /// What `command` names for this server: `agent …`, `json …` or a program. It may take as long as `limit`.
    ///
    /// # Errors
    /// What is wrong with it, and what is allowed.
    pub fn named(command: &[u8], server: SocketAddr, limit: Duration) -> Result<Self, String> {
        let text = str::from_utf8(command).ok().filter(|text| Load::is_meant(text));
        let asked = text.map(str::parse::<Load>).transpose().map_err(|error| error.to_string())?;
        let at = |port: Option<u16>| SocketAddr::new(server.ip(), port.unwrap_or(server.port()));
        let (kind, target, answer) = match asked {
            Some(Load::Agent { port, send }) => {
                (Kind::Line(LineCheck { send }), at(Some(port)), Answer::Agent)
            }
            Some(Load::Json { field, means, path, host, port }) => {
                let http = Http::page(path, host, at(port));
                (Kind::Http(http), at(port), Answer::Document { field, means })
            }
            None => (Kind::Program(program(command, server)?), server, Answer::Uptime),
        };
        let limits = Limits { total: Some(limit), ..Limits::each(limit) };
        Ok(Self { check: Check { kind, limits }, target, answer })
    }

    /// How often it is asked at most, when the server is probed every `interval`. A program costs more than a question.
    #[must_use]
    pub fn period(&self, interval: Duration) -> Duration {
        match self.answer {
            Answer::Uptime => LOAD_PERIOD,
            Answer::Agent | Answer::Document { .. } => interval,
        }
    }

    /// What an answer means.
    ///
    /// # Errors
    /// What it lacks.
    pub fn read(&self, answer: &[u8]) -> Result<Measured, String> {
        match &self.answer {
            Answer::Uptime => load::parse(answer).map(Measured::Load).ok_or_else(|| "no load average".into()),
            Answer::Agent => {
                let advice = Advice::parse(answer).map(Measured::Advice);
                advice.ok_or_else(|| format!("{} is nothing that an agent says", quote(answer)))
            }
            Answer::Document { field, means } => {
                let number = number(answer, field)?;
                let measured = match means {
                    Meaning::Percent => percent(number).map(Measured::Percent),
                    Meaning::Load => Some(number).filter(|load| load::is_load(*load)).map(Measured::Load),
                };
                measured.ok_or_else(|| format!("{number} at {} is out of range", field.join(".")))
            }
        }
    }
}

/// `COMMAND ADDRESS`, and what to run there if the command is a remote shell.
fn program(command: &[u8], server: SocketAddr) -> Result<ProgramCheck, String> {
    let mut words = program::split(command, SocketAddr::new(server.ip(), 0));
    if words.is_empty() {
        return Err("write a program and its arguments, agent, json or none".into());
    }
    words.push(server.ip().to_string().into());
    if command == b"rsh" || command == b"ssh" {
        words.push("uptime".into());
    }
    Ok(ProgramCheck { words, environment: Vec::new(), expect: None, warning: None })
}

/// The number at `field` of a document.
fn number(document: &[u8], field: &[String]) -> Result<f64, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| format!("no JSON: {error}"))?;
    let found = field.iter().try_fold(&document, |value, name| match value {
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => value.get(name),
    });
    found.and_then(Value::as_f64).ok_or_else(|| format!("no number at {}", field.join(".")))
}

/// A part of the weight, if the number can be one.
fn percent(number: f64) -> Option<u16> {
    let in_range = (0.0..=f64::from(advice::MOST)).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "in the range of u16, as just found; the fraction is rounded"
    )]
    in_range.then(|| number.round() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Invocation, parse};
    use crate::settings::Settings;

    fn source(command: &str) -> Source {
        match parse(["-h", "10.2.0.11", "-U", command].map(Into::into)) {
            Ok(Invocation::Run(args)) => Settings::resolve(&args).unwrap().load.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_load_average_or_the_words_of_an_agent() {
        let program = source("rup");
        assert_eq!(program.read(b"rs1 up 3 days, load: 0.31, 0.2, 0.1"), Ok(Measured::Load(0.31)));
        assert_eq!(program.read(b"nothing"), Err("no load average".into()));
        let agent = source("agent port=5309");
        assert_eq!(agent.target.to_string(), "10.2.0.11:5309");
        let half = Advice { percent: Some(50), ..Advice::default() };
        assert_eq!(agent.read(b"50%\n"), Ok(Measured::Advice(half)));
        assert_eq!(agent.read(b"hello\r\n"), Err("\"hello\" is nothing that an agent says".into()));
    }

    #[test]
    fn a_number_in_a_document_is_a_part_of_the_weight_or_a_load() {
        let document = br#"{"free":{"cpu":74.6,"much":300},"load":[0.31,0.2],"name":"rs1"}"#;
        let percent = |field: &str| source(&format!("json field={field}")).read(document);
        assert_eq!(percent("free.cpu"), Ok(Measured::Percent(75)));
        assert_eq!(percent("load.0"), Ok(Measured::Percent(0)));
        assert_eq!(percent("free.much"), Err("300 at free.much is out of range".into()));
        for missing in ["free", "free.cpu.x", "load.2", "load.x", "name", "none"] {
            assert_eq!(percent(missing), Err(format!("no number at {missing}")));
        }
        let load = source("json field=load.0 means=load path=/status port=9100");
        assert_eq!(load.target.to_string(), "10.2.0.11:9100");
        assert_eq!(load.read(document), Ok(Measured::Load(0.31)));
        let wrong = load.read(b"<html>").unwrap_err();
        assert!(wrong.starts_with("no JSON: expected value"), "{wrong}");
    }
}
