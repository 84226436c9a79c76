//! Attacks by what the container was born with: descriptors, a working directory, a command.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use launcher::command_line::errno_of;
use nix::errno::Errno;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::ftruncate;

use super::files::read;
use super::told::Told;
use crate::system_calls;

/// More than any path here is deep.
const MANY: usize = 32;

/// Reads a file below a directory of the host whose descriptor somebody has left open.
pub(crate) fn leaked_descriptor(told: &Told) -> Result<String, Errno> {
    let mut file = system_calls::open_below(told.number(0)?, told.word(1)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| errno_of(&error))?;
    Ok(text)
}

/// Reads a file of the host from the working directory: the file is in it, or somewhere above.
pub(crate) fn read_from_here(told: &Told) -> Result<String, Errno> {
    read(Path::new(told.word(0)?)).or_else(|errno| {
        let path = Path::new(told.word(1)?);
        read(&above(Path::new("."), path)).map_err(|_| errno)
    })
}

/// The way to `path` from a directory that is outside of the root directory: `..` leads up.
pub(crate) fn above(directory: &Path, path: &Path) -> PathBuf {
    let mut way = directory.to_owned();
    way.extend([".."; MANY]);
    way.join(path.strip_prefix("/").unwrap_or(path))
}

/// Which file is executed here: its file system and its number.
pub(crate) fn say_what_runs(_: &Told) -> Result<String, Errno> {
    let runs = fs::metadata("/proc/self/exe").map_err(|error| errno_of(&error))?;
    Ok(format!("{} {}", runs.dev(), runs.ino()))
}

/// Reads the file that the caller collects the output in, and empties it.
pub(crate) fn spoil_output(_: &Told) -> Result<String, Errno> {
    let output = io::stdout();
    let copy = output.as_fd().try_clone_to_owned().map_err(|error| errno_of(&error))?;
    let is_file = File::from(copy).metadata().is_ok_and(|output| output.is_file());
    if !is_file {
        return Err(Errno::ESPIPE); // a pipe, a terminal: what is written there is gone
    }
    let mut text = vec![0; 4096];
    // It was opened for writing. By its name in /proc it can be opened anew.
    let opened = File::open("/proc/self/fd/1").and_then(|file| file.read_at(&mut text, 0));
    text.truncate(opened.unwrap_or(0));
    ftruncate(&output, 0)?;
    Ok(String::from_utf8_lossy(&text).replace('\n', " "))
}

/// Takes all rights from the device that is the standard input.
pub(crate) fn spoil_input(_: &Told) -> Result<String, Errno> {
    fchmod(io::stdin(), Mode::empty())?;
    Ok("changed".to_owned())
}
