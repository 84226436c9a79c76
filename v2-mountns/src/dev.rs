//! A small /dev: the devices that programs rely on, and none of the host's disks.

use crate::mount::Mount;
use crate::new_root::NewRoot;
use anyhow::{Context, Result};
use launcher::caller::replace_null;
use launcher::lookup::open_place;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::MsFlags;
use nix::sys::stat::{Mode, SFlag, makedev, mknodat, umask};
use nix::unistd::{symlinkat, ttyname};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

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
    /// Where 0, 1 or 2 is the host's null device, the new one takes its place. Where one of them is
    /// a terminal, that gets the name /dev/console.
    ///
    /// # Errors
    /// If /dev of the rootfs is a symbolic link, or the kernel refuses one of the mounts.
    pub fn mount_dev(&self) -> Result<Mount> {
        let mode = umask(Mode::empty()); // the modes below are meant as written
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let dev = self.mount_new("dev", "tmpfs", flags, "mode=755,size=64k")?;
        for (name, major, minor) in DEVICES {
            make_device(&dev, name, makedev(major, minor))?;
        }
        for (name, target) in LINKS {
            symlinkat(target, &dev, name)
                .with_context(|| format!("cannot make the link /dev/{name}"))?;
        }
        for (name, kind, more_flags, options) in MOUNTS {
            dev.mount_below(name, kind, flags | more_flags, options).context("cannot fill /dev")?;
        }
        umask(mode);
        replace_null(&dev, Path::new("null"))?;
        if let Some(terminal) = name_of_terminal()? {
            bind_device(&dev, "console", &terminal)?;
        }
        Ok(dev)
    }
    // ANCHOR_END: mount_dev
}

/// What the host calls the terminal that is one of 0, 1 and 2. That is a name in its /dev/pts, so
/// ttyname(3) inside would find none.
fn name_of_terminal() -> Result<Option<PathBuf>> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    for standard in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        match ttyname(standard) {
            Ok(name) => return Ok(Some(name)),
            // It is none, has hung up, or has no name that is in sight.
            Err(Errno::ENOTTY | Errno::EINVAL | Errno::EIO | Errno::ENODEV | Errno::ENOENT) => {}
            Err(errno) => return Err(errno).context("cannot ask for the name of the terminal"),
        }
    }
    Ok(None)
}

// ANCHOR: make_device
/// Makes a device node; in a user namespace, where nobody may, binds the host's instead.
fn make_device(dev: &Mount, name: &str, number: u64) -> Result<()> {
    let mode = Mode::from_bits_truncate(0o666);
    match mknodat(dev, name, SFlag::S_IFCHR, mode, number) {
        Err(Errno::EPERM) => {}
        made => return made.with_context(|| format!("cannot make the device /dev/{name}")),
    }
    bind_device(dev, name, &Path::new("/dev").join(name))
}

/// Binds a device of the host over an empty file.
fn bind_device(dev: &Mount, name: &str, of_host: &Path) -> Result<()> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let place = openat(dev, name, flags, Mode::from_bits_truncate(0o666))
        .with_context(|| format!("cannot make the file /dev/{name}"))?;
    open_place(of_host)
        .and_then(|of_host| Mount::copy_of(of_host)?.attach(place))
        .with_context(|| format!("cannot bind the host's {} on /dev/{name}", of_host.display()))
}
// ANCHOR_END: make_device
