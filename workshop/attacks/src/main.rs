//! `cargo workshop attacks`: attacks on every step, each really carried out, and what came of it.
//!
//! | module | what it does |
//! |---|---|
//! | `report` | the table, and the parts of the book that are made from it |
//! | `matrix` | all attacks on all steps, and what they prove |
//! | `trial` | one attack on one step: the host is made, the cell comes out |
//! | `attempt` | the attack itself, in a session |
//! | `list` | all attacks, with what is claimed of each |
//! | `attack` | what an attack is |
//! | `victim` | all victims of the host: whom an attack is done to, and how the harm is seen |
//! | `target` | what a victim is, once it is made for an attack |
//! | `session` | a user of the host who starts a container with an attacker in it |
//! | `container` | how a container of each step is started with the attacker in it |
//! | `attacker` | the attacker's side, inside the container |
//! | `cell` | what came of an attack |
//! | `who` | as whom it was done |
//! | `terminal` | what attacks are typed at |
//! | `system_calls` | what `nix` has no safe function for |
//!
//! Each uses only what stands below it.
//!
//! That an attack fails says something only if it could have succeeded. So each is carried out on
//! the host, too, without a container, by the same program: the positive control.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

mod attack;
mod attacker;
mod attempt;
mod cell;
mod container;
mod list;
mod matrix;
mod report;
mod session;
mod system_calls;
mod target;
mod terminal;
mod trial;
mod victim;
mod who;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use launcher::command_line::{note, report as complain};
use launcher::{Caller, program};
use nix::unistd::geteuid;
use workshop::{STEPS, checkout, output};

use attack::{Attack, Depends};
use list::{ALL, find};
use matrix::{Matrix, Row};
use trial::Programs;
use who::Who;

/// Attack every step, and show what still leaks
#[derive(Parser)]
#[command(
    name = "cargo workshop attacks",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
struct Args {
    /// Only these, with an explanation [default: all, in a table]
    names: Vec<String>,
    /// Print the parts of the book that are made from the table
    #[arg(long, hide = true)]
    book: bool,
    /// Carry out one attack as this user, and print a line for each cell
    #[arg(long, hide = true)]
    row: Option<Who>,
    #[command(subcommand)]
    inside: Option<Inside>,
}

/// What this program is in a container.
#[derive(Subcommand)]
enum Inside {
    /// Attack whatever can be reached from here
    #[command(hide = true)]
    Attacker {
        /// The attack
        id: String,
        /// What it has to know
        told: Vec<String>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    workshop::finish(match &args.inside {
        Some(Inside::Attacker { id, told }) => be_attacker(id, told),
        None => run(&args),
    })
}

/// The other side of a container: finds the attack of this name, and carries it out from here.
fn be_attacker(id: &str, told: &[String]) -> Result<ExitCode> {
    let attack = find(id).context("there is no such attack")?;
    attacker::run(attack.attacker, attack.leaves_first, told)
}

/// Carries out attacks and prints what came of them. As root, also as an ordinary user.
///
/// # Errors
/// If an attack cannot be carried out. An attack that has succeeded nowhere is a failure, too: then
/// it proves nothing that it has failed in a container.
fn run(args: &Args) -> Result<ExitCode> {
    let named = args.names.iter().map(|name| {
        find(name).with_context(|| {
            let all: Vec<_> = ALL.iter().map(|attack| attack.id).collect();
            let advice = match door::nearest(name, all.iter().copied()) {
                Some(id) => format!("do you mean {id}?"),
                None => format!("one of {}", all.join(", ")),
            };
            format!("there is no attack {name:?} ({advice})")
        })
    });
    let attacks: Vec<&Attack> = match args.names.is_empty() {
        true => ALL.iter().collect(),
        false => named.collect::<Result<_>>()?,
    };
    if let Some(who) = args.row {
        let programs = programs()?;
        attacks.iter().try_for_each(|attack| Row::print(attack, who, &programs))?;
        return Ok(ExitCode::SUCCESS);
    }
    build()?;
    let caller = Caller::of_this_process();
    rootfs::prepare(&caller, None)?; // once, and not by all rows at the same time
    let is_root = geteuid().is_root();
    let everybody = if is_root { &[Who::Root, Who::User][..] } else { &[Who::User] };
    let is_watched = io::stderr().is_terminal();
    let progress = |row: &Row| {
        if is_watched {
            show(row.attack.id);
        }
    };
    let matrix = Matrix::carry_out(attacks, everybody, progress)?;
    if is_watched {
        show("");
    }
    match args.book {
        true => output::print(report::for_book(&matrix))?,
        false => output::print(report::for_terminal(&matrix, !args.names.is_empty()))?,
    }
    Ok(judge(&matrix, is_root))
}

/// Shows on the terminal how far we are, in place of what was shown before.
fn show(id: &str) {
    // A terminal that has hung up has nobody in front of it.
    let _ = write!(io::stderr(), "\r\x1b[K{id}");
}

/// Complains about rows that prove nothing, or something else than the course says.
fn judge(matrix: &Matrix, is_root: bool) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for claim in matrix.rows.iter().flat_map(Row::broken_claims) {
        complain(&claim);
        code = ExitCode::FAILURE;
    }
    for attack in matrix.unproven() {
        let id = attack.id;
        match attack.depends_on {
            _ if !is_root && attack.takes_root => {
                note(format_args!("{id} proves nothing here: it takes root on the host, too"));
            }
            Some(Depends { who: Who::User, on, .. }) if !is_root => {
                note(format_args!("{id} proves nothing here: {on} forbids it on the host, too"));
            }
            _ if matrix.is_beyond_kernel(attack) => {
                let what = attack.needs_kernel.map_or("it", |(what, _)| what);
                note(format_args!("{id} proves nothing here: this kernel does not have {what}"));
            }
            _ => {
                complain(&format_args!(
                    "{id} proves nothing: it has not even succeeded on the host"
                ));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Builds what is to be attacked, if cargo runs us. (Not below sudo: what root builds would be in
/// the user's way.)
fn build() -> Result<()> {
    let Some(cargo) = env::var_os("CARGO").filter(|_| env::var_os("SUDO_UID").is_none()) else {
        return Ok(());
    };
    let mut build = program::command(cargo).context("cannot run cargo")?;
    build.args(["build", "--quiet"]).args(STEPS.map(|step| format!("--package={step}")));
    build.current_dir(checkout()?);
    ensure!(build.status().context("cannot run cargo")?.success(), "the steps do not build");
    Ok(())
}

/// Finds what is to be attacked: the steps lie beside this program.
fn programs() -> Result<Programs> {
    let attacker = env::current_exe().context("cannot tell where this program lies")?;
    let steps = attacker.parent().map(PathBuf::from).context("this program has no directory")?;
    for step in STEPS {
        ensure!(steps.join(step).is_file(), "there is no {step} yet (cargo build -p {step})");
    }
    Ok(Programs {
        attacker,
        steps,
        busybox_rootfs: rootfs::prepare(&Caller::of_this_process(), None)?,
        is_root: geteuid().is_root(),
    })
}
