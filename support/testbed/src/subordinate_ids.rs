//! A range of ids for the ordinary user's user namespaces (subuid(5)), which the programs
//! `newuidmap` and `newgidmap` hand out.

use std::fs;
use std::path::Path;

use crate::Host;
use crate::mounts::{OWN_ETC, SUBORDINATE_IDS as FILES};

/// The two programs, set-uid root.
const PROGRAMS: [&str; 2] = ["/usr/bin/newuidmap", "/usr/bin/newgidmap"];

impl Host {
    /// The first of the ids that [`Host::give_subordinate_ids`] gives, and how many there are: what
    /// `useradd` gives to the first user of a machine.
    pub const SUBORDINATE_IDS: (u32, u32) = (100_000, 65_536);

    /// Gives the ordinary user a range of ids, of users and of groups. Ends the trial as ignored
    /// where there is none to be had: its name ends in `_with_a_range`, for known-skips.txt.
    pub fn give_subordinate_ids(&self) {
        if let Some(reason) = self.lacks_subordinate_ids() {
            self.skip(reason);
        }
        let (first, count) = Host::SUBORDINATE_IDS;
        for file in FILES {
            self.write_subordinate_ids(file, &format!("learner:{first}:{count}\n"));
        }
    }

    /// A body of a trial, run by an ordinary user who has a range of ids.
    pub fn with_subordinate_ids(body: fn(&Host)) -> impl Fn(&Host) {
        move |host| {
            host.give_subordinate_ids();
            body(host);
        }
    }

    /// Gives one of the two files another text, after [`Host::give_subordinate_ids`].
    pub fn write_subordinate_ids(&self, file: &str, text: &str) {
        let ours = Path::new(OWN_ETC).join(file);
        fs::write(&ours, text).expect("write the host's own file");
        self.own(ours);
    }

    /// Why nobody can have a range in this host, if so.
    pub(crate) fn lacks_subordinate_ids(&self) -> Option<&'static str> {
        let is_missing = |path: &str| !Path::new(path).exists();
        if self.has_user_namespace() {
            return Some("a range of ids needs root: newuidmap has no power in a user namespace");
        }
        if PROGRAMS.into_iter().any(is_missing) {
            return Some("no newuidmap on this machine: install uidmap");
        }
        let lacks_file = FILES.iter().any(|file| is_missing(&format!("/etc/{file}")));
        lacks_file.then_some("no /etc/subuid on this machine: make the file, and /etc/subgid")
    }
}
