//! The calls that make the container, each with the process that makes it.

use std::collections::BTreeMap;

use super::meaning::{self, Meaning};
use super::record::Call;

/// The most that is shown of a call, in characters.
const WIDTH: usize = 80;

/// One line of the story.
pub(super) struct Line {
    /// Who calls: supervisor, child, PID 1, thread.
    pub(super) process: String,
    pub(super) call: String,
    pub(super) meaning: Option<&'static Meaning>,
    pub(super) failed: bool,
}

/// A process or thread that has not become another program yet.
struct Process {
    name: &'static str,
    /// What it has failed with on its way along PATH, be it to find the command or to execute it.
    failed_execs: Vec<Line>,
}

/// Tells the story, from the supervisor's start to the last execve(2).
pub(super) fn tell(calls: &[Call]) -> Vec<Line> {
    let mut processes = BTreeMap::new();
    let mut lines = Vec::new();
    let Some(first) = calls.first() else { return lines };
    processes.insert(first.process, Process { name: "supervisor", failed_execs: Vec::new() });
    // The very first call is strace's own: the supervisor is started.
    for call in &calls[1..] {
        // Who is not among them is the command, or a child of it, or of a helper.
        let Some(process) = processes.get_mut(&call.process) else { continue };
        let Some(meaning) = meaning::of(call) else { continue };
        let line = line_of(process.name, call, meaning);
        let is_about_command = matches!(&call.name[..], "openat2" | "execve");
        if call.name == "openat2" && !call.failed() {
            continue; // it is there: the next line says so
        }
        if !is_about_command {
            let child = call.returned().filter(|_| is_birth(&call.name));
            let name = child_of(process.name, call, calls);
            lines.push(line);
            if let Some(child) = child {
                processes.insert(child, Process { name, failed_execs: Vec::new() });
            }
        } else if call.failed() {
            process.failed_execs.push(line);
        } else {
            // That it was not in the first directories of PATH is no failure.
            lines.push(line);
            processes.remove(&call.process);
        }
    }
    // Who never became the command has failed to.
    lines.extend(processes.into_values().flat_map(|process| process.failed_execs));
    lines
}

fn is_birth(call: &str) -> bool {
    matches!(call, "fork" | "vfork" | "clone" | "clone3")
}

/// What a new process is. A child of a launcher asks at once to die with its parent; a program that
/// the launcher needs for something, `nft` for instance, does not.
fn child_of(parent: &str, birth: &Call, calls: &[Call]) -> &'static str {
    let asks_to_die = |call: &Call| {
        Some(call.process) == birth.returned() && call.arguments.contains("PR_SET_PDEATHSIG")
    };
    match parent {
        _ if birth.arguments.contains("CLONE_THREAD") => "thread",
        _ if !calls.iter().any(asks_to_die) => "helper",
        "supervisor" => "child",
        _ => "PID 1",
    }
}

fn line_of(process: &str, call: &Call, meaning: &'static Meaning) -> Line {
    let arguments = match &call.name[..] {
        "sendto" => gist_of_message(&call.arguments),
        "clone" | "clone3" => gist_of_birth(&call.arguments),
        // The third one is the place of the environment in memory.
        "execve" => call.arguments.split("], 0x").next().unwrap_or_default().to_owned() + "]",
        _ => without_working_directory(&call.arguments),
    };
    let mut text = format!("{}({arguments}) = {}", call.name, call.result);
    if text.chars().count() > WIDTH {
        let end = format!("...) = {}", call.result);
        let kept = WIDTH.saturating_sub(end.chars().count());
        text = text.chars().take(kept).chain(end.chars()).collect();
    }
    Line { process: process.to_owned(), call: text, meaning: Some(meaning), failed: call.failed() }
}

/// A fork is a clone(2) with a dozen arguments, of which one tells something.
fn gist_of_birth(arguments: &str) -> String {
    let flags = ["CLONE_THREAD", "CLONE_VFORK", "SIGCHLD"];
    let flags = flags.into_iter().find(|flag| arguments.contains(flag)).unwrap_or_default();
    format!("...{flags}...")
}

/// `AT_FDCWD</home/me>` says no more than `AT_FDCWD`.
fn without_working_directory(arguments: &str) -> String {
    let mut parts = arguments.split("AT_FDCWD<");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + "AT_FDCWD" + part.split_once('>').map_or(part, |(_, rest)| rest)
    })
}

/// Of a netlink message: what is asked for, and about which device.
fn gist_of_message(arguments: &str) -> String {
    let word = |start: &str| {
        let (_, rest) = arguments.split_once(start)?;
        rest.split([',', '}', ']', ')']).next().map(str::to_owned)
    };
    let words = ["nlmsg_type=", "nla_type=IFLA_IFNAME}, ", "nla_type=IFLA_INFO_KIND}, "];
    let words: Vec<_> = words.iter().filter_map(|start| word(start)).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(process: i32, name: &str, arguments: &str, result: &str) -> Call {
        let (arguments, result) = (arguments.to_owned(), result.to_owned());
        Call { time: 0.0, process, name: name.to_owned(), arguments, result }
    }

    #[test]
    fn the_story_ends_where_the_command_begins() {
        let calls = [
            call(1, "execve", "\"v3\"", "0"),
            call(1, "clone", "flags=SIGCHLD", "2"),
            call(2, "prctl", "PR_SET_PDEATHSIG, SIGKILL", "0"),
            call(2, "unshare", "CLONE_NEWPID", "0"),
            call(2, "clone", "flags=SIGCHLD", "3"),
            call(3, "prctl", "PR_SET_PDEATHSIG, SIGKILL", "0"),
            call(3, "mount", "\"proc\", \".\"", "-1 EPERM (Operation not permitted)"),
            call(3, "execve", "\"/sbin/ls\"", "-1 ENOENT (No such file or directory)"),
            call(3, "execve", "\"/bin/ls\"", "0"),
            call(3, "mount", "by the command", "0"),
            call(9, "mount", "by its child", "0"),
        ];
        let lines = tell(&calls);
        let told: Vec<_> = lines.iter().map(|it| (it.process.as_str(), it.failed)).collect();
        let expected = [
            ("supervisor", false),
            ("child", false),
            ("child", false),
            ("child", false),
            ("PID 1", false),
            ("PID 1", true),
            ("PID 1", false),
        ];
        assert_eq!(told, expected);
        assert!(lines[6].call.contains("/bin/ls"));
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        let text = "4<\u{2e}>, AT_FDCWD</home/me>, \"a\", AT_FDCWD</x>";
        assert_eq!(without_working_directory(text), "4<.>, AT_FDCWD, \"a\", AT_FDCWD");
        let message = "4, [{nlmsg_len=9, nlmsg_type=RTM_NEWLINK, x}, [[{nla_len=11, \
            nla_type=IFLA_IFNAME}, \"steps0\"]]";
        assert_eq!(gist_of_message(message), "RTM_NEWLINK \"steps0\"");
        assert_eq!(gist_of_birth("flags=CLONE_CHILD_SETTID|SIGCHLD, x"), "...SIGCHLD...");
    }

    #[test]
    fn a_command_that_is_not_there_is_a_failure() {
        let calls = [
            call(1, "execve", "\"v1\"", "0"),
            call(1, "clone", "flags=SIGCHLD", "2"),
            call(2, "execve", "\"/bin/no\"", "-1 ENOENT (No such file or directory)"),
        ];
        assert!(tell(&calls).last().is_some_and(|line| line.failed));
    }
}
