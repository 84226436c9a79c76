//! More ids than one, without root: subordinate ids (subuid(5), newuidmap(1)). Skip this file on
//! first reading.
//!
//! Without privilege a user namespace knows one id: its maker's own. But the machine's root may
//! have given a user a range of ids that nobody else has, in /etc/subuid and /etc/subgid, and two
//! set-user-ID programs that look into these files and write the maps in the user's place.

mod obstacle;

use crate::child::{Child, Forked};
use crate::program;
use crate::report::{Report, report_pipe};
use crate::system_calls::{default_action, exit_now};
use anyhow::{Context, Result, bail};
use nix::unistd::{Pid, Uid, User, getegid, geteuid, getpid};
use obstacle::Obstacle;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::process::{Command, Output, Stdio};

/// A map is written at once, and has to be shorter than a page (user_namespaces(7)): so many lines
/// of three long numbers.
const MAX_RANGES: usize = 100;

/// The users, or the groups, that somebody may map into a user namespace.
struct Kind {
    /// Where the machine's root gives them out.
    file: &'static str,
    /// Who writes the map.
    program: &'static str,
    /// What of usermod(8) adds some.
    option: &'static str,
}

const USERS: Kind = Kind { file: "/etc/subuid", program: "newuidmap", option: "--add-subuids" };
const GROUPS: Kind = Kind { file: "/etc/subgid", program: "newgidmap", option: "--add-subgids" };

/// Ids in a row: the first one, and how many.
type Range = (u32, u32);

/// The ids that the caller may map beside their own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SubordinateIds {
    users: Vec<Range>,
    groups: Vec<Range>,
}

impl SubordinateIds {
    /// Those of the caller of this process. If there are none: what is missing, and how to get it.
    ///
    /// # Errors
    /// Those of reading the files, and of finding the programs.
    pub(crate) fn of_caller() -> Result<Result<SubordinateIds, String>> {
        let [users, groups] = [read(USERS.file)?, read(GROUPS.file)?];
        if users.is_empty() && groups.is_empty() {
            return Ok(Err(how_to_get_ids("", &[USERS, GROUPS])));
        }
        let user = geteuid();
        let name = name_of(user)?;
        let of_caller = |text: &str| ranges_in(text, name.as_deref(), user.as_raw());
        let ids = SubordinateIds { users: of_caller(&users), groups: of_caller(&groups) };
        let given = format!("{users}\n{groups}");
        match (ids.users.is_empty(), ids.groups.is_empty()) {
            (true, true) => return Ok(Err(how_to_get_ids(&given, &[USERS, GROUPS]))),
            (true, false) => return Ok(Err(how_to_get_ids(&given, &[USERS]))),
            (false, true) => return Ok(Err(how_to_get_ids(&given, &[GROUPS]))),
            (false, false) => {}
        }
        for Kind { program, .. } in [USERS, GROUPS] {
            match program::find(program) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let package = "the package uidmap (Fedora: shadow-utils; Arch: shadow)";
                    return Ok(Err(format!("{program} is missing: install {package}")));
                }
                found => found.with_context(|| format!("cannot use {program}"))?,
            };
        }
        Ok(Ok(ids))
    }
}

/// The name of a user. Most are in /etc/passwd. Of others the C library asks what the host is
/// configured to ask, with libraries that a statically linked program cannot load.
fn name_of(user: Uid) -> Result<Option<String>> {
    let passwd = read("/etc/passwd")?;
    let number = user.to_string();
    let is_it = |fields: &Vec<&str>| fields.get(2) == Some(&&*number);
    if let Some(fields) = passwd.lines().map(|line| line.split(':').collect()).find(is_it) {
        return Ok(Some(fields[0].to_owned()));
    }
    let found = User::from_uid(user).context("cannot read the user database")?;
    Ok(found.map(|user| user.name))
}

/// The first ids that useradd(8) gives out, and how many each user gets.
const USUAL: Range = (100_000, 65_536);

/// A command that gives the caller ids of these kinds that nobody else has, of those that are
/// `given` out.
fn how_to_get_ids(given: &str, kinds: &[Kind]) -> String {
    let (first, last) = free_behind(given);
    let files: Vec<_> = kinds.iter().map(|kind| kind.file).collect();
    let options = kinds.iter().map(|kind| format!("{} {first}-{last} ", kind.option));
    let verb = if kinds.len() > 1 { "give" } else { "gives" };
    let options = options.collect::<String>();
    format!("{} {verb} you no ids: sudo usermod {options}$USER", files.join(" and "))
}

/// Ids behind all that are given out, the first and the last of them.
fn free_behind(given: &str) -> (u32, u32) {
    let ends = given.lines().filter_map(|line| {
        let (_, (first, count)) = fields_of(line)?;
        first.checked_add(count)
    });
    let first = ends.max().unwrap_or(0).max(USUAL.0);
    (first, first.saturating_add(USUAL.1 - 1))
}

/// What is in a file; nothing, if there is none.
fn read(file: &str) -> Result<String> {
    match fs::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => {
            let text = text.with_context(|| format!("cannot read {file}"))?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
    }
}

