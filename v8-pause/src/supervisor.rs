//! Starts, restarts and stops the containers of a pod.

mod member;

use crate::console::Console;
use crate::demo;
use crate::enter::enter;
use crate::output::{Ends, pipes};
use crate::pause::Pause;
use crate::prepared::Prepared;
use crate::state::{Record, State};
use anyhow::{Context, Result, anyhow};
use launcher::Container;
use launcher::command_line::{Failure, note, report};
use launcher::signals::hold_signals;
use manifest::{Pod, RestartPolicy};
use member::{Member, Process};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};
use v3_pidns::KILL;
use v6_cgroups::Cgroup;

/// How long pause may take to end. The kernel ends all other processes of its PID namespace first:
/// so we see them gone before pause, and cannot start them again.
const DYING: Duration = Duration::from_millis(500);

/// Who does not end within this time after being asked is waited for with a word about it.
const SILENCE: Duration = Duration::from_secs(1);

/// The exit status of who was ended by SIGKILL, as all are whose PID namespace ends.
const KILLED: u8 = 137;

/// How to start a container: the recipe in main.rs.
pub type Start<'a> = dyn Fn(&Prepared, &Cgroup, &Ends) -> Result<Container> + 'a;

/// What the supervisor of a pod knows.
pub struct Supervisor<'a> {
    pod: &'a Pod,
    pause: &'a Pause,
    state: &'a State,
    cgroup: &'a Cgroup,
    start: &'a Start<'a>,
    signals: SignalFd,
    members: Vec<Member<'a>>,
    shell: Option<Container>,
    /// What passes between the shell and our terminal.
    console: Option<Console>,
    shell_status: Option<u8>,
    stop: Option<Stop>,
}

/// The pod is to end.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// From here on containers are killed.
    deadline: Instant,
    was_killed: bool,
    /// When to tell whom we wait for, unless that was told.
    tell: Option<Instant>,
}

