//! Tar archives as tests want them: also those that no honest program writes.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};

/// An archive in the making. Names are written as they are, `..` and all.
#[derive(Clone, Default)]
pub struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    pub fn new() -> Archive {
        Archive::default()
    }

    /// Any entry.
    pub fn entry(mut self, header: &Header, content: &[u8]) -> Archive {
        let mut header = header.clone();
        header.set_cksum();
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(content);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, content: &str) -> Archive {
        let mut header = header(name, EntryType::Regular);
        header.set_size(content.len() as u64);
        self.entry(&header, content.as_bytes())
    }

    pub fn program(self, name: &str, content: &[u8]) -> Archive {
        let mut header = header(name, EntryType::Regular);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        self.entry(&header, content)
    }

    pub fn directory(self, name: &str) -> Archive {
        let mut header = header(name, EntryType::Directory);
        header.set_mode(0o755);
        self.entry(&header, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Archive {
        self.linked(name, target, EntryType::Symlink)
    }

    pub fn hard_link(self, name: &str, target: &str) -> Archive {
        self.linked(name, target, EntryType::Link)
    }

    fn linked(self, name: &str, target: &str, kind: EntryType) -> Archive {
        let mut header = header(name, kind);
        header.set_link_name_literal(target).unwrap();
        self.entry(&header, b"")
    }

    pub fn device(self, name: &str, kind: EntryType, major: u32, minor: u32) -> Archive {
        let mut header = header(name, kind);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.entry(&header, b"")
    }

    /// A PAX header, which says more about the next entry (man 5 tar).
    pub fn pax(self, records: &[(&str, &[u8])]) -> Archive {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = [b" ", key.as_bytes(), b"=", *value, b"\n"].concat();
            let mut length = rest.len() + 1;
            while length != rest.len() + length.to_string().len() {
                length = rest.len() + length.to_string().len();
            }
            content.extend(length.to_string().as_bytes());
            content.extend(rest);
        }
        let mut header = header("pax", EntryType::XHeader);
        header.set_size(content.len() as u64);
        self.entry(&header, &content)
    }

    /// A name that is too long for a header (GNU).
    pub fn long_name(self, name: &str) -> Archive {
        let mut header = header("././@LongLink", EntryType::GNULongName);
        let content = [name.as_bytes(), b"\0"].concat();
        header.set_size(content.len() as u64);
        self.entry(&header, &content)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Archive {
        self.bytes.extend(bytes);
        self
    }

    pub fn without_end(self) -> Vec<u8> {
        self.bytes
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }
}

/// A header with a name as it is given.
pub fn header(name: &str, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    let name = Path::new(name).as_os_str().as_bytes();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header.set_size(0);
    header
}

pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
