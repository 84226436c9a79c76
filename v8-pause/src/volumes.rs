//! The volumes that are made with a pod and go with it: `emptyDir`.
//!
//! They lie on disk, in the cache, in a directory that the supervisor has locked: what a killed one
//! leaves is removed by the next start. Those of the medium Memory are tmpfs. Nobody sees these but
//! the pod, and nobody has to remove them: they are in a mount namespace of the supervisor's own.
//! From there each container gets them as it gets every volume.

use crate::limits;
use anyhow::{Context, Result};
use image::temporary::{Temporary, sweep};
use launcher::command_line::{note, tell_left_behind};
use launcher::lookup::open_place;
use launcher::{Advise, AsRoot};
use manifest::{EmptyDir, Medium, Pod, Source};
use nix::mount::{MntFlags, MsFlags, umount2};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use v2_mountns::{CloneFlags, Mount, unshare};

/// The emptyDir volumes of a pod. Dropped, they are removed, whoever the files in them belong to.
#[derive(Debug)]
pub struct EmptyDirs {
    /// Those in memory.
    mounted: Vec<PathBuf>,
    /// A directory with one for each of them; none if the pod has no such volume.
    directory: Option<Temporary>,
}

impl EmptyDirs {
    // ANCHOR: create
    /// Makes them, below this cache, and removes those of dead pods.
    ///
    /// # Errors
    /// If there is no cache; those of mkdir(2), unshare(2) and mount(2).
    pub fn create(_as_root: &AsRoot, pod: &Pod, cache: Result<PathBuf>) -> Result<EmptyDirs> {
        let mut made = EmptyDirs { mounted: Vec::new(), directory: None };
        let volumes = pod.volumes.iter().filter_map(|volume| match &volume.source {
            Source::EmptyDir(empty) => Some((&volume.name, empty)),
            Source::HostPath(_) => None,
        });
        let volumes: Vec<_> = volumes.collect();
        let parent = cache.map(|cache| cache.join("volumes"));
        if volumes.is_empty() {
            parent.iter().for_each(|parent| sweep(parent)); // they can be large
            return Ok(made);
        }
        let directory = made.directory.insert(Temporary::create(&parent?)?);
        if volumes.iter().any(|(_, empty)| empty.medium == Medium::Memory) {
            have_own_mounts()?;
        }
        for (name, empty) in volumes {
            let path = directory.path().join(name);
            // As Kubernetes has it, everybody may write there.
            fs::create_dir(&path)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o777)))
                .with_context(|| format!("cannot make {path:?}"))?;
            match empty.medium {
                Medium::Memory => {
                    mount_tmpfs(&path, size(pod, empty))
                        .with_context(|| format!("cannot make the volume {name:?} in memory"))?;
                    made.mounted.push(path);
                }
                Medium::Disk if empty.size_limit.is_some() => note(format_args!(
                    "nothing keeps the volume {name:?} below its sizeLimit: it lies on disk, where \
                     kubelet looks now and then, and evicts the pod (medium: Memory has a limit)"
                )),
                Medium::Disk => {}
            }
        }
        Ok(made)
    }
    // ANCHOR_END: create

    /// Where the volume of this name is.
    ///
    /// # Errors
    /// If the pod has none.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.as_ref().context("the pod has no volume of its own")?;
        Ok(directory.path().join(name))
    }
}

impl Drop for EmptyDirs {
    fn drop(&mut self) {
        // What is mounted in here cannot be removed.
        for path in &self.mounted {
            let unmounted = umount2(path, MntFlags::MNT_DETACH);
            tell_left_behind(unmounted.with_context(|| format!("cannot unmount {path:?}")));
        }
    }
}

// ANCHOR: have_own_mounts
/// Gives this process a mount namespace of its own. What is mounted on the host comes up in it (and
/// goes from it) as before, and nothing goes the other way.
fn have_own_mounts() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let flags = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .advise(|_| "inside a chroot? Enter by pivot_root")
        .context("cannot keep mounts from the host")
}
// ANCHOR_END: have_own_mounts

/// How much one in memory may hold, as an option of tmpfs(5): its sizeLimit, if that is below what
/// the whole pod may take (kubelet), else that; without either, half of the machine's memory.
fn size(pod: &Pod, empty: &EmptyDir) -> String {
    let least = empty.size_limit.into_iter().chain(limits::of_pod(pod).memory).min();
    least.map_or_else(|| "50%".to_owned(), |bytes| bytes.to_string())
}

fn mount_tmpfs(path: &Path, size: String) -> nix::Result<()> {
    let tmpfs = Mount::new("tmpfs", MsFlags::empty(), &format!("mode=777,size={size}"))?;
    tmpfs.attach(open_place(path)?)
}
