//! Starts, restarts and stops the containers of a pod.

mod back_off;
mod member;
mod shell;
mod stop;

pub use member::Start;

use crate::pause::Pause;
use crate::prepared::Prepared;
use crate::state::{Record, State};
use anyhow::{Context, Result, anyhow};
use launcher::command_line::Failure;
use launcher::signals::{asked_to_end, hold_signals};
use manifest::{Pod, RestartPolicy};
use member::Member;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use relay::console::Console;
use relay::wait_for;
use shell::Shell;
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};
use stop::Stop;
use v3_pidns::KILL;
use v6_cgroups::Cgroup;

/// How long pause may take to end. The kernel ends all other processes of its PID namespace first:
/// so we see them gone before pause, and cannot start them again.
const DYING: Duration = Duration::from_millis(500);

/// The exit status of who was ended by SIGKILL, as all are whose PID namespace ends.
const KILLED: u8 = 137;

/// What the supervisor of a pod knows.
pub struct Supervisor<'a> {
    pod: &'a Pod,
    pause: &'a Pause,
    state: &'a State,
    cgroup: &'a Cgroup,
    start: &'a Start<'a>,
    signals: SignalFd,
    members: Vec<Member<'a>>,
    shell: Shell,
    stop: Option<Stop>,
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
        let signals = SignalFd::with_flags(&taken, flags).context("cannot make a signalfd")?;
        let (members, shell, stop) = (Vec::new(), Shell::default(), None);
        Ok(Supervisor { pod, pause, state, cgroup, start, signals, members, shell, stop })
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
            self.start_those_due(self.pod.restart_policy)?;
            self.start_shell(name)?;
        }
        let status = self.run_to_the_end(self.pod.restart_policy)?;
        Ok(self.shell.status.unwrap_or(status))
    }

    fn run_to_the_end(&mut self, policy: RestartPolicy) -> Result<u8> {
        loop {
            self.start_those_due(policy)?;
            if self.members.iter().all(Member::is_done) && self.shell.is_done() {
                break;
            }
            self.wait_for_events()?;
            self.take_signals()?;
            self.reap(policy)?;
            self.kill_if_late()?;
        }
        let statuses = self.members.iter().filter_map(|member| member.status);
        Ok(statuses.into_iter().find(|status| *status != 0).unwrap_or(0))
    }
    // ANCHOR_END: run

    fn take_in(&mut self, containers: &'a [Prepared]) {
        let members = containers.iter().enumerate();
        self.members = members.map(|(index, container)| Member::new(container, index)).collect();
    }

    fn start_shell(&mut self, name: &str) -> Result<()> {
        let running = self.members.iter().filter_map(|member| member.process.as_ref());
        let mut records = running.map(|process| &process.record);
        let record = records.find(|record| record.name == name);
        let record = record.with_context(|| format!("the container {name:?} has ended"))?;
        self.shell.start(record, self.pause.pid())
    }

    fn start_those_due(&mut self, policy: RestartPolicy) -> Result<()> {
        let now = Instant::now();
        let width = self.members.iter().map(|it| it.container.name.len()).max().unwrap_or(0);
        let mut has_changed = false;
        for member in &mut self.members {
            if member.next_start.is_none_or(|due| due > now) {
                continue;
            }
            has_changed = true;
            if let Err(error) = member.start(self.cgroup, width, self.start) {
                if asked_to_end(&error).is_some() {
                    return Ok(()); // it is still due, and the signal is taken next
                }
                if error.is::<Failure>() {
                    check_pause(self.pause, DYING)?; // then this is why
                }
                return Err(error);
            }
            let failed = member.status.filter(|_| member.process.is_none());
            if failed.is_some_and(|status| is_to_run_again(policy, status)) {
                member.restart_later(Duration::ZERO);
            }
        }
        if has_changed { self.write_state() } else { Ok(()) }
    }

    fn write_state(&self) -> Result<()> {
        let running = self.members.iter().filter_map(|member| member.process.as_ref());
        let containers = running.map(|process| process.record.clone()).collect();
        self.state.write(&Record::new(&self.pod.name, containers)?)
    }

    // ANCHOR: wait_for_events
    /// Sleeps until a signal, output, or a time has come; prints the output.
    fn wait_for_events(&mut self) -> Result<()> {
        let look = self.shell.look()?;
        let starts = self.members.iter().filter_map(|member| member.next_start);
        let due = starts.chain(self.stop.as_ref().and_then(Stop::due));
        let now = Instant::now();
        let left = due.map(|due| due.saturating_duration_since(now)).chain(look).min();
        let streams = self.members.iter().flat_map(|member| &member.streams);
        let mut waited: Vec<_> = std::iter::once(self.signals.as_fd())
            .chain(streams.map(|stream| stream.pipe.as_fd()))
            .map(|it| PollFd::new(it, PollFlags::POLLIN))
            .chain(self.shell.waits_for())
            .collect();
        let ready = wait_for(&mut waited, left)?;
        drop(waited);
        let mut ready = ready.into_iter().skip(1); // the first is of the signals
        self.members.iter_mut().try_for_each(|member| member.carry(&mut ready))?;
        self.shell.carry(ready)
    }

    /// SIGINT, SIGTERM, SIGHUP and SIGQUIT end the pod; the second of them at once.
    fn take_signals(&mut self) -> Result<()> {
        while let Some(info) = self.signals.read_signal().context("cannot read a signal")? {
            let signal = Signal::try_from(info.ssi_signo.cast_signed());
            let Ok(signal) = signal else { continue }; // a real-time signal
            let ends = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
            if !self.shell.take_signal(signal)? && ends.contains(&signal) {
                self.stop()?;
            }
        }
        Ok(())
    }
    // ANCHOR_END: wait_for_events

    // ANCHOR: stop
    /// Asks every container to end, and gives them the grace period. Asked for the second time, it
    /// is over at once.
    fn stop(&mut self) -> Result<()> {
        if let Some(stop) = &mut self.stop {
            stop.now();
            return Ok(());
        }
        self.stop = Some(Stop::after(self.pod.grace_period));
        for member in &mut self.members {
            member.next_start = None;
            if let Some(process) = &member.process {
                process.in_between.child().pass_on(member.container.stop_signal)?;
            }
        }
        self.shell.hang_up()
    }

    fn kill_if_late(&mut self) -> Result<()> {
        let Some(stop) = &mut self.stop else { return Ok(()) };
        let mut running = self.members.iter().filter_map(|member| member.process.as_ref());
        if !stop.is_over() {
            stop.tell_if_waiting(running.map(|process| process.record.name.as_str()));
            return Ok(());
        }
        running.try_for_each(|process| process.in_between.child().kill(KILL))?;
        self.shell.kill()
    }
    // ANCHOR_END: stop

    // ANCHOR: reap
    /// Looks who has ended, and who of them is to be started again.
    fn reap(&mut self, policy: RestartPolicy) -> Result<()> {
        check_pause(self.pause, Duration::ZERO)?;
        if self.shell.has_ended()? {
            self.stop()?;
        }
        let shares_processes = self.pod.share_process_namespace;
        let mut has_changed = false;
        for member in &mut self.members {
            let Some(process) = &mut member.process else { continue };
            let Some(status) = process.in_between.child().try_wait()? else { continue };
            has_changed = true;
            if !shares_processes {
                process.namespaces = None; // the kernel has killed all of its PID namespace
            } else if status == KILLED {
                // Of a dying PID namespace, process 1 is the last to go.
                check_pause(self.pause, DYING)?;
            }
            let ran_for = member.end(status)?;
            if is_to_run_again(policy, status) && self.stop.is_none() {
                member.restart_later(ran_for);
            }
        }
        if has_changed { self.write_state() } else { Ok(()) }
    }
    // ANCHOR_END: reap
}

fn is_to_run_again(policy: RestartPolicy, status: u8) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => status != 0,
        RestartPolicy::Never => false,
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
