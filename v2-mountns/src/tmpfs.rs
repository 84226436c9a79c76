//! Directories in memory, at any place inside: tmpfs(5).

use crate::mount::Mount;
use crate::mount_point;
use anyhow::{Context, Result, bail, ensure};
use launcher::command_line::one_line;
use launcher::parse_size;
use nix::mount::MsFlags;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// How much one may hold if nothing else is said. (The kernel would give half of all memory.)
const SIZE: u64 = 64 << 20;

/// Everybody may make files there, and nobody may remove those of others, as in /tmp.
const MODE: u32 = 0o1777;

/// All bits that a mode has (inode(7)).
const MOST_MODE: u32 = 0o7777;

/// Words that set or clear a flag of the mount.
const FLAGS: [(&str, MsFlags, bool); 8] = [
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
];

/// One `--tmpfs DIR[:OPTIONS]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it appears inside.
    pub target: PathBuf,
    /// What is forbidden in it.
    flags: MsFlags,
    /// How many bytes it may hold.
    size: u64,
    /// The permissions of its root directory.
    mode: u32,
}

impl Tmpfs {
    /// Reads `DIR`, with `:` and options of mount(8) behind it, between commas.
    ///
    /// # Errors
    /// If the path is none to mount on, or an option is none of those that are known here.
    pub fn parse(text: &OsStr) -> Result<Tmpfs, String> {
        Tmpfs::read(text).map_err(|error| one_line(&error))
    }

    fn read(text: &OsStr) -> Result<Tmpfs> {
        let mut parts = text.as_bytes().splitn(2, |&byte| byte == b':').map(OsStr::from_bytes);
        let target = mount_point::read(parts.next().unwrap_or_default())?;
        // As in Docker: nothing set-user-ID, no device, no program.
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let mut tmpfs = Tmpfs { target, flags, size: SIZE, mode: MODE };
        let options = parts.next().unwrap_or_default();
        let options = options.to_str().with_context(|| format!("{options:?} is no UTF-8"))?;
        for option in options.split(',').filter(|option| !option.is_empty()) {
            tmpfs.set(option)?;
        }
        Ok(tmpfs)
    }

    fn set(&mut self, option: &str) -> Result<()> {
        match option.split_once('=') {
            Some(("size", size)) => {
                self.size = parse_size(size).map_err(|fault| anyhow::anyhow!("size: {fault}"))?;
                ensure!(self.size > 0, "size=0 is no limit, in a tmpfs: leave it out for 64m");
            }
            Some(("mode", mode)) => {
                let number = u32::from_str_radix(mode, 8).ok().filter(|mode| *mode <= MOST_MODE);
                let number = number.filter(|_| !mode.starts_with('+'));
                self.mode = number.with_context(|| format!("mode={mode}: not octal, as 1777"))?;
            }
            _ => {
                let Some((_, flag, is_set)) = FLAGS.iter().find(|(word, ..)| *word == option)
                else {
                    let words = FLAGS.map(|(word, ..)| word).join(", ");
                    bail!("{option:?} is none of size=, mode=, {words}");
                };
                self.flags.set(*flag, *is_set);
            }
        }
        Ok(())
    }

    /// Makes it: a new file system, which has no place yet.
    ///
    /// # Errors
    /// Those of [`Mount::new`].
    pub(crate) fn make(&self) -> nix::Result<Mount> {
        let options = format!("size={},mode={:o}", self.size, self.mode);
        Mount::new("tmpfs", self.flags, &options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tmpfs, String> {
        Tmpfs::parse(OsStr::new(text))
    }

    #[test]
    fn reads_the_forms_that_docker_has() {
        let usual = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let tmpfs = |flags, size, mode| Ok(Tmpfs { target: "/run".into(), flags, size, mode });
        assert_eq!(read("/run"), tmpfs(usual, 64 << 20, 0o1777));
        assert_eq!(read("/run:"), read("/run"));
        assert_eq!(read("/run:rw,noexec,nosuid,nodev"), read("/run"));
        assert_eq!(read("/run:size=65536k,mode=755"), tmpfs(usual, 64 << 20, 0o755));
        assert_eq!(read("/run:ro,size=1m"), tmpfs(usual | MsFlags::MS_RDONLY, 1 << 20, 0o1777));
        assert_eq!(read("/run:exec,suid,dev"), tmpfs(MsFlags::empty(), 64 << 20, 0o1777));
        assert_eq!(read("/run:exec,noexec"), read("/run"), "the last one counts");
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("", "does not start with /"),
            ("run", "does not start with /"),
            ("/x/../y", "goes through .."),
            ("/", "the rootfs itself"),
            ("/x:huge=always", "\"huge=always\" is none of size=, mode=, ro, rw, nosuid"),
            ("/x:nodevs", "\"nodevs\" is none of"),
            ("/x:size", "\"size\" is none of"),
            ("/x:size=", "size: \"\" is not a number"),
            ("/x:size=50%", "size: \"%\" is no unit"),
            ("/x:size=0", "leave it out"),
            ("/x:mode=888", "mode=888: not octal"),
            ("/x:mode=17777", "mode=17777: not octal"),
            ("/x:mode=+1", "not octal"),
            ("/x:ro:rw", "\"ro:rw\" is none of"),
        ] {
            let told = read(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }
}
