//! Where the cgroup file systems of this host are.
//!
//! There are two generations of cgroups, and a host can have both. In **v2** there is one tree for
//! all controllers. In **v1** each controller (memory, cpu, pids ...) has a tree of its own, or
//! shares one with a few others. Which it is cannot be told by names of directories: each file
//! system is asked for its magic number (statfs(2)).

use anyhow::{Context, Result, bail};
use launcher::mountinfo::{Mount, mounts_of};
use nix::errno::Errno;
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, FsType, statfs};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where systemd mounts cgroups, on every distribution.
const USUAL_PLACE: &str = "/sys/fs/cgroup";

/// The generation of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One tree for all controllers.
    V2,
    /// One tree for each controller.
    V1,
}

impl Version {
    fn magic(self) -> FsType {
        match self {
            Version::V2 => CGROUP2_SUPER_MAGIC,
            Version::V1 => CGROUP_SUPER_MAGIC,
        }
    }
}

/// What a host has of the two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// cgroup v2 alone: any current distribution.
    Unified,
    /// The controllers are v1's, and a v2 tree without them is mounted beside.
    Hybrid,
    /// cgroup v1 alone.
    V1,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Unified => "cgroup v2",
            Kind::Hybrid => "cgroup v1 with v2 beside it (hybrid)",
            Kind::V1 => "cgroup v1",
        })
    }
}

/// One tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its generation.
    pub version: Version,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Which of its cgroups is seen at the mount point; `/` but for a part of a tree.
    pub root: PathBuf,
    /// The controllers in it.
    pub controllers: Vec<String>,
}

/// A controller that is needed, or (to count what is used) welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name: memory, cpu, pids.
    pub name: &'static str,
    /// Whether it is an error when the host has not got it.
    pub is_required: bool,
}

/// All trees of this host.
#[derive(Debug)]
pub struct Hierarchies {
    /// Which generations there are.
    pub kind: Kind,
    /// The trees: those of v1 first.
    pub all: Vec<Hierarchy>,
}

impl Hierarchies {
    // ANCHOR: find
    /// Looks at the mounts of this process.
    ///
    /// # Errors
    /// If no cgroup file system is mounted.
    pub fn find() -> Result<Hierarchies> {
        let known = fs::read_to_string("/proc/cgroups").context("cannot read /proc/cgroups")?;
        let known: Vec<_> = known.lines().filter_map(|line| line.split('\t').next()).collect();
        let mut all: Vec<Hierarchy> = Vec::new();
        for mut found in mounts_of("self")?.into_iter().filter_map(|it| Hierarchy::of(it, &known)) {
            match statfs(&found.mount_point) {
                Ok(it) if it.filesystem_type() == found.version.magic() => {}
                // Something else is mounted on top of it, or above.
                Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => continue,
                Err(errno) => {
                    let cannot = || format!("cannot look at {}", found.mount_point.display());
                    return Err(errno).with_context(cannot);
                }
            }
            if found.version == Version::V2 {
                let path = found.mount_point.join("cgroup.controllers");
                let names = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                found.controllers = names.split_whitespace().map(str::to_owned).collect();
            }
            let is_same_tree = |other: &Hierarchy| {
                other.version == found.version && other.controllers == found.controllers
            };
            // Of two mounts in one place the later is on top.
            all.retain(|other| other.mount_point != found.mount_point);
            if !all.iter().any(is_same_tree) {
                all.push(found);
            }
        }
        let kind = kind_of(&all, statfs(USUAL_PLACE).map(|it| it.filesystem_type()))?;
        if kind == Kind::Unified {
            all.retain(|hierarchy| hierarchy.version == Version::V2);
        }
        all.sort_by_key(|hierarchy| hierarchy.version == Version::V2);
        Ok(Hierarchies { kind, all })
    }
    // ANCHOR_END: find

    /// The trees in which a cgroup is to be made, each with those of the wanted controllers that
    /// it has. A tree with none of them (v2 on a hybrid host, usually) would only cost time.
    ///
    /// # Errors
    /// If a required controller is in none of them.
    pub fn with(&self, wanted: &[Wanted]) -> Result<Vec<(&Hierarchy, Vec<Wanted>)>> {
        for it in wanted.iter().filter(|it| it.is_required) {
            if !self.all.iter().any(|hierarchy| hierarchy.has(it.name)) {
                bail!(
                    "this host has no cgroup controller {:?} (it has {}; see /proc/cgroups: it may \
                     be switched off on the kernel's command line, or not be mounted)",
                    it.name,
                    self.kind
                );
            }
        }
        let found = self.all.iter().map(|hierarchy| {
            let its = wanted.iter().copied().filter(|it| hierarchy.has(it.name));
            (hierarchy, its.collect::<Vec<_>>())
        });
        Ok(found.filter(|(_, its)| !its.is_empty()).collect())
    }
}

