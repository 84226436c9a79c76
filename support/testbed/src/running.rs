//! Running a launcher: to its end, or while the test looks at it from outside.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::host::Host;
use crate::pace::slowed;

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            status: output.status,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Outcome {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Outcome {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Outcome::from(output)
    }

    /// Runs a command whose stdout is a pipe that nobody reads any more, as behind `| head -0`; and
    /// once more with its stderr there, too. It must end well, and say nothing.
    #[track_caller]
    pub fn assert_ends_unread(mut command: impl FnMut() -> Command) {
        for is_stderr_there in [false, true] {
            let (reader, writer) = io::pipe().expect("make a pipe");
            drop(reader);
            let mut command = command();
            if is_stderr_there {
                command.stderr(writer.try_clone().expect("copy a descriptor"));
            } else {
                command.stderr(Stdio::piped());
            }
            let child = command.stdin(Stdio::null()).stdout(writer).spawn();
            let output = child.and_then(Child::wait_with_output);
            let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<_> = said.lines().filter(|line| !line.starts_with("Note: ")).collect();
            assert_eq!((output.status.code(), said), (Some(0), vec![]), "{command:?}");
        }
    }

    /// The exit status. A launcher always has one: no signal may end it.
    #[track_caller]
    pub fn code(&self) -> i32 {
        let signal = self.status.signal();
        self.status.code().unwrap_or_else(|| panic!("ended by signal {signal:?}: {self:?}"))
    }

    /// Standard output of a command that must have ended well, without a complaint.
    #[track_caller]
    pub fn text(&self) -> &str {
        assert_eq!(self.code(), 0, "{self:?}");
        assert_eq!(self.complaints(), Vec::<&str>::new(), "{self:?}");
        str::from_utf8(&self.stdout).expect("output in UTF-8")
    }

    /// Requires a page of help that a screen of 80 columns and 40 rows has room for.
    #[track_caller]
    pub fn assert_fits_on_a_screen(&self) {
        let text = self.text();
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
        assert!(widest.chars().count() <= 80, "too wide: {widest}");
        assert!(text.lines().count() <= 40, "{} rows:\n{text}", text.lines().count());
    }

    /// The lines on standard error, but for the `Note:` lines of a launcher without root.
    pub fn complaints(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| !line.starts_with("Note: ")).collect()
    }

    /// Requires that the launcher refused: this exit status, one line of error that has all
    /// `words` in it, and nothing on standard output.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code(), code, "{self:?}");
        assert_eq!(self.stdout, b"", "{self:?}");
        let [line] = self.complaints()[..] else {
            panic!("not one line: {}", self.stderr);
        };
        assert!(line.starts_with("Error: "), "{line}");
        for word in words {
            assert!(line.contains(word), "no {word:?} in: {line}");
        }
    }
}

/// A launcher that runs, seen from outside.
pub struct Running {
    /// The launcher's first process.
    pub supervisor: Child,
    stdout: BufReader<ChildStdout>,
    has_pid_namespace: bool,
    /// What the next start of a step sweeps, if this supervisor is killed.
    next_start: Option<Command>,
}

