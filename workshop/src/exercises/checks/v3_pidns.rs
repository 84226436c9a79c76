//! Process numbers: who is number 1, and what it owes the others.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::exercises::exercise::{Exercise, Fault};
use crate::exercises::judged::Judged;
use crate::exercises::verdict::expect;

pub(in crate::exercises) const SECOND_FORK: Exercise = Exercise {
    id: "second-fork",
    was: &[],
    step: "v3-pidns",
    title: "Who is number 1?",
    minutes: 20,
    source: include_str!("../../../exercises/second-fork.rs"),
    hints: [
        "No process ever changes its number. unshare(2) with CLONE_NEWPID says where somebody else \
         will be born. Who? And how does the launcher hear of that one's end?",
        "The next child is number 1. So one more fork is needed between unshare and the command, \
         and the parent waits meanwhile. launcher::Child has both: fork() and wait().",
        "Child::fork()? is Forked::Child(bound) in the child, which starts the command (if bound \
         is no error), and Forked::Parent(child) in the parent, where child.wait() gives the exit \
         status.",
    ],
    starter_fails: "the command has the number ",
    faults: &[
        Fault { name: "no-wait", fails: "the launcher has ended, and the command with it" },
        Fault { name: "lost-status", fails: "the launcher ended with status 0" },
    ],
    needs_cgroup: false,
    check: second_fork,
};

fn second_fork(judged: &Judged) -> Result<()> {
    let ended = judged.run(&["sh", "-c", "sleep 0.3; echo $$"])?;
    let expected = "the command is process 1 of its PID namespace";
    let look = "who waits for the command";
    let seen = "the launcher has ended, and the command with it";
    expect(!ended.stdout.is_empty() || !ended.stderr.is_empty(), expected, seen, look)?;
    let seen = match &ended.stdout[..] {
        "" => format!("the command has the number of a process outside: {}", ended.stderr),
        number => format!("the command has the number {number}"),
    };
    expect(ended.stdout == "1", expected, &seen, "who is born in the new namespace")?;
    let ended = judged.run(&["sh", "-c", "true; true & wait; exit 7"])?;
    let expected = "a command that ends with status 7 makes the launcher end with status 7";
    let seen = format!("the launcher ended with status {}", ended.status);
    expect(ended.status == 7, expected, &seen, "what the parent does with the child's status")
}

pub(in crate::exercises) const GRACE_PERIOD: Exercise = Exercise {
    id: "grace-period",
    was: &[],
    step: "v3-pidns",
    title: "A second for those who are left",
    minutes: 30,
    source: include_str!("../../../exercises/grace-period.rs"),
    hints: [
        "kill(2) with -1 for a number signals every process that the caller may signal, but not \
         the caller. In a PID namespace these are the processes of the namespace.",
        "waitpid(2) with WNOHANG tells who has ended, or that nobody has, without waiting. ECHILD \
         says that nobody is left: whoever loses its parent becomes a child of process 1.",
        "kill(Pid::from_raw(-1), Signal::SIGTERM), where ESRCH means that there is nobody; then, \
         until a second is over, waitpid(None, Some(WaitPidFlag::WNOHANG)): ECHILD ends the loop, \
         and at StillAlive it sleeps for a moment.",
    ],
    starter_fails: "was killed",
    faults: &[
        Fault { name: "for-ever", fails: "it still runs" },
        Fault { name: "whole-second", fails: "though nobody was left" },
    ],
    needs_cgroup: false,
    check: grace_period,
};

fn grace_period(judged: &Judged) -> Result<()> {
    let expected = "what the command leaves behind is asked to end, and has the time to save";
    let left = "trap 'sleep 0.3; echo saved; exit' TERM; while :; do sleep 0.05; done";
    let ended = judged.run(&["sh", "-c", &format!("sh -c \"{left}\" & sleep 0.3; exit 7")])?;
    let seen = "it was killed before it had saved";
    expect(ended.stdout == "saved", expected, seen, "who tells it, and who waits for it")?;
    let expected = "a command that ends with status 7 makes the container end with status 7";
    let seen = format!("the container ended with status {}", ended.status);
    expect(ended.status == 7, expected, &seen, "what process 1 does with the status it was told")?;
    let expected = "a container of which nobody is left ends at once";
    let begin = Instant::now();
    judged.run(&["true"])?;
    let seen = "it waited, though nobody was left";
    expect(begin.elapsed() < Duration::from_millis(900), expected, seen, "what ends the wait")?;
    let expected = "who does not want to end is waited for a second, and killed then";
    let begin = Instant::now();
    judged.run(&["sh", "-c", "sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & sleep 0.3"])?;
    let took = begin.elapsed().saturating_sub(Duration::from_millis(300));
    let seen = format!("it had {} milliseconds", took.as_millis());
    expect(took > Duration::from_millis(800), expected, &seen, "how long process 1 waits")
}
