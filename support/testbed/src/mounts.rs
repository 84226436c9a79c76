//! The mounts of a throw-away host: what is fresh, what is the machine's.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod, umask};
use nix::unistd::{mkdtemp, pivot_root};

use crate::host_cgroups;
use crate::identity::LEARNER;

const NONE: Option<&str> = None;

/// Files of the host's own, which lie over those in /etc.
pub const OWN_ETC: &str = "/run/testbed/etc";
/// The files in /etc that say who has which ids for user namespaces (subuid(5)).
pub const SUBORDINATE_IDS: [&str; 2] = ["subuid", "subgid"];

/// What the host's root writes below /var/lib.
pub const OWN_VAR_LIB: &str = "/run/testbed/var-lib";

/// Directories that are empty in every host, with their modes.
const FRESH: [(&str, u32); 6] = [
    ("/tmp", 0o1777),
    ("/run", 0o755),
    ("/var/cache", 0o755),
    ("/home", 0o755),
    ("/root", 0o700),
    ("/dev", 0o755),
];

/// Names a directory on a disk, which then holds those of [`FRESH`] that are on a disk on most
/// machines: a tmpfs has no `user.*` attributes before Linux 6.6. What hosts write there stays:
/// the disk is one that is thrown away, as a virtual machine's.
const DISK: &str = "TESTBED_DISK";

/// Devices every host has, with their numbers. Nodes of its own where that is allowed, so that no
/// test can change those of the machine; without real root, binds.
const DEVICES: [(&str, u64, u64); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Something of the machine that a host shall see at another place.
pub struct Bind {
    source: File,
    target: PathBuf,
    read_only: bool,
}

impl Bind {
    /// Opens `source` now; it may be covered by the time it is mounted.
    pub fn open(source: &Path, target: &Path, read_only: bool) -> Result<Bind> {
        let source = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(source)
            .with_context(|| format!("open {}", source.display()))?;
        Ok(Bind { source, target: target.to_owned(), read_only })
    }

    fn mount(&self) -> Result<()> {
        let source = format!("/proc/self/fd/{}", self.source.as_raw_fd());
        if self.source.metadata()?.is_dir() {
            fs::create_dir_all(&self.target)?;
        } else {
            fs::create_dir_all(self.target.parent().context("no parent")?)?;
            File::create(&self.target)?;
        }
        mount(Some(source.as_str()), &self.target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
            .with_context(|| format!("bind {}", self.target.display()))?;
        if self.read_only { set_read_only(&self.target) } else { Ok(()) }
    }
}

/// Turns the mounts of this mount namespace into those of a throw-away host.
///
/// The caller is PID 1 of the host's PID namespace, so that the new /proc is the host's. Its root
/// directory is the machine's, or another: then the homes and the cache in there are the host's,
/// and what it writes there stays.
pub fn furnish(root: Option<&Path>, binds: &[Bind], own_cgroups: bool) -> Result<()> {
    change_propagation(MsFlags::MS_PRIVATE)?;
    if let Some(root) = root {
        pivot(root).with_context(|| format!("make {} the root directory", root.display()))?;
    }
    let devices: Vec<Bind> = DEVICES
        .iter()
        .map(|(name, _, _)| Path::new("/dev").join(name))
        .map(|node| Bind::open(&node, &node, false))
        .collect::<Result<_>>()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, NONE).context("mount /proc")?;
    let disk = std::env::var_os(DISK).map(|disk| mkdtemp(&Path::new(&disk).join("XXXXXX")));
    let disk = disk.transpose().context("make a directory on the disk")?;
    let fresh = FRESH.into_iter().filter(|(path, _)| root.is_none() || !is_kept(path));
    for (path, mode) in fresh {
        match &disk {
            Some(disk) if !["/run", "/dev"].contains(&path) => mount_from(disk, path, mode),
            _ => mount_tmpfs(path, mode),
        }
        .with_context(|| format!("mount {path}"))?;
    }
    furnish_dev(&devices)?;
    for bind in binds {
        bind.mount()?;
    }
    // mount(8) makes this directory when it is missing, and it never is.
    fs::create_dir("/run/mount")?;
    fs::create_dir_all(OWN_ETC)?;
    if root.is_some() {
        // The machine's, which `pivot` has left on top.
        umount2("/", MntFlags::MNT_DETACH).context("unmount the machine's root directory")?;
    } else {
        furnish_accounts()?;
        set_read_only(Path::new("/"))?;
    }
    if own_cgroups {
        host_cgroups::mount_anew()?;
    }
    // systemd makes every mount shared: a launcher that forgets to cut itself off is found out.
    change_propagation(MsFlags::MS_SHARED)
}

/// Whether a directory, of another root directory, stays as it is: a person comes back to it.
fn is_kept(path: &str) -> bool {
    !["/tmp", "/run", "/dev"].contains(&path)
}

/// Makes `root` the root directory, with the machine's /sys in it. In a chroot the kernel would
/// refuse user namespaces. The old root directory is on top of the new one (man 2 pivot_root): what
/// was opened in there can still be bound.
fn pivot(root: &Path) -> Result<()> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(root), root, NONE, bind, NONE)?;
    mount(Some("/sys"), &root.join("sys"), NONE, bind, NONE).context("bind /sys")?;
    std::env::set_current_dir(root)?;
    pivot_root(".", ".")?;
    Ok(std::env::set_current_dir("/")?)
}

