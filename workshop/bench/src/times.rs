//! How long a container takes from start to end, beside programs that do the same or less.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use v2_mountns::CloneFlags;
use workshop::say;

use super::namespaces::in_own;
use super::payload::{DESCRIBE, Payload};
use super::programs::{self, ENVIRONMENT, Programs, find, is_root, with_environment};
use super::runtimes;
use super::scratch::Scratch;
use super::table::{Start, Table};

/// What the others do more and less than v4-utsns, in the order of the table.
const OTHERS: [(&str, &str); 8] = [
    ("fork and exec", "no container: busybox is started and waited for"),
    ("v4-utsns", "mount, PID and UTS namespace, pivot_root, /proc, /dev, a report of errors"),
    ("v4-utsns, static", "the same; no dynamic linker runs"),
    ("v4-utsns as bwrap", "the same, and the mounts that only bwrap makes"),
    ("bwrap", "the same mounts and namespaces; more: no_new_privs; less: passes no signals on"),
    (
        "unshare + chroot",
        "less: no /proc, no /dev, no hostname, chroot in place of pivot_root; \
                          more: two programs are executed on the way",
    ),
    (
        "crun",
        "more: reads config.json, keeps the state of the container in files, no \
              capabilities; told to make no cgroup",
    ),
    ("runc", "more: as crun, and a cgroup; it executes itself anew, and waits for `start`"),
];

/// Somebody who takes part: a name, and how its command line is made.
struct Contender {
    name: &'static str,
    command: Command,
    times: Vec<Duration>,
}

impl Contender {
    fn new(name: &'static str, mut command: Command) -> Self {
        // None of them has a terminal to look after. An error should be seen, so stderr is ours.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Contender { name, command, times: Vec::new() }
    }

