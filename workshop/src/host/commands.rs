//! Commands of a host: each is run to its end, or all are ended.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long a command may take.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(10);

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; -1 if a signal ended it.
    pub status: i32,
    /// Standard output, without white space at its end.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
}

/// It has not ended in time.
#[derive(Debug)]
pub(crate) struct StillRuns {
    /// The command.
    pub(crate) name: String,
}

impl Display for StillRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` still runs after {} seconds", self.name, TIME_LIMIT.as_secs())
    }
}

impl std::error::Error for StillRuns {}

/// Runs a command to its end. What it prints is added to `out`, and to the new file `err`: whoever
/// inherits a pipe and lives on would keep it open. `name` is for the message.
pub(super) fn run(command: &mut Command, name: &str, out: &Path, err: &Path) -> Result<Ended> {
    let log = File::options().append(true).open(out);
    let mut child = command
        .stdout(log.context("cannot open a file for the output")?)
        .stderr(File::create(err).context("cannot make a file for the output")?)
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for the program")? {
            break status;
        }
        if start.elapsed() >= TIME_LIMIT {
            return Err(StillRuns { name: name.to_owned() }.into());
        }
        sleep(Duration::from_millis(5));
    };
    let read = |path: &Path| fs::read(path).context("cannot read the output");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim_end().to_owned();
    Ok(Ended {
        status: status.code().unwrap_or(-1),
        stdout: text(read(out)?),
        stderr: text(read(err)?),
    })
}

/// Kills every process of the host but the check itself, and reaps what can be reaped.
pub(crate) fn kill_all() -> Result<()> {
    match kill(Pid::from_raw(-1), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno).context("cannot kill what is left of the program"),
    }
    loop {
        match waitpid(None, Some(WaitPidFlag::empty())) {
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for what was killed"),
        }
    }
}