// ANCHOR: kind
/// The kind of a host that has these trees and this file system in the usual place.
fn kind_of(all: &[Hierarchy], usual: nix::Result<FsType>) -> Result<Kind> {
    let has = |version| all.iter().any(|hierarchy| hierarchy.version == version);
    Ok(match (has(Version::V1), has(Version::V2)) {
        (false, true) => Kind::Unified,
        // A single controller of v1 is mounted somewhere, for an old program.
        (true, true) if usual == Ok(CGROUP2_SUPER_MAGIC) => Kind::Unified,
        (true, true) => Kind::Hybrid,
        (true, false) => Kind::V1,
        (false, false) => bail!(
            "no cgroup file system is mounted here (as root: mount -t cgroup2 none {USUAL_PLACE})"
        ),
    })
}
// ANCHOR_END: kind

impl Hierarchy {
    // ANCHOR: of
    /// What is mounted, if it is a tree of cgroups. The options of one of v1 name its controllers.
    fn of(mount: Mount, known_controllers: &[&str]) -> Option<Hierarchy> {
        let version = match mount.file_system.as_str() {
            "cgroup" => Version::V1,
            "cgroup2" => Version::V2,
            _ => return None,
        };
        let options = mount.super_options.iter().filter_map(|option| option.to_str());
        let controllers = options.filter(|option| known_controllers.contains(option));
        let controllers: Vec<_> = controllers.map(str::to_owned).collect();
        if version == Version::V1 && controllers.is_empty() {
            return None; // a tree with a name but without controllers: systemd's own of old
        }
        let Mount { mount_point, root, .. } = mount;
        Some(Hierarchy { version, mount_point, root, controllers })
    }
    // ANCHOR_END: of

    /// Whether it has a controller.
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The last part of the mount point: `memory`, `cpu,cpuacct`, `unified`.
    pub fn name(&self) -> String {
        let name = self.mount_point.file_name().unwrap_or(self.mount_point.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// The directory of the cgroup that this process is in.
    ///
    /// # Errors
    /// If it is not below the mount point: this mount shows another part of the tree.
    pub fn own_cgroup(&self) -> Result<PathBuf> {
        self.cgroup_of("self")
    }

    /// The directory of the cgroup that a process is in: its number, or `self`.
    ///
    /// # Errors
    /// As [`Hierarchy::own_cgroup`], and if there is no such process.
    pub fn cgroup_of(&self, process: &str) -> Result<PathBuf> {
        let file = format!("/proc/{process}/cgroup");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        // NUMBER:CONTROLLERS:PATH, and no controllers on the line of v2.
        let path = text.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_ours = controllers.split(',').eq(self.names_in_proc());
            is_ours.then_some(path)
        });
        let path = path.with_context(|| format!("no line of {} in {file}", self.name()))?;
        let below = Path::new(path).strip_prefix(&self.root).with_context(|| {
            format!("the cgroup {path} in {file} is not below {}", self.mount_point.display())
        })?;
        Ok(self.mount_point.join(below))
    }

    fn names_in_proc(&self) -> Vec<&str> {
        match self.version {
            Version::V2 => vec![""],
            Version::V1 => self.controllers.iter().map(String::as_str).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use launcher::mountinfo::parse;
    use nix::sys::statfs::TMPFS_MAGIC;

    const KNOWN: [&str; 4] = ["cpu", "cpuacct", "memory", "pids"];

    fn found(line: &str) -> Option<Hierarchy> {
        let mount = parse(line.as_bytes()).into_iter().next().unwrap();
        Hierarchy::of(mount, &KNOWN)
    }

    #[test]
    fn reads_mounts_of_both_generations() {
        let line = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup \
                    rw,xattr,cpu,cpuacct";
        let cpu = found(line).unwrap();
        assert_eq!(cpu.controllers, ["cpu", "cpuacct"]);
        assert_eq!((cpu.version, cpu.name().as_str()), (Version::V1, "cpu,cpuacct"));
        let line = "35 24 0:30 /x /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate";
        let part = found(line).unwrap();
        assert_eq!((part.version, part.root.as_path()), (Version::V2, Path::new("/x")));
        for other in ["tmpfs tmpfs rw,mode=755", "cgroup cgroup rw,name=systemd"] {
            let line = format!("31 23 0:28 / /sys/fs/cgroup rw - {other}");
            assert_eq!(found(&line), None);
        }
    }

    #[test]
    fn the_usual_place_decides_between_unified_and_hybrid() {
        let tree = |version| Hierarchy {
            version,
            mount_point: "/x".into(),
            root: "/".into(),
            controllers: vec![],
        };
        let (v1, v2) = (tree(Version::V1), tree(Version::V2));
        let both = [v1.clone(), v2.clone()];
        assert_eq!(kind_of(&both, Ok(TMPFS_MAGIC)).unwrap(), Kind::Hybrid);
        assert_eq!(kind_of(&both, Ok(CGROUP2_SUPER_MAGIC)).unwrap(), Kind::Unified);
        assert_eq!(kind_of(&[v2], Ok(TMPFS_MAGIC)).unwrap(), Kind::Unified);
        assert_eq!(kind_of(&[v1], Ok(TMPFS_MAGIC)).unwrap(), Kind::V1);
        assert!(kind_of(&[], Ok(TMPFS_MAGIC)).is_err());
    }
}
