//! Step 1: a process with its own root directory.
//!
//! The one new idea is [`enter_rootfs`]: chroot(2). What any careful launcher needs before it can
//! have an idea at all is in the crate `launcher`; the directory with busybox in it comes from the
//! crate `rootfs`.

mod arguments;

pub use arguments::ContainerArgs;

use anyhow::{Context, Result};
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
    chroot(rootfs).with_context(|| format!("cannot chroot to {rootfs:?}"))?;
    chdir("/").with_context(|| format!("cannot enter / of {rootfs:?}"))
}
// ANCHOR_END: enter_rootfs
