//! `cargo workshop bench`: what a container costs, in one table.
//!
//! A figure that depends on the machine's speed is only shown. One that does not (system calls,
//! number of crates) is a promise: when it is missed the exit status is 1, busy machine or not.

#![deny(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "they panic when nobody reads: see workshop::output"
)]

#[cfg(target_arch = "x86_64")]
mod before_main;
mod builds;
mod calls;
mod content;
mod growth;
mod guard;
mod layout;
mod limits;
mod memory;
mod namespaces;
mod network;
mod page;
mod payload;
mod picture;
mod pods;
mod programs;
mod pulling;
mod runtimes;
mod scratch;
mod second_start;
#[cfg(target_arch = "x86_64")]
mod system_calls;
mod table;
mod times;
mod unpacking;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use workshop::{output, say};

use programs::Programs;
use scratch::Scratch;
use table::Table;

/// Measure what a container costs, and what building it costs
#[derive(Parser)]
#[command(name = "cargo workshop bench")]
struct Args {
    /// How often each contender is started; the table shows medians
    #[arg(long, default_value_t = 200, value_name = "N")]
    runs: usize,
    /// Leave out the figures of the build (they take half a minute)
    #[arg(long)]
    no_builds: bool,
    /// How large the layer is that is unpacked, compressed
    #[arg(long, default_value_t = 300, value_name = "MB")]
    layer: usize,
    /// Write the tables into the book's page, book/src/costs.md
    #[arg(long)]
    page: bool,
    /// Compare the book's page with everything that is not a time
    #[arg(long, conflicts_with = "page")]
    check_page: bool,
    /// Measure how the time of a start grows instead (as root, about a minute)
    #[arg(long, conflicts_with = "check_page")]
    growth: bool,
    /// Be the server that a container runs while its published port is measured
    #[arg(long, hide = true)]
    serve: bool,
    /// Be the process that attaches containers to a bridge
    #[arg(long, hide = true, value_name = "N")]
    attach: Option<usize>,
}

fn main() -> ExitCode {
    workshop::finish(run(&Args::parse()))
}

/// Measures and prints. The status is a failure when a figure that does not depend on time is
/// missed.
fn run(args: &Args) -> Result<ExitCode> {
    if args.serve {
        network::serve_in_container()?;
    }
    if let Some(runs) = args.attach {
        return network::attach_here(runs).map(|()| ExitCode::SUCCESS);
    }
    // The page's check looks at no times.
    let is_enough = args.check_page || args.runs >= 100;
    ensure!(is_enough, "--runs {}: a median of fewer than 100 runs is noise", args.runs);
    ensure!(args.layer >= 8, "--layer {}: less than 8 MB is nothing to measure", args.layer);
    let programs = Programs::build()?;
    guard::run(&programs, |scratch| measure(args, &programs, scratch))
}

fn measure(args: &Args, programs: &Programs, scratch: &Scratch) -> Result<ExitCode> {
    if args.growth {
        return grow(args, programs, scratch);
    }
    let machine = format!(
        "{}; medians of {} runs, interleaved; the static build is linked with {}; load before it: \
         {}",
        programs.caller()?,
        args.runs,
        programs.static_libc,
        programs.load
    );
    say!("Measured {machine}.\n")?;

    let watched = pods::watch(programs, scratch)?;
    let mut table = Table::default();
    times::measure(programs, scratch, args.runs, &mut table)?;
    #[cfg(target_arch = "x86_64")]
    before_main::count(programs, &mut table)?;
    calls::count(programs, scratch, &mut table)?;
    memory::measure(programs, &mut table)?;
    network::measure(programs, args.runs, &mut table)?;
    limits::measure(programs, args.runs, &mut table)?;
    second_start::measure(programs, scratch, args.runs, &mut table)?;
    unpacking::measure(programs, scratch, args.layer, &mut table)?;
    pulling::measure(programs, scratch, args.layer, &mut table)?;
    pods::measure(programs, scratch, args.runs, watched, &mut table)?;
    builds::count_crates(programs, &mut table)?;
    if !args.no_builds {
        builds::measure(programs, scratch, &mut table)?;
    }
    output::print(&table)?;
    if args.page {
        page::write(&programs.workspace, &machine, &table)?;
    }
    if args.check_page {
        page::check(&programs.workspace, &table)?;
    }
    Ok(if table.broken_promise() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn grow(args: &Args, programs: &Programs, scratch: &Scratch) -> Result<ExitCode> {
    let (caller, runs, load) = (programs.caller()?, growth::RUNS, &programs.load);
    let machine = format!("{caller}; each a median of {runs} runs; load before it: {load}");
    say!("Measured {machine}.\n")?;
    let curves = growth::measure(programs, scratch)?;
    output::print(page::growth_table(&curves))?;
    if args.page {
        page::write_growth(&programs.workspace, &machine, &curves)?;
    }
    Ok(ExitCode::SUCCESS)
}
