//! What earlier runs have left, and how to remove it.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use launcher::command_line::{errno_in, one_line};
use launcher::mountinfo::mounts_of;
use launcher::{Caller, become_root, become_root_with_subordinate_ids, remove_tree};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::unistd::geteuid;
use v5_netns::{BRIDGE, Mode, Network};
use v6_cgroups::{Cgroup, Limits, PARENT};

use super::finding::{Finding, SETUP};
use super::{images, network};
use crate::STEPS;
use crate::child::attempt;
use crate::output::NobodyReads;
use crate::say;

pub(super) fn probe() -> Finding {
    let name = "leftovers";
    let bridge = if_nametoindex(BRIDGE).is_ok().then(|| format!("the bridge {BRIDGE}"));
    let checks = directories_of_checks().into_iter().map(|path| path.display().to_string());
    let cgroups = cgroups().into_iter().map(|path| format!("the cgroup {}", path.display()));
    let found: Vec<_> = bridge.into_iter().chain(cgroups).chain(checks).collect();
    if found.is_empty() {
        return Finding::good(name, "none");
    }
    Finding::note(name, found.join(", "))
        .because("a container is running, or its supervisor was killed")
        .cure("when no container runs any more: cargo workshop doctor --clean")
        .page(SETUP)
}

/// Directories that a check of an exercise makes and removes, unless it is killed.
fn directories_of_checks() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let owner = path.symlink_metadata().map(|found| found.uid());
        let process = name.strip_prefix(crate::host::PREFIX);
        let is_dead = process.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
        is_dead && owner.is_ok_and(|owner| owner == geteuid().as_raw())
    };
    entries.map(|entry| entry.path()).filter(is_ours).collect()
}

/// Removes what is left, each thing by whoever knows how: the bridge by step 5's own sweeper.
pub(super) fn clean() -> Result<()> {
    for directory in directories_of_checks() {
        fs::remove_dir(&directory).with_context(|| format!("cannot remove {directory:?}"))?;
        tell(format_args!("removed {}", directory.display()))?;
    }
    clean_bridge()?;
    clean_cgroups()?;
    clean_cache()?;
    match images::left()? {
        Some(left) => tell(format_args!("{left}")),
        None => Ok(()),
    }
}

/// Says what was done. If nobody reads that, what is left is removed all the same.
fn tell(text: fmt::Arguments) -> Result<()> {
    match say!("{text}") {
        Err(error) if error.is::<NobodyReads>() => Ok(()),
        said => said,
    }
}

/// The cgroups above those of step 6's containers: at the top of each hierarchy, or in our own
/// cgroup if that was delegated.
fn cgroups() -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let hierarchies = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    let places = hierarchies.chain([top.to_owned()]).chain(own.map(|own| top.join(own)));
    let mut found: Vec<_> =
        places.map(|place| place.join(PARENT)).filter(|path| path.is_dir()).collect();
    found.sort();
    found.dedup();
    found
}

/// Step 6 sweeps when it makes a cgroup, so one is made, and dropped.
fn clean_cgroups() -> Result<()> {
    let found = cgroups();
    if found.is_empty() {
        return Ok(());
    }
    let limits = Limits { pids_limit: Some(1000), ..Limits::default() };
    let swept = attempt(|| {
        let as_root = become_root(Caller::of_this_process())?;
        Cgroup::create(&as_root, &limits).map(drop)
    });
    for cgroup in found {
        let path = cgroup.display();
        match (&swept, cgroup.exists()) {
            (_, false) => tell(format_args!("removed the cgroup {path}"))?,
            (Ok(()), true) => tell(format_args!("left the cgroup {path}: a container is in it"))?,
            (Err(error), true) => tell(format_args!("left the cgroup {path}: {error}"))?,
        }
    }
    Ok(())
}

