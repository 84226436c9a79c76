//! Every layer unpacked once, into a directory that is named by the digest of its content, and that
//! is there complete or not at all.
//!
//! A layer is unpacked in `HEX.unfinished`, which is locked meanwhile, and renamed when all
//! checksums are right. Whoever wants the same layer waits for the lock. A lock goes with its
//! process, however that ends: an unfinished directory without one is a dead process's.

mod pieces;

use crate::digest::{Digest, Digesting};
use crate::image::{Image, Layer};
use crate::rights::Rights;
use crate::unpack::{Allowance, LeftOut, Unpacker};
use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressStyle};
use launcher::locked_directory::{LockedDirectory, without_owner};
use launcher::signals::check_not_asked_to_end;
use launcher::{Advise, remove_tree};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use pieces::Sender;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

/// How an unfinished directory is called, behind the layer's name.
const UNFINISHED: &str = "unfinished";

/// From this many bytes on, progress is shown.
const WORTH_A_BAR: u64 = 8 << 20;

/// The directories of an image's layers below `cache`, the first one on top.
pub fn unpacked(
    image: &Image,
    cache: &Path,
    rights: &Rights,
    max_size: u64,
) -> Result<Vec<PathBuf>> {
    let xattrs = rights.xattrs;
    let path_of = |layer: &Layer| cache.join(name_of(layer, rights));
    // The same layer can be in an image twice: what is on top hides the copy below it.
    let mut seen = BTreeSet::new();
    let layers: Vec<_> =
        image.layers.iter().rev().filter(|layer| seen.insert(&layer.diff_id)).collect();
    // One question for both: is it there, and does it hide what is below it?
    let marks = || layers.iter().map(|layer| xattrs.is_opaque(&path_of(layer))).collect::<Vec<_>>();
    let mut is_opaque = marks();
    let missing: Vec<_> = layers
        .iter()
        .zip(&is_opaque)
        .filter(|(_, mark)| **mark == Err(Errno::ENOENT))
        .map(|(layer, _)| *layer)
        .collect();
    let is_fault = |errno: &Errno| *errno != Errno::ENOENT;
    if let Some(errno) = is_opaque.iter().filter_map(|mark| mark.err()).find(is_fault) {
        return Err(errno).with_context(|| format!("cannot look at the layers in {cache:?}"));
    }
    if !missing.is_empty() {
        make_closed(cache)?;
        remove_dead(cache, |path| path.extension() == Some(OsStr::new(UNFINISHED)))?;
        let left_out = unpack_all(image, &missing, cache, rights, max_size)?;
        is_opaque = marks();
        left_out.tell();
    }
    let is_opaque = is_opaque.into_iter().collect::<nix::Result<Vec<_>>>();
    let is_opaque = is_opaque.with_context(|| format!("cannot look at {cache:?}"))?;
    // overlayfs does not ask the root of a layer, so we do.
    let last = is_opaque.iter().position(|is_opaque| *is_opaque).unwrap_or(layers.len());
    Ok(layers.iter().take(last + 1).map(|layer| path_of(layer)).collect())
}

/// Without root a layer is another one: its owners are lost or others, its marks are other
/// attributes.
fn name_of(layer: &Layer, rights: &Rights) -> String {
    format!("{}{}", layer.diff_id.hex(), rights.suffix())
}

/// Makes the directory of the layers. Nobody else may enter the cache: a layer has set-user-ID
/// programs in it, of whatever age.
pub fn make_closed(cache: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(cache);
    made.and_then(|()| fs::set_permissions(cache, Permissions::from_mode(0o700)))
        .advise(|_| "another place: XDG_CACHE_HOME for an ordinary user")
        .with_context(|| format!("cannot make {cache:?}"))
}

/// Removes what processes that were killed have left: directories `of_interest` without an owner.
///
/// # Errors
/// If the directory cannot be read, or what is dead cannot be removed.
pub fn remove_dead(parent: &Path, of_interest: impl Fn(&Path) -> bool) -> Result<()> {
    let opened = File::open(parent).with_context(|| format!("cannot read {parent:?}"))?;
    // What cannot be opened is not ours, and stops nobody.
    for dead in without_owner(&opened, of_interest)?.flatten() {
        remove_tree(&parent.join(dead.path()))?;
    }
    Ok(())
}

/// How many processors this process may use. (std would also read what its cgroup allows, and pass
/// over what it cannot read.)
fn processors() -> nix::Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?; // more than it can count: EINVAL
    Ok((0..CpuSet::count()).filter(|processor| allowed.is_set(*processor) == Ok(true)).count())
}

