//! A case: the layers of an image, and the headers that they are made of.

use tar::{EntryType, Header};

use crate::archive::{self, Archive};

/// An image to be unpacked by all.
pub struct Case {
    pub name: String,
    /// Tar archives, the lowest first.
    pub layers: Vec<Vec<u8>>,
}

impl Case {
    /// An image of one layer.
    pub fn new(name: impl Into<String>, archive: Archive) -> Case {
        Case { name: name.into(), layers: vec![archive.finish()] }
    }

    /// An image of several layers, the lowest first.
    pub fn of_layers(name: impl Into<String>, layers: impl IntoIterator<Item = Archive>) -> Case {
        let layers = layers.into_iter().map(Archive::finish).collect();
        Case { name: name.into(), layers }
    }

    /// Its entries, as far as they can be read.
    pub fn list(&self) -> String {
        let mut text = format!("{}:", self.name);
        for (number, layer) in self.layers.iter().enumerate() {
            text += &format!("\n  layer {number}:");
            let mut archive = tar::Archive::new(&**layer);
            for entry in archive.entries().into_iter().flatten().flatten() {
                let kind = char::from(entry.header().entry_type().as_byte());
                text += &format!(" {kind} {},", entry.path_bytes().escape_ascii());
            }
        }
        text + "\n"
    }

    /// An image of one layer, byte by byte.
    pub fn of_bytes(name: impl Into<String>, layer: Vec<u8>) -> Case {
        Case { name: name.into(), layers: vec![layer] }
    }
}

/// Adds something to an archive.
pub type Add = fn(Archive) -> Archive;

/// An archive that begins with the root directory.
pub fn start() -> Archive {
    Archive::new().directory("./")
}

/// The places in a header (ustar.h; pax(1), "ustar Interchange Format").
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub from: usize,
    pub length: usize,
}

const fn field(name: &'static str, from: usize, length: usize) -> Field {
    Field { name, from, length }
}

pub const NAME: Field = field("name", 0, 100);
pub const MODE: Field = field("mode", 100, 8);
pub const UID: Field = field("uid", 108, 8);
pub const GID: Field = field("gid", 116, 8);
pub const SIZE: Field = field("size", 124, 12);
pub const MTIME: Field = field("mtime", 136, 12);
pub const TYPE: Field = field("type", 156, 1);
pub const LINK: Field = field("linkname", 157, 100);
pub const MAGIC: Field = field("magic", 257, 8);
pub const UNAME: Field = field("uname", 265, 32);
pub const GNAME: Field = field("gname", 297, 32);
pub const MAJOR: Field = field("devmajor", 329, 8);
pub const MINOR: Field = field("devminor", 337, 8);
pub const PREFIX: Field = field("prefix", 345, 155);

/// What the magic says of the format.
pub const OLD: &[u8] = b"";
pub const USTAR: &[u8] = b"ustar\x0000";
pub const GNU: &[u8] = b"ustar  \0";

/// A header, to be changed byte by byte.
#[derive(Clone)]
pub struct Raw(pub Header);

impl Raw {
    /// In GNU's format.
    pub fn new(name: &str, kind: EntryType) -> Raw {
        Raw(archive::header(name, kind))
    }

    /// A regular file of this length.
    pub fn file(name: &str, length: usize) -> Raw {
        let mut header = archive::header(name, EntryType::Regular);
        header.set_size(length as u64);
        Raw(header)
    }

    /// Puts bytes into a field, and zeros behind them.
    pub fn set(mut self, field: Field, bytes: &[u8]) -> Raw {
        let place = &mut self.0.as_mut_bytes()[field.from..field.from + field.length];
        place.fill(0);
        place[..bytes.len()].copy_from_slice(bytes);
        self
    }

    /// In another format. The oldest one knows no devices and no names of owners.
    pub fn format(self, magic: &[u8]) -> Raw {
        let is_device = matches!(self.0.as_bytes()[TYPE.from], b'3' | b'4');
        let raw = self.set(MAGIC, magic).set(PREFIX, b"");
        if is_device { raw } else { raw.set(MAJOR, b"").set(MINOR, b"") }
    }
}

impl Archive {
    /// A header that was changed, and what follows it.
    pub fn raw_entry(self, raw: &Raw, content: &[u8]) -> Archive {
        self.entry(&raw.0, content)
    }

    /// A long name or a long link (GNU), with or without its zero byte, and other oddities.
    pub fn long(self, kind: EntryType, content: &[u8]) -> Archive {
        let mut header = archive::header("././@LongLink", kind);
        header.set_size(content.len() as u64);
        self.entry(&header, content)
    }
}
