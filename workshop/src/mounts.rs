//! The mounts of this mount namespace.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

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
