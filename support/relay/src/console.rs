//! The caller's terminal, which no container gets, and what it gets instead.
//!
//! Whoever holds a terminal can do more with it than read and write. TIOCSTI (ioctl_tty(2)) types
//! at it, and what is typed is read by the caller's shell afterwards. That takes that the terminal
//! is one's controlling terminal, or CAP_SYS_ADMIN, which root in a container has. So of a terminal
//! neither a descriptor nor the session goes inside:
//!
//! * If stdin and stdout are terminals, the command gets a **pseudo-terminal** (pty(7)), made in
//!   the devpts of its container. What is typed goes in as bytes, what it prints comes out so.
//! * A terminal beside a file or a pipe is replaced by a **pipe**: there is a program at one end
//!   that wants no line ends of a terminal, nor its echo.
//! * Files and pipes of the caller are handed over as they are.
//!
//! Each direction holds one piece at a time, and a terminal that takes nothing makes the writer
//! inside wait.

mod ends;
mod flow;
mod outer;

pub use ends::{Ends, NewTerminal};

use crate::system_calls;
use anyhow::{Context, Result};
use flow::{Flow, Step, without_blocking};
use launcher::handover::receive_descriptor;
use nix::fcntl::OFlag;
use nix::poll::PollFd;
use nix::sys::signal::{SigSet, Signal};
use outer::{Outer, is_in_foreground, is_terminal, reopen};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The signals that tell of the terminal: its window has another size; it may be ours again.
const SIGNALS: [Signal; 2] = [Signal::SIGWINCH, Signal::SIGCONT];

/// How often we look whether we have come to the terminal's foreground: nobody tells us.
const LOOK: Duration = Duration::from_secs(1);

/// So much of what the command has written is carried once it has ended. That is more than a
/// pseudo-terminal or a pipe holds; who stays in the background may write without an end.
const REST: usize = 1 << 20;

/// What passes between the caller's terminal and a command. Dropped, it leaves the terminal as it
/// was.
#[derive(Debug)]
pub struct Console {
    /// Where the new terminal will come from.
    socket: Option<UnixDatagram>,
    /// The caller's, if the command has one of its own.
    outer: Option<Outer>,
    terminal: Option<PseudoTerminal>,
    input: Option<Flow>,
    output: Option<Flow>,
    /// It is our turn to read the caller's terminal.
    reads: bool,
    /// So much may still be read. None as long as the command runs.
    rest: Option<usize>,
}

/// The command's own terminal.
#[derive(Debug)]
struct PseudoTerminal {
    /// The side of who carries.
    master: OwnedFd,
    /// The command's side. As long as somebody has it open, the master can be read without an error
    /// (EIO). A command may close it, and open it again.
    _peer: OwnedFd,
}

impl Console {
    /// Looks which of stdin, stdout and stderr are a terminal, and makes what replaces them: what
    /// is carried here, and the ends for the command.
    ///
    /// # Errors
    /// Those of pipe(2) and socketpair(2).
    pub fn of_caller() -> Result<(Console, Ends)> {
        let is_terminal =
            [is_terminal(io::stdin())?, is_terminal(io::stdout())?, is_terminal(io::stderr())?];
        let mut console = Console {
            socket: None,
            outer: None,
            terminal: None,
            input: None,
            output: None,
            reads: false,
            rest: None,
        };
        let ends = match is_terminal {
            [true, true, _] => console.ask_for_terminal(is_terminal)?,
            _ => console.make_pipes(is_terminal)?,
        };
        Ok((console, ends))
    }

    fn ask_for_terminal(&mut self, is_terminal: [bool; 3]) -> Result<Ends> {
        let outer = Outer::of(io::stdin().as_fd())?;
        let (ours, theirs) = UnixDatagram::pair().context("cannot make a pair of sockets")?;
        let ends = Ends::for_terminal(is_terminal, theirs, &outer);
        self.socket = Some(ours);
        self.outer = Some(outer);
        ends
    }

    fn make_pipes(&mut self, is_terminal: [bool; 3]) -> Result<Ends> {
        let [stdin, stdout, stderr] = is_terminal;
        let mut ends = Ends::none(is_terminal);
        if stdin {
            let (reader, writer) = io::pipe().context("cannot make a pipe")?;
            let writer = without_blocking(OwnedFd::from(writer))?;
            self.input = Some(Flow::new(reopen(io::stdin().as_fd(), OFlag::O_RDONLY)?, writer));
            ends.input = Some(reader.into());
        }
        // One pipe for both, so that what is written to one does not pass the other.
        let (to_stdout, to_stderr) = (io::stdout(), io::stderr());
        let to = if stdout { to_stdout.as_fd() } else { to_stderr.as_fd() };
        if stdout || stderr {
            let (reader, writer) = io::pipe().context("cannot make a pipe")?;
            let reader = without_blocking(OwnedFd::from(reader))?;
            self.output = Some(Flow::new(reader, reopen(to, OFlag::O_WRONLY)?));
            ends.output = Some(writer.into());
        }
        Ok(ends)
    }

    /// To be called when the command runs: takes its terminal, and begins to carry.
    ///
    /// # Errors
    /// Those of recvmsg(2) and of ioctl(2).
    pub fn start(&mut self) -> Result<()> {
        SigSet::from_iter(SIGNALS).thread_block().context("cannot block signals")?;
        let Some(socket) = self.socket.take() else { return Ok(()) };
        let master =
            receive_descriptor(&socket).context("cannot receive the container's terminal")?;
        let peer =
            system_calls::open_peer(&master).context("cannot open the container's terminal")?;
        let copy =
            |descriptor: &OwnedFd| descriptor.try_clone().context("cannot copy a descriptor");
        let input = reopen(io::stdin().as_fd(), OFlag::O_RDONLY)?;
        let output = reopen(io::stdout().as_fd(), OFlag::O_WRONLY)?;
        self.input = Some(Flow::new(input, copy(&master)?));
        self.output = Some(Flow::new(copy(&master)?, output));
        self.terminal = Some(PseudoTerminal { master, _peer: peer });
        self.look().map(drop)
    }

