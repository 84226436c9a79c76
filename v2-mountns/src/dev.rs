//! A small /dev: the devices that programs rely on, and none of the host's disks.

use crate::{NewRoot, open_in, system_calls};
use anyhow::{Context, Result, anyhow, ensure};
use launcher::lookup;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag, openat};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, makedev, mkdirat, mknodat, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, fchdir, symlinkat};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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
    /// Returns its root directory.
    ///
    /// Where 0, 1 or 2 is the host's null device, the new one takes its place.
    ///
    /// # Errors
    /// If /dev of the rootfs is a symbolic link, or the kernel refuses one of the mounts.
    pub fn mount_dev(&self) -> Result<OwnedFd> {
        let mode = umask(Mode::empty()); // the modes below are meant as written
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        let dev = self.mount_and_open("dev", "tmpfs", flags, "mode=755,size=64k")?;
        for (name, major, minor) in DEVICES {
            make_device(&dev, name, makedev(major, minor))?;
        }
        for (name, target) in LINKS {
            symlinkat(target, &dev, name)
                .with_context(|| format!("cannot make the link /dev/{name}"))?;
        }
        // Nobody but us can put a link into this /dev yet: names are safe below it.
        fchdir(&dev).context("cannot enter the new /dev")?;
        for (name, kind, more_flags, options) in MOUNTS {
            mkdirat(&dev, name, Mode::from_bits_truncate(0o755))
                .and_then(|()| {
                    mount(Some(kind), name, Some(kind), flags | more_flags, Some(options))
                })
                .with_context(|| format!("cannot mount {kind} on /dev/{name}"))?;
        }
        umask(mode);
        replace_null(&dev, Path::new("null"))?;
        Ok(dev)
    }
    // ANCHOR_END: mount_dev
}

/// Puts the null device at `path`, seen from `directory`, in the place of each of 0, 1 and 2 that
/// is one: the caller's, or that of Rust's runtime for what was closed. Who owns the host's node,
/// root inside as outside, could take all rights from it by /proc/self/fd/0.
///
/// # Errors
/// Those of openat2(2); and if there is something else at `path`.
pub fn replace_null(directory: impl AsFd, path: &Path) -> Result<()> {
    let looks_null = |standard: BorrowedFd| {
        let found = fstat(standard).context("cannot look at stdin, stdout and stderr")?;
        anyhow::Ok(is_null(&found))
    };
    let stdin = looks_null(io::stdin().as_fd())?;
    let stdout = looks_null(io::stdout().as_fd())?;
    let stderr = looks_null(io::stderr().as_fd())?;
    if !(stdin || stdout || stderr) {
        return Ok(());
    }
    let advice = "it is needed where the caller's stdin, stdout or stderr is one";
    // O_NONBLOCK: if it is a FIFO, nobody is waited for.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let null = lookup::open_in(directory, path, flags, ResolveFlag::RESOLVE_NO_SYMLINKS);
    let null = null.and_then(|null| Ok((fstat(&null)?, null)));
    let (found, null) = null
        .map_err(|errno| anyhow!("cannot open /dev/null of the container: {errno} ({advice})"))?;
    ensure!(is_null(&found), "/dev/null of the container is not the device 1:3 ({advice})");
    let replace =
        |is_null, dup2: &dyn Fn() -> nix::Result<()>| if is_null { dup2() } else { Ok(()) };
    replace(stdin, &|| dup2_stdin(&null))
        .and_then(|()| replace(stdout, &|| dup2_stdout(&null)))
        .and_then(|()| replace(stderr, &|| dup2_stderr(&null)))
        .context("cannot replace the caller's /dev/null")
}

fn is_null(found: &FileStat) -> bool {
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    kind == SFlag::S_IFCHR && found.st_rdev == makedev(1, 3)
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
