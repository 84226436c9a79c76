//! A throw-away host: a check of an exercise and an attack have one each; bench needs less of it.
//!
//! It is made of what the course teaches, so that a faulty program spoils nothing: namespaces of
//! its own for mounts, processes, network, names and shared memory; all its mounts are shared, as
//! systemd makes them; whoever makes it is its process 1, and when that one ends, the kernel kills
//! the rest. An ordinary user is root in it.
//!
//! (The tests of the steps have another, in `support/testbed`, which is not made of the steps.)

mod commands;
mod mount_point;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use launcher::{Advise, Caller, become_root};
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::signal::SigSet;
use nix::unistd::{sethostname, setsid};
use v2_mountns::{private_mounts, unshare};
use v3_pidns::fork_into_pid_namespace;

pub use commands::Ended;
pub(crate) use commands::{StillRuns, TIME_LIMIT, kill_all};
pub use mount_point::MountPoint;
pub(crate) use mount_point::PREFIX;

/// The name of every host.
pub const NAME: &str = "host";

/// The host, as its process 1 sees it.
pub struct Host {
    directory: PathBuf,
}

impl Host {
    /// Makes the host; returns in its process 1. All its files are in a tmpfs on `mount_point`.
    ///
    /// # Errors
    /// If the kernel refuses a namespace or a mount.
    pub fn make(mount_point: &MountPoint, busybox_rootfs: &Path) -> Result<Host> {
        become_root(Caller::of_this_process())?;
        leave_machine(
            CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC,
        )?;
        // No terminal: a program that takes it for itself would stop the learner's shell.
        setsid().context("cannot leave the session")?;
        SigSet::empty().thread_set_mask().context("cannot unblock signals")?;
        sethostname(NAME).context("cannot set the hostname")?;
        let host = Host { directory: mount_point.path().to_owned() };
        mount_new("tmpfs", &host.directory)?;
        host.make_rootfs(busybox_rootfs)?;
        let flags = MsFlags::MS_REC | MsFlags::MS_SHARED;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
            .context("cannot make the mounts shared")?;
        Ok(host)
    }

    /// Where its files are: those of the caller, too.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A rootfs of the host's own: busybox, a link for each command, some directories.
    fn make_rootfs(&self, busybox_rootfs: &Path) -> Result<()> {
        let cannot = || format!("cannot make a rootfs in {:?}", self.directory);
        for name in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "www"] {
            fs::create_dir_all(self.rootfs().join(name)).with_context(cannot)?;
        }
        // Shells read from it for what they start in the background; nothing more is needed.
        File::create(self.rootfs().join("dev/null")).with_context(cannot)?;
        fs::copy(busybox_rootfs.join("bin/busybox"), self.busybox()).with_context(cannot)?;
        for entry in fs::read_dir(busybox_rootfs.join("bin")).with_context(cannot)? {
            let name = entry.with_context(cannot)?.file_name();
            if name != "busybox" {
                symlink("busybox", self.rootfs().join("bin").join(name)).with_context(cannot)?;
            }
        }
        Ok(())
    }

    /// The rootfs that programs get by `--rootfs`.
    pub fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// The busybox in it, which the host itself can run too.
    pub fn busybox(&self) -> PathBuf {
        self.rootfs().join("bin/busybox")
    }

    /// Runs any command of the host to its end, and ends what it has left. `name` is for the
    /// message.
    ///
    /// # Errors
    /// If it does not end.
    pub fn run_to_end(&self, command: &mut Command, name: &str) -> Result<Ended> {
        let ended = self.run_beside(command, name);
        kill_all()?;
        ended
    }

    /// Runs any command of the host to its end, while other processes go on.
    ///
    /// # Errors
    /// If it does not end.
    pub fn run_beside(&self, command: &mut Command, name: &str) -> Result<Ended> {
        let out = self.directory.join("stdout");
        File::create(&out).context("cannot make a file for the output")?;
        self.run_and_log(command, name, &out)
    }

    /// The same, and what it prints is added to a file, as by `>>`.
    ///
    /// # Errors
    /// If it does not end.
    pub fn run_and_log(&self, command: &mut Command, name: &str, out: &Path) -> Result<Ended> {
        commands::run(command, name, out, &self.directory.join("stderr"))
    }
}

/// Leaves the machine's processes and mounts, as root: returns in process 1 of a new PID namespace,
/// with a /proc that shows it, and with mounts that nobody else sees. The caller stands between,
/// and ends as process 1 ends. `more` are other namespaces to leave.
///
/// # Errors
/// If the kernel refuses a namespace or a mount.
pub fn leave_machine(more: CloneFlags) -> Result<()> {
    fork_into_pid_namespace()?;
    unshare(CloneFlags::CLONE_NEWNS | more)?;
    private_mounts()?;
    mount_new("proc", Path::new("/proc"))
}

/// Mounts a new file system of this type.
fn mount_new(kind: &str, target: &Path) -> Result<()> {
    mount(Some(kind), target, Some(kind), MsFlags::MS_NOSUID, None::<&str>)
        .advise(|_| "in a container? Start that one with --privileged")
        .with_context(|| format!("cannot mount {kind} on {target:?}"))
}
