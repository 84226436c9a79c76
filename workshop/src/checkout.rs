//! Where the course lies.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The checkout: the directory with all steps in it.
///
/// Cargo tells a program that it runs where its package lies; a program that was started without
/// cargo looks upwards from the working directory.
///
/// # Errors
/// If there is none.
pub fn checkout() -> Result<PathBuf> {
    let is_checkout = |directory: &&Path| {
        directory.join("Cargo.toml").is_file() && directory.join("v1-chroot/src").is_dir()
    };
    let package = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let working = env::current_dir().context("cannot tell the working directory")?;
    let found = package.iter().chain([&working]).flat_map(|start| start.ancestors());
    let mut found = found.filter(is_checkout);
    found.next().map(Path::to_owned).context(
        "cannot find the checkout of this course (run it as `cargo workshop`, in the checkout)",
    )
}
