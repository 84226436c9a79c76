//! What strace wrote: one file for each process, one line for each call.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One system call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Seconds since 1970, when it began.
    pub(super) time: f64,
    /// The number of the process (or thread), as the machine counts.
    pub(super) process: i32,
    pub(super) name: String,
    pub(super) arguments: String,
    /// What stands behind the `=`; `?` if it never returned.
    pub(super) result: String,
}

impl Call {
    pub(super) fn failed(&self) -> bool {
        self.result.starts_with("-1 ")
    }

    /// The number that it returned, if it is one.
    pub(super) fn returned(&self) -> Option<i32> {
        let digits = self.result.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    }
}

/// All calls of all processes, in the order in which they began.
pub(super) fn read_all(directory: &Path) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {directory:?}"))? {
        let path = entry.context("cannot list the records")?.path();
        let process = path.extension().and_then(|number| number.to_str()?.parse().ok());
        let Some(process) = process else { continue };
        let text = fs::read(&path).with_context(|| format!("cannot read {path:?}"))?;
        let text = String::from_utf8_lossy(&text);
        calls.extend(text.lines().filter_map(|line| parse(process, line)));
    }
    calls.sort_by(|one, other| one.time.total_cmp(&other.time));
    Ok(calls)
}

/// Reads `1732530000.123456 mount("a", "b") = 0`. Other lines tell of exits and signals.
fn parse(process: i32, line: &str) -> Option<Call> {
    let (time, rest) = line.split_once(' ')?;
    let (name, rest) = rest.split_once('(')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    is_name.then_some(())?;
    let arguments = match name {
        "sendto" => MESSAGES.iter().fold(arguments.to_owned(), |text, (number, name)| {
            text.replace(&format!("nlmsg_type={number}"), &format!("nlmsg_type={name}"))
        }),
        _ => arguments.to_owned(),
    };
    Some(Call {
        time: time.parse().ok()?,
        process,
        name: name.to_owned(),
        arguments,
        result: result.to_owned(),
    })
}

/// The types of netlink messages (rtnetlink(7)) that strace shows as a number, when it cannot tell
/// what a socket is for because it belongs to another network namespace.
const MESSAGES: [(&str, &str); 5] = [
    ("0x10 /* NLMSG_??? */", "RTM_NEWLINK"),
    ("0x11 /* NLMSG_??? */", "RTM_DELLINK"),
    ("0x13 /* NLMSG_??? */", "RTM_SETLINK"),
    ("0x14 /* NLMSG_??? */", "RTM_NEWADDR"),
    ("0x18 /* NLMSG_??? */", "RTM_NEWROUTE"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_name() {
        let line = "1.5 sendto(4<socket:[1]>, [{nlmsg_type=0x13 /* NLMSG_??? */, x}, 9]) = 9";
        assert!(parse(7, line).unwrap().arguments.contains("nlmsg_type=RTM_SETLINK, x"));
    }

    #[test]
    fn a_line_is_a_call() {
        let line = "1732530000.5 mount(\"a = b\", \"/proc\", 0x0, MS_REC, NULL)   = -1 EPERM (Oh)";
        let call = parse(7, line).unwrap();
        assert_eq!((call.name.as_str(), call.time), ("mount", 1_732_530_000.5));
        assert_eq!(call.arguments, "\"a = b\", \"/proc\", 0x0, MS_REC, NULL");
        assert!(call.failed());
        assert_eq!(call.returned(), None);
        assert_eq!(parse(7, "1.5 clone(flags=SIGCHLD) = 42").unwrap().returned(), Some(42));
        assert_eq!(parse(7, "1.5 +++ exited with 0 +++"), None);
    }
}
