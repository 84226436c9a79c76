//! Layers: whatever the archive tries, nothing beside the layer's directory changes, and the layer
//! can be removed again.
//!
//! If the first byte is odd, the rest is the archive. Else each [`RECORD`] bytes are an entry, with
//! names that meet each other and climb out.

#![no_main]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tar::{EntryType, Header};
use image::unpack::{Allowance, Unpacker};
use image::rights::Rights;

/// Kind, path, target, mode and content of an entry.
const RECORD: usize = 5;

const KINDS: [EntryType; 10] = [
    EntryType::Regular,
    EntryType::Directory,
    EntryType::Symlink,
    EntryType::Link,
    EntryType::Fifo,
    EntryType::Char,
    EntryType::GNUSparse,
    EntryType::XHeader,
    EntryType::GNULongName,
    EntryType::GNULongLink,
];
const PATHS: [&str; 16] = [
    "a",
    "a/b",
    "a/b/c",
    "b",
    "b/a",
    ".wh.a",
    "a/.wh.b",
    "a/.wh..wh..opq",
    "/a",
    "/",
    "./a/",
    "../outside/new",
    "../kept",
    ".wh.",
    "a/.wh.b/c",
    "",
];
const TARGETS: [&str; 12] = [
    "a",
    "b",
    "a/b",
    ".",
    "..",
    "/",
    "/a",
    "../outside",
    "../outside/kept",
    "../kept",
    "/proc/self/cwd",
    "",
];

/// What a PAX header may say about the next entry.
const RECORDS: [&str; 16] = [
    "path=b/a",
    "path=../outside/new",
    "path=",
    "linkpath=../outside",
    "linkpath=/a\n/b",
    "size=0",
    "size=512",
    "size=-1",
    "uid=4294967295",
    "mtime=-1.5",
    "SCHILY.xattr.user.note=x\0\n",
    "SCHILY.xattr.trusted.overlay.opaque=y",
    "GNU.sparse.map=0,1,600,1",
    "GNU.sparse.size=1000",
    "GNU.sparse.major=1",
    "GNU.sparse.minor=0",
];

/// The content of a header that says more about the next entry. Each bit of `choice` and of `more`
/// is a record.
fn content_of_header(kind: EntryType, choice: usize, more: usize) -> Option<Vec<u8>> {
    match kind {
        EntryType::GNULongName => Some(PATHS[choice % PATHS.len()].into()),
        EntryType::GNULongLink => Some(TARGETS[choice % TARGETS.len()].into()),
        EntryType::XHeader => {
            let bits = choice | more << 8;
            let records = RECORDS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            Some(records.flat_map(|(_, record)| with_length(record).into_bytes()).collect())
        }
        _ => None,
    }
}

/// A record says how long it is, that number included.
fn with_length(record: &str) -> String {
    let rest = record.len() + 2; // the blank and the newline
    let digits = (1..).find(|digits| (rest + digits).to_string().len() == *digits);
    format!("{} {record}\n", rest + digits.expect("a length has a length"))
}

fn archive(input: &[u8]) -> Vec<u8> {
    let Some((first, rest)) = input.split_first() else { return Vec::new() };
    if first % 2 == 1 {
        return rest.to_vec();
    }
    let mut builder = tar::Builder::new(Vec::new());
    for record in rest.chunks_exact(RECORD).take(12) {
        let of = |index: usize| usize::from(record[index]);
        let mut header = Header::new_gnu();
        // Not by the crate's own functions: they refuse what we are after.
        put(&mut header.as_old_mut().name, PATHS[of(1) % PATHS.len()]);
        put(&mut header.as_old_mut().linkname, TARGETS[of(2) % TARGETS.len()]);
        let kind = KINDS[of(0) % KINDS.len()];
        header.set_entry_type(kind);
        header.set_mode((of(3) << 4) as u32);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let content = content_of_header(kind, of(3), of(4)).unwrap_or(vec![b'x'; of(4)]);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_slice()).expect("a vector takes all");
    }
    builder.into_inner().expect("a vector takes all")
}

fn put(field: &mut [u8; 100], text: &str) {
    field[..text.len()].copy_from_slice(text.as_bytes());
}

/// A directory `layer` to unpack into, and beside it what must stay as it is.
struct Scratch {
    base: PathBuf,
    before: BTreeMap<PathBuf, String>,
}

impl Scratch {
    fn make() -> Scratch {
        // Hostile archives, and code that may be wrong: not with the rights of root.
        assert!(!nix::unistd::geteuid().is_root(), "run this as an ordinary user");
        launcher::become_root(launcher::Caller::of_this_process()).expect("a user namespace");
        let base = std::env::temp_dir().join(format!("fuzz-archive-{}", std::process::id()));
        fs::create_dir_all(base.join("outside")).expect("make a directory");
        fs::write(base.join("outside/kept"), "kept").expect("write a file");
        fs::write(base.join("kept"), "kept").expect("write a file");
        let before = beside_the_layer(&base);
        Scratch { base, before }
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

static PLACE: OnceLock<Scratch> = OnceLock::new();

fuzz_target!(
    init: {
        PLACE.get_or_init(Scratch::make);
    },
    |input: &[u8]| {
        let place = PLACE.get().expect("it was made");
        let layer = place.base.join("layer");
        fs::create_dir(&layer).expect("make the layer's directory");
        let root = File::open(&layer).expect("open the layer's directory").into();
        let bytes = archive(input);
        let one_id = "0 1000 1";
        let rights = Rights::in_user_namespace(one_id, one_id);
        let unpacker = Unpacker::new(root, &rights, Allowance::new(1 << 20));
        if let Err(error) = unpacker.unpack(bytes.as_slice()) {
            let told = launcher::command_line::one_line(&error).to_string();
            assert!(!told.chars().any(char::is_control), "more than a line of text: {told:?}");
        }
        assert_eq!(beside_the_layer(&place.base), place.before, "something outside has changed");
        fs::remove_dir_all(&layer).expect("remove the layer");
    }
);
