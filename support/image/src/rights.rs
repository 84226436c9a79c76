//! What this process may give to files: owners, and the marks of overlayfs.

use crate::digest::Digest;
use crate::xattrs::{Xattrs, is_initial_user_namespace};
use anyhow::{Context, Result};
use std::fs;

/// What this process may give to the files of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The attributes in which overlayfs keeps its marks.
    pub xattrs: Xattrs,
    /// The owners that files can have.
    pub owners: Owners,
    /// The map of ids has this name. What is unpacked with one map would belong to others with
    /// another.
    map: Option<String>,
}

/// The owners that files can have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Everybody: this is the machine's root.
    All,
    /// Root, in a user namespace that knows nobody else.
    Root,
    /// Those whom the user namespace maps.
    Mapped,
}

impl Rights {
    /// Those of this process.
    ///
    /// # Errors
    /// Those of reading /proc/self (user_namespaces(7)).
    pub fn of_this_process() -> Result<Rights> {
        if is_initial_user_namespace()? {
            return Ok(Rights { xattrs: Xattrs::Trusted, owners: Owners::All, map: None });
        }
        let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        Ok(Rights::in_user_namespace(&read("/proc/self/uid_map")?, &read("/proc/self/gid_map")?))
    }

    /// Those in a user namespace with these maps.
    pub fn in_user_namespace(users: &str, groups: &str) -> Rights {
        let count = |map: &str| {
            let lines = map.lines().filter_map(|line| line.split_whitespace().nth(2));
            lines.filter_map(|count| count.parse::<u64>().ok()).sum::<u64>()
        };
        let is_alone = count(users) <= 1 && count(groups) <= 1;
        let words = format!("{users}/{groups}");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let map = Some(Digest::of(words.as_bytes()).hex()[..16].to_owned());
        let owners = if is_alone { Owners::Root } else { Owners::Mapped };
        Rights { xattrs: Xattrs::User, owners, map }
    }

    /// How the name of a layer ends that was unpacked with these rights: with others it would be
    /// another one.
    pub(crate) fn suffix(&self) -> String {
        self.map.as_ref().map_or(String::new(), |map| format!("-userxattr-{map}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_differ_have_different_names() {
        let one = "         0       1000          1\n";
        let alone = Rights::in_user_namespace(one, one);
        assert_eq!(alone.owners, Owners::Root);
        assert_ne!(alone, Rights::in_user_namespace(one, &one.replace("1000", "50")));
        let map = |first: u32| format!("{one}         1     {first}      65536\n");
        let (here, there) = (map(100_000), map(165_536));
        let both = Rights::in_user_namespace(&here, &here);
        assert_eq!(both.owners, Owners::Mapped);
        assert_ne!(both.suffix(), Rights::in_user_namespace(&here, &there).suffix());
        assert_eq!(both, Rights::in_user_namespace(&here.replace("  ", " "), &here));
        assert_ne!(
            Rights::in_user_namespace(one, &here).suffix(),
            Rights::in_user_namespace(&here, one).suffix()
        );
    }
}
