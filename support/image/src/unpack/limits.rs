//! How much an archive may bring: a few kilobytes of gzip can unpack to as many gigabytes.

use anyhow::{Result, ensure};
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is read for one header may be this long. (Long names and attributes make it grow, and it is
/// held in memory.)
const MAX_HEADER: u64 = 1 << 20;

/// How many bytes may still come, of all layers of an image together.
#[derive(Clone, Debug)]
pub struct Allowance {
    left: Arc<AtomicU64>,
    max_size: u64,
    header: Arc<AtomicU64>,
}

impl Allowance {
    /// Allows an image of `max_size` bytes.
    pub fn new(max_size: u64) -> Allowance {
        Allowance {
            left: Arc::new(AtomicU64::new(max_size)),
            max_size,
            header: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// For another layer of the same image.
    pub fn for_layer(&self) -> Allowance {
        Allowance { header: Arc::new(AtomicU64::new(u64::MAX)), ..self.clone() }
    }

    /// Takes some of the bytes.
    ///
    /// # Errors
    /// If there are not so many left.
    pub fn take(&self, bytes: u64) -> Result<()> {
        let max_size = self.max_size;
        let is_taken = take_from(&self.left, bytes);
        ensure!(
            is_taken,
            "the image unpacks to more than {max_size} bytes (v7-overlay --max-size)"
        );
        Ok(())
    }

    /// From now on a header is read.
    pub(super) fn limit_headers(&self) {
        self.header.store(MAX_HEADER, Ordering::Relaxed);
    }

    /// From now on the content of a file is read.
    pub(super) fn limit_content(&self) {
        self.header.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Whether there was so much left.
fn take_from(left: &AtomicU64, bytes: u64) -> bool {
    let is_enough = |left: u64| left.checked_sub(bytes);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_enough).is_ok()
}

/// A reader of an archive, with an allowance.
#[derive(Debug)]
pub(super) struct Limited<R> {
    inner: R,
    allowance: Allowance,
}

impl<R: Read> Limited<R> {
    /// Limits a reader.
    pub(super) fn new(inner: R, allowance: Allowance) -> Limited<R> {
        Limited { inner, allowance }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.allowance.take(length as u64).map_err(|error| io::Error::other(error.to_string()))?;
        let header = &self.allowance.header;
        let left = header.load(Ordering::Relaxed).checked_sub(length as u64);
        let left = left.ok_or_else(|| io::Error::other("a header of more than a megabyte"))?;
        header.store(left, Ordering::Relaxed);
        Ok(length)
    }
}
