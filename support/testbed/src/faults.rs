//! Every system call of a launcher fails once, and every system call of it is its last.
//!
//! A launcher is traced once, then started again for each call that was seen: of the supervisor
//! and of its children, from the beginning of `main` to the execve(2) of the command. In each of
//! these runs one call fails. What must be so then is in `judge`.

mod calls;
pub mod descriptors;
mod open;
mod point;
mod processor;
mod table;
mod tracer;

use std::collections::BTreeSet;
use std::env;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;

use crate::host::Host;
use crate::leaks::{Allowed, Snapshot};
use crate::pace::slowed;
use crate::running::{Outcome, wait_for_end_of_links};
use crate::suite::Suite;
use point::Point;
use table::{Exception, FALL_BACKS, IGNORED, TOLD_AS};
use tracer::{Fault, Traced};

/// Each call brings the host to where it was, and gives a launcher to start. Dropped, it takes
/// back what it needed for that.
pub type Starts<'a> = Box<dyn Fn() -> Command + 'a>;

/// Prepares a host for launchers that shall have faults.
pub type Prepare = for<'a> fn(&'a Host) -> Starts<'a>;

/// How often a launcher is started again, if it did not come to the call that was to fail.
const ATTEMPTS: usize = 20;

/// How often it is traced what happens when nothing fails, to find the calls that shall fail.
const TRACES: usize = 3;

/// How often all calls that a row of the table is about are tried, until one needs it.
const ROUNDS: usize = 5;

/// Among how many trials the calls are shared at which a launcher is killed.
const SHARES_OF_KILLS: usize = 4;

/// Which faults a trial is about.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The same errno for every call.
    Any(Errno),
    /// For each call what it can fail with by itself.
    Own,
}

/// FAULTS=all: every call fails with every errno. Else the first of each name in each process, with
/// one of them.
pub fn is_whole() -> bool {
    env::var_os("FAULTS").is_some_and(|value| value == "all")
}

/// How a trial is added to a suite: for whom.
type Add = fn(Suite, String, Box<dyn Fn(&Host)>) -> Suite;

/// Adds a trial for each kind of fault, with `name` before it.
pub fn add(suite: Suite, name: &str, prepare: Prepare) -> Suite {
    add_trials(suite, name, prepare, |suite, name, body| suite.both(name, body))
}

/// The same, but for root only.
pub fn add_for_root(suite: Suite, name: &str, prepare: Prepare) -> Suite {
    add_trials(suite, name, prepare, |suite, name, body| suite.root(name, body))
}

fn add_trials(suite: Suite, name: &str, prepare: Prepare, add: Add) -> Suite {
    let trial = format!("{} {name}", &suite.stage().name[..2]);
    let exceptions = move |host: &Host| {
        each_exception_is_needed(host, prepare, &format!("{trial} {}", host.variant()));
    };
    let suite =
        add(with_time(suite), format!("{name}_needs_its_exceptions"), Box::new(exceptions)).long();
    kinds().into_iter().enumerate().fold(suite, |suite, (share, (word, kind))| {
        let fails = move |host: &Host| each_call_fails(host, prepare, kind, share);
        add(suite, format!("{name}_each_call_fails_with_{word}"), Box::new(fails)).long()
    })
}

/// Adds trials in which the launcher is killed at each of its calls: with a container that does
/// not end by itself, then with one that does (`next`). The container must be gone within a second,
/// and after a next start nothing may be left.
///
/// Most of the time goes by until all is gone, so the calls are shared among trials that run side
/// by side.
pub fn add_killed(suite: Suite, alive: Prepare, next: Prepare) -> Suite {
    (0..SHARES_OF_KILLS).fold(with_time(suite), |suite, share| {
        let name = format!("killed_at_each_call_{}_of_{SHARES_OF_KILLS}", share + 1);
        suite.both(name, move |host| killed_at_each_call(host, alive, next, share)).long()
    })
}

