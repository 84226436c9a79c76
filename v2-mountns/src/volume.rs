//! Volumes: files and directories of the host, inside; and what is mounted beside them.

use crate::mount::Mount;
use crate::mount_point;
use crate::new_root::NewRoot;
use crate::tmpfs::Tmpfs;
use anyhow::{Context, Result, bail, ensure};
use clap::builder::{OsStringValueParser, TypedValueParser};
use launcher::Advise;
use launcher::command_line::one_line;
use launcher::lookup::{is_directory, open_in};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, ResolveFlag};
use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One `--volume HOST:CONTAINER[:ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The file or directory of the host, as a path without a symbolic link in it.
    pub source: PathBuf,
    /// Where it appears inside.
    pub target: PathBuf,
    /// Whether it can only be read inside.
    pub read_only: bool,
}

/// `-v`, `--tmpfs` and `--read-only`, for the command lines of all steps from here on.
#[derive(Debug, Default, clap::Args)]
pub struct VolumeArgs {
    /// Show a file or directory of the host
    #[arg(short = 'v', long = "volume", value_name = "HOST:CONTAINER[:ro]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Volume::parse(&text)))]
    pub volumes: Vec<Volume>,

    /// Mount an empty directory in memory
    #[arg(long, value_name = "DIR[:OPTIONS]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| Tmpfs::parse(&text)))]
    pub tmpfs: Vec<Tmpfs>,

    /// Make the root directory read-only (not volumes)
    #[arg(long)]
    pub read_only: bool,
}

impl Volume {
    /// Reads `HOST:CONTAINER`, with `:ro` or `:rw` behind it.
    ///
    /// # Errors
    /// If a part is missing, the source does not exist, or the target is no path to mount on.
    pub fn parse(text: &OsStr) -> Result<Volume, String> {
        Volume::read(text).map_err(|error| one_line(&error))
    }

    fn read(text: &OsStr) -> Result<Volume> {
        let parts: Vec<_> =
            text.as_bytes().split(|&byte| byte == b':').map(OsStr::from_bytes).collect();
        let (source, target, mode) = match parts[..] {
            [source, target] => (source, target, OsStr::new("rw")),
            [source, target, mode] => (source, target, mode),
            _ => bail!("it is not of the form HOST:CONTAINER or HOST:CONTAINER:ro"),
        };
        ensure!(!source.is_empty() && !target.is_empty(), "it has an empty path");
        ensure!(mode == "ro" || mode == "rw", "the third part is {mode:?}, not ro or rw");
        let source = Volume::find_source(Path::new(source))
            .with_context(|| format!("cannot find {source:?} on the host"))?;
        let target = mount_point::read(target)?;
        Ok(Volume { source, target, read_only: mode == "ro" })
    }

    /// The path of a file or directory of the host without a symbolic link in it: a `source`.
    ///
    /// # Errors
    /// Those of realpath(3).
    pub fn find_source(path: &Path) -> Result<PathBuf> {
        fs::canonicalize(path).advise(|errno| match errno {
            Errno::ENOENT => "it is not made for you: mkdir -p",
            Errno::EACCES => "this user may not enter a directory on its path",
            _ => "",
        })
    }
}

/// What one of the options mounts, and where.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Volume(&'a Volume),
    Tmpfs(&'a Tmpfs),
}

impl VolumeArgs {
    /// All that is to be mounted, in the order given, but what lies deeper comes later: else the
    /// outer one would hide the inner.
    fn outer_first(&self) -> Vec<Wanted<'_>> {
        let tmpfs = self.tmpfs.iter().map(Wanted::Tmpfs);
        let mut all: Vec<_> = self.volumes.iter().map(Wanted::Volume).chain(tmpfs).collect();
        all.sort_by_key(|wanted| wanted.target().components().count());
        all
    }
}

impl Wanted<'_> {
    fn target(&self) -> &Path {
        match self {
            Wanted::Volume(volume) => &volume.target,
            Wanted::Tmpfs(tmpfs) => &tmpfs.target,
        }
    }
}

impl NewRoot {
    // ANCHOR: mount_volumes
    /// Mounts the volumes, and what is mounted beside them. A missing mount point is made, and
    /// stays. So it is after all of them that the root directory can become read-only.
    ///
    /// A symbolic link in the rootfs is followed as if the rootfs were `/` already: a `/data` that
    /// points to `/etc` is the container's /etc, never the host's.
    ///
    /// # Errors
    /// Those of open_tree(2), fsopen(2), mount_setattr(2), openat2(2) and move_mount(2); ELOOP if a
    /// symbolic link has come into the path of a source.
    pub fn mount_volumes(&self, args: &VolumeArgs) -> Result<()> {
        for wanted in args.outer_first() {
            match wanted {
                Wanted::Volume(volume) => self.mount_volume(volume)?,
                Wanted::Tmpfs(tmpfs) => self.mount_tmpfs(tmpfs)?,
            }
        }
        if args.read_only {
            let made = self.mount.make_top_read_only();
            made.context("cannot make the root directory read-only")?;
        }
        Ok(())
    }

    fn mount_volume(&self, Volume { source, target, read_only }: &Volume) -> Result<()> {
        let opened = open_source(source)?;
        let mount = Mount::copy_of(&opened)
            .with_context(|| format!("cannot copy the mount of {source:?}"))?;
        if *read_only {
            let made = mount.make_read_only();
            made.with_context(|| format!("cannot make {source:?} read-only"))?;
        }
        let found = fstat(&opened).with_context(|| format!("cannot look at {source:?}"))?;
        let place = self.place_of_volume(target, is_directory(&found))?;
        mount.attach(place).with_context(|| format!("cannot mount {source:?} on {target:?}"))
    }
    // ANCHOR_END: mount_volumes

    fn mount_tmpfs(&self, tmpfs: &Tmpfs) -> Result<()> {
        let target = &tmpfs.target;
        let place = self.place_of_volume(target, true)?;
        let made = tmpfs.make().and_then(|mount| mount.attach(place));
        made.with_context(|| format!("cannot mount a tmpfs on {target:?}"))
    }
}

// ANCHOR: open_source
/// Opens the source of a volume, for its name only (O_PATH), and follows no link.
///
/// Whoever gave the volume has seen to which place its path leads: [`Volume::parse`] has followed
/// the links. One that is there now has come since, and in a pod a container that may write above
/// has perhaps put it there. (To open the source once, and clone from that descriptor at each
/// start, is not allowed: its mount is in the launcher's mount namespace, and open_tree(2) clones
/// only those of the caller's own.)
fn open_source(source: &Path) -> Result<OwnedFd> {
    let links = ResolveFlag::RESOLVE_NO_SYMLINKS;
    let opened = open_in(AT_FDCWD, source, OFlag::O_PATH, links);
    let opened = opened.advise(|errno| match errno {
        Errno::ELOOP => "since the start somebody has put a symbolic link there",
        Errno::ENOENT => "it was there at the start, and somebody has removed it",
        _ => "see openat2(2)",
    });
    opened.with_context(|| format!("cannot open {source:?} of the host"))
}
// ANCHOR_END: open_source

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Volume, String> {
        Volume::parse(OsStr::new(text))
    }

    #[test]
    fn reads_the_forms_that_docker_has() {
        let volume = |read_only| Volume { source: "/usr".into(), target: "/x".into(), read_only };
        assert_eq!(read("/usr:/x"), Ok(volume(false)));
        assert_eq!(read("/usr:/x:rw"), Ok(volume(false)));
        assert_eq!(read("/usr:/x:ro"), Ok(volume(true)));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, fault) in [
            ("/usr", "not of the form"),
            ("/usr:/x:ro:z", "not of the form"),
            (":/x", "empty path"),
            ("/usr:", "empty path"),
            ("/usr:/x:wr", "\"wr\", not ro or rw"),
            ("/usr:x", "does not start with /"),
            ("/usr:/x/../y", "goes through .."),
            ("/usr:/", "the rootfs itself"),
            ("/does/not/exist:/x", "cannot find \"/does/not/exist\""),
        ] {
            let told = read(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(fault)), "{text}: {told:?}");
        }
    }
}
