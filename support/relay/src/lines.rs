//! What the containers print: each line with the container's name before it.

use anyhow::{Context, Result};
use launcher::command_line::{errno_of, note};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stderr, dup2_stdout};
use std::io::{self, ErrorKind, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;

/// Colours of a terminal (console_codes(4)), one after the other for the containers.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// A line is cut into pieces of this many bytes: nobody shall fill our memory.
const LONGEST: usize = 16 * 1024;

/// So many bytes are read at a time.
const PIECE: usize = 4096;

/// So many bytes does a pipe hold at most, if nobody with CAP_SYS_RESOURCE has made it larger
/// (pipe(7)).
const MOST_LEFT: usize = 1 << 20;

/// One of the two streams of a container.
#[derive(Debug)]
pub struct Stream {
    /// Where it comes from.
    pub pipe: PipeReader,
    /// That of the container.
    name: String,
    prefix: String,
    is_error: bool,
    started: Vec<u8>,
    /// It has been told that lines of it are lost.
    is_told: bool,
}

/// The other ends, for the container.
#[derive(Debug)]
pub struct Ends {
    stdout: PipeWriter,
    stderr: PipeWriter,
}

/// Makes the two pipes of a container.
///
/// # Errors
/// Those of pipe(2).
pub fn pipes(name: &str, index: usize, width: usize) -> Result<(Ends, [Stream; 2])> {
    let (stdout_pipe, stdout) = io::pipe().context("cannot make a pipe")?;
    let (stderr_pipe, stderr) = io::pipe().context("cannot make a pipe")?;
    // Whoever waits for one container does not look after the others.
    for pipe in [stdout_pipe.as_fd(), stderr_pipe.as_fd()] {
        fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .context("cannot make a pipe not block")?;
    }
    let colour = COLOURS[index % COLOURS.len()]; // a remainder is less
    let stream = |pipe, is_error: bool| {
        let is_terminal =
            if is_error { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let prefix = match is_terminal {
            true => format!("\x1b[{colour}m{name:width$} |\x1b[0m "),
            false => format!("{name:width$} | "),
        };
        let name = name.to_owned();
        Stream { pipe, name, prefix, is_error, started: Vec::new(), is_told: false }
    };
    Ok((Ends { stdout, stderr }, [stream(stdout_pipe, false), stream(stderr_pipe, true)]))
}

impl Ends {
    /// Makes them the stdout and stderr of this process.
    ///
    /// # Errors
    /// Those of dup2(2).
    pub fn connect(&self) -> Result<()> {
        dup2_stdout(&self.stdout)
            .and_then(|()| dup2_stderr(&self.stderr))
            .context("cannot connect the output")
    }
}

impl Stream {
    /// Reads what is there, without waiting for it, and prints the lines that are complete.
    /// False at the end.
    ///
    /// # Errors
    /// Those of read(2).
    pub fn carry(&mut self) -> Result<bool> {
        let mut bytes = [0; PIECE];
        let length = match self.pipe.read(&mut bytes) {
            // Somebody else has read it: a neighbour by /proc/PID/fd/1, say.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            read => read.context("cannot read a container's output")?,
        };
        self.started.extend_from_slice(&bytes[..length]); // no more than there is room for
        loop {
            let longest = self.started.len().min(LONGEST);
            let end = self.started.iter().take(longest).position(|&byte| byte == b'\n');
            let is_last = length == 0 && longest > 0;
            match end {
                Some(end) => self.print(end, 1),
                None if longest == LONGEST || is_last => self.print(longest, 0),
                None => return Ok(length > 0),
            }
        }
    }

    /// Prints what is there when the container has ended, and waits for no more: what it has left
    /// running, or a neighbour by /proc/PID/fd, can hold the other end for as long as it likes.
    ///
    /// # Errors
    /// Those of poll(2) and read(2).
    pub fn carry_rest(&mut self) -> Result<()> {
        let mut pieces = MOST_LEFT / PIECE;
        while pieces > 0 && self.is_ready()? && self.carry()? {
            pieces -= 1;
        }
        if !self.started.is_empty() {
            self.print(self.started.len(), 0);
        }
        Ok(())
    }

    fn is_ready(&self) -> Result<bool> {
        let mut waited = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
        let ready =
            poll(&mut waited, PollTimeout::ZERO).context("cannot poll a container's output")?;
        Ok(ready > 0)
    }

    /// Prints so many of the bytes that are there as a line, and leaves out what ended it.
    fn print(&mut self, length: usize, end: usize) {
        let bytes: Vec<_> = self.started.drain(..length + end).take(length).collect();
        let line = [self.prefix.as_bytes(), &bytes, b"\n"].concat();
        let printed = match self.is_error {
            true => io::stderr().write_all(&line),
            false => io::stdout().write_all(&line),
        };
        // With our own stdout gone there is nobody who listens; the containers go on.
        if let Err(error) = printed
            && !self.is_told
        {
            self.is_told = true;
            let (name, errno) = (&self.name, errno_of(&error));
            note(format_args!("a line of {name:?} is lost, and maybe more: cannot print: {errno}"));
        }
    }
}
