//! The content of a file.

use super::Unpacker;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use tar::EntryType;

impl Unpacker {
    /// Writes what the archive has for a new file. The holes of a sparse one stay holes.
    pub(super) fn fill<R: Read>(
        &mut self,
        mut file: File,
        entry: &mut tar::Entry<R>,
    ) -> Result<()> {
        let is_sparse = entry.header().entry_type() == EntryType::GNUSparse;
        let size = if is_sparse { sparse_size(entry)? } else { entry.size() };
        if is_sparse {
            self.allowance.take(size)?; // the holes are not in the archive
        }
        let mut written = 0;
        loop {
            let length = entry.read(&mut self.buffer).context("cannot read it")?;
            if length == 0 {
                break;
            }
            let content = &self.buffer[..length]; // no more than there is room for
            if is_sparse && content.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Current(length.try_into()?)).context("cannot skip a hole")?;
            } else {
                file.write_all(content).context("cannot write it")?;
            }
            written += length as u64;
        }
        ensure!(written == size, "it ends after {written} of {size} bytes");
        if is_sparse {
            file.set_len(size).context("cannot set its size")?;
        }
        Ok(())
    }
}

/// How long a sparse file is, with its holes.
fn sparse_size<R: Read>(entry: &tar::Entry<R>) -> Result<u64> {
    let header = entry.header().as_gnu().context("it is sparse, but not in GNU's format")?;
    header.real_size().context("it has no size")
}
