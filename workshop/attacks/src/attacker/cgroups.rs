//! Attacks on the limits of cgroups, and by means of their file systems.

use std::fs::{self, File};
use std::path::Path;

use launcher::command_line::errno_of;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, pause};

use super::told::Told;
use crate::system_calls;

/// Where a file system is mounted: every container has this directory, and every host.
const PLACE: &str = "/mnt";

/// A limit in the file system of cgroup v1 and in that of v2: the files, those that have to go
/// first first, and what stands for "no limit".
struct Limit {
    controller: &'static str,
    files: [(&'static str, &'static str); 3],
}

const MEMORY: Limit = Limit {
    controller: "memory",
    files: [
        ("memory.memsw.limit_in_bytes", "-1"),
        ("memory.limit_in_bytes", "-1"),
        ("memory.max", "max"),
    ],
};

const PROCESSES: Limit =
    Limit { controller: "pids", files: [("pids.max", "max"), ("", ""), ("", "")] };

/// Uses so many mebibytes of memory, after the limit on it is lifted.
pub(crate) fn eat_memory(told: &Told) -> Result<String, Errno> {
    lift(&MEMORY, told);
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for _ in 0..told.number(0)? {
        // Memory is used when it is written to: so not with zeroes, which the kernel has anyway.
        eaten.push(vec![1; 1 << 20]);
    }
    Ok(format!("{} MiB", eaten.len()))
}

/// Makes so many processes at the same time, after the limit on them is lifted; a real one would
/// make them without end. All of them end with this one.
pub(crate) fn fork_without_end(told: &Told) -> Result<String, Errno> {
    lift(&PROCESSES, told);
    let mut children: Vec<Pid> = Vec::new();
    let mut refused = None;
    for _ in 0..told.number(0)? {
        match system_calls::fork() {
            Ok(ForkResult::Parent { child }) => children.push(child),
            Ok(ForkResult::Child) => wait_for_the_end(),
            Err(errno) => {
                refused = Some(errno);
                break;
            }
        }
    }
    for child in &children {
        // It is ours, and not waited for: nobody else can have its number.
        let _ = kill(*child, Signal::SIGKILL).and_then(|()| waitpid(*child, None));
    }
    refused.map_or_else(|| Ok(format!("{} processes", children.len())), Err)
}

fn wait_for_the_end() -> ! {
    // If it fails, the parent's own SIGKILL ends this process all the same.
    let _ = set_pdeathsig(Signal::SIGKILL);
    loop {
        pause();
    }
}

/// Lifts the limit on this process, if it is told its value, and if the kernel lets it. Where there
/// is none it is told nothing: the cgroups that it sees there are the machine's own. And a file
/// with another value in it is left alone.
fn lift(limit: &Limit, told: &Told) {
    let Ok(value) = told.word(1) else { return };
    for (kind, options) in [("cgroup", Some(limit.controller)), ("cgroup2", None)] {
        if mount(Some(kind), PLACE, Some(kind), MsFlags::empty(), options).is_err() {
            continue;
        }
        // The cgroup namespace makes the container's cgroup the root of this.
        for (file, nothing) in limit.files {
            let file = Path::new(PLACE).join(file);
            if fs::read_to_string(&file).is_ok_and(|text| text.trim_end() == value) {
                // If it is refused, the attack ends at the limit.
                let _ = fs::write(&file, nothing);
            }
        }
        let _ = umount2(PLACE, MntFlags::MNT_DETACH);
    }
}

/// Mounts a hierarchy of cgroup v1 and opens the file in it that names a program, which the kernel
/// starts on the host, as root, when a cgroup is empty (cgroups(7)). No name is written.
///
/// The hierarchy is a new one, or one of those that the machine has.
pub(crate) fn open_release_agent(told: &Told) -> Result<String, Errno> {
    let new = format!("none,name={}", told.word(0)?);
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let there = own.lines().filter_map(|line| line.split(':').nth(1));
    let there = there.filter(|options| !options.is_empty()).map(|options| {
        if options.starts_with("name=") { format!("none,{options}") } else { options.to_owned() }
    });
    let mut refused = None;
    for options in [new].into_iter().chain(there) {
        match release_agent_of(&options) {
            Ok(()) => return Ok("open".to_owned()),
            Err(errno) => _ = refused.get_or_insert(errno),
        }
    }
    Err(refused.unwrap_or(Errno::ENOENT))
}

fn release_agent_of(options: &str) -> Result<(), Errno> {
    mount(Some("cgroup"), PLACE, Some("cgroup"), MsFlags::empty(), Some(options))?;
    let file = File::options().write(true).open(Path::new(PLACE).join("release_agent"));
    let opened = file.map(drop).map_err(|error| errno_of(&error));
    umount2(PLACE, MntFlags::MNT_DETACH)?;
    opened
}
