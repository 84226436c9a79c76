//! The entries of a tar archive, as tar(5) and pax(1) describe them: ustar, PAX, GNU's format, and
//! the one that was before all of these.
//!
//! Where programs differ, this one reads as Go's archive/tar does, with which Docker, containerd,
//! podman and umoci read layers. The tar crate knows what a header looks like. Its own reader does
//! not do for layers: of repeated records it takes the first, a value ends for it at a newline, a
//! link that says it has content swallows the next header, a blank number is an error.

use super::header::{BLOCK, is_sum_right, is_zero, number, path_in, until_zero};
use super::limits::{Allowance, Limited};
use super::pax::Records;
use super::sparse::Map;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{EntryType, Header};

/// An archive that is read from its beginning to its end. As a reader it has the content of the
/// entry that came last.
#[derive(Debug)]
pub(super) struct Archive<R> {
    reader: Limited<R>,
    allowance: Allowance,
    /// How much of the content is not read yet.
    content: u64,
    /// What fills the content's last block.
    padding: u64,
}

/// An entry: its header, and what stands before it and says more.
#[derive(Debug)]
pub(super) struct Entry {
    header: Header,
    records: Records,
    long_path: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    /// Which parts of the file are there, if not all of it is.
    pub(super) map: Option<Map>,
    /// How many bytes of it the archive has.
    pub(super) size: u64,
}

impl<R: Read> Archive<R> {
    /// Reads an archive, with an allowance.
    pub(super) fn new(reader: R, allowance: Allowance) -> Archive<R> {
        let reader = Limited::new(reader, allowance.clone());
        Archive { reader, allowance, content: 0, padding: 0 }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// If the archive is damaged. There is nothing more to be had from it then.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        self.skip_content()?;
        self.allowance.limit_headers();
        let entry = self.read_entry()?;
        self.allowance.limit_content();
        Ok(entry)
    }

    /// Whether the content of the last entry was read to its end.
    pub(super) fn is_content_read(&self) -> bool {
        self.content == 0
    }

    /// Reads what stands behind the last entry: it counts for the digest.
    pub(super) fn finish(mut self) -> Result<()> {
        io::copy(&mut self.reader, &mut io::sink()).context("it is damaged at its end")?;
        Ok(())
    }

    /// Reads headers up to one that is a file's.
    fn read_entry(&mut self) -> Result<Option<Entry>> {
        let mut records = Records::default();
        let (mut long_path, mut long_target) = (None, None);
        while let Some(header) = self.read_header()? {
            self.set_size(number(&header.as_old().size).context("its size is no number")?)?;
            match header.entry_type() {
                EntryType::XHeader => records = Records::parse(self.read_all()?)?,
                EntryType::GNULongName => long_path = self.read_text()?,
                EntryType::GNULongLink => long_target = self.read_text()?,
                EntryType::XGlobalHeader => {
                    // Such as git writes, with a comment. Nobody who reads layers heeds them.
                    Records::parse(self.read_all()?)?;
                    records = Records::default();
                }
                _ => {
                    let mut entry =
                        Entry { header, records, long_path, long_target, map: None, size: 0 };
                    self.begin_content(&mut entry)?;
                    return Ok(Some(entry));
                }
            }
        }
        Ok(None)
    }

    /// The next block, which has to be a header. Two blocks of zeros mark the end; an archive that
    /// only ends is taken too.
    fn read_header(&mut self) -> Result<Option<Header>> {
        self.skip_content()?;
        let mut header = Header::new_old();
        if !self.read_block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if is_zero(header.as_bytes()) {
            let is_end = !self.read_block(header.as_mut_bytes())? || is_zero(header.as_bytes());
            ensure!(is_end, "in its middle is a block of zeros");
            return Ok(None);
        }
        ensure!(is_sum_right(&header), "a header's checksum is wrong");
        Ok(Some(header))
    }

