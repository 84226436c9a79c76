//! A tracer: it sees every system call of a launcher and of its children, and can let one fail.
//!
//! strace(1) can do that too (`-e inject=openat:error=EPERM:when=3`), but it counts for each
//! process from that process's own beginning. The third openat(2) of a child is then also the
//! third of its parent, which is the dynamic loader's: the parent would never get to its fork. So
//! this one counts what comes after `main` begins, and one process can be told from the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::calls::{self, has_descriptor, has_path};
use super::open::Descriptors;
use super::point::Point;
use super::processor::{self, CallStop};
use crate::pace::slowed;
use crate::running::Outcome;

/// How long a launcher may take before it is killed.
const HANG: Duration = Duration::from_secs(4);

/// How long one may take that shall not end, until it only waits.
const SETTLED: Duration = Duration::from_secs(1);

/// How long a launcher may take that is looked at: each of its calls then takes many of ours.
const HANG_IF_LOOKED_AT: Duration = Duration::from_secs(30);

/// What a thread's name ends with, that is not the first of its process.
const THREADS: &str = "'s threads";

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// It does nothing and fails.
    Fails(Errno),
    /// It never happens: its process is killed.
    Killed,
}

/// What a tracer has seen.
pub(super) struct Traced {
    /// The calls, in their order, with the path in each, if there is one.
    pub(super) calls: Vec<(Point, String)>,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
    /// The path of the call that got the fault; none if there was no such call.
    pub(super) hit: Option<String>,
    /// It was ended by us, because it would not end.
    pub(super) hung: bool,
    pub(super) descriptors: Descriptors,
}

impl Traced {
    /// Whether the last call of the launcher waits for what others do.
    fn is_waiting(&self) -> bool {
        let last = self.calls.iter().rev().find(|(point, _)| point.process == "launcher");
        let waits = ["rt_sigtimedwait", "poll", "ppoll", "epoll_wait", "epoll_pwait"];
        last.is_some_and(|(point, _)| waits.contains(&&*point.call))
    }
}

/// Why this machine lets nobody be traced, if so: a security module or a seccomp filter.
/// Or the tracer does not know its processor.
pub(super) fn refusal() -> Option<String> {
    if let Some(reason) = processor::REFUSAL {
        return Some(reason.to_owned());
    }
    let mut probe = Command::new("/proc/self/exe");
    // SAFETY: ptrace(PTRACE_TRACEME) touches no memory.
    unsafe { probe.pre_exec(|| Ok(ptrace::traceme()?)) };
    match probe.spawn() {
        Err(error) => Some(format!("nobody may be traced here: {error}")),
        Ok(mut stopped) => {
            stopped.kill().and_then(|()| stopped.wait()).expect("end the probe");
            None
        }
    }
}

/// Runs a launcher to its end. `point` gets the fault.
pub(super) fn run(command: &mut Command, point: Option<(&Point, Fault)>) -> Traced {
    run_and_look(command, point, None, HANG)
}

/// Runs a launcher that does not end by itself, until all that it still does is to wait.
pub(super) fn run_until_it_waits(starts: &dyn Fn() -> Command) -> Traced {
    let traced =
        [SETTLED, HANG].into_iter().map(|limit| run_and_look(&mut starts(), None, None, limit));
    let settled = traced.into_iter().find(|it| !it.hung || it.is_waiting());
    settled.expect("a launcher that waits for something in the end")
}

/// Runs a launcher to its end, and looks at its open descriptors at each of its calls. At that of
/// this name something happens before.
pub(super) fn look(command: &mut Command, at: Option<Moment>) -> Traced {
    run_and_look(command, None, Some(at), HANG_IF_LOOKED_AT)
}

/// A call, by its name, and what happens while its process waits for it.
pub(super) type Moment<'a> = (&'a str, &'a dyn Fn());

