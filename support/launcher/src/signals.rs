//! Which signals a supervisor takes, which the command starts with, and the count of Ctrl-C.

use crate::system_calls::{default_action, pending_signals};
use anyhow::{Context, Result};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{getpid, read};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// What stops a process, until SIGCONT: Ctrl-Z, or a read or write in the background (signal(7)).
pub const STOPS: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Signals that are blocked, so that they wait for this process until it asks for them.
#[derive(Debug)]
pub struct HeldSignals {
    taken: SigSet,
}

/// From here on every signal that can be blocked waits for this process, and it can wait for its
/// children. So none ends it with something of it left behind, and each can be passed on.
///
/// [`STOPS`] are not among them: as long as there is no container that has to stop too, Ctrl-Z can
/// stop this process at once.
///
/// # Errors
/// Those of sigprocmask(2) and sigaction(2): none is expected.
pub fn hold_signals() -> Result<HeldSignals> {
    IgnoredSignals::of_caller()?.hold_others()
}

impl HeldSignals {
    /// For a child of a supervisor that has a child of its own: [`STOPS`] too, and all that the
    /// supervisor has held since before the fork.
    ///
    /// # Errors
    /// Those of sigprocmask(2): none is expected.
    pub fn of_supervisor() -> Result<HeldSignals> {
        let mut taken = SigSet::all();
        let held = taken.thread_swap_mask(SigmaskHow::SIG_BLOCK).context("cannot block signals")?;
        if !held.contains(Signal::SIGHUP) {
            taken.remove(Signal::SIGHUP); // nohup(1), as the supervisor has found
        }
        Ok(HeldSignals { taken })
    }

    /// These, and [`STOPS`]: for who has to stop more than itself.
    ///
    /// # Errors
    /// Those of sigprocmask(2): none is expected.
    pub(crate) fn and_stops(mut self) -> Result<HeldSignals> {
        self.taken.extend(STOPS);
        self.taken.thread_block().context("cannot block signals")?;
        Ok(self)
    }

    /// Which ones, for signalfd(2) and sigwaitinfo(2).
    pub fn as_set(&self) -> &SigSet {
        &self.taken
    }
}

/// The signals that our caller had this process ignore, as a bit mask: bit N-1 for signal N.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IgnoredSignals(u64);

impl IgnoredSignals {
    /// Those that are ignored now (the line SigIgn of proc_pid_status(5)).
    pub(crate) fn of_caller() -> Result<IgnoredSignals> {
        let path = "/proc/self/status";
        let mut status = [0; 4096]; // about 1500 bytes; the kernel gives them in one read(2)
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let length = openat(AT_FDCWD, path, flags, Mode::empty())
            .and_then(|file| read(file, &mut status))
            .with_context(|| format!("cannot read {path}"))?;
        let status = String::from_utf8_lossy(&status[..length]); // no more than there is room for
        let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.map(IgnoredSignals).with_context(|| format!("no line SigIgn in {path}"))
    }

    /// [`hold_signals`], by who has asked already what is ignored.
    pub(crate) fn hold_others(self) -> Result<HeldSignals> {
        let mut taken = SigSet::all();
        STOPS.into_iter().for_each(|signal| taken.remove(signal));
        if self.has(Signal::SIGHUP as i32) {
            taken.remove(Signal::SIGHUP); // nohup(1): the hang-up is meant to pass us by
        }
        taken.thread_block().context("cannot block signals")?;
        // The kernel tells us of a child's end by SIGCHLD, unless our caller had it ignored.
        default_action(Signal::SIGCHLD as i32).context("cannot reset SIGCHLD")?;
        Ok(HeldSignals { taken })
    }

    /// Sets what is ignored back to the default action: execve(2) keeps "ignored" (signal(7)), and
    /// Rust's runtime ignores SIGPIPE in every program. SIGHUP stays ignored: that is nohup(1).
    pub(crate) fn set_to_default(self) -> Result<()> {
        let is_to_reset = |number: &i32| *number != Signal::SIGHUP as i32 && self.has(*number);
        (1..=64).filter(is_to_reset).try_for_each(|number| {
            default_action(number).with_context(|| format!("cannot reset signal {number}"))
        })
    }

    fn has(self, number: i32) -> bool {
        self.0 & (1 << (number - 1)) != 0
    }
}

/// The first and the last of the real-time signals, as everybody's images count them. (Two more
/// belong to the C library's threads, and another library than glibc takes three.)
const REAL_TIME: (i32, i32) = (34, 64);

/// The signal that a text names, as in an image or in kill(1): `SIGTERM`, `TERM`, `15`,
/// `SIGRTMIN+3`.
pub fn number_of(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=REAL_TIME.1).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let from = |first: i32, rest: &str, sign| match rest.strip_prefix(sign) {
        Some(distance) => first.checked_add(format!("{sign}{distance}").parse().ok()?),
        None => rest.is_empty().then_some(first),
    };
    let (first, last) = REAL_TIME;
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return from(first, rest, '+').filter(|number| *number <= last);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        return from(last, rest, '-').filter(|number| *number >= first);
    }
    let name = match name {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        name => name,
    };
    format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32)
}

