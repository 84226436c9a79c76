//! Files to fill an image with: the same ones each time, of many sizes, and as compressible as
//! programs and libraries are.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Content that gzip makes one megabyte of.
const PER_COMPRESSED_MEGABYTE: usize = 2_240_000;

/// How many files are in a directory.
const FILES: usize = 100;

/// Makes `directory` and fills it, until gzip would make this many megabytes of it.
///
/// # Errors
/// Those of writing files.
pub fn fill(directory: &Path, part: usize, megabytes: usize) -> Result<()> {
    let mut random = Random((part as u64 + 1) << 40 | 0x5eed_5eed);
    // Few enough for gzip's window of 32 KiB.
    let phrases: Vec<Vec<u8>> = (0..512).map(|_| phrase(&mut random)).collect();
    let mut left = megabytes * PER_COMPRESSED_MEGABYTE;
    for number in 0.. {
        let inner = directory.join(format!("{}", number / FILES));
        if number % FILES == 0 {
            fs::create_dir_all(&inner)
                .with_context(|| format!("cannot make {}", inner.display()))?;
        }
        let size = (512 << random.below(10)).min(left);
        write_file(&inner.join(format!("file{number}")), size, &phrases, &mut random)?;
        left -= size;
        if left == 0 {
            break;
        }
    }
    Ok(())
}

/// Writes a file of phrases, with bytes between them that cannot be foretold.
fn write_file(path: &Path, size: usize, phrases: &[Vec<u8>], random: &mut Random) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = BufWriter::with_capacity(1 << 18, File::create(path).with_context(cannot)?);
    let mut left = size;
    while left > 0 {
        let noise = random.next().to_le_bytes();
        let phrase = &phrases[random.below(phrases.len())];
        for piece in [&noise[..], phrase] {
            let length = piece.len().min(left);
            file.write_all(&piece[..length]).with_context(cannot)?;
            left -= length;
        }
    }
    file.flush().with_context(cannot)
}

/// 8 to 39 bytes.
fn phrase(random: &mut Random) -> Vec<u8> {
    let length = 8 + random.below(32);
    (0..length).map(|_| b'a' + u8::try_from(random.below(26)).unwrap_or(0)).collect()
}

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        // Never more than `limit`, which is a usize.
        usize::try_from(self.next() >> 8).unwrap_or(0) % limit
    }
}
