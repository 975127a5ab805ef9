//! One command at a time through both tools, and what is compared after it.
//!
//! After every command: exit status, standard output, whether standard error is silent; then the saved table and every
//! listing, as both tools print them on both routers. A process is what costs most in the lab, so these are lines for one
//! `-R`. [`Duel::all_listings`] asks for each by itself.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use super::{
    arena::{Arena, Outcome, Tool},
    words::Line,
};

/// Every listing. The last [`UNSORTED`] have the kernel's order, which is another one on each router.
pub(super) const LISTINGS: &[&[&str]] = &[
    &["-L"],
    &["-L", "-n", "--stats"],
    &["-L", "--stats"],
    &["-L", "-n", "--stats", "--exact"],
    &["-L", "-n", "--rate"],
    &["-L", "--rate", "--exact"],
    &["-L", "-n", "--thresholds"],
    &["-L", "--thresholds"],
    &["-L", "-n", "--persistent-conn"],
    &["-L", "--persistent-conn"],
    &["-L", "-n", "--tun-info"],
    &["-L", "--tun-info"],
    &["-L", "-n", "--sort"],
    &["-L", "--timeout"],
    &["-L", "--daemon"],
    &["-L", "-c"],
    &["-L", "-c", "-n"],
    &["-L", "-c", "-n", "--sort"],
    &["-L", "-c", "--persistent-conn"],
    &["-S"],
    &["-L", "-n"],
    &["-L", "-n", "--nosort"],
    &["-L", "--nosort"],
    &["-L", "-n", "--stats", "--nosort"],
];
/// Listings with `--nosort`.
const UNSORTED: usize = 3;
/// How a listing of all services begins, with either tool.
const HEADING: &str = "IP Virtual Server version ";
/// The table, before all listings.
const TABLE: &str = "-S -n\n";
/// What makes a router as it was at the beginning; the daemons may not be there.
const FRESH: [&[&str]; 4] =
    [&["-C"], &["--stop-daemon", "master"], &["--stop-daemon", "backup"], &["--set", "900", "120", "300"]];
/// How often the kernel may change its order between two listings.
const ORDER_CHANGES: usize = 3;
/// Lines of a difference that are shown.
const SHOWN: usize = 24;

/// Both routers, and what was done to them since they were fresh.
pub(super) struct Duel<'a> {
    arena: &'a Arena,
    script: Vec<String>,
    step: usize,
    turn: usize,
    /// The table as the original saves it on its own router.
    table: Vec<String>,
}

impl<'a> Duel<'a> {
    /// On fresh routers.
    pub(super) fn new(arena: &'a Arena) -> Self {
        Self { arena, script: Vec::new(), step: 0, turn: 0, table: Vec::new() }
    }

    /// The lines of the saved table.
    pub(super) fn table(&self) -> &[String] {
        &self.table
    }

    /// Runs a command with both tools, compares everything, and says whether it was accepted.
    ///
    /// # Errors
    /// At a difference, with what led to it.
    pub(super) fn step(&mut self, line: &Line) -> Result<bool> {
        self.step += 1;
        self.script.push(line.shell("ipvsadm"));
        let [original, ours] = Tool::BOTH.map(|tool| self.arena.run(tool, tool, &line.words, &line.input));
        let (original, ours) = (original?, ours?);
        let helps = original.status == 0 && original.stdout.contains("Usage:\n");
        let ours = without_thresholds(ours);
        // Each router has an order of its own, which is compared router by router below.
        let unsorted = line.shell("").contains("--nosort");
        let [original, ours] =
            if unsorted { [original, ours].map(|it| sorted(&it)) } else { [original, ours] };
        self.same("the command itself", &original, &ours, helps)?;
        self.look()?;
        Ok(original.status == 0)
    }