/// Stops this process by one of [`STOPS`], which are held, until it is continued. (In a group that
/// no shell looks after, the kernel does not let it stop: setpgid(2), orphaned process group.)
///
/// Returns whether SIGCONT is held since then: the usual way to be continued.
///
/// # Errors
/// Those of kill(2), sigprocmask(2) and sigpending(2): none is expected.
pub(crate) fn stop_by(signal: Signal) -> nix::Result<bool> {
    kill(getpid(), signal)?;
    SigSet::from(signal).thread_unblock()?; // here it stops
    SigSet::from(signal).thread_block()?;
    Ok(pending_signals()?.contains(Signal::SIGCONT))
}

/// Which of [`STOPS`] this number is.
pub fn stop_of(number: i32) -> Option<Signal> {
    STOPS.into_iter().find(|signal| *signal as i32 == number)
}

/// A signal that asks a process to end, and has come before there was a container to pass it on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedToEnd(pub Signal);

impl fmt::Display for AskedToEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} came meanwhile", self.0)
    }
}

impl std::error::Error for AskedToEnd {}

/// The signal that has asked a process to end, if that is why something has failed.
pub fn asked_to_end(error: &anyhow::Error) -> Option<Signal> {
    error.chain().find_map(|cause| {
        let AskedToEnd(signal) = cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref()?;
        Some(*signal)
    })
}

/// Whoever is asked to end still waits so long for others: its own tidying up needs them, too.
const GRACE: Duration = Duration::from_millis(500);

/// Tells a process that waits for others whether it has to give up.
#[derive(Debug, Default)]
pub struct Patience(Option<Instant>);

impl Patience {
    /// To be asked again and again during the wait.
    ///
    /// # Errors
    /// [`AskedToEnd`], in an error of std, half a second after that signal was seen.
    pub fn check(&mut self) -> io::Result<()> {
        let Err(asked) = check_not_asked_to_end() else { return Ok(()) };
        let since = self.0.get_or_insert_with(Instant::now);
        if since.elapsed() < GRACE { Ok(()) } else { Err(asked) }
    }

    /// Blocks until there is something to read, or its end.
    ///
    /// # Errors
    /// Those of poll(2) and [`Patience::check`].
    pub fn wait_for_input(&mut self, from: impl AsFd) -> io::Result<()> {
        let mut waited = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        // Signals are held, so none wakes it.
        while poll(&mut waited, LOOK)? == 0 {
            self.check()?;
        }
        Ok(())
    }

    /// Reads all there is, as it comes.
    ///
    /// # Errors
    /// Those of [`Patience::wait_for_input`] and read(2).
    pub fn read_to_end(&mut self, mut from: impl Read + AsFd) -> io::Result<Vec<u8>> {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            self.wait_for_input(&from)?;
            match from.read(&mut piece)? {
                0 => return Ok(bytes),
                length => bytes.extend_from_slice(&piece[..length]),
            }
        }
    }
}

/// How often who waits looks for signals.
const LOOK: u8 = 50; // milliseconds

/// Whether such a signal is among those that are held. What takes long between [`hold_signals`] and
/// the start of the container asks this again and again: else Ctrl-C would do nothing.
///
/// # Errors
/// [`AskedToEnd`], in an error of std; those of sigpending(2): none is expected.
pub fn check_not_asked_to_end() -> io::Result<()> {
    let pending = pending_signals()?;
    let to_end = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    match to_end.into_iter().find(|signal| pending.contains(*signal)) {
        Some(signal) => Err(io::Error::other(AskedToEnd(signal))),
        None => Ok(()),
    }
}

/// Counts the Ctrl-C of the last two seconds.
#[derive(Debug, Default)]
pub struct Interrupts([Option<Instant>; 2]);

impl Interrupts {
    /// Counts one more, and tells whether it is the third within two seconds.
    pub fn third_in_a_row(&mut self) -> bool {
        let now = Instant::now();
        let [first, second] = self.0;
        self.0 = [second, Some(now)];
        first.is_some_and(|first| now.duration_since(first) <= Duration::from_secs(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_and_a_number() {
        for text in ["SIGTERM", "TERM", "15", "sigterm", "Term"] {
            assert_eq!(number_of(text), Some(libc::SIGTERM), "{text}");
        }
        for (text, number) in
            [("SIGQUIT", 3), ("WINCH", 28), ("SIGCLD", 17), ("IOT", 6), ("64", 64)]
        {
            assert_eq!(number_of(text), Some(number), "{text}");
        }
        for (text, number) in [("SIGRTMIN+3", 37), ("RTMIN", 34), ("RTMAX-1", 63), ("SIGRTMAX", 64)]
        {
            assert_eq!(number_of(text), Some(number), "{text}");
        }
        let none = ["", "0", "65", "-1", "+", "SIG", "SIGSIGTERM", "FOO", "RTMIN-1", "RTMAX+1"];
        for text in none.into_iter().chain(["RTMIN+31", "RTMAX-31", "RTMIN+", "RTMIN+99999999999"])
        {
            assert_eq!(number_of(text), None, "{text}");
        }
    }
}
