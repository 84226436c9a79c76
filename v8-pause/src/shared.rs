//! The namespaces of a process, as files (namespaces(7)), and how to enter them.
//!
//! /proc/PID/ns has a file for each of them. Open, it keeps the namespace alive; setns(2) enters.

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

// ANCHOR: kinds
/// Kinds of namespaces, by the names of their files. Of several, a user namespace is entered first:
/// it gives the right to enter the others that belong to it. The mount namespace is last, since it
/// takes the way to all files along. (The PID namespace is the next child's in any case.)
const KINDS: [(&str, CloneFlags); 7] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("net", CloneFlags::CLONE_NEWNET),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
];
// ANCHOR_END: kinds

/// The namespaces of a process.
#[derive(Debug)]
pub struct Namespaces {
    files: Vec<(CloneFlags, File)>,
}

impl Namespaces {
    // ANCHOR: of
    /// Opens the namespaces of a process.
    ///
    /// # Errors
    /// ENOENT if there is no such process; EACCES if it is somebody else's.
    pub fn of(pid: Pid) -> Result<Namespaces> {
        let open = |(name, kind): (&str, CloneFlags)| {
            let path = format!("/proc/{pid}/ns/{name}");
            let file = File::open(&path).with_context(|| format!("cannot open {path}"))?;
            Ok((kind, file))
        };
        Ok(Namespaces { files: KINDS.into_iter().map(open).collect::<Result<_>>()? })
    }
    // ANCHOR_END: of

    // ANCHOR: join
    /// setns(2): enters those of the given kinds. A PID namespace is not for the caller itself, but
    /// for its next child.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN over the namespace; ENOMEM for a PID namespace whose first
    /// process has ended.
    pub fn join(&self, kinds: CloneFlags) -> Result<()> {
        for (kind, file) in self.files.iter().filter(|(kind, _)| kinds.contains(*kind)) {
            setns(file, *kind).with_context(|| format!("cannot enter a namespace ({kind:?})"))?;
        }
        Ok(())
    }
    // ANCHOR_END: join

    /// Closes all but those of the given kinds.
    #[must_use]
    pub fn only(mut self, kinds: CloneFlags) -> Namespaces {
        self.files.retain(|(kind, _)| kinds.contains(*kind));
        self
    }

    /// Enters all but the mount namespace. A user namespace cannot be entered from inside.
    ///
    /// # Errors
    /// As [`Namespaces::join`].
    pub fn join_all_but_mounts(&self) -> Result<()> {
        let own = fs::metadata("/proc/self/ns/user").context("cannot look at the own namespace")?;
        let mut kinds = CloneFlags::all() - CloneFlags::CLONE_NEWNS;
        for (_, file) in self.files.iter().filter(|(kind, _)| *kind == CloneFlags::CLONE_NEWUSER) {
            let other = file.metadata().context("cannot look at a user namespace")?;
            if other.ino() == own.ino() {
                kinds.remove(CloneFlags::CLONE_NEWUSER);
            }
        }
        self.join(kinds)
    }

    /// Whether the mount namespace is that of this process: then the other one is none of a
    /// container.
    ///
    /// # Errors
    /// Those of stat(2).
    pub fn are_ours(&self) -> Result<bool> {
        let own = fs::metadata("/proc/self/ns/mnt").context("cannot look at the own namespace")?;
        Ok(own.ino() == self.mount_namespace()?)
    }

    fn mount_namespace(&self) -> Result<u64> {
        let kind = CloneFlags::CLONE_NEWNS;
        let file = self.files.iter().find(|(other, _)| *other == kind);
        let (_, file) = file.context("the mount namespace is not open")?;
        Ok(file.metadata().context("cannot look at a mount namespace")?.ino())
    }

    // ANCHOR: kill_all
    /// Kills every process in this mount namespace: those that a container leaves in the PID
    /// namespace of its pod. The first process that was there, and those that came of it, have it.
    ///
    /// # Errors
    /// Those of reading /proc, and EPERM.
    pub fn kill_all(&self) -> Result<()> {
        let mount_namespace = self.mount_namespace()?;
        if self.are_ours()? {
            return Err(anyhow!("cannot kill what a container has left: it has our own mounts"));
        }
        // A process that forks while we look may have a child that we have not seen.
        for _ in 0..1000 {
            if kill_those_in(mount_namespace)? == 0 {
                return Ok(());
            }
        }
        Err(anyhow!("cannot kill what a container has left: it forks too fast"))
    }
    // ANCHOR_END: kill_all
}

// ANCHOR: kill_those_in
fn kill_those_in(mount_namespace: u64) -> Result<usize> {
    let mut killed = 0;
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let name = entry.context("cannot list /proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let path = format!("/proc/{pid}/ns/mnt");
        // Whose namespaces we may not see is none of ours; a zombie has none any more.
        let is_there = fs::metadata(&path).is_ok_and(|found| found.ino() == mount_namespace);
        if is_there {
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                Ok(()) => killed += 1,
                Err(Errno::ESRCH) => {}
                failed => failed.with_context(|| format!("cannot kill process {pid}"))?,
            }
        }
    }
    Ok(killed)
}
// ANCHOR_END: kill_those_in

// ANCHOR: started
/// When a process was started, in the kernel's own clock (field 22 of proc_pid_stat(5)). Its number
/// comes again, with another time.
///
/// # Errors
/// ENOENT if there is no such process.
pub fn started(pid: Pid) -> Result<u64> {
    const AFTER_NAME: usize = 19; // the third field comes behind the name, which may hold blanks
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let started = fields.split_whitespace().nth(AFTER_NAME).and_then(|time| time.parse().ok());
    started.with_context(|| format!("cannot understand {path}"))
}
// ANCHOR_END: started
