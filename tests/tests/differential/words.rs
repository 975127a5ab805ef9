//! A command before it is words: items that can be changed, spelled in every way that the manual and popt know.

use super::{
    rng::Rng,
    vocabulary::{Row, Takes, row},
};

/// One part of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A command or an option, by its long name, with its value.
    Option(&'static str, Option<String>),
    /// A word as it is.
    Plain(String),
}

impl Item {
    /// The long name of an option.
    pub(super) fn name(&self) -> Option<&'static str> {
        match self {
            Self::Option(name, _) => Some(name),
            Self::Plain(_) => None,
        }
    }

    /// The value, if it is an option of that name.
    pub(super) fn value_of(&self, name: &str) -> Option<&str> {
        match self {
            Self::Option(own, Some(value)) if *own == name => Some(value),
            _ => None,
        }
    }
}

/// A command line and what is fed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What it is made of.
    pub(super) items: Vec<Item>,
    /// Its words.
    pub(super) words: Vec<String>,
    /// Standard input.
    pub(super) input: Vec<u8>,
}

impl Line {
    /// Spells items.
    pub(super) fn spell(items: Vec<Item>, input: Vec<u8>, rng: &mut Rng) -> Self {
        let mut words = Vec::new();
        let mut flags_may_join = false;
        for item in &items {
            match item {
                Item::Plain(word) => {
                    words.push(word.clone());
                    flags_may_join = false;
                }
                Item::Option(name, value) => {
                    flags_may_join = spell(row(name), value.as_deref(), &mut words, flags_may_join, rng);
                }
            }
        }
        Self { items, words, input }
    }

    /// As one pastes it into a shell; `program` is the tool.
    pub(super) fn shell(&self, program: &str) -> String {
        let mut text = program.to_owned();
        for word in &self.words {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        if !self.input.is_empty() {
            let input = quoted(&String::from_utf8_lossy(&self.input));
            text = format!("printf %s {input} | {text}");
        }
        text
    }
}

/// Appends an option's words; says whether the last one is letters that more may join.
fn spell(row: &Row, value: Option<&str>, words: &mut Vec<String>, may_join: bool, rng: &mut Rng) -> bool {
    let long = format!("--{}", row.long);
    let Some(letter) = row.short.filter(|_| rng.percent(65)) else {
        match value {
            Some(value) if rng.percent(40) => words.push(format!("{long}={value}")),
            Some(value) => words.extend([long, value.to_owned()]),
            None => words.push(long),
        }
        return false;
    };
    let joins = may_join && rng.percent(30);
    match words.last_mut() {
        Some(last) if joins => last.push(letter),
        _ => words.push(format!("-{letter}")),
    }
    match (value, words.last_mut()) {
        (Some(value), Some(last)) if !value.is_empty() && rng.percent(25) => {
            if rng.percent(30) {
                last.push('=');
            }
            last.push_str(value);
            false
        }
        (Some(value), _) => {
            words.push(value.to_owned());
            false
        }
        // After an option that may have a value, more letters would be it.
        (None, _) => row.takes == Takes::Nothing,
    }
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_=.:/,[]+%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) && !word.contains(['[', ']']) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
