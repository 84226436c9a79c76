//! How much memory the launcher holds while a container runs.
//!
//! Read from VmHWM, proc_pid_status(5), while the processes live. The peak that wait4(2) returns
//! is no use here: a program started by vfork begins with the peak of the program that started it,
//! so a small launcher would be charged with the memory of this benchmark.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::programs::{self, Programs};
use super::table::Table;

/// The largest of the supervisor and the waiting process, in both builds.
pub fn measure(programs: &Programs, table: &mut Table) -> Result<()> {
    for (figure, stage) in [
        ("peak memory of the launcher", &programs.dynamic),
        ("peak memory of the launcher, static", &programs.fixed),
    ] {
        table.timed(figure, peak(stage)? as f64 / 1024.0, 3.0, "MB");
    }
    Ok(())
}

/// Starts a container that echoes what it reads: once the echo is back, everything that the
/// launcher does at the start is done; closing its input ends it.
fn peak(stage: &Path) -> Result<u64> {
    let mut container = programs::stage(stage)
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the container")?;
    let peak = echo(&mut container).and_then(|()| {
        let supervisor = container.id();
        let waiting = fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"))?;
        let waiting =
            waiting.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>()?;
        let each = waiting.into_iter().chain([supervisor]).map(high_water_mark);
        Ok(each.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0))
    });
    drop(container.stdin.take());
    let status = container.wait()?;
    ensure!(status.success(), "the container ended with {status}");
    peak
}

/// Runs it to its end, and returns its peak of memory in kB, which is asked for while it lives.
/// What it prints goes to a file, and is shown if it fails.
///
/// # Errors
/// If it fails.
pub fn run_to_its_end(command: &mut Command, log: &Path) -> Result<u64> {
    let output = File::create(log).context("cannot make a file for the output")?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
    let mut child = command.spawn()?;
    let mut peak = 0;
    loop {
        // A process that has ended and was not waited for has no memory: the one before counts.
        peak = high_water_mark(child.id()).unwrap_or(peak);
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{status}: {}", fs::read_to_string(log)?.trim());
            return Ok(peak);
        }
        sleep(Duration::from_millis(5));
    }
}

fn echo(container: &mut Child) -> Result<()> {
    let mut input = container.stdin.as_ref().context("no pipe to the container")?;
    let output = container.stdout.as_mut().context("no pipe from the container")?;
    input.write_all(b"there?\n")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(line == "there?\n", "the container answered {line:?}");
    Ok(())
}

/// The largest memory that a process had, in kB.
pub fn high_water_mark(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let mark = mark.and_then(|mark| mark.split_whitespace().next());
    mark.and_then(|mark| mark.parse().ok()).with_context(|| format!("no VmHWM of process {pid}"))
}
