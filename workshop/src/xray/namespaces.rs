//! The namespaces that a process is in (namespaces(7)).

use nix::errno::Errno;

use super::process::Directory;

/// The kinds, by their names in /proc/PID/ns. The user namespace comes first: it owns the others.
pub(super) const KINDS: [&str; 8] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup", "time"];

/// The inode of the namespace of each kind. Two processes are in the same one if it is the same.
///
/// One is missing if the kernel is older than the kind, and if the process is a zombie, which
/// keeps only what its number needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Namespaces([Option<u64>; KINDS.len()]);

impl Namespaces {
    /// Those of a process. (Each thread may have its own; this is the first thread's.)
    ///
    /// # Errors
    /// EACCES if the caller may not look into the process (ptrace(2), PTRACE_MODE_READ).
    pub(super) fn of(process: &Directory) -> nix::Result<Namespaces> {
        let mut found = Namespaces::default();
        for (kind, inode) in KINDS.into_iter().zip(&mut found.0) {
            *inode = inode_of(process, kind)?;
        }
        // Even a zombie has a user namespace.
        if found == Namespaces::default() { Err(Errno::ESRCH) } else { Ok(found) }
    }

    /// Each kind with its inode, if there is one.
    pub(super) fn all(self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.into_iter().zip(self.0).filter_map(|(kind, inode)| Some((kind, inode?)))
    }

    /// The inode of one kind.
    pub(super) fn inode(self, kind: &str) -> Option<u64> {
        self.all().find_map(|(name, inode)| (name == kind).then_some(inode))
    }

    /// Those that are not the same in `other`.
    pub(super) fn different_from(
        self,
        other: Namespaces,
    ) -> impl Iterator<Item = (&'static str, u64)> {
        self.all().filter(move |(kind, inode)| other.inode(kind).is_some_and(|it| it != *inode))
    }
}

/// The inode in a link of /proc/PID/ns, such as `mnt:[4026531841]`.
pub(super) fn inode_of(process: &Directory, link: &str) -> nix::Result<Option<u64>> {
    match process.link(&format!("ns/{link}")) {
        Ok(target) => {
            let target = target.to_string_lossy();
            let inode = target.split_once(":[").and_then(|(_, rest)| rest.strip_suffix(']'));
            Ok(inode.and_then(|inode| inode.parse().ok()))
        }
        Err(Errno::ENOENT | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(errno),
    }
}