    fn run_once(&mut self) -> Result<()> {
        let start = Instant::now();
        let status = self.command.status().with_context(|| format!("cannot run {}", self.name))?;
        self.times.push(start.elapsed());
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    fn median(&self) -> Duration {
        median(&self.times)
    }
}

/// The middle one of some times.
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The same, in milliseconds.
pub fn median_in_ms(times: &[Duration]) -> f64 {
    median(times).as_secs_f64() * 1e3
}

/// Measures every contender in one batch and fills in the ratios.
pub fn measure(
    programs: &Programs,
    scratch: &Scratch,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    if !is_root()? {
        return measure_here(programs, scratch, runs, table);
    }
    in_own(CloneFlags::empty(), || {
        runtimes::show_one_version_of_cgroups()?;
        measure_here(programs, scratch, runs, table)
    })
}

fn measure_here(
    programs: &Programs,
    scratch: &Scratch,
    runs: usize,
    table: &mut Table,
) -> Result<()> {
    let mut field = vec![
        Contender::new("fork and exec", floor(programs)),
        Contender::new("v4-utsns", stage(programs, &Extras::default(), &["true"])),
        Contender::new("v4-utsns, static", fixed(programs)),
    ];
    let mut absent = BTreeMap::new();
    match pair_with_bwrap(programs)? {
        Ok(extras) => {
            field.push(Contender::new("v4-utsns as bwrap", stage(programs, &extras, &["true"])));
            field.push(Contender::new("bwrap", bwrap(programs, &extras, &["true"])));
        }
        Err(why) => {
            absent.insert("v4-utsns as bwrap", why.clone());
            absent.insert("bwrap", why);
        }
    }
    match find("unshare") {
        Some(unshare) => {
            field.push(Contender::new("unshare + chroot", unshare_chroot(&unshare, programs)?));
        }
        None => {
            let why = "unshare is not installed (package util-linux)";
            absent.insert("unshare + chroot", why.to_owned());
        }
    }
    let bundles = scratch.make("bundles")?;
    let mut described = stage(programs, &Extras::default(), &["sh", "-c", DESCRIBE]);
    let seen = Payload::of(&mut described)?;
    for name in ["crun", "runc"] {
        match runtimes::prepare(name, programs, bundles.path(), &scratch.cgroup, &seen)? {
            Ok(command) => field.push(Contender::new(name, command)),
            Err(why) => {
                say!("{name} takes no part: {why}")?;
                absent.insert(name, why);
            }
        }
    }
    interleave(&mut field, runs)?;
    table.starts = OTHERS.map(|(name, does)| start(name, does, &field, &absent)).into();
    print_times(&table.starts)?;
    ratios(&field, &absent, table);
    Ok(())
}

fn start(
    name: &'static str,
    does: &'static str,
    field: &[Contender],
    absent: &BTreeMap<&str, String>,
) -> Start {
    let times = match field.iter().find(|contender| contender.name == name) {
        Some(contender) => {
            let fastest = contender.times.iter().min().copied().unwrap_or_default();
            Ok([fastest, contender.median()].map(|time| time.as_secs_f64() * 1e3))
        }
        None => Err(absent.get(name).cloned().unwrap_or_default()),
    };
    Start { name, does, times }
}

/// A B C, A B C, ...: whatever else the machine does meanwhile hits all of them alike.
fn interleave(field: &mut [Contender], runs: usize) -> Result<()> {
    const WARM_UP: usize = 5;
    for _ in 0..WARM_UP + runs {
        for contender in &mut *field {
            contender.run_once()?;
        }
    }
    for contender in field {
        contender.times.drain(..WARM_UP);
    }
    Ok(())
}

fn print_times(starts: &[Start]) -> Result<()> {
    say!("{:20} {:>9} {:>9}", "start to end, ms", "fastest", "median")?;
    for start in starts {
        if let Ok([fastest, median]) = &start.times {
            say!("{:20} {fastest:>9.3} {median:>9.3}", start.name)?;
        }
    }
    say!("\nWhat each does, beside v4-utsns:")?;
    for start in starts {
        say!("{:20} {}", start.name, start.does)?;
    }
    say!()
}

fn ratios(field: &[Contender], absent: &BTreeMap<&str, String>, table: &mut Table) {
    let median = |name: &str| {
        field.iter().find(|contender| contender.name == name).map(|found| found.median())
    };
    for (figure, ours, theirs, limit) in [
        ("time / bwrap, same mounts", "v4-utsns as bwrap", "bwrap", 0.8),
        ("time / unshare + chroot", "v4-utsns", "unshare + chroot", 1.0),
        ("time, static / unshare + chroot", "v4-utsns, static", "unshare + chroot", 0.7),
        ("time / fork and exec", "v4-utsns", "fork and exec", 3.0),
        ("time, static / fork and exec", "v4-utsns, static", "fork and exec", 3.0),
    ] {
        match (median(ours), median(theirs)) {
            (Some(a), Some(b)) => table.timed(figure, a.as_secs_f64() / b.as_secs_f64(), limit, ""),
            _ => {
                let why = absent.get(theirs).map_or("", String::as_str);
                table.absent(figure, &format!("at most {limit:.2}"), why);
            }
        }
    }
    for theirs in ["crun", "runc"] {
        if let (Some(a), Some(b)) = (median("v4-utsns"), median(theirs)) {
            let figure = format!("time of {theirs} / v4-utsns'");
            table.compared(&figure, b.as_secs_f64() / a.as_secs_f64());
        } else {
            let why = absent.get(theirs).map_or("", String::as_str);
            table.absent(&format!("time of {theirs} / v4-utsns'"), "-", why);
        }
    }
}

/// The least that starting a program costs: the same static program, started and waited for.
fn floor(programs: &Programs) -> Command {
    let mut command = with_environment(programs.busybox());
    command.arg("true");
    command
}

/// The static build of v4-utsns.
fn fixed(programs: &Programs) -> Command {
    let mut stage = programs::stage(&programs.fixed);
    stage.arg("true");
    stage
}

/// What each of the two gets on top of what it makes anyway, so that both make the same.
#[derive(Default)]
struct Extras {
    /// For v4-utsns: bwrap binds the host's devices where a root can make its own, and lays
    /// read-only mounts over parts of /proc; no option of bwrap turns these off.
    volumes: Vec<String>,
    /// For bwrap: file systems in memory.
    tmpfs: Vec<String>,
}

/// Finds the extras, and proves that with them both payloads see the same mounts and namespaces;
/// or tells why there is no ratio.
fn pair_with_bwrap(programs: &Programs) -> Result<Result<Extras, String>> {
    if find("bwrap").is_none() {
        return Ok(Err("bwrap is not installed (package bubblewrap)".to_owned()));
    }
    let look = |extras: &Extras| -> Result<[Payload; 2]> {
        let script = ["sh", "-c", DESCRIBE];
        let ours = Payload::of(&mut stage(programs, extras, &script))?;
        Ok([ours, Payload::of(&mut bwrap(programs, extras, &script))?])
    };
    let [ours, theirs] = match look(&Extras::default()) {
        Ok(payloads) => payloads,
        Err(error) => return Ok(Err(format!("{error:#}"))),
    };
    let tmpfs = theirs.lacks(&ours).into_iter().filter(|(_, kind)| kind == "tmpfs");
    let extras = Extras {
        volumes: ours.lacks(&theirs).iter().map(|(point, _)| volume(point)).collect(),
        tmpfs: tmpfs.map(|(point, _)| point.clone()).collect(),
    };
    let [ours, theirs] = look(&extras)?;
    let differences = ours.differences(&theirs, ["v4-utsns", "bwrap"]);
    if !differences.is_empty() {
        return Ok(Err(format!("not comparable: {}", differences.join("; "))));
    }
    say!("v4-utsns and bwrap make the same: {}.", ours.summary())?;
    if !extras.volumes.is_empty() {
        say!("Added to v4-utsns for that: -v {}", extras.volumes.join(" -v "))?;
    }
    say!()?;
    Ok(Ok(extras))
}

/// The host's file at the same place; what bwrap covers in /proc it makes read-only.
fn volume(point: &str) -> String {
    let mode = if point.starts_with("/proc/") { ":ro" } else { "" };
    format!("{point}:{point}{mode}")
}

/// v4-utsns.
fn stage(programs: &Programs, extras: &Extras, command: &[&str]) -> Command {
    let mut stage = programs::stage(&programs.dynamic);
    for volume in &extras.volumes {
        stage.args(["--volume", volume]);
    }
    stage.args(command);
    stage
}

/// bwrap with what v4-utsns makes: the same namespaces, the same mounts, the command as PID 1
/// (otherwise bwrap forks once more), and the same end when the launcher is killed.
fn bwrap(programs: &Programs, extras: &Extras, command: &[&str]) -> Command {
    let mut bwrap = with_environment("bwrap");
    bwrap.args(["--unshare-pid", "--unshare-uts", "--hostname", "container", "--as-pid-1"]);
    bwrap.args(["--die-with-parent", "--clearenv", "--chdir", "/"]);
    for (name, value) in ENVIRONMENT {
        bwrap.args(["--setenv", name, value]);
    }
    if !is_root().unwrap_or(false) {
        bwrap.args(["--unshare-user", "--uid", "0", "--gid", "0"]);
    }
    bwrap.arg("--bind").arg(&programs.rootfs).arg("/");
    bwrap.args(["--proc", "/proc", "--dev", "/dev"]);
    for directory in &extras.tmpfs {
        bwrap.args(["--perms", "1777", "--tmpfs", directory]);
    }
    bwrap.args(command);
    bwrap
}

/// The same without mounts of its own: unshare(1) starts chroot(1), which starts the command.
fn unshare_chroot(unshare: &Path, programs: &Programs) -> Result<Command> {
    let mut command = with_environment(unshare);
    command.args(["--mount", "--pid", "--uts", "--fork"]);
    if !is_root()? {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("chroot").arg(&programs.rootfs).arg("true");
    Ok(command)
}
