//! What a cgroup costs: the same start with limits and without, by turns.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use workshop::say;

use super::programs::{Programs, is_root, stage};
use super::table::Table;
use super::times::median_in_ms;

/// Long enough for the kernel to leave the mode in which moving processes is cheap.
const REST: Duration = Duration::from_millis(100);

/// Measures, if this is root: an ordinary user's cgroups are those that somebody delegated.
pub fn measure(programs: &Programs, runs: usize, table: &mut Table) -> Result<()> {
    const FIGURE: &str = "cost of a cgroup, back to back";
    if !is_root()? {
        table.absent(FIGURE, "at most 1.00 ms", "as root only");
        return Ok(());
    }
    let back_to_back = cost(programs, runs, Duration::ZERO)?;
    let rested = cost(programs, 20, REST)?;
    say!("a cgroup with three limits: {back_to_back:.2} ms, after a rest {rested:.2} ms")?;
    say!(
        "(On v2, who moves a process waits for every processor to notice: after a rest, a grace \
         period of the kernel. A thread that moves itself, as on v1, makes nobody wait.)\n"
    )?;
    table.timed(FIGURE, back_to_back, 1.0, "ms");
    Ok(())
}

/// The difference of the medians, in milliseconds, with a rest before each start.
fn cost(programs: &Programs, runs: usize, rest: Duration) -> Result<f64> {
    let limits = ["--memory", "64m", "--cpus", "1", "--pids-limit", "100"];
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        without.push(start(programs, &[], rest)?);
        with.push(start(programs, &limits, rest)?);
    }
    Ok(median_in_ms(&with) - median_in_ms(&without))
}

fn start(programs: &Programs, limits: &[&str], rest: Duration) -> Result<Duration> {
    thread::sleep(rest);
    let mut stage: Command = stage(&programs.limits);
    stage.args(["--net", "none"]).args(limits).arg("true");
    let start = Instant::now();
    let status = stage.stdin(Stdio::null()).status().context("cannot run v6-cgroups")?;
    let time = start.elapsed();
    ensure!(status.success(), "v6-cgroups ended with {status}");
    Ok(time)
}
