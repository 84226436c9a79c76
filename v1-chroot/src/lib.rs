//! Step 1: a process with its own root directory.
//!
//! The one new idea is [`enter_rootfs`]: chroot(2). Everything else in this crate is what *any*
//! careful launcher needs before it can have an idea at all, one module for each concern:
//!
//! | module | what it does |
//! |---|---|
//! | [`command_line`] | options, one-line errors, exit status 125 |
//! | `caller` | what the caller has left to us: umask, stdin, stdout, stderr |
//! | [`rootfs`] | the directory that becomes `/`, filled with busybox |
//! | [`busybox`] | finds a busybox that runs without libraries, or fetches one |
//! | [`program`] | finds the programs that a launcher starts |
//! | [`rootless`] | root without root: a user namespace (skip on first reading) |
//! | [`child`] | fork, wait, pass on signals |
//! | [`signals`] | which ones, and which the command starts with |
//! | [`terminal`] | who may read the terminal, and whether it is still there |
//! | [`lookup`] | names that lead nowhere but into the root directory |
//! | `executable` | what execve(2) is about to look up: interpreters too |
//! | [`command`] | execve(2) of the command: environment, PATH, 126 and 127 |
//! | [`bounded`] | reads what others wrote: no more than so much, and without waiting |
//! | [`remove_tree`] | removes what others have filled, however deep |
//! | [`printable()`] | what others have named, fit for a terminal |

#[cfg(not(target_os = "linux"))]
compile_error!(
    "Containers are made of Linux system calls. On macOS use Lima, on Windows WSL 2: see README.md."
);

pub mod bounded;
pub mod busybox;
mod caller;
pub mod child;
pub mod command;
pub mod command_line;
mod elf_file;
mod executable;
pub mod lookup;
mod printable;
pub mod program;
mod removal;
pub mod rootfs;
pub mod rootless;
pub mod signals;
mod system_calls;
pub mod terminal;

pub use child::{Child, Forked, close_host_descriptors};
pub use command::exec;
pub use command_line::{ContainerArgs, finish, parse};
pub use printable::printable;
pub use removal::remove_tree;
pub use rootless::become_root;
pub use system_calls::{close_on_exec_from_3, exit_now};

use anyhow::{Result, anyhow};
use nix::unistd::{chdir, chroot};
use std::path::Path;

// ANCHOR: enter_rootfs
/// Makes `rootfs` the root directory of this process and of all its future children.
///
/// From here on a path that starts with `/` starts in `rootfs`, and `..` of `/` is `/` itself.
/// That is all: see chroot(2). The current directory is *not* moved, so it would stay outside and
/// be a way out; chdir(2) closes that one. (Others stay open: the chapter walks through one.)
///
/// # Errors
/// EPERM without CAP_SYS_CHROOT; ENOENT, ENOTDIR, EACCES if `rootfs` cannot be entered.
pub fn enter_rootfs(rootfs: &Path) -> Result<()> {
    chroot(rootfs).map_err(|errno| anyhow!("cannot chroot to {rootfs:?}: {errno}"))?;
    chdir("/").map_err(|errno| anyhow!("cannot enter / of {rootfs:?}: {errno}"))
}
// ANCHOR_END: enter_rootfs
