//! What one can do with an exercise.

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::as_root::judge_as_root;
use super::desk::{Built, Desk};
use super::exercise::Exercise;
use super::list::ALL;
use super::progress::Progress;
use super::source::{self, Variant};
use super::verdict::CheckFailed;
use crate::{checkout, output, say};

/// Lists the exercises in the order of the book.
pub(super) fn list() -> Result<ExitCode> {
    let progress = Progress::load()?;
    let mut step = "";
    for exercise in ALL {
        if exercise.step != step {
            step = exercise.step;
            say!("{step}")?;
        }
        let current = progress.current() == Some(exercise.id);
        let mark = match (progress.has_passed(exercise.id), current) {
            (true, _) => "done",
            (false, true) => "now",
            (false, false) => "",
        };
        let Exercise { id, minutes, title, .. } = exercise;
        say!("  {mark:4}  {id:18} {minutes:2} min  {title}")?;
    }
    let passed = ALL.iter().filter(|exercise| progress.has_passed(exercise.id)).count();
    say!("\n{passed} of {} done.", ALL.len())?;
    if passed < ALL.len() {
        say!("Go on with: cargo workshop next")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn start(exercise: &'static Exercise) -> Result<()> {
    let desk = Desk::open()?;
    let file = desk.file_of(exercise);
    let chapter = checkout()?.join(format!("book/src/{}.md", exercise.step));
    let working = std::env::current_dir().unwrap_or_default();
    let [file, chapter] =
        [&file, &chapter].map(|path| path.strip_prefix(&working).unwrap_or(path).display());
    let text = for_who_stands_in(&working, &desk.directory(), &source::text(exercise));
    let is_new = desk.lay_out(exercise)?;
    let mut progress = Progress::load()?;
    progress.set_current(exercise.id);
    progress.save()?;
    say!("{text}\n")?;
    let Exercise { id, minutes, .. } = exercise;
    say!("Your file:  {file}{}", if is_new { "" } else { " (as you left it)" })?;
    say!("To read:    {chapter}")?;
    say!("Time:       about {minutes} minutes")?;
    say!("When you think it is right: cargo workshop check {id}")?;
    say!("When you are stuck:         cargo workshop hint {id}")?;
    Ok(())
}

/// The text of an exercise has commands for who stands in the checkout: they enter `exercises`.
fn for_who_stands_in(working: &Path, exercises: &Path, text: &str) -> String {
    const ENTER: &str = "cd exercises && ";
    if exercises.parent() == Some(working) {
        text.to_owned()
    } else if exercises == working {
        text.replace(ENTER, "")
    } else {
        text.replace(ENTER, &format!("cd {} && ", exercises.display()))
    }
}

pub(super) fn check(exercise: &'static Exercise) -> Result<ExitCode> {
    let id = exercise.id;
    let Built::Program(program) = Desk::open()?.build(exercise)? else {
        say!("{id}: does not compile yet. The compiler says why, above.")?;
        return Ok(ExitCode::FAILURE);
    };
    match judge_as_root(exercise, &program)? {
        Ok(()) => {
            let mut progress = Progress::load()?;
            progress.set_passed(id);
            progress.save()?;
            say!("{id}: passed.")?;
            say!("Compare with ours: cargo workshop solution {id}")?;
            say!("Go on with:        cargo workshop next")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CheckFailed(text)) => {
            say!("{id}: not yet.\n{text}\n")?;
            say!("When you are stuck: cargo workshop hint {id}")?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// For root, who has typed the check in a shell of its own: the list is the learner's, and root
/// writes nothing there.
pub(super) fn passed_by_hand(exercise: &Exercise) -> String {
    let id = exercise.id;
    let add = format!("echo {id} passed >> ~/.local/share/container-steps/progress");
    format!("{id}: passed.\nFor your list, as yourself: {add}")
}

/// Each call shows one more; those already seen are shown again above it.
pub(super) fn hint(exercise: &'static Exercise) -> Result<()> {
    let mut progress = Progress::load()?;
    let seen = progress.count_hint(exercise.id, exercise.hints.len());
    progress.save()?;
    for (number, hint) in (1..).zip(&exercise.hints[..seen]) {
        say!("{number}. {hint}\n")?;
    }
    let id = exercise.id;
    match exercise.hints.len() - seen {
        0 => say!("That was the last one. The solution: cargo workshop solution {id}")?,
        left => say!("{left} more: cargo workshop hint {id}")?,
    }
    Ok(())
}

pub(super) fn reset(exercise: &'static Exercise, yes: bool) -> Result<()> {
    let desk = Desk::open()?;
    let file = desk.file_of(exercise);
    if !file.exists() {
        bail!("there is nothing to reset: {file:?} does not exist (cargo workshop start makes it)");
    }
    if !yes && !asks(&format!("Put the starter in place of {}?", file.display()))? {
        say!("Nothing was changed.")?;
        return Ok(());
    }
    let kept = desk.put_back(exercise)?;
    say!("{} is the starter again. What was in it: {}", file.display(), kept.display())?;
    Ok(())
}

/// Asks a question whose answer is yes or no. Nobody answers for a learner who is not there.
fn asks(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this needs your yes, and there is no terminal to ask on (--yes says it)");
    }
    output::print(format_args!("{question} [y/N] "))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read your answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

pub(super) fn solution(exercise: &'static Exercise) -> Result<()> {
    let id = exercise.id;
    let mut progress = Progress::load()?;
    if !progress.has_passed(id) && !progress.has_asked_for_solution(id) {
        progress.set_asked_for_solution(id);
        progress.save()?;
        say!("You have not passed {id} yet, and it is yours to find. If you mean it, ask again.")?;
        return Ok(());
    }
    output::print(source::cut(exercise.source, &Variant::Solution))?;
    Ok(())
}

/// From the one that was begun last on, then from the start: who has skipped one is not held up,
/// and is told.
pub(super) fn next() -> Result<()> {
    let progress = Progress::load()?;
    let is_current = |exercise: &Exercise| progress.current() == Some(exercise.id);
    let (earlier, later) = ALL.split_at(ALL.iter().position(is_current).unwrap_or(0));
    match later.iter().chain(earlier).find(|exercise| !progress.has_passed(exercise.id)) {
        Some(exercise) => {
            start(exercise)?;
            say_what_is_left_out(exercise, &progress)
        }
        None => {
            say!("All {} are done.", ALL.len())?;
            Ok(())
        }
    }
}

fn say_what_is_left_out(before: &Exercise, progress: &Progress) -> Result<()> {
    let earlier = ALL.iter().take_while(|exercise| exercise.id != before.id);
    let mut open = earlier.filter(|exercise| !progress.has_passed(exercise.id));
    let Some(first) = open.next() else {
        return Ok(());
    };
    let more = match open.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    say!("\nLeft out so far: {}{more}. `next` comes back to what is left out.", first.id)?;
    Ok(())
}
