//! Reads and writes the files of a cgroup.

use launcher::command_line::errno_of;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd;
use std::fs::File;
use std::io::Read;
use std::path::Path;

// ANCHOR: without_creating
/// Opens a file of a cgroup *without* O_CREAT. For a file that is not there, the kernel says
/// ENOENT then. With O_CREAT, as `std::fs::write` has it, it says EACCES, as if we needed more
/// rights: nobody can make a file in a cgroup.
pub(crate) fn open_existing(directory: &Path, name: &str, flags: OFlag) -> nix::Result<File> {
    let flags = flags | OFlag::O_CLOEXEC;
    open(&directory.join(name), flags, Mode::empty()).map(File::from)
}

/// The text of a file of a cgroup.
pub(crate) fn read(directory: &Path, name: &str) -> nix::Result<String> {
    let mut text = String::new();
    let mut file = open_existing(directory, name, OFlag::O_RDONLY)?;
    file.read_to_string(&mut text).map_err(|error| errno_of(&error))?;
    Ok(text)
}

/// Writes a file of a cgroup, in the one write(2) that the kernel wants.
pub(crate) fn write(directory: &Path, name: &str, text: &str) -> nix::Result<()> {
    let file = open_existing(directory, name, OFlag::O_WRONLY)?;
    unistd::write(&file, text.as_bytes()).map(drop)
}
// ANCHOR_END: without_creating

/// The number on the line `NAME NUMBER` of a file such as cpu.stat.
pub(crate) fn number_in(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn finds_a_number_by_its_whole_name() {
        let text = "oom 3\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(number_in(text, "oom_kill"), Some(1));
        assert_eq!(number_in(text, "oom"), Some(3));
        assert_eq!(number_in(text, "low"), None);
    }

    #[test]
    fn a_missing_file_is_said_to_be_missing() {
        let nowhere = std::env::temp_dir();
        let name = "container-steps.no.such.file";
        assert_eq!(write(&nowhere, name, "1"), Err(Errno::ENOENT));
        assert!(!nowhere.join(name).exists());
    }
}
