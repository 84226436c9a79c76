//! `cargo workshop`: the one door to the tools of the course.

mod bench;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo workshop", about = "The tools of the course")]
struct Args {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Subcommand)]
enum Tool {
    /// Measure what a container costs, and what building it costs
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Args::parse().tool {
        Tool::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
