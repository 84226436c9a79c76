//! A name that is a checksum: content-addressed files, as images use them.

use anyhow::{Result, anyhow, bail};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

/// `sha256:` and 64 hexadecimal digits: the name of a blob, and at the same time its content, since
/// nobody can make another content with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(String);

impl Digest {
    /// Takes 64 hexadecimal digits, in lower case.
    ///
    /// # Errors
    /// If it is anything else: it becomes part of a path.
    pub fn from_hex(hex: &str) -> Result<Digest> {
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != 64 || !hex.bytes().all(is_digit) {
            bail!("{hex:?} is no SHA-256 checksum");
        }
        Ok(Digest(hex.to_owned()))
    }

    /// The digits.
    pub fn hex(&self) -> &str {
        &self.0
    }

    /// Where an image layout has this blob.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("blobs/sha256").join(&self.0)
    }

    /// The name of some content.
    pub fn of(content: &[u8]) -> Digest {
        Digest(hex(&Sha256::digest(content)))
    }
}

impl TryFrom<String> for Digest {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Digest> {
        let hex = text.strip_prefix("sha256:");
        Digest::from_hex(hex.ok_or_else(|| anyhow!("{text:?} is no digest sha256:..."))?)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The digest of what comes piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sum(Sha256);

impl Sum {
    /// Takes the next piece.
    pub fn add(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        Digest(hex(&self.0.finalize()))
    }
}

/// Computes the digest of everything that is read through it.
#[derive(Debug)]
pub struct Digesting<R> {
    inner: R,
    sum: Sum,
}

impl<R: Read> Digesting<R> {
    /// Wraps a reader.
    pub fn new(inner: R) -> Digesting<R> {
        Digesting { inner, sum: Sum::default() }
    }

    /// Reads what is left, and returns the digest of the whole.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn finish(mut self) -> io::Result<Digest> {
        let mut buffer = vec![0; 1 << 16];
        while self.read(&mut buffer)? > 0 {}
        Ok(self.sum.finish())
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.sum.add(&buffer[..length]); // no reader reads more than there is room for
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_digits_and_never_a_path() {
        let good = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(Digest::try_from(good.clone()).unwrap().to_string(), good);
        for bad in ["sha256:../../etc/passwd", "sha256:", "md5:00", "", "sha256:0F"] {
            assert!(Digest::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(Digest::try_from(format!("sha256:{}", "0F".repeat(32))).is_err());
        assert!(Digest::try_from(format!("sha512:{}", "0f".repeat(32))).is_err());
    }

    #[test]
    fn the_digest_of_a_stream_is_that_of_its_content() {
        let content = vec![7; 100_000];
        let mut reader = Digesting::new(&content[..]);
        let mut some = [0; 10];
        reader.read_exact(&mut some).unwrap();
        assert_eq!(reader.finish().unwrap(), Digest::of(&content));
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").hex(), empty);
    }
}
