//! Every layer unpacked once, into a directory that is named by the digest of its content, and that
//! is there complete or not at all.
//!
//! What is made in `NAME.unfinished`, which is locked meanwhile, is renamed when it is complete and
//! all checksums are right. Whoever wants the same waits for the lock. A lock goes with its
//! process, however that ends: an unfinished directory without one is a dead process's.
//!
//! | | |
//! |---|---|
//! | `DIFF_ID/tree` | a layer as it is alone |
//! | `DIFF_ID/needs` | what it says about those below it; the last that is written |
//! | `DIFF_ID-over-CHAIN/` | the same layer over certain others, if it is another one there |
//! | `CHAIN.image/layers` | which of them an image is made of |

mod chain;
mod once;
mod pieces;

pub use chain::Unpacked;
pub use once::{make_closed, remove_dead};

use crate::digest::{Digest, Digesting};
use crate::image::{Image, Layer, MAX_LAYERS};
use crate::lower::Lower;
use crate::rights::Rights;
use crate::unpack::{Allowance, LeftOut, Needs, Unpacker};
use anyhow::{Context, Result, anyhow, ensure};
use chain::{Chain, TREE};
use indicatif::{ProgressBar, ProgressStyle};
use launcher::directories::refuse_strangers;
use launcher::signals::check_not_asked_to_end;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use once::make_once;
use pieces::Sender;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

/// What a layer says about those below it. It is there if all of the layer is: rm(1) without root
/// takes this file, and not what belongs to a range of ids.
const NEEDS: &str = "needs";

/// From this many bytes on, progress is shown.
const WORTH_A_BAR: u64 = 8 << 20;

/// The layers of an image below `cache`.
///
/// # Errors
/// If the image is damaged, too large or hostile, or the cache cannot be used.
pub fn unpacked(image: &Image, cache: &Path, rights: &Rights, max_size: u64) -> Result<Unpacked> {
    refuse_strangers(cache)?;
    let chain = Chain::of(&image.layers, rights);
    if let Some(found) = chain.read(cache, rights)? {
        return Ok(found);
    }
    make_closed(cache)?;
    remove_dead(cache, once::is_unfinished)?;
    let unpacking = Unpacking { image, cache, rights, left_out: Mutex::default() };
    let allowance = Allowance::new(max_size);
    unpacking.all_alone(&image.stack(), &allowance)?;
    let (names, root) = unpacking.all_over(&allowance)?;
    unpacking.left_out.into_inner().unwrap_or_default().into_values().sum::<LeftOut>().tell();
    chain.write(cache, &names, &root)?;
    let found = chain.read(cache, rights)?;
    found.with_context(|| format!("a layer in {cache:?} is gone again"))
}

/// How many processors this process may use. (std would also read what its cgroup allows, and pass
/// over what it cannot read.)
fn processors() -> nix::Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?; // more than it can count: EINVAL
    Ok((0..CpuSet::count()).filter(|processor| allowed.is_set(*processor) == Ok(true)).count())
}

/// An image on its way into the cache.
struct Unpacking<'a> {
    image: &'a Image,
    cache: &'a Path,
    rights: &'a Rights,
    /// What could not be made of each layer, by its diff_id.
    left_out: Mutex<BTreeMap<Digest, LeftOut>>,
}

