//! Options and values as they were given, and whether they go together; not yet what they mean.

use std::ffi::OsString;

use super::args::{ArgsError, Parsed};
use super::options::{self, Key, Row, Value};
use super::suggest::did_you_mean;
use super::values::number;

/// A command with its options, not yet understood.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) command: Option<Key>,
    pub(super) options: Vec<(Key, Option<String>)>,
    pub(super) others: Vec<String>,
}

impl Given {
    pub(super) fn collect(words: Vec<OsString>) -> Parsed<Self> {
        let mut given = Self::default();
        let mut parser = lexopt::Parser::from_args(words);
        loop {
            let word = parser.next().map_err(|error| ArgsError::unknown(error.to_string()))?;
            let Some(word) = word else { break };
            let row = row_of(&word);
            let name = match word {
                lexopt::Arg::Value(value) => {
                    given.others.push(value.to_string_lossy().into_owned());
                    continue;
                }
                lexopt::Arg::Short(short) => format!("-{short}"),
                lexopt::Arg::Long(long) => format!("--{long}"),
            };
            let Some(row) = row else {
                let hint = hint(name.trim_start_matches('-'), given.command);
                return Err(match given.command {
                    None => ArgsError::no_command(format!("unknown command {name}{hint}")),
                    Some(_) => ArgsError::unknown(format!("unknown option {name}{hint}")),
                });
            };
            let takes_none = matches!(row.value, Value::No | Value::Three(_)) && name.starts_with("--");
            if takes_none && parser.optional_value().is_some() {
                let message = format!("{name} takes no value; try --help");
                return Err(match given.command {
                    None => ArgsError::no_command(message),
                    Some(_) => ArgsError::unknown(message),
                });
            }
            if given.command.is_none() && matches!(row.key, Key::Help | Key::Version) {
                // Like the original, answer without a look at the rest, which may be letters right behind.
                return Ok(Self { command: Some(row.key), ..Self::default() });
            }
            let value = value(&mut parser, row.value, &name)?;
            given.add(row.key, value)?;
        }
        match (given.command, given.others.first()) {
            (Some(_), _) => Ok(given),
            (None, Some(word)) => {
                let hint = hint(word, None);
                Err(ArgsError::no_command(format!("`{word}` is not a command{hint}")))
            }
            (None, None) => Err(ArgsError::no_command("no command is given; try --help")),
        }
    }

    fn add(&mut self, key: Key, value: Option<String>) -> Parsed<()> {
        let command = self.command;
        match (key.is_command(), command) {
            (true, None) => self.command = Some(key),
            (true, Some(first)) => {
                let (first, second) = (first.word(), key.word());
                return Err(ArgsError::wrong(format!("two commands: {first} and {second}")));
            }
            (false, None) => {
                let word = key.word();
                return Err(ArgsError::no_command(format!("a command must come before {word}; try --help")));
            }
            // Without effect in the original, with every command.
            (false, Some(_)) if key == Key::Sort => return Ok(()),
            (false, Some(_)) => {
                if let Some((other, _)) = self.options.iter().find(|(other, _)| other.group() == key.group())
                {
                    let (first, second) = (other.word(), key.word());
                    return Err(ArgsError::wrong(match first == second {
                        true => format!("{first} is given twice"),
                        false => format!("{first} and {second} exclude each other"),
                    }));
                }
            }
        }
        // The value of a command is kept like an option's.
        if !key.is_command() || value.is_some() {
            self.options.push((key, value));
        }
        Ok(())
    }

    /// Whether the options fit the command.
    pub(super) fn check(&self) -> Parsed<()> {
        let command = self.command.unwrap_or(Key::List);
        let word = command.word();
        let (takes, needs) = options::fitting(command);
        for (key, _) in &self.options {
            if !key.is_command() && !takes.contains(&key.group()) {
                let others = commands_with(key.group());
                return Err(ArgsError::wrong(format!(
                    "{} does not go with {word}, but with {others}",
                    key.word()
                )));
            }
        }
        for key in needs {
            if !self.options.iter().any(|(given, _)| given.group() == *key) {
                let wanted = match key {
                    Key::TcpService => "a virtual service (-t, -u, --sctp-service or -f)".to_owned(),
                    other => other.word(),
                };
                return Err(ArgsError::wrong(format!("{word} needs {wanted}")));
            }
        }
        let takes = if command == Key::Set { 3 } else { 0 };
        match self.others.get(takes) {
            Some(other) if takes == 0 => Err(ArgsError::wrong(format!(
                "unexpected word `{other}`: {word} takes options only, each with its value"
            ))),
            Some(other) => {
                Err(ArgsError::wrong(format!("unexpected word `{other}` after the three timeouts")))
            }
            None => Ok(()),
        }
    }

    pub(super) fn has(&self, key: Key) -> bool {
        self.options.iter().any(|(given, _)| *given == key)
    }

    pub(super) fn value(&self, key: Key) -> Option<&str> {
        self.options.iter().find(|(given, _)| *given == key)?.1.as_deref()
    }

    pub(super) fn number(&self, key: Key, least: u32, most: u32) -> Parsed<Option<u32>> {
        self.value(key).map(|text| number(&key.word(), text, least, most)).transpose()
    }
}

/// What a word may have been meant to be: a command, or an option that goes with the command.
fn hint(word: &str, command: Option<Key>) -> String {
    let takes = command.map(|command| options::fitting(command).0);
    let fits = |row: &&Row| takes.map_or(row.key.is_command(), |takes| takes.contains(&row.key.group()));
    match did_you_mean("--", word, options::all().filter(fits).map(|row| row.long)) {
        none if none.is_empty() => "; try --help".to_owned(),
        found => found,
    }
}

/// The commands that an option goes with, such as `-a and -e`.
fn commands_with(group: Key) -> String {
    let fits = |row: &&Row| options::fitting(row.key).0.contains(&group);
    let words: Vec<String> = options::COMMANDS.iter().filter(fits).map(|row| row.key.word()).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// The row of a command or an option, if there is one.
pub(super) fn row_of(word: &lexopt::Arg<'_>) -> Option<&'static Row> {
    match word {
        lexopt::Arg::Short(short) => options::all().find(|row| row.short.contains(short)),
        lexopt::Arg::Long(long) => options::all().find(|row| row.long == *long),
        lexopt::Arg::Value(_) => None,
    }
}

/// The value of an option, if it takes one and has one.
pub(super) fn value(parser: &mut lexopt::Parser, kind: Value, name: &str) -> Parsed<Option<String>> {
    let text = |value: OsString| {
        value
            .into_string()
            .map_err(|value| ArgsError::wrong(format!("{name} `{}` is not UTF-8", value.to_string_lossy())))
    };
    match kind {
        Value::No | Value::Three(_) => Ok(None),
        Value::Required(what) => match parser.value() {
            Ok(value) => text(value).map(Some),
            Err(_) => Err(ArgsError::unknown(format!("{name} needs a value: {what}"))),
        },
        Value::Optional(_) => {
            if let Some(value) = parser.optional_value() {
                return text(value).map(Some);
            }
            // Like the original, take the next word too, unless it is an option.
            let next = parser
                .try_raw_args()
                .and_then(|mut words| words.next_if(|word| !word.as_encoded_bytes().starts_with(b"-")));
            next.map(text).transpose()
        }
    }
}
