//! What a command sees inside a contender: a ratio between two launchers says something only when
//! both of them build the same thing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use launcher::mountinfo;

use super::programs::succeed;

/// The script that a payload runs to describe its surroundings.
pub const DESCRIBE: &str = "cat /proc/self/mountinfo; echo; cd /proc/self/ns; \
                            for ns in *; do echo $ns $(readlink $ns); done";

/// Mounts and namespaces, as the payload saw them.
#[derive(Debug, PartialEq, Eq)]
pub struct Payload {
    /// Mount point and type of file system.
    mounts: BTreeSet<(String, String)>,
    /// Kinds of namespaces that are not the caller's.
    namespaces: BTreeSet<String>,
}

impl Payload {
    /// Runs a contender whose command is a shell with the script above.
    pub fn of(contender: &mut Command) -> Result<Self> {
        let told = String::from_utf8(succeed(contender)?)?;
        Self::parse(&told, &our_namespaces()?)
    }

    fn parse(told: &str, ours: &BTreeMap<String, String>) -> Result<Self> {
        let (table, links) = told.split_once("\n\n").context("no description came back")?;
        let mounts = table.lines().map(mount).collect::<Result<_>>()?;
        let namespaces = links
            .lines()
            .filter_map(|line| line.split_once(' '))
            .filter(|(kind, id)| ours.get(*kind).is_some_and(|own| own != id))
            .map(|(kind, _)| kind.to_owned())
            .collect();
        Ok(Payload { mounts, namespaces })
    }

    /// Mounts which the other has and this one lacks: mount point and type of file system.
    pub fn lacks(&self, other: &Payload) -> Vec<(String, String)> {
        other.mounts.difference(&self.mounts).cloned().collect()
    }

    /// Every mount but that of the root: mount point and type of file system.
    pub fn file_systems(&self) -> impl Iterator<Item = &(String, String)> {
        self.mounts.iter().filter(|(point, _)| point != "/")
    }

    /// What differs between two payloads, in words; nothing when they are alike.
    pub fn differences(&self, other: &Payload, names: [&str; 2]) -> Vec<String> {
        let mounts = |a: &Payload, b: &Payload, name: &str| -> Vec<String> {
            let only = a.mounts.difference(&b.mounts);
            only.map(|(point, kind)| format!("{kind} on {point} only in {name}")).collect()
        };
        let namespaces = |a: &Payload, b: &Payload, name: &str| -> Vec<String> {
            let only = a.namespaces.difference(&b.namespaces);
            only.map(|kind| format!("own {kind} namespace only in {name}")).collect()
        };
        [
            mounts(self, other, names[0]),
            mounts(other, self, names[1]),
            namespaces(self, other, names[0]),
            namespaces(other, self, names[1]),
        ]
        .concat()
    }

    /// One line for the reader of the table.
    pub fn summary(&self) -> String {
        let kinds: Vec<&str> = self
            .namespaces
            .iter()
            .map(String::as_str)
            .filter(|kind| !kind.ends_with("_for_children"))
            .collect();
        format!("{} mounts; own namespaces: {}", self.mounts.len(), kinds.join(", "))
    }
}

/// Mount point and file system type of one line of mountinfo.
fn mount(line: &str) -> Result<(String, String)> {
    let mount = mountinfo::parse(line.as_bytes()).pop();
    let mount = mount.with_context(|| format!("this is no line of mountinfo: {line:?}"))?;
    Ok((mount.mount_point.to_string_lossy().into_owned(), mount.file_system))
}

fn our_namespaces() -> Result<BTreeMap<String, String>> {
    let mut ours = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/ns")? {
        let entry = entry?;
        let id = fs::read_link(entry.path())?;
        ours.insert(
            entry.file_name().to_string_lossy().into_owned(),
            id.to_string_lossy().into_owned(),
        );
    }
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "65 42 254:0 /r / rw,relatime shared:1 master:2 - ext4 /dev/vda rw\n\
                        66 65 0:40 / /proc rw,nosuid - proc proc rw\n\n\
                        mnt mnt:[2]\nnet net:[7]\n";

    fn parsed(told: &str) -> Payload {
        let ours = [("mnt", "mnt:[1]"), ("net", "net:[7]")];
        let ours = ours.map(|(kind, id)| (kind.to_owned(), id.to_owned())).into();
        Payload::parse(told, &ours).unwrap()
    }

    #[test]
    fn optional_fields_do_not_shift_the_file_system_type() {
        let payload = parsed(TOLD);
        assert!(payload.mounts.contains(&("/".into(), "ext4".into())));
        assert_eq!(payload.summary(), "2 mounts; own namespaces: mnt");
    }

    #[test]
    fn what_only_one_of_them_has_is_named() {
        let less = TOLD.replace("66 65 0:40 / /proc rw,nosuid - proc proc rw\n", "");
        let less = less.replace("net:[7]", "net:[8]");
        let (a, b) = (parsed(TOLD), parsed(&less));
        assert_eq!(
            a.differences(&b, ["a", "b"]),
            ["proc on /proc only in a", "own net namespace only in b"]
        );
        assert_eq!(b.lacks(&a), [("/proc".to_owned(), "proc".to_owned())]);
        assert!(a.differences(&a, ["a", "a"]).is_empty());
    }
}
