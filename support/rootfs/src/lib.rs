//! The directory that becomes `/` of a container: the user's own, or one filled with busybox.
//!
//! The busybox rootfs lies in the cache and is shared by the containers of v1 to v6: what one
//! writes, the next one sees. What one *breaks* is mended at the next start.
//!
//! The containers are root in there, so nothing in it may be trusted: a link in place of `/bin`
//! could lead us anywhere on the host. Every step below follows no symbolic link.

pub mod busybox;
mod entry;

use anyhow::{Context, Result, anyhow, bail};
use entry::{Entry, is_file, mode, time};
use launcher::command_line::one_line;
use launcher::locked_directory::LockedDirectory;
use launcher::lookup::is_directory;
use launcher::system_calls::default_action;
use launcher::{Advise, Caller, remove_tree};
use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, fchmod, lstat};
use nix::sys::time::TimeSpec;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directories of the busybox rootfs, with their modes.
const DIRECTORIES: [(&str, u32); 13] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/local", 0o755),
    ("var", 0o755),
];

/// Other names for /bin, as scripts expect them.
const LINKS: [(&str, &str); 3] = [("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin")];

/// The two files without which `id`, `whoami` and `ls -l` show bare numbers; and three empty ones,
/// places for v5 to mount its own on.
const FILES: [(&str, &str); 5] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\nnobody:x:65534:\n"),
    ("etc/hostname", ""),
    ("etc/hosts", ""),
    ("etc/resolv.conf", ""),
];

/// Directories whose time of change is set to busybox's own when the rootfs is complete. Any entry
/// that is made, removed or renamed in one of them gives it another time: the sign to look again.
const SEALED: [&str; 4] = [".", "bin", "etc", "usr"];

/// The root directory for a container: `chosen` if given, else the busybox rootfs, made on first
/// use and mended if a container damaged it.
///
/// # Errors
/// If `chosen` is no directory with something in it that this user can read; if the cache cannot be
/// written; if there is no busybox.
pub fn prepare(caller: &Caller, chosen: Option<&Path>) -> Result<PathBuf> {
    if let Some(directory) = chosen {
        return check(directory);
    }
    let rootfs = caller.rootfs()?;
    if !is_complete(&rootfs) {
        make_complete(&rootfs)?;
    }
    Ok(rootfs)
}

/// The user's own rootfs, as an absolute path.
fn check(directory: &Path) -> Result<PathBuf> {
    let cannot = || format!("cannot use {directory:?} as rootfs");
    let entries = fs::read_dir(directory).advise(|errno| match errno {
        Errno::ENOENT => "it is not made for you: give one, or leave --rootfs out",
        Errno::ENOTDIR => "a rootfs is a directory: give one, or leave --rootfs out",
        Errno::EACCES => "this user may not read it: sudo chmod a+rx, or give one of your own",
        _ => "",
    });
    let mut entries = entries.with_context(cannot)?;
    if entries.next().is_none() {
        bail!("{}: it is empty (a rootfs holds at least the command to run)", cannot());
    }
    fs::canonicalize(directory).with_context(cannot)
}

/// Whether the rootfs is as [`make_complete`] left it: five system calls, at every start.
fn is_complete(rootfs: &Path) -> bool {
    let Ok(busybox) = lstat(&rootfs.join("bin/busybox")) else { return false };
    let is_sealed = |name: &&str| {
        lstat(&rootfs.join(name)).is_ok_and(|found| {
            is_directory(&found) && mode(&found) == 0o755 && time(&found) == time(&busybox)
        })
    };
    let is_the_chosen = || match busybox::chosen() {
        None => true,
        Some(path) => fs::metadata(path).is_ok_and(|chosen| {
            (chosen.mtime(), chosen.len()) == (busybox.st_mtime, busybox.st_size.cast_unsigned())
        }),
    };
    let is_program = is_file(&busybox) && mode(&busybox) == 0o755;
    is_program && SEALED.iter().all(is_sealed) && is_the_chosen()
}

