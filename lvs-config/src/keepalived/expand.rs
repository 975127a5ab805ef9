//! Macros (`$NAME`, `${NAME}`), sequences (`~SEQ`) and lists (`~LST`) of a line, and the lines that come of it.
//!
//! A macro can hold itself, and sequences multiply, so what comes of one line is bounded.

use std::collections::HashMap;
use std::path::Path;

use super::words;

/// Most lines that come of one.
const MAX_LINES: usize = 100_000;
/// Longest line that comes of one, in bytes.
const MAX_LENGTH: usize = 64 * 1024;
/// Most replacements for one line that comes out.
const MAX_STEPS: usize = 1_000;
/// Most bytes that come of one line, all together.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// The macros as far as they are defined.
#[derive(Debug)]
pub(super) struct Definitions {
    known: HashMap<String, Vec<String>>,
}

impl Definitions {
    /// Those that there are from the start, but for the folder.
    pub(super) fn new(config_id: &str) -> Self {
        let known = [("_INSTANCE", config_id), ("_HASH", "#"), ("_BANG", "!")]
            .map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
        Self { known: known.into() }
    }

    /// Sets the folder of the file that is read.
    pub(super) fn enter(&mut self, folder: &Path) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        self.define("_PWD", vec![folder.to_string_lossy().into_owned()]);
    }

    /// Defines `name`, or defines it anew.
    pub(super) fn define(&mut self, name: &str, lines: Vec<String>) {
        self.known.insert(name.to_owned(), lines);
    }

    /// The lines that `text` becomes; and whether these are all. Definitions in them hold for those after them.
    pub(super) fn expand(&mut self, text: &str) -> (Vec<String>, bool) {
        if !text.contains(['$', '~']) {
            return (vec![text.to_owned()], true);
        }
        let mut out = Vec::new();
        let mut steps = MAX_STEPS;
        let mut bytes = 0;
        // Lines still to be looked at, the next one last.
        let mut waiting = vec![text.to_owned()];
        while let Some(line) = waiting.pop() {
            if steps == 0
                || bytes > MAX_BYTES
                || line.len() > MAX_LENGTH
                || out.len() + waiting.len() > MAX_LINES
            {
                return (out, false);
            }
            bytes += line.len();
            let next = self.replace(&line).or_else(|| repeat(&line));
            let Some(mut lines) = next else {
                match definition(&line) {
                    Some((name, value)) => self.define(name, vec![value.to_owned()]),
                    None => out.push(line),
                }
                steps = MAX_STEPS;
                continue;
            };
            steps -= 1;
            lines.reverse();
            waiting.append(&mut lines);
        }
        (out, true)
    }

    /// `line` with its first macro replaced; `None` when there is none. The value of a definition is kept as it is: it is
    /// replaced where it is used.
    fn replace(&self, line: &str) -> Option<Vec<String>> {
        if definition(line).is_some() {
            return None;
        }
        for (at, _) in line.match_indices('$') {
            let rest = &line[at + 1..];
            let (name, length) = match rest.strip_prefix('{') {
                Some(braced) => {
                    let Some(end) = braced.find('}') else { continue };
                    (&braced[..end], end + 3)
                }
                None => {
                    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
                    if rest[end..].starts_with(|c: char| !c.is_whitespace()) {
                        continue;
                    }
                    (&rest[..end], end + 1)
                }
            };
            let Some(value) = self.known.get(name) else { continue };
            let mut lines = value.clone();
            if let Some(first) = lines.first_mut() {
                first.insert_str(0, &line[..at]);
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(&line[at + length..]);
            }
            return Some(lines.iter().map(|line| words::without_comment(line).to_owned()).collect());
        }
        None
    }
}

/// `$NAME=VALUE` in its parts.
pub(super) fn definition(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('$')?.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then(|| (name, value.trim()))
}

/// What `~SEQ(…)`, `~SEQx(…)` or `~LST(…)`, the first of them, makes of `line`.
fn repeat(line: &str) -> Option<Vec<String>> {
    let at = line.find('~')?;
    let (keyword, rest) = line[at + 1..].split_once('(')?;
    let (inside, tail) = rest.split_once(')')?;
    let head = &line[..at];
    let rows = match keyword.trim() {
        "SEQ" => sequence(inside, |n| n.to_string())?,
        "SEQx" => sequence(inside, |n| format!("{n:x}"))?,
        "LST" => list(inside)?,
        _ => return None,
    };
    let line_of = |row: Vec<(String, String)>| {
        let mut text = format!("{head}{}", tail.trim_start());
        for (name, value) in row {
            text = text.replace(&format!("${{{name}}}"), &value);
            text = plain(&text, &name, &value);
        }
        text
    };
    Some(rows.into_iter().map(line_of).collect())
}

