//! `program`: a program that is run for each check, and what its end and its output mean.

use std::net::SocketAddr;

use crate::error::{SpecError, printable};
use crate::exchange::Expect;
use crate::options::{About, Options};
use crate::words::{Line, Word};

pub(crate) const ABOUT: &str = "Runs a program. The server is healthy when it ends with status 0 in time and, where an output is expected, writes \
     that. It is killed, with all that it started, when it takes longer than `timeout`. Without an output that is \
     expected only the status counts. Plugins of Nagios and its relatives can be run: with `warning`, their status 1 \
     means that the server is used less.";

/// Options of `program`.
pub(crate) const OPTIONS: &[About] = &[
    About::once(
        "run",
        "COMMAND",
        "",
        "**Required.** The program and its arguments, with the quotes and backslashes of a shell, but without a shell: no \
         variables, no patterns. In an argument `%h` becomes the address and `%p` the port of the real server, `%v` the \
         address and port of the virtual server (or `fwmark NUMBER`), `%w` the weight, `%%` a percent sign.",
    ),
    About::repeated(
        "env",
        "NAME=VALUE",
        "A variable that is added to its environment. Under `lvs` that holds `PATH` only.",
    ),
    About::once("expect", "TEXT", "", "Its output must begin with this."),
    About::once("contains", "TEXT", "", "This must be somewhere in its output."),
    About::once("equals", "TEXT", "", "Its output, without the end of its last line, must be this."),
    About::once("regex", "EXPRESSION", "", "The expression must match somewhere in its output."),
    About::once("any", "", "", "It must write something."),
    About::once(
        "warning",
        "PERCENT",
        "status 1 is a failure",
        "Status 1 means that the server is up with this part of its weight, from 0, which takes no new connections, to 100.",
    ),
];

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program, looked up in `PATH` unless it holds a `/`, and its arguments, with placeholders. At least one.
    words: Vec<String>,
    /// Its environment beside `PATH`.
    pub environment: Vec<(String, String)>,
    /// What it must write to standard output, if that counts.
    pub expect: Option<Expect>,
    /// The part of its weight, in percent, that the server has after status 1; `None` if that is a failure.
    pub warning: Option<u8>,
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// `%h` and `%p`: the real server.
    pub server: SocketAddr,
    /// `%v`: the virtual server.
    pub service: &'a str,
    /// `%w`: the real server's configured weight.
    pub weight: u16,
}

impl Program {
    /// The program and its arguments, placeholders filled in.
    #[must_use]
    pub fn command(&self, surroundings: Surroundings<'_>) -> Vec<String> {
        self.words.iter().map(|word| fill(word, surroundings)).collect()
    }

    pub(crate) fn is_of_one_service(&self) -> bool {
        let asks = |word: &String| {
            let escaped = word.replace("%%", "");
            escaped.contains("%v") || escaped.contains("%w")
        };
        self.warning.is_some() || self.words.iter().any(asks)
    }

    pub(crate) fn read(options: &Options<'_>) -> Result<Self, SpecError> {
        let run =
            options.one("run").ok_or_else(|| options.missing("run", "write run=\"PROGRAM ARGUMENTS\""))?;
        let expected =
            options.all().filter_map(|word| Expect::read(word).map(|it| it.map(|it| (word, it))).transpose());
        let expected = expected.collect::<Result<Vec<_>, _>>()?;
        if let [(first, _), (second, _), ..] = expected.as_slice() {
            let message = format!("`{}` beside `{}`", second.name, first.name);
            return Err(SpecError::new(
                second.place.clone(),
                message,
                "an output is compared in one way: give one of the two",
            ));
        }
        Ok(Self {
            words: command(run)?,
            environment: options.each("env").map(variable).collect::<Result<_, _>>()?,
            expect: expected.into_iter().next().map(|(_, expect)| expect),
            warning: options.number("warning", 0..=100)?,
        })
    }

    pub(crate) fn write(&self, line: &mut Line) {
        line.word("program");
        line.bytes("run", joined(&self.words).as_bytes());
        for (name, value) in &self.environment {
            line.bytes("env", format!("{name}={value}").as_bytes());
        }
        if let Some(expect) = &self.expect {
            expect.write(line);
        }
        if let Some(percent) = self.warning {
            line.plain("warning", percent);
        }
    }
}

