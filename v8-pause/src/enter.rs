//! `exec`: a command in a container that runs already.

use crate::arguments::ExecArgs;
use crate::hardening::harden;
use crate::shared::{Namespaces, started};
use crate::state::{Running, find};
use anyhow::{Context, Result, ensure};
use image::ContainerConfig;
use launcher::command_line::{errno_of, note, one_line};
use launcher::signals::{Interrupts, hold_signals};
use launcher::terminal::leave_session;
use launcher::users::{Digits, number_of_user};
use launcher::{Caller, Child, bounded, close_host_descriptors};
use launcher::{Container, bounded, close_host_descriptors, directories};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, ResolveFlag};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::Pid;
use relay::console::{Console, Ends};
use relay::wait_for;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::{Duration, Instant};
use v2_mountns::CloneFlags;
use v2_mountns::dev::replace_null;
use v3_pidns::{KILL, fork_and_stand_between};
use v6_cgroups::enter_that_of;
use v7_overlay::{ProcessArgs, exec_in_image};

/// How long who hears that the terminal is gone may take to end.
const GRACE: Duration = Duration::from_secs(1);

/// Runs a command in a container of a running pod, with a terminal of its own if the caller is on
/// one, and returns its exit status.
///
/// # Errors
/// If there is no such pod or container, or it cannot be entered.
pub fn exec(caller: &Caller, args: &ExecArgs) -> Result<u8> {
    let container = find(&caller.pods()?, args.pause, args.container.as_deref())?;
    let (console, ends) = Console::of_caller()?;
    let signals = signals()?; // what can fail, fails before the command runs
    let child = enter(&container, &args.command, ends)?;
    Session::new(child, console, signals).run()
}

// ANCHOR: enter
/// Starts a command in a container: its user, environment and cgroup, and all its namespaces.
///
/// # Errors
/// Those of setns(2), or why the command cannot be executed.
pub fn enter(container: &Running, command: &[OsString], ends: Ends) -> Result<Container> {
    let pid = Pid::from_raw(container.pid);
    let user = container.user.clone().filter(|user| !user.is_empty());
    let user = user.unwrap_or_else(|| "0".to_owned());
    let namespaces = Namespaces::of(pid)?;
    ensure!(
        started(pid)? == container.started && !namespaces.are_ours()?,
        "the container has ended: process {pid} is another one now"
    );
    let process = ProcessArgs {
        env: environment_of(pid)?,
        workdir: None,
        user: Some(user.clone()),
        digits: Digits::Number,
    };
    Container::spawn(move || {
        leave_session();
        if let Err(error) = enter_that_of(pid) {
            note(format_args!("outside of the container's limits: {}", one_line(&error)));
        }
        namespaces.join_all_but_mounts()?;
        harden()?;
        // Who is born in the container holds nothing of the host but 0, 1, 2 and the report pipe.
        let mounts = namespaces.only(CloneFlags::CLONE_NEWNS);
        fork_and_stand_between()?;
        let terminal = ends.connect()?; // of the caller's, nothing is left
        mounts.join(CloneFlags::CLONE_NEWNS)?; // its root is the container's
        drop(mounts);
        close_host_descriptors()?;
        replace_null(AT_FDCWD, Path::new("/dev/null"))?;
        terminal.open(number_of_user(&user, Digits::Number)?)?;
        exec_in_image(&ContainerConfig::default(), &process, command)
    })
}
// ANCHOR_END: enter

/// An environment may have this many bytes. execve(2) takes 2 MiB of arguments and environment with
/// the usual limit of the stack, and what is in our command has to fit too.
const MAX_ENVIRONMENT: u64 = 1 << 20;

