//! What a layer has and this process cannot make: counted, and told once.

use launcher::command_line::note;
use launcher::rootless::lacks_ids;
use std::iter::Sum;
use std::ops::AddAssign;

/// How many of what could not be made as the archive has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Device nodes, which only the machine's root can make.
    pub devices: usize,
    /// Owners that this user namespace does not know. The file belongs to root instead.
    pub owners: usize,
    /// Extended attributes that this caller, or this file system, cannot set on the file.
    pub attributes: usize,
}

impl LeftOut {
    /// Says so, if it is anything.
    pub(crate) fn tell(&self) {
        let LeftOut { devices, owners, attributes } = self;
        let mut words = Vec::new();
        if *devices > 0 {
            words.push(format!("device nodes left out: {devices}"));
        }
        if *owners > 0 {
            let why = lacks_ids().map_or(String::new(), |why| format!(": {why}"));
            words.push(format!("files of others that belong to root now: {owners}{why}"));
        }
        if !words.is_empty() {
            note(format_args!("the image, without root: {}", words.join("; ")));
        }
        if *attributes > 0 {
            note(format_args!(
                "extended attributes of the image's files that cannot be set here, and are left \
                 out: {attributes}"
            ));
        }
    }
}

impl AddAssign for LeftOut {
    fn add_assign(&mut self, other: LeftOut) {
        self.devices += other.devices;
        self.owners += other.owners;
        self.attributes += other.attributes;
    }
}

impl Sum for LeftOut {
    fn sum<I: Iterator<Item = LeftOut>>(all: I) -> LeftOut {
        let mut sum = LeftOut::default();
        all.for_each(|one| sum += one);
        sum
    }
}
