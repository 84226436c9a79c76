//! `cargo workshop xray [PID]`: every container on this machine, or all about one process.
//!
//! The kernel knows no containers. It knows processes, each with namespaces, a root directory,
//! cgroups and privileges, and shows them in /proc (proc(5)). Read side by side, that is what a
//! container is, whoever has started it: a step of this course, Docker, bwrap or unshare.
//!
//! | module | what it does |
//! |---|---|
//! | `process` | reads the directory of one process in /proc |
//! | `namespaces` | the namespaces that a process is in |
//! | `machine` | all processes, and which of them are in a container |
//! | `tree` | prints all containers |
//! | `table` | prints all about one process |
//! | `mounts` | its root directory and its mounts |
//! | `ids` | which users it knows |
//! | `privileges` | capabilities, seccomp, no_new_privs |
//! | `cgroup` | its limits, and what it uses |
//! | `ports` | the ports that are open in its network |
//! | `picture` | what is drawn |
//! | `shortened` | as much of a text as there is room for |

mod cgroup;
mod ids;
mod machine;
mod mounts;
mod namespaces;
mod picture;
mod ports;
mod privileges;
mod process;
mod shortened;
mod table;
mod tree;

use std::process::ExitCode;

use anyhow::Result;
use launcher::command_line::note;

use crate::output;
use machine::Machine;

/// What to look at.
#[derive(clap::Args)]
pub struct Args {
    /// A process: all about it [default: a tree of all processes in containers]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pid: Option<u32>,
}

/// Looks, and prints. What may not be read is said, and is no failure.
///
/// # Errors
/// If there is no such process, or it ends meanwhile; if /proc cannot be read.
pub fn run(args: &Args) -> Result<ExitCode> {
    let picture = match args.pid {
        None => tree::draw(&Machine::look()?),
        Some(pid) => table::draw(pid)?,
    };
    output::print(picture.text)?;
    for text in picture.notes {
        note(format_args!("{text}"));
    }
    Ok(ExitCode::SUCCESS)
}
