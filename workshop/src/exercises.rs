//! Exercises that check themselves.
//!
//! | module | what it holds |
//! |---|---|
//! | [`exercise`] | what an exercise is, and the list of all |
//! | [`source`] | starter, solution and faulty versions, cut out of one source |
//! | `desk` | the learner's own files, in `exercises/` of the checkout |
//! | `progress` | what has been passed, in the user's data directory |
//! | [`host`] | the throw-away host that a check runs in |
//! | `checks` | for each exercise, what its program must do |
//!
//! A check looks at behaviour: it runs the learner's program on a host that is made for it, and
//! looks at what comes out, at /proc and at the mounts. It never reads the program's text.

mod checks;
mod desk;
pub mod exercise;
pub mod host;
mod progress;
pub mod source;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use desk::{Built, Desk};
use exercise::{ALL, Exercise, find};
use host::{CheckFailed, judge};
use progress::Progress;
use source::Variant;

pub use desk::{MANIFEST, cargo_build};
pub(crate) use host::CHECK_DIRECTORY;

/// What to do with an exercise.
#[derive(clap::Subcommand)]
pub enum Verb {
    /// List the exercises, and how far you are
    List,
    /// Begin an exercise: its text, and a file for you to change
    Start(Which),
    /// Check your program
    Check(Which),
    /// Show one more hint
    Hint(Which),
    /// Put the starter back in place of your file, which is kept beside it
    Reset {
        /// The exercise [default: the one you began last]
        id: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the solution, once you have passed or when you ask twice
    Solution(Which),
    /// Begin the first exercise that you have not passed yet
    Next,
    /// Check a program that is built already
    #[command(hide = true)]
    Judge {
        /// The exercise
        id: String,
        /// The program
        program: PathBuf,
    },
}

/// One exercise.
#[derive(clap::Args)]
pub struct Which {
    /// The exercise [default: the one you began last]
    id: Option<String>,
}

/// Lists the exercises in the order of the book.
///
/// # Errors
/// If the user's progress cannot be read.
pub fn list() -> Result<ExitCode> {
    let progress = Progress::load()?;
    let mut step = "";
    for exercise in ALL {
        if exercise.step != step {
            step = exercise.step;
            println!("{step}");
        }
        let current = progress.current() == Some(exercise.id);
        let mark = match (progress.has_passed(exercise.id), current) {
            (true, _) => "done",
            (false, true) => "now",
            (false, false) => "",
        };
        let Exercise { id, minutes, title, .. } = exercise;
        println!("  {mark:4}  {id:18} {minutes:2} min  {title}");
    }
    let passed = ALL.iter().filter(|exercise| progress.has_passed(exercise.id)).count();
    println!("\n{passed} of {} done.", ALL.len());
    if passed < ALL.len() {
        println!("Go on with: cargo workshop next");
    }
    Ok(ExitCode::SUCCESS)
}

/// Does what the verb says.
///
/// # Errors
/// If there is no such exercise, or a file of the learner cannot be read or written.
pub fn run(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::List => return list(),
        Verb::Start(which) => start(named(which.id.as_deref())?)?,
        Verb::Check(which) => return check(named(which.id.as_deref())?),
        Verb::Hint(which) => hint(named(which.id.as_deref())?)?,
        Verb::Reset { id, yes } => reset(named(id.as_deref())?, *yes)?,
        Verb::Solution(which) => solution(named(which.id.as_deref())?)?,
        Verb::Next => next()?,
        Verb::Judge { id, program } => {
            let Err(failed) = judge(find(id)?, program)? else { return Ok(ExitCode::SUCCESS) };
            println!("{failed}");
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The exercise of that id, else the one that was begun last.
fn named(id: Option<&str>) -> Result<&'static Exercise> {
    if let Some(id) = id {
        return find(id);
    }
    let progress = Progress::load()?;
    let current = progress.current();
    find(current.context("which one? You have begun none yet (cargo workshop next begins one)")?)
}

fn start(exercise: &'static Exercise) -> Result<()> {
    let desk = Desk::open()?;
    let file = desk.file_of(exercise);
    let working = std::env::current_dir().unwrap_or_default();
    let file = file.strip_prefix(working).unwrap_or(&file);
    let is_new = desk.lay_out(exercise)?;
    let mut progress = Progress::load()?;
    progress.set_current(exercise.id);
    progress.save()?;
    println!("{}\n", source::text(exercise));
    let Exercise { id, minutes, step, .. } = exercise;
    println!("Your file:  {}{}", file.display(), if is_new { "" } else { " (as you left it)" });
    println!("To read:    book/src/{step}.md");
    println!("Time:       about {minutes} minutes");
    println!("When you think it is right: cargo workshop check {id}");
    println!("When you are stuck:         cargo workshop hint {id}");
    Ok(())
}

fn check(exercise: &'static Exercise) -> Result<ExitCode> {
    let id = exercise.id;
    let Built::Program(program) = Desk::open()?.build(exercise)? else {
        println!("{id}: does not compile yet. The compiler says why, above.");
        return Ok(ExitCode::FAILURE);
    };
    match judge(exercise, &program)? {
        Ok(()) => {
            let mut progress = Progress::load()?;
            progress.set_passed(id);
            progress.save()?;
            println!("{id}: passed.");
            println!("Compare with ours: cargo workshop solution {id}");
            println!("Go on with:        cargo workshop next");
            Ok(ExitCode::SUCCESS)
        }
        Err(CheckFailed(text)) => {
            println!("{id}: not yet.\n{text}\n");
            println!("When you are stuck: cargo workshop hint {id}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Each call shows one more; those already seen are shown again above it.
fn hint(exercise: &'static Exercise) -> Result<()> {
    let mut progress = Progress::load()?;
    let seen = progress.count_hint(exercise.id, exercise.hints.len());
    progress.save()?;
    for (number, hint) in (1..).zip(&exercise.hints[..seen]) {
        println!("{number}. {hint}\n");
    }
    let id = exercise.id;
    match exercise.hints.len() - seen {
        0 => println!("That was the last one. The solution: cargo workshop solution {id}"),
        left => println!("{left} more: cargo workshop hint {id}"),
    }
    Ok(())
}

fn reset(exercise: &'static Exercise, yes: bool) -> Result<()> {
    let desk = Desk::open()?;
    let file = desk.file_of(exercise);
    if !file.exists() {
        bail!("there is nothing to reset: {file:?} does not exist (cargo workshop start makes it)");
    }
    if !yes && !asks(&format!("Put the starter in place of {}?", file.display()))? {
        println!("Nothing was changed.");
        return Ok(());
    }
    let kept = desk.put_back(exercise)?;
    println!("{} is the starter again. What was in it: {}", file.display(), kept.display());
    Ok(())
}

/// Asks a question whose answer is yes or no. Nobody answers for a learner who is not there.
fn asks(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this needs your yes, and there is no terminal to ask on (--yes says it)");
    }
    print!("{question} [y/N] ");
    std::io::stdout().flush().context("cannot ask")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("cannot read your answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn solution(exercise: &'static Exercise) -> Result<()> {
    let id = exercise.id;
    let mut progress = Progress::load()?;
    if !progress.has_passed(id) && !progress.has_asked_for_solution(id) {
        progress.set_asked_for_solution(id);
        progress.save()?;
        println!(
            "You have not passed {id} yet, and it is yours to find. If you mean it, ask again."
        );
        return Ok(());
    }
    print!("{}", source::cut(exercise.source, &Variant::Solution));
    Ok(())
}

fn next() -> Result<()> {
    let progress = Progress::load()?;
    match ALL.iter().find(|exercise| !progress.has_passed(exercise.id)) {
        Some(exercise) => start(exercise),
        None => {
            println!("All {} are done.", ALL.len());
            Ok(())
        }
    }
}
