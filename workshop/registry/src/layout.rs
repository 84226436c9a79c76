//! An image layout that is written: by one process at a time, and so that it is always whole.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::MAX_DESCRIPTION;
use image::cache::make_closed;
use image::digest::Digest;
use image::store::{BLOBS, Layout, PARTIAL, Store};
use launcher::bounded;
use launcher::command_line::{errno_in, note};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, ResolveFlag};
use serde_json::{Value, json};

use crate::contents::{self, REF_NAME, mark};

/// A layout of which this process is the only writer.
#[derive(Debug)]
pub(crate) struct Locked {
    path: PathBuf,
    /// The directory itself, locked: flock(2). The lock is gone when this process is.
    _lock: Flock<File>,
}

impl Locked {
    /// Locks a layout, which is made if it is not there.
    pub(crate) fn create(layout: &Layout) -> Result<Locked> {
        let path = &layout.path;
        loop {
            for directory in [path.clone(), path.join(BLOBS), path.join(PARTIAL)] {
                make_closed(&directory)?;
            }
            // Whoever held the lock before may have removed the layout: it is another one now.
            if let Some(locked) = Locked::open(layout)? {
                locked.write("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
                return Ok(locked);
            }
        }
    }

    /// Locks a layout, if it is there.
    pub(crate) fn open(layout: &Layout) -> Result<Option<Locked>> {
        let path = layout.path.clone();
        let lock = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.with_context(|| format!("cannot open {path:?}"))?,
        };
        let cannot = || format!("cannot lock {path:?}");
        let lock = match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
            Err((lock, Errno::EWOULDBLOCK)) => {
                note(format_args!("another process writes {}: waiting for it", layout.name));
                Flock::lock(lock, FlockArg::LockExclusive)
            }
            locked => locked,
        };
        let lock = lock.map_err(|(_, errno)| errno).with_context(cannot)?;
        let number = |found: fs::Metadata| (found.dev(), found.ino());
        let locked =
            lock.metadata().map(number).with_context(|| format!("cannot look at {path:?}"));
        let is_there = fs::metadata(&path).map(number).ok() == Some(locked?);
        Ok(is_there.then_some(Locked { path, _lock: lock }))
    }

    /// Where the layout is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a blob is, or will be.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        contents::blob(&self.path, digest)
    }

    /// Where as much of a blob is as has come.
    pub(crate) fn partial(&self, digest: &Digest) -> PathBuf {
        self.path.join(PARTIAL).join(format!("sha256-{}", digest.hex()))
    }

    /// Puts a small blob there, which was checked.
    pub(crate) fn put(&self, digest: &Digest, content: &[u8]) -> Result<()> {
        let (partial, path) = (self.partial(digest), self.blob(digest));
        fs::write(&partial, content).with_context(|| format!("cannot write {partial:?}"))?;
        fs::rename(&partial, &path).with_context(|| format!("cannot rename {partial:?}"))
    }

    /// Gives an image a name, which another one loses.
    pub(crate) fn add(
        &self,
        name: &str,
        media_type: &str,
        digest: &Digest,
        size: usize,
    ) -> Result<()> {
        let image = json!({
            "mediaType": media_type,
            "digest": digest.to_string(),
            "size": size,
            "annotations": {REF_NAME: name},
        });
        self.change(|images| {
            images.retain(|it| it["annotations"][REF_NAME] != name);
            images.push(image);
        })
    }

    /// Takes away the images that are [called](contents::name) this.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let said = |it: &Value| it["annotations"][REF_NAME].as_str().map(str::to_owned);
        let is_gone = |it: &Value| {
            contents::name(said(it), it["digest"].as_str().unwrap_or_default()) == name
        };
        self.change(|images| images.retain(|it| !is_gone(it)))
    }

    /// What other tools have put into the index stays as it is.
    fn change(&self, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let path = self.path.join("index.json");
        let mut index = match bounded::read_file(&path, ResolveFlag::empty(), MAX_DESCRIPTION) {
            Err(error) if error.kind() == ErrorKind::NotFound => json!({"schemaVersion": 2}),
            read => {
                let content = read.with_context(|| format!("cannot read {path:?}"))?;
                let parsed = serde_json::from_slice(&content);
                parsed.with_context(|| format!("cannot understand {path:?}"))?
            }
        };
        let mut images = index["manifests"].as_array().cloned().unwrap_or_default();
        change(&mut images);
        let index_of = index.as_object_mut().with_context(|| format!("{path:?} is no index"))?;
        index_of.insert("manifests".to_owned(), Value::Array(images));
        self.write("index.json", &index)
    }

    /// Writes a file whole: whoever opens it finds the old one or the new one.
    fn write(&self, name: &str, content: &Value) -> Result<()> {
        // No repository has a name that begins with a dot.
        let (path, new) = (self.path.join(name), self.path.join(format!(".{name}")));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(content.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().with_context(|| format!("cannot write {path:?}"))
    }

    /// Removes the blobs that no image here has any more. If some of them cannot be read, nobody
    /// knows what they have, and nothing is removed.
    pub(crate) fn sweep(&self) -> Result<()> {
        let mut kept = HashSet::new();
        let images = Layout { path: self.path.clone(), name: String::new() }.images()?;
        match images.iter().try_for_each(|image| mark(&self.path, image, &mut kept)) {
            Ok(()) => self.remove_blobs(&kept),
            Err(_) => Ok(()),
        }
    }

    /// Removes the blobs, but for these.
    pub(crate) fn remove_blobs(&self, kept: &HashSet<Digest>) -> Result<()> {
        let is_gone = |name: &str| Digest::from_hex(name).is_ok_and(|it| !kept.contains(&it));
        self.remove_files(BLOBS, is_gone)
    }

    /// Removes what was not fetched to its end.
    pub(crate) fn remove_partial(&self) -> Result<()> {
        let hex = |name: &str| name.strip_prefix("sha256-").map(str::to_owned);
        self.remove_files(PARTIAL, |name| hex(name).is_some_and(|it| Digest::from_hex(&it).is_ok()))
    }

    /// Removes those with such names: others are none of ours.
    fn remove_files(&self, directory: &str, is_gone: impl Fn(&str) -> bool) -> Result<()> {
        let directory = self.path.join(directory);
        let cannot = || format!("cannot list {directory:?}");
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(cannot)?,
        };
        for entry in entries {
            let path = entry.with_context(cannot)?.path();
            if path.file_name().and_then(|name| name.to_str()).is_some_and(&is_gone) {
                remove_if_there(&path, |path| fs::remove_file(path))?;
            }
        }
        Ok(())
    }

    /// Gives the layout back. If there is nothing in it, it goes, with what was made around it.
    pub(crate) fn close(self, store: &Store) -> Result<()> {
        let is_empty =
            |directory: &PathBuf| fs::read_dir(directory).map(|mut it| it.next().is_none());
        let directories = [self.path.join(BLOBS), self.path.join(PARTIAL)];
        for directory in &directories {
            match is_empty(directory) {
                Ok(false) => return Ok(()),
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot list {directory:?}"));
                }
                _ => {}
            }
        }
        for name in ["index.json", "oci-layout", ".index.json", ".oci-layout"] {
            remove_if_there(&self.path.join(name), |path| fs::remove_file(path))?;
        }
        let [blobs, partial] = directories;
        let outer = self.path.ancestors().take_while(|it| *it != store.directory());
        let outer = outer.map(Path::to_owned);
        let inner = [blobs, self.path.join("blobs"), partial];
        // Another repository can be in there: `alpine/git` is in `alpine`.
        for directory in inner.into_iter().chain(outer) {
            match remove_if_there(&directory, |path| fs::remove_dir(path)) {
                Err(error) if errno_in(&error) == Some(Errno::ENOTEMPTY) => break,
                removed => removed?,
            }
        }
        Ok(())
    }
}

