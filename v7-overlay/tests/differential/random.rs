//! Random archives that are legal: what image-spec (layer.md) allows, under few names, so that the
//! layers meet. In a layer no name comes twice, whiteouts come first and delete something, and what
//! an entry lies in is a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;

use tar::EntryType;

use crate::archive::Archive;
use crate::case::{Case, GID, GNU, LINK, MODE, MTIME, NAME, OLD, PREFIX, Raw, UID, USTAR};
use crate::dice::Dice;

/// How many there are, unless `DIFFERENTIAL` says otherwise.
pub const SHORT: u64 = 200;

pub fn cases() -> Vec<Case> {
    let first = number("DIFFERENTIAL_SEED").unwrap_or(1);
    let count = number("DIFFERENTIAL").unwrap_or(SHORT);
    (first..first + count).map(case).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: no number")))
}

fn case(seed: u64) -> Case {
    let mut dice = Dice::new(seed);
    let mut tree = Tree::default();
    let layers = 1 + dice.below(4);
    let layers: Vec<_> = (0..layers).map(|_| tree.layer(&mut dice)).collect();
    Case::of_layers(format!("seed {seed}"), layers)
}

/// Type, owner, mode and so on, as they stand in a header.
#[derive(Clone)]
struct Attributes {
    kind: EntryType,
    mode: u64,
    uid: u64,
    gid: u64,
    mtime: u64,
    note: Option<u64>,
}

impl Attributes {
    fn random(dice: &mut Dice) -> Attributes {
        const KINDS: [EntryType; 8] = [
            EntryType::Regular,
            EntryType::Regular,
            EntryType::Directory,
            EntryType::Directory,
            EntryType::Directory,
            EntryType::Symlink,
            EntryType::Fifo,
            EntryType::Char,
        ];
        let kind = *dice.of(&KINDS);
        // Of two entries for a directory, containers/storage merges the attributes.
        let has_note = kind == EntryType::Regular && dice.once_in(3);
        Attributes {
            kind,
            mode: *dice.of(&[0o644, 0o755, 0o4755, 0o2755, 0o1777, 0o600, 0o711, 0]),
            uid: *dice.of(&[0, 1, 1000, 65534, 0o7_777_777]),
            gid: dice.below(4),
            mtime: 1_000_000_000 + dice.below(1000),
            note: has_note.then(|| dice.below(9)),
        }
    }
}

/// What the layers so far make together: directories, and others.
#[derive(Default)]
struct Tree(BTreeMap<String, EntryType>);

impl Tree {
    fn layer(&mut self, dice: &mut Dice) -> Archive {
        let mut archive = Archive::new().directory("./");
        let mut emptied = BTreeSet::new();
        for _ in 0..dice.below(4) {
            archive = self.delete(archive, dice, &mut emptied);
        }
        let mut own = BTreeMap::new();
        for _ in 0..1 + dice.below(12) {
            archive = self.add(archive, dice, &mut own);
        }
        archive
    }

    /// A whiteout of something, or of all that is in a directory; not of a directory of which
    /// something is deleted already.
    fn delete(
        &mut self,
        archive: Archive,
        dice: &mut Dice,
        emptied: &mut BTreeSet<String>,
    ) -> Archive {
        let paths: Vec<_> = self.0.keys().filter(|it| !emptied.contains(*it)).cloned().collect();
        if paths.is_empty() {
            return archive;
        }
        let path = dice.of(&paths);
        emptied.extend(Path::new(path).ancestors().map(|it| it.display().to_string()));
        if self.0[path] == EntryType::Directory && dice.once_in(2) {
            let has_some = self.0.keys().any(|it| it.starts_with(&format!("{path}/")));
            self.remove_below(path);
            return if has_some { mark(archive, &format!("{path}/.wh..wh..opq")) } else { archive };
        }
        self.remove_below(path);
        self.0.remove(path);
        let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
        mark(archive, &format!("{parent}/.wh.{name}"))
    }

    fn remove_below(&mut self, path: &str) {
        self.0.retain(|it, _| !it.starts_with(&format!("{path}/")));
    }

    /// An entry that the layer does not have yet.
    fn add(
        &mut self,
        archive: Archive,
        dice: &mut Dice,
        own: &mut BTreeMap<String, Attributes>,
    ) -> Archive {
        let path = name(dice);
        let attributes = Attributes::random(dice);
        let is_directory = attributes.kind == EntryType::Directory;
        let is_in_own = own.keys().any(|it| it.starts_with(&format!("{path}/")));
        let parents: Vec<_> = path.match_indices('/').map(|(end, _)| &path[..end]).collect();
        let is_free =
            |parent: &&str| self.0.get(*parent).is_none_or(|kind| *kind == EntryType::Directory);
        if own.contains_key(&path) || is_in_own || !parents.iter().all(is_free) {
            return archive;
        }
        for parent in &parents {
            self.0.insert((*parent).to_owned(), EntryType::Directory);
        }
        if !is_directory {
            self.remove_below(&path);
        }
        self.0.insert(path.clone(), attributes.kind);
        if dice.once_in(6) && !is_directory {
            return self.add_link(archive, dice, own, path);
        }
        let archive = entry(archive, dice, &path, &attributes, "");
        own.insert(path, attributes);
        archive
    }