/// Makes the rootfs, or mends it. Two first runs at the same moment take turns.
fn make_complete(rootfs: &Path) -> Result<()> {
    let cache = rootfs.parent().context("the rootfs has no parent directory")?;
    // A caller who ignores SIGCHLD leaves it ignored to us, and wait(2) would find no child.
    default_action(libc::SIGCHLD).context("cannot reset SIGCHLD")?;
    let _lock = lock(cache).map_err(|error| elsewhere(rootfs, &error))?;
    if is_complete(rootfs) {
        return Ok(()); // the other first run was faster
    }
    let busybox = busybox::find_or_fetch(cache)?;
    let made = match fs::metadata(rootfs) {
        Ok(found) if found.is_dir() => mend(rootfs, &busybox),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot look at {rootfs:?}"))
        }
        _ => build(rootfs, &busybox),
    };
    made.map_err(|error| elsewhere(rootfs, &error))
}

fn elsewhere(rootfs: &Path, error: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "cannot prepare {rootfs:?}: {} (another place: XDG_CACHE_HOME for an ordinary user, or a \
         directory of your own with --rootfs)",
        one_line(error)
    )
}

/// Makes the cache directory and locks it, until the value is dropped or the process ends.
///
/// Nobody else may enter it: a container's root can make a set-user-ID program in its rootfs, and
/// whoever could reach that from the host would become its owner (CVE-2021-41091 was that).
fn lock(cache: &Path) -> Result<LockedDirectory> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(cache);
    made.with_context(|| format!("cannot make {cache:?}"))?;
    let locked = LockedDirectory::make(cache, Mode::S_IRWXU)?;
    fchmod(&locked, Mode::S_IRWXU).with_context(|| format!("cannot close {cache:?} to others"))?;
    Ok(locked)
}

/// Builds a rootfs, complete or not at all: under another name first, then renamed.
fn build(rootfs: &Path, busybox: &Path) -> Result<()> {
    let unfinished = rootfs.with_extension("unfinished");
    remove_tree(&unfinished)?;
    let built = fs::create_dir(&unfinished)
        .with_context(|| format!("cannot make {unfinished:?}"))
        .and_then(|()| mend(&unfinished, busybox))
        .and_then(|()| fs::rename(&unfinished, rootfs).context("cannot rename it"));
    if built.is_err() {
        remove_tree(&unfinished)?;
    }
    built
}

/// Brings everything that a busybox rootfs needs into `rootfs`, and leaves the rest alone.
fn mend(rootfs: &Path, busybox: &Path) -> Result<()> {
    fs::set_permissions(rootfs, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot set the mode of {rootfs:?}"))?;
    let root = File::open(rootfs).with_context(|| format!("cannot open {rootfs:?}"))?;
    for (name, mode) in DIRECTORIES {
        Entry::of(&root, name)?.mend_directory(Mode::from_bits_truncate(mode))?;
    }
    for (name, target) in LINKS {
        Entry::of(&root, name)?.mend_link(target)?;
    }
    for (name, content) in FILES {
        let entry = Entry::of(&root, name)?;
        if entry.stat()?.is_none_or(|found| !is_file(&found)) {
            entry.write(0o644, &mut content.as_bytes())?;
        }
    }
    let time = mend_busybox(&Entry::of(&root, "bin/busybox")?, busybox)?;
    for applet in busybox::applets(busybox)?.iter().filter(|applet| *applet != "busybox") {
        Entry::of(&root, &format!("bin/{applet}"))?.mend_link("busybox")?;
    }
    SEALED.iter().try_for_each(|name| Entry::of(&root, name)?.set_time(time))
}

/// Puts busybox in its place, if it is not there unchanged. Returns its time of change.
fn mend_busybox(entry: &Entry, busybox: &Path) -> Result<TimeSpec> {
    let mut file = File::open(busybox).with_context(|| format!("cannot open {busybox:?}"))?;
    let wanted = file.metadata().with_context(|| format!("cannot look at {busybox:?}"))?;
    let is_unchanged = |found: FileStat| {
        time(&found) == (wanted.mtime(), wanted.mtime_nsec())
            && (found.st_size.cast_unsigned(), mode(&found)) == (wanted.len(), 0o755)
            && is_file(&found)
    };
    let time = TimeSpec::new(wanted.mtime(), wanted.mtime_nsec());
    if !entry.stat()?.is_some_and(is_unchanged) {
        entry.write(0o755, &mut file)?;
        entry.set_time(time)?;
    }
    Ok(time)
}
