//! The mounts that a process sees, as the kernel lists them: proc_pid_mountinfo(5).

use crate::bounded;
use anyhow::{Context, Result};
use nix::fcntl::ResolveFlag;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The most that is read, in bytes. A mount namespace has at most 100000 mounts
/// (/proc/sys/fs/mount-max), and a line has some hundred bytes.
const LIMIT: u64 = 64 << 20;

/// One mount: one line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, which a later mount may get again.
    pub id: u64,
    /// The number of the mount that it is mounted on.
    pub parent: u64,
    /// Major and minor number of the file system's device.
    pub device: (u32, u32),
    /// What of its file system is seen at the mount point: `/`, or a part of it. For a cgroup above
    /// the root of our cgroup namespace it is `/..`; for a namespace, `net:[4026531840]` or so.
    pub root: PathBuf,
    /// Where it is mounted, seen from the root directory of the process.
    pub mount_point: PathBuf,
    /// Its own options, such as `ro` and `nosuid`.
    pub options: Vec<String>,
    /// Its propagation, such as `shared:1` and `master:2`; none if it is private.
    pub optional_fields: Vec<String>,
    /// The type of the file system, such as `tmpfs` and `fuse.sshfs`.
    pub file_system: String,
    /// What is mounted: a device, or a name that somebody has chosen. It can be empty.
    pub source: OsString,
    /// The options of the file system, which all its mounts share.
    pub super_options: Vec<OsString>,
}

impl Mount {
    /// Whether what is mounted below it comes up in other mount namespaces, too.
    pub fn is_shared(&self) -> bool {
        self.optional_fields.iter().any(|field| field.starts_with("shared:"))
    }
}

/// The mounts that a process sees: its number, or `self`. Where several are in one place, the last
/// is on top.
///
/// # Errors
/// If there is no such process, or we may not look at it.
pub fn mounts_of(process: &str) -> Result<Vec<Mount>> {
    let path = format!("/proc/{process}/mountinfo");
    let text = bounded::read_file(Path::new(&path), ResolveFlag::empty(), LIMIT);
    Ok(parse(&text.with_context(|| format!("cannot read {path}"))?))
}

/// The mounts in the text of such a file. What is no line of it is passed over.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`. There
/// may be any number of optional fields, and a `-` ends them. An empty source is nothing between
/// two spaces: so each single space separates.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = text(fields.next()?);
    let (major, minor) = device.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let root = PathBuf::from(unescaped(fields.next()?));
    let mount_point = PathBuf::from(unescaped(fields.next()?));
    let options = text(fields.next()?).split(',').map(str::to_owned).collect();
    let mut optional_fields = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => optional_fields.push(text(field)),
        }
    }
    let file_system = unescaped(fields.next()?).to_string_lossy().into_owned();
    let source = unescaped(fields.next()?);
    // A comma that belongs to an option is escaped.
    let super_options = fields.next()?.split(|byte| *byte == b',').map(unescaped).collect();
    Some(Mount {
        id,
        parent,
        device,
        root,
        mount_point,
        options,
        optional_fields,
        file_system,
        source,
        super_options,
    })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn number(field: &[u8]) -> Option<u64> {
    str::from_utf8(field).ok()?.parse().ok()
}

/// Undoes what the kernel does to a space, a tab, a newline, a backslash and, here and there, to
/// some others: `\040` is the byte with this octal number.
fn unescaped(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] if *first == b'\\' => {
                bytes.push(((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'));
                tail
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    fn one(line: &str) -> Mount {
        let mounts = parse(line.as_bytes());
        assert_eq!(mounts.len(), 1, "{line}");
        mounts.into_iter().next().unwrap()
    }

    #[test]
    fn reads_the_example_of_the_manual_page() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root \
                    rw,errors=continue";
        let mount = one(line);
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!(
            (mount.root.as_path(), mount.mount_point.as_path()),
            ("/mnt1".as_ref(), "/mnt2".as_ref())
        );
        assert_eq!(mount.options, ["rw", "noatime"]);
        assert_eq!(mount.optional_fields, ["master:1"]);
        assert_eq!(
            (mount.file_system.as_str(), mount.source.as_os_str()),
            ("ext3", "/dev/root".as_ref())
        );
        assert_eq!(mount.super_options, ["rw", "errors=continue"]);
    }

    #[test]
    fn there_may_be_no_optional_field_or_several() {
        let line = |fields| format!("36 35 98:0 / /mnt rw {fields}- tmpfs none rw");
        assert_eq!(one(&line("")).optional_fields, [""; 0]);
        assert_eq!(one(&line("shared:1 master:2 ")).optional_fields, ["shared:1", "master:2"]);
        assert_eq!(one(&line("unbindable ")).file_system, "tmpfs");
    }

    #[test]
    fn what_the_kernel_escapes_is_undone() {
        let line =
            r"36 35 0:9 /a\134040 /with\040a\011tab\012 rw - fuse.a\043b the\040source rw,a=1\054b";
        let mount = one(line);
        assert_eq!(mount.root, Path::new(r"/a\040"));
        assert_eq!(mount.mount_point, Path::new("/with a\ttab\n"));
        assert_eq!(
            (mount.file_system.as_str(), mount.source.to_str()),
            ("fuse.a#b", Some("the source"))
        );
        assert_eq!(mount.super_options, ["rw", "a=1,b"]);
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [r"/\", r"/\04", r"/\0x0", r"/\400", r"/\08"] {
            assert_eq!(unescaped(text.as_bytes()), text);
        }
        assert_eq!(unescaped(br"\377\"), std::ffi::OsStr::from_bytes(b"\xff\\"));
    }

    #[test]
    fn a_source_can_be_empty_and_a_name_no_utf_8() {
        assert_eq!(one("36 35 0:9 / /mnt rw - tmpfs  rw").source, "");
        let mounts = parse(b"36 35 0:9 / /\xff rw - tmpfs none rw\n");
        assert_eq!(mounts[0].mount_point.as_os_str().as_bytes(), b"/\xff");
    }

    #[test]
    fn what_is_no_line_is_passed_over() {
        let good = "36 35 0:9 / /mnt rw - tmpfs none rw";
        for bad in [
            "",
            "-",
            "36 35 0:9 / /mnt rw shared:1",
            "36 35 0:9 / /mnt rw - tmpfs",
            "x 35 0:9 / / rw - a b c",
            "36 35 9 / / rw - a b c",
        ] {
            assert_eq!(parse(format!("{bad}\n{good}\n").as_bytes()), [one(good)], "{bad}");
        }
        assert_eq!(parse(b""), []);
    }

    #[test]
    fn the_mounts_of_this_process_are_listed() {
        let mounts = mounts_of("self").unwrap();
        assert!(mounts.iter().any(|mount| mount.mount_point == Path::new("/proc")), "{mounts:?}");
        let error = mounts_of("none").unwrap_err();
        assert_eq!(error.to_string(), "cannot read /proc/none/mountinfo");
    }

    #[test]
    fn every_line_of_this_process_is_one() {
        let lines = std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
        assert_eq!(mounts_of("self").unwrap().len(), lines);
    }

    #[test]
    fn a_mount_with_a_peer_is_shared() {
        assert!(
            one("65 42 254:0 /r / rw,relatime master:2 shared:1 - ext4 /dev/vda rw").is_shared()
        );
        assert!(!one("65 42 254:0 /r / rw,relatime master:2 - ext4 /dev/vda rw").is_shared());
    }
}
