//! The mounts that a process sees: /proc/PID/mountinfo (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One mount, as a line of mountinfo tells it. Paths are those that the process sees, from its own
/// root directory.
#[derive(Debug)]
pub struct Mount {
    /// Which directory of the file system is seen at the mount point.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The options of the mount, as in `rw,nosuid`.
    pub options: String,
    /// `shared:N`, `master:N`: mounts that are made here come up elsewhere, or the other way. None
    /// if it is private (mount_namespaces(7)).
    pub propagation: Vec<String>,
    /// The type of the file system.
    pub file_system: OsString,
    /// The device, or what stands for one.
    pub source: OsString,
    /// The options of the file system: overlayfs names its layers there.
    pub file_system_options: OsString,
}

/// The mounts that this process sees. Of two in one place the later is on top.
///
/// # Errors
/// If there is no /proc.
pub fn read() -> Result<Vec<Mount>> {
    let path = "/proc/self/mountinfo";
    let table = fs::read(path).with_context(|| format!("cannot read {path}"))?;
    Ok(parse(&table))
}

/// The mounts of a table; what is no line of one is left out.
pub fn parse(table: &[u8]) -> Vec<Mount> {
    table.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect()
}

/// Those of them that are mounted at or below `directory`.
pub fn below<'a>(mounts: &'a [Mount], directory: &Path) -> impl Iterator<Item = &'a Mount> {
    mounts.iter().filter(move |mount| mount.mount_point.starts_with(directory))
}

impl Mount {
    /// Number, parent, device, root, mount point, options, marks, `-`, type, source, options of the
    /// file system. How many marks there are differs.
    pub fn parse(line: &[u8]) -> Option<Mount> {
        let mut fields = line.split(|byte| *byte == b' ').skip(3).map(unescape);
        let (root, mount_point) = (fields.next()?.into(), fields.next()?.into());
        let mut text = || Some(fields.next()?.to_string_lossy().into_owned());
        let options = text()?;
        let mut propagation = Vec::new();
        loop {
            match text()? {
                mark if mark == "-" => break,
                mark => propagation.push(mark),
            }
        }
        Some(Mount {
            root,
            mount_point,
            options,
            propagation,
            file_system: fields.next()?,
            source: fields.next()?,
            file_system_options: fields.next()?,
        })
    }

    /// Whether what is mounted below it comes up in other mount namespaces too.
    pub fn is_shared(&self) -> bool {
        self.propagation.iter().any(|mark| mark.starts_with("shared:"))
    }
}

/// The kernel writes white space, `\` and `#` in a field as `\` and three octal digits: a space is
/// `\040`.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, others @ ..] = rest {
        let (byte, after) = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                ((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'), after)
            }
            _ => (*first, others),
        };
        bytes.push(byte);
        rest = after;
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn names_are_as_they_were_given() {
        let line = br"36 35 98:0 /a\040b /mnt\011\012\134040 rw,nosuid - ext3 \043x rw,a=\377\8";
        let mount = Mount::parse(line).unwrap();
        assert_eq!(mount.root, Path::new("/a b"));
        assert_eq!(mount.mount_point, Path::new("/mnt\t\n\\040"));
        assert_eq!((mount.options.as_str(), mount.source.to_str()), ("rw,nosuid", Some("#x")));
        assert_eq!(mount.file_system_options.as_bytes(), b"rw,a=\xff\\8");
        assert!(!mount.is_shared() && mount.propagation.is_empty());
    }

    #[test]
    fn marks_do_not_shift_the_type() {
        let line = b"65 42 254:0 /r / rw,relatime shared:1 master:2 - ext4 /dev/vda rw";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.file_system.to_str(), mount.is_shared()), (Some("ext4"), true));
        assert_eq!(mount.propagation, ["shared:1", "master:2"]);
    }

    #[test]
    fn what_is_no_line_is_left_out() {
        assert_eq!(parse(b"65 42 254:0 /r / rw shared:1\n\n1 2 0:1 / / rw - a b c\n").len(), 1);
    }

    #[test]
    fn every_line_of_this_process_is_one() {
        let lines = fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
        assert_eq!(read().unwrap().len(), lines);
    }
}
