//! Containers side by side: some are being started, more are alive, all of them end as planned.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Duration;

use testbed::running::{descendants, is_alive, status_line, within};

/// A container to be, and how it shall end. Its command prints `ready` and reads a line.
pub struct Plan {
    pub launcher: Command,
    pub end: End,
}

/// How a container ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// By itself, with this status.
    Status(i32),
    /// Its supervisor is killed while the container runs.
    KilledAlive,
    /// Its supervisor is killed this long after its start: while it makes the container, or later.
    KilledAfter(Duration),
}

/// What became of a container.
#[derive(Debug)]
pub struct Seen {
    end: End,
    status: ExitStatus,
    errors: String,
    /// The most memory its supervisor ever had, in kB, if it lived to be looked at.
    pub memory: Option<u64>,
}

impl Seen {
    pub fn was_killed(&self) -> bool {
        !matches!(self.end, End::Status(_))
    }

    /// What is wrong with it, if something is.
    pub fn complaint(&self) -> Option<String> {
        let is_right = match self.end {
            End::Status(status) => {
                self.status.code() == Some(status) && !self.errors.contains("Error: ")
            }
            _ => self.status.signal() == Some(libc::SIGKILL),
        };
        (!is_right).then(|| format!("{self:?}"))
    }
}

/// Who is where.
#[derive(Default)]
struct Count {
    starting: usize,
    alive: usize,
    most_alive: usize,
    is_last_call: bool,
}

pub struct Crowd {
    at_a_time: usize,
    /// A container stays until so many are alive.
    peak: usize,
    count: Mutex<Count>,
    changed: Condvar,
}

impl Crowd {
    pub fn new(at_a_time: usize, peak: usize) -> Crowd {
        Crowd { at_a_time, peak, count: Mutex::default(), changed: Condvar::new() }
    }

    pub fn most_alive(&self) -> usize {
        self.count.lock().unwrap().most_alive
    }

    /// Starts them all, in this order, and waits for all of them.
    pub fn run(&self, plans: impl Iterator<Item = Plan>) -> Vec<Seen> {
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for plan in plans {
                self.change(|count| count.starting < self.at_a_time, |count| count.starting += 1);
                threads.push(scope.spawn(|| self.live(plan)));
            }
            self.change(|_| true, |count| count.is_last_call = true);
            threads.into_iter().map(|thread| thread.join().expect("a container")).collect()
        })
    }

    /// Waits until `is_time`, then counts anew.
    fn change(&self, is_time: impl Fn(&Count) -> bool, count_anew: impl FnOnce(&mut Count)) {
        let count = self.count.lock().unwrap();
        let mut count = self.changed.wait_while(count, |count| !is_time(count)).unwrap();
        count_anew(&mut count);
        self.changed.notify_all();
    }

    fn live(&self, mut plan: Plan) -> Seen {
        plan.launcher.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut supervisor = plan.launcher.spawn().expect("start the launcher");
        if let End::KilledAfter(time) = plan.end {
            thread::sleep(time);
            supervisor.kill().expect("kill");
            self.change(|_| true, |count| count.starting -= 1);
            return see(plan.end, supervisor, None);
        }
        let mut line = String::new();
        let stdout = supervisor.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("read its output");
        if line != "ready\n" {
            self.change(|_| true, |count| count.starting -= 1);
            return see(plan.end, supervisor, None);
        }
        self.change(
            |_| true,
            |count| {
                count.starting -= 1;
                count.alive += 1;
                count.most_alive = count.most_alive.max(count.alive);
            },
        );
        let memory = Some(most_memory(supervisor.id()));
        let may_go = |count: &Count| count.alive > self.peak || count.is_last_call;
        self.change(may_go, |count| count.alive -= 1);
        let processes = descendants(supervisor.id());
        if plan.end == End::KilledAlive {
            supervisor.kill().expect("kill");
        } else {
            supervisor.stdin.take().expect("it is piped").write_all(b"go\n").expect("say go");
        }
        let seen = see(plan.end, supervisor, memory);
        let all_are_gone = || !processes.iter().any(|process| is_alive(*process));
        within(Duration::from_secs(1), "the container is gone", all_are_gone);
        seen
    }
}

fn see(end: End, supervisor: Child, memory: Option<u64>) -> Seen {
    let output = supervisor.wait_with_output().expect("wait for the launcher");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Seen { end, status: output.status, errors, memory }
}

/// `VmHWM`, proc_pid_status(5), in kB.
fn most_memory(pid: u32) -> u64 {
    status_line(pid, "VmHWM").trim_end_matches(" kB").parse().expect("a number of kB")
}