impl Unpacking<'_> {
    /// Unpacks those layers that the cache has not got, each alone, as many at a time as there are
    /// processors.
    fn all_alone(&self, layers: &[&Layer], allowance: &Allowance) -> Result<()> {
        let mut missing = Vec::new();
        for layer in layers {
            if !is_complete(&self.cache.join(name_of(layer, self.rights)))? {
                missing.push(*layer);
            }
        }
        let blobs = missing.iter().map(|layer| self.image.open_layer(layer));
        let bytes = blobs.map(|blob| blob.map(|blob| blob.len())).sum::<Result<u64>>()?;
        let progress = progress_bar(bytes);
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(layer) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let name = name_of(layer, self.rights);
                let added = self.add_to_cache(layer, &name, None, allowance, &progress);
                added.inspect_err(|_| {
                    next.store(missing.len(), Ordering::Relaxed); // nobody need begin another
                })?;
            }
            Ok(())
        };
        let processors = processors().unwrap_or(1);
        let unpacked = thread::scope(|scope| {
            let threads = (0..processors.min(missing.len())).map(|_| start(scope, work));
            let threads = threads.collect::<Result<Vec<_>>>().inspect_err(|_| {
                next.store(missing.len(), Ordering::Relaxed);
            })?;
            threads.into_iter().try_for_each(|thread| join(thread.join()))
        });
        progress.finish_and_clear();
        unpacked
    }

    /// Goes up from the lowest layer. One that would be another over those below it is unpacked
    /// once more, under a name that it has over these only. Returns the names, the first one on
    /// top, and the one with the root directory.
    fn all_over(&self, allowance: &Allowance) -> Result<(Vec<String>, String)> {
        let layers = &self.image.layers;
        let (mut names, mut paths) = (Vec::new(), Vec::new());
        let mut root = None;
        let hidden = ProgressBar::hidden();
        for (count, layer) in layers.iter().enumerate() {
            let alone = name_of(layer, self.rights);
            let needs = Needs::read(&self.cache.join(&alone).join(NEEDS))?;
            let needs = needs.with_context(|| format!("{layer} is gone from the cache again"))?;
            let lower = Lower::new(&paths, self.rights.xattrs);
            let name = if needs.are_in(&lower)? {
                let below = Chain::of(&layers[..count], self.rights);
                let name =
                    format!("{}-over-{}{}", layer.diff_id.hex(), below.hex(), self.rights.suffix());
                self.add_to_cache(layer, &name, Some(lower), allowance, &hidden)?;
                name
            } else {
                alone
            };
            if root.is_none() || !needs.has_root_of_lower() {
                root = Some(name.clone());
            }
            // One that is there twice hides its own copy below.
            if let Some(copy) = names.iter().position(|other| *other == name) {
                names.remove(copy);
                paths.remove(copy);
            }
            paths.insert(0, self.cache.join(&name).join(TREE));
            names.insert(0, name);
            let count = names.len();
            ensure!(
                count <= MAX_LAYERS,
                "{count} layers are too many: overlayfs takes {MAX_LAYERS}"
            );
        }
        Ok((names, root.context("an image without layers has nothing to run")?))
    }

    fn add_to_cache(
        &self,
        layer: &Layer,
        name: &str,
        lower: Option<Lower>,
        allowance: &Allowance,
        progress: &ProgressBar,
    ) -> Result<()> {
        let made = make_once(self.cache, name, is_complete, |directory| {
            self.unpack(layer, directory, lower, allowance, progress)
                .with_context(|| format!("cannot unpack {layer}"))
        })?;
        // `None`: another process was faster, and tells it.
        if let (Some(left_out), Ok(mut all)) = (made, self.left_out.lock()) {
            all.insert(layer.diff_id.clone(), left_out);
        }
        Ok(())
    }

    // ANCHOR: unpack
    /// Two threads: one reads, checks and decompresses, the other makes files of what comes out.
    fn unpack(
        &self,
        layer: &Layer,
        directory: &Path,
        lower: Option<Lower>,
        allowance: &Allowance,
        progress: &ProgressBar,
    ) -> Result<LeftOut> {
        let tree = directory.join(TREE);
        let root = fs::create_dir(&tree).and_then(|()| open_directory(&tree));
        let root = root.with_context(|| format!("cannot make {tree:?}"))?.into();
        let (sender, pieces) = pieces::channel();
        thread::scope(|scope| {
            let reader = start(scope, move || self.decompress(layer, sender, progress))?;
            let mut content = Digesting::new(pieces);
            let mut unpacker = Unpacker::new(root, self.rights, allowance.for_layer());
            if let Some(lower) = lower {
                unpacker = unpacker.over(lower);
            }
            let unpacked = unpacker.unpack(&mut content);
            let unpacked = unpacked.and_then(|unpacked| Ok((unpacked, content.finish()?)));
            // A damaged file can look like anything: that it is damaged comes first.
            layer.check_blob(&join(reader.join())?)?;
            let ((left_out, needs), digest) = unpacked?;
            layer.check_content(&digest)?;
            needs.write(&directory.join(NEEDS))?;
            Ok(left_out)
        })
    }
    // ANCHOR_END: unpack

    /// Sends the decompressed archive to the other thread, and returns the digest of the file.
    fn decompress(&self, layer: &Layer, sender: Sender, progress: &ProgressBar) -> Result<Digest> {
        let blob = progress.wrap_read(self.image.open_layer(layer)?);
        let mut blob = Digesting::new(Interruptible(blob));
        sender.send_all(&mut blob, layer.compression);
        blob.finish().context("cannot read it")
    }
}

/// Without root a layer is another one: its owners are lost or others, its marks are other
/// attributes.
fn name_of(layer: &Layer, rights: &Rights) -> String {
    format!("{}{}", layer.diff_id.hex(), rights.suffix())
}

fn is_complete(layer: &Path) -> Result<bool> {
    let is_there = |name| layer.join(name).try_exists();
    let is_complete = is_there(NEEDS).and_then(|needs| Ok(needs && is_there(TREE)?));
    is_complete.with_context(|| format!("cannot look at {layer:?}"))
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    File::options().read(true).custom_flags(flags).open(path)
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

/// Ends with an error when Ctrl-C is pressed. (Signals are held: there is something to clean up.)
struct Interruptible<R>(R);

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check_not_asked_to_end()?;
        self.0.read(buffer)
    }
}
