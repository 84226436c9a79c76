//! A limit: one file of a cgroup, and what is to stand in it.

use crate::control_file;
use anyhow::{Context, Result, bail};
use launcher::Advise;
use launcher::command_line::note;
use nix::errno::Errno;
use nix::unistd::{SysconfVar, sysconf};
use std::fs;
use std::path::Path;

/// One file and what is to stand in it.
pub(crate) struct Setting {
    file: &'static str,
    value: String,
    swap: OfSwap,
}

/// Whether it is a limit on swap, which some kernels have not got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfSwap {
    No,
    /// It goes with one on memory.
    Implied,
    /// Somebody has asked for it.
    Asked,
}

impl Setting {
    /// A limit that has to hold.
    pub(crate) fn new(file: &'static str, value: impl ToString) -> Setting {
        Setting { file, value: value.to_string(), swap: OfSwap::No }
    }

    /// The limit on swap that goes with one on memory. Old kernels, and some without swap, have no
    /// such file.
    pub(crate) fn of_swap(file: &'static str, value: impl ToString, is_asked: bool) -> Setting {
        let swap = if is_asked { OfSwap::Asked } else { OfSwap::Implied };
        Setting { swap, ..Setting::new(file, value) }
    }

    // ANCHOR: write
    /// Writes the limit, and reads it back: the kernel may have made another number of it.
    pub(crate) fn write(&self, cgroup: &Path) -> Result<()> {
        let Setting { file, value, swap } = self;
        let path = cgroup.join(file);
        let cannot = || format!("cannot write {value:?} to {path:?}");
        let cure = |errno| match errno {
            Errno::ENOENT => "this kernel has no such file: it lacks that controller, or a part",
            Errno::EINVAL => "it is too large, or larger than a cgroup above allows",
            _ => "see cgroups(7)",
        };
        match control_file::write(cgroup, file, value) {
            Err(Errno::ENOENT) if *swap != OfSwap::No => {
                swap.tell_that_it_is_not_limited(is_swapping());
                return Ok(());
            }
            result => result.advise(cure).with_context(cannot)?,
        }
        let taken = control_file::read(cgroup, file).advise(cure).with_context(cannot)?;
        let taken = taken.trim();
        match compare(value, taken) {
            Taken::Exactly => {}
            Taken::Rounded if *swap == OfSwap::Implied => {} // the limit beside it has told of that
            Taken::Rounded => note(format_args!(
                "the limit in {file} is {taken}, not {value}: the kernel counts in pages"
            )),
            Taken::Not => bail!(
                "cannot set {path:?} to {value:?}: it reads {taken:?} afterwards (more than the \
                 kernel can count?)"
            ),
        }
        Ok(())
    }
    // ANCHOR_END: write
}

/// Whether this host swaps: there is a line below the title.
fn is_swapping() -> bool {
    fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

impl OfSwap {
    /// Where nothing is swapped out, that does no harm; whoever has asked is told all the same.
    fn is_missed(self, is_swapping: bool) -> bool {
        self == OfSwap::Asked || is_swapping
    }

    fn tell_that_it_is_not_limited(self, is_swapping: bool) {
        if self.is_missed(is_swapping) {
            note(format_args!(
                "this kernel does not limit swap by cgroup: beyond the limit, the container is \
                 swapped out (boot with swapaccount=1)"
            ));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Taken {
    Exactly,
    Rounded,
    Not,
}

/// Compares what was written with what is read: down to less than a page of memory is rounded.
fn compare(written: &str, read: &str) -> Taken {
    if written == read {
        return Taken::Exactly;
    }
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096).cast_unsigned();
    match (written.parse::<u64>(), read.parse::<u64>()) {
        (Ok(written), Ok(read)) if read < written && written - read < page => Taken::Rounded,
        _ => Taken::Not,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_taken_or_rounded_to_a_page_or_not_taken() {
        assert_eq!(compare("64", "64"), Taken::Exactly);
        assert_eq!(compare("67108865", "67108864"), Taken::Rounded);
        assert_eq!(compare("67108864", "33554432"), Taken::Not);
        assert_eq!(compare("67108864", "max"), Taken::Not);
        assert_eq!(compare("50000 100000", "max 100000"), Taken::Not);
    }

    #[test]
    fn whoever_asks_for_a_limit_on_swap_is_told_if_there_is_none() {
        let nowhere = std::env::temp_dir();
        for is_asked in [false, true] {
            let setting = Setting::of_swap("container-steps.no.such.file", 1, is_asked);
            assert!(setting.write(&nowhere).is_ok());
            assert!(setting.swap.is_missed(true));
            assert_eq!(setting.swap.is_missed(false), is_asked);
        }
        assert!(Setting::new("container-steps.no.such.file", 1).write(&nowhere).is_err());
    }
}
