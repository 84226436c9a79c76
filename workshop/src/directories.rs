//! Where things lie: the checkout, the user's data, the cache of the containers.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout: the directory with all steps in it.
///
/// Cargo tells a program that it runs where its package lies; a program that was started without
/// cargo looks upwards from the working directory.
///
/// # Errors
/// If there is none.
pub fn checkout() -> Result<PathBuf> {
    let is_checkout = |directory: &&Path| {
        directory.join("Cargo.toml").is_file() && directory.join("v1-chroot/src").is_dir()
    };
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let working = env::current_dir().context("cannot tell the working directory")?;
    let found = package.iter().chain([&working]).flat_map(|start| start.ancestors());
    let mut found = found.filter(is_checkout);
    found.next().map(Path::to_owned).context(
        "cannot find the checkout of this course (run it as `cargo workshop`, in the checkout)",
    )
}

/// The user's data directory for this course, where progress is kept.
pub(crate) fn data() -> Result<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let data = data.context("no place for your progress: neither XDG_DATA_HOME nor HOME is set")?;
    Ok(data.join("container-steps"))
}

/// The cache directory of the containers, which holds their root file system.
///
/// # Errors
/// If there is no place for it: neither XDG_CACHE_HOME nor HOME is set.
pub fn cache() -> Result<PathBuf> {
    let rootfs = v1_chroot::rootfs::default_path()?;
    rootfs.parent().map(Path::to_owned).context("the rootfs has no parent directory")
}

/// The mounts at or below `directory`, in this mount namespace (proc_pid_mountinfo(5)).
pub(crate) fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let path = "/proc/self/mountinfo";
    let table = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    Ok(points.filter(|point| point.starts_with(directory)).collect())
}

/// The kernel writes a space in a path as \040, and so on.
pub(crate) fn unescape(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let text = escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    PathBuf::from(text)
}
