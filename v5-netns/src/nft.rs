//! Runs `nft`, the program of the kernel's packet filter (nft(8)).

use anyhow::{Context, Result};
use launcher::signals::Patience;
use launcher::{Advise, program};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Our table. Nobody else's is touched, and to remove ours is one command.
pub(crate) const TABLE: &str = "ip container-steps";

/// Why a kernel may refuse it.
pub(crate) const NO_MODULES: &str = "does this kernel have nf_tables? After an upgrade of the \
                                     kernel its modules load only after a reboot";

const CANNOT: &str = "cannot run nft";

/// So much of other people's rules is looked at, and so long is waited for them.
const MOST: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(1);

// ANCHOR: run
/// Gives `nft` a text to carry out, all of it or nothing. Returns what it printed, or the first
/// line of what it said if it refused.
///
/// # Errors
/// If there is no `nft`, or it cannot be started; if a signal asks this process to end meanwhile.
pub(crate) fn run(text: &str) -> Result<Result<String, String>> {
    let (mut child, answer) = start(&[], text)?;
    let read = Patience::default().read_to_end(answer);
    if read.is_err() {
        let _ = child.kill(); // asked to end: the kernel carries out all of the text or nothing
    }
    let ended = child.wait();
    let words = String::from_utf8_lossy(&read.context(CANNOT)?).into_owned();
    if ended.context(CANNOT)?.success() {
        return Ok(Ok(words));
    }
    let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Ok(Err(first.to_owned()))
}

fn start(options: &[&str], text: &str) -> Result<(Child, PipeReader)> {
    let mut command = match program::command("nft") {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let advice = "address translation needs it: install the package nftables, or do \
                          without the outside: --net none";
            Err(Errno::ENOENT).advise(|_| advice).context(CANNOT)?
        }
        result => result.context(CANNOT)?,
    };
    let (answer, answerer) = io::pipe().context(CANNOT)?;
    command.args(options).args(["-f", "-"]).stdin(Stdio::piped());
    command.stdout(answerer.try_clone().context(CANNOT)?).stderr(answerer);
    let mut child = command.spawn().context(CANNOT)?;
    drop(command); // it holds our copies of the pipe's end: with them there, it would not end
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // It has ended early, and says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            result => result.context(CANNOT)?,
        }
    }
    Ok((child, answer))
}
// ANCHOR_END: run

/// What `nft` prints when it is asked for other people's rules, without the contents of their sets.
/// `None` if it cannot, or there are too many: nobody has to wait for those.
///
/// # Errors
/// As for [`run`].
pub(crate) fn list(text: &str) -> Result<Option<String>> {
    let (mut child, mut answer) = start(&["-t"], text)?;
    let words = read_some(&mut answer).context(CANNOT)?;
    if words.is_none() {
        child.kill().context(CANNOT)?;
    }
    let is_well = child.wait().context(CANNOT)?.success();
    Ok(words.filter(|_| is_well).map(|words| String::from_utf8_lossy(&words).into_owned()))
}

/// Everything, if that is no more than [`MOST`] and is there within [`PATIENCE`].
fn read_some(answer: &mut PipeReader) -> io::Result<Option<Vec<u8>>> {
    let start = Instant::now();
    let (mut words, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while words.len() < MOST {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let mut ready = [PollFd::new(answer.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut ready, timeout) {
            Err(Errno::EINTR) => continue,
            Ok(0) => return Ok(None),
            polled => polled?,
        };
        match answer.read(&mut buffer)? {
            0 => return Ok(Some(words)),
            length => words.extend_from_slice(&buffer[..length]),
        }
    }
    Ok(None)
}
