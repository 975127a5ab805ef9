//! `lvs ctl` and `lvs diff`: asks the director that runs, over its control socket, and shows the answer.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use daemonkit::control_socket::ANSWER_LIMIT;
use daemonkit::exit;
use lvs_ipc::control::{Command, LVS_CONTROL_SOCKET, Listed, Plan, Reply};
use lvs_ipc::status::{Override, OverrideStatus};

use crate::start;

/// Longest answer, in bytes; the plan for 10,000 servers is a tenth of it.
const LONGEST: u64 = 64 * 1024 * 1024;

/// No director listens.
#[derive(Debug, thiserror::Error)]
#[error("no lvs is running: nobody listens at {0}")]
pub struct NobodyThere(String);

/// What is shown, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub complaint: String,
    /// The exit status.
    pub code: u8,
}

/// Asks for `command` and waits for the answer.
///
/// # Errors
/// [`NobodyThere`], or why there is no answer.
pub fn ask(run_dir: &Path, command: &Command) -> anyhow::Result<Reply> {
    let path = run_dir.join(LVS_CONTROL_SOCKET);
    let stream = UnixStream::connect(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            anyhow::Error::new(NobodyThere(path.display().to_string()))
        }
        ErrorKind::PermissionDenied => anyhow::Error::new(error).context(format!(
            "{}: only root, or the user that runs lvs, may change what it does",
            path.display()
        )),
        _ => anyhow::Error::new(error).context(path.display().to_string()),
    })?;
    converse(stream, command).with_context(|| path.display().to_string())
}

fn converse(mut stream: UnixStream, command: &Command) -> anyhow::Result<Reply> {
    // The director answers within its limit; a little more is the way there and back.
    let patience = ANSWER_LIMIT + Duration::from_secs(5);
    stream.set_read_timeout(Some(patience)).context("cannot limit the wait for lvs")?;
    // One that refuses to read has said why: what it said can be read after its end.
    let written = stream.write_all(command.to_line().as_bytes());
    let mut answer = String::new();
    let read = BufReader::new(stream.take(LONGEST)).read_line(&mut answer);
    if answer.is_empty() {
        // The first failure is the cause.
        return Err(written
            .and(read)
            .map_or_else(|error| anyhow!("no answer: {error}"), |_| anyhow!("no answer")));
    }
    serde_json::from_str(&answer).context("the answer is not understood")
}

/// Carries out `lvs ctl`.
///
/// # Errors
/// As [`ask`].
pub fn run(run_dir: &Path, command: &Command, json: bool) -> anyhow::Result<Shown> {
    let reply = ask(run_dir, command)?;
    Ok(if json { Shown { out: reply.to_line(), ..show(&reply) } } else { show(&reply) })
}

/// Carries out `lvs diff`: by the director that runs, or, if none does, by one that is imagined to start.
///
/// # Errors
/// As [`ask`], or when the file cannot be used.
pub fn diff(run_dir: &Path, state_dir: &Path, file: &Path, json: bool) -> anyhow::Result<Shown> {
    let path = std::path::absolute(file).with_context(|| format!("{}: not a path", file.display()))?;
    let path = path.to_str().with_context(|| format!("{}: not UTF-8", path.display()))?.to_owned();
    match run(run_dir, &Command::Diff { path }, json) {
        Err(error) if error.is::<NobodyThere>() => {
            let reply = Reply::Plan(start::plan_of(file, run_dir, state_dir)?);
            let out = if json {
                reply.to_line()
            } else {
                let plan = show(&reply).out;
                format!("# {error}.\n# This is what starting one with this file would do.\n{plan}")
            };
            Ok(Shown { out, ..Shown::default() })
        }
        answer => answer,
    }
}

/// The answer for people.
#[must_use]
pub fn show(reply: &Reply) -> Shown {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    render(reply, u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// The answer as it is shown at `now_ms` after the Unix epoch.
#[must_use]
pub fn render(reply: &Reply, now_ms: u64) -> Shown {
    let told = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    match reply {
        Reply::Done { lines, warnings } => {
            let complaint = warnings.iter().map(|line| format!("lvs: warning: {line}\n")).collect();
            Shown { out: told(lines), complaint, ..Shown::default() }
        }
        Reply::Refused { lines } => {
            let complaint = lines.iter().map(|line| format!("lvs: {line}\n")).collect();
            Shown { complaint, code: exit::FAILED, ..Shown::default() }
        }
        // Lines that begin with the file's name, as compilers write them.
        Reply::Unusable { lines } => Shown { complaint: told(lines), code: exit::CONFIG, ..Shown::default() },
        Reply::Overrides { overrides } if overrides.is_empty() => {
            Shown { out: "no overrides\n".into(), ..Shown::default() }
        }
        Reply::Overrides { overrides } => {
            let out = overrides.iter().map(|listed| listed_line(listed, now_ms)).collect();
            Shown { out, ..Shown::default() }
        }
        Reply::Plan(plan) => Shown { out: plan_text(plan), ..Shown::default() },
    }
}

fn listed_line(listed: &Listed, now_ms: u64) -> String {
    let Listed { target, override_status: OverrideStatus { what, by, at_ms, reason } } = listed;
    let what = match what {
        Override::Drain { ended: Some(how), .. } => format!("drained ({how})"),
        Override::Drain { deadline_ms, left, ended: None } => {
            let left = left.map_or_else(String::new, |left| format!(", {left} left"));
            let until =
                deadline_ms.map_or_else(String::new, |at| format!(", for {} at most", span(at, now_ms)));
            format!("draining{left}{until}")
        }
        Override::Weight { weight } => format!("weight {weight}"),
        Override::Disabled => "disabled".to_owned(),
        Override::Forced => "enabled by force".to_owned(),
        Override::Sorry => "sorry on".to_owned(),
    };
    let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{target}  {what}; by {by} {} ago{reason}\n", span(now_ms, *at_ms))
}

/// The time from `earlier` to `later`, in its two greatest units.
fn span(later: u64, earlier: u64) -> String {
    let seconds = later.saturating_sub(earlier).div_ceil(1000);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

fn plan_text(plan: &Plan) -> String {
    if plan.words.is_empty() {
        return "nothing to do\n".to_owned();
    }
    let mut text: String = plan.words.iter().map(|line| format!("{line}\n")).collect();
    if !plan.requests.is_empty() {
        text.push('\n');
    }
    plan.requests.iter().for_each(|request| text.push_str(&format!("ipvsadm {request}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_although_nobody_reads_the_request() {
        let (client, mut director) = UnixStream::pair().unwrap();
        let refusal = Reply::Refused { lines: vec!["too many requests at once; try again".into()] };
        director.write_all(refusal.to_line().as_bytes()).unwrap();
        // From here on the client's writing fails.
        drop(director);
        assert_eq!(converse(client, &Command::List).unwrap(), refusal);
    }

    #[test]
    fn a_director_that_ends_without_an_answer_is_told_with_the_cause() {
        let (client, director) = UnixStream::pair().unwrap();
        drop(director);
        let error = converse(client, &Command::List).unwrap_err();
        assert_eq!(error.to_string(), "no answer: Broken pipe (os error 32)");
        let (client, mut director) = UnixStream::pair().unwrap();
        director.write_all(b"what?\n").unwrap();
        drop(director);
        let error = converse(client, &Command::List).unwrap_err();
        assert_eq!(error.to_string(), "the answer is not understood");
    }
}
