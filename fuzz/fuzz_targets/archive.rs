//! Layers: whatever the archive tries, nothing beside the layer's directory changes, and the layer
//! can be removed again.
//!
//! Half of the archives are made of entries, with names that are made for climbing out; the other
//! half are bytes.

#![no_main]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tar::{EntryType, Header};
use v7_overlay::unpack::{Allowance, Limited, Unpacker};
use v7_overlay::xattrs::Xattrs;

#[derive(Arbitrary, Debug)]
enum Archive {
    Entries(Vec<Entry>),
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Entry {
    kind: Kind,
    path: Name,
    target: Name,
    mode: u16,
    content: u8,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Fifo,
    Device,
    Sparse,
    PaxHeader,
}

impl Kind {
    fn in_tar(&self) -> EntryType {
        match self {
            Kind::File => EntryType::Regular,
            Kind::Directory => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::HardLink => EntryType::Link,
            Kind::Fifo => EntryType::Fifo,
            Kind::Device => EntryType::Char,
            Kind::Sparse => EntryType::GNUSparse,
            Kind::PaxHeader => EntryType::XHeader,
        }
    }
}

/// A path. Each number stands for one of [`PARTS`].
#[derive(Arbitrary, Debug)]
struct Name {
    is_absolute: bool,
    parts: [u8; 5],
    length: u8,
}

const PARTS: [&str; 12] =
    ["a", "b", "c", "..", ".", "", "outside", "kept", ".wh.a", ".wh..wh..opq", ".wh.", "proc"];

impl Name {
    fn bytes(&self) -> Vec<u8> {
        let parts = &self.parts[..usize::from(self.length) % (self.parts.len() + 1)];
        let parts: Vec<_> =
            parts.iter().map(|part| PARTS[usize::from(*part) % PARTS.len()]).collect();
        let start = if self.is_absolute { "/" } else { "" };
        format!("{start}{}", parts.join("/")).into_bytes()
    }
}

impl Archive {
    fn bytes(self) -> Vec<u8> {
        let entries = match self {
            Archive::Bytes(bytes) => return bytes,
            Archive::Entries(entries) => entries,
        };
        let mut builder = tar::Builder::new(Vec::new());
        for entry in entries.iter().take(12) {
            let mut header = Header::new_gnu();
            // Not by the crate's own functions: they refuse what we are after.
            put(&mut header.as_old_mut().name, &entry.path.bytes());
            put(&mut header.as_old_mut().linkname, &entry.target.bytes());
            header.set_entry_type(entry.kind.in_tar());
            header.set_mode(entry.mode.into());
            let content = vec![b'x'; entry.content.into()];
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, content.as_slice()).expect("a vector takes all");
        }
        builder.into_inner().expect("a vector takes all")
    }
}

fn put(field: &mut [u8; 100], bytes: &[u8]) {
    field[..bytes.len()].copy_from_slice(bytes);
}

/// A directory `layer` to unpack into, and beside it what must stay as it is.
struct Place {
    base: PathBuf,
    before: BTreeMap<PathBuf, String>,
}

impl Place {
    fn make() -> Place {
        // Hostile archives, and code that may be wrong: not with the rights of root.
        assert!(!nix::unistd::geteuid().is_root(), "run this as an ordinary user");
        v1_chroot::become_root().expect("a user namespace");
        let base = std::env::temp_dir().join(format!("fuzz-archive-{}", std::process::id()));
        fs::create_dir_all(base.join("outside")).expect("make a directory");
        fs::write(base.join("outside/kept"), "kept").expect("write a file");
        fs::write(base.join("kept"), "kept").expect("write a file");
        let before = beside_the_layer(&base);
        Place { base, before }
    }
}

/// Every file but those of the layer: what it is, when it was changed, what is in it.
fn beside_the_layer(base: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut to_visit = vec![base.to_owned()];
    while let Some(directory) = to_visit.pop() {
        for entry in fs::read_dir(&directory).expect("list a directory") {
            let path = entry.expect("list a directory").path();
            if path == base.join("layer") {
                continue;
            }
            let of_file = fs::symlink_metadata(&path).expect("look at a file");
            let content = if of_file.is_file() { fs::read(&path).ok() } else { None };
            let (mode, links, time) = (of_file.mode(), of_file.nlink(), of_file.mtime());
            found.insert(path.clone(), format!("{mode:o} {links} {time} {content:?}"));
            if of_file.is_dir() {
                to_visit.push(path);
            }
        }
    }
    found
}

static PLACE: OnceLock<Place> = OnceLock::new();

fuzz_target!(
    init: {
        PLACE.get_or_init(Place::make);
    },
    |archive: Archive| {
        let place = PLACE.get().expect("it was made");
        let layer = place.base.join("layer");
        fs::create_dir(&layer).expect("make the layer's directory");
        let root = File::open(&layer).expect("open the layer's directory").into();
        let bytes = archive.bytes();
        let limited = Limited::new(bytes.as_slice(), Allowance::new(1 << 20));
        if let Err(error) = Unpacker::new(root, Xattrs::User).unpack(limited) {
            let told = v1_chroot::command_line::one_line(&error).to_string();
            assert!(!told.chars().any(char::is_control), "more than a line of text: {told:?}");
        }
        assert_eq!(beside_the_layer(&place.base), place.before, "something outside has changed");
        fs::remove_dir_all(&layer).expect("remove the layer");
    }
);
