//! The words after `lvs migrate` and `lvs convert-keepalived`.

use std::path::PathBuf;

use lexopt::Arg::{Long, Short, Value};
use lexopt::Parser;

use crate::args::{Command, UsageError};

/// The file of keepalived when none is named.
const KEEPALIVED_FILE: &str = "/etc/keepalived/keepalived.conf";

/// `[--clean] [FILE]`.
pub(crate) fn migrate(mut parser: Parser) -> Result<Command, UsageError> {
    let mut clean = false;
    let mut file = None;
    while let Some(word) = parser.next()? {
        match word {
            Short('h' | '?') | Long("help") => return Ok(Command::Help),
            Long("clean") => clean = true,
            Short('c') | Long("configfile") if file.is_none() => file = Some(parser.value()?.into()),
            Value(word) if file.is_none() => file = Some(word.into()),
            Value(word) => return Err(UsageError::TooMany { command: "migrate [--clean] [FILE]", word }),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Migrate { file, clean })
}

/// `[-i ID] [FILE]`; the option is that of keepalived.
pub(crate) fn convert_keepalived(mut parser: Parser) -> Result<Command, UsageError> {
    let mut config_id = None;
    let mut file: Option<PathBuf> = None;
    while let Some(word) = parser.next()? {
        match word {
            Short('h' | '?') | Long("help") => return Ok(Command::Help),
            Short('i') | Long("config-id") => {
                config_id = Some(parser.value()?.to_string_lossy().into_owned());
            }
            Value(word) if file.is_none() => file = Some(word.into()),
            Value(word) => {
                return Err(UsageError::TooMany { command: "convert-keepalived [-i ID] [FILE]", word });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::ConvertKeepalived { file: file.unwrap_or_else(|| KEEPALIVED_FILE.into()), config_id })
}
