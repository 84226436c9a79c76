//! A cgroup with others in it, for a step that runs several containers as one (v8).

use crate::control_file;
use crate::group::{self, Group};
use crate::hierarchy::{Hierarchies, Kind, Wanted};
use crate::{Cgroup, Limits};
use anyhow::{Result, anyhow};
use launcher::AsRoot;
use nix::unistd::Pid;

impl Cgroup {
    /// Makes a cgroup for several containers: `limits` hold for all of them together, and the
    /// cgroup of each can have the limits in `inner`. Without any limits none is made.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_outer(_as_root: &AsRoot, limits: &Limits, inner: &[Limits]) -> Result<Cgroup> {
        let mut wanted: Vec<Wanted> = limits.controllers();
        for controller in inner.iter().flat_map(Limits::controllers) {
            if !wanted.contains(&controller) {
                wanted.push(controller);
            }
        }
        let mut cgroup = Cgroup { is_unified: false, groups: Vec::new(), limits: limits.clone() };
        if wanted.is_empty() {
            return Ok(cgroup);
        }
        let host = Hierarchies::find()?;
        group::sweep(&host)?;
        cgroup.is_unified = host.kind == Kind::Unified;
        for (hierarchy, controllers) in host.with(&wanted)? {
            let group = Group::create(host.kind, hierarchy, &controllers)?;
            group.pass_on(&controllers)?;
            cgroup.groups.push(group);
        }
        cgroup.groups.iter().try_for_each(|group| limits.write(group))?;
        Ok(cgroup)
    }

    /// Makes a cgroup in this one, in each of its hierarchies.
    ///
    /// # Errors
    /// If the kernel does not take a limit.
    pub fn create_inner(&self, name: &str, limits: &Limits) -> Result<Cgroup> {
        let groups = self.groups.iter().map(|group| group.create_inner(name));
        let groups = groups.collect::<Result<Vec<_>>>()?;
        groups.iter().try_for_each(|group| limits.write(group))?;
        Ok(Cgroup { is_unified: self.is_unified, groups, limits: limits.clone() })
    }
}

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
                .map_err(|errno| anyhow!("cannot enter the cgroup {target:?}: {errno}"))?;
        }
    }
    Ok(())
}