    /// A second name for a file of the layer, with the same attributes.
    fn add_link(
        &mut self,
        archive: Archive,
        dice: &mut Dice,
        own: &mut BTreeMap<String, Attributes>,
        path: String,
    ) -> Archive {
        let files: Vec<_> = own.iter().filter(|it| it.1.kind == EntryType::Regular).collect();
        if files.is_empty() {
            let attributes = Attributes { kind: EntryType::Fifo, ..Attributes::random(dice) };
            self.0.insert(path.clone(), attributes.kind);
            own.insert(path.clone(), Attributes { note: None, ..attributes.clone() });
            return entry(archive, dice, &path, &Attributes { note: None, ..attributes }, "");
        }
        let (target, of_target) = dice.of(&files);
        let link = Attributes { kind: EntryType::Link, ..(*of_target).clone() };
        let archive = entry(archive, dice, &path, &link, target);
        self.0.insert(path.clone(), EntryType::Regular);
        own.insert(path, link);
        archive
    }
}

/// A whiteout.
fn mark(archive: Archive, name: &str) -> Archive {
    if name.len() <= 100 {
        return archive.file(name, "");
    }
    archive.long_name(name).file("other", "")
}

fn name(dice: &mut Dice) -> String {
    let long = "n".repeat(70);
    let depth = 1 + dice.below(4);
    let parts: Vec<_> = (0..depth)
        .map(|_| if dice.once_in(12) { &*long } else { *dice.of(&["a", "b", "c", "\u{e4} d"]) })
        .collect();
    parts.join("/")
}

/// An entry in one of the formats, with numbers in one of the encodings.
fn entry(
    archive: Archive,
    dice: &mut Dice,
    path: &str,
    attributes: &Attributes,
    target: &str,
) -> Archive {
    let kind = attributes.kind;
    let content =
        if kind == EntryType::Regular { "c".repeat(random_size(dice)) } else { String::new() };
    let format = *dice.of(&[GNU, USTAR, OLD]);
    let is_device = kind == EntryType::Char;
    // The oldest format has no devices.
    let format = if is_device && format == OLD { USTAR } else { format };
    let mut raw = Raw::new("", kind).format(format);
    raw = raw.set(MODE, &octal(dice, attributes.mode, 8)).set(UID, &octal(dice, attributes.uid, 8));
    raw = raw
        .set(GID, &octal(dice, attributes.gid, 8))
        .set(MTIME, &octal(dice, attributes.mtime, 12));
    raw.0.set_size(content.len() as u64);
    if is_device {
        raw.0.set_device_major(1).unwrap();
        raw.0.set_device_minor(3).unwrap();
    }
    let target = match kind {
        EntryType::Symlink => (*dice.of(&["a", "/b", "../c", "nowhere", "\u{e4} d/a"])).to_owned(),
        _ => target.to_owned(),
    };
    let start = *dice.of(&["", "./", "/"]);
    let end = if kind == EntryType::Directory && dice.once_in(2) { "/" } else { "" };
    let path = format!("{start}{path}{end}");
    let mut records = Vec::new();
    let note = attributes.note.map(|note| note.to_string());
    if let Some(note) = &note {
        records.push(("SCHILY.xattr.user.note", note.as_bytes()));
    }
    let archive = put_names(archive, dice, &mut raw, format, &path, &target, records);
    archive.raw_entry(&raw, content.as_bytes())
}

fn random_size(dice: &mut Dice) -> usize {
    *dice.of(&[0, 1, 5, 511, 512, 513, 5000])
}

/// A number in octal digits, in one of the ways that all programs read.
fn octal(dice: &mut Dice, value: u64, length: usize) -> Vec<u8> {
    let digits = length - 1;
    match dice.below(4) {
        0 => format!("{value:0digits$o}\0").into_bytes(),
        1 => format!("{value:0digits$o} ").into_bytes(),
        2 => format!("{value:>digits$o}\0").into_bytes(),
        _ => format!("{value:o}").into_bytes(),
    }
}

/// A name and a target, where they fit: in the header, in its prefix, before it.
fn put_names<'a>(
    mut archive: Archive,
    dice: &mut Dice,
    raw: &mut Raw,
    format: &[u8],
    path: &'a str,
    target: &'a str,
    mut records: Vec<(&'a str, &'a [u8])>,
) -> Archive {
    let (is_long, is_long_target) = (path.len() > 100, target.len() > 100);
    let split = path[..path.len().min(150)].rfind('/').filter(|split| path.len() - split <= 100);
    let in_pax = dice.once_in(3);
    if is_long
        && format == USTAR
        && !in_pax
        && let Some(split) = split
    {
        *raw = raw.clone().set(PREFIX, &path.as_bytes()[..split]);
        *raw = raw.clone().set(NAME, &path.as_bytes()[split + 1..]);
    } else if is_long && format == GNU && !in_pax {
        archive = archive.long_name(path);
        *raw = raw.clone().set(NAME, &path.as_bytes()[..90]);
    } else if is_long || in_pax {
        records.push(("path", path.as_bytes()));
        *raw = raw.clone().set(NAME, b"other");
    } else {
        *raw = raw.clone().set(NAME, path.as_bytes());
    }
    if is_long_target {
        records.push(("linkpath", target.as_bytes()));
    } else {
        *raw = raw.clone().set(LINK, target.as_bytes());
    }
    let keys: BTreeSet<_> = records.iter().map(|it| it.0).collect();
    assert_eq!(keys.len(), records.len(), "no record twice");
    if records.is_empty() { archive } else { archive.pax(&records) }
}
