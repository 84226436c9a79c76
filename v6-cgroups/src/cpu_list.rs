//! Lists of CPUs, as the kernel writes them: `0-1,3` (cpuset(7), List format).

use anyhow::{Result, bail};
use std::fmt::{self, Display};

/// Some CPUs, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuList {
    /// First and last of each range. They ascend, and none touches the next one.
    ranges: Vec<(u32, u32)>,
}

impl CpuList {
    // ANCHOR: parse
    /// Reads a list. It is kept in the order in which the kernel would give it back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<CpuList, String> {
        let number = |text: &str| -> Result<u32, String> {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| is_number);
            number.ok_or_else(|| format!("{text:?} is not the number of a CPU"))
        };
        let mut all = Vec::new();
        for part in text.trim_end().split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(format!("{part:?} ends before it begins"));
            }
            all.push((first, last));
        }
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for (first, last) in all {
            match ranges.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                _ => ranges.push((first, last)),
            }
        }
        Ok(CpuList { ranges })
    }
    // ANCHOR_END: parse

    /// Refuses CPUs that are not among those of `there`, which a file of the kernel lists.
    ///
    /// # Errors
    /// That, with those that are.
    pub(crate) fn check_are_in(&self, there: &str) -> Result<()> {
        let found = CpuList::parse(there).unwrap_or(CpuList { ranges: Vec::new() });
        let is_in = |(first, last): &(u32, u32)| {
            found.ranges.iter().any(|(least, most)| least <= first && last <= most)
        };
        if !self.ranges.iter().all(is_in) {
            bail!(
                "cannot run on the CPUs {self}: there are {found} here (see lscpu --extended; one \
                 may be switched off, or be kept from the cgroup that you are in)"
            );
        }
        Ok(())
    }
}

impl Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_a_list_as_the_kernel_does() {
        for (text, list) in [
            ("0", "0"),
            ("0-1,3", "0-1,3"),
            ("3,1,0", "0-1,3"),
            ("0,0-2,1", "0-2"),
            ("4-4", "4"),
            ("0-4294967295", "0-4294967295"),
        ] {
            assert_eq!(CpuList::parse(text).unwrap().to_string(), list, "{text}");
        }
        for text in ["", "a", "-1", "1-", "1-0", "0,", "0-1:2", "+1", "4294967296", "0 1"] {
            assert!(CpuList::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn says_which_cpus_there_are() {
        let list = CpuList::parse("1,3").unwrap();
        assert!(list.check_are_in("0-1,3\n").is_ok());
        let told = list.check_are_in("0-2\n").unwrap_err().to_string();
        assert!(told.starts_with("cannot run on the CPUs 1,3: there are 0-2 here ("), "{told}");
        assert!(list.check_are_in("\n").is_err());
    }
}