impl Running {
    /// The next line the command prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("read from the command");
        line.trim_end_matches('\n').to_owned()
    }

    /// Waits until the command prints this line.
    #[track_caller]
    pub fn expect_line(&mut self, expected: &str) {
        let line = self.line();
        assert_eq!(line, expected, "the container ended? {:?}", self.supervisor.try_wait());
    }

    /// The number of the supervisor.
    pub fn pid(&self) -> u32 {
        self.supervisor.id()
    }

    /// The number that the command has on the host: supervisor, then (from v3 on) the waiting
    /// process, then the command.
    #[track_caller]
    pub fn command(&self) -> u32 {
        let child = self.first_child();
        if self.has_pid_namespace { only_child(child) } else { child }
    }

    /// The number of the child that the command is in, or is.
    #[track_caller]
    pub fn first_child(&self) -> u32 {
        let children = children_of_supervisor(self.pid());
        let [child] = children[..] else {
            panic!("process {} has not one child but {children:?}", self.pid());
        };
        child
    }

    /// The number of the process that carries the connections to published ports.
    #[track_caller]
    pub fn proxy(&self) -> u32 {
        let find = || children(self.pid()).into_iter().find(|pid| program(*pid) == "proxy");
        within(Duration::from_secs(10), "the proxy runs", || find().is_some());
        find().expect("it was there")
    }

    /// Waits until the command runs and is this program.
    #[track_caller]
    pub fn wait_for_program(&self, name: &str) {
        let depth = 1 + u32::from(self.has_pid_namespace);
        let runs = || {
            let first_child = |pid, _| children_of_supervisor(pid).first().copied();
            let command = (0..depth).try_fold(self.pid(), first_child);
            command.is_some_and(|pid| program(pid) == name)
        };
        within(Duration::from_secs(10), &format!("{name} runs"), runs);
    }

    /// Sends the supervisor a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal as libc::c_int);
    }

    /// Waits for the end and returns the launcher's exit status.
    #[track_caller]
    pub fn code(&mut self) -> i32 {
        let status = self.supervisor.wait().expect("wait for the launcher");
        status.code().unwrap_or_else(|| panic!("the launcher was ended by {status}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended and was waited for, which is fine.
        let _ = self.supervisor.kill();
        let status = self.supervisor.wait();
        if status.is_ok_and(|status| status.signal() == Some(libc::SIGKILL)) {
            self.start_the_next();
        }
    }
}

impl Running {
    /// The promise of v5: what a killed supervisor leaves on the host is gone after the next start.
    /// The container itself is gone first, and with its network namespace its link.
    fn start_the_next(&mut self) {
        let Some(next_start) = &mut self.next_start else { return };
        wait_for_end_of_links();
        // If it fails, the leak check has something to report.
        let _ = next_start.output();
    }
}

/// Waits until the network namespaces of killed containers are gone, as far as one can see: the
/// kernel takes its time for that, after their last process has ended, and removes those of the
/// whole machine one after the other.
pub fn wait_for_end_of_links() {
    let (start, limit) = (Instant::now(), slowed(Duration::from_secs(10)));
    while has_container_links() && start.elapsed() < limit {
        sleep(Duration::from_millis(2));
    }
}

/// Whether the host has a link like steps2, the end of a cable into a container.
fn has_container_links() -> bool {
    let table = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = table.lines().filter_map(|line| line.trim().strip_prefix("steps"));
    names.into_iter().any(|rest| !rest.starts_with("0:"))
}

impl Host {
    /// Runs this suite's step with these arguments, to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        Outcome::of(self.launcher().args(arguments))
    }

    /// Runs a shell script in a container, to its end.
    pub fn sh(&self, script: &str) -> Outcome {
        self.run(["sh", "-c", script])
    }

    /// Starts this suite's step with these arguments.
    pub fn start<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        self.follow(self.launcher().args(arguments))
    }

    /// Starts a shell script in a container; it must print `ready` first.
    #[track_caller]
    pub fn start_sh(&self, script: &str) -> Running {
        let mut running = self.start(["sh", "-c", script]);
        running.expect_line("ready");
        running
    }

    /// Starts a container that sleeps.
    pub fn start_sleep(&self) -> Running {
        let running = self.start(["sleep", "1000"]);
        running.wait_for_program("sleep");
        running
    }

    /// Starts a prepared launcher.
    pub fn follow(&self, launcher: &mut Command) -> Running {
        let mut supervisor = launcher.stdout(Stdio::piped()).spawn().expect("start the launcher");
        let stdout = supervisor.stdout.take().expect("it is piped");
        let has_pid_namespace = self.stage_facts().pid_namespace;
        let next_start = self.stage_facts().network_namespace.then(|| {
            let mut launcher = self.launcher();
            launcher.args(["--net", "none", "true"]);
            launcher
        });
        Running { supervisor, stdout: BufReader::new(stdout), has_pid_namespace, next_start }
    }

    /// Runs the launcher once, so that the rootfs in the cache is there.
    pub fn warm_up(&self) {
        self.warm_up_with([]);
    }

    /// The same for a launcher that needs these options to get that far.
    pub fn warm_up_with<const N: usize>(&self, options: [&str; N]) {
        self.run(options.iter().chain(&["true"])).text();
    }
}

/// Sends any process a signal, by its number: real-time signals have no names.
#[track_caller]
pub fn send(pid: u32, signal: libc::c_int) {
    // SAFETY: kill takes no pointer.
    let result = unsafe { libc::kill(pid.cast_signed(), signal) };
    assert_eq!(result, 0, "signal {signal} to {pid}: {}", io::Error::last_os_error());
}

/// The children of a process (man 5 proc_pid_task).
pub fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(path).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().expect("a number")).collect()
}

/// The children of a supervisor, but for those that help it: a proxy, a watch over the routes.
pub fn children_of_supervisor(pid: u32) -> Vec<u32> {
    let is_helper = |pid: &u32| ["proxy", "watch-routes"].contains(&&*program(*pid));
    children(pid).into_iter().filter(|pid| !is_helper(pid)).collect()
}

/// The children of a process, their children, and so on.
pub fn descendants(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

#[track_caller]
fn only_child(pid: u32) -> u32 {
    let children = children(pid);
    let [child] = children[..] else {
        panic!("process {pid} has not one child but {children:?}");
    };
    child
}

/// The name of the program that a process runs, or nothing if there is no such process.
pub fn program(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Whether a process runs. A zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"))
}

/// One line of /proc/PID/status (man 5 proc_pid_status), without its name.
#[track_caller]
pub fn status_line(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
}

/// The target of a link, such as /proc/PID/fd/0 or /proc/PID/ns/mnt.
#[track_caller]
pub fn link(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let target = fs::read_link(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    target.to_string_lossy().into_owned()
}

/// Waits until something is so, at most as long as `limit` (longer on a slow machine).
#[track_caller]
pub fn within(limit: Duration, what: &str, is_so: impl Fn() -> bool) {
    let (start, limit) = (Instant::now(), slowed(limit));
    while !is_so() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(2));
    }
}