    /// Reads a block; `false` at the end.
    fn read_block(&mut self, block: &mut [u8; BLOCK as usize]) -> Result<bool> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => bail!("it ends in the middle of a block"),
                length => filled += length, // no reader reads more than there is room for
            }
        }
        Ok(true)
    }

    /// What follows the header of an entry: for a sparse file more about it, and then the content.
    fn begin_content(&mut self, entry: &mut Entry) -> Result<()> {
        let size = entry.number("size", &entry.header.as_old().size)?;
        let has_content = has_content(entry.header.entry_type()) && !entry.is_old_directory();
        self.set_size(if has_content { size } else { 0 })?;
        entry.map = match entry.kind() {
            EntryType::GNUSparse => {
                Some(Map::of_gnu(&entry.header, |block| match self.read_block(block)? {
                    true => Ok(()),
                    false => bail!("it ends in the middle of a sparse file"),
                })?)
            }
            EntryType::Regular | EntryType::Continuous => Map::of_pax(&entry.records, self)?,
            _ => None,
        };
        entry.size = self.content;
        Ok(())
    }

    fn set_size(&mut self, size: i64) -> Result<()> {
        self.content = u64::try_from(size).context("its size is less than zero")?;
        self.padding = self.content.next_multiple_of(BLOCK) - self.content; // at most 2^63
        Ok(())
    }

    /// Reads the content of a header that is no file's.
    fn read_all(&mut self) -> Result<Vec<u8>> {
        let (size, mut content) = (self.content, Vec::new());
        self.read_to_end(&mut content)?;
        ensure!(content.len() as u64 == size, "it ends in the middle of a header");
        Ok(content)
    }

    /// The same for a text, which ends at the first zero byte; `None` if it is empty.
    fn read_text(&mut self) -> Result<Option<Vec<u8>>> {
        let mut text = self.read_all()?;
        text.truncate(until_zero(&text).len());
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Skips what was not read of the content. (What fills its last block may be missing at the
    /// end.)
    fn skip_content(&mut self) -> Result<()> {
        let (content, padding) = (self.content, self.padding);
        (self.content, self.padding) = (0, 0);
        let mut skip = |length| io::copy(&mut self.reader.by_ref().take(length), &mut io::sink());
        ensure!(skip(content)? == content, "it ends in the middle of a file");
        skip(padding)?;
        Ok(())
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.by_ref().take(self.content).read(buffer)?;
        self.content -= length as u64; // at most what there was
        Ok(length)
    }
}

impl Entry {
    /// What kind of file it is. A name that ends in a slash is a directory's.
    pub(super) fn kind(&self) -> EntryType {
        match self.header.entry_type() {
            EntryType::Regular if self.path().ends_with(b"/") => EntryType::Directory,
            kind => kind,
        }
    }

    /// Whether it is a directory as the oldest tar programs wrote one: these had no other way.
    fn is_old_directory(&self) -> bool {
        self.header.as_old().linkflag == [0] && self.kind() == EntryType::Directory
    }

    /// Its path, as it stands there.
    pub(super) fn path(&self) -> Cow<'_, [u8]> {
        let of_sparse = self.map.as_ref().and_then(|_| self.records.text("GNU.sparse.name"));
        let path = of_sparse.or(self.long_path.as_deref());
        match path.or_else(|| self.records.text("path")) {
            Some(path) => Cow::Borrowed(path),
            None => path_in(&self.header),
        }
    }

    /// Where a link of either kind leads.
    pub(super) fn target(&self) -> Result<&Path> {
        let in_records = || self.records.text("linkpath");
        let target = self.long_target.as_deref().or_else(in_records);
        let target = target.unwrap_or_else(|| until_zero(&self.header.as_old().linkname));
        ensure!(!target.is_empty(), "it has no target");
        Ok(Path::new(OsStr::from_bytes(target)))
    }

    /// A number that PAX has under this name, or else the header in this field.
    pub(super) fn number(&self, name: &str, in_header: &[u8]) -> Result<i64> {
        match self.records.number(name)? {
            Some(number) => Ok(number),
            None => number(in_header).ok_or_else(|| anyhow!("its {name} is no number")),
        }
    }

    /// Its header.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// What PAX says about it.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }
}

/// Whether the size of an entry is that of a content which follows. Links, devices and directories
/// may have a size, but not here.
fn has_content(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}
