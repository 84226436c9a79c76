//! The tools of the course that a learner needs, one subcommand each.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use workshop::{doctor, exercises, trace, xray};

/// The tools of the course. Without a tool: the exercises, and how far you are.
#[derive(Parser)]
#[command(name = "cargo workshop")]
struct Args {
    #[command(subcommand)]
    tool: Option<Tool>,
}

#[derive(Subcommand)]
enum Tool {
    /// Tell what of the course runs on this machine, and what to do about the rest
    Doctor(doctor::Args),
    #[command(flatten)]
    Exercises(exercises::Verb),
    /// Run a step and show the system calls that make the container
    Trace(trace::Args),
    /// Show every container on this machine, or all about one process
    Xray(xray::Args),
}

fn main() -> ExitCode {
    workshop::finish(match Args::parse().tool {
        None => exercises::run(&exercises::Verb::List),
        Some(Tool::Doctor(args)) => doctor::run(&args),
        Some(Tool::Exercises(verb)) => exercises::run(&verb),
        Some(Tool::Trace(args)) => trace::run(&args),
        Some(Tool::Xray(args)) => xray::run(&args),
    })
}
