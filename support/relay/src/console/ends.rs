//! What the command gets in place of the caller's terminal.

use super::outer::Outer;
use crate::system_calls;
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::handover::send_descriptor;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::pty::Winsize;
use nix::sys::stat::{SFlag, fstat, makedev};
use nix::sys::statfs::{DEVPTS_SUPER_MAGIC, fstatfs};
use nix::sys::termios::{SetArg, Termios, tcsetattr};
use nix::unistd::{Uid, dup2_stderr, dup2_stdin, dup2_stdout, setfsuid, setsid};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

/// Where pseudo-terminals are made, in a container (pts(4)).
const PTMX: &str = "/dev/pts/ptmx";

/// What is at the other end of a [`super::Console`].
#[derive(Debug)]
pub struct Ends {
    is_terminal: [bool; 3],
    pub(super) input: Option<OwnedFd>,
    pub(super) output: Option<OwnedFd>,
    new_terminal: Option<Settings>,
}

/// What a terminal shall be like.
#[derive(Debug)]
struct Settings {
    settings: Option<Termios>,
    size: Option<Winsize>,
}

/// The terminal that a command is to have, if any.
#[derive(Debug)]
pub struct NewTerminal {
    is_terminal: [bool; 3],
    settings: Option<Settings>,
}

impl Ends {
    /// Nothing yet for the descriptors that are terminals.
    pub(super) fn none(is_terminal: [bool; 3]) -> Ends {
        Ends { is_terminal, input: None, output: None, new_terminal: None }
    }

    /// A socket, for the way of a new terminal to us.
    pub(super) fn for_terminal(
        is_terminal: [bool; 3],
        socket: UnixDatagram,
        like: &Outer,
    ) -> Result<Ends> {
        let input = OwnedFd::from(socket);
        let output = input.try_clone().context("cannot copy a descriptor")?;
        let settings = Settings { settings: like.settings(), size: like.size() };
        Ok(Ends {
            is_terminal,
            input: Some(input),
            output: Some(output),
            new_terminal: Some(settings),
        })
    }

    /// Puts them in the place of the caller's terminal, of which this process has nothing then but
    /// the session. To be called before it looks up any name in the container.
    ///
    /// # Errors
    /// Those of dup2(2).
    pub fn connect(self) -> Result<NewTerminal> {
        let [stdin, stdout, stderr] = self.is_terminal;
        let replace = || -> nix::Result<()> {
            if let Some(input) = self.input.as_ref().filter(|_| stdin) {
                dup2_stdin(input)?;
            }
            if let Some(output) = self.output.as_ref().filter(|_| stdout) {
                dup2_stdout(output)?;
            }
            if let Some(output) = self.output.as_ref().filter(|_| stderr) {
                dup2_stderr(output)?;
            }
            Ok(())
        };
        replace().context("cannot replace the caller's terminal")?;
        Ok(NewTerminal { is_terminal: self.is_terminal, settings: self.new_terminal })
    }
}

impl NewTerminal {
    /// Leaves the session of the caller, whose terminal would be /dev/tty, for a new one. Makes the
    /// terminal that it shall have, in the container that this process has entered: the master goes
    /// to the supervisor, through the socket that is stdin here.
    ///
    /// # Errors
    /// If the container has no device for it, or those of the system calls in it.
    pub fn open(self, owner: Uid) -> Result<()> {
        setsid().context("cannot begin a session")?;
        let Some(settings) = self.settings else { return Ok(()) };
        // A new terminal belongs to who opens it. setfsuid(2) never fails: asked for another's
        // number, it does nothing.
        let own = setfsuid(owner);
        let master = open_ptmx();
        setfsuid(own);
        let master = master?;
        let terminal = system_calls::unlock(&master)
            .and_then(|()| system_calls::open_peer(&master))
            .context("cannot open a terminal in the container")?;
        settings.give_to(&terminal).context("cannot set up a terminal in the container")?;
        send_descriptor(io::stdin(), &master)
            .context("cannot hand over the container's terminal")?;
        drop(master);
        system_calls::make_controlling(&terminal)
            .context("cannot make a terminal that of the session")?;
        let [_, _, stderr] = self.is_terminal;
        dup2_stdin(&terminal)
            .and_then(|()| dup2_stdout(&terminal))
            .and_then(|()| if stderr { dup2_stderr(&terminal) } else { Ok(()) })
            .context("cannot connect the container's terminal")
    }
}

impl Settings {
    fn give_to(&self, terminal: &OwnedFd) -> nix::Result<()> {
        if let Some(settings) = &self.settings {
            tcsetattr(terminal, SetArg::TCSANOW, settings)?;
        }
        self.size.as_ref().map_or(Ok(()), |size| system_calls::set_window_size(terminal, size))
    }
}

// ANCHOR: open_ptmx
/// Opens a new pseudo-terminal of the container. Who was there before us may have put anything at
/// this place: so no link is followed, nothing is waited for, and the device is looked at. Its
/// other side is opened from it (TIOCGPTPEER), not by a name.
fn open_ptmx() -> Result<OwnedFd> {
    let advice = "the container has changed it; with < /dev/null no terminal is needed";
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let opened = loop {
        match openat2(AT_FDCWD, PTMX, how) {
            // Something was renamed meanwhile, somewhere, and the kernel could not be sure.
            Err(Errno::EAGAIN) => {}
            result => break result,
        }
    };
    let opened = opened.advise(|_| advice).context("cannot open /dev/pts/ptmx of the container")?;
    if !is_ptmx(&opened).context("cannot look at /dev/pts/ptmx of the container")? {
        bail!("/dev/pts/ptmx of the container is not the device 5:2 of a devpts ({advice})");
    }
    Ok(opened)
}
// ANCHOR_END: open_ptmx

/// Its numbers alone say little: a node with them, in another file system, leads to whatever devpts
/// is beside it.
fn is_ptmx(opened: impl AsFd) -> nix::Result<bool> {
    let status = fstat(&opened)?;
    let is_device = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    let has_numbers = status.st_rdev == makedev(5, 2);
    Ok(is_device && has_numbers && fstatfs(&opened)?.filesystem_type() == DEVPTS_SUPER_MAGIC)
}
