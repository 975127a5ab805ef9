//! What an operator asks of the director that runs, and its answer: one line of JSON each way on the control socket.
//!
//! ```text
//! {"command":"drain","target":"web/rs3","deadline_ms":300000,"reason":"new kernel"}
//! {"reply":"done","lines":["web/rs3: draining, 12 connections left, at most 5m"]}
//! ```
//!
//! Who asks is no part of it: the socket knows. What a target names, and whether that exists, is for the director to say.
//! Unlike in a snapshot, an unknown field is refused: whoever asks for something must not get something else.

use serde::{Deserialize, Serialize};

use crate::status::OverrideStatus;

/// File name of the control socket of `lvs` in [`crate::status::RUN_DIR`].
pub const LVS_CONTROL_SOCKET: &str = "lvs-control.sock";
/// Longest request, in bytes, with its newline.
pub const MAX_REQUEST: usize = 8 * 1024;
/// Longest reason, in characters.
pub const MAX_REASON: usize = 200;

/// A request. `target` is `VIRTUAL/SERVER` or `VIRTUAL`, by the names in the file; a real server also by `ADDRESS:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Read the file again; answered when that has been done.
    Reload,
    /// Send a real server no new connections, and take it out of the table when it has none left.
    Drain {
        /// The real server.
        target: String,
        /// Longest time until it is taken out, in milliseconds; by default that of `drain` in the file, else no limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline_ms: Option<u64>,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// End a drain: the real server serves again.
    Undrain {
        /// The real server.
        target: String,
    },
    /// Give a real server a weight that takes the place of the file's and of what its load monitor asks for.
    Weight {
        /// The real server.
        target: String,
        /// The weight; 0 gets no new connections.
        weight: u32,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// End what [`Command::Disable`] began; with `force`, have a real server serve whatever its check says.
    Enable {
        /// The real server.
        target: String,
        /// Whatever its check says.
        #[serde(default)]
        force: bool,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Take a real server out of the table at once, whatever its check says.
    Disable {
        /// The real server.
        target: String,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Have the sorry server alone take new connections, or end that.
    Sorry {
        /// The virtual server.
        target: String,
        /// Begin or end.
        on: bool,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Forget all overrides, or those of a virtual server with its real servers, or those of a real server.
    Reset {
        /// What to forget those of; all when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<String>,
    },
    /// Check a real server, or all of a virtual server, at once. One that passes comes back without waiting for the time
    /// that a failed one has to answer well.
    CheckNow {
        /// The real or virtual server.
        target: String,
    },
    /// Tell the overrides in force.
    List,
    /// Tell what a reload of this file would do, and do nothing.
    Diff {
        /// The file, by its absolute path, as the director can read it.
        path: String,
    },
}

/// Why a line is no request. The text is meant for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// It is no JSON, names no command, or has fields that are missing, unknown or of another type.
    #[error("not a request: {0}")]
    Malformed(String),
    /// The reason is too long or has control characters.
    #[error("the reason may have {MAX_REASON} characters and none that cannot be printed")]
    Reason,
}

impl Command {
    /// Reads one line.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let command: Self =
            serde_json::from_str(line).map_err(|error| CommandError::Malformed(error.to_string()))?;
        let fits = |reason: &str| reason.chars().count() <= MAX_REASON && !reason.contains(char::is_control);
        if command.reason().is_none_or(fits) { Ok(command) } else { Err(CommandError::Reason) }
    }

    /// The line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        line(self)
    }

    /// Why, where a reason can be given and is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Drain { reason, .. }
            | Self::Weight { reason, .. }
            | Self::Enable { reason, .. }
            | Self::Disable { reason, .. }
            | Self::Sorry { reason, .. } => reason.as_deref(),
            Self::Reload
            | Self::Undrain { .. }
            | Self::Reset { .. }
            | Self::CheckNow { .. }
            | Self::List
            | Self::Diff { .. } => None,
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done {
        /// What, in words, a line each.
        lines: Vec<String>,
        /// What is not as it should be all the same, a line each.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// It cannot be done; nothing changed.
    Refused {
        /// Why, a line each.
        lines: Vec<String>,
    },
    /// A file cannot be used; nothing changed.
    Unusable {
        /// Every problem of it, a line each.
        lines: Vec<String>,
    },
    /// Answer to [`Command::List`].
    Overrides {
        /// The overrides in force, in the order of the file.
        overrides: Vec<Listed>,
    },
    /// Answer to [`Command::Diff`].
    Plan(Plan),
}

impl Reply {
    /// The answer that all of this is done.
    #[must_use]
    pub fn done(lines: Vec<String>) -> Self {
        Self::Done { lines, warnings: Vec::new() }
    }

    /// The same with these before the warnings that it has; only of what is done can be warned.
    #[must_use]
    pub fn with_warnings(self, mut more: Vec<String>) -> Self {
        match self {
            Self::Done { lines, warnings } => {
                more.extend(warnings);
                Self::Done { lines, warnings: more }
            }
            other => other,
        }
    }

    /// The refusal for one reason.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { lines: vec![why.into()] }
    }

    /// The line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        line(self)
    }
}

/// An override and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// `VIRTUAL/SERVER` or `VIRTUAL`, as the other commands take it.
    pub target: String,
    /// The override.
    #[serde(flatten)]
    pub override_status: OverrideStatus,
}

