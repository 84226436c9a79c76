//! Into the cgroup of another process, for a step that starts one more in a running container (v8).

use crate::control_file;
use crate::hierarchy::Hierarchies;
use anyhow::{Context, Result};
use nix::unistd::Pid;

/// Moves this process into the cgroups that another one is in, in every hierarchy.
///
/// # Errors
/// EACCES if the caller may not write to a cgroup above both: in v2, to leave one takes as much as
/// to enter one.
pub fn enter_that_of(other: Pid) -> Result<()> {
    for hierarchy in Hierarchies::find()?.all {
        let (own, target) = (hierarchy.own_cgroup()?, hierarchy.cgroup_of(&other.to_string())?);
        if own != target {
            control_file::write(&target, hierarchy.version.entrance(), "0")
                .with_context(|| format!("cannot enter the cgroup {target:?}"))?;
        }
    }
    Ok(())
}
