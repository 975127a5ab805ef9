//! The kernel's settings that somebody should know of: not as wanted, or changed by somebody else and put right. Pure.

use lvs_ipc::status::SysctlStatus;

use super::look::Tone;
use super::notes::Note;
use crate::wording::counted;

/// A line for each of them; a setting that is as wanted and always was is not worth one.
pub(super) fn lines(settings: &[SysctlStatus]) -> Vec<Note> {
    settings.iter().filter_map(line).collect()
}

fn line(setting: &SysctlStatus) -> Option<Note> {
    let SysctlStatus { name, wanted, found, problem, repairs, .. } = setting;
    let is_wrong = problem.is_some() || found.is_some_and(|found| found != *wanted);
    let tone = match (is_wrong, repairs) {
        (true, _) => Tone::Bad,
        (false, 0) => return None,
        (false, _) => Tone::Odd,
    };
    let mut text = match found {
        Some(found) => format!("{name} is {found}"),
        None => format!("{name} cannot be read"),
    };
    if *found != Some(*wanted) {
        text += &format!(", {wanted} wanted");
    }
    if *repairs > 0 {
        text += &format!(", {}", counted(*repairs, "repair"));
    }
    if let Some(problem) = problem {
        text += &format!(": {problem}");
    }
    Some((tone, text))
}