fn run_and_look(
    command: &mut Command,
    point: Option<(&Point, Fault)>,
    looks: Option<Option<Moment>>,
    limit: Duration,
) -> Traced {
    let output = || File::options().read(true).write(true).create_new(true).open("/tmp/.traced");
    let [stdout, stderr] = [(); 2].map(|()| {
        let file = output().expect("make a file");
        fs::remove_file("/tmp/.traced").expect("remove its name");
        file
    });
    let copy = |file: &File| file.try_clone().expect("copy a descriptor");
    command.stdout(copy(&stdout)).stderr(copy(&stderr));
    // SAFETY: ptrace(PTRACE_TRACEME) touches no memory.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let start = Instant::now();
    #[expect(clippy::zombie_processes, reason = "the tracer waits for all that it traces")]
    let launcher = command.spawn().expect("start the launcher");
    let launcher = Pid::from_raw(launcher.id().cast_signed());
    let mut tracer = Tracer::new(launcher, point, looks);
    let watch = Watch::over(&tracer.alive, limit);
    tracer.follow();
    let hung = watch.end();
    let text = |file: File| {
        let mut bytes = vec![0; file.metadata().expect("its size").len() as usize];
        file.read_exact_at(&mut bytes, 0).expect("read the output");
        bytes
    };
    Traced {
        calls: tracer.calls,
        outcome: Outcome {
            status: tracer.status,
            stdout: text(stdout),
            stderr: String::from_utf8_lossy(&text(stderr)).into_owned(),
        },
        took: tracer.launcher_ended.unwrap_or(start).duration_since(start),
        hit: tracer.hit,
        hung,
        descriptors: tracer.descriptors,
    }
}

/// Kills what is traced when the time is up.
struct Watch {
    over: mpsc::Sender<()>,
    thread: thread::JoinHandle<bool>,
}

impl Watch {
    fn over(alive: &Arc<Mutex<BTreeSet<Pid>>>, limit: Duration) -> Watch {
        let (over, ended) = mpsc::channel();
        let alive = Arc::clone(alive);
        let thread = thread::spawn(move || {
            if ended.recv_timeout(slowed(limit)).is_ok() {
                return false;
            }
            for pid in alive.lock().expect("nobody panics").iter() {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            true
        });
        Watch { over, thread }
    }

    /// Whether the time was up.
    fn end(self) -> bool {
        let _ = self.over.send(());
        self.thread.join().expect("it does not panic")
    }
}

/// A traced process, or thread.
#[derive(Default)]
struct Task {
    name: String,
    /// Its calls count: `main` has begun.
    is_in_main: bool,
    /// Between entry and exit of a call.
    is_in_call: bool,
    /// What the call that it is in has to return.
    errno: Option<Errno>,
    /// The call that it is in is the last before its own code.
    is_about_to_begin: bool,
    /// It is a thread of its parent.
    is_thread: bool,
    /// It is a child of posix_spawn(3), which is the C library's until it executes something.
    is_spawned: bool,
    /// Its root directory is the container's: what it looks up, the container may have made.
    is_inside: bool,
}

struct Tracer<'a> {
    launcher: Pid,
    fault: Option<(&'a Point, Fault)>,
    tasks: BTreeMap<Pid, Task>,
    /// How many children those of one name have had.
    children: BTreeMap<String, usize>,
    /// How many calls of one name those of one name have made.
    counts: BTreeMap<(String, String), usize>,
    /// Stopped at their birth, before their parent's stop has told whose children they are.
    early: BTreeSet<Pid>,
    alive: Arc<Mutex<BTreeSet<Pid>>>,
    calls: Vec<(Point, String)>,
    hit: Option<String>,
    status: ExitStatus,
    launcher_ended: Option<Instant>,
    /// Whether descriptors are looked at, and what else happens.
    looks: Option<Option<Moment<'a>>>,
    descriptors: Descriptors,
}

impl<'a> Tracer<'a> {
    fn new(
        launcher: Pid,
        fault: Option<(&'a Point, Fault)>,
        looks: Option<Option<Moment<'a>>>,
    ) -> Tracer<'a> {
        let task = Task { name: "launcher".to_owned(), ..Task::default() };
        Tracer {
            launcher,
            fault,
            tasks: BTreeMap::from([(launcher, task)]),
            children: BTreeMap::new(),
            counts: BTreeMap::new(),
            early: BTreeSet::new(),
            alive: Arc::new(Mutex::new(BTreeSet::from([launcher]))),
            calls: Vec::new(),
            hit: None,
            status: ExitStatus::from_raw(0),
            launcher_ended: None,
            looks,
            descriptors: Descriptors::default(),
        }
    }

