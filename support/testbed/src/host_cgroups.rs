//! The cgroups of a throw-away host: a tree of its own in each hierarchy of the machine.
//!
//! cgroups belong to the whole machine. So that tests cannot meet each other there, each host
//! lives in a cgroup of its own, `container-steps-test-PID-NUMBER`, and in a cgroup namespace whose
//! root that is; the host's /sys/fs/cgroup is mounted anew and shows no more than that. Whoever
//! runs the tests makes the cgroups, and removes them when the host is gone.
//!
//! A run also removes what a killed run has left. Which that is tells a lock on the directory
//! (flock(2)): the kernel opens it when its holder ends, however it ends. The number in the name
//! tells nothing, because another PID namespace has processes of the same numbers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use launcher::locked_directory::LockedDirectory;
use launcher::mountinfo::{Mount, mounts_of};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// How the names of our cgroups begin.
pub(crate) const PREFIX: &str = "container-steps-test-";

/// The controllers that hosts have, where the machine has them.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuacct", "cpuset", "pids"];

const PLACE: &str = "/sys/fs/cgroup";

/// The hierarchy of cgroups that the machine has, with a mount point for each.
struct Tree {
    mount_point: PathBuf,
    is_v2: bool,
    options: String,
}

/// The hierarchies that hosts have a part of.
fn trees() -> Result<Vec<Tree>> {
    Ok(mounts_of("self")?.into_iter().filter_map(tree_of).collect())
}

fn tree_of(mount: Mount) -> Option<Tree> {
    let is_v2 = match mount.file_system.as_str() {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let options = mount.super_options.iter().filter_map(|option| option.to_str());
    let options: Vec<_> = options.filter(|option| !["rw", "ro"].contains(option)).collect();
    let is_ours = is_v2 || options.iter().any(|option| CONTROLLERS.contains(option));
    let options = options.join(",");
    is_ours.then_some(Tree { mount_point: mount.mount_point, is_v2, options })
}

/// The cgroups of one host, from outside. They go when this is dropped.
pub(crate) struct HostCgroups {
    pub(crate) name: String,
    directories: Vec<(PathBuf, LockedDirectory)>,
}

impl HostCgroups {
    /// Makes them, as the machine's root.
    pub(crate) fn make() -> Result<HostCgroups> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            let mut made = HostCgroups { name, directories: Vec::new() };
            if made.fill()? {
                return Ok(made);
            }
        }
    }

    /// Makes one in each hierarchy. False if somebody else has one of this name somewhere.
    fn fill(&mut self) -> Result<bool> {
        for tree in trees()? {
            if tree.is_v2 {
                pass_on_controllers(&tree.mount_point)?;
            }
            let directory = tree.mount_point.join(&self.name);
            let made = make_and_lock(&directory);
            match made.with_context(|| format!("make {}", directory.display()))? {
                Some(lock) => self.directories.push((directory.clone(), lock)),
                None => return Ok(false),
            }
            if !tree.is_v2 && tree.options.split(',').any(|option| option == "cpuset") {
                // A new one of v1 has no CPU, and nobody can enter it.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    let all = fs::read_to_string(tree.mount_point.join(file))?;
                    fs::write(directory.join(file), all.trim())?;
                }
            }
        }
        Ok(true)
    }
}

impl Drop for HostCgroups {
    fn drop(&mut self) {
        for (directory, _lock) in &self.directories {
            if let Err(error) = remove(directory) {
                eprintln!("cannot remove {}: {error}", directory.display());
            }
        }
    }
}

/// Makes a cgroup and locks it. None if there is one, or if a sweep took it in between.
fn make_and_lock(directory: &Path) -> Result<Option<LockedDirectory>> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        made => made?,
    }
    Ok(LockedDirectory::try_take(AT_FDCWD, directory)?.taken())
}

/// Removes the cgroups of hosts whose test run was killed.
pub(crate) fn sweep() -> Result<()> {
    for tree in trees()? {
        for entry in fs::read_dir(tree.mount_point)?.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PREFIX)
                && let Some(_no_owner) = LockedDirectory::try_take(AT_FDCWD, &entry.path())?.taken()
            {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

/// Switches on, for the children of `directory`, those of our controllers that it has.
fn pass_on_controllers(directory: &Path) -> Result<()> {
    let available = fs::read_to_string(directory.join("cgroup.controllers"))?;
    let ours = available.split_whitespace().filter(|name| CONTROLLERS.contains(name));
    let change = ours.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
    let file = directory.join("cgroup.subtree_control");
    fs::write(&file, change).with_context(|| format!("write {}", file.display()))
}

/// Removes a cgroup and those in it. What was in them is dying.
fn remove(directory: &Path) -> io::Result<()> {
    let start = Instant::now();
    loop {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path())?;
            }
        }
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(Errno::EBUSY as i32)
                    && start.elapsed() < Duration::from_secs(5) =>
            {
                sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}

/// Moves this process, the host's init, into the host's cgroups, and makes them the roots.
pub(crate) fn enter(name: &str) -> Result<()> {
    for tree in trees()? {
        let file = tree.mount_point.join(name).join("cgroup.procs");
        fs::write(&file, "0").with_context(|| format!("write {}", file.display()))?;
    }
    unshare(CloneFlags::CLONE_NEWCGROUP).context("unshare the cgroup namespace")
}

/// Mounts /sys/fs/cgroup anew. Then the host's processes go into a cgroup `machine`, because in v2
/// what passes controllers on may hold none; the root of a real machine is exempt, ours is not.
pub(crate) fn mount_anew() -> Result<()> {
    let trees = trees()?;
    umount2(PLACE, MntFlags::MNT_DETACH).context("unmount /sys/fs/cgroup")?;
    if trees.iter().all(|tree| tree.mount_point != Path::new(PLACE)) {
        let (kind, options) = (Some("tmpfs"), Some("mode=755"));
        mount(kind, PLACE, kind, MsFlags::empty(), options).context("mount /sys/fs/cgroup")?;
    }
    for Tree { mount_point, is_v2, options } in &trees {
        fs::create_dir_all(mount_point)?;
        let kind = Some(if *is_v2 { "cgroup2" } else { "cgroup" });
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(kind, mount_point, kind, flags, Some(options.as_str()))
            .with_context(|| format!("mount {}", mount_point.display()))?;
        if *is_v2 {
            let machine = mount_point.join("machine");
            fs::create_dir(&machine)?;
            fs::write(machine.join("cgroup.procs"), "0").context("move the host's init")?;
        }
    }
    Ok(())
}