    /// Compares the table, one of its services and every listing.
    fn look(&mut self) -> Result<()> {
        let services: Vec<&String> = self.table.iter().filter(|line| line.starts_with("-A ")).collect();
        let one =
            services.get(self.turn % services.len().max(1)).map(|saved| self.one_service(saved).join(" "));
        // It may be gone, which ends `-R`.
        let listings = LISTINGS.iter().map(|words| words.join(" ")).chain(one);
        let input = listings.fold(TABLE.to_owned(), |text, line| text + &line + "\n");
        let printed = self.printed(&["-R"], &input, UNSORTED)?;
        let shown = printed.matches(HEADING).count();
        ensure!(shown == of_all_services(), "-R stopped before the last listing, {shown}:\n{input}");
        self.table = printed.lines().take_while(|line| !line.starts_with("IP ")).map(str::to_owned).collect();
        self.turn += 1;
        Ok(())
    }

    /// Compares every listing, each asked for by itself.
    ///
    /// # Errors
    /// At a difference.
    pub(super) fn all_listings(&self) -> Result<()> {
        for words in LISTINGS {
            self.printed(words, "", usize::from(words.contains(&"--nosort")))?;
        }
        // Without a word it lists, too.
        self.printed(&[], "", 0).map(drop)
    }

    /// Empties both routers.
    pub(super) fn start_anew(&mut self) -> Result<()> {
        for place in Tool::BOTH {
            for words in FRESH {
                self.arena.run(place, Tool::Original, &owned(words), b"")?;
            }
        }
        self.script.clear();
        self.table.clear();
        Ok(())
    }

    /// The table that one tool saves is restored by the other, and is the same again.
    ///
    /// # Errors
    /// At a difference.
    pub(super) fn restore_crosswise(&mut self) -> Result<()> {
        let save = |saver| self.arena.run(Tool::Original, saver, &owned(&["-S", "-n"]), b"");
        let saved = [(Tool::Original, save(Tool::Original)?.stdout), (Tool::Ours, save(Tool::Ours)?.stdout)];
        for (saver, saved) in saved {
            for place in Tool::BOTH {
                self.arena.run(place, Tool::Original, &owned(&["-C"]), b"")?;
                let restored = self.arena.run(place, place, &owned(&["-R"]), saved.as_bytes())?;
                let what = format!("-R by {} of what {} saved", place.name(), saver.name());
                let fine = Outcome { status: 0, stdout: String::new(), stderr: String::new() };
                self.same(&what, &fine, &restored, false)?;
                let again = self.arena.run(place, saver, &owned(&["-S", "-n"]), b"")?.stdout;
                let outcome = |stdout: &str| Outcome { stdout: stdout.to_owned(), ..fine.clone() };
                self.same(&what, &outcome(&saved), &outcome(&again), false)?;
            }
            self.look()?;
        }
        Ok(())
    }

    /// The listing of one service of the saved table, in one of the ways.
    fn one_service(&self, saved: &str) -> Vec<String> {
        const COLUMNS: [&str; 5] = ["--exact", "--stats", "--rate", "--thresholds", "--persistent-conn"];
        let six = saved.split(' ').any(|word| word == "-6").then_some("-6");
        let columns = COLUMNS.get(self.turn % COLUMNS.len()).copied();
        let service = saved.split(' ').skip(1).take(2).chain(six);
        owned(&["-L", "-n"].into_iter().chain(columns).chain(service).collect::<Vec<_>>())
    }

