//! A real terminal for tests: a pseudo-terminal with a program in front of it.
//!
//! ```no_run
//! # use std::process::Command;
//! # use testbed::terminal::{Key, Terminal};
//! # fn main() -> anyhow::Result<()> {
//! let mut terminal = Terminal::start(&mut Command::new("sh"))?;
//! terminal.read_until("$ ")?;
//! terminal.type_line("sleep 1000")?;
//! terminal.press(Key::CtrlC)?;
//! terminal.read_until("$ ")?;
//! terminal.hang_up();
//! terminal.wait()?;
//! # Ok(())
//! # }
//! ```
//!
//! The program is the leader of a session of its own and the terminal is its controlling
//! terminal, so Ctrl-C, Ctrl-Z, job control and the hang-up come from the kernel, as they do
//! for a person who types. Everything is synchronous and every wait has a time limit.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::Mode;
use nix::unistd::setsid;

use crate::pace::slowed;
use crate::signals;

/// How long a wait lasts at most (longer on a slow machine), unless [`Terminal::set_limit`] says
/// otherwise.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A key that a terminal turns into a signal or into the end of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// SIGINT to the foreground process group.
    CtrlC,
    /// SIGTSTP to the foreground process group.
    CtrlZ,
    /// SIGQUIT to the foreground process group.
    CtrlBackslash,
    /// The end of the input, at the start of a line.
    CtrlD,
}

impl Key {
    /// The byte that the key sends: the letter's place in the alphabet.
    fn byte(self) -> u8 {
        match self {
            Key::CtrlC => 0x03,
            Key::CtrlD => 0x04,
            Key::CtrlZ => 0x1a,
            Key::CtrlBackslash => 0x1c,
        }
    }
}

/// A pseudo-terminal and the program that runs on it.
#[derive(Debug)]
pub struct Terminal {
    /// Our end; `None` once the terminal was hung up.
    master: Option<File>,
    child: Child,
    /// The path of the program's end.
    path: PathBuf,
    limit: Duration,
    /// What was read and not yet handed out.
    pending: Vec<u8>,
    /// Everything that was read, for messages.
    transcript: Vec<u8>,
    /// The other end is closed in every process: nothing more can come.
    ended: bool,
}

impl Terminal {
    /// Start `command` on a new terminal of 24 lines and 80 columns.
    pub fn start(command: &mut Command) -> Result<Self> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)
            .context("cannot open a pseudo-terminal")?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname_r(&master)?;
        // O_NOCTTY: it is to become the program's terminal, not the test's.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let slave = open(Path::new(&name), flags, Mode::empty())
            .with_context(|| format!("cannot open {name}"))?;
        let master = File::from(master.as_fd().try_clone_to_owned()?);
        set_size(&master, 24, 80)?;

        command.stdin(Stdio::from(slave.try_clone()?));
        command.stdout(Stdio::from(slave.try_clone()?));
        command.stderr(Stdio::from(slave));
        // SAFETY: it makes async-signal-safe system calls, and nothing allocates between them.
        unsafe { command.pre_exec(take_terminal) };
        let child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        // `command` keeps our copies of the program's end open, and while one is open its end
        // cannot be noticed.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self {
            master: Some(master),
            child,
            path: PathBuf::from(name),
            limit: slowed(LIMIT),
            pending: Vec::new(),
            transcript: Vec::new(),
            ended: false,
        })
    }

    /// The program's process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The terminal's path, such as /dev/pts/3. It belongs to whoever made it; a login would give
    /// it to the user.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Let every wait that follows last at most `limit`.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Send `text` as if it were typed.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        let Some(master) = &mut self.master else { bail!("the terminal was hung up") };
        master.write_all(text.as_bytes()).with_context(|| format!("cannot type {text:?}"))
    }

    /// Send `line` and Enter.
    pub fn type_line(&mut self, line: &str) -> Result<()> {
        self.type_text(&format!("{line}\n"))
    }

    /// Press a key.
    pub fn press(&mut self, key: Key) -> Result<()> {
        let Some(master) = &mut self.master else { bail!("the terminal was hung up") };
        master.write_all(&[key.byte()]).with_context(|| format!("cannot press {key:?}"))
    }

    /// Change the window's size; the foreground process group gets SIGWINCH.
    pub fn resize(&self, lines: u16, columns: u16) -> Result<()> {
        let Some(master) = &self.master else { bail!("the terminal was hung up") };
        set_size(master, lines, columns)
    }

    /// Read until `pattern` was printed; what was printed up to its end.
    ///
    /// The lines end with `\r\n`, as a terminal ends them.
    pub fn read_until(&mut self, pattern: &str) -> Result<String> {
        let deadline = Instant::now() + self.limit;
        while find(&self.pending, pattern.as_bytes()).is_none() {
            if self.ended || !self.read_before(deadline)? {
                bail!("waited for {pattern:?}, it printed:\n{}", self.transcript());
            }
        }
        let end = find(&self.pending, pattern.as_bytes())
            .map_or(self.pending.len(), |start| start + pattern.len());
        let rest = self.pending.split_off(end);
        let printed = std::mem::replace(&mut self.pending, rest);
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Read until every process has closed the terminal; what was printed.
    pub fn read_to_end(&mut self) -> Result<String> {
        let deadline = Instant::now() + self.limit;
        while !self.ended {
            if !self.read_before(deadline)? {
                bail!("the terminal is still in use, it printed:\n{}", self.transcript());
            }
        }
        Ok(String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned())
    }

    /// Read what comes within `time`; false if nothing came.
    pub fn read_some(&mut self, time: Duration) -> Result<bool> {
        self.read_before(Instant::now() + time)
    }

    /// Whether every process has closed the terminal and everything was read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What was printed and not yet handed out; it is handed out again by the next read.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Hand out what is pending.
    pub fn take_pending(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Everything printed so far, for messages.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.transcript).into_owned()
    }

    /// Close the terminal, as a window that is closed: the session gets SIGHUP.
    pub fn hang_up(&mut self) {
        self.master = None;
        self.ended = true;
    }

    /// Wait until the program ends. What it prints meanwhile stays pending.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + self.limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("process {} is still there, it printed:\n{}", self.pid(), self.transcript());
            }
            // A program with a full terminal in front of it never ends: keep reading.
            let step = Instant::now() + Duration::from_millis(10);
            if self.ended || !self.read_before(step)? {
                std::thread::sleep(step.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Read what comes before `deadline`; false if nothing came.
    fn read_before(&mut self, deadline: Instant) -> Result<bool> {
        let Some(master) = &mut self.master else {
            return Ok(false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, else the last millisecond would be spent spinning.
        let left = PollTimeout::try_from(left + Duration::from_millis(1))?;
        match poll(&mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)], left) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(true),
            Err(error) => return Err(error).context("cannot wait for the terminal"),
        }
        let mut buffer = [0; 4096];
        match master.read(&mut buffer) {
            Ok(0) => self.ended = true,
            Ok(count) => {
                self.pending.extend_from_slice(&buffer[..count]);
                self.transcript.extend_from_slice(&buffer[..count]);
            }
            // EIO: no process has the other end open any more (man 4 pts).
            Err(error) if error.raw_os_error() == Some(libc::EIO) => self.ended = true,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read from the terminal"),
        }
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.hang_up();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the child, between fork and exec: lead a session and take the terminal on standard input, as
/// a login does, whatever started the tests.
fn take_terminal() -> std::io::Result<()> {
    signals::reset()?;
    setsid()?;
    // SAFETY: TIOCSCTTY takes a number, no pointer.
    Errno::result(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) })?;
    Ok(())
}

