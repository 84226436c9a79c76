//! Step 2: a process with its own mounts (mount_namespaces(7)).
//!
//! The new idea: a mount namespace whose mounts stay inside, and a [`NewRoot`], which becomes `/`
//! by pivot_root(2). The modules, in the order of the story:
//!
//! | module | what it does |
//! |---|---|
//! | [`new_root`] | the directory that will be `/`, its /proc, and the change of root |
//! | [`dev`] | a small /dev |
//! | [`volume`] | files and directories of the host, inside |
//! | [`tmpfs`] | directories in memory, beside them |
//! | `mount_point` | where something is mounted inside |
//! | [`mount`] | a mount as a descriptor, with a place or without |
//! | `system_calls` | all `unsafe` of this crate |

pub mod dev;
pub mod mount;
mod mount_point;
pub mod new_root;
mod system_calls;
pub mod tmpfs;
pub mod volume;

pub use mount::Mount;
pub use new_root::NewRoot;
pub use nix::sched::CloneFlags;
pub use volume::Volume;

use anyhow::{Context, Result};
use launcher::Advise;
use nix::errno::Errno;
use nix::mount::MsFlags;

// ANCHOR: unshare
/// unshare(2): gives this process new namespaces of the kinds in `kinds`.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; ENOSPC if a limit in /proc/sys/user is reached.
pub fn unshare(kinds: CloneFlags) -> Result<()> {
    let made = nix::sched::unshare(kinds).advise(|errno| match errno {
        Errno::EPERM => {
            "in a container? It lacks CAP_SYS_ADMIN, or a seccomp filter forbids it: \
             book/src/setup.md#inside-a-container-or-a-dev-container"
        }
        Errno::ENOSPC => "a limit in /proc/sys/user is reached",
        _ => "see unshare(2)",
    });
    made.with_context(|| format!("cannot make new namespaces ({kinds:?})"))
}
// ANCHOR_END: unshare

// ANCHOR: private_mounts
/// Cuts every mount of this namespace off from its copy in the host's.
///
/// A new mount namespace is a copy of the old one, but systemd makes all mounts *shared*, and the
/// copy of a shared mount is in its peer group: what is mounted below one appears below all. So
/// this comes before any other mount.
///
/// # Errors
/// EINVAL if `/` is no mount point, as in a chroot.
pub fn private_mounts() -> Result<()> {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .advise(|_| "inside a chroot? Enter by pivot_root")
        .context("cannot make the mounts private")
}
// ANCHOR_END: private_mounts