/// Unpacks layers, as many at a time as there are processors. Returns what could not be made.
fn unpack_all(
    image: &Image,
    layers: &[&Layer],
    cache: &Path,
    rights: &Rights,
    max_size: u64,
) -> Result<LeftOut> {
    let blobs = layers.iter().map(|layer| image.open_layer(layer)).collect::<Result<Vec<_>>>()?;
    let progress = progress_bar(blobs.iter().map(|blob| blob.len()).sum());
    let allowance = Allowance::new(max_size);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut left_out = LeftOut::default();
        while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let unpacking = Unpacking { image, layer, rights, progress: &progress };
            left_out += unpacking.add_to_cache(cache, &allowance).inspect_err(|_| {
                next.store(layers.len(), Ordering::Relaxed); // the others need not begin another
            })?;
        }
        Ok(left_out)
    };
    let processors = processors().unwrap_or(1);
    let left_out = thread::scope(|scope| {
        let threads = (0..processors.min(layers.len())).map(|_| start(scope, work));
        let threads = threads.collect::<Result<Vec<_>>>().inspect_err(|_| {
            next.store(layers.len(), Ordering::Relaxed); // those that run need not begin another
        })?;
        threads.into_iter().map(|thread| join(thread.join())).sum()
    });
    progress.finish_and_clear();
    left_out
}

/// Starts a thread. (std's `spawn` panics if there is none to be had.)
fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().spawn_scoped(scope, work).context("cannot start a thread")
}

/// What a thread returned. (What it panicked with, it has printed.)
fn join<T>(result: thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| Err(anyhow!("a thread panicked")))
}

/// A bar on stderr if that is a terminal, else nothing; nor for what is done in an instant.
fn progress_bar(bytes: u64) -> ProgressBar {
    if bytes < WORTH_A_BAR {
        return ProgressBar::hidden();
    }
    let template = "Unpacking {wide_bar} {bytes}/{total_bytes}";
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One layer on its way into the cache.
struct Unpacking<'a> {
    image: &'a Image,
    layer: &'a Layer,
    rights: &'a Rights,
    progress: &'a ProgressBar,
}

impl Unpacking<'_> {
    /// Unpacks, checks, renames; or waits for another process that does so.
    fn add_to_cache(&self, cache: &Path, allowance: &Allowance) -> Result<LeftOut> {
        let name = name_of(self.layer, self.rights);
        let finished = cache.join(&name);
        let unfinished = cache.join(format!("{name}.{UNFINISHED}"));
        let Some(lock) = lock_new(&unfinished, &finished)? else {
            return Ok(LeftOut::default()); // the other process was faster
        };
        let unpacked = self
            .unpack(&unfinished, allowance)
            .with_context(|| format!("cannot unpack {}", self.layer))
            .and_then(|left_out| {
                fs::rename(&unfinished, &finished)
                    .with_context(|| format!("cannot rename {unfinished:?}"))?;
                Ok(left_out)
            });
        if unpacked.is_err() {
            remove_tree(&unfinished)?;
        }
        drop(lock);
        unpacked
    }

    // ANCHOR: unpack
    /// Two threads: one reads, checks and decompresses, the other makes files of what comes out.
    fn unpack(&self, directory: &Path, allowance: &Allowance) -> Result<LeftOut> {
        let root = File::options()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(directory)
            .with_context(|| format!("cannot open {directory:?}"))?
            .into();
        let (sender, pieces) = pieces::channel();
        thread::scope(|scope| {
            let reader = start(scope, move || self.decompress(sender))?;
            let mut content = Digesting::new(pieces);
            let unpacker = Unpacker::new(root, self.rights, allowance.for_layer());
            let unpacked = unpacker.unpack(&mut content);
            let unpacked = unpacked.and_then(|left_out| Ok((left_out, content.finish()?)));
            // A damaged file can look like anything: that it is damaged comes first.
            self.layer.check_blob(&join(reader.join())?)?;
            let (left_out, digest) = unpacked?;
            self.layer.check_content(&digest)?;
            Ok(left_out)
        })
    }
    // ANCHOR_END: unpack

    /// Sends the decompressed archive to the other thread, and returns the digest of the file.
    fn decompress(&self, sender: Sender) -> Result<Digest> {
        let blob = self.progress.wrap_read(self.image.open_layer(self.layer)?);
        let mut blob = Digesting::new(Interruptible(blob));
        sender.send_all(&mut blob, self.layer.compression);
        blob.finish().context("cannot read it")
    }
}

/// Ends with an error when Ctrl-C is pressed. (Signals are held: there is something to clean up.)
struct Interruptible<R>(R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check_not_asked_to_end()?;
        self.0.read(buffer)
    }
}

/// Makes and locks the directory in which a layer is unpacked, empty; `None` if the layer is
/// finished.
fn lock_new(unfinished: &Path, finished: &Path) -> Result<Option<LockedDirectory>> {
    let cannot = || format!("cannot make {unfinished:?}");
    loop {
        let mode = Mode::from_bits_truncate(0o755);
        let lock = LockedDirectory::make(unfinished, mode)?;
        // While we waited its owner may have finished it, or failed.
        match fs::metadata(finished) {
            Ok(found) if found.is_dir() => {
                remove_tree(unfinished)?;
                return Ok(None);
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot look at {finished:?}"));
            }
            _ => {}
        }
        if fs::read_dir(unfinished).with_context(cannot)?.next().is_none() {
            return Ok(Some(lock));
        }
        remove_tree(unfinished)?; // a dead process's: begin anew
    }
}