    /// Goes on until nothing is traced any more.
    fn follow(&mut self) {
        let mut is_first = true;
        // The body may have other children, which do not end.
        while !self.tasks.is_empty() {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => return,
                Err(Errno::EINTR) => continue,
                Err(errno) => panic!("waitpid: {errno}"),
            };
            let Some(pid) = status.pid() else { continue };
            if is_first {
                // The stop of PTRACE_TRACEME, after execve(2).
                is_first = false;
                let all = Options::PTRACE_O_TRACESYSGOOD
                    | Options::PTRACE_O_TRACEFORK
                    | Options::PTRACE_O_TRACEVFORK
                    | Options::PTRACE_O_TRACECLONE
                    | Options::PTRACE_O_TRACEEXEC
                    | Options::PTRACE_O_EXITKILL;
                ptrace::setoptions(pid, all).expect("set the options of the tracer");
                go_on(pid, None);
                continue;
            }
            match status {
                WaitStatus::Exited(_, code) => self.ended(pid, code << 8),
                WaitStatus::Signaled(_, signal, _) => self.ended(pid, signal as i32),
                _ if !self.tasks.contains_key(&pid) => {
                    self.early.insert(pid);
                }
                WaitStatus::PtraceSyscall(_) => self.call(pid),
                WaitStatus::PtraceEvent(_, _, event) => self.event(pid, event),
                WaitStatus::Stopped(_, signal) => {
                    go_on(pid, (signal != Signal::SIGSTOP).then_some(signal));
                }
                other => panic!("an unexpected stop: {other:?}"),
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: i32) {
        if pid == self.launcher {
            self.status = ExitStatus::from_raw(status);
            self.launcher_ended = Some(Instant::now());
        }
        self.forget(pid);
    }

    fn forget(&mut self, pid: Pid) {
        self.tasks.remove(&pid);
        self.alive.lock().expect("nobody panics").remove(&pid);
    }

    fn event(&mut self, pid: Pid, event: i32) {
        if event == Event::PTRACE_EVENT_EXEC as i32 {
            return self.executes(pid);
        }
        if let Ok(child) = ptrace::getevent(pid) {
            let is_spawned = event == Event::PTRACE_EVENT_VFORK as i32;
            self.born(pid, Pid::from_raw(child as i32), is_spawned);
        }
        go_on(pid, None);
    }

    /// What a new thread does before and after its closure is Rust's and the C library's. So is
    /// what the child of posix_spawn(3) does, which is vfork(2) to its parent.
    fn born(&mut self, parent: Pid, child: Pid, is_spawned: bool) {
        let Some(of_parent) = self.tasks.get(&parent) else { return };
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let is_thread = !status.contains(&format!("\nTgid:\t{child}\n"));
        let name = match &*of_parent.name {
            name if is_thread && name.ends_with(THREADS) => name.to_owned(),
            name if is_thread => format!("{name}{THREADS}"),
            name => {
                let number = self.children.entry(name.to_owned()).or_default();
                *number += 1;
                if name == "launcher" { number.to_string() } else { format!("{name}.{number}") }
            }
        };
        let is_in_main = of_parent.is_in_main && !is_thread && !is_spawned;
        let is_inside = of_parent.is_inside;
        let task = Task { name, is_in_main, is_thread, is_spawned, is_inside, ..Task::default() };
        self.tasks.insert(child, task);
        self.alive.lock().expect("nobody panics").insert(child);
        if self.early.remove(&child) {
            go_on(child, None);
        }
    }

    /// A program that is not the launcher's is none of our business: it is left alone. A launcher
    /// that executes itself once more has a second beginning of `main`.
    fn executes(&mut self, pid: Pid) {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let program = program.to_string_lossy();
        let is_launcher = pid == self.launcher && program.contains("v8-pause");
        if !is_launcher {
            let _ = ptrace::detach(pid, None);
            return self.forget(pid);
        }
        if let Some(task) = self.tasks.get_mut(&pid) {
            task.is_in_main = false;
        }
        go_on(pid, None);
    }

    fn call(&mut self, pid: Pid) {
        let Ok(stop) = CallStop::of(pid) else { return go_on(pid, None) };
        let Some(task) = self.tasks.get_mut(&pid) else { return go_on(pid, None) };
        task.is_in_call = !task.is_in_call;
        if !task.is_in_call {
            if let Some(errno) = task.errno.take() {
                let _ = stop.fail(errno);
            }
            task.is_in_main |= std::mem::take(&mut task.is_about_to_begin);
            return go_on(pid, None);
        }
        let call = name_of(&stop);
        if !task.counts(&call, stop.arguments()) {
            return go_on(pid, None);
        }
        let count = self.counts.entry((task.name.clone(), call.clone())).or_default();
        *count += 1;
        let point = Point { process: task.name.clone(), call, count: *count };
        let path = path_of(pid, &point.call, stop.arguments());
        if let Some(moment) = self.looks {
            if let Some((_, happens)) = moment.filter(|(call, _)| *call == point.call) {
                happens();
            }
            self.descriptors.look_at(pid, &point, &path, task.is_inside);
            task.is_inside |= goes_inside(&point.call, stop.arguments());
        }
        if let Some((at, fault)) = self.fault
            && *at == point
        {
            self.hit = Some(path.clone());
            match fault {
                Fault::Killed => _ = kill(pid, Signal::SIGKILL),
                Fault::Fails(errno) => {
                    task.errno = Some(errno);
                    stop.prevent().expect("change the number of the call");
                }
            }
        }
        self.calls.push((point, path));
        go_on(pid, None);
    }
}

impl Task {
    /// Whether the call that it is about to make counts. Sees from it where its own code begins.
    ///
    /// Rust's last act before it calls `main` is to look out for stack overflows (std,
    /// stack_overflow.rs): handlers for SIGSEGV and then SIGBUS. In a thread it is the stack for
    /// them, which is also the first thing that the thread takes down.
    fn counts(&mut self, call: &str, [first, second, _]: [u64; 3]) -> bool {
        if self.is_thread && call == "sigaltstack" && first != 0 {
            self.is_about_to_begin = !self.is_in_main;
            self.is_in_main = false;
            return false;
        }
        if self.is_in_main || self.is_spawned && call == "execve" {
            return true;
        }
        self.is_about_to_begin = !(self.is_thread || self.is_spawned)
            && call == "rt_sigaction"
            && first == libc::SIGBUS as u64
            && second != 0;
        false
    }
}

/// Whether after this call `/` is the container's.
fn goes_inside(call: &str, [_, second, _]: [u64; 3]) -> bool {
    call == "pivot_root" || call == "setns" && second == libc::CLONE_NEWNS as u64
}

/// The name of a call, where one name has two meanings by which of them it is.
fn name_of(stop: &CallStop) -> String {
    let [_, second, _] = stop.arguments();
    match calls::name(stop.number()) {
        flock if flock == "flock" && second == libc::LOCK_UN as u64 => "unlock".into(),
        call => call,
    }
}

/// The path that a call is about, or `open PATH` if it is about a descriptor; else nothing.
fn path_of(pid: Pid, call: &str, [first, second, _]: [u64; 3]) -> String {
    let path = match has_path(call) {
        Some(0) => path_at(pid, first),
        Some(_) => path_at(pid, second),
        None => String::new(),
    };
    if !path.is_empty() || !has_descriptor(call) {
        return path;
    }
    let link = fs::read_link(format!("/proc/{pid}/fd/{}", first as i32));
    format!("open {}", link.unwrap_or_default().display())
}

/// Lets a stopped process go on to its next system call. If it has been killed, that is fine.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// The text that a process has at this address.
fn path_at(pid: Pid, address: u64) -> String {
    let mut bytes = vec![0; 256];
    let read = File::open(format!("/proc/{pid}/mem")).and_then(|mem| {
        // Memory may end with the page: then this reads what is there.
        mem.read_at(&mut bytes, address)
    });
    bytes.truncate(read.unwrap_or(0));
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
