//! One blob: fetched to its end, whatever happens on the way, and then checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use image::Descriptor;
use image::digest::{Digesting, Sum};
use indicatif::ProgressBar;
use launcher::Advise;
use nix::errno::Errno;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::answer::{broken_off, header, may_pass};
use crate::layout::Locked;
use crate::repository::{Repository, TRIES, wait};

/// As many bytes are read at a time.
const PIECE: usize = 1 << 17;

/// What fetches the blobs of an image.
pub(crate) struct Fetching<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) layout: &'a Locked,
    /// Counts the bytes.
    pub(crate) progress: &'a ProgressBar,
    /// Whether it is all for nothing, since another blob cannot be had.
    pub(crate) is_over: &'a AtomicBool,
}

/// Whether a blob is here, and is what its name says.
pub(crate) fn is_here(layout: &Locked, blob: &Descriptor) -> Result<bool> {
    let path = layout.blob(&blob.digest);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened.with_context(|| format!("cannot open {path:?}"))?,
    };
    let length = file.metadata().with_context(|| format!("cannot look at {path:?}"))?.len();
    let digest = || Digesting::new(file).finish().with_context(|| format!("cannot read {path:?}"));
    Ok(length == blob.size && digest()? == blob.digest)
}

impl Fetching<'_> {
    /// Fetches a blob, beginning where an earlier try has stopped.
    pub(crate) fn fetch(&self, blob: &Descriptor) -> Result<()> {
        let what = || format!("cannot fetch {} ({} bytes)", blob.digest, blob.size);
        let partial = self.layout.partial(&blob.digest);
        let was_begun = fs::metadata(&partial).is_ok_and(|found| found.len() > 0);
        let mut fetched = self.to_its_end(blob, &partial).with_context(what)?;
        if fetched.finish() != blob.digest && was_begun {
            // What an earlier try has left can be damaged, by a crash of the machine, say.
            self.progress.dec(blob.size);
            remove(&partial)?;
            fetched = self.to_its_end(blob, &partial).with_context(what)?;
        }
        let found = fetched.finish();
        if found != blob.digest {
            remove(&partial)?;
            bail!(
                "what came for {} has the digest {found}: it was changed on the way",
                blob.digest
            );
        }
        let path = self.layout.blob(&blob.digest);
        fs::rename(&partial, &path).with_context(|| format!("cannot rename {partial:?}"))
    }

    /// Asks as often as something comes, and some times more.
    fn to_its_end(&self, blob: &Descriptor, path: &Path) -> Result<Partial> {
        let mut partial = Partial::open(path, blob.size)?;
        self.progress.inc(partial.length);
        self.progress.reset_eta(); // what is here already says nothing about how fast it comes
        let (mut farthest, mut tried) = (partial.length, 0);
        while partial.length < blob.size {
            match self.go_on(blob, &mut partial) {
                Err(error) if may_pass(&error) && tried < TRIES => {
                    // A registry may begin anew each time: then only what is new counts.
                    tried = if partial.length > farthest { 0 } else { tried };
                    farthest = farthest.max(partial.length);
                    wait(tried);
                    tried += 1;
                }
                done => done?,
            }
        }
        Ok(partial)
    }

    fn go_on(&self, blob: &Descriptor, partial: &mut Partial) -> Result<()> {
        let mut answer = self.repository.blob(&blob.digest, partial.length)?;
        if partial.length > 0 && !goes_on_at(&answer, partial.length) {
            self.progress.dec(partial.length);
            partial.begin_anew()?;
            if answer.status() != StatusCode::OK {
                answer = self.repository.blob(&blob.digest, 0)?;
            }
        }
        if partial.length == 0 {
            let status = answer.status();
            ensure!(status == StatusCode::OK, "it answers {status}, and not with the blob");
        }
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; PIECE];
        loop {
            ensure!(!self.is_over.load(Ordering::Relaxed), "another blob could not be fetched");
            let length = body.read(&mut buffer).map_err(broken_off)?;
            let piece = &buffer[..length]; // no reader reads more than there is room for
            if piece.is_empty() {
                break;
            }
            let is_more = partial.length + length as u64 > blob.size;
            ensure!(!is_more, "more comes than the manifest says");
            partial.write(piece)?;
            self.progress.inc(length as u64);
        }
        let length = partial.length;
        let too_short = io::Error::from(ErrorKind::UnexpectedEof);
        if length < blob.size {
            return Err(too_short).with_context(|| format!("it ends after {length} bytes"));
        }
        Ok(())
    }
}

/// Whether what comes is the rest that was asked for: RFC 9110, Content-Range.
fn goes_on_at(answer: &Response<Body>, position: u64) -> bool {
    let range = header(answer, "content-range").and_then(|it| it.trim().strip_prefix("bytes "));
    let start = range.and_then(|it| it.split_once('-')?.0.trim().parse::<u64>().ok());
    answer.status() == StatusCode::PARTIAL_CONTENT && start == Some(position)
}

/// As much of a blob as has come.
struct Partial {
    path: PathBuf,
    file: File,
    length: u64,
    sum: Sum,
}

impl Partial {
    /// Opens what is there of a blob, and reads it: for its digest.
    fn open(path: &Path, size: u64) -> Result<Partial> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.advise(cure).with_context(|| format!("cannot open {path:?}"))?;
        let mut partial = Partial { path: path.to_owned(), file, length: 0, sum: Sum::default() };
        let mut buffer = vec![0; PIECE];
        loop {
            let read = partial.file.read(&mut buffer);
            let length = read.with_context(|| format!("cannot read {path:?}"))?;
            if length == 0 {
                break;
            }
            partial.sum.add(&buffer[..length]);
            partial.length += length as u64;
        }
        if partial.length > size {
            partial.begin_anew()?;
        }
        Ok(partial)
    }

    fn begin_anew(&mut self) -> Result<()> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.with_context(|| format!("cannot empty {:?}", self.path))?;
        (self.length, self.sum) = (0, Sum::default());
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<()> {
        let written = self.file.write_all(piece).advise(cure);
        written.with_context(|| format!("cannot write {:?}", self.path))?;
        self.sum.add(piece);
        self.length += piece.len() as u64;
        Ok(())
    }

    fn finish(&self) -> image::digest::Digest {
        self.sum.clone().finish()
    }
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).with_context(|| format!("cannot remove {path:?}"))
}

/// What to do about a file that cannot be written.
pub(crate) fn cure(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => {
            "make room and say the same again: it goes on where it stopped; \
             cargo workshop images tells what is there"
        }
        _ => "",
    }
}
