//! Exercises that check themselves.
//!
//! | module | what it holds |
//! |---|---|
//! | [`exercise`] | what an exercise is, and the list of all |
//! | [`source`] | starter, solution and faulty versions, cut out of one source |
//! | `desk` | the learner's own files, in `exercises/` of the checkout |
//! | `progress` | what has been passed, in the user's data directory |
//! | [`mod@judge`] | from a program to a verdict |
//! | [`host`] | the throw-away host that a check runs in |
//! | `verbs` | start, check, hint, reset, solution, next |
//! | `cgroup` | a cgroup for those that need one |
//! | `checks` | for each exercise, what its program must do |
//!
//! A check looks at behaviour: it runs the learner's program on a host that is made for it, and
//! looks at what comes out, at /proc and at the mounts. It never reads the program's text.

mod cgroup;
mod checks;
mod desk;
pub mod exercise;
pub mod host;
pub mod judge;
mod progress;
pub mod source;
mod verbs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::say;
use exercise::{ALL, Exercise, find};
use judge::judge;
use progress::Progress;

pub use desk::{MANIFEST, SETTINGS, cargo_build};
pub(crate) use judge::CHECK_DIRECTORY;

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
    /// Put the starter back in place of your file, which goes to exercises/kept
    Reset {
        /// The exercise [default: the one you began last]
        id: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the solution, once you have passed or when you ask twice
    Solution(Which),
    /// Begin the next exercise that you have not passed yet
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

/// Does what the verb says.
///
/// # Errors
/// If there is no such exercise, or a file of the learner cannot be read or written.
pub fn run(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::List => return list(),
        Verb::Start(which) => verbs::start(named(which.id.as_deref())?)?,
        Verb::Check(which) => return verbs::check(named(which.id.as_deref())?),
        Verb::Hint(which) => verbs::hint(named(which.id.as_deref())?)?,
        Verb::Reset { id, yes } => verbs::reset(named(id.as_deref())?, *yes)?,
        Verb::Solution(which) => verbs::solution(named(which.id.as_deref())?)?,
        Verb::Next => verbs::next()?,
        Verb::Judge { id, program } => {
            let exercise = find(id)?;
            if let Err(failed) = judge(exercise, program)? {
                say!("{failed}")?;
                return Ok(ExitCode::FAILURE);
            }
            say!("{}", verbs::passed_by_hand(exercise))?;
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