fn remove_if_there(path: &Path, remove: fn(&Path) -> io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("cannot remove {path:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::reference::Reference;

    /// A directory of images for one test.
    struct Images(Store);

    impl Images {
        fn new(name: &str) -> Images {
            let name = format!("registry-layout-{name}-{}", std::process::id());
            Images(Store::at(std::env::temp_dir().join(name)))
        }

        fn layout(&self, name: &str) -> Layout {
            self.0.layout(&name.parse::<Reference>().unwrap())
        }

        fn create(&self, name: &str) -> Locked {
            Locked::create(&self.layout(name)).unwrap()
        }
    }

    impl Drop for Images {
        fn drop(&mut self) {
            fs::remove_dir_all(self.0.directory()).unwrap();
        }
    }

    /// Puts an image with these blobs there, and says what its manifest is called.
    fn put(locked: &Locked, name: &str, blobs: &[&str]) -> Digest {
        let descriptor = |content: &&str| {
            let digest = Digest::of(content.as_bytes());
            locked.put(&digest, content.as_bytes()).unwrap();
            json!({"mediaType": "a", "digest": digest.to_string(), "size": content.len()})
        };
        let blobs: Vec<_> = blobs.iter().map(descriptor).collect();
        let manifest = json!({"config": blobs[0], "layers": blobs[1..]}).to_string();
        let digest = Digest::of(manifest.as_bytes());
        locked.put(&digest, manifest.as_bytes()).unwrap();
        locked.add(name, "a.manifest", &digest, manifest.len()).unwrap();
        digest
    }

    fn blobs(locked: &Locked) -> usize {
        fs::read_dir(locked.path().join(BLOBS)).unwrap().count()
    }

    #[test]
    fn a_name_moves_and_what_nobody_names_goes() {
        let images = Images::new("moves");
        let locked = images.create("a");
        put(&locked, "latest", &["config", "shared", "old"]);
        put(&locked, "other", &["config", "shared"]);
        let new = put(&locked, "latest", &["config 2", "new"]);
        assert_eq!(blobs(&locked), 3 + 5);
        locked.sweep().unwrap();
        assert_eq!(blobs(&locked), 3 + 4 - 1);
        let named = images.layout("a").images().unwrap();
        assert_eq!(named.len(), 2);
        assert!(named.iter().any(|image| image.digest == new));
        locked.remove("other").unwrap();
        locked.sweep().unwrap();
        assert_eq!(blobs(&locked), 3);
    }

    #[test]
    fn nothing_is_swept_while_a_manifest_cannot_be_read() {
        let images = Images::new("damaged");
        let locked = images.create("a");
        let manifest = put(&locked, "latest", &["config", "layer"]);
        put(&locked, "other", &["config"]);
        fs::remove_file(locked.blob(&manifest)).unwrap();
        locked.remove("other").unwrap();
        locked.sweep().unwrap();
        assert_eq!(blobs(&locked), 3);
    }

    #[test]
    fn what_others_have_written_into_the_index_stays() {
        let images = Images::new("others");
        let locked = images.create("a");
        let index = locked.path().join("index.json");
        let theirs = r#"{"schemaVersion": 2, "annotations": {"a": "b"}, "manifests":
            [{"mediaType": "x", "digest": "sha256:1", "size": 1, "data": "e30="}]}"#;
        fs::write(&index, theirs).unwrap();
        locked.add("latest", "a.manifest", &Digest::of(b""), 0).unwrap();
        locked.remove("latest").unwrap();
        let found: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
        assert_eq!(found, serde_json::from_str::<Value>(theirs).unwrap());
    }

    #[test]
    fn an_empty_layout_goes_and_one_inside_it_stays() {
        let images = Images::new("empty");
        let inner = images.create("localhost:5000/a/b");
        put(&inner, "latest", &["config"]);
        images.create("localhost:5000/a").close(&images.0).unwrap();
        assert!(!images.layout("localhost:5000/a").path.join("oci-layout").exists());
        let there = &images.layout("localhost:5000/a/b").path;
        inner.remove("latest").unwrap();
        inner.sweep().unwrap();
        let partial = inner.partial(&Digest::of(b"x"));
        fs::write(&partial, "x").unwrap();
        inner.close(&images.0).unwrap();
        assert!(there.join("index.json").exists(), "a part of a blob is still there");
        let inner = images.create("localhost:5000/a/b");
        fs::remove_file(partial).unwrap();
        inner.close(&images.0).unwrap();
        assert_eq!(fs::read_dir(images.0.directory()).unwrap().count(), 0);
    }
}
