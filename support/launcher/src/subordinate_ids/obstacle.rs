//! Why newuidmap and newgidmap fail, and what to do about it.

use crate::Capability;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why one of the programs can fail. Most of the time it says no more than EPERM.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    NoNewPrivileges,
    InContainer,
    LacksCapability(Capability),
    MountedNosuid,
    NotSetUserId,
    OtherGroup,
    Overlap,
    Unknown,
}

/// What the programs need. To write a map for somebody else takes CAP_SYS_ADMIN too.
const NEEDED: [Capability; 4] =
    [Capability::Setuid, Capability::Setgid, Capability::SysAdmin, Capability::DacOverride];

impl Obstacle {
    /// Looks for what is known to be one, those first that no other could get past.
    pub(super) fn look(program: &Path, said: &str) -> Obstacle {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let bounding = bounding_set(&status).unwrap_or(u64::MAX);
        let lacking = NEEDED.into_iter().find(|capability| !capability.is_in(bounding));
        let is_nosuid = statvfs(program).is_ok_and(|of| of.flags().contains(FsFlags::ST_NOSUID));
        match lacking {
            _ if said.contains("Invalid argument") => Obstacle::Overlap,
            _ if said.contains("different user") => Obstacle::OtherGroup,
            _ if status.lines().any(|line| line == "NoNewPrivs:\t1") => Obstacle::NoNewPrivileges,
            _ if !is_of_whole_machine(&map) => Obstacle::InContainer,
            Some(capability) => Obstacle::LacksCapability(capability),
            None if is_nosuid => Obstacle::MountedNosuid,
            None if !is_set_user_id_root(program) => Obstacle::NotSetUserId,
            None => Obstacle::Unknown,
        }
    }

    /// What to do about it.
    pub(super) fn cure(&self, file: &str, program: &Path) -> String {
        match self {
            Obstacle::NoNewPrivileges => {
                "no_new_privs is set here, so no set-user-ID program has power: start this from a \
                 shell without it"
                    .to_owned()
            }
            Obstacle::InContainer => format!(
                "in a container? It has not got the ids that its {file} gives you: give it more, \
                 or take your line out of that file"
            ),
            Obstacle::LacksCapability(capability) => format!(
                "in a container? It lacks {capability}; start that one with --cap-add {}",
                capability.to_string().trim_start_matches("CAP_")
            ),
            Obstacle::MountedNosuid => format!(
                "{program:?} is on a mount with nosuid, where no set-user-ID program has power"
            ),
            Obstacle::NotSetUserId => format!(
                "{program:?} is not set-user-ID root: sudo chmod u+s {program:?}, or install its \
                 package again"
            ),
            Obstacle::OtherGroup => {
                "your group is another than /etc/passwd has (newgrp? sg?): log in anew".to_owned()
            }
            Obstacle::Overlap => {
                format!("your ranges in {file} overlap, or hold your own id: mend them")
            }
            Obstacle::Unknown => "see newuidmap(1)".to_owned(),
        }
    }
}

fn bounding_set(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

fn is_set_user_id_root(program: &Path) -> bool {
    fs::metadata(program).is_ok_and(|found| found.mode() & 0o4000 != 0 && found.uid() == 0)
}

/// Whether a map is that of the machine's first user namespace: all ids, as themselves.
fn is_of_whole_machine(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_machine_is_told_from_a_container() {
        assert!(is_of_whole_machine("         0          0 4294967295\n"));
        assert!(!is_of_whole_machine("         0       1000          1\n"));
        assert_eq!(bounding_set("CapEff:\t0\nCapBnd:\t00000000000000c0\n"), Some(0xc0));
    }
}