/// A command's words; each has placeholders that are known.
fn command(word: &Word<'_>) -> Result<Vec<String>, SpecError> {
    let text = word.text()?;
    let words = shlex::split(&text).ok_or_else(|| word.refuse("close all quotes of the command"))?;
    if words.first().is_none_or(String::is_empty) {
        return Err(word.refuse("write a program and its arguments"));
    }
    for argument in &words {
        let mut rest = argument.as_str();
        while let Some((_, after)) = rest.split_once('%') {
            if !after.starts_with(['h', 'p', 'v', 'w', '%']) {
                let found: String = after.chars().take(1).collect();
                let message = format!("`%{}` stands for nothing", printable(&found));
                return Err(SpecError::new(
                    word.place.clone(),
                    message,
                    "allowed: %h, %p, %v, %w, and %% for a percent sign",
                ));
            }
            rest = &after[1..];
        }
    }
    Ok(words)
}

fn variable(word: &Word<'_>) -> Result<(String, String), SpecError> {
    let text = word.text()?;
    let pair = text.split_once('=').filter(|(name, _)| is_variable(name));
    let (name, value) =
        pair.ok_or_else(|| word.refuse("write env=NAME=VALUE, a name of letters, digits and _"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn is_variable(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(is_allowed) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// The words as one command that [`shlex::split`] splits into the same. What it cannot write, a NUL, no word holds.
fn joined(words: &[String]) -> String {
    let quoted = |word: &String| shlex::try_quote(word).map_or_else(|_| String::new(), Into::into);
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn fill(word: &str, surroundings: Surroundings<'_>) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let mut after = after.chars();
        match after.next() {
            Some('h') => out.push_str(&surroundings.server.ip().to_string()),
            Some('p') => out.push_str(&surroundings.server.port().to_string()),
            Some('v') => out.push_str(surroundings.service),
            Some('w') => out.push_str(&surroundings.weight.to_string()),
            _ => out.push('%'),
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Check;

    fn read(text: &str) -> Program {
        match text.parse() {
            Ok(Check::Program(program)) => program,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(text: &str) -> String {
        text.parse::<Check>().unwrap_err().to_string()
    }

    fn filled(text: &str) -> Vec<String> {
        let server = "10.2.0.11:80".parse().unwrap();
        read(text).command(Surroundings { server, service: "10.1.0.100:443", weight: 7 })
    }

    #[test]
    fn a_command_is_split_as_by_a_shell_and_filled_in() {
        assert_eq!(
            filled(r#"program run="check -H %h:%p 'two words' --of=%v \"%w\" a\\ b 100%%""#),
            ["check", "-H", "10.2.0.11:80", "two words", "--of=10.1.0.100:443", "7", "a b", "100%"]
        );
    }

    #[test]
    fn commands_that_cannot_be_are_told() {
        assert_eq!(wrong("program"), "`program` needs `run`; write run=\"PROGRAM ARGUMENTS\"");
        assert_eq!(wrong("program run=\"a 'b\""), "`run` is `a \\'b`; close all quotes of the command");
        assert_eq!(wrong("program run=\"  \""), "`run` is `  `; write a program and its arguments");
        assert_eq!(
            wrong("program run=\"a %x\""),
            "`%x` stands for nothing; allowed: %h, %p, %v, %w, and %% for a percent sign"
        );
        assert_eq!(
            wrong("program run=a env=1=2"),
            "`env` is `1=2`; write env=NAME=VALUE, a name of letters, digits and _"
        );
        assert_eq!(
            wrong("program run=a any regex=x"),
            "`regex` beside `any`; an output is compared in one way: give one of the two"
        );
        assert_eq!(
            wrong("program run=a warning=101"),
            "`warning` is `101`; allowed: a whole number from 0 to 100"
        );
    }

    #[test]
    fn a_program_that_asks_about_weight_or_service_belongs_to_one_service() {
        let belongs = |text: &str| text.parse::<Check>().unwrap().is_of_one_service();
        assert!(belongs("program run=a warning=50"));
        assert!(belongs("program run=\"a x%v\""));
        assert!(belongs("program run=\"a %w\""));
        assert!(!belongs("program run=\"a %h %p %%v\""));
        assert!(!belongs("tcp"));
    }

    fn program() -> impl Strategy<Value = Program> {
        let words = prop::collection::vec("[a-z '\"\\\\$#é]{0,6}(%[hpvw%])?", 0..4);
        let environment = prop::collection::vec(("[A-Z_][A-Z0-9_]{0,4}", "[a-z=\" ]{0,5}"), 0..3);
        let expect = prop::option::of(prop::collection::vec(any::<u8>(), 1..5).prop_map(Expect::Contains));
        (words, environment, expect, prop::option::of(0..=100_u8)).prop_map(
            |(mut words, environment, expect, warning)| {
                words.insert(0, "check".into());
                Program { words, environment, expect, warning }
            },
        )
    }

    proptest! {
        #[test]
        fn a_program_reads_back(program in program()) {
            let check = Check::Program(program);
            prop_assert_eq!(check.to_string().parse::<Check>().unwrap(), check);
        }
    }
}