/// What a reload would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Whether no director runs, so that it is about starting one.
    #[serde(default)]
    pub of_start: bool,
    /// In words, a line each; none when nothing would be done.
    pub words: Vec<String>,
    /// The requests to the kernel, in order, as arguments of `ipvsadm`.
    pub requests: Vec<String>,
    /// The monitors that would be started, each by the first real server that it is for, as `VIRTUAL/SERVER`.
    #[serde(default)]
    pub monitors_started: Vec<String>,
    /// The monitors that would end, likewise. One that is replaced is in both lists.
    #[serde(default)]
    pub monitors_stopped: Vec<String>,
}

fn line<T: Serialize>(value: &T) -> String {
    // Neither type holds anything that JSON cannot: no maps with other keys than text, no errors in reading.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_one_line_that_says_what_it_is() {
        let drain = Command::Drain {
            target: "web/rs3".into(),
            deadline_ms: Some(300_000),
            reason: Some("new kernel".into()),
        };
        let line = r#"{"command":"drain","target":"web/rs3","deadline_ms":300000,"reason":"new kernel"}"#;
        assert_eq!(drain.to_line(), format!("{line}\n"));
        assert_eq!(Command::parse(line), Ok(drain));
        assert_eq!(Command::parse(r#"{"command":"reload"}"#), Ok(Command::Reload));
    }

    #[test]
    fn an_unknown_command_or_field_is_refused_in_words() {
        let refusal = |line| Command::parse(line).unwrap_err().to_string();
        assert!(
            refusal(r#"{"command":"explode"}"#)
                .starts_with("not a request: unknown variant `explode`, expected one of `reload`, `drain`"),
            "{}",
            refusal(r#"{"command":"explode"}"#)
        );
        assert!(
            refusal(r#"{"command":"undrain","target":"a/b","deadlin_ms":1}"#)
                .starts_with("not a request: unknown field `deadlin_ms`"),
        );
        assert!(refusal(r#"{"command":"drain"}"#).starts_with("not a request: missing field `target`"));
        assert!(refusal("").starts_with("not a request: EOF"));
    }

    #[test]
    fn a_reason_that_would_spoil_a_log_line_is_refused() {
        for reason in ["a\\nb".to_owned(), "x".repeat(MAX_REASON + 1)] {
            let line = format!(r#"{{"command":"disable","target":"a/b","reason":"{reason}"}}"#);
            assert_eq!(Command::parse(&line), Err(CommandError::Reason));
        }
        let longest = "é".repeat(MAX_REASON);
        let line = format!(r#"{{"command":"disable","target":"a/b","reason":"{longest}"}}"#);
        assert_eq!(Command::parse(&line).unwrap().reason(), Some(longest.as_str()));
    }

    fn command() -> impl Strategy<Value = Command> {
        let target = "[^\\p{Cc}]{0,20}";
        let reason = || proptest::option::of("[^\\p{Cc}]{0,40}");
        prop_oneof![
            Just(Command::Reload),
            Just(Command::List),
            (target, any::<Option<u64>>(), reason())
                .prop_map(|(target, deadline_ms, reason)| Command::Drain { target, deadline_ms, reason }),
            target.prop_map(|target| Command::Undrain { target }),
            (target, any::<u32>(), reason()).prop_map(|(target, weight, reason)| Command::Weight {
                target,
                weight,
                reason
            }),
            (target, any::<bool>(), reason()).prop_map(|(target, force, reason)| Command::Enable {
                target,
                force,
                reason
            }),
            (target, reason()).prop_map(|(target, reason)| Command::Disable { target, reason }),
            (target, any::<bool>(), reason()).prop_map(|(target, on, reason)| Command::Sorry {
                target,
                on,
                reason
            }),
            proptest::option::of(target).prop_map(|target| Command::Reset { target }),
            target.prop_map(|target| Command::CheckNow { target }),
            target.prop_map(|path| Command::Diff { path }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(command in command()) {
            let line = command.to_line();
            prop_assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            prop_assert_eq!(Command::parse(&line), Ok(command));
        }

        #[test]
        fn any_text_is_read_without_panic(line in ".{0,300}") {
            let _ = Command::parse(&line);
        }

        #[test]
        fn answers_are_read_back(lines in proptest::collection::vec(".{0,20}", 0..4)) {
            for reply in [
                Reply::done(lines.clone()),
                Reply::Done { lines: lines.clone(), warnings: lines.clone() },
                Reply::Refused { lines: lines.clone() },
                Reply::Unusable { lines: lines.clone() },
                Reply::Plan(Plan {
                    of_start: lines.is_empty(),
                    words: lines.clone(),
                    requests: lines.clone(),
                    monitors_started: lines.clone(),
                    monitors_stopped: lines.clone(),
                }),
            ] {
                prop_assert_eq!(serde_json::from_str::<Reply>(&reply.to_line()).unwrap(), reply);
            }
        }
    }

    #[test]
    fn an_override_is_listed_flat() {
        use crate::status::{Left, Override};
        let left = Left { active: 1, inactive: 2, persistent: 0 };
        let drain = Override::Drain { deadline_ms: Some(9), left: Some(left), ended: None };
        let override_status =
            OverrideStatus { what: drain, by: "root".into(), at_ms: 5, reason: Some("why".into()) };
        let listed = Listed { target: "web/rs1".into(), override_status };
        let reply = Reply::Overrides { overrides: vec![listed] };
        assert_eq!(
            reply.to_line(),
            concat!(
                r#"{"reply":"overrides","overrides":[{"target":"web/rs1","what":"drain","deadline_ms":9,"#,
                r#""left":{"active":1,"inactive":2,"persistent":0},"ended":null,"by":"root","at_ms":5,"reason":"why"}]}"#,
                "\n"
            )
        );
        assert_eq!(serde_json::from_str::<Reply>(&reply.to_line()).unwrap(), reply);
    }
}
