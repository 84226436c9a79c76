//! The descriptors that a launcher has open at a call, and those that lead out of the container.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;

use launcher::mountinfo::mounts_of;
use nix::unistd::Pid;

use super::calls::has_path;
use super::point::Point;

/// What was seen of a launcher's descriptors.
#[derive(Default)]
pub struct Descriptors {
    /// Every number that was one, in the launcher or in a child of it, at any call.
    pub open: BTreeSet<RawFd>,
    /// How many names were looked up in the container.
    pub look_ups: usize,
    /// The descriptors of the host that were open then, with the process, the call, and the name.
    pub ways_out: BTreeSet<String>,
}

impl Descriptors {
    /// To be called when a process of the launcher is about to make a call.
    pub(super) fn look_at(&mut self, pid: Pid, point: &Point, path: &str, is_inside: bool) {
        let all = descriptors_of(pid);
        self.open.extend(all.iter().map(|(number, _)| number));
        // Those three are what is open, where one is, and the root directory: no names of anybody.
        let is_name = has_path(&point.call).is_some() && !["", ".", "/"].contains(&path);
        if !is_inside || !is_name || point.call == "write" {
            return;
        }
        self.look_ups += 1;
        // The one pipe is the report's: there is nothing behind it but its other end.
        let mut pipes = 0;
        for (number, target) in all.into_iter().filter(|(number, _)| *number > 2) {
            pipes += usize::from(target.starts_with("pipe:"));
            let is_harmless = if target.starts_with("pipe:") { pipes == 1 } else { false };
            if !is_harmless && !is_of_own_mounts(pid, number) {
                self.ways_out.insert(format!("{point} {path:?}: {number} is {target}"));
            }
        }
    }
}

/// The numbers, and what each leads to.
fn descriptors_of(pid: Pid) -> Vec<(RawFd, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let known = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    });
    known.collect()
}

/// Whether a file was opened through a mount of the process's own mount namespace, which is the
/// container's (man 5 proc_pid_fdinfo).
pub fn is_of_own_mounts(pid: Pid, number: RawFd) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    let mounts = mounts_of(&pid.to_string()).unwrap_or_default();
    id.is_some_and(|id: u64| mounts.iter().any(|mount| mount.id == id))
}
