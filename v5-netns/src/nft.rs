//! Runs `nft`, the program of the kernel's packet filter (nft(8)).

use anyhow::{Context, Result};
use launcher::{Advise, program};
use nix::errno::Errno;
use std::io::{self, ErrorKind, Read, Write};
use std::process::Stdio;

/// Why a kernel may refuse it.
pub(crate) const NO_MODULES: &str = "does this kernel have nf_tables? After an upgrade of the \
                                     kernel its modules load only after a reboot";

// ANCHOR: run
/// Gives `nft` a text to carry out, all of it or nothing. Returns what it printed, or the first
/// line of what it said if it refused.
///
/// # Errors
/// If there is no `nft`, or it cannot be started.
pub(crate) fn run(text: &str) -> Result<Result<String, String>> {
    let cannot = "cannot run nft";
    let mut command = match program::command("nft") {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "address translation needs it: install the package nftables, or do \
                          without the outside: --net none";
            Err(Errno::ENOENT).advise(|_| advice).context(cannot)?
        }
        result => result.context(cannot)?,
    };
    let (mut answer, answerer) = io::pipe().context(cannot)?;
    command.args(["-f", "-"]).stdin(Stdio::piped());
    command.stdout(answerer.try_clone().context(cannot)?).stderr(answerer);
    let mut child = command.spawn().context(cannot)?;
    drop(command); // it holds our copies of the pipe's end: with them there, it would not end
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // It has ended early, and says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            result => result.context(cannot)?,
        }
    }
    let mut words = Vec::new();
    answer.read_to_end(&mut words).context(cannot)?;
    let words = String::from_utf8_lossy(&words).into_owned();
    if child.wait().context(cannot)?.success() {
        return Ok(Ok(words));
    }
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Ok(Err(first.to_owned()))
}
// ANCHOR_END: run
