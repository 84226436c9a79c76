//! Extended attributes (xattr(7)): how overlayfs marks a directory, and who may set which.

use crate::system_calls::{get_xattr, set_xattr};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::utsname::uname;
use std::fs;
use std::path::Path;

/// The user namespace that the machine starts with has this number (PROC_USER_INIT_INO).
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// The attributes in which overlayfs keeps its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xattrs {
    /// `trusted.overlay.*`: only the machine's root can set them.
    Trusted,
    /// `user.overlay.*`, with the mount option `userxattr`: for root in a user namespace. (That
    /// the mount succeeds says nothing: without `userxattr` it does so in there too, and fails
    /// later, at the first directory that replaces a deleted one.)
    User,
}

impl Xattrs {
    /// Options for mount(2). The features that are switched off make an upper directory that can
    /// only be read together with the very same lower ones. (`userxattr` switches them off itself.)
    pub fn mount_options(self) -> &'static str {
        match self {
            Xattrs::Trusted => "redirect_dir=off,metacopy=off,index=off",
            Xattrs::User => "userxattr",
        }
    }

    fn opaque(self) -> &'static str {
        match self {
            Xattrs::Trusted => "trusted.overlay.opaque",
            Xattrs::User => "user.overlay.opaque",
        }
    }

    /// Marks a directory opaque: what lower layers have in it is not shown.
    pub fn set_opaque(self, directory: &Path) -> nix::Result<()> {
        set_xattr(directory, self.opaque().as_ref(), b"y")
    }

    /// Whether a directory is marked opaque.
    pub fn is_opaque(self, directory: &Path) -> nix::Result<bool> {
        is_yes(directory, self.opaque())
    }
}

/// Whether an attribute is there, and says yes.
fn is_yes(path: &Path, attribute: &str) -> nix::Result<bool> {
    let mut value = [0; 1];
    match get_xattr(path, attribute.as_ref(), &mut value) {
        Ok(length) => Ok(length == 1 && value == *b"y"),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ERANGE) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether this process is in the user namespace that the machine has started with.
pub(crate) fn is_initial_user_namespace() -> Result<bool> {
    let namespace = fs::read_link("/proc/self/ns/user");
    let namespace = namespace.context("cannot tell which user namespace this is")?;
    Ok(namespace == Path::new(INITIAL_USER_NAMESPACE))
}

/// The first version of Linux whose tmpfs has `user.*` attributes.
const FIRST: (u32, u32) = (6, 6);

/// Whether this kernel's tmpfs has `user.*` attributes. (In a user namespace overlayfs needs them.)
pub fn tmpfs_has_user_attributes() -> bool {
    uname().is_ok_and(|name| {
        let release = name.release().to_string_lossy();
        version(&release).is_some_and(|version| version >= FIRST)
    })
}

/// The first two numbers of a version, such as `6.1.0-56-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-56-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("6.18.44"), Some((6, 18)));
        assert_eq!(version("6.6-rc1"), Some((6, 6)));
        assert_eq!(version("nonsense"), None);
        assert!(version("6.18.0") >= Some(FIRST) && version("5.15.0-91-generic") < Some(FIRST));
    }
}