impl<'a> Supervisor<'a> {
    /// Takes over a pod whose pause runs, and none of its containers.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn new(
        pod: &'a Pod,
        pause: &'a Pause,
        state: &'a State,
        cgroup: &'a Cgroup,
        start: &'a Start<'a>,
    ) -> Result<Supervisor<'a>> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let taken = Console::with_its_signals(hold_signals()?.as_set());
        let signals = SignalFd::with_flags(&taken, flags);
        Ok(Supervisor {
            pod,
            pause,
            state,
            cgroup,
            start,
            signals: signals.context("cannot make a signalfd")?,
            members: Vec::new(),
            shell: None,
            console: None,
            shell_status: None,
            stop: None,
        })
    }

    // ANCHOR: run
    /// Runs the pod: its init containers one after the other, then the others at the same time,
    /// until all have ended and none is to be started again. Returns the first exit status that is
    /// not 0. With a `shell`, one is started in that container; its end is the pod's, and its exit
    /// status too.
    ///
    /// # Errors
    /// If a container cannot be made, or pause dies.
    pub fn run(&mut self, containers: &'a [Prepared], shell: Option<&str>) -> Result<u8> {
        let (init, others) = containers.split_at(self.pod.init_containers.len());
        let policy = match self.pod.restart_policy {
            RestartPolicy::Always => RestartPolicy::OnFailure, // once they have succeeded, go on
            other => other,
        };
        for container in init {
            self.take_in(std::slice::from_ref(container));
            let status = self.run_to_the_end(policy)?;
            if status != 0 || self.stop.is_some() {
                return Ok(status);
            }
        }
        self.take_in(others);
        if let Some(name) = shell {
            self.start_those_due()?;
            self.start_shell(name)?;
        }
        let status = self.run_to_the_end(self.pod.restart_policy)?;
        Ok(self.shell_status.unwrap_or(status))
    }

    fn run_to_the_end(&mut self, policy: RestartPolicy) -> Result<u8> {
        loop {
            self.start_those_due()?;
            let shell_is_done = self.shell.is_none() && self.console.is_none();
            if self.members.iter().all(Member::is_done) && shell_is_done {
                break;
            }
            self.wait_for_events()?;
            self.take_signals()?;
            self.reap(policy)?;
            self.kill_if_late()?;
            self.tell_if_waiting();
            self.console.take_if(|console| console.is_done());
        }
        let statuses = self.members.iter().filter_map(|member| member.status);
        Ok(statuses.into_iter().find(|status| *status != 0).unwrap_or(0))
    }
    // ANCHOR_END: run

    fn take_in(&mut self, containers: &'a [Prepared]) {
        let members = containers.iter().enumerate();
        self.members = members.map(|(index, container)| Member::new(container, index)).collect();
    }

    /// A shell in a container that runs, and what it prints and reads on our terminal.
    fn start_shell(&mut self, name: &str) -> Result<()> {
        let running = self.members.iter().filter_map(|member| member.process.as_ref());
        let mut records = running.map(|process| &process.record);
        let record = records.find(|record| record.name == name);
        let record = record.with_context(|| format!("the container {name:?} has ended"))?;
        // With stdout gone there is nobody to tell.
        let _ = write!(io::stdout(), "{}", demo::introduction(self.pause.pid()));
        let (console, ends) = Console::of_caller()?;
        self.shell = Some(enter(record, &[], ends)?);
        self.console.insert(console).start()
    }

    fn start_those_due(&mut self) -> Result<()> {
        let now = Instant::now();
        let width = self.members.iter().map(|it| it.container.name.len()).max().unwrap_or(0);
        let mut has_changed = false;
        for member in &mut self.members {
            if member.next_start.is_none_or(|due| due > now) {
                continue;
            }
            member.next_start = None;
            has_changed = true;
            let (ends, streams) = pipes(&member.container.name, member.index, width)?;
            let cgroup =
                self.cgroup.create_inner(&member.container.name, &member.container.limits)?;
            match (self.start)(member.container, &cgroup, &ends) {
                Ok(in_between) => {
                    member.streams.extend(streams);
                    member.process = Some(Process::new(in_between, member.container, cgroup));
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    if failure.code == 125 {
                        check_pause(self.pause, DYING)?;
                        return Err(anyhow!(failure).context(member.container.name.clone()));
                    }
                    // The container is there, and its command is not: that is its own fault.
                    report(&format!("{}: {failure}", member.container.name));
                    member.status = Some(failure.code);
                }
            }
        }
        if has_changed { self.write_state() } else { Ok(()) }
    }

    fn write_state(&self) -> Result<()> {
        let running = self.members.iter().filter_map(|member| member.process.as_ref());
        let containers = running.map(|process| process.record.clone()).collect();
        self.state.write(&Record { pod: self.pod.name.clone(), containers })
    }

    /// Sleeps until a signal, output, or a time has come; prints the output.
    fn wait_for_events(&mut self) -> Result<()> {
        let due = self.members.iter().filter_map(|member| member.next_start);
        let stopping = self.stop.filter(|stop| !stop.was_killed);
        let stopping = stopping.into_iter().flat_map(|stop| [Some(stop.deadline), stop.tell]);
        let now = Instant::now();
        let left = due.chain(stopping.flatten()).map(|due| due.saturating_duration_since(now));
        let look = self.console.as_mut().map_or(Ok(None), Console::look)?;
        let timeout = left.chain(look).min().map(|left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let streams: Vec<_> = self.members.iter_mut().flat_map(|it| &mut it.streams).collect();
        let pipes = streams.iter().map(|stream| stream.pipe.as_fd());
        let mut waited: Vec<_> = std::iter::once(self.signals.as_fd())
            .chain(pipes)
            .map(|it| PollFd::new(it, PollFlags::POLLIN))
            .chain(self.console.iter().flat_map(Console::waits_for))
            .collect();
        match poll(&mut waited, timeout.unwrap_or(PollTimeout::NONE)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(anyhow!("cannot poll: {errno}")),
        }
        let of_streams = waited.iter().skip(1); // behind the signals
        let ready: Vec<_> = of_streams.map(|it| it.any() == Some(true)).collect();
        drop(waited);
        let mut ready = ready.into_iter();
        for member in &mut self.members {
            let mut left = Vec::new();
            for mut stream in member.streams.drain(..) {
                if ready.next() != Some(true) || stream.carry()? {
                    left.push(stream);
                }
            }
            member.streams = left;
        }
        self.console.as_mut().map_or(Ok(()), |console| console.carry(ready))
    }

    /// SIGINT, SIGTERM, SIGHUP and SIGQUIT end the pod; the second of them at once.
    fn take_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read a signal")? {
            let signal = Signal::try_from(info.ssi_signo.cast_signed());
            let signal = signal.context("a signal that was not asked for")?;
            let is_of_terminal =
                self.console.as_mut().map_or(Ok(false), |it| it.take_signal(signal));
            let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT]
                .contains(&signal);
            if !is_of_terminal? && ends {
                self.stop()?;
            }
        }
        Ok(())
    }

    // ANCHOR: stop
    /// Asks every container to end, and gives them the grace period. Asked for the second time, it
    /// is over at once.
    fn stop(&mut self) -> Result<()> {
        let now = Instant::now();
        if let Some(stop) = &mut self.stop {
            stop.deadline = now;
            return Ok(());
        }
        let deadline = now + self.pod.grace_period;
        let tell = Some(now + SILENCE).filter(|tell| *tell < deadline);
        self.stop = Some(Stop { deadline, was_killed: false, tell });
        for member in &mut self.members {
            member.next_start = None;
            if let Some(process) = &member.process {
                process.in_between.child().kill(Signal::SIGTERM)?;
            }
        }
        self.shell.as_ref().map_or(Ok(()), |shell| shell.child().kill(Signal::SIGHUP))?;
        Ok(())
    }

    fn kill_if_late(&mut self) -> Result<()> {
        match &mut self.stop {
            Some(stop) if !stop.was_killed && Instant::now() >= stop.deadline => {
                stop.was_killed = true;
                self.console = None; // whatever our terminal has not taken by now
            }
            _ => return Ok(()),
        }
        let processes = self.members.iter().filter_map(|member| member.process.as_ref());
        let containers = processes.map(|process| &process.in_between).chain(&self.shell);
        containers.into_iter().try_for_each(|it| it.child().kill(KILL))
    }
    // ANCHOR_END: stop

    /// The grace period can be long, and a Ctrl-C that does nothing looks like a fault.
    fn tell_if_waiting(&mut self) {
        let now = Instant::now();
        let Some(stop) = &mut self.stop else { return };
        if stop.was_killed || stop.tell.take_if(|tell| *tell <= now).is_none() {
            return;
        }
        let running = self.members.iter().filter(|member| member.process.is_some());
        let names: Vec<_> = running.map(|member| member.container.name.as_str()).collect();
        let left = stop.deadline.saturating_duration_since(now).as_secs();
        if !names.is_empty() {
            note(format_args!(
                "waiting for {} to end, for at most {left} s (the next Ctrl-C kills what is left)",
                names.join(", ")
            ));
        }
    }

    /// Looks who has ended.
    fn reap(&mut self, policy: RestartPolicy) -> Result<()> {
        check_pause(self.pause, Duration::ZERO)?;
        if let Some(shell) = &self.shell
            && let Some(status) = shell.child().try_wait()?
        {
            self.shell_status = Some(status);
            self.shell = None;
            self.console.as_mut().map_or(Ok(()), Console::end)?;
            self.stop()?;
        }
        let mut has_changed = false;
        for member in &mut self.members {
            let Some(process) = &mut member.process else { continue };
            let Some(status) = process.in_between.child().try_wait()? else { continue };
            has_changed = true;
            if !self.pod.share_process_namespace {
                process.namespaces = None; // the kernel has killed all of its PID namespace
            }
            if self.pod.share_process_namespace && status == KILLED {
                // Of a dying PID namespace, process 1 is the last to go.
                check_pause(self.pause, DYING)?;
            }
            let ran_for = process.started.elapsed();
            if let Some(text) = process.cgroup.out_of_memory()? {
                note(format_args!("{}: {text}", member.container.name));
            }
            member.process = None;
            for mut stream in member.streams.drain(..) {
                stream.carry_rest()?;
            }
            member.status = Some(status);
            let again = match policy {
                RestartPolicy::Always => true,
                RestartPolicy::OnFailure => status != 0,
                RestartPolicy::Never => false,
            };
            if again && self.stop.is_none() {
                member.restart_later(ran_for);
            }
        }
        if has_changed { self.write_state() } else { Ok(()) }
    }
}

/// An error if pause has ended, or ends within this time.
fn check_pause(pause: &Pause, patience: Duration) -> Result<()> {
    let start = Instant::now();
    loop {
        if let Some(status) = pause.try_wait()? {
            return Err(anyhow!(
                "pause has ended (exit status {status}), and with it the pod: nothing holds its \
                 namespaces any more"
            ));
        }
        if start.elapsed() >= patience {
            return Ok(());
        }
        sleep(Duration::from_millis(5));
    }
}