    /// Those of the signals that are for [`Console::take_signal`], beside these.
    #[must_use]
    pub fn with_its_signals(signals: &SigSet) -> SigSet {
        let mut signals = *signals; // which has real-time signals, too
        signals.extend(SIGNALS);
        signals
    }

    /// True if the signal was one that tells of the terminal.
    ///
    /// # Errors
    /// Those of ioctl(2).
    pub fn take_signal(&mut self, signal: Signal) -> Result<bool> {
        match signal {
            Signal::SIGWINCH => self.pass_size_on()?,
            // Who had the terminal meanwhile may have left it otherwise.
            Signal::SIGCONT => self.outer.iter_mut().for_each(Outer::forget),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pass_size_on(&self) -> Result<()> {
        let (Some(outer), Some(terminal)) = (&self.outer, &self.terminal) else { return Ok(()) };
        let Some(size) = outer.size() else { return Ok(()) }; // it has hung up
        // The kernel tells the foreground group inside, if it has changed.
        system_calls::set_window_size(&terminal.master, &size)
            .context("cannot set the size of the container's terminal")
    }

    /// To be called before each poll(2): looks whose turn it is to read the caller's terminal.
    /// Returns for how long the poll may last.
    ///
    /// # Errors
    /// Those of tcsetattr(3).
    pub fn look(&mut self) -> Result<Option<Duration>> {
        // A job in the background must not touch the terminal: it would be stopped (SIGTTIN).
        self.reads = self.input.as_ref().is_some_and(|input| is_in_foreground(&input.from));
        if let Some(outer) = self.outer.as_mut().filter(|_| self.reads && self.terminal.is_some())
            && outer.become_raw()?
        {
            self.pass_size_on()?;
        }
        Ok((self.input.is_some() && !self.reads).then_some(LOOK))
    }

    fn input(&mut self) -> Option<&mut Flow> {
        self.input.as_mut().filter(|_| self.reads)
    }

    /// What to poll for: one descriptor for each direction. [`Console::carry`] wants the answers.
    pub fn waits_for(&self) -> impl Iterator<Item = PollFd<'_>> {
        let input = self.input.as_ref().filter(|_| self.reads);
        input.into_iter().chain(&self.output).map(Flow::waits_for)
    }

    /// Carries what there is, one piece in each direction, where the poll says that it can be.
    ///
    /// # Errors
    /// Those of read(2) and write(2), but for those that mean the end of one side.
    pub fn carry(&mut self, mut is_ready: impl Iterator<Item = bool>) -> Result<()> {
        let input = self.input().is_some() && is_ready.next() == Some(true);
        let output = self.output.is_some() && is_ready.next() == Some(true);
        if input {
            self.carry_input()?;
        }
        if output { self.carry_output() } else { Ok(()) }
    }

    fn carry_input(&mut self) -> Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        match input.carry().context("cannot carry what is typed")? {
            Step::Went(_) | Step::Waits => {}
            // A terminal gives an end of the input (Ctrl-D) to who reads lines. To who reads bytes
            // it gives none: it has hung up.
            Step::Ended if self.terminal.is_some() => self.hang_up(),
            Step::Ended | Step::Gone => self.input = None,
        }
        Ok(())
    }

    fn carry_output(&mut self) -> Result<()> {
        let Some(output) = &mut self.output else { return Ok(()) };
        let carried = match &self.outer {
            Some(outer) if !output.is_empty() => outer.as_it_is(|| output.carry()),
            _ => output.carry(),
        };
        match carried.context("cannot carry what the command prints")? {
            Step::Went(_) | Step::Waits => {}
            Step::Gone if self.terminal.is_some() => self.hang_up(),
            Step::Ended | Step::Gone => self.output = None,
        }
        self.read_rest()
    }

    /// To be called when the command has ended. What it has printed before is still carried, until
    /// [`Console::is_done`].
    ///
    /// # Errors
    /// As [`Console::carry`].
    pub fn end(&mut self) -> Result<()> {
        self.rest.get_or_insert(REST);
        self.input = None;
        self.read_rest()
    }

    /// Nobody has to write any more, so poll(2) would wait for ever if there is nothing.
    fn read_rest(&mut self) -> Result<()> {
        let (Some(rest), Some(output)) = (self.rest, &mut self.output) else { return Ok(()) };
        if !output.is_empty() {
            return Ok(());
        }
        match output.carry().context("cannot carry what the command has printed")? {
            Step::Went(length) if rest > 0 => self.rest = Some(rest.saturating_sub(length)),
            _ => self.output = None,
        }
        Ok(())
    }

    /// Whether nothing is left to be carried of a command that has ended.
    pub fn is_done(&self) -> bool {
        self.rest.is_some() && self.output.is_none()
    }

    /// The caller's terminal is gone: closes that of the command. The kernel tells its session
    /// (SIGHUP).
    pub fn hang_up(&mut self) {
        self.terminal = None;
        self.input = None;
        self.output = None;
    }

    /// Whether the command has, or had, a terminal, and it is hung up.
    pub fn has_hung_up(&self) -> bool {
        self.outer.is_some() && self.socket.is_none() && self.terminal.is_none()
    }
}