fn clean_bridge() -> Result<()> {
    if if_nametoindex(BRIDGE).is_err() {
        return Ok(());
    }
    if !geteuid().is_root() {
        tell(format_args!(
            "left the bridge {BRIDGE}: it is root's (sudo -E cargo workshop doctor --clean)"
        ))?;
        return Ok(());
    }
    // A network of step 5 sweeps when it is dropped; the host's own needs nothing made first.
    let swept = attempt(|| {
        let as_root = become_root(Caller::of_this_process())?;
        Network::create(&as_root, &network::arguments(Mode::Host)).map(drop)
    });
    swept.map_err(|error| anyhow!(error)).context("cannot sweep the bridge")?;
    match if_nametoindex(BRIDGE) {
        Ok(_) => tell(format_args!("left the bridge {BRIDGE}: a container is connected to it"))?,
        Err(_) => tell(format_args!("removed the bridge {BRIDGE} with its table"))?,
    }
    Ok(())
}

/// Removes the cache, unless a container has its root in there. The next start makes it anew.
fn clean_cache() -> Result<()> {
    let cache = Caller::of_this_process().cache()?;
    // One that was interrupted has left this.
    let doomed = cache.with_extension("removed");
    if doomed.exists() {
        remove_as_root(&doomed)?;
    }
    if !cache.exists() {
        tell(format_args!("there is no cache {}", cache.display()))?;
        return Ok(());
    }
    // Never remove a tree with something mounted in it: that would be removed too.
    if let Some(mount) =
        mounts_of("self")?.iter().find(|mount| mount.mount_point.starts_with(&cache))
    {
        let mount = &mount.mount_point;
        bail!("cannot remove {cache:?}: something is mounted on {mount:?} (umount it first)");
    }
    if let Some(user) = user_of(&cache)? {
        bail!("cannot remove {cache:?}: {user} (end it first)");
    }
    // All at once: a layer that is there is taken for a complete one.
    fs::rename(&cache, &doomed).with_context(|| format!("cannot rename {cache:?}"))?;
    remove_as_root(&doomed)?;
    tell(format_args!("removed {}", cache.display()))?;
    Ok(())
}

/// A layer has directories in which its owner may not write, and overlayfs makes one that nobody
/// may enter; and with a range of ids its files belong to others. For root, in a user namespace
/// with the same ids, that is no obstacle.
fn remove_as_root(tree: &Path) -> Result<()> {
    let removed = attempt(|| {
        become_root_with_subordinate_ids(Caller::of_this_process())?;
        remove_tree(tree).map_err(|error| match errno_in(&error) {
            Some(Errno::EPERM | Errno::EACCES) => anyhow!(
                "{} (files of a range of ids that you have no more? sudo rm -r {tree:?})",
                one_line(&error)
            ),
            _ => error,
        })
    });
    removed.map_err(|text| anyhow!(text))
}

/// Who uses the cache: a process of a container that has its root in there, or a launcher. (From
/// outside one cannot see of which directories an overlay is made, but its launcher one can see.)
fn user_of(cache: &Path) -> Result<Option<String>> {
    let roots: Vec<_> = fs::read_dir(cache)
        .with_context(|| format!("cannot list {cache:?}"))?
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .map(|found| (found.dev(), found.ino()))
        .collect();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let entry = entry.context("cannot list /proc")?;
        let pid = entry.file_name();
        let pid = pid.to_string_lossy();
        // Of a process that we may not look into, or that has ended meanwhile, there is no answer.
        let root = fs::metadata(entry.path().join("root"));
        if root.is_ok_and(|root| roots.contains(&(root.dev(), root.ino()))) {
            return Ok(Some(format!("process {pid} has its root in there")));
        }
        let Ok(program) = fs::read_link(entry.path().join("exe")) else { continue };
        let is_ours = entry.metadata().is_ok_and(|found| found.uid() == geteuid().as_raw());
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        // v8 runs from memory (memfd_create(2)).
        let name = name.trim_start_matches("memfd:").trim_end_matches(" (deleted)");
        if is_ours && STEPS.contains(&name) {
            return Ok(Some(format!("{name} runs, as process {pid}")));
        }
    }
    Ok(None)
}
