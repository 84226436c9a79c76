//! Process numbers: who is number 1, and what it owes the others.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

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

pub(in crate::exercises) const ZOMBIES: Exercise = Exercise {
    id: "zombies",
    was: &[],
    step: "v3-pidns",
    title: "The duty of number 1",
    minutes: 30,
    source: include_str!("../../../exercises/zombies.rs"),
    hints: [
        "When a process ends whose children still run, these become children of process 1. When \
         one of them ends, it stays as a zombie until its parent asks how it ended.",
        "waitpid(2) with -1 (in nix: None) waits for any child. It tells which one it was: that of \
         the command is the status to return, all the others are to be thrown away.",
        "loop { match waitpid(None, None)? { WaitStatus::Exited(pid, code) if pid == command => \
         return ..., the same for Signaled, _ => {} } }",
    ],
    starter_fails: "is a zombie",
    faults: &[
        Fault { name: "first-one", fails: "the container ended with its first orphan" },
        Fault { name: "lost-status", fails: "the container ended with status 0" },
    ],
    needs_cgroup: false,
    check: zombies,
};

fn zombies(judged: &Judged) -> Result<()> {
    let expected = "an orphan that has ended is reaped by process 1, and is gone";
    let script = "sh -c 'sleep 0.2 &'; echo started; sleep 1; echo end; sleep 1";
    let mut running = judged.start(&["sh", "-c", script])?;
    expect(running.first == "started", expected, &running.first, "what runs the command")?;
    sleep(Duration::from_millis(600));
    let zombies = zombies_of_the_host()?;
    let seen = match zombies.first() {
        Some(name) => format!("{name:?} is a zombie, while the command still runs"),
        None => String::new(),
    };
    expect(zombies.is_empty(), expected, &seen, "whom process 1 waits for")?;
    let line = running.line()?;
    let expected = "the container runs until its command ends";
    let seen = "the container ended with its first orphan";
    expect(line == "end", expected, seen, "which of its children process 1 takes for the command")?;
    drop(running);
    let ended = judged.run(&["sh", "-c", "sh -c 'sleep 0.1 &'; sleep 0.3; exit 7"])?;
    let expected = "a command that ends with status 7 makes the container end with status 7";
    let seen = format!("the container ended with status {}", ended.status);
    expect(ended.status == 7, expected, &seen, "what process 1 does with the status it was told")
}

/// The names of all zombies but our own children, for whom it is us who wait: nobody else lives on
/// this host.
fn zombies_of_the_host() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let entry = entry.context("cannot list /proc")?;
        // proc_pid_stat(5): number, (name), state, parent. What is no process has no such file.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
        let name = name.split_once('(').map_or(name, |(_, name)| name);
        let is_ours = rest.split(' ').nth(1) == Some("1");
        if rest.starts_with('Z') && !is_ours {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