fn set_size(master: &File, lines: u16, columns: u16) -> Result<()> {
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one `Winsize`, which lives until the call returns.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .context("cannot set the window's size")?;
    Ok(())
}

/// Where `needle` begins in `text`.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::inheritance::{block_signals, ignore_signals};

    fn shell(script: &str) -> Terminal {
        Terminal::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn is_a_controlling_terminal() {
        let mut terminal = shell("test -t 0 && echo terminal: $(tty); : >/dev/tty && echo own");
        let printed = terminal.read_until("own").unwrap();
        assert!(printed.contains("terminal: /dev/pts/"), "{printed}");
        assert!(terminal.wait().unwrap().success());
    }

    #[test]
    fn types_and_reads_the_echo() {
        let mut terminal = shell("read line; echo \"got [$line]\"");
        terminal.type_line("a b").unwrap();
        assert_eq!(terminal.read_until("got [a b]").unwrap(), "a b\r\ngot [a b]");
        assert_eq!(terminal.read_to_end().unwrap(), "\r\n");
    }

    #[test]
    fn ctrl_c_interrupts() {
        let mut terminal =
            shell("trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.1; done");
        terminal.read_until("ready").unwrap();
        terminal.press(Key::CtrlC).unwrap();
        terminal.read_until("interrupted").unwrap();
        assert_eq!(terminal.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn a_caller_that_ignores_and_blocks_signals_does_not_matter() {
        let script = "trap 'exit 3' INT HUP; echo ready; while :; do sleep 0.1; done";
        for end in [|it: &mut Terminal| it.press(Key::CtrlC).unwrap(), Terminal::hang_up] {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            ignore_signals(&mut command, &[libc::SIGHUP, libc::SIGINT]);
            block_signals(&mut command);
            let mut terminal = Terminal::start(&mut command).unwrap();
            terminal.read_until("ready").unwrap();
            end(&mut terminal);
            assert_eq!(terminal.wait().unwrap().code(), Some(3));
        }
    }

    #[test]
    fn ctrl_d_ends_the_input() {
        let mut terminal = shell("cat; echo end");
        terminal.press(Key::CtrlD).unwrap();
        terminal.read_until("end").unwrap();
    }

    #[test]
    fn has_a_size() {
        let mut terminal =
            shell("trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.1; done");
        terminal.read_until("24 80").unwrap();
        terminal.resize(30, 100).unwrap();
        terminal.read_until("30 100").unwrap();
    }

    #[test]
    fn hang_up_ends_the_program() {
        let mut terminal = shell("echo ready; sleep 100");
        terminal.read_until("ready").unwrap();
        terminal.hang_up();
        terminal.wait().unwrap();
    }

    #[test]
    fn a_wait_has_an_end() {
        let mut terminal = shell("echo some; sleep 100");
        terminal.set_limit(Duration::from_millis(200));
        let error = format!("{:#}", terminal.read_until("other").unwrap_err());
        assert!(error.contains("waited for \"other\", it printed:\nsome"), "{error}");
    }

    #[test]
    fn reads_what_the_program_printed_before_it_ended() {
        let mut terminal = shell("echo last words");
        terminal.wait().unwrap();
        assert_eq!(terminal.read_to_end().unwrap(), "last words\r\n");
    }
}
