//! Who joins a PID namespace can be looked at by those who are in it already.
//!
//! Between setns(2) and execve(2) a process of ours is among the processes of a container, and is
//! still all of the host: its root directory, its descriptors, its memory, its executable. Runtimes
//! have been taken over in that moment (CVE-2016-9962), and by their executable (CVE-2019-5736).
//! Three things close it, and each would nearly do alone:
//!
//! * The process is **not dumpable**: /proc/PID/root, fd, exe and mem are for nobody without
//!   CAP_SYS_PTRACE (ptrace(2), PTRACE_MODE_READ).
//! * No container **has CAP_SYS_PTRACE**.
//! * The **executable is a copy in memory**, sealed: nobody can write to it, whoever opens it.

use crate::system_calls::drop_from_bounding_set;
use anyhow::{Context, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::{set_dumpable, set_name};
use nix::sys::sendfile::sendfile;
use nix::unistd::fexecve;
use std::convert::Infallible;
use std::env;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Capabilities, by their numbers (linux/capability.h).
const CAP_SYS_PTRACE: u8 = 19;

// ANCHOR: harden
/// To be called by a process that is about to join a container. It can still do everything, but
/// what it will execute cannot look into other processes of ours.
///
/// # Errors
/// Those of prctl(2): none is expected.
pub fn harden() -> Result<()> {
    set_dumpable(false).context("cannot make this process non-dumpable")?;
    drop_from_bounding_set(CAP_SYS_PTRACE)
        .map_err(|errno| anyhow!("cannot give up CAP_SYS_PTRACE: {errno}"))
}
// ANCHOR_END: harden

/// Whatever this process executes has no capabilities at all, even as root.
///
/// # Errors
/// EPERM without CAP_SETPCAP.
pub fn give_up_all_capabilities() -> Result<()> {
    for capability in 0..=u8::MAX {
        match drop_from_bounding_set(capability) {
            Ok(()) => {}
            Err(Errno::EINVAL) => break, // there are no more
            Err(errno) => bail!("cannot give up capability {capability}: {errno}"),
        }
    }
    Ok(())
}

/// So many bytes does sendfile(2) copy at most.
const MOST_AT_ONCE: usize = 0x7fff_f000;

// ANCHOR: run_from_memory
/// Starts this program again from a copy in memory, unless it is the copy.
///
/// # Errors
/// Those of memfd_create(2) and execve(2).
pub fn run_from_memory() -> Result<()> {
    let path = "/proc/self/exe";
    let own = File::open(path).with_context(|| format!("cannot open {path}"))?;
    if is_sealed(&own) {
        return set_name(c"v8-pause").context("cannot set the name of this process");
    }
    // std's way to copy files panics if sendfile(2) fails at its end.
    let copy = sealed(c"v8-pause", |memory| {
        while sendfile(&*memory, &own, None, MOST_AT_ONCE)? > 0 {}
        Ok(())
    })?;
    let words = env::args_os().map(|word| CString::new(word.into_vec()));
    let words = words.collect::<Result<Vec<_>, _>>().context("cannot copy the arguments")?;
    let variables = env::vars_os().map(|(name, value)| {
        CString::new([&name.into_vec()[..], b"=", &value.into_vec()].concat())
    });
    let variables = variables.collect::<Result<Vec<_>, _>>().context("cannot copy variables")?;
    match execute(&copy, &words, &variables)? {}
}
// ANCHOR_END: run_from_memory

/// execve(2) of an open file.
///
/// # Errors
/// Always, since success does not return.
pub fn execute(program: &File, words: &[CString], variables: &[CString]) -> Result<Infallible> {
    let Err(errno) = fexecve(program.as_fd(), words, variables);
    Err(anyhow!("cannot execute a program in memory: {errno}"))
}

/// A program in memory that nobody can change; `fill` writes it.
///
/// # Errors
/// Those of memfd_create(2) and fcntl(2), and that of `fill`.
pub fn sealed(name: &CStr, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<File> {
    const MFD_EXEC: MFdFlags = MFdFlags::from_bits_retain(0x10);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let made = match memfd_create(name, flags | MFD_EXEC) {
        Err(Errno::EINVAL) => memfd_create(name, flags), // before Linux 6.3 there was no such flag
        result => result,
    };
    let mut file = File::from(made.map_err(|errno| {
        anyhow!("cannot make a program in memory: {errno} (see sysctl vm.memfd_noexec)")
    })?);
    fill(&mut file).context("cannot copy a program into memory")?;
    seal(&file).map_err(|errno| anyhow!("cannot seal a program in memory: {errno}"))?;
    // A file that is open for writing cannot be executed (ETXTBSY).
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(&path).with_context(|| format!("cannot open {path}"))
}

/// Adds all seals. While the kernel itself still holds a page that was written, it says EBUSY. It
/// waits for some time before, on a slow machine not long enough (seen with Linux 6.1).
fn seal(file: &File) -> nix::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let start = Instant::now();
    loop {
        match fcntl(file, FcntlArg::F_ADD_SEALS(all_seals())) {
            Err(Errno::EBUSY) if start.elapsed() < PATIENCE => sleep(Duration::from_millis(1)),
            result => return result.map(drop),
        }
    }
}

fn is_sealed(file: &File) -> bool {
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).unwrap_or_default();
    SealFlag::from_bits_retain(seals).contains(all_seals())
}

fn all_seals() -> SealFlag {
    SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE
}
