//! All about one process.

use std::iter;

use anyhow::{Context, Result, bail};
use launcher::command_line::{errno_in, one_line};
use nix::errno::Errno;

use super::machine::{Machine, Process};
use super::namespaces::{Namespaces, inode_of};
use super::picture::Picture;
use super::process::{Directory, Status};
use super::shortened::shortened;
use super::{cgroup, ids, mounts, ports, privileges, tree};

/// As many of the others in a namespace are named.
const MOST_NAMES: usize = 4;

/// As much of a command as is shown.
const MOST_OF_COMMAND: usize = 400;

/// What is known of one thing, a line each; or why it cannot be.
type Lines = Result<Vec<String>>;

/// A part without a line is an empty line.
const EMPTY: (&str, Lines) = ("", Ok(Vec::new()));

/// Draws the table of one process.
///
/// # Errors
/// If there is no such process, or no more at the end. What may not be read is no error.
pub(super) fn draw(pid: u32) -> Result<Picture> {
    let directory = Directory::open(&pid.to_string());
    let directory = directory.with_context(|| {
        format!("there is no process {pid} here (cargo workshop xray shows those in containers)")
    })?;
    let parts = parts_of(pid, &directory);
    // If it has ended, its parts are a list of errors.
    if directory.read("stat").is_err() {
        bail!("process {pid} has ended while we looked at it");
    }
    let (mut text, mut is_refused) = (String::new(), false);
    for (title, lines) in parts? {
        let lines = lines.unwrap_or_else(|error| {
            is_refused |= errno_in(&error) == Some(Errno::EACCES);
            vec![one_line(&error)]
        });
        if lines.is_empty() {
            text.push('\n');
        }
        let titles = iter::once(title).chain(iter::repeat(""));
        for (title, line) in titles.zip(&lines) {
            text += format!("{title:18}{line}").trim_end();
            text.push('\n');
        }
    }
    let refusal =
        || format!("process {pid} may not be looked into{}", tree::advice(&format!(" {pid}")));
    Ok(Picture { text, notes: is_refused.then(refusal).into_iter().collect() })
}

fn parts_of(pid: u32, directory: &Directory) -> Result<Vec<(&'static str, Lines)>> {
    let machine = Machine::look()?;
    let status = Status::of(directory).with_context(|| directory.reading("status"))?;
    let namespaces = Namespaces::of(directory);
    // Whether its namespace of a kind is the host's, if that can be told.
    let of_host = |kind| {
        let own = namespaces.ok().and_then(|it| it.inode(kind))?;
        Some(Some(own) == machine.host.namespaces.inode(kind))
    };
    let mut parts = vec![("process", process(pid, directory, &status)), EMPTY];
    match lines_of_namespaces(pid, directory, &machine) {
        Ok(lines) => parts.extend(lines.into_iter().map(|(kind, line)| (kind, Ok(vec![line])))),
        Err(error) => parts.push(("namespace", Err(error))),
    }
    parts.extend([
        EMPTY,
        ("root", mounts::root(directory)),
        ("mounts", mounts::list(directory, of_host("mnt") == Some(true))),
        ("ids", ids::list(directory, &status)),
        ("capabilities", Ok(privileges::capabilities(&status, of_host("user") == Some(false)))),
        ("seccomp", Ok(vec![privileges::seccomp(&status)])),
        ("no_new_privs", Ok(vec![privileges::no_new_privs(&status)])),
        ("limits", cgroup::list(pid)),
        ("open ports", ports::list(directory, of_host("net") == Some(true))),
    ]);
    Ok(parts)
}

fn process(pid: u32, directory: &Directory, status: &Status) -> Lines {
    let command = shortened(&directory.command(status)?, MOST_OF_COMMAND);
    let inside = status.numbers_inside();
    let inside = match inside[..] {
        [] => String::new(),
        _ => format!(" ({} inside)", tree::numbers_inside(&inside)),
    };
    Ok(vec![format!("{pid}{inside}: {command}")])
}

/// A line for each kind, and what stands before it.
fn lines_of_namespaces(
    pid: u32,
    directory: &Directory,
    machine: &Machine,
) -> Result<Vec<(&'static str, String)>> {
    let namespaces = Namespaces::of(directory).with_context(|| directory.reading("ns"))?;
    let line = |inode: &str, whose: &str, others: &str| format!("{inode:12}{whose:12}{others}");
    let mut lines = vec![("namespace", line("INODE", "WHOSE", "WHO ELSE IS SEEN IN IT"))];
    for (kind, inode) in namespaces.all() {
        let (whose, others) = match machine.host.namespaces.inode(kind) == Some(inode) {
            true => ("the host's", String::new()),
            false => ("its own", others_in(kind, inode, pid, machine)),
        };
        lines.push((kind, line(&inode.to_string(), whose, &others)));
    }
    // After unshare(CLONE_NEWPID): it stays where it is, its children will be elsewhere.
    let of_children = inode_of(directory, "pid_for_children");
    let of_children = of_children.with_context(|| directory.reading("ns/pid_for_children"))?;
    if let Some(inode) = of_children.filter(|inode| namespaces.inode("pid") != Some(*inode)) {
        let others = others_in("pid", inode, pid, machine);
        lines.push(("pid_for_children", line(&inode.to_string(), "its own", &others)));
    }
    Ok(lines)
}

/// The other processes in a namespace, the first of them by name.
fn others_in(kind: &str, inode: u64, pid: u32, machine: &Machine) -> String {
    let is_in = |process: &&Process| {
        process.pid != pid && process.namespaces.is_ok_and(|it| it.inode(kind) == Some(inode))
    };
    let others: Vec<_> = machine.processes.values().filter(is_in).collect();
    let named = others.iter().take(MOST_NAMES).map(|it| format!("{} {}", it.pid, it.name));
    let named = named.collect::<Vec<_>>().join(", ");
    match others.len().checked_sub(MOST_NAMES) {
        None if others.is_empty() => "nobody".to_owned(),
        None | Some(0) => named,
        Some(more) => format!("{named} and {more} more"),
    }
}
