//! Where the files of an image are: in a directory, or in a tar archive, which is not unpacked for
//! that.

use crate::damage::{compression, in_words};
use anyhow::{Context, Result, bail, ensure};
use launcher::{Advise, bounded};
use nix::errno::Errno;
use nix::fcntl::ResolveFlag;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

/// More files than this are in no archive of an image.
const MAX_FILES: usize = 10_000;

/// As many bytes of headers are in no archive of an image: for 10,000 files with long names.
const MAX_HEADERS: u64 = 64 << 20;

/// The files of an image.
#[derive(Debug)]
pub enum Blobs {
    /// Below this directory.
    Directory(PathBuf),
    /// In this archive, each at a place of its own.
    Archive(File, HashMap<PathBuf, Member>),
}

/// A file in an archive: where it begins, and how long it is; or a symbolic link to another.
#[derive(Debug)]
pub enum Member {
    /// Offset and length, in bytes.
    Content(u64, u64),
    /// The path of another file in the archive.
    Link(PathBuf),
}

/// A file of an image, open for reading.
#[derive(Debug)]
pub struct Blob {
    file: File,
    position: u64,
    end: u64,
}

impl Blobs {
    /// Opens a directory or a tar archive. If it is not there, the error says `how_to_get` it.
    ///
    /// # Errors
    /// If it is neither.
    pub fn open(path: &Path, how_to_get: impl FnOnce() -> String) -> Result<Blobs> {
        let found = fs::metadata(path).advise(|errno| match errno {
            Errno::ENOENT => how_to_get(),
            errno => cure(errno).to_owned(),
        });
        let found = found.with_context(|| format!("cannot open {path:?}"))?;
        if found.is_dir() {
            return Ok(Blobs::Directory(path.to_owned()));
        }
        let mut file = open_file(path)?;
        if let Some((program, undo)) = compression(first_bytes(&file, 0).context("cannot read it")?)
        {
            bail!("it is compressed by {program} ({undo} it first)");
        }
        let places = list(&mut file).with_context(|| {
            format!("cannot read {path:?} as a tar archive, nor is it a directory")
        })?;
        Ok(Blobs::Archive(file, places))
    }

    /// Whether there is something of this name.
    ///
    /// # Errors
    /// If a directory does not let itself be looked into.
    pub fn has(&self, name: &Path) -> Result<bool> {
        match self {
            Blobs::Directory(directory) => {
                let path = directory.join(name);
                path.try_exists().with_context(|| format!("cannot look at {path:?}"))
            }
            Blobs::Archive(_, places) => Ok(places.contains_key(name)),
        }
    }

    /// Opens a file by its path in the image. The caller vouches that the path leads nowhere else.
    ///
    /// # Errors
    /// If there is none.
    pub fn get(&self, name: &Path) -> Result<Blob> {
        match self {
            Blobs::Directory(directory) => {
                let file = open_file(&directory.join(name))?;
                let end = file.metadata().context("cannot look at it")?.len();
                Ok(Blob { file, position: 0, end })
            }
            Blobs::Archive(file, places) => {
                let mut place = places.get(name);
                if let Some(Member::Link(target)) = place {
                    place = places.get(target); // docker save links to layers that are there twice
                }
                let Some(Member::Content(position, length)) = place else {
                    bail!("there is no {name:?} in the archive");
                };
                let file = file.try_clone().context("cannot copy a descriptor")?;
                Ok(Blob { file, position: *position, end: position + length })
            }
        }
    }

    /// Reads a small file whole.
    ///
    /// # Errors
    /// If it is larger than `limit` bytes.
    pub fn read(&self, name: &Path, limit: u64) -> Result<Vec<u8>> {
        let mut blob = self.get(name)?;
        ensure!(blob.len() <= limit, "{name:?} has {} bytes, and may have {limit}", blob.len());
        let mut content = Vec::new();
        blob.read_to_end(&mut content).with_context(|| format!("cannot read {name:?}"))?;
        Ok(content)
    }
}

impl Blob {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.end - self.position
    }

    /// The first four, which mostly say what it is. They are not taken from it; zeros stand for
    /// those that it has not got.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn first_bytes(&self) -> io::Result<[u8; 4]> {
        let mut start = first_bytes(&self.file, self.position)?;
        start.iter_mut().skip(usize::try_from(self.len()).unwrap_or(4)).for_each(|it| *it = 0);
        Ok(start)
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.len()).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most]; // at most its own length
        // pread(2): several layers are read at the same time from one archive.
        let length = self.file.read_at(buffer, self.position)?;
        self.position += length as u64;
        Ok(length)
    }
}

/// Opens a regular file.
fn open_file(path: &Path) -> Result<File> {
    let opened = bounded::open(path, ResolveFlag::empty()).advise(cure);
    opened.with_context(|| format!("cannot open {path:?}"))
}

fn cure(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOENT => {
            "get all of the image: cargo workshop pull NAME, or docker save -o FILE NAME"
        }
        Errno::EACCES => "this user may not read it: sudo chmod -R a+rX",
        _ => "",
    }
}

fn first_bytes(file: &File, position: u64) -> io::Result<[u8; 4]> {
    let mut start = [0; 4];
    file.read_at(&mut start, position)?;
    Ok(start)
}

/// An archive of which only the headers are read: over the contents one seeks. A header may say
/// that the name in it has gigabytes, and the tar crate would keep them.
struct Headers<'a> {
    file: &'a File,
    left: u64,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        let left = self.left.checked_sub(length as u64);
        self.left = left.ok_or_else(|| io::Error::other("headers of more than 64 megabytes"))?;
        Ok(length)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Finds out what is where in an archive, by its headers; the contents are skipped.
fn list(file: &mut File) -> Result<HashMap<PathBuf, Member>> {
    let length = file.seek(SeekFrom::End(0)).context("cannot find its end")?;
    file.rewind().context("cannot find its beginning")?;
    let mut places = HashMap::new();
    let mut archive = tar::Archive::new(Headers { file, left: MAX_HEADERS });
    for entry in archive.entries_with_seek()? {
        let entry = entry.map_err(in_words)?;
        let name = normal(&entry.path()?);
        let place = match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let (start, size) = (entry.raw_file_position(), entry.size());
                let end = start.checked_add(size);
                ensure!(end.is_some_and(|end| end <= length), "it ends in the middle of {name:?}");
                Member::Content(start, size)
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = entry.link_name()?.unwrap_or_default().into_owned();
                let is_hard = entry.header().entry_type() == tar::EntryType::Link;
                let parent = name.parent().filter(|_| !is_hard).unwrap_or(Path::new(""));
                Member::Link(normal(&parent.join(target)))
            }
            _ => continue,
        };
        places.insert(name, place);
        ensure!(places.len() <= MAX_FILES, "it has more than {MAX_FILES} files: no image has");
    }
    ensure!(!places.is_empty(), "it is empty");
    Ok(places)
}

/// A path without `.`, `..` and a leading `/`, by its text: only the map above is asked for it.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => drop(normal.pop()),
            _ => {}
        }
    }
    normal
}
