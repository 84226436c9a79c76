//! A small /dev: the devices that programs rely on, and none of the host's disks.

use crate::{NewRoot, open_in, system_calls};
use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mkdirat, mknodat, umask};
use nix::unistd::{fchdir, symlinkat};
use std::os::fd::OwnedFd;
use std::path::Path;

/// The devices, with their numbers (the kernel's admin-guide/devices.txt).
const DEVICES: [(&str, u64, u64); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Pseudo-terminals of the container's own, and memory that processes share by name (shm_open(3)).
const MOUNTS: [(&str, &str, MsFlags, &str); 2] = [
    ("pts", "devpts", MsFlags::empty(), "mode=620,ptmxmode=666"),
    ("shm", "tmpfs", MsFlags::MS_NODEV, "mode=1777,size=64m"),
];

impl NewRoot {
    // ANCHOR: mount_dev
    /// Mounts a /dev in memory: null, zero, full, random, urandom, tty, the links to the open
    /// descriptors, and two more mounts, pts for pseudo-terminals and shm for shared memory.
    ///
    /// # Errors
    /// If /dev of the rootfs is a symbolic link, or the kernel refuses one of the mounts.
    pub fn mount_dev(&self) -> Result<()> {
        let mode = umask(Mode::empty()); // the modes below are meant as written
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        self.mount_new("dev", "tmpfs", flags, "mode=755,size=64k")?
            .context("cannot mount tmpfs on /dev")?;
        let dev = self.mount_point("dev")?;
        for (name, major, minor) in DEVICES {
            make_device(&dev, name, makedev(major, minor))?;
        }
        for (name, target) in LINKS {
            symlinkat(target, &dev, name)
                .with_context(|| format!("cannot make the link /dev/{name}"))?;
        }
        // Nobody but us can put a link into this /dev yet: names are safe below it.
        fchdir(&dev).context("cannot enter /dev of the rootfs")?;
        for (name, kind, more_flags, options) in MOUNTS {
            mkdirat(&dev, name, Mode::from_bits_truncate(0o755))
                .and_then(|()| {
                    mount(Some(kind), name, Some(kind), flags | more_flags, Some(options))
                })
                .with_context(|| format!("cannot mount {kind} on /dev/{name}"))?;
        }
        umask(mode);
        Ok(())
    }
    // ANCHOR_END: mount_dev
}

/// Makes a device node; in a user namespace, where nobody may, binds the host's instead.
fn make_device(dev: &OwnedFd, name: &str, number: u64) -> Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    match mknodat(dev, name, SFlag::S_IFCHR, mode, number) {
        Ok(()) => return Ok(()),
        Err(Errno::EPERM) => {}
        Err(errno) => return Err(anyhow!("cannot make the device /dev/{name}: {errno}")),
    }
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    openat(dev, name, flags, mode).with_context(|| format!("cannot make the file /dev/{name}"))?;
    let target = open_in(dev, Path::new(name), OFlag::empty(), ResolveFlag::empty())
        .with_context(|| format!("cannot open /dev/{name} of the rootfs"))?;
    system_calls::clone_mounts(AT_FDCWD, &Path::new("/dev").join(name))
        .and_then(|host| system_calls::attach(&host, &target, Path::new("")))
        .with_context(|| format!("cannot bind the host's /dev/{name}"))
}
