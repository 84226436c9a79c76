//! What a check says of a program: what was expected, what was seen, where to look.

use std::fmt::{self, Display};

use anyhow::Result;

/// What the check saw first that is not as it should be.
#[derive(Debug)]
pub struct CheckFailed(pub String);

impl CheckFailed {
    /// In three lines: what was expected, what was seen, and where to look.
    pub fn new(expected: &str, seen: &str, look_at: &str) -> CheckFailed {
        let seen = if seen.is_empty() { "nothing" } else { seen };
        CheckFailed(format!("  expected: {expected}\n  seen:     {seen}\n  look at:  {look_at}"))
    }
}

impl Display for CheckFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CheckFailed {}

/// Requires something, in plain words.
///
/// # Errors
/// [`CheckFailed`] unless `is_so`: what was expected, what was seen, and where to look.
pub fn expect(is_so: bool, expected: &str, seen: &str, look_at: &str) -> Result<()> {
    match is_so {
        true => Ok(()),
        false => Err(CheckFailed::new(expected, seen, look_at).into()),
    }
}
