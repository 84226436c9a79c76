//! Attacks on processes of the host, and on what they share.

use std::fs;
use std::io::IoSliceMut;
use std::path::Path;

use launcher::command_line::errno_of;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::files::read;
use super::told::Told;
use crate::system_calls;

fn pid(told: &Told) -> Result<Pid, Errno> {
    Ok(Pid::from_raw(told.number(0)?))
}

/// kill(2).
pub(crate) fn kill_process(told: &Told) -> Result<String, Errno> {
    kill(pid(told)?, Signal::SIGKILL)?;
    Ok("killed".to_owned())
}

/// kill(2) with 0: a signal to the process group that the attacker is in. It does not harm whoever
/// blocks it.
pub(crate) fn signal_group(_: &Told) -> Result<String, Errno> {
    SigSet::from(Signal::SIGUSR1).thread_block()?;
    kill(Pid::from_raw(0), Signal::SIGUSR1)?;
    Ok("sent".to_owned())
}

/// Reads the command line of a process.
pub(crate) fn see_process(told: &Told) -> Result<String, Errno> {
    read_of_process(told, "cmdline")
}

/// Reads the environment of a process, where passwords often are.
pub(crate) fn read_environment(told: &Told) -> Result<String, Errno> {
    read_of_process(told, "environ")
}

fn read_of_process(told: &Told, name: &str) -> Result<String, Errno> {
    let path = format!("/proc/{}/{name}", pid(told)?);
    let bytes = fs::read(path).map_err(|error| errno_of(&error))?;
    Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

/// Reads a file of the host below the root directory of one of its processes.
pub(crate) fn read_through_root(told: &Told) -> Result<String, Errno> {
    read(Path::new(&format!("/proc/{}/root{}", pid(told)?, told.word(1)?)))
}

/// process_vm_readv(2).
pub(crate) fn read_memory(told: &Told) -> Result<String, Errno> {
    let (base, len) = (told.number(1)?, told.number(2)?);
    let mut bytes = vec![0; len];
    let mut local = [IoSliceMut::new(&mut bytes)];
    process_vm_readv(pid(told)?, &mut local, &[RemoteIoVec { base, len }])?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads System V shared memory by its key (sysvipc(7)).
pub(crate) fn read_system_v_memory(told: &Told) -> Result<String, Errno> {
    let bytes = system_calls::read_shared_memory(told.number(0)?, told.number(1)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a key of the session keyring by its name (keyrings(7)).
pub(crate) fn read_key(told: &Told) -> Result<String, Errno> {
    let bytes = system_calls::read_key_of_session(told.word(0)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
