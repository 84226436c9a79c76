//! How many system calls a container takes: from the launcher's first instruction to the
//! command's execve, the launcher's own and those of its children, counted by strace(1).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::programs::{self, Programs, find, is_root, succeed};
use super::scratch::Scratch;
use super::table::Table;

/// Counts both builds of the step.
pub fn count(programs: &Programs, scratch: &Scratch, table: &mut Table) -> Result<()> {
    for (figure, stage, limit) in [
        ("system calls to execve", &programs.dynamic, 210),
        ("system calls to execve, static", &programs.fixed, 200),
    ] {
        match find("strace") {
            Some(strace) if is_root()? => {
                table.counted(figure, most_of(&strace, stage, scratch)?, limit)
            }
            // Devices cannot be made in a user namespace; binding the host's takes more calls.
            Some(strace) => table.shown(figure, most_of(&strace, stage, scratch)?),
            None => {
                let why = "strace is not installed (package strace)";
                table.absent(figure, &format!("at most {limit}"), why);
            }
        }
    }
    Ok(())
}

/// Supervisor and children run side by side, so the number varies by a few: the worst of five.
fn most_of(strace: &Path, stage: &Path, scratch: &Scratch) -> Result<usize> {
    let directory = scratch.make("calls")?;
    let log = directory.path().join("strace");
    let mut most = 0;
    for _ in 0..5 {
        let mut traced: Command = programs::stage(strace);
        traced.arg("-f").arg("-qq").arg("-o").arg(&log).arg(stage).arg("true");
        succeed(&mut traced)?;
        most = most.max(calls_before_command(&fs::read_to_string(&log)?)?);
    }
    Ok(most)
}

/// Calls that begin between two execve: the first one, which starts the launcher, and the last one
/// that succeeds, which is the command's. strace shows a call in two lines, `unfinished` and
/// `resumed`, when another process was faster: it counts once, where it begins.
fn calls_before_command(log: &str) -> Result<usize> {
    let events: Vec<(&str, &str)> = log.lines().filter_map(pid_and_event).collect();
    let succeeded = |(_, event): &(&str, &str)| event.contains("execve") && event.ends_with("= 0");
    let end = events.iter().rposition(succeeded).context("no execve in the trace")?;
    let (command, _) = events.get(end).context("no execve in the trace")?;
    let begins = |(pid, event): &(&str, &str)| pid == command && event.starts_with("execve(");
    let until_end = events.get(..=end).unwrap_or_default();
    let begin = until_end.iter().rposition(begins).context("the execve has no beginning")?;

    let between = events.get(1..begin).unwrap_or_default();
    Ok(between.iter().filter(|(_, event)| !event.starts_with(['<', '-', '+'])).count())
}

/// A line of strace -f: the process, and a call, the end of a call, a signal or the process's end.
fn pid_and_event(line: &str) -> Option<(&str, &str)> {
    let (pid, event) = line.split_once(' ')?;
    Some((pid, event.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
10 execve(\"v4\", [\"v4\", \"true\"], 0x7ffe /* 3 vars */) = 0
10 brk(NULL) = 0x1
10 clone(child_stack=NULL <unfinished ...>
11 close(3) = 0
10 <... clone resumed>) = 11
11 execve(\"/usr/bin/true\", [\"true\"], 0x1) = -1 ENOENT (No such file or directory)
11 execve(\"/bin/true\", [\"true\"], 0x1) = 0
11 exit_group(0) = ?
11 +++ exited with 0 +++
10 --- SIGCHLD {si_signo=SIGCHLD} ---
";

    #[test]
    fn counts_each_call_between_the_two_execs_once() {
        assert_eq!(calls_before_command(LOG).unwrap(), 4);
    }

    #[test]
    fn an_execve_shown_in_two_lines_is_found() {
        let log = LOG.replace(
            "11 execve(\"/bin/true\", [\"true\"], 0x1) = 0",
            "11 execve(\"/bin/true\", [\"true\"], 0x1 <unfinished ...>\n\
             10 ppoll([], 0) = 1\n11 <... execve resumed>) = 0",
        );
        assert_eq!(calls_before_command(&log).unwrap(), 4);
    }
}
