//! Exercises that check themselves.
//!
//! | module | what it holds |
//! |---|---|
//! | `verbs` | list, start, check, hint, reset, solution, next |
//! | `as_root` | a check that takes root, by sudo or su |
//! | `judge` | from a program to a verdict |
//! | `desk` | the learner's own files, in `exercises/` of the checkout |
//! | `progress` | what has been passed, in the user's data directory |
//! | [`list`] | all exercises |
//! | `checks` | for each exercise, what its program must do |
//! | [`source`] | starter, solution and faulty versions, cut out of one source |
//! | [`exercise`] | what an exercise is |
//! | `judged` | the learner's program on its host, as a check sees it |
//! | `cgroup` | a cgroup for those that need one |
//! | [`verdict`] | what a check says of a program |
//!
//! Each uses only what stands below it.
//!
//! A check looks at behaviour: it runs the learner's program on a host that is made for it, and
//! looks at what comes out, at /proc and at the mounts. It never reads the program's text.

mod as_root;
mod cgroup;
mod checks;
mod desk;
pub mod exercise;
mod judge;
mod judged;
pub mod list;
mod progress;
pub mod source;
mod verbs;
pub mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::say;
use exercise::Exercise;
use judge::judge;
use list::find;
use progress::Progress;

pub use desk::{MANIFEST, SETTINGS, cargo_build};

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

/// Does what the verb says.
///
/// # Errors
/// If there is no such exercise, or a file of the learner cannot be read or written.
pub fn run(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::List => return verbs::list(),
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
