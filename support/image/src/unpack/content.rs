//! The content of a file.

use super::Unpacker;
use super::archive::{Archive, Entry};
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

impl Unpacker<'_> {
    /// Writes what the archive has for a new file. The holes of a sparse one stay holes.
    pub(super) fn fill<R: Read>(
        &mut self,
        mut file: File,
        entry: &Entry,
        archive: &mut Archive<R>,
    ) -> Result<()> {
        let Some(map) = &entry.map else {
            return self.copy(&mut file, archive, entry.size);
        };
        self.allowance.take(map.size)?; // the holes are not in the archive
        for (offset, length) in &map.parts {
            file.seek(SeekFrom::Start(*offset)).context("cannot skip a hole")?;
            self.copy(&mut file, archive, *length)?;
        }
        ensure!(archive.is_content_read(), "it has more content than parts");
        file.set_len(map.size).context("cannot set its size")
    }

    /// Copies so many bytes.
    fn copy(&mut self, file: &mut File, archive: &mut impl Read, size: u64) -> Result<()> {
        let mut content = archive.take(size);
        let mut written = 0;
        loop {
            let length = content.read(&mut self.buffer).context("cannot read it")?;
            if length == 0 {
                break;
            }
            // No more than there is room for.
            file.write_all(&self.buffer[..length]).context("cannot write it")?;
            written += length as u64;
        }
        ensure!(written == size, "it ends after {written} of {size} bytes");
        Ok(())
    }
}
