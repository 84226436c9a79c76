//! What the attacker is told.

use nix::errno::Errno;

/// What the attacker is told on its command line.
pub(crate) struct Told<'a>(pub(super) &'a [String]);

impl Told<'_> {
    /// The word at this place.
    pub(super) fn word(&self, index: usize) -> Result<&str, Errno> {
        self.0.get(index).map(String::as_str).ok_or(Errno::EINVAL)
    }

    /// The number at this place.
    pub(super) fn number<T: std::str::FromStr>(&self, index: usize) -> Result<T, Errno> {
        self.word(index)?.parse().map_err(|_| Errno::EINVAL)
    }
}