/// `text` with `$name` before a blank or the end replaced by `value`.
fn plain(text: &str, name: &str, value: &str) -> String {
    let wanted = format!("${name}");
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(&wanted) {
        let tail = &rest[at + wanted.len()..];
        out.push_str(&rest[..at]);
        let ends = tail.chars().next().is_none_or(char::is_whitespace);
        out.push_str(if ends { value } else { &wanted });
        rest = tail;
    }
    out + rest
}

type Row = Vec<(String, String)>;

/// `VAR, start, step, end`, without `step` or without `start` and `step`.
fn sequence(inside: &str, show: impl Fn(i64) -> String) -> Option<Vec<Row>> {
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let (name, numbers) = parts.split_first()?;
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse::<i64>().ok(),
    };
    let numbers: Vec<i64> = numbers.iter().map(|text| number(text)).collect::<Option<_>>()?;
    let toward = |from: i64, to: i64| if to >= from { 1 } else { -1 };
    let (start, step, end) = match *numbers.as_slice() {
        [end] => (toward(0, end), toward(0, end), end),
        [start, end] => (start, toward(start, end), end),
        [start, step, end] => (start, step, end),
        _ => return None,
    };
    let count = end.checked_sub(start)?.checked_div(step)?;
    let count = usize::try_from(count).ok()?;
    if count >= MAX_LINES {
        return None;
    }
    let mut rows = Vec::new();
    let mut value = start;
    for _ in 0..=count {
        rows.push(vec![((*name).to_owned(), show(value))]);
        value = value.checked_add(step)?;
    }
    Some(rows)
}

/// `VAR, a, b` or `{VAR, VAR}, {a, b}, {c, d}`.
fn list(inside: &str) -> Option<Vec<Row>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (group, tail) = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => rest.split_once(',').unwrap_or((rest, "")),
        };
        groups.push(group.split(',').map(|word| word.trim().to_owned()).collect());
        let tail = tail.trim_start();
        rest = tail.strip_prefix(',').unwrap_or(tail).trim_start();
    }
    let (names, rows) = groups.split_first()?;
    let row = |values: &Vec<String>| names.iter().cloned().zip(values.iter().cloned()).collect();
    rows.iter().map(|values| (values.len() == names.len()).then(|| row(values))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(pairs: &[(&str, &str)]) -> Definitions {
        let mut definitions = Definitions::new("main");
        for (name, value) in pairs {
            definitions.define(name, vec![(*value).to_owned()]);
        }
        definitions
    }

    #[test]
    fn macros_are_replaced_where_they_are_used() {
        let mut known = defined(&[("BASE", "10.2.${SUB}"), ("SUB", "0")]);
        assert_eq!(known.expand("${BASE}.100/32"), (vec!["10.2.0.100/32".to_owned()], true));
        known.define("SUB", vec!["10".to_owned()]);
        assert_eq!(known.expand("${BASE}.100/32").0, ["10.2.10.100/32"]);
        assert_eq!(known.expand("a $SUB $NONE ${NONE} $SUBx").0, ["a 10 $NONE ${NONE} $SUBx"]);
    }

    #[test]
    fn sequences_and_lists_multiply() {
        let mut known = defined(&[]);
        assert_eq!(
            known.expand("~SEQ(N, 0, 2) ip 10.0.${N}.1").0,
            ["ip 10.0.0.1", "ip 10.0.1.1", "ip 10.0.2.1"]
        );
        assert_eq!(known.expand("~SEQx(N, 0x90, 0x10, 0xa0) x::${N}").0, ["x::90", "x::a0"]);
        assert_eq!(
            known.expand("~LST({A, B}, {10,1},{20,4}) 192.168.${A}.${B}").0,
            ["192.168.10.1", "192.168.20.4"]
        );
        assert_eq!(
            known.expand("~LST(A, 1, 2) ~SEQ(B, 6, -1, 5) 10.${A}.$B").0,
            ["10.1.6", "10.1.5", "10.2.6", "10.2.5"]
        );
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let mut known = defined(&[("A", "$A $A"), ("B", "${B}")]);
        assert!(!known.expand("$A").1);
        assert!(!known.expand("${B}").1);
        assert!(!known.expand("~SEQ(A,0,9999) ~SEQ(B,0,9999) ${A} ${B}").1);
        assert_eq!(known.expand("~SEQ(A,0,0,9) x").0, ["~SEQ(A,0,0,9) x"]);
    }
}