fn killed_at_each_call(host: &Host, alive: Prepare, next: Prepare, share: usize) {
    let (alive, next) = (alive(host), next(host));
    let bench = Bench::new(host, &next);
    let start = || tracer::run_until_it_waits(&alive);
    let started = start();
    assert!(started.hung, "it has ended: {:?}", started.outcome);
    let mut tally = Tally::default();
    let of_alive = always(&start, points_of(&started));
    for (starts, seen, calls) in
        [(&alive, &started, &of_alive), (&next, &bench.normal, &bench.always)]
    {
        let is_wanted = |point: &Point| is_whole() || point.count == 1;
        let is_ours = |point: &Point| point.process.starts_with("launcher");
        let wanted = calls.iter().filter(|it| is_ours(it) && is_wanted(it));
        for point in wanted.skip(share).step_by(SHARES_OF_KILLS) {
            let path = seen.calls.iter().find(|(other, _)| other == point);
            let path = path.map_or("", |(_, path)| path);
            tally.add(point, &format!("{path:?}:"), bench.try_to_kill(starts, point));
        }
    }
    tally.end(host, "kills");
}

/// How the runs of a trial went.
#[derive(Default)]
struct Tally {
    hits: usize,
    /// Calls that did not come again.
    missed: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// `hit` is false if the call did not come again, however often it was tried.
    fn add(&mut self, point: &Point, what: &str, hit: Result<bool, String>) {
        match hit {
            Ok(true) => self.hits += 1,
            // How often a loop goes round is chance. That it is come to is none.
            Ok(false) if point.count > 1 => self.missed += 1,
            Ok(false) => self.wrong.push(format!("{point} {what} there was no such call")),
            Err(fault) => self.wrong.push(format!("{point} {what} {fault}")),
        }
    }

    fn end(self, host: &Host, what: &str) {
        let Tally { hits, missed, wrong } = self;
        assert!(wrong.is_empty(), "{} beside {hits} {what}:\n{}", wrong.len(), wrong.join("\n"));
        host.figure(format_args!("{hits} {what}, {missed} calls did not come again"));
    }
}

fn points_of(traced: &Traced) -> BTreeSet<Point> {
    traced.calls.iter().map(|(point, _)| point.clone()).collect()
}

/// Those of `seen` that are seen again each time. The others are made by chance: to wait for a lock
/// that another thread has, to read a pipe in one piece more. They may not come again.
fn always(trace: &dyn Fn() -> Traced, seen: BTreeSet<Point>) -> BTreeSet<Point> {
    (1..TRACES).fold(seen, |seen, _| &seen & &points_of(&trace()))
}

fn with_time(suite: Suite) -> Suite {
    if is_whole() { suite.time_limit(Duration::from_secs(1800)) } else { suite }
}

fn kinds() -> Vec<(String, Kind)> {
    let any = calls::ANY.map(|errno| (format!("{errno:?}").to_lowercase(), Kind::Any(errno)));
    any.into_iter().chain([("its_own_errno".to_owned(), Kind::Own)]).collect()
}

/// Of the short form, each kind gets its share of the calls.
fn each_call_fails(host: &Host, prepare: Prepare, kind: Kind, share: usize) {
    let starts = prepare(host);
    let mut bench = Bench::new(host, &starts);
    let mut tally = Tally::default();
    for (index, point) in bench.points().iter().enumerate() {
        if !is_whole() && index % kinds().len() != share {
            continue;
        }
        let errno = match kind {
            Kind::Any(errno) => Some(errno),
            Kind::Own => calls::own(&point.call).or((!is_whole()).then_some(Errno::EPERM)),
        };
        let Some(errno) = errno else { continue };
        let hit = bench.try_point(point, errno, &|_| true);
        tally.add(point, &format!("{errno:?}"), hit);
    }
    tally.end(host, "runs with a fault");
}