    /// What both tools print on both routers. So many listings at its end are not sorted: they have another order on each.
    fn printed(&self, words: &[&str], input: &str, unsorted: usize) -> Result<String> {
        let words = owned(words);
        let mut first: Option<Outcome> = None;
        for place in Tool::BOTH {
            let take = |tool| self.arena.run(place, tool, &words, input.as_bytes());
            let mut pair = (take(Tool::Original)?, without_thresholds(take(Tool::Ours)?));
            // The kernel may enlarge its hash table at any moment, and with it change its order.
            for _ in 0..ORDER_CHANGES {
                if unsorted > 0 && pair.0 != pair.1 {
                    pair = (take(Tool::Original)?, without_thresholds(take(Tool::Ours)?));
                }
            }
            let (original, ours) = pair;
            let asked = if input.is_empty() { words.join(" ") } else { input.trim_end().replace('\n', "; ") };
            let what = format!("`{asked}` on the router of {}", place.name());
            self.same(&what, &original, &ours, false)?;
            match &first {
                None => first = Some(original),
                Some(first) => {
                    let [first, original] = [first, &original].map(|it| with_sorted_end(it, unsorted));
                    self.same(&format!("the two routers by {what}"), &first, &original, false)?;
                }
            }
        }
        Ok(first.map(|outcome| outcome.stdout).unwrap_or_default())
    }

    /// Fails with a report unless two outcomes are the same.
    fn same(&self, what: &str, original: &Outcome, ours: &Outcome, helps: bool) -> Result<()> {
        // The text of the help is each tool's own.
        let output = if helps { !ours.stdout.is_empty() } else { original.stdout == ours.stdout };
        let silent = original.stderr.is_empty() == ours.stderr.is_empty();
        if original.status == ours.status && output && silent {
            return Ok(());
        }
        let mut text = format!("step {}, {what}:\n", self.step);
        for (tool, outcome) in [("original", original), ("ours", ours)] {
            // Writing to a String cannot fail.
            let _ =
                writeln!(text, "  {tool}: status {}, says `{}`", outcome.status, outcome.stderr.trim_end());
        }
        if !output {
            text.push_str(&differing(&original.stdout, &ours.stdout));
        }
        let _ = write!(text, "commands since the routers were fresh:\n{}", self.script.join("\n"));
        anyhow::bail!(text)
    }
}

/// How many of the listings are of all services.
fn of_all_services() -> usize {
    let others = ["-S", "-c", "--timeout", "--daemon"];
    LISTINGS.iter().filter(|words| !words.iter().any(|word| others.contains(word))).count()
}

/// Words for a tool.
pub(super) fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// With the lines of its output sorted.
fn sorted(outcome: &Outcome) -> Outcome {
    Outcome { stdout: sorted_lines(&outcome.stdout), ..outcome.clone() }
}

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// With the lines of so many listings at the end of its output sorted.
fn with_sorted_end(outcome: &Outcome, listings: usize) -> Outcome {
    let headings = outcome.stdout.rmatch_indices(HEADING).take(listings);
    let end = headings.last().map_or(outcome.stdout.len(), |(at, _)| at);
    let (beginning, end) = outcome.stdout.split_at(end);
    Outcome { stdout: format!("{beginning}{}", sorted_lines(end)), ..outcome.clone() }
}

/// What the original would have saved: it forgets thresholds, a known difference.
pub(super) fn without_thresholds(mut outcome: Outcome) -> Outcome {
    if !outcome.stdout.lines().any(|line| line.starts_with("-a ")) {
        return outcome;
    }
    let mut text = String::new();
    for line in outcome.stdout.lines() {
        let mut words = line.split(' ');
        let is_server = line.starts_with("-a ");
        let mut kept = Vec::new();
        while let Some(word) = words.next() {
            match word {
                "-x" | "-y" if is_server => drop(words.next()),
                _ => kept.push(word),
            }
        }
        text.push_str(&kept.join(" "));
        text.push('\n');
    }
    outcome.stdout = text;
    outcome
}

/// The lines between the common beginning and the common end of two texts.
fn differing(original: &str, ours: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (original.lines().collect(), ours.lines().collect());
    let from = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let rest = a.len().min(b.len()) - from;
    let back = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut text = String::new();
    for (sign, lines) in [('-', &a[from..a.len() - back]), ('+', &b[from..b.len() - back])] {
        for line in lines.iter().take(SHOWN) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {sign}{line}");
        }
    }
    if text.is_empty() { "  (they differ in the ends of lines only)\n".to_owned() } else { text }
}
