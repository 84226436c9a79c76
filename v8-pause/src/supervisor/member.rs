//! A container of the pod, its process, and when it is started again.

use super::back_off::BackOff;
use crate::prepared::Prepared;
use crate::shared::{Namespaces, started};
use crate::state::Running;
use anyhow::{Context, Result};
use launcher::Container;
use launcher::child::children_of;
use launcher::command_line::{Failure, errno_in, note, one_line, report, tell_left_behind};
use nix::errno::Errno;
use nix::unistd::Pid;
use relay::lines::{Ends, Stream, pipes};
use std::time::{Duration, Instant};
use v3_pidns::KILL;
use v6_cgroups::Cgroup;

/// How to start a container: the recipe in main.rs.
pub type Start<'a> = dyn Fn(&Prepared, &Cgroup, &Ends) -> Result<Container> + 'a;

/// A container, and what became of it.
pub(super) struct Member<'a> {
    pub(super) container: &'a Prepared,
    /// Its place among the containers that run at the same time.
    index: usize,
    pub(super) process: Option<Process>,
    pub(super) streams: Vec<Stream>,
    back_off: BackOff,
    /// When to start it (again).
    pub(super) next_start: Option<Instant>,
    /// That of its last end.
    pub(super) status: Option<u8>,
}

/// A running container. Dropped, it is killed.
pub(super) struct Process {
    /// The process that waits for it, and that signals are sent to.
    pub(super) in_between: Container,
    /// To kill what it leaves; none where the kernel does that.
    pub(super) namespaces: Option<Namespaces>,
    pub(super) record: Running,
    started: Instant,
    cgroup: Cgroup,
}

impl Drop for Process {
    fn drop(&mut self) {
        let ended = self.in_between.child().end(KILL);
        let left = self.namespaces.as_ref().map_or(Ok(()), Namespaces::kill_all);
        [ended, left].into_iter().for_each(tell_left_behind);
    }
}

impl<'a> Member<'a> {
    /// One that is to be started now.
    pub(super) fn new(container: &'a Prepared, index: usize) -> Member<'a> {
        Member {
            container,
            index,
            process: None,
            streams: Vec::new(),
            back_off: BackOff::default(),
            next_start: Some(Instant::now()),
            status: None,
        }
    }

    /// Whether it has ended, is not to be started again, and has nothing more to say.
    pub(super) fn is_done(&self) -> bool {
        self.process.is_none() && self.next_start.is_none() && self.streams.is_empty()
    }

    // ANCHOR: start
    /// Starts it. If the container is there and its command is not, that is its own fault, and its
    /// end: it has a status and no process. Any other failure is an error.
    pub(super) fn start(&mut self, pod: &Cgroup, width: usize, start: &Start) -> Result<()> {
        self.next_start = None;
        let Prepared { name, limits, .. } = self.container;
        let (ends, streams) = pipes(name, self.index, width).with_context(|| name.clone())?;
        let cgroup = pod.create_inner(name, limits).with_context(|| name.clone())?;
        match start(self.container, &cgroup, &ends).map_err(Failure::from) {
            Ok(in_between) => {
                self.streams.extend(streams);
                self.process = Some(Process::new(in_between, self.container, cgroup));
            }
            Err(Failure { code: 125, text }) => {
                return Err(Failure { code: 125, text: format!("{name}: {text}") }.into());
            }
            Err(failure) => {
                report(&format!("{name}: {failure}"));
                self.status = Some(failure.code);
            }
        }
        Ok(())
    }
    // ANCHOR_END: start

    /// Prints what it has printed, where there is something.
    pub(super) fn carry(&mut self, mut is_ready: impl Iterator<Item = bool>) -> Result<()> {
        let mut left = Vec::new();
        for mut stream in self.streams.drain(..) {
            if is_ready.next() != Some(true) || stream.carry()? {
                left.push(stream);
            }
        }
        self.streams = left;
        Ok(())
    }

    /// Takes note of its end, and prints its last words. Returns how long it has run.
    pub(super) fn end(&mut self, status: u8) -> Result<Duration> {
        self.status = Some(status);
        let Some(process) = self.process.take() else { return Ok(Duration::ZERO) };
        let ran_for = process.started.elapsed();
        if let Some(text) = process.cgroup.out_of_memory()? {
            note(format_args!("{}: {text}", self.container.name));
        }
        drop(process);
        for mut stream in self.streams.drain(..) {
            stream.carry_rest()?;
        }
        Ok(ran_for)
    }

    /// Sets the time of the next start of one that ran for so long.
    pub(super) fn restart_later(&mut self, ran_for: Duration) {
        let wait = self.back_off.next(ran_for);
        self.next_start = Some(Instant::now() + wait);
        let status = self.status.unwrap_or_default();
        note(format_args!(
            "{} has ended (exit status {status}); it is started again in {} s",
            self.container.name,
            wait.as_secs()
        ));
    }
}

impl Process {
    // ANCHOR: first_process
    /// The container behind `in_between`, which has just been started.
    fn new(in_between: Container, container: &Prepared, cgroup: Cgroup) -> Process {
        // Either may have ended already: then there is nothing to enter, and SIGCHLD is on its way.
        let name = &container.name;
        let first = || {
            unless_ended(name, children_of(in_between.child().pid())).and_then(|mut it| it.pop())
        };
        let pid = first();
        let namespaces = pid.and_then(|pid| unless_ended(name, Namespaces::of(pid)));
        let started = pid.and_then(|pid| unless_ended(name, started(pid)));
        // Still a child of ours: else the number may have been another's in between.
        let is_it = pid.is_some() && first() == pid;
        let namespaces = namespaces.filter(|_| is_it);
        let record = Running {
            name: name.clone(),
            pid: pid.filter(|_| is_it).map_or(0, Pid::as_raw),
            user: container.user.clone(),
            workdir: container.workdir(),
            started: started.unwrap_or(0),
        };
        Process { in_between, namespaces, record, started: Instant::now(), cgroup }
    }
    // ANCHOR_END: first_process
}

/// What was asked of a process in /proc, unless that process has ended.
fn unless_ended<T>(container: &str, answer: Result<T>) -> Option<T> {
    let error = match answer {
        Ok(found) => return Some(found),
        Err(error) => error,
    };
    if !matches!(errno_in(&error), Some(Errno::ENOENT | Errno::ESRCH)) {
        note(format_args!(
            "the container {container:?} cannot be entered, and what it leaves running goes on \
             until the pod ends: {}",
            one_line(&error)
        ));
    }
    None
}