/// Lets calls fail that are in the table of exceptions, as if they were not.
fn each_exception_is_needed(host: &Host, prepare: Prepare, trial: &str) {
    let starts = prepare(host);
    let mut bench = Bench::new(host, &starts);
    bench.has_exceptions = false;
    // Where root's cache is for who believes to be somebody else.
    host.own(host.home().join(".cache"));
    let mut wrong = Vec::new();
    for row in IGNORED.iter().filter(|row| row.needed == trial) {
        if !bench.needs(&calls::ANY, |point, _| point.call == row.call) {
            wrong.push(row.call.to_owned());
        }
    }
    for row in FALL_BACKS.iter().chain(TOLD_AS).filter(|row| row.needed == trial) {
        let errnos = if row.errnos.is_empty() { &calls::ANY } else { row.errnos };
        if !bench.needs(errnos, |point, path| row.matches(point, path)) {
            wrong.push(format!("{row:?}"));
        }
    }
    assert!(wrong.is_empty(), "nothing needs these rows of the table: {}", wrong.join("; "));
}

/// A host, and what a launcher does on it when nothing fails.
struct Bench<'a> {
    starts: &'a Starts<'a>,
    normal: Traced,
    /// The calls that it makes each time.
    always: BTreeSet<Point>,
    allowed: Allowed,
    before: Snapshot,
    /// The table of exceptions counts.
    has_exceptions: bool,
}

