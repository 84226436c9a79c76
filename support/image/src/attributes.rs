//! Owner, mode, time and extended attributes: from one file to another.

use crate::rights::{Owners, Rights};
use crate::system_calls::{get_xattr, list_xattrs, set_xattr};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

/// Whom a user namespace does not know the kernel shows as this user, and this group: nobody
/// (user_namespaces(7), /proc/sys/kernel/overflowuid).
const OVERFLOW: u32 = 65534;

/// Gives a file of the cache the owner, mode, time and extended attributes of another one there.
/// What overlayfs has written on that one stays there.
///
/// # Errors
/// Those of lstat(2), chown(2), chmod(2), setxattr(2) and utimensat(2).
pub(crate) fn copy_attributes(from: &Path, to: &Path, rights: &Rights) -> Result<()> {
    copy(from, to, rights, |id| id)
}

/// The same, for a root directory that anybody may have made. If it belongs to somebody whom the
/// user namespace does not know, that is not the user who is called nobody: it becomes root's.
///
/// # Errors
/// The same.
pub fn copy_attributes_of_root(from: &Path, to: &Path, rights: &Rights) -> Result<()> {
    let is_all = rights.owners == Owners::All;
    copy(from, to, rights, |id| if id == OVERFLOW && !is_all { 0 } else { id })
}

fn copy(from: &Path, to: &Path, rights: &Rights, owner: impl Fn(u32) -> u32) -> Result<()> {
    let cannot = || format!("cannot give {to:?} the attributes of {from:?}");
    let found = fs::symlink_metadata(from).with_context(cannot)?;
    if rights.owners != Owners::Root {
        lchown(to, Some(owner(found.uid())), Some(owner(found.gid()))).with_context(cannot)?;
    }
    if !found.is_symlink() {
        let mode = Permissions::from_mode(found.mode() & 0o7777);
        fs::set_permissions(to, mode).with_context(cannot)?;
    }
    for (name, value) in xattrs_of(from)? {
        match set_xattr(to, OsStr::from_bytes(&name), &value) {
            // Another file system has fewer kinds, and some are the machine's root's to give.
            Err(Errno::EOPNOTSUPP | Errno::EPERM | Errno::EINVAL) => {}
            set => set.with_context(cannot)?,
        }
    }
    let time = TimeSpec::new(found.mtime(), found.mtime_nsec());
    utimensat(AT_FDCWD, to, &time, &time, UtimensatFlags::NoFollowSymlink).with_context(cannot)
}

/// Attributes that say something about one machine, or are overlayfs's own.
pub(crate) const NOT_TAKEN: [&str; 4] =
    ["trusted.overlay.", "user.overlay.", "security.selinux", "system.nfs4_acl"];

/// The extended attributes of a file that are taken.
pub(crate) fn xattrs_of(path: &Path) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    const MAX: usize = 1 << 16; // XATTR_LIST_MAX, XATTR_SIZE_MAX: the kernel has no more
    let cannot = || format!("cannot read the attributes of {path:?}");
    let mut names = vec![0; MAX];
    let length = match list_xattrs(path, &mut names) {
        Err(Errno::EOPNOTSUPP) => 0,
        listed => listed.with_context(cannot)?,
    };
    let is_taken = |name: &&[u8]| {
        !name.is_empty() && !NOT_TAKEN.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
    };
    let mut attributes = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(is_taken) {
        let mut value = vec![0; MAX];
        let length = get_xattr(path, OsStr::from_bytes(name), &mut value).with_context(cannot)?;
        value.truncate(length);
        attributes.push((name.to_vec(), value));
    }
    Ok(attributes)
}
