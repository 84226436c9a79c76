//! All processes of this machine, and which of them are in a container.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;

use anyhow::{Context, Result};
use nix::errno::Errno;

use super::namespaces::Namespaces;
use super::process::{Directory, Status};

/// The processes that this /proc shows.
pub(super) struct Machine {
    /// What a process has that is in no container.
    pub(super) host: Uncontained,
    /// Each process by its number here. Those that ended while we looked are left out.
    pub(super) processes: BTreeMap<u32, Process>,
}

/// What PID 1 has; where that may not be read, what we have.
pub(super) struct Uncontained {
    pub(super) namespaces: Namespaces,
    root: Option<OsString>,
}

/// What is known about each process.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    pub(super) name: String,
    /// Its numbers in the PID namespaces below ours, the innermost last.
    pub(super) numbers_inside: Vec<u32>,
    /// EACCES if we may not look.
    pub(super) namespaces: nix::Result<Namespaces>,
    /// How it differs from the host's processes, if it does.
    pub(super) contained: Option<Contained>,
}

/// What is known about a process in a container.
pub(super) struct Contained {
    pub(super) command: String,
    /// Its root directory, if it is not the host's although the mounts are: chroot(2).
    pub(super) root: Option<OsString>,
}

impl Uncontained {
    pub(super) fn find() -> Result<Uncontained> {
        let of = |process| -> nix::Result<Uncontained> {
            let directory = Directory::open(process)?;
            let namespaces = Namespaces::of(&directory)?;
            Ok(Uncontained { namespaces, root: directory.link("root").ok() })
        };
        of("1").or_else(|_| of("self")).context("cannot read /proc/self (is /proc mounted?)")
    }
}

impl Machine {
    /// Looks at every process once.
    ///
    /// # Errors
    /// If /proc cannot be read. A process that may not be looked into is no error.
    pub(super) fn look() -> Result<Machine> {
        let host = Uncontained::find()?;
        let entries = fs::read_dir("/proc").context("cannot read /proc")?.flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // One that cannot be read at all has ended.
        let processes = numbers.filter_map(|pid| Some((pid, Process::look(pid, &host).ok()?)));
        let processes = processes.collect();
        Ok(Machine { host, processes })
    }

    /// How many processes nobody but root may look into.
    pub(super) fn hidden(&self) -> usize {
        self.processes.values().filter(|it| it.namespaces == Err(Errno::EACCES)).count()
    }
}

impl Process {
    fn look(pid: u32, host: &Uncontained) -> nix::Result<Process> {
        let directory = Directory::open(&pid.to_string())?;
        let status = Status::of(&directory)?;
        let namespaces = match Namespaces::of(&directory) {
            Err(errno @ (Errno::ENOENT | Errno::ESRCH)) => return Err(errno),
            result => result,
        };
        let numbers_inside = status.numbers_inside();
        let root = own_root(&directory, namespaces, host);
        let differs = match namespaces {
            Ok(own) => own.different_from(host.namespaces).next().is_some(),
            // Anybody may read that a process has more than one number.
            Err(_) => !numbers_inside.is_empty(),
        };
        let is_contained = (differs || root.is_some()) && !directory.is_kernel_thread()?;
        let contained = if is_contained {
            Some(Contained { command: directory.command(&status)?, root })
        } else {
            None
        };
        let (parent, name) = (status.parent(), status.name());
        Ok(Process { pid, parent, name, numbers_inside, namespaces, contained })
    }
}

/// The root directory of a process that has the host's mounts and sees only a part of them.
fn own_root(
    directory: &Directory,
    namespaces: nix::Result<Namespaces>,
    host: &Uncontained,
) -> Option<OsString> {
    let has_mounts_of_host = namespaces.ok()?.inode("mnt") == host.namespaces.inode("mnt");
    let root = directory.link("root").ok().filter(|_| has_mounts_of_host)?;
    (host.root.as_ref()? != &root).then_some(root)
}
