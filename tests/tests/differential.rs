//! Both tools called `ipvsadm`, the C program's 1.31 and the suite's, do the same: generated commands run through one
//! on one router and through the other on another, and everything that can be seen afterwards is compared.
//!
//! Each scenario has a seed of its own and uses every command and every option of the manual, accepted and refused.
//! What differs on purpose is listed in `known.rs` and in `docs/compatibility.md`.

mod arena;
mod cover;
mod duel;
mod generate;
mod known;
mod live;
mod rng;
mod vocabulary;
mod words;

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Lab, scenarios};

use self::{
    arena::{Arena, Tool},
    cover::Cover,
    duel::{Duel, owned},
    generate::Generator,
    known::{Difference, KNOWN, Look},
    live::listings_of_real_connections_are_the_same,
};

scenarios! {
    both_tools_do_the_same_with_commands_of_seed_1: 600,
    both_tools_do_the_same_with_commands_of_seed_2: 600,
    both_tools_do_the_same_with_commands_of_seed_3: 600,
    both_tools_do_the_same_with_commands_of_seed_4: 600,
    both_tools_do_the_same_with_commands_of_seed_5: 600,
    listings_of_real_connections_are_the_same: 120,
    known_differences_are_still_there: 60,
}

/// Scenarios with generated commands, and commands in each.
const SEEDS: usize = 5;
const COMMANDS: usize = 405;
const _: () = assert!(SEEDS * COMMANDS >= 2_000, "the tools are compared with 2,000 commands at least");
/// Commands before both routers are emptied.
const SEQUENCE: usize = 60;
/// Differences after which a scenario gives up.
const MOST_DIFFERENCES: usize = 4;

fn both_tools_do_the_same_with_commands_of_seed_1(lab: &Lab) -> Result<()> {
    generated(lab, 1)
}

fn both_tools_do_the_same_with_commands_of_seed_2(lab: &Lab) -> Result<()> {
    generated(lab, 2)
}

fn both_tools_do_the_same_with_commands_of_seed_3(lab: &Lab) -> Result<()> {
    generated(lab, 3)
}

fn both_tools_do_the_same_with_commands_of_seed_4(lab: &Lab) -> Result<()> {
    generated(lab, 4)
}

fn both_tools_do_the_same_with_commands_of_seed_5(lab: &Lab) -> Result<()> {
    generated(lab, 5)
}

/// Several sequences of commands; a difference ends its sequence and the scenario in the end.
fn generated(lab: &Lab, seed: u64) -> Result<()> {
    let arena = Arena::new(lab)?;
    let mut duel = Duel::new(&arena);
    let mut cover = Cover::default();
    let mut generator = Generator::new(seed);
    let mut differences = Vec::new();
    while cover.total() < COMMANDS {
        duel.start_anew()?;
        let outcome = sequence(&mut duel, &mut generator, &mut cover);
        lab.note(format!("seed {seed}: {} commands", cover.total()));
        if let Err(difference) = outcome {
            differences.push(format!("seed {seed}, {difference:#}"));
            if differences.len() == MOST_DIFFERENCES {
                break;
            }
        }
    }
    ensure!(differences.is_empty(), "{}", differences.join("\n\n"));
    lab.note(cover.summary());
    cover.check(COMMANDS)
}

fn sequence(duel: &mut Duel<'_>, generator: &mut Generator, cover: &mut Cover) -> Result<()> {
    for number in 0..SEQUENCE {
        // Every other command makes good for what was not used yet, once there is something in the table.
        let missing = cover.missing();
        let wanted =
            missing.get(number / 2 % missing.len().max(1)).filter(|_| number > 10 && number % 2 == 0);
        let line = generator.draw(duel.table(), wanted.copied());
        let accepted = duel.step(&line);
        cover.count(&line, *accepted.as_ref().unwrap_or(&false));
        accepted?;
    }
    duel.all_listings()?;
    duel.restore_crosswise()
}

/// What `docs/compatibility.md` says of the tools.
const DOCUMENT: &str = include_str!("../../docs/compatibility.md");
/// Rows of its table that no pair of outcomes shows: what only ours can do, and texts for people.
const UNCOMPARED: [&str; 6] = [
    "`--help` needs a kernel with IPVS",
    "listings for people only",
    "no way to see what has changed since a save",
    "no completion",
    "the texts of `--help` and `--version`",
    "messages seldom say what was found",
];

/// The rows of the document's table of differences between the tools.
fn documented() -> Result<Vec<&'static str>> {
    let (_, section) = DOCUMENT.split_once("\n## `ipvsadm`\n").context("no section about ipvsadm")?;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    // A line of headings and one below it.
    Ok(section.lines().filter(|line| line.starts_with('|')).skip(2).collect())
}

/// One that has gone has to leave the document, and `known.rs`, so that the generator goes there again. Each row of the
/// document says why, and is shown here.
fn known_differences_are_still_there(lab: &Lab) -> Result<()> {
    for row in documented()? {
        let shown =
            KNOWN.iter().map(|known| known.document).chain(UNCOMPARED).any(|words| row.contains(words));
        ensure!(shown, "nothing shows this row of docs/compatibility.md: {row}");
        ensure!(!row.ends_with("| |"), "no reason in docs/compatibility.md: {row}");
    }
    let arena = Arena::new(lab)?;
    let mut duel = Duel::new(&arena);
    for difference in KNOWN {
        let Difference { document, line, .. } = difference;
        ensure!(DOCUMENT.contains(document), "docs/compatibility.md does not say {document:?}");
        duel.start_anew()?;
        for (tool, expected) in [(Tool::Original, difference.original), (Tool::Ours, difference.ours)] {
            let seen = seen(&arena, tool, difference).with_context(|| format!("ipvsadm {line}"))?;
            if seen != expected {
                bail!(
                    "the known difference {document:?} is not there any more: after `ipvsadm {line}` there is \
                     {seen:?} with {}, not {expected:?}; remove it from docs/compatibility.md and from known.rs",
                    tool.name()
                );
            }
        }
        ensure!(difference.original != difference.ours, "{document:?} is no difference");
    }
    Ok(())
}

/// What shows a difference, with one tool.
fn seen(arena: &Arena, tool: Tool, difference: &Difference) -> Result<String> {
    let words = |line: &str| line.split(' ').map(|word| word.replace('~', " ")).collect::<Vec<String>>();
    for line in difference.before {
        let outcome = arena.run(tool, tool, &words(line), b"")?;
        ensure!(outcome.status == 0, "ipvsadm {line}: {outcome:?}");
    }
    let outcome = arena.run(tool, tool, &words(difference.line), difference.input.as_bytes())?;
    Ok(match difference.look {
        Look::Status => outcome.status.to_string(),
        Look::Output => outcome.stdout,
        Look::Table => arena.run(tool, Tool::Original, &owned(&["-S", "-n"]), b"")?.stdout,
    })
}