/// What a file gives to a user, who can be named or numbered in it.
fn ranges_in(text: &str, name: Option<&str>, id: u32) -> Vec<Range> {
    let lines = text.lines().filter_map(fields_of);
    let is_ours = |whose: &str| Some(whose) == name || whose.parse() == Ok(id);
    let ours = lines.filter(|(whose, (_, count))| is_ours(whose) && *count > 0);
    ours.map(|(_, range)| range).take(MAX_RANGES).collect()
}

/// `NAME:FIRST:COUNT`; lines of another form are passed over, as the programs do.
fn fields_of(line: &str) -> Option<(&str, Range)> {
    let mut fields = line.split(':');
    let whose = fields.next()?;
    Some((whose, (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?)))
}

// ANCHOR: Mapper
/// A process that stays outside of the user namespace that its parent is about to make, and has the
/// maps of that one written. From inside nobody could: the two programs look at who calls them.
pub(crate) struct Mapper {
    child: Child,
    go: PipeWriter,
    report: Report,
}

impl Mapper {
    /// Forks it. It waits for [`Mapper::map`], or for the end of its parent.
    pub(crate) fn fork(ids: &SubordinateIds) -> Result<Mapper> {
        let (start, go) = io::pipe().context("cannot make a pipe")?;
        let (report, reporter) = report_pipe()?;
        let parent = getpid();
        // If our caller had it ignored, nobody could wait for a child.
        default_action(libc::SIGCHLD).context("cannot reset SIGCHLD")?;
        match Child::fork()? {
            Forked::Parent(child) => Ok(Mapper { child, go, report }),
            Forked::Child(bound) => {
                drop(go); // else the pipe would never end
                match bound.and_then(|()| ids.map_when_asked(start, parent)) {
                    Ok(()) => exit_now(0),
                    Err(error) => reporter.fail(error),
                }
            }
        }
    }

    /// Maps the ids into the user namespace that this process has entered.
    pub(crate) fn map(mut self) -> Result<()> {
        self.go.write_all(b"!").context("cannot write to a pipe")?;
        let failure = self.report.read()?;
        match (self.child.wait()?, failure) {
            (0, None) => Ok(()),
            (_, Some(failure)) => Err(failure.into()),
            (status, None) => bail!("the process that maps more ids has failed ({status})"),
        }
    }
}

impl SubordinateIds {
    fn map_when_asked(&self, mut start: PipeReader, process: Pid) -> Result<()> {
        if start.read(&mut [0]).context("cannot read from a pipe")? == 0 {
            return Ok(()); // there is no user namespace
        }
        USERS.map(process, geteuid().as_raw(), &self.users)?;
        GROUPS.map(process, getegid().as_raw(), &self.groups)
    }
}

impl Kind {
    /// Writes a map: 0 is the caller, and from 1 on there are the ranges, one behind the other.
    fn map(&self, process: Pid, own: u32, ranges: &[Range]) -> Result<()> {
        let Kind { program: name, .. } = self;
        let cannot = || format!("cannot run {name}");
        let program = program::find(name).with_context(cannot)?;
        let mut command = Command::new(&program);
        command.arg(process.to_string()).args(["0", &own.to_string(), "1"]);
        let mut inside = 1_u32;
        for (first, count) in ranges {
            command.args([inside, *first, *count].map(|number| number.to_string()));
            inside = inside.saturating_add(*count);
        }
        command.env("LC_ALL", "C").stdin(Stdio::null());
        let Output { status, stderr, .. } = command.output().with_context(cannot)?;
        if status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&stderr);
        let said = said.trim().trim_start_matches(name).trim_start_matches(": ");
        let said = if said.is_empty() { &status.to_string() } else { said };
        let cure = Obstacle::look(&program, said).cure(self.file, &program);
        bail!("{name} says {said:?}: {cure}")
    }
}
// ANCHOR_END: Mapper

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added_and_no_more() {
        let told = how_to_get_ids("a:100000:65536", &[GROUPS]);
        let expected =
            "/etc/subgid gives you no ids: sudo usermod --add-subgids 165536-231071 $USER";
        assert_eq!(told, expected);
        let told = how_to_get_ids("", &[USERS, GROUPS]);
        assert!(told.ends_with("--add-subuids 100000-165535 --add-subgids 100000-165535 $USER"));
    }

    #[test]
    fn a_user_has_the_lines_with_its_name_or_number() {
        let text = "learner:100000:65536\nother:165536:65536\n\n# comment\n1000:300000:10\n\
                    learner:x:5\nlearner:7\nlearner:400000:0\nlearner:500000:99999999999\n\
                    learner:-1:5\n0:1:1\n";
        let ours = ranges_in(text, Some("learner"), 1000);
        assert_eq!(ours, [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(ranges_in(text, None, 1000), [(300_000, 10)]);
        assert_eq!(ranges_in(text, Some("nobody"), 7), []);
        assert_eq!(free_behind(text), (400_000, 465_535));
        let many = "me:1:1\n".repeat(1000);
        assert_eq!(ranges_in(&many, Some("me"), 1000).len(), MAX_RANGES);
    }
}
