//! `lvs status`: asks the director that runs, over its socket, once or again and again, and shows the answer.

use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
use lvs_ipc::metrics;
use lvs_ipc::status::{LVS_SOCKET, LvsStatus};
use rustix::termios::tcgetwinsize;

use crate::args::{Form, Query};
use crate::screen::Screen;
use crate::selection::select;
use crate::status_view::{Colours, render};

/// Longest wait for a part of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer, in bytes; a table of 40,000 real servers is a half of it.
const LONGEST: u64 = 128 * 1024 * 1024;
/// To the upper left corner of a terminal.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line.
const END_OF_LINE: &str = "\x1b[K";
/// Clears the rest of a terminal.
const END_OF_SCREEN: &str = "\x1b[J";

/// What a watch says where a whole table does not fit.
const LESS: &str = "lvs status VS shows one virtual server";

/// Prints what is asked for. A watch shows as much as fits the terminal. It ends with the program, when nobody reads any
/// more, or when standard output is no terminal and the director does not answer.
///
/// # Errors
/// When no director runs, it may not be asked, it answers something else, or has nothing of a name that is asked for.
pub fn status(query: &Query) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let on_terminal = out.is_terminal();
    let colours = if on_terminal && wants_colours() { Colours::On } else { Colours::Off };
    let Some(interval) = query.watch else {
        let text = shown(query, colours)?;
        // A reader that has gone away has seen enough.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        return Ok(());
    };
    loop {
        let text = match shown(query, colours) {
            Err(error) if on_terminal => format!("{error:#}\n"),
            other => other?,
        };
        // The terminal may have another size than the last time.
        let text = match screen(&out).filter(|_| query.form != Form::Json) {
            Some(screen) => screen.fit(&text, if query.names.is_empty() { LESS } else { "" }),
            None => text,
        };
        let text = if on_terminal { redrawn(&text) } else { text };
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            return Ok(());
        }
        std::thread::sleep(interval);
    }
}

/// The size of a terminal; nothing for anything else.
fn screen(out: impl AsFd) -> Option<Screen> {
    let size = tcgetwinsize(out).ok()?;
    Screen::new(size.ws_row, size.ws_col)
}

/// The text in place of what the terminal shows.
fn redrawn(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("{line}{END_OF_LINE}\n")).collect();
    format!("{HOME}{}{END_OF_SCREEN}", lines.concat())
}

fn wants_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn shown(query: &Query, colours: Colours) -> anyhow::Result<String> {
    let answer = ask(&query.run_dir)?;
    if query.form == Form::Json && query.names.is_empty() {
        return Ok(answer);
    }
    let status: LvsStatus = serde_json::from_str(&answer)
        .with_context(|| format!("{}: the answer is no status; try again", query.run_dir.display()))?;
    let status = select(status, &query.names)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Ok(match query.form {
        Form::Json => serde_json::to_string(&status).context("cannot write the status")? + "\n",
        Form::Metrics => metrics::render(&status),
        Form::Table => render(&status, now_ms, !query.names.is_empty(), colours),
    })
}

fn ask(run_dir: &Path) -> anyhow::Result<String> {
    let path = run_dir.join(LVS_SOCKET);
    let stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow!("no lvs is running: nobody listens at {}", path.display())
        }
        _ => anyhow::Error::new(error).context(path.display().to_string()),
    })?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot limit the wait for lvs")?;
    let mut answer = String::new();
    stream
        .take(LONGEST)
        .read_to_string(&mut answer)
        .with_context(|| format!("{}: no answer", path.display()))?;
    ensure!(!answer.is_empty(), "{}: lvs is too busy to answer, or ends; try again", path.display());
    Ok(answer)
}
