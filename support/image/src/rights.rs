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
}

impl Rights {
    /// Those of this process.
    ///
    /// # Errors
    /// Those of reading /proc/self.
    pub fn of_this_process() -> Result<Rights> {
        Ok(match is_initial_user_namespace()? {
            true => Rights { xattrs: Xattrs::Trusted, owners: Owners::All },
            false => Rights { xattrs: Xattrs::User, owners: Owners::of_user_namespace()? },
        })
    }

    /// How the name of a layer ends that was unpacked with these rights: with others it would be
    /// another one.
    pub(crate) fn suffix(&self) -> String {
        match &self.owners {
            Owners::All => String::new(),
            Owners::Root => "-userxattr".to_owned(),
            Owners::Mapped(name) => format!("-userxattr-{name}"),
        }
    }
}

/// The owners that files can have here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Everybody: this is the machine's root.
    All,
    /// Root, in a user namespace that knows nobody else.
    Root,
    /// Those whom the user namespace maps. What is unpacked with one map would belong to others
    /// with another: so each has a name.
    Mapped(String),
}

impl Owners {
    /// Those whom the user namespace of this process maps (user_namespaces(7)).
    fn of_user_namespace() -> Result<Owners> {
        let read = |path| fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let (users, groups) = (read("/proc/self/uid_map")?, read("/proc/self/gid_map")?);
        Ok(Owners::of_maps(&users, &groups))
    }

    fn of_maps(users: &str, groups: &str) -> Owners {
        let count = |map: &str| {
            let lines = map.lines().filter_map(|line| line.split_whitespace().nth(2));
            lines.filter_map(|count| count.parse::<u64>().ok()).sum::<u64>()
        };
        if count(users) <= 1 && count(groups) <= 1 {
            return Owners::Root;
        }
        let words = format!("{users}/{groups}");
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Owners::Mapped(Digest::of(words.as_bytes()).hex()[..16].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_that_differ_have_different_names() {
        let one = "         0       1000          1\n";
        assert_eq!(Owners::of_maps(one, one), Owners::Root);
        let map = |first: u32| format!("{one}         1     {first}      65536\n");
        let (here, there) = (map(100_000), map(165_536));
        let [both, other] = [Owners::of_maps(&here, &here), Owners::of_maps(&here, &there)];
        assert!(matches!(both, Owners::Mapped(_)) && both != other);
        assert_eq!(both, Owners::of_maps(&here.replace("  ", " "), &here));
        assert_ne!(Owners::of_maps(one, &here), Owners::of_maps(&here, one));
    }
}
