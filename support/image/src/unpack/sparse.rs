//! Sparse files: which parts of one an archive has. What lies between them is holes.
//!
//! GNU tar has written four formats: one in its own headers, and, in PAX headers, 0.0, 0.1 and 1.0
//! (its manual: "Storing Sparse Files").

use super::header::{BLOCK, number};
use super::pax::Records;
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// More parts than this has no file. (In GNU's own format their number has no other limit.)
const MAX_PARTS: usize = 1 << 16;

/// The longest line in a map of the format 1.0: a number of 64 bits.
const LONGEST_LINE: usize = 20;

/// The parts of a sparse file, in their order, and how long it is with its holes.
#[derive(Debug)]
pub(super) struct Map {
    /// Where each begins, and how long it is.
    pub(super) parts: Vec<(u64, u64)>,
    pub(super) size: u64,
}

impl Map {
    /// As GNU's format has it: in the header, and in more blocks behind it, which `next_block`
    /// reads.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn of_gnu(
        header: &Header,
        mut next_block: impl FnMut(&mut [u8; BLOCK as usize]) -> Result<()>,
    ) -> Result<Map> {
        let gnu = header.as_gnu().context("it is sparse, but not in GNU's format")?;
        let mut numbers = Vec::new();
        add_parts(&mut numbers, &gnu.sparse)?;
        let mut is_extended = gnu.is_extended();
        while is_extended {
            let mut block = GnuExtSparseHeader::new();
            next_block(block.as_mut_bytes())?;
            add_parts(&mut numbers, &block.sparse)?;
            is_extended = block.is_extended();
        }
        Map::new(&numbers, number(&gnu.realsize))
    }

    /// As PAX headers have it; `None` if the file is not sparse. In the format 1.0 the map stands
    /// before the content, in blocks of its own.
    ///
    /// # Errors
    /// If it is damaged.
    pub(super) fn of_pax(records: &Records, content: &mut impl Read) -> Result<Option<Map>> {
        let text = |key: &str| records.text(key);
        let numbers = match (text("GNU.sparse.major"), text("GNU.sparse.minor")) {
            (Some(b"1"), Some(b"0")) => map_before_content(content)?,
            (None, None) | (Some(b"0"), Some(b"0" | b"1")) => match text("GNU.sparse.map") {
                Some(map) => map.split(|byte| *byte == b',').map(decimal).collect::<Result<_>>()?,
                None => map_in_records(records)?,
            },
            _ => bail!("it is sparse in an unknown format"),
        };
        let size = records.number("GNU.sparse.realsize")?;
        let size = size.or(records.number("GNU.sparse.size")?);
        if numbers.is_empty() && size.is_none() {
            return Ok(None);
        }
        Map::new(&numbers, size).map(Some)
    }

    /// From a list of offsets and lengths by turns.
    fn new(numbers: &[i64], size: Option<i64>) -> Result<Map> {
        let size = size.and_then(|size| u64::try_from(size).ok()).context("it has no size")?;
        let (pairs, rest) = numbers.as_chunks();
        let mut parts = Vec::new();
        let mut end = 0;
        for [offset, length] in pairs {
            let part = u64::try_from(*offset).ok().zip(u64::try_from(*length).ok());
            let part = part.filter(|(offset, length)| {
                *offset >= end && offset.checked_add(*length).is_some_and(|end| end <= size)
            });
            let part = part.context("its parts are not in order, or more than its size")?;
            end = part.0 + part.1; // no more than the size
            parts.push(part);
        }
        ensure!(rest.is_empty(), "a part of it has no length");
        Ok(Map { parts, size })
    }
}

fn add_parts(numbers: &mut Vec<i64>, parts: &[GnuSparseHeader]) -> Result<()> {
    for part in parts.iter().take_while(|part| part.offset[0] != 0) {
        let numbers_of = [&part.offset, &part.numbytes].map(|field| number(field));
        for found in numbers_of {
            numbers.push(found.context("a part of it is no number")?);
        }
    }
    ensure!(numbers.len() <= 2 * MAX_PARTS, "it has more than {MAX_PARTS} parts");
    Ok(())
}

/// The format 0.0 repeats two records for each part.
fn map_in_records(records: &Records) -> Result<Vec<i64>> {
    let mut keys = [&b"GNU.sparse.offset"[..], b"GNU.sparse.numbytes"].into_iter().cycle();
    let is_part = |key: &[u8]| matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
    let parts = records.iter().filter(|(key, _)| is_part(key));
    let number = |(key, value)| {
        ensure!(keys.next() == Some(key), "its parts are not in order");
        decimal(value)
    };
    parts.map(number).collect()
}

/// The format 1.0: how many parts, then offset and length of each, every number on a line. The
/// last block is filled up.
fn map_before_content(content: &mut impl Read) -> Result<Vec<i64>> {
    let (mut numbers, mut line, mut wanted) = (Vec::new(), Vec::new(), None);
    loop {
        let mut block = [0; BLOCK as usize];
        content.read_exact(&mut block).context("it ends in the middle of its map")?;
        for byte in block {
            if byte != b'\n' {
                ensure!(line.len() < LONGEST_LINE, "its map is damaged");
                line.push(byte);
                continue;
            }
            let number = decimal(&line)?;
            line.clear();
            match wanted {
                None => wanted = Some(2 * number_of_parts(number)?),
                Some(_) => numbers.push(number),
            }
            if wanted == Some(numbers.len()) {
                return Ok(numbers);
            }
        }
    }
}

fn number_of_parts(number: i64) -> Result<usize> {
    let count = usize::try_from(number).ok().filter(|count| *count <= MAX_PARTS);
    count.with_context(|| format!("it cannot have {number} parts"))
}

fn decimal(text: &[u8]) -> Result<i64> {
    let number = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.context("a part of it is no number")
}
