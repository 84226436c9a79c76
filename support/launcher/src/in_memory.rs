//! Programs in memory: no path leads to them, and sealed they cannot be changed by anybody.

use crate::Advise;
use crate::lookup::by_descriptor;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl::set_name;
use nix::sys::sendfile::sendfile;
use nix::unistd::fexecve;
use std::convert::Infallible;
use std::env;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// So many bytes does sendfile(2) copy at most.
const MOST_AT_ONCE: usize = 0x7fff_f000;

// ANCHOR: run_from_memory
/// Starts this program again from a copy in memory, unless it is the copy. `name` is that of the
/// process then (PR_SET_NAME of prctl(2)).
///
/// # Errors
/// Those of memfd_create(2) and execve(2).
pub fn run_from_memory(name: &CStr) -> Result<()> {
    let path = "/proc/self/exe";
    let own = File::open(path).with_context(|| format!("cannot open {path}"))?;
    if is_sealed(&own) {
        return set_name(name).context("cannot set the name of this process");
    }
    // std's way to copy files panics if sendfile(2) fails at its end.
    let copy = sealed(name, |memory| {
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
    fexecve(program.as_fd(), words, variables).context("cannot execute a program in memory")
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
    let made = made.advise(|_| "see sysctl vm.memfd_noexec");
    let mut file = File::from(made.context("cannot make a program in memory")?);
    fill(&mut file).context("cannot copy a program into memory")?;
    seal(&file).context("cannot seal a program in memory")?;
    // A file that is open for writing cannot be executed (ETXTBSY).
    let path = by_descriptor(&file);
    File::open(&path).with_context(|| format!("cannot open {}", path.display()))
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
