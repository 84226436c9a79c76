//! The attacker's side: what runs inside the container, with no more than system calls.
//!
//! It is this program again, copied into the root file system: a command that busybox lacks is no
//! defence. It is told where its victim is, as a real attacker is who has guessed often enough.

mod cgroups;
mod descriptors;
mod files;
mod kernel;
mod network;
mod processes;
mod told;

use std::process::ExitCode;

use anyhow::Result;
use nix::errno::Errno;
use workshop::say;

use told::Told;

pub(crate) use files::{FROM_HERE, ITSELF, MARK};

/// How this program is called.
pub(super) const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// What comes before the attacker's answer in its output.
pub(super) const ANSWER: &str = "attack-answer: ";

/// An attack: from what the attacker is told to what it has got. The error is the kernel's.
pub(super) type Attacker = fn(&Told) -> Result<String, Errno>;

pub(super) use cgroups::{eat_memory, fork_without_end, open_release_agent};
pub(super) use descriptors::{
    above, leaked_descriptor, read_from_here, say_what_runs, spoil_input, spoil_output,
};
pub(super) use files::{
    change_launcher, enter_by_handle, open_by_handle, read_file, read_shared_file,
    spoil_shared_files,
};
pub(super) use kernel::{
    load_program, make_device, make_io_uring, make_user_namespace, make_vsock, mount_devices,
    mount_kernel_filesystems, read_kernel_log, set_clock, set_hostname, type_into_terminal,
    write_core_pattern,
};
pub(super) use network::{listen_to_loopback, reach_abstract, reach_loopback, reach_on_all};
pub(super) use processes::{
    kill_process, read_environment, read_key, read_memory, read_system_v_memory, read_through_root,
    see_process, signal_group,
};

/// Carries out an attack on whatever this process can reach, and prints what came of it.
///
/// # Errors
/// If that cannot be printed.
pub(super) fn run(attacker: Attacker, leaves_first: bool, told: &[String]) -> Result<ExitCode> {
    if leaves_first {
        files::walk_out_of_chroot();
    }
    match attacker(&Told(told)) {
        Ok(got) => say!("{ANSWER}got {got}")?,
        Err(errno) => say!("{ANSWER}errno {errno:?}")?,
    }
    Ok(ExitCode::SUCCESS)
}