impl<'a> Bench<'a> {
    fn new(host: &Host, starts: &'a Starts<'a>) -> Bench<'a> {
        if let Some(refusal) = tracer::refusal() {
            host.skip(refusal);
        }
        // The first start may differ from all others. (One thing is ours: the first thread of a
        // process makes the C library use two signals, which are ignored by children before.)
        let trace = || tracer::run(&mut starts(), None);
        trace();
        let normal = trace();
        let always = always(&trace, points_of(&normal));
        let allowed = Allowed { own: host.owned(), ..host.may_leave() };
        let before = Snapshot::take(&allowed).expect("look at the host");
        Bench { starts, normal, always, allowed, before, has_exceptions: true }
    }

    /// The calls that shall fail. In the short form, the first of each name in each process.
    fn points(&self) -> BTreeSet<Point> {
        let calls = self.always.iter();
        let calls = calls.filter(|point| !IGNORED.iter().any(|row| row.call == point.call));
        calls.filter(|point| is_whole() || point.count == 1).cloned().collect()
    }

    /// Whether one of these calls, failing with one of these, is wrong. That is the proof that an
    /// exception is needed.
    fn needs(&mut self, errnos: &[Errno], is_it: impl Fn(&Point, &str) -> bool) -> bool {
        for _ in 0..ROUNDS {
            let calls = self.normal.calls.clone();
            let points = calls.iter().filter(|(point, path)| is_it(point, path));
            for (point, _) in points {
                let is_it = |path: &str| is_it(point, path);
                if errnos.iter().any(|errno| self.try_point(point, *errno, &is_it).is_err()) {
                    return true;
                }
            }
            // A pipe was read in more pieces than usual: so the numbers were those of other calls.
            self.normal = tracer::run(&mut (self.starts)(), None);
        }
        false
    }

    fn is_in(&self, rows: &[Exception], point: &Point, path: &str, errno: Errno) -> bool {
        self.has_exceptions && rows.iter().any(|row| row.is_about(point, path, errno))
    }

    /// False if the call does not come again.
    fn try_point(
        &mut self,
        point: &Point,
        errno: Errno,
        is_it: &dyn Fn(&str) -> bool,
    ) -> Result<bool, String> {
        let start = || tracer::run(&mut (self.starts)(), Some((point, Fault::Fails(errno))));
        let mut traced = start();
        for _ in 0..ATTEMPTS {
            // In how many pieces a pipe is read, nobody decides: then the number is that of
            // another call.
            if traced.hit.as_deref().is_some_and(is_it) {
                break;
            }
            traced = start();
        }
        let Some(path) = traced.hit.clone() else { return Ok(false) };
        let verdict = self.judge(point, errno, &path, &traced);
        let mut leaks = self.before.leaks_since(&self.allowed).expect("look at the host");
        let is_told = traced.outcome.stderr.contains(&format!("{errno:?}"))
            || self.is_in(FALL_BACKS, point, &path, errno);
        if !leaks.is_empty() && is_told {
            // What could not be removed, the next start removes.
            tracer::run(&mut (self.starts)(), None);
            leaks = self.before.leaks_since(&self.allowed).expect("look at the host");
        }
        let said = &traced.outcome.stderr;
        let whole = |fault: String| format!("{path:?}: {fault}\n    stderr: {said:?}");
        verdict.map_err(whole)?;
        if !leaks.is_empty() {
            // What is new now is no fault of the next ones.
            self.before = Snapshot::take(&self.allowed).expect("look at the host");
            return Err(whole(format!("left behind: {}", leaks.join("; "))));
        }
        Ok(true)
    }

    /// False if the call does not come again.
    fn try_to_kill(&self, starts: &Starts, point: &Point) -> Result<bool, String> {
        let is_hit = || tracer::run(&mut starts(), Some((point, Fault::Killed))).hit.is_some();
        // A start that was not hit ended as always, or its time was up: nothing of it is left.
        if !(0..ATTEMPTS).any(|_| is_hit()) {
            return Ok(false);
        }
        let alive = self.before.processes_since().expect("look at the processes");
        if !alive.is_empty() {
            return Err(format!("still there: {}", alive.join("; ")));
        }
        wait_for_end_of_links();
        let next = Outcome::of(&mut (self.starts)());
        if next.status != self.normal.outcome.status {
            return Err(format!("the next start: {next:?}"));
        }
        let leaks = self.before.leaks_since(&self.allowed).expect("look at the host");
        if leaks.is_empty() { Ok(true) } else { Err(format!("left behind: {}", leaks.join("; "))) }
    }

    fn judge(
        &self,
        point: &Point,
        errno: Errno,
        path: &str,
        traced: &Traced,
    ) -> Result<(), String> {
        let outcome = &traced.outcome;
        if traced.hung {
            return Err("it did not end".to_owned());
        }
        let fall_back = || self.is_in(FALL_BACKS, point, path, errno);
        if traced.took > slowed(Duration::from_secs(2)) && !fall_back() {
            return Err(format!("it took {:?}", traced.took));
        }
        let normal = &self.normal.outcome;
        let name = format!("{errno:?}");
        let is_same = printed(outcome) == printed(normal);
        // A line that a supervisor could not print is missing, and that is told.
        if outcome.status == normal.status && (is_same || point.call == "write") {
            let is_told = |line: &&str| line.starts_with("Note: ") || is_error(line);
            if outcome.stderr.lines().filter(is_told).any(|line| line.contains(&name)) {
                return Ok(()); // what was to be done at the end
            }
            let is_right = is_same && fall_back();
            return if is_right { Ok(()) } else { Err("nobody noticed".to_owned()) };
        }
        let is_own = match outcome.status.code() {
            Some(125) => true,
            Some(126) => is_about_command(&point.call),
            _ => false,
        };
        if !is_own {
            return Err(format!(
                "{}, stdout {:?}",
                outcome.status,
                outcome.stdout.escape_ascii().to_string()
            ));
        }
        let [line] = outcome.complaints()[..] else {
            return Err("not one line".to_owned());
        };
        let is_so = |row: &&Exception| self.has_exceptions && row.is_about(point, path, errno);
        let names = TOLD_AS.iter().filter(is_so);
        let mut names = names.map(|row| row.told).chain([&*name]);
        let is_clear = is_error(line) && names.any(|name| line.contains(name));
        if is_clear { Ok(()) } else { Err("not a clear line".to_owned()) }
    }
}

/// Whether a call executes the command, or looks before at what will be executed.
fn is_about_command(call: &str) -> bool {
    matches!(call, "execve" | "openat2" | "statx" | "pread64")
}

/// A process in a pod may have said it: then it is the container's line.
fn is_error(line: &str) -> bool {
    line.starts_with("Error: ") || line.contains(" | Error: ")
}

/// What a launcher has printed, but for the number of a process.
fn printed(outcome: &Outcome) -> Vec<String> {
    let text = String::from_utf8_lossy(&outcome.stdout);
    let lines = text.lines().filter(|line| !line.starts_with("PAUSE_PID="));
    lines.map(str::to_owned).collect()
}