fn mount_tmpfs(path: &str, mode: u32) -> Result<()> {
    let no_devices = if path == "/dev" { MsFlags::empty() } else { MsFlags::MS_NODEV };
    let options = format!("mode={mode:o}");
    let flags = MsFlags::MS_NOSUID | no_devices;
    Ok(mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(options.as_str()))?)
}

/// A new directory on the disk, whose mount has the flags.
fn mount_from(disk: &Path, path: &str, mode: u32) -> Result<()> {
    let directory = disk.join(path.trim_start_matches('/').replace('/', "-"));
    fs::create_dir(&directory)?;
    fs::set_permissions(&directory, Permissions::from_mode(mode))?;
    Ok(mount(Some(&directory), path, NONE, MsFlags::MS_BIND, NONE)?)
}

fn change_propagation(propagation: MsFlags) -> Result<()> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | propagation, NONE).context("propagation of /")
}

fn furnish_dev(devices: &[Bind]) -> Result<()> {
    let mode = umask(Mode::empty());
    for ((name, major, minor), of_the_machine) in DEVICES.iter().zip(devices) {
        let node = Path::new("/dev").join(name);
        match mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(*major, *minor))
        {
            Err(Errno::EPERM) => of_the_machine.mount()?,
            result => result.with_context(|| format!("make {}", node.display()))?,
        }
    }
    umask(mode);
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, Path::new("/dev").join(name))?;
    }
    fs::create_dir("/dev/pts")?;
    let options = "newinstance,ptmxmode=0666,mode=0620";
    mount(Some("devpts"), "/dev/pts", Some("devpts"), MsFlags::MS_NOSUID, Some(options))
        .context("mount /dev/pts")?;
    fs::create_dir("/dev/shm")?;
    fs::set_permissions("/dev/shm", Permissions::from_mode(0o1777))?;
    Ok(())
}

/// The user `learner`: a home, and a line in passwd and group. Nobody has subordinate ids, so that
/// it does not depend on the machine whether a test's user has some.
fn furnish_accounts() -> Result<()> {
    let home = Path::new("/home/learner");
    fs::create_dir(home)?;
    for (file, line) in [
        ("passwd", format!("learner:x:{LEARNER}:{LEARNER}::/home/learner:/bin/sh\n")),
        ("group", format!("learner:x:{LEARNER}:\n")),
    ] {
        let theirs = fs::read_to_string(Path::new("/etc").join(file))?;
        // Ours first: the machine may have a user 1000 of its own.
        cover_in_etc(file, &(line + &theirs))?;
    }
    for file in SUBORDINATE_IDS {
        if Path::new("/etc").join(file).exists() {
            cover_in_etc(file, "")?;
        }
    }
    Ok(())
}

/// Lays a file of the host's own over one in /etc.
pub fn cover_in_etc(file: &str, text: &str) -> Result<()> {
    let (ours, etc) = (Path::new(OWN_ETC).join(file), Path::new("/etc").join(file));
    fs::write(&ours, text)?;
    mount(Some(&ours), &etc, NONE, MsFlags::MS_BIND, NONE)
        .with_context(|| format!("bind {}", etc.display()))
}

/// Lets the host's root write below /var/lib, where the machine's files are seen, too: in an
/// overlay over them. In a user namespace it could not: there the directory belongs to nobody.
pub fn furnish_var_lib() -> Result<()> {
    let [upper, work] = ["", "-work"].map(|end| format!("{OWN_VAR_LIB}{end}"));
    for directory in [&upper, &work] {
        fs::create_dir(directory)?;
    }
    let options = format!("lowerdir=/var/lib,upperdir={upper},workdir={work}");
    mount(Some("overlay"), "/var/lib", Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .context("mount an overlay at /var/lib")
}

/// Makes one mount read-only (man 2 mount_setattr). The old way, MS_REMOUNT, would have to
/// repeat the flags that a user namespace may not take away.
pub fn set_read_only(path: &Path) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: both pointers are valid for the call, and the size is that of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error()).with_context(|| format!("read-only {path:?}"));
    }
    Ok(())
}