// ANCHOR: environment_of
/// The variables that a process was started with (proc_pid_environ(5)); or none, if there cannot be
/// so many: a process may say that they are anywhere in its memory, which it need not have touched
/// (PR_SET_MM of prctl(2)). Who looks after it from outside is let in nevertheless.
fn environment_of(pid: Pid) -> Result<Vec<OsString>> {
    let path = format!("/proc/{pid}/environ");
    let read = bounded::read_file(Path::new(&path), ResolveFlag::empty(), MAX_ENVIRONMENT);
    let variables = match read {
        Err(error) if errno_of(&error) == Errno::EFBIG => {
            note(format_args!(
                "without the container's environment: {path} has more than {MAX_ENVIRONMENT} \
                 bytes: {}",
                Errno::EFBIG
            ));
            return Ok(Vec::new());
        }
        read => read.with_context(|| format!("cannot read {path}"))?,
    };
    let variables = variables.split(|&byte| byte == 0).filter(|it| !it.is_empty());
    Ok(variables.map(|variable| OsString::from_vec(variable.to_vec())).collect())
}
// ANCHOR_END: environment_of

/// A command that runs, and what is carried for it meanwhile.
struct Session {
    container: Container,
    console: Console,
    signals: SignalFd,
    interrupts: Interrupts,
    /// Who has not ended by then is killed.
    deadline: Option<Instant>,
    status: Option<u8>,
}

/// The signals that a session takes, from here on.
fn signals() -> Result<SignalFd> {
    let taken = Console::with_its_signals(hold_signals()?.as_set());
    SignalFd::with_flags(&taken, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .context("cannot make a signalfd")
}

impl Session {
    fn new(container: Container, console: Console, signals: SignalFd) -> Session {
        let interrupts = Interrupts::default();
        Session { container, console, signals, interrupts, deadline: None, status: None }
    }

    /// Carries and waits until the command has ended and what it has printed is carried.
    fn run(mut self) -> Result<u8> {
        self.console.start()?;
        loop {
            self.wait_for_events()?;
            while let Some(info) = self.signals.read_signal().context("cannot read a signal")? {
                self.take_signal(&info)?;
            }
            if let Some(status) = self.status.filter(|_| self.console.is_done()) {
                return Ok(status);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                self.deadline = None;
                self.container.child().kill(KILL)?;
            }
        }
    }

    // ANCHOR: take_signal
    /// What other processes send us is passed on. So is a key of the caller's terminal (Ctrl-C), if
    /// it still sends signals: the command is in a session of its own, so it has not got it.
    fn take_signal(&mut self, info: &siginfo) -> Result<()> {
        let signal = Signal::try_from(info.ssi_signo.cast_signed());
        let signal = signal.context("a signal that was not asked for")?;
        let is_from_terminal = info.ssi_code > 0; // sigaction(2): the kernel has made it
        if self.console.take_signal(signal)? {
            return Ok(());
        }
        match signal {
            Signal::SIGCHLD if self.status.is_none() => {
                self.status = self.container.child().try_wait()?;
                self.status.map_or(Ok(()), |_| self.console.end())?;
            }
            Signal::SIGCHLD => {}
            // It has ended, and the terminal does not take its last words.
            _ if self.status.is_some() => self.console.hang_up(),
            Signal::SIGHUP if is_from_terminal || self.container.terminal_is_gone() => {
                self.hang_up()?;
            }
            Signal::SIGINT if is_from_terminal && self.interrupts.third_in_a_row() => {
                self.container.child().kill(KILL)?;
            }
            _ => self.container.child().kill(signal)?,
        }
        Ok(())
    }
    // ANCHOR_END: take_signal

    // ANCHOR: hang_up
    fn hang_up(&mut self) -> Result<()> {
        // Who has a terminal hears of it from the kernel, when it is closed.
        self.console.hang_up();
        if !self.console.has_hung_up() {
            self.container.child().kill(Signal::SIGHUP)?;
        }
        self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        Ok(())
    }
    // ANCHOR_END: hang_up

    fn wait_for_events(&mut self) -> Result<()> {
        let look = self.console.look()?;
        let left = self.deadline.map(|it| it.saturating_duration_since(Instant::now()));
        let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
        let mut waited: Vec<_> = std::iter::once(signals).chain(self.console.waits_for()).collect();
        let ready = wait_for(&mut waited, look.into_iter().chain(left).min())?;
        drop(waited);
        self.console.carry(ready.into_iter().skip(1))?; // the first is of the signals
        if self.console.has_hung_up() && self.status.is_none() {
            self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.status.is_none() {
            // An error of ours: nobody carries any more.
            let child = self.container.child();
            let _ = child.kill(KILL).and_then(|()| child.wait());
        }
    }
}
